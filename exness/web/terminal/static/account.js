// The account: what it is worth now and was, how far it fell, what came of each asset, and what moved its balance.

import { CurveChart, hasCharts } from "./chart.js";
import { USDC_DECIMALS, brief, parse, show } from "./money.js";
import { byId, make, moment, tone, write } from "./dom.js";
import { holdings } from "./figures.js";
import { isShown } from "./tabs.js";

/** Of the curve's points; the first that reaches back to the account's beginning is taken. */
const SPACINGS = ["1m", "15m", "4h", "1d"];
const POINTS = 500;
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
    this.turn = 0;
    /** @type {CurveChart | null} */
    this.curve = null;
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (["ended", "session", "choice.zone", "account"].some((key) => keys.has(key))) this.old = true;
    if (keys.has("choice.theme")) this.curve?.paintTheme();
    if (keys.has("session")) this.#forget();
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

  /** Of somebody else nothing stays, also not what is asked for by now. */
  #forget() {
    this.turn += 1;
    for (const id of ["asset-rows", "statement-rows"]) byId(id).replaceChildren();
    write(byId("equity-sentence"), this.store.email ? "" : "Sign in to see an account.");
    this.curve?.setData([]);
  }

  async load() {
    const turn = ++this.turn;
    const [points, sums, moved] = await Promise.all([this.#served(), this.#byAsset(), this.api.get("/account/statement?limit=100", false)]);
    if (turn !== this.turn) return;
    if (points) this.#curve(points);
    byId("asset-rows").replaceChildren(...sums);
    if (moved.ok) this.#statement(moved.body.data);
  }

  /** The server's series from the account's first minute on, and what there is now. */
  async #served() {
    /** @type {any[] | null} */
    let rows = null;
    for (const spacing of SPACINGS) {
      const answered = await this.api.get(`/account/equity?interval=${spacing}&limit=${POINTS}`, false);
      if (!answered.ok) break;
      rows = /** @type {any[]} */ (answered.body.data);
      if (rows.length < POINTS) break;
    }
    if (!rows) return null;
    const points = rows.map(({ at, equity }) => ({ at, value: equity }));
    const { equity } = holdings(this.store) ?? {};
    const now = this.store.timeAt(performance.now());
    if (equity && now) points.push({ at: new Date(now).toISOString(), value: equity });
    return points;
  }

  /** What came of each asset, and of all: the server's own sums. */
  async #byAsset() {
    const assets = ["", ...this.store.assets.keys()];
    const answers = await Promise.all(assets.map((asset) => this.api.get(`/trade/history?status=closed&limit=1${asset && `&asset=${asset}`}`, false)));
    const told = answers.map(({ ok, body }, at) => ({ asset: assets[at] || "all", sums: ok ? body.analytics : { totalTrades: 0 } }));
    const [all, ...each] = told.filter(({ sums }) => sums.totalTrades);
    return [...each, ...(all ? [all] : [])].map(({ asset, sums }) => make(
      "tr", {},
      ...[asset, sums.totalTrades, sums.profitableTrades, sums.unprofitableTrades, sums.liquidatedTrades].map((cell) => make("td", {}, String(cell))),
      make("td", { "data-tone": tone(sums.totalPnl) }, sums.totalPnl),
    ));
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
      ? "The curve begins with the first minute."
      : `From ${brief(points[0].value)} to ${brief(points[points.length - 1].value)} USDC; deepest fall ${brief(show(fall, USDC_DECIMALS))} USDC.`;
    write(byId("equity-sentence"), said);
  }

  /** @param {any[]} rows */
  #statement(rows) {
    byId("statement-rows").replaceChildren(
      ...rows.map((row) => {
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
