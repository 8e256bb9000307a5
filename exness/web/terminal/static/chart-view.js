// What stands on the chart: the candles of the chosen asset, what one did there, and the levels of what one holds.

import { CandleChart, hasCharts } from "./chart.js";
import { INTERVALS, INTERVAL_S, candleChannel } from "./frames.js";
import { USDC_DECIMALS, brief, distance, parse, placesOf, pnl, price as shown, rough, show } from "./money.js";
import { SAFE, closingFigures, isSafe, markOf, rowFigures, termsIn } from "./figures.js";
import { byId, make, moment, write } from "./dom.js";
import { Levels } from "./levels.js";
import { exitLevels, orderLevels } from "./waiting.js";

const CANDLES = 500;
const LEVELS_OF_TRADES = 8;
const MARKERS = 200;
const SENTENCE_MS = 10_000;

export class ChartView {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./stream.js").Stream} stream
   * @param {import("./ticket.js").Ticket} ticket
   * @param {import("./trades.js").Trades} trades
   * @param {import("./notices.js").Notices} notices
   */
  constructor(store, api, stream, ticket, trades, notices) {
    this.store = store;
    this.api = api;
    this.stream = stream;
    this.ticket = ticket;
    this.trades = trades;
    /** @type {import("./waiting.js").Held} */
    this.held = { store, api, say: (text) => notices.say(text), pnlAt: (at) => this.pnlAt(at) };
    this.channel = "";
    this.anew = true;
    this.loading = 0;
    /** What is to be seen once the candles are there. */
    this.moment = "";
    this.spoken = 0;
    this.sentenceKey = "";
    /** What the lab adds. @type {() => import("./levels.js").Level[]} */
    this.more = () => [];
    byId("intervals").append(
      ...INTERVALS.map((interval) => make("button", { type: "button", "data-interval": interval, click: () => store.choose({ interval }) }, interval)),
    );
    if (!hasCharts()) {
      byId("chart").append(make("p", { class: "no-chart" }, "no chart: the package litecharts is not installed"));
      return;
    }
    this.chart = new CandleChart(byId("chart"));
    this.levels = new Levels(byId("levels"), this.chart);
    this.chart.onMoved = () => this.levels?.soon();
    this.chart.onHover = (bar) => this.#hover(bar);
    this.ticket.onChanged = () => this.#levels();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.chart?.paintTheme());
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    const { asset, interval } = this.store.choice;
    const chosen = ["choice.asset", "choice.interval", "choice.zone"].some((key) => keys.has(key));
    if (keys.has("choice.theme")) this.chart?.paintTheme();
    if (chosen || keys.has("assets")) {
      write(byId("chart-asset"), asset);
      for (const button of byId("intervals").children) button.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (button).dataset.interval === interval));
    }
    if (chosen || keys.has("candles")) void this.load(!chosen);
    if (keys.has(candleChannel(interval, asset))) {
      const candle = this.store.candles.get(candleChannel(interval, asset));
      if (candle && !this.loading) this.chart?.update(candle);
      if (candle) this.#hover(null);
    }
    if (keys.has("trades") || keys.has("ended") || keys.has("choice.asset") || chosen) this.#markers();
    const held = this.more().length > 0 && keys.has(`market.${asset}`); // the lab's handle is the price itself
    if (held || ["trades", "trailing", "orders", "calm", "choice.asset", "session", "selected", "lab"].some((key) => keys.has(key))) this.#levels();
    this.#sentence();
  }

  /** The candles around a moment, of an interval that reaches back to it. @param {string} asset @param {string} at */
  show(asset, at) {
    const backS = (this.store.timeAt(performance.now()) - Date.parse(at)) / 1000;
    const wider = INTERVALS.slice(INTERVALS.indexOf(this.store.choice.interval));
    this.moment = at;
    this.store.choose({ asset, interval: wider.find((each) => backS < CANDLES * INTERVAL_S[each]) ?? "1d" });
  }

  /** The candles of what is chosen, anew. @param {boolean} keep whether what is seen stays where it is */
  async load(keep) {
    const { asset, interval, zone } = this.store.choice;
    if (!this.store.assets.has(asset)) return;
    const channel = candleChannel(interval, asset);
    if (channel !== this.channel) {
      if (this.channel) this.stream.ignore(this.channel);
      this.stream.listen(channel);
    }
    this.anew ||= !keep || channel !== this.channel; // of loads that overlap the last one counts, for the first one too
    this.channel = channel;
    const turn = ++this.loading;
    const answered = await this.api.get(`/klines?asset=${asset}&interval=${interval}&limit=${CANDLES}`, false);
    if (turn !== this.loading) return;
    this.loading = 0;
    if (!answered.ok || !this.chart) return;
    const { anew } = this;
    this.anew = false;
    this.chart.zone = zone;
    this.chart.setData(answered.body, this.store.assets.get(asset)?.decimals ?? 2, !anew);
    const newest = this.store.candles.get(channel);
    if (newest) this.chart.update(newest);
    if (this.moment) this.chart.centre(this.moment);
    this.moment = "";
    this.#markers();
    this.#levels();
  }

  #markers() {
    const { asset, interval } = this.store.choice;
    /** @type {{at: string, kind: any, text: string}[]} */
    const marked = [];
    for (const row of this.store.trades.values()) {
      if (row.asset === asset) marked.push({ at: row.createdAt, kind: row.type, text: "" });
    }
    for (const ended of this.store.ended.values()) {
      if (ended.asset !== asset) continue;
      if (ended.createdAt && ended.type) marked.push({ at: ended.createdAt, kind: ended.type, text: "" });
      marked.push({ at: ended.closedAt, kind: ended.liquidated ? "liquidated" : "closed", text: ended.liquidated ? "✕ liquidated" : brief(ended.pnl) });
    }
    marked.sort((a, b) => (a.at < b.at ? -1 : 1));
    this.chart?.setMarkers(marked.slice(-MARKERS), INTERVAL_S[interval]);
  }

  #levels() {
    if (!this.levels) return;
    this.levels.set([...this.#ofTrades(), ...this.#ofTicket(), ...this.more()]);
  }

  /** @returns {import("./levels.js").Level[]} */
  #ofTrades() {
    const { asset } = this.store.choice;
    const decimals = this.store.market.get(asset)?.decimal;
    if (decimals === undefined) return [];
    const rows = [...this.store.trades.values()].filter((row) => row.asset === asset);
    const chosen = rows.find((row) => row.orderId === this.store.selected);
    const shownRows = rows.slice(-LEVELS_OF_TRADES);
    if (chosen && !shownRows.includes(chosen)) shownRows[0] = chosen;
    const waiting = [...exitLevels(this.held, shownRows, decimals), ...orderLevels(this.held, asset, decimals)];
    const held = shownRows.flatMap((row) => {
      const figures = rowFigures(this.store, row);
      const entry = parse(row.entryPrice, decimals);
      const liquidation = parse(row.liquidationPrice, decimals);
      if (entry === null || liquidation === null) return [];
      const ifClosed = closingFigures(this.store, row) ?? figures; // its button closes
      const gained = ifClosed ? ` ${brief(ifClosed.pnl)} ${brief(ifClosed.percent, 1)} %` : "";
      /** @type {import("./levels.js").Level[]} */
      const levels = [{
        key: `entry.${row.orderId}`, kind: "entry", price: entry, decimals, text: `${row.type} ${row.leverage}x${gained}`,
        action: { label: "close", run: () => void this.trades.close(row.orderId) },
      }];
      if (!isSafe(row.liquidationPrice)) {
        const away = figures?.away ? `, ${brief(figures.away)} % away` : "";
        levels.push({ key: `liquidation.${row.orderId}`, kind: "liquidation", price: liquidation, decimals, text: `liquidation ${shown(row.liquidationPrice)}${away}` });
      }
      return levels;
    });
    return [...held, ...waiting];
  }

  /** What the ticket would open, while nothing is held there: with trades on the chart it would hide them. @returns {import("./levels.js").Level[]} */
  #ofTicket() {
    const { asset } = this.store.choice;
    const terms = !this.ticket.form.hidden && this.ticket.touched ? this.ticket.terms() : null;
    if (!terms || terms.asset !== asset) return [];
    const { entry, liquidation, decimals } = terms;
    const side = terms.long ? "long" : "short";
    /** @type {import("./levels.js").Level[]} */
    const levels = [{ key: "ghost", kind: "ghost", price: entry, decimals, text: `${side} here?` }];
    if (liquidation) {
      levels.push({ key: "ghost.liquidation", kind: "ghost-liquidation", price: liquidation, decimals, text: `would be liquidated at ${shown(show(liquidation, decimals))}` });
    }
    return levels;
  }

  /** @param {any} bar the one under the cursor; null: the newest */
  #hover(bar) {
    const { asset, interval } = this.store.choice;
    const decimals = bar ? placesOf(bar.close, this.store.assets.get(asset)?.decimals ?? 2) : 0;
    const newest = this.store.candles.get(candleChannel(interval, asset));
    const text = bar
      ? ["open", "high", "low", "close"].map((name) => `${name[0].toUpperCase()} ${rough(Number(bar[name]).toFixed(decimals))}`).join("  ")
      : newest
        ? `O ${rough(newest.open)}  H ${rough(newest.high)}  L ${rough(newest.low)}  C ${rough(newest.close)}`
        : "";
    write(byId("ohlc"), text);
  }

  /** The chart in a sentence, for who doesn't see it; at most every ten seconds. */
  #sentence() {
    const { asset, zone } = this.store.choice;
    const now = performance.now();
    const key = `${asset} ${this.store.trades.size} ${this.store.selected}`;
    if (key === this.sentenceKey && now - this.spoken < SENTENCE_MS) return;
    const price = this.store.market.get(asset);
    if (!price?.mark) return;
    this.sentenceKey = key;
    this.spoken = now;
    const rows = [...this.store.trades.values()].filter((row) => row.asset === asset);
    const nearest = this.nearest();
    const held = rows.length === 0 ? "nothing open" : rows.length === 1 ? `one ${rows[0].type} of ${rows[0].leverage}x` : `${rows.length} trades open`;
    const risk = nearest ? `, ${show(distance(nearest.mark, nearest.liquidation), 2)} % from liquidation` : rows.length ? `, ${SAFE}` : "";
    write(byId("chart-sentence"), `${asset} ${shown(price.mark)} at ${moment(price.at ?? "", zone)}, ${held}${risk}.`);
  }

  /** The trade in the chosen asset that is liquidated first; the selected one, if it can be. */
  nearest() {
    const { asset } = this.store.choice;
    const mark = markOf(this.store, asset);
    const decimals = this.store.market.get(asset)?.decimal ?? 0;
    /** @type {{row: import("./frames.js").TradeRow, liquidation: bigint, mark: bigint} | null} */
    let found = null;
    if (mark === null) return null;
    for (const row of this.store.trades.values()) {
      const liquidation = parse(row.liquidationPrice, decimals);
      if (row.asset !== asset || !liquidation) continue;
      if (row.orderId === this.store.selected) return { row, liquidation, mark };
      if (!found || distance(mark, liquidation) < distance(mark, found.liquidation)) found = { row, liquidation, mark };
    }
    return found;
  }

  /** PnL of all trades in the asset at a price, as decimal text. @param {bigint} at */
  pnlAt(at) {
    let sum = 0n;
    for (const row of this.store.trades.values()) {
      const known = row.asset === this.store.choice.asset ? termsIn(this.store, row) : null;
      if (known) sum += pnl(known, at);
    }
    return show(sum, USDC_DECIMALS);
  }
}
