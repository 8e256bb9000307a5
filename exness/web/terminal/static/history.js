// Closed trades: a page at a time, with the API's filters, totals over all that they match, and all of it as CSV.

import { brief, price } from "./money.js";
import { byId, download, lasting, make, moment, reveal, tone, write } from "./dom.js";
import { isShown } from "./tabs.js";

const PAGE = 50;
const CSV_PAGE = 500;
const CSV_PAGES = 40;
const REFETCH_MS = 300;
const MARKED = 200;
const COLUMNS = [
  "orderId", "clientOrderId", "asset", "type", "margin", "leverage", "entryPrice", "closePrice", "liquidationPrice", "pnl",
  "pnlPercentage", "liquidated", "closeReason", "commission", "funding", "shortfall", "createdAt", "closedAt", "durationSeconds",
];

export class History {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   */
  constructor(store, api, notices) {
    this.store = store;
    this.api = api;
    this.notices = notices;
    this.offset = 0;
    this.turn = 0;
    this.timer = 0;
    this.old = true;
    this.form = /** @type {HTMLFormElement} */ (byId("history-form"));
    this.form.addEventListener("change", () => void this.load());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    byId("history-next").addEventListener("click", () => void this.load(this.offset + PAGE));
    byId("history-csv").addEventListener("click", () => void this.csv());
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (keys.has("assets")) {
      const select = byId("history-asset");
      for (const symbol of this.store.assets.keys()) select.append(make("option", {}, symbol));
    }
    if (keys.has("ended") || keys.has("session") || keys.has("choice.zone")) this.old = true;
    if (!this.old || !isShown("history") || !this.store.email) return;
    this.old = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.load(), REFETCH_MS);
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
      `${totalTrades} trades, PnL ${totalPnl} USDC: ${profitableTrades} with a gain, ${unprofitableTrades} without one, ${liquidatedTrades} liquidated.`,
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
      { "data-order": row.orderId, click: () => this.store.choose({ asset: row.asset }) },
      ...cells.map((text, at) => make("td", { "data-tone": at === 7 ? tone(row.pnl) : undefined }, text)),
    );
  }

  /** What was closed before this page was there, for the marks on the chart. */
  async remember() {
    const answered = await this.api.get(`/trade/history?status=closed&sortBy=closedAt&sortOrder=desc&limit=${MARKED}`, false);
    if (!answered.ok) return;
    for (const row of answered.body.data.reverse()) if (!this.store.ended.has(row.orderId)) this.store.keepEnded(row);
  }

  /** All that the filters match, as the API tells it. */
  async csv() {
    /** @type {any[]} */
    const rows = [];
    for (let page = 0; page < CSV_PAGES; page++) {
      const query = this.query();
      query.set("limit", String(CSV_PAGE));
      query.set("offset", String(page * CSV_PAGE));
      const answered = await this.api.get(`/trade/history?${query}`);
      if (!answered.ok) {
        this.notices.say(answered.body.message);
        return;
      }
      rows.push(...answered.body.data);
      if (!answered.body.pagination.hasMore) break;
    }
    const columns = COLUMNS.filter((name) => rows.some((row) => row[name] !== undefined && row[name] !== null) || rows.length === 0);
    const lines = [columns, ...rows.map((row) => columns.map((name) => row[name]))];
    download("exness-history.csv", `${lines.map((line) => line.map(field).join(",")).join("\r\n")}\r\n`, "text/csv");
  }
}

/** A field of a CSV file; a spreadsheet must take none for a formula. @param {unknown} value */
export function field(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = /^[=+@]|^-(?![\d.])/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
