// Open trades. Rows are kept by order id and their text is compared, so that a price touches only the cells it changes. The
// rows in view are painted every time, the others a few at a time.

import { brief, price } from "./money.js";
import { byId, lasting, make, mark, reveal, tone, write } from "./dom.js";
import { SAFE, isSafe, rowFigures } from "./figures.js";

const ROW_PX = 26;
const BEYOND = 4;
const SLICES = 10;
const MAX_ROWS = 1000;
const SURE_MS = 4000;

export class Trades {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   */
  constructor(store, api, notices) {
    this.store = store;
    this.api = api;
    this.notices = notices;
    this.body = byId("trade-rows");
    this.panel = byId("panel-trades");
    /** @type {Map<string, {line: HTMLElement, cells: HTMLElement[], button: HTMLButtonElement, change: HTMLButtonElement}>} */
    this.rows = new Map();
    this.slice = 0;
    this.closeAll = /** @type {HTMLButtonElement} */ (byId("close-all"));
    this.sure = 0;
    this.closeAll.addEventListener("click", () => void this.#closeAll());
    /** Called to change a trade. @type {(orderId: string) => void} */
    this.onChange = () => {};
    // Kept, not asked for at each paint: that would have the browser lay out the page in the middle of it.
    this.top = 0;
    this.height = 0;
    this.panel.addEventListener("scroll", () => {
      this.top = this.panel.scrollTop;
      store.touch("tick");
    }, { passive: true });
    new ResizeObserver(() => (this.height = this.panel.clientHeight)).observe(this.panel);
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    const listed = keys.has("trades");
    if (listed) this.#list();
    if (keys.has("connection")) this.#allow();
    if (this.panel.hidden || !(listed || keys.has("market") || keys.has("tick") || keys.has("selected"))) return;
    this.#figures(listed, listed || !keys.has("market") || keys.has("tick"));
  }

  #list() {
    const { trades } = this.store;
    for (const [orderId, { line }] of this.rows) {
      if (trades.has(orderId)) continue;
      line.remove();
      this.rows.delete(orderId);
    }
    for (const [orderId, row] of trades) {
      if (this.rows.has(orderId) || this.rows.size >= MAX_ROWS) continue;
      const made = this.#made(row);
      this.rows.set(orderId, made);
      this.body.prepend(made.line);
    }
    this.#sureNot();
    this.#allow();
    write(byId("tab-trades"), trades.size ? `Trades ${trades.size}` : "Trades");
    reveal(byId("trades-empty"), trades.size === 0);
  }

  /** @param {import("./frames.js").TradeRow} row */
  #made(row) {
    const cells = Array.from({ length: 11 }, (_, at) => make("td", { class: at < 2 ? "text" : "" }));
    const button = /** @type {HTMLButtonElement} */ (
      make("button", { type: "button", "aria-label": `close ${row.asset} ${row.type} ${row.leverage}x`, click: () => this.close(row.orderId) }, "Close")
    );
    const change = /** @type {HTMLButtonElement} */ (
      make("button", { type: "button", "aria-label": `change ${row.asset} ${row.type} ${row.leverage}x`, click: (/** @type {Event} */ event) => this.#change(event, row.orderId) }, "Change")
    );
    const line = make("tr", { "data-order": row.orderId, click: () => this.select(row.orderId) }, ...cells, make("td", {}, change, " ", button));
    return { line, cells, button, change };
  }

  #allow() {
    const down = !["live", "quiet"].includes(this.store.connection.state);
    for (const { button, change } of this.rows.values()) {
      button.disabled = down || button.dataset.busy === "true";
      change.disabled = down;
    }
    this.closeAll.disabled = down || this.store.trades.size === 0 || this.closeAll.dataset.busy === "true";
  }

  /** @param {boolean} all rows, also those out of view @param {boolean} whole all cells, not only mark and PnL */
  #figures(all, whole) {
    const { trades } = this.store;
    const first = Math.floor(this.top / ROW_PX) - BEYOND;
    const last = first + Math.ceil(this.height / ROW_PX) + 2 * BEYOND;
    this.slice = (this.slice + 1) % SLICES;
    let at = this.rows.size;
    for (const [orderId, parts] of this.rows) {
      at -= 1; // the newest stands on top
      const row = trades.get(orderId);
      if (row && (all || (at >= first && at <= last) || at % SLICES === this.slice)) this.#row(row, parts, whole);
    }
  }

  /**
   * Mark and PnL go together ten times a second; the rest, once a second, is half of what painting costs.
   * @param {import("./frames.js").TradeRow} row
   * @param {{line: HTMLElement, cells: HTMLElement[]}} parts
   * @param {boolean} whole
   */
  #row(row, { line, cells }, whole) {
    const figures = rowFigures(this.store, row);
    write(cells[5], price(figures?.mark));
    write(cells[8], figures?.pnl ?? "–");
    mark(cells[8], "tone", tone(figures?.pnl));
    if (!whole) return;
    const safe = isSafe(row.liquidationPrice);
    write(cells[0], row.asset);
    write(cells[1], row.net ? `net ${row.type}` : row.type);
    mark(cells[1], "tone", row.type === "long" ? "up" : "down");
    write(cells[2], `${row.leverage}x`);
    write(cells[3], brief(row.margin));
    write(cells[4], price(row.entryPrice));
    write(cells[6], safe ? "never" : price(row.liquidationPrice));
    if (safe && !cells[6].title) cells[6].title = SAFE;
    write(cells[7], safe ? "–" : figures ? `${figures.away} %` : "–");
    write(cells[9], figures ? `${brief(figures.percent)} %` : "–");
    write(cells[10], lasting((this.store.timeAt(performance.now()) - Date.parse(row.createdAt)) / 1000));
    const selected = String(this.store.selected === row.orderId);
    if (line.getAttribute("aria-current") !== selected) line.setAttribute("aria-current", selected);
  }

  /** @param {string} orderId */
  select(orderId) {
    const row = this.store.trades.get(orderId);
    this.store.selected = this.store.selected === orderId ? "" : orderId;
    if (row && row.asset !== this.store.choice.asset) this.store.choose({ asset: row.asset });
    this.store.touch("selected");
  }

  /** @param {Event} event @param {string} orderId */
  #change(event, orderId) {
    event.stopPropagation(); // it selects nothing
    this.onChange(orderId);
  }

  /** The first click asks, the second within a few seconds does it. */
  async #closeAll() {
    const { size } = this.store.trades;
    if (!this.sure) {
      write(this.closeAll, size === 1 ? "close it?" : `all ${size}?`);
      this.sure = setTimeout(() => this.#sureNot(), SURE_MS);
      return;
    }
    this.#sureNot();
    this.closeAll.dataset.busy = "true";
    this.#allow();
    const answered = await this.api.post("/trade/closeAll", {});
    this.closeAll.dataset.busy = "false";
    this.#allow();
    const refused = answered.ok ? answered.body.refused : [answered.body];
    if (refused.length) this.notices.say(`${refused.length === 1 ? "One" : refused.length} could not be closed: ${refused[0].message}`);
  }

  #sureNot() {
    clearTimeout(this.sure);
    this.sure = 0;
    write(this.closeAll, "close all");
  }

  /** Close a trade; its button is off until there is an answer. @param {string} orderId */
  async close(orderId) {
    const parts = this.rows.get(orderId);
    if (!parts || parts.button.disabled) return;
    parts.button.disabled = true;
    parts.button.dataset.busy = "true";
    const answered = await this.api.post("/trade/close", { orderId });
    parts.button.dataset.busy = "false";
    this.#allow();
    if (!answered.ok && answered.body?.code !== "trade_already_closed") this.notices.say(answered.body.message);
  }
}
