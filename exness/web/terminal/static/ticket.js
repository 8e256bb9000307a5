// The order ticket: ready at first sight, says before the click what will be, and in the server's words why not.

import { USDC_DECIMALS, brief, distance, liquidationPrice, middle, parse, price as shown, show } from "./money.js";
import { byId, copy, make, mark, reveal, write } from "./dom.js";
import { SAFE, isSafe } from "./figures.js";
import { newId } from "./api.js";

const QUOTE_MS = 250;
const SHARES = [10, 25, 50, 100];
const HOUR_MS = 60_000;
const HOUR_CANDLES = 10;
/** The field at which a refusal stands. @type {Record<string, string>} */
const FIELD_OF = {
  insufficient_margin: "margin", position_limit: "margin", amount_too_small: "margin", would_liquidate: "leverage", slippage_exceeded: "slippage",
  would_trigger: "stopPrice", would_take: "limitPrice", would_rest: "limitPrice", take_profit_on_fill: "takeProfit", stop_loss_on_fill: "stopLoss",
};

export class Ticket {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./main.js").Facts} facts
   */
  constructor(store, api, facts) {
    this.store = store;
    this.api = api;
    this.facts = facts;
    this.form = /** @type {HTMLFormElement} */ (byId("ticket"));
    this.margin = /** @type {HTMLInputElement} */ (byId("margin"));
    this.leverage = /** @type {HTMLInputElement} */ (byId("leverage"));
    this.slider = /** @type {HTMLInputElement} */ (byId("leverage-slider"));
    this.kind = /** @type {HTMLSelectElement} */ (byId("kind"));
    reveal(byId("kind-field"), api.has("POST:/order/create"));
    reveal(byId("exit-fields"), api.has("POST:/trade/exits"));
    this.submit = /** @type {HTMLButtonElement} */ (byId("submit"));
    this.busy = false;
    this.touched = false;
    this.intent = newId();
    /** What the server says of this order, where it has quotes. @type {any} */
    this.quote = null;
    this.quoteTimer = 0;
    this.quotedAt = 0;
    /** How far the price went within the last hour, scaled, by asset. @type {Map<string, {range: bigint, at: number}>} */
    this.hours = new Map();
    /** @type {Map<string, HTMLElement>} */
    this.lines = new Map();
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

  /** @param {Set<string>} keys */
  paint(keys) {
    if (keys.has("session")) reveal(this.form, this.store.email !== "");
    if (keys.has("account") && !this.touched) this.#fit();
    if (keys.has("choice.asset") || keys.has("assets")) {
      const most = this.store.assets.get(this.store.choice.asset)?.maxLeverage ?? 100;
      this.slider.max = String(Math.floor(most));
      this.quote = null;
      this.#clearErrors();
      void this.#lookBack();
    }
    if (this.form.hidden) return;
    const priced = keys.has(`market.${this.store.choice.asset}`);
    if (priced || ["account", "choice.asset", "session", "ticket", "connection", "assets"].some((key) => keys.has(key))) {
      this.#quoteSoon(priced ? 1000 : QUOTE_MS);
      this.#preview();
      this.#button();
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
    this.intent = newId();
    this.quote = null;
    this.#clearErrors();
    this.store.touch("ticket");
  }

  /** A price to wait for, beginning with that of now. */
  #priceField() {
    reveal(byId("at-field"), this.kind.value !== "market");
    const field = /** @type {HTMLInputElement} */ (byId("at"));
    if (!field.value) field.value = plain(this.store.market.get(this.store.choice.asset)?.mark ?? "");
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
    const value = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id)).value.trim();
    const slippage = this.kind.value === "market" ? value("slippage") : "";
    const [takeProfit, stopLoss] = [value("take-profit"), value("stop-loss")];
    const expected = value("expected") || (this.store.market.get(asset)?.mark ?? "");
    return {
      asset,
      type: this.side,
      margin: value("margin"),
      leverage: value("leverage"),
      ...(this.kind.value === "market" ? {} : { [`${this.kind.value}Price`]: value("at") }),
      ...(takeProfit ? { takeProfit } : {}),
      ...(stopLoss ? { stopLoss } : {}),
      ...(slippage ? { slippage: Number(parse(slippage, 2) ?? -1n), ...(expected ? { expectedPrice: expected } : {}) } : {}),
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
    const touch = this.facts.execution === "touch";
    const waits = this.kind.value === "market" ? null : parse(/** @type {HTMLInputElement} */ (byId("at")).value, at.decimal);
    const entry = waits ?? parse((touch ? (long ? at.ask : at.bid) : at.mark) ?? at.mark, at.decimal);
    const mark_ = parse(at.mark, at.decimal);
    if (!entry || !mark_) return null;
    const quoted = this.quote?.liquidationPrice ? parse(this.quote.liquidationPrice, at.decimal) : null;
    return { asset, long, margin, leverage, entry, mark: mark_, decimals: at.decimal, liquidation: quoted ?? liquidationPrice(long, entry, leverage) };
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
      const text = show(liquidation, decimals);
      if (liquidation <= 0n || isSafe(text)) lines.push(["liquidation", SAFE, true]);
      else {
        lines.push(["liquidation", shown(text), true]);
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
    this.#lines(lines);
    this.onChanged();
  }

  /** @param {[string, string, boolean?][]} lines */
  #lines(lines) {
    const names = lines.map(([name]) => name);
    if (names.join() !== [...this.lines.keys()].join()) {
      this.lines = new Map(names.map((name) => [name, make("dd", {})]));
      byId("preview").replaceChildren(...names.flatMap((name) => [make("dt", {}, name), /** @type {HTMLElement} */ (this.lines.get(name))]));
    }
    for (const [name, text, strong] of lines) {
      const line = /** @type {HTMLElement} */ (this.lines.get(name));
      write(line, text);
      line.classList.toggle("strong", strong === true);
    }
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
    const intent = this.intent;
    const answered = await this.api.call("POST", "/trade/quote", this.body(), false);
    this.quoteTimer = 0;
    if (intent !== this.intent) {
      this.#quoteSoon(QUOTE_MS);
      return;
    }
    this.#clearErrors();
    this.quote = answered.ok ? answered.body : null;
    if (answered.ok && answered.body.refusal) this.#refused(answered.body.refusal);
    else if (answered.status === 400) this.#refused(answered.body);
    this.#preview();
    this.#button();
  }

  async open() {
    if (this.busy || this.submit.disabled) return;
    this.busy = true;
    this.#button();
    this.#clearErrors();
    write(byId("ticket-said"), "sent");
    const answered = await this.api.post(this.path, { ...this.body(), clientOrderId: this.intent });
    this.busy = false;
    const known = answered.ok || (answered.status >= 400 && answered.status < 500) || answered.status === 503;
    if (known) this.intent = newId(); // else the same order is asked for again, and done once
    if (answered.ok) {
      const { type, asset, entryPrice } = answered.body;
      write(byId("ticket-said"), entryPrice ? `Opened ${type} ${asset} at ${shown(entryPrice)}.` : `Placed ${type} ${asset}: it waits.`);
      document.body.removeAttribute("data-sheet");
    } else {
      write(byId("ticket-said"), "");
      this.#refused(answered.body);
    }
    this.store.touch("ticket");
  }

  /** The server's sentence, at the field that it is about. @param {{code: string, message: string, details?: any}} refusal */
  #refused({ code, message, details }) {
    const told = Array.isArray(details) && details.length ? details : [{ field: FIELD_OF[code] ?? details?.figure ?? "", message }];
    for (const { field, message: why } of told) {
      const places = [...this.form.querySelectorAll(".error")];
      const place = /** @type {HTMLElement} */ (places.find((each) => /** @type {HTMLElement} */ (each).dataset.field?.split(" ").includes(field)) ?? byId("ticket-error"));
      write(place, place.textContent ? `${place.textContent} ${why}` : why);
      if (place.closest("details")) /** @type {HTMLDetailsElement} */ (byId("more")).open = true;
      this.form.querySelector(`[aria-describedby="${place.id}"]`)?.setAttribute("aria-invalid", "true");
    }
  }

  #clearErrors() {
    for (const place of this.form.querySelectorAll(".error")) write(place, "");
    for (const field of this.form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  }

  /** @param {"curl" | "Python"} form */
  async #copy(form) {
    const request = { method: "POST", path: this.path, body: this.body() };
    await copy(form === "curl" ? this.api.asCurl(request) : this.api.asPython(request));
    write(byId("ticket-said"), `Copied as ${form}.`);
  }
}

/** Without zeros that say nothing: for fields. @param {string} text */
function plain(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
