// The lab's rates: what trading costs by now, taken over from a venue or set by hand, and what the house has made of it.

import { brief, parse, show } from "./money.js";
import { Figures, clearErrors, plain, refuse, value } from "./form.js";
import { byId, write } from "./dom.js";

/** Those of the form, whose fields have these names as their ids; all in percent. */
export const SHOWN = Object.freeze({
  "rate-taker": "taker", "rate-maker": "maker", "rate-maintenance": "maintenance", "rate-liquidation": "liquidationFee", "rate-funding": "fundingRate",
});
const FRACTION_DECIMALS = 8;
const REFETCH_MS = 400;

export class Rates {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./main.js").Facts} facts
   */
  constructor(store, api, facts) {
    this.store = store;
    this.api = api;
    this.facts = facts;
    this.there = facts.dev !== "none" && api.has("PUT:/dev/rates/{asset}");
    this.house = new Figures(byId("house"));
    this.form = /** @type {HTMLFormElement} */ (byId("rates-form"));
    this.timer = 0;
    /** @type {any} */
    this.told = null;
    /** What the fields of the form showed, so that only what was changed is sent. @type {Record<string, string>} */
    this.before = {};
    byId("lab-rates").hidden = !this.there;
    if (!this.there) return;
    byId("profile-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#takeOver();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#set();
    });
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (!this.there || byId("lab").hidden) return;
    if (keys.has("lab") || keys.has("choice.asset") || keys.has("assets")) {
      write(byId("rates-asset"), this.store.choice.asset);
      if (this.told) this.#fill();
      void this.#ask();
    }
    if (keys.has("lab") || keys.has("trades") || keys.has("account") || keys.has("ended")) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.#house(), REFETCH_MS);
    }
  }

  async #ask() {
    const answered = await this.api.get("/rates", false);
    if (answered.ok) this.#tell(answered.body);
  }

  /** @param {any} body as GET /rates */
  #tell(body) {
    this.told = body;
    this.store.execution = body.execution.value;
    if (document.activeElement !== byId("profile")) /** @type {HTMLSelectElement} */ (byId("profile")).value = body.profile;
    this.#fill();
    this.store.touch("ticket");
  }

  /** The fields of the chosen asset, unless somebody writes there. */
  #fill() {
    const rates = this.told.rates[this.store.choice.asset];
    if (!rates || this.form.contains(document.activeElement)) return;
    for (const [id, name] of Object.entries(SHOWN)) {
      const field = /** @type {HTMLInputElement} */ (byId(id));
      field.value = this.before[id] = asPercent(rates[name].value);
      field.title = `from: ${rates[name].source}`;
    }
    const every = /** @type {HTMLInputElement} */ (byId("rate-interval"));
    every.value = this.before["rate-interval"] = String(rates.fundingIntervalS.value);
  }

  async #takeOver() {
    const answered = await this.api.call("PUT", "/dev/profile", { profile: value("profile") });
    this.#said(answered, answered.body?.profile ? `rates of ${answered.body.profile}` : "everything is free");
    if (answered.ok) this.#tell(answered.body);
  }

  async #set() {
    const { asset } = this.store.choice;
    /** @type {Record<string, unknown>} */
    const changed = {};
    for (const [id, name] of Object.entries(SHOWN)) if (value(id) !== this.before[id]) changed[name] = asFraction(value(id));
    if (value("rate-interval") !== this.before["rate-interval"]) changed.fundingIntervalS = value("rate-interval");
    clearErrors(this.form);
    if (!Object.keys(changed).length) {
      write(byId("lab-said"), "no rate has changed");
      return;
    }
    const answered = await this.api.call("PUT", `/dev/rates/${asset}`, changed);
    this.#said(answered, `rates of ${asset} set; open trades keep what they were opened with`);
    if (!answered.ok) refuse(this.form, answered.body);
    else {
      /** @type {HTMLElement | null} */ (document.activeElement)?.blur();
      this.before = {};
      await this.#ask();
    }
  }

  /** @param {import("./api.js").Answered} answered @param {string} text */
  #said(answered, text) {
    write(byId("lab-said"), answered.ok ? text : (answered.body?.message ?? "no answer"));
  }

  async #house() {
    const answered = await this.api.get("/dev/house", false);
    if (!answered.ok) return;
    const { pnl, commission, funding, insurance, shortfall } = answered.body;
    this.house.show(Object.entries({ pnl, commission, funding, insurance, shortfall }).map(([name, text]) => [name === "pnl" ? "PnL" : name, brief(text, 6)]));
  }
}

/** A rate as percent; what no single figure tells (tiers, a schedule) in words. @param {unknown} rate @returns {string} */
export function asPercent(rate) {
  if (Array.isArray(rate)) return rate.length === 1 ? asPercent(rate[0].rate) : `${rate.length} tiers`;
  const parsed = parse(/** @type {string} */ (rate), FRACTION_DECIMALS);
  return parsed === null ? String(rate) : plain(show(parsed, FRACTION_DECIMALS - 2));
}

/** The other way; what is no percentage goes out as it is, for the server to refuse. @param {string} percent */
export function asFraction(percent) {
  const parsed = parse(percent, FRACTION_DECIMALS - 2);
  return parsed === null ? percent : show(parsed, FRACTION_DECIMALS);
}
