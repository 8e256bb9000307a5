// The account: what it is worth now and was, how far it fell, and what came of each asset. Where the server has a series of
// equity and a statement, these; else the curve is that of the closed trades.

import { CurveChart, hasCharts } from "./chart.js";
import { USDC_DECIMALS, brief, parse, show } from "./money.js";
import { byId, make, moment, reveal, tone, write } from "./dom.js";
import { holdings } from "./figures.js";
import { isShown } from "./tabs.js";

const PAGE = 500;
const PAGES = 10;
const REFETCH_MS = 500;

export class Account {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   */
  constructor(store, api) {
    this.store = store;
    this.api = api;
    this.old = true;
    this.timer = 0;
    /** @type {CurveChart | null} */
    this.curve = null;
    reveal(byId("statement"), api.has("GET:/account/statement"));
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (["ended", "session", "choice.zone", "account"].some((key) => keys.has(key))) this.old = true;
    if (keys.has("choice.theme")) this.curve?.paintTheme();
    if (!isShown("account")) return;
    if (["account", "trades", "market", "tab", "session"].some((key) => keys.has(key))) this.#figures();
    if (!this.old || !this.store.email) return;
    this.old = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.load(), REFETCH_MS);
  }

  #figures() {
    const held = holdings(this.store);
    const lines = [["equity", held?.equity], ["free", held?.free], ["locked margin", held?.locked], ["open PnL", held?.pnl], ["open trades", String(this.store.trades.size)]];
    const list = byId("account-figures");
    if (list.children.length !== lines.length) {
      list.replaceChildren(...lines.map(([name]) => make("div", {}, make("dt", {}, name ?? ""), make("dd", {}))));
    }
    lines.forEach(([, text], at) => write(/** @type {Element} */ (list.children[at].lastChild), text ?? "–"));
  }

  async load() {
    const rows = await this.#closed();
    if (!rows) return;
    this.#assets(rows);
    const points = (await this.#served()) ?? this.#ofTrades(rows);
    this.#curve(points);
    if (this.api.has("GET:/account/statement")) await this.#statement();
  }

  /** Closed trades, oldest first. */
  async #closed() {
    /** @type {any[]} */
    const rows = [];
    for (let page = 0; page < PAGES; page++) {
      const answered = await this.api.get(`/trade/history?status=closed&sortBy=closedAt&sortOrder=asc&limit=${PAGE}&offset=${page * PAGE}`, false);
      if (!answered.ok) return null;
      rows.push(...answered.body.data);
      if (!answered.body.pagination.hasMore) break;
    }
    return rows;
  }

  /** The server's own series; null where it has none. */
  async #served() {
    if (!this.api.has("GET:/account/equity")) return null;
    const answered = await this.api.get("/account/equity?interval=1m", false);
    if (!answered.ok) return null;
    const rows = Array.isArray(answered.body) ? answered.body : answered.body.data;
    return rows.map((/** @type {any} */ row) => ({ at: row.at, value: row.equity }));
  }

  /** Backwards from what there is now, as deposits are in no list. @param {any[]} rows */
  #ofTrades(rows) {
    const held = holdings(this.store);
    if (!held || !rows.length) return [];
    const now = (parse(held.free, USDC_DECIMALS) ?? 0n) + (parse(held.locked, USDC_DECIMALS) ?? 0n);
    const gained = rows.map((row) => parse(row.pnl, USDC_DECIMALS) ?? 0n);
    let worth = now - gained.reduce((a, b) => a + b, 0n);
    const points = [{ at: rows[0].createdAt, value: show(worth, USDC_DECIMALS) }];
    rows.forEach((row, at) => {
      worth += gained[at];
      points.push({ at: row.closedAt, value: show(worth, USDC_DECIMALS) });
    });
    return points;
  }

  /** @param {{at: string, value: string}[]} points */
  #curve(points) {
    if (hasCharts()) {
      this.curve ??= new CurveChart(byId("equity-chart"));
      this.curve.zone = this.store.choice.zone;
      this.curve.setData(points);
    }
    const fall = drawdown(points.map(({ value }) => parse(value, USDC_DECIMALS) ?? 0n));
    const said = points.length < 2
      ? "The curve begins with the first closed trade."
      : `From ${brief(points[0].value)} to ${brief(points[points.length - 1].value)} USDC; deepest fall ${brief(show(fall, USDC_DECIMALS))} USDC.`;
    write(byId("equity-sentence"), said);
  }

  /** @param {any[]} rows */
  #assets(rows) {
    /** @type {Map<string, {trades: number, won: number, lost: number, liquidated: number, pnl: bigint}>} */
    const byAsset = new Map();
    for (const row of rows) {
      const sum = byAsset.get(row.asset) ?? { trades: 0, won: 0, lost: 0, liquidated: 0, pnl: 0n };
      const pnl = parse(row.pnl, USDC_DECIMALS) ?? 0n;
      sum.trades += 1;
      if (pnl > 0n) sum.won += 1;
      else sum.lost += 1;
      if (row.liquidated) sum.liquidated += 1;
      sum.pnl += pnl;
      byAsset.set(row.asset, sum);
    }
    byId("asset-rows").replaceChildren(
      ...[...byAsset].map(([asset, { trades, won, lost, liquidated, pnl }]) => {
        const text = show(pnl, USDC_DECIMALS);
        return make(
          "tr", {},
          ...[asset, trades, won, lost, liquidated].map((cell) => make("td", {}, String(cell))),
          make("td", { "data-tone": tone(text) }, text),
        );
      }),
    );
  }

  async #statement() {
    const answered = await this.api.get("/account/statement?limit=100", false);
    if (!answered.ok) return;
    byId("statement-rows").replaceChildren(
      ...answered.body.data.map((/** @type {any} */ row) => {
        const cells = [row.seq, moment(row.at, this.store.choice.zone, true), row.reason.replaceAll("_", " "), row.amount, row.balance, row.asset ?? ""];
        return make("tr", {}, ...cells.map((cell, at) => make("td", { "data-tone": at === 3 ? tone(row.amount) : undefined }, String(cell))));
      }),
    );
  }
}

/** The deepest fall from a height before it. @param {bigint[]} values */
export function drawdown(values) {
  let height = values[0] ?? 0n;
  let deepest = 0n;
  for (const value of values) {
    if (value > height) height = value;
    if (height - value > deepest) deepest = height - value;
  }
  return deepest;
}
