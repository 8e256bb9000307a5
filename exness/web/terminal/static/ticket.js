// The order ticket: ready at first sight, says before the click what will be, and in the server's words why not.

import { USDC_DECIMALS, brief, distance, middle, parse, price as shown, show } from "./money.js";
import { Figures, clearErrors, dueAt, hundredthsOf, plain, refuse, trailingOf, value } from "./form.js";
import { byId, copy, make, mark, reveal, write } from "./dom.js";
import { SAFE } from "./figures.js";
import { Intent } from "./api.js";

const QUOTE_MS = 250;
const SHARES = [10, 25, 50, 100];
const HOUR_MS = 60_000;
const HOUR_CANDLES = 10;
/** Fields that hold prices of one asset. */
const PRICES = ["at", "take-profit", "stop-loss", "expected", "ticket-activation"];
/** The field at which a refusal stands. @type {Record<string, string>} */
const FIELD_OF = {
  insufficient_margin: "margin", position_limit: "margin", amount_too_small: "margin", would_liquidate: "leverage", slippage_exceeded: "slippage",
  would_take: "limitPrice", would_rest: "limitPrice", take_profit_on_fill: "takeProfit", stop_loss_on_fill: "stopLoss",
};

export class Ticket {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   */
  constructor(store, api) {
    this.store = store;
    this.api = api;
    this.form = /** @type {HTMLFormElement} */ (byId("ticket"));
    this.margin = /** @type {HTMLInputElement} */ (byId("margin"));
    this.leverage = /** @type {HTMLInputElement} */ (byId("leverage"));
    this.slider = /** @type {HTMLInputElement} */ (byId("leverage-slider"));
    this.kind = /** @type {HTMLSelectElement} */ (byId("kind"));
    reveal(byId("kind-field"), api.has("POST:/order/create"));
    for (const id of ["exit-fields", "trailing-fields"]) reveal(byId(id), api.has("POST:/trade/exits"));
    this.submit = /** @type {HTMLButtonElement} */ (byId("submit"));
    this.busy = false;
    this.touched = false;
    this.asset = "";
    this.intent = new Intent();
    /** What the server says of this order, where it has quotes. @type {any} */
    this.quote = null;
    this.quoteTimer = 0;
    this.quotedAt = 0;
    /** How far the price went within the last hour, scaled, by asset. @type {Map<string, {range: bigint, at: number}>} */
    this.hours = new Map();
    this.lines = new Figures(byId("preview"));
    /** Called when what the ticket would open has changed. @type {() => void} */
    this.onChanged = () => {};
    this.form.addEventListener("input", (event) => this.#changed(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.open();
    });
    byId("shares").append(...SHARES.map((share) => make("button", { type: "button", click: () => this.#share(share) }, `${share} %`)));
    byId("ticket-curl").addEventListener("click", () => void this.#copy("curl"));
    byId("ticket-python").addEventListener("click", () => void this.#copy("Python"));
  }

  get side() {
    return /** @type {"long" | "short"} */ (new FormData(this.form).get("side"));
  }

  /** @param {"long" | "short"} side */
  set side(side) {
    const radio = /** @type {HTMLInputElement} */ (this.form.querySelector(`input[value="${side}"]`));
    radio.checked = true;
    this.#changed();
  }

  /** Put the cursor where it is said how much. */
  select() {
    this.margin.select();
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (keys.has("account") && !this.touched) this.#fit();
    if (keys.has("choice.asset") || keys.has("assets")) {
      const { asset } = this.store.choice;
      const most = this.store.assets.get(asset)?.maxLeverage ?? 100;
      this.slider.max = String(Math.floor(most));
      this.quote = null;
      clearErrors(this.form);
      if (asset !== this.asset) this.#turn(asset);
      void this.#lookBack();
    }
    if (keys.has("session")) write(byId("ticket-said"), "");
    if (this.form.hidden) return;
    const priced = keys.has("calm");
    if (priced || ["account", "choice.asset", "session", "ticket", "connection", "assets"].some((key) => keys.has(key))) {
      this.#quoteSoon(priced ? 1000 : QUOTE_MS);
      this.#preview();
      this.#button();
      if (!priced) this.onChanged(); // a price moves all levels
    }
  }

  /** 100 USDC, or what there is. */
  #fit() {
    const free = parse(this.store.account?.balance, USDC_DECIMALS);
    if (free === null || free >= 100n * 10n ** 6n || this.margin.value !== "100") return;
    this.margin.value = plain(show(free, USDC_DECIMALS));
  }

  /** @param {Event} [event] */
  #changed(event) {
    if (event?.target === this.slider) this.leverage.value = this.slider.value;
    if (event?.target === this.leverage) this.slider.value = this.leverage.value;
    if (event?.target === this.kind) this.#priceField();
    if (event) this.touched = true;
    this.intent.renew();
    this.quote = null;
    clearErrors(this.form);
    this.store.touch("ticket");
  }

  /** Another asset is another order, and prices of the one before mean nothing here. @param {string} asset */
  #turn(asset) {
    if (this.asset) {
      const distance = value("ticket-trailing-unit") === "distance" ? ["ticket-trailing"] : [];
      for (const id of [...PRICES, ...distance]) /** @type {HTMLInputElement} */ (byId(id)).value = "";
    }
    this.asset = asset;
    this.intent.renew();
    this.#priceField();
  }

  /** A price to wait for, beginning with that of now. */
  #priceField() {
    reveal(byId("at-field"), this.kind.value !== "market");
    const field = /** @type {HTMLInputElement} */ (byId("at"));
    if (!field.value && this.kind.value !== "market") field.value = plain(this.store.market.get(this.store.choice.asset)?.mark ?? "");
  }

  /** Where the order goes. */
  get path() {
    return this.kind.value === "market" ? "/trade/create" : "/order/create";
  }

  /** @param {number} share in percent */
  #share(share) {
    const free = parse(this.store.account?.balance, USDC_DECIMALS) ?? 0n;
    const most = share === 100 ? parse(this.quote?.maxMargin, USDC_DECIMALS) : null;
    this.margin.value = plain(show(most ?? (free * BigInt(share)) / 100n, USDC_DECIMALS));
    this.touched = true;
    this.#changed();
  }

  /** The body of the request; what is not a number is sent as it is, for the server to refuse. */
  body() {
    const { asset } = this.store.choice;
    const slippage = this.kind.value === "market" ? value("slippage") : "";
    const [takeProfit, stopLoss, trailingStop] = [value("take-profit"), value("stop-loss"), trailingOf("ticket")];
    const expected = value("expected") || (this.store.market.get(asset)?.mark ?? "");
    return {
      asset,
      type: this.side,
      margin: value("margin"),
      leverage: value("leverage"),
      ...(this.kind.value === "market" ? {} : { [`${this.kind.value}Price`]: value("at") }),
      ...(takeProfit ? { takeProfit } : {}),
      ...(stopLoss ? { stopLoss } : {}),
      ...(trailingStop ? { trailingStop } : {}),
      ...(slippage ? { slippage: hundredthsOf(slippage), ...(expected ? { expectedPrice: expected } : {}) } : {}),
    };
  }

  /** What would be opened, scaled; null while there is no price or no number. */
  terms() {
    const { asset } = this.store.choice;
    const at = this.store.market.get(asset);
    const margin = parse(this.margin.value, USDC_DECIMALS);
    const leverage = parse(this.leverage.value, 2);
    if (!at?.mark || !margin || !leverage || margin <= 0n || leverage < 100n) return null;
    const long = this.side === "long";
    const touch = this.store.execution === "touch";
    const waits = this.kind.value === "market" ? null : parse(/** @type {HTMLInputElement} */ (byId("at")).value, at.decimal);
    const entry = waits ?? parse((touch ? (long ? at.ask : at.bid) : at.mark) ?? at.mark, at.decimal);
    const mark_ = parse(at.mark, at.decimal);
    if (!entry || !mark_) return null;
    // Once it is quoted: rates and what is held count, and the server alone knows all of it.
    const liquidation = parse(this.quote?.liquidationPrice, at.decimal);
    return { asset, long, margin, leverage, entry, mark: mark_, decimals: at.decimal, liquidation };
  }

  #preview() {
    const terms = this.terms();
    const price = this.store.market.get(this.store.choice.asset);
    const free = parse(this.store.account?.balance, USDC_DECIMALS);
    /** @type {[string, string, boolean?][]} */
    const lines = [];
    if (terms && price) {
      const { asset, entry, margin, leverage, decimals, liquidation, mark: now } = terms;
      const notional = (margin * leverage) / 100n;
      lines.push(["position", `${brief(show(notional, USDC_DECIMALS))} USDC`]);
      lines.push(["entry about", shown(show(entry, decimals))]);
      if (liquidation === null) lines.push(["liquidation", "–", true], ["away", "–"]);
      else if (liquidation === 0n) lines.push(["liquidation", SAFE, true]);
      else {
        lines.push(["liquidation", shown(show(liquidation, decimals)), true]);
        lines.push(["away", `${show(distance(now, liquidation), 2)} %${this.#moves(asset, now, liquidation)}`]);
      }
      const [bid, ask] = [parse(price.bid, decimals) ?? now, parse(price.ask, decimals) ?? now];
      const half = ((ask - bid) * notional) / (2n * (middle(bid, ask) || 1n));
      lines.push(["half the spread", `${brief(show(half, USDC_DECIMALS))} USDC`]);
      if (this.quote) {
        lines.push(["fee", `${brief(this.quote.commission)} USDC`]);
        if (this.quote.breakEvenPrice) lines.push(["break-even", shown(this.quote.breakEvenPrice)]);
      }
      if (free !== null) {
        const required = parse(this.quote?.required, USDC_DECIMALS) ?? margin;
        const after = free - required;
        lines.push(["free", `${brief(show(free, USDC_DECIMALS))} → ${after < 0n ? "not enough" : brief(show(after, USDC_DECIMALS))}`]);
      }
    } else lines.push(["preview", price?.mark ? "enter margin and leverage" : "no price yet"]);
    this.lines.show(lines);
  }

  /** In ranges of the last hour. @param {string} asset @param {bigint} from @param {bigint} to */
  #moves(asset, from, to) {
    const range = this.hours.get(asset)?.range ?? 0n;
    if (range === 0n) return "";
    const away = to > from ? to - from : from - to;
    return `, ${show((away * 10n) / range, 1)} × the last hour's range`;
  }

  async #lookBack() {
    const { asset } = this.store.choice;
    const known = this.hours.get(asset);
    if (!this.store.assets.has(asset) || (known && performance.now() - known.at < HOUR_MS)) return;
    this.hours.set(asset, { range: 0n, at: performance.now() });
    const answered = await this.api.get(`/klines?asset=${asset}&interval=1m&limit=60`, false);
    const decimals = this.store.assets.get(asset)?.decimals ?? 0;
    if (!answered.ok || answered.body.length < HOUR_CANDLES) return;
    /** @type {import("./frames.js").Candle[]} */
    const candles = answered.body;
    const most = candles.map((each) => parse(each.high, decimals) ?? 0n).reduce((a, b) => (a > b ? a : b));
    const least = candles.map((each) => parse(each.low, decimals) ?? 0n).reduce((a, b) => (a < b ? a : b));
    this.hours.set(asset, { range: most - least, at: performance.now() });
  }

  #button() {
    const { asset } = this.store.choice;
    const margin = parse(this.margin.value, USDC_DECIMALS);
    const amount = margin === null ? this.margin.value : brief(show(margin, USDC_DECIMALS));
    const kind = this.kind.value;
    write(this.submit, `${kind === "market" ? `Open ${this.side}` : `Place ${this.side} ${kind}`}, ${amount} USDC of ${asset}`);
    mark(this.submit, "side", this.side);
    const here = ["live", "quiet"].includes(this.store.connection.state);
    const off = this.busy || !here || Boolean(this.quote?.refusal);
    if (this.submit.disabled !== off) this.submit.disabled = off;
  }

  /** @param {number} wait */
  #quoteSoon(wait) {
    if (!this.api.has("POST:/trade/quote") || this.quoteTimer || !this.store.email) return;
    const due = Math.max(0, this.quotedAt + wait - performance.now());
    this.quoteTimer = setTimeout(() => void this.#ask(), due);
  }

  async #ask() {
    this.quotedAt = performance.now();
    const { id } = this.intent;
    const answered = await this.api.call("POST", "/trade/quote", this.body(), false);
    this.quoteTimer = 0;
    if (id !== this.intent.id) {
      this.#quoteSoon(QUOTE_MS);
      return;
    }
    clearErrors(this.form);
    this.quote = answered.ok ? answered.body : null;
    if (answered.ok && answered.body.refusal) this.#refuse(answered.body.refusal);
    else if (answered.status === 400) this.#refuse(answered.body);
    this.#preview();
    this.#button();
    this.onChanged();
  }

  /** @param {any} refusal */
  #refuse(refusal) {
    refuse(this.form, refusal, { ...FIELD_OF, would_trigger: dueAt(refusal.details, "") || "stopPrice" });
  }

  async open() {
    if (this.busy || this.submit.disabled) return;
    this.busy = true;
    this.#button();
    clearErrors(this.form);
    write(byId("ticket-said"), "sent");
    const answered = await this.api.post(this.path, { ...this.body(), clientOrderId: this.intent.id });
    this.busy = false;
    this.intent.settle(answered);
    if (answered.ok) {
      const { type, asset, entryPrice } = answered.body;
      write(byId("ticket-said"), entryPrice ? `Opened ${type} ${asset} at ${shown(entryPrice)}.` : `Placed ${type} ${asset}: it waits.`);
      document.body.removeAttribute("data-sheet");
    } else {
      write(byId("ticket-said"), "");
      this.#refuse(answered.body);
    }
    this.store.touch("ticket");
  }

  /** @param {"curl" | "Python"} form */
  async #copy(form) {
    const request = { method: "POST", path: this.path, body: this.body() };
    await copy(form === "curl" ? this.api.asCurl(request) : this.api.asPython(request));
    write(byId("ticket-said"), `Copied as ${form}.`);
  }
}
