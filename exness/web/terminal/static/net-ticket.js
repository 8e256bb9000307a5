// The ticket of net positions: a quantity is bought or sold, and the position of the asset grows, shrinks, closes or turns round.
// What comes of it is said before the click; whether it may be done, the server says.

import { Figures, clearErrors, plain, refuse, value } from "./form.js";
import { byId, copy, mark, mount, reveal, write } from "./dom.js";
import { brief, parse, price as shown, show } from "./money.js";
import { SAFE, isSafe } from "./figures.js";
import { Intent } from "./api.js";

const QUOTE_MS = 250;
const PRICED_MS = 1000;
/** Finer than any quantity. */
const PLACES = 12;
/** @type {Record<string, string>} */
const FIELD_OF = {
  insufficient_margin: "quantity", position_limit: "quantity", amount_too_small: "quantity", reduce_only_rejected: "reduceOnly",
  would_trigger: "stopPrice", would_take: "limitPrice", would_rest: "limitPrice",
};

export class NetTicket {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   */
  constructor(store, api) {
    this.store = store;
    this.api = api;
    this.pane = byId("net-pane");
    mount(this.pane, "net-template");
    this.form = /** @type {HTMLFormElement} */ (byId("net-ticket"));
    this.leverageForm = /** @type {HTMLFormElement} */ (byId("net-leverage-form"));
    this.submit = /** @type {HTMLButtonElement} */ (byId("net-submit"));
    this.kind = /** @type {HTMLSelectElement} */ (byId("net-kind"));
    this.leverage = /** @type {HTMLInputElement} */ (byId("net-leverage"));
    this.preview = new Figures(byId("net-preview"));
    this.busy = false;
    this.asset = "";
    this.intent = new Intent();
    /** @type {any} */
    this.quote = null;
    this.timer = 0;
    this.quotedAt = 0;
    this.form.addEventListener("input", (event) => this.#changed(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.open();
    });
    this.leverageForm.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.setLeverage();
    });
    byId("net-curl").addEventListener("click", () => void this.#copy("curl"));
    byId("net-python").addEventListener("click", () => void this.#copy("Python"));
  }

  get buys() {
    return new FormData(this.form).get("net-side") === "buy";
  }

  /** Long buys, short sells. @param {"long" | "short"} side */
  set side(side) {
    /** @type {HTMLInputElement} */ (this.form.querySelector(`input[value="${side === "long" ? "buy" : "sell"}"]`)).checked = true;
    this.#changed();
  }

  select() {
    /** @type {HTMLInputElement} */ (byId("quantity")).select();
  }

  /** A price of another asset means nothing here. @param {string} asset */
  #turn(asset) {
    if (this.asset) /** @type {HTMLInputElement} */ (byId("net-at")).value = "";
    this.asset = asset;
    this.#priceField();
  }

  /** A price to wait for, beginning with that of now. */
  #priceField() {
    reveal(byId("net-at-field"), this.kind.value !== "market");
    const field = /** @type {HTMLInputElement} */ (byId("net-at"));
    if (!field.value && this.kind.value !== "market") field.value = plain(this.store.market.get(this.store.choice.asset)?.mark ?? "");
  }

  /** @param {Event} [event] */
  #changed(event) {
    if (event?.target === this.kind) this.#priceField();
    this.intent.renew();
    this.quote = null;
    clearErrors(this.form);
    this.store.touch("ticket");
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    const { asset } = this.store.choice;
    if (keys.has("choice.asset") || keys.has("session")) {
      this.quote = null;
      this.intent.renew(); // it is another order
      clearErrors(this.form);
    }
    if (keys.has("session")) write(byId("net-said"), "");
    if (asset !== this.asset) this.#turn(asset);
    if (["net", "book", "session", "choice.asset", "trades"].some((key) => keys.has(key)) && document.activeElement !== this.leverage) {
      const leverage = this.store.netIn(asset)?.leverage ?? this.store.netLeverages.get(asset);
      if (leverage !== undefined) this.leverage.value = String(leverage);
    }
    if (this.pane.hidden) return;
    const priced = keys.has("calm");
    if (!priced && !["account", "choice.asset", "session", "ticket", "book", "connection", "trades", "net"].some((key) => keys.has(key))) return;
    this.#quoteSoon(priced ? PRICED_MS : QUOTE_MS);
    this.#preview();
    this.#button();
  }

  body() {
    const kind = this.kind.value;
    return {
      asset: this.store.choice.asset,
      side: this.buys ? "buy" : "sell",
      quantity: value("quantity"),
      ...(kind === "market" ? {} : { [`${kind}Price`]: value("net-at") }),
      ...(/** @type {HTMLInputElement} */ (byId("reduce-only")).checked ? { reduceOnly: true } : {}),
    };
  }

  /** Signed quantities of 10^-PLACES: what is held, what is ordered, and what is then held; null: no number. */
  #position() {
    const row = this.store.netIn(this.store.choice.asset);
    const held = row ? (parse(row.quantity, PLACES) ?? 0n) * (row.type === "long" ? 1n : -1n) : 0n;
    const quantity = parse(value("quantity"), PLACES);
    if (quantity === null || quantity <= 0n) return null;
    const ordered = this.buys ? quantity : -quantity;
    const reduces = /** @type {HTMLInputElement} */ (byId("reduce-only")).checked;
    const after = held + ordered;
    return { held, ordered, after: reduces && held * after < 0n ? 0n : after };
  }

  /** What the order does to what is held. */
  #effect() {
    const position = this.#position();
    if (!position) return "";
    const { held, after, ordered } = position;
    if (held === 0n) return "opens";
    if (after === 0n) return "closes";
    if (held * ordered > 0n) return "adds";
    return held * after > 0n ? "reduces" : "turns round";
  }

  #preview() {
    const { asset } = this.store.choice;
    const position = this.#position();
    const mark_ = this.store.market.get(asset)?.mark;
    if (!position || !mark_) {
      this.preview.show([["preview", mark_ ? "enter a quantity" : "no price yet"]]);
      return;
    }
    const { held, after } = position;
    const { quote } = this;
    /** @type {[string, string, boolean?][]} */
    const lines = [["position", `${worded(held)} → ${worded(after)}`, true], ["this order", this.#effect()]];
    if (quote?.price) lines.push(["price about", shown(quote.price)], ["worth", `${brief(quote.notional)} USDC`]);
    if (quote?.price && held === 0n) {
      lines.push(["margin", `${brief(quote.margin)} USDC`]);
      lines.push(["liquidation", isSafe(quote.liquidationPrice) ? SAFE : shown(quote.liquidationPrice), true]);
    }
    if (quote?.commission) lines.push(["fee", `${brief(quote.commission)} USDC`]);
    if (quote?.maxQuantity) lines.push(["most that opens", `${plain(quote.maxQuantity)} ${asset}`]);
    this.preview.show(lines);
  }

  #button() {
    const { asset } = this.store.choice;
    const effect = this.#effect();
    write(this.submit, `${this.buys ? "Buy" : "Sell"} ${value("quantity") || "–"} ${asset}${effect ? `: ${effect}` : ""}`);
    mark(this.submit, "side", this.buys ? "long" : "short");
    const here = ["live", "quiet"].includes(this.store.connection.state);
    this.submit.disabled = this.busy || !here || Boolean(this.quote?.refusal);
  }

  /** @param {number} wait */
  #quoteSoon(wait) {
    if (this.timer || !this.store.email) return;
    this.timer = setTimeout(() => void this.#ask(), Math.max(0, this.quotedAt + wait - performance.now()));
  }

  async #ask() {
    this.quotedAt = performance.now();
    const { id } = this.intent;
    const answered = await this.api.call("POST", "/net/quote", this.body(), false);
    this.timer = 0;
    if (id !== this.intent.id) {
      this.#quoteSoon(QUOTE_MS);
      return;
    }
    clearErrors(this.form);
    this.quote = answered.ok ? answered.body : null;
    if (answered.ok && answered.body.refusal) refuse(this.form, answered.body.refusal, FIELD_OF);
    else if (answered.status === 400) refuse(this.form, answered.body, FIELD_OF);
    this.#preview();
    this.#button();
  }

  async open() {
    if (this.busy || this.submit.disabled) return;
    this.busy = true;
    this.#button();
    clearErrors(this.form);
    write(byId("net-said"), "sent");
    const answered = await this.api.post("/net/order", { ...this.body(), clientOrderId: this.intent.id });
    this.busy = false;
    this.intent.settle(answered);
    if (answered.ok) {
      const { status, price, pnl, trade } = answered.body;
      const now = trade ? `now ${trade.type} ${plain(trade.quantity)} ${trade.asset}` : "now flat";
      write(byId("net-said"), status === "filled" ? `Filled at ${shown(price)}, PnL ${pnl}: ${now}.` : "Placed: it waits.");
      document.body.removeAttribute("data-sheet");
    } else {
      write(byId("net-said"), "");
      refuse(this.form, answered.body, FIELD_OF);
    }
    this.store.touch("ticket");
  }

  /** Of the asset's positions, of the one that is held, too. */
  async setLeverage() {
    const { asset } = this.store.choice;
    clearErrors(this.leverageForm);
    const answered = await this.api.post("/net/leverage", { asset, leverage: this.leverage.value.trim() });
    if (answered.ok) {
      this.store.netLeverages.set(asset, answered.body.leverage);
      write(byId("net-said"), `Net positions in ${asset} have ${answered.body.leverage}x from now on.`);
      this.intent.renew();
    } else refuse(this.leverageForm, answered.body);
    this.store.touch("ticket", "net");
  }

  /** @param {"curl" | "Python"} form */
  async #copy(form) {
    const request = { method: "POST", path: "/net/order", body: this.body() };
    await copy(form === "curl" ? this.api.asCurl(request) : this.api.asPython(request));
    write(byId("net-said"), `Copied as ${form}.`);
  }
}

/** A signed quantity in words. @param {bigint} quantity */
function worded(quantity) {
  if (quantity === 0n) return "flat";
  return `${quantity > 0n ? "long" : "short"} ${plain(show(quantity > 0n ? quantity : -quantity, PLACES))}`;
}
