// Closed trades: a page at a time, with the API's filters, totals over all that they match, and all of it as CSV.

import { brief, price } from "./money.js";
import { byId, lasting, make, moment, reveal, tone, write } from "./dom.js";
import { isShown } from "./tabs.js";

const PAGE = 50;
const REFETCH_MS = 300;
const MARKED = 200;

export class History {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   */
  constructor(store, api) {
    this.store = store;
    this.api = api;
    /** Called to show when a trade ended. @type {(asset: string, at: string) => void} */
    this.onChosen = () => {};
    this.offset = 0;
    this.turn = 0;
    this.timer = 0;
    this.old = true;
    this.form = /** @type {HTMLFormElement} */ (byId("history-form"));
    this.form.addEventListener("change", () => void this.load());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    byId("history-next").addEventListener("click", () => void this.load(this.offset + PAGE));
    byId("history-csv").addEventListener("click", () => this.csv());
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (keys.has("assets")) {
      const select = byId("history-asset");
      for (const symbol of this.store.assets.keys()) select.append(make("option", {}, symbol));
    }
    if (keys.has("session")) this.#forget();
    if (keys.has("ended") || keys.has("session") || keys.has("choice.zone")) this.old = true;
    if (!this.old || !isShown("history") || !this.store.email) return;
    this.old = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.load(), REFETCH_MS);
  }

  /** Of somebody else nothing stays, also not what is asked for by now. */
  #forget() {
    this.turn += 1;
    byId("history-rows").replaceChildren();
    write(byId("history-totals"), "");
    reveal(byId("history-empty"), this.store.email === "");
    reveal(byId("history-next"), false);
  }

  /** The filters as the API wants them. */
  query() {
    const query = new URLSearchParams({ status: "closed", sortOrder: "desc" });
    for (const [name, value] of new FormData(this.form)) {
      if (value === "") continue;
      if (name === "end") query.set(...(/** @type {[string, string]} */ (String(value).split("="))));
      else query.set(name, String(value));
    }
    return query;
  }

  /** @param {number} [offset] */
  async load(offset = 0) {
    const turn = ++this.turn;
    const query = this.query();
    query.set("limit", String(PAGE));
    query.set("offset", String(offset));
    const answered = await this.api.get(`/trade/history?${query}`, false);
    if (turn !== this.turn) return;
    if (!answered.ok) {
      write(byId("history-totals"), answered.body?.message ?? "");
      return;
    }
    const { data, analytics, pagination } = answered.body;
    this.offset = offset;
    const rows = data.map((/** @type {any} */ row) => this.#row(row));
    if (offset) byId("history-rows").append(...rows);
    else byId("history-rows").replaceChildren(...rows);
    const { totalTrades, profitableTrades, unprofitableTrades, liquidatedTrades, totalPnl } = analytics;
    write(
      byId("history-totals"),
      `${totalTrades} ${totalTrades === 1 ? "trade" : "trades"}, PnL ${totalPnl} USDC: ${profitableTrades} with a gain, ${unprofitableTrades} without one, ${liquidatedTrades} liquidated.`,
    );
    reveal(byId("history-empty"), pagination.total === 0);
    reveal(byId("history-next"), pagination.hasMore);
  }

  /** @param {any} row */
  #row(row) {
    const ended = row.liquidated ? "liquidated" : row.closeReason && row.closeReason !== "user" ? row.closeReason.replaceAll("_", " ") : "closed";
    const cells = [
      moment(row.closedAt, this.store.choice.zone, true), row.asset, row.type, `${row.leverage}x`, brief(row.margin), price(row.entryPrice),
      price(row.closePrice), row.pnl, `${brief(row.pnlPercentage)} %`, lasting(Number(row.durationSeconds)), ended,
    ];
    return make(
      "tr",
      { "data-order": row.orderId, click: () => this.onChosen(row.asset, row.closedAt) },
      ...cells.map((text, at) => make("td", { "data-tone": at === 7 ? tone(row.pnl) : undefined }, at ? text : make("button", { type: "button", class: "link", title: "show its candles" }, text))),
    );
  }

  /** What was closed before this page was there, for the marks on the chart. */
  async remember() {
    const answered = await this.api.get(`/trade/history?status=closed&sortBy=closedAt&sortOrder=desc&limit=${MARKED}`, false);
    if (!answered.ok) return;
    for (const row of answered.body.data.reverse()) if (!this.store.ended.has(row.orderId)) this.store.keepEnded(row);
  }

  /** All that the filters match, however many, as the API writes it. */
  csv() {
    const query = this.query();
    for (const name of ["sortBy", "sortOrder"]) query.delete(name);
    query.set("format", "csv");
    make("a", { href: this.api.address(`/trade/history?${query}`), download: "" }).click();
  }
}
