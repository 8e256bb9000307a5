// Net positions: one for each asset, which orders change. What is held comes with the trades of the stream; the leverage of an
// asset that nothing is held in is asked for.

import { brief, price } from "./money.js";
import { byId, make, mark, reveal, tone, write } from "./dom.js";
import { rowFigures, isSafe } from "./figures.js";
import { Intent } from "./api.js";
import { isShown } from "./tabs.js";

const REFETCH_MS = 300;

export class Net {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   */
  constructor(store, api, notices) {
    this.store = store;
    this.api = api;
    this.notices = notices;
    this.there = api.has("POST:/net/order");
    this.timer = 0;
    /** @type {Map<string, {cells: HTMLElement[], close: HTMLButtonElement, change: HTMLButtonElement, intent: Intent, busy: boolean}>} */
    this.rows = new Map();
    /** Called to change the trade of a position. @type {(orderId: string) => void} */
    this.onChange = () => {};
    reveal(byId("tab-net"), this.there);
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (!this.there) return;
    if (keys.has("session") || keys.has("trades") || keys.has("assets")) this.#ask();
    if (keys.has("assets")) this.#build();
    if (keys.has("trades")) {
      const held = [...this.store.trades.values()].filter((row) => row.net).length;
      write(byId("tab-net"), held ? `Net ${held}` : "Net");
    }
    if (isShown("net") && ["trades", "market", "net", "tab", "assets", "connection"].some((key) => keys.has(key))) this.#figures();
  }

  /** The leverages, once the trades have come to rest. */
  #ask() {
    if (!this.store.email) {
      this.store.netLeverages.clear();
      return;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const answered = await this.api.get("/net", false);
      if (!answered.ok) return;
      this.store.netLeverages = new Map(answered.body.data.map((/** @type {any} */ row) => [row.asset, row.leverage]));
      this.store.touch("net");
    }, REFETCH_MS);
  }

  #build() {
    this.rows.clear();
    byId("net-rows").replaceChildren(
      ...[...this.store.assets.keys()].map((asset) => {
        const cells = Array.from({ length: 10 }, (_, at) => make("td", { class: at < 2 ? "text" : "" }));
        const close = /** @type {HTMLButtonElement} */ (make("button", { type: "button", "aria-label": `close the net position in ${asset}`, click: () => void this.close(asset) }, "Close"));
        const change = /** @type {HTMLButtonElement} */ (make("button", { type: "button", "aria-label": `change the net position in ${asset}`, click: () => this.onChange(this.store.netIn(asset)?.orderId ?? "") }, "Change"));
        this.rows.set(asset, { cells, close, change, intent: new Intent(), busy: false });
        return make("tr", { "data-asset": asset, click: () => this.store.choose({ asset }) }, ...cells, make("td", {}, change, " ", close));
      }),
    );
  }

  #figures() {
    const down = !["live", "quiet"].includes(this.store.connection.state);
    for (const [asset, { cells, close, change, busy }] of this.rows) {
      const row = this.store.netIn(asset);
      const figures = row ? rowFigures(this.store, row) : null;
      const leverage = row?.leverage ?? this.store.netLeverages.get(asset);
      const mark_ = this.store.market.get(asset)?.mark;
      const texts = [
        asset, row ? row.type : "flat", row?.quantity ?? "0", leverage === undefined ? "–" : `${leverage}x`, row ? brief(row.margin) : "–",
        row ? price(row.entryPrice) : "–", price(mark_), !row ? "–" : isSafe(row.liquidationPrice) ? "never" : price(row.liquidationPrice),
        figures?.pnl ?? "–", figures ? `${brief(figures.percent)} %` : "–",
      ];
      texts.forEach((text, at) => write(cells[at], text));
      mark(cells[1], "tone", row ? (row.type === "long" ? "up" : "down") : "");
      mark(cells[8], "tone", tone(figures?.pnl));
      close.disabled = !row || down || busy;
      change.disabled = !row || down;
    }
  }

  /** All of a position, at the market. @param {string} asset */
  async close(asset) {
    const row = this.store.netIn(asset);
    const held = this.rows.get(asset);
    if (!row || !held || held.busy) return;
    held.busy = held.close.disabled = true;
    const body = { asset, side: row.type === "long" ? "sell" : "buy", closePosition: true, clientOrderId: held.intent.id };
    const answered = await this.api.post("/net/order", body);
    held.intent.settle(answered);
    held.busy = false;
    if (!answered.ok) this.notices.say(answered.body.message);
    this.store.touch("net");
  }
}
