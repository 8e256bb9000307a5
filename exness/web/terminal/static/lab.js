// The lab: the price, the clock and the money in the user's hand. It is there only where the server has dev control and this
// machine asks. Each thing says what came of it.

import { moved, parse, price as shown, show } from "./money.js";
import { byId, copy, make, mark, reveal, write } from "./dom.js";
import { value } from "./form.js";
import { PRESETS, presetPoints } from "./presets.js";
import { Recorder } from "./recorder.js";
import { markOf } from "./figures.js";

const NUDGES = [-500, -100, -10, 10, 100, 500];
const DRAG_MS = 60;
const EMAILS = "exness.emails";
const EMAILS_KEPT = 5;

export class Lab {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./chart-view.js").ChartView} chart
   * @param {import("./main.js").Facts} facts
   * @param {(email: string) => Promise<void>} signInAs
   */
  constructor(store, api, chart, facts, signInAs) {
    this.store = store;
    this.api = api;
    this.chart = chart;
    this.facts = facts;
    this.signInAs = signInAs;
    this.recorder = new Recorder();
    this.sending = false;
    /** @type {bigint | null} */
    this.wanted = null;
    const market = facts.dev === "market";
    reveal(byId("lab-button"), facts.dev !== "none");
    for (const id of ["lab-price", "lab-clock"]) reveal(byId(id), market);
    reveal(/** @type {HTMLElement} */ (byId("record").closest("section")), market);
    if (facts.dev === "none") return;
    chart.more = () => (market && !byId("lab").hidden ? this.#levels() : []);
    this.#listen();
    this.#switches();
    api.doneWatchers.push((request) => this.recorder.note(request, store.account?.balance ?? ""));
    store.endWatchers.push((ended) => this.recorder.end(ended));
  }

  #listen() {
    byId("lab-button").addEventListener("click", () => this.toggle());
    byId("price-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.setPrice(value("price-value"));
    });
    byId("nudges").append(
      ...NUDGES.map((by) => make("button", { type: "button", click: () => void this.nudge(by) }, `${by > 0 ? "+" : "−"}${Math.abs(by) / 100} %`)),
    );
    byId("to-above").addEventListener("click", () => void this.#toLiquidation(1n));
    byId("to-it").addEventListener("click", () => void this.#toLiquidation(0n));
    byId("presets").append(...Object.keys(PRESETS).map((name) => make("button", { type: "button", title: PRESETS[name], click: () => void this.preset(name) }, name)));
    byId("pause").addEventListener("click", () => void this.clock({ paused: !this.store.clock?.paused }));
    for (const button of byId("lab-clock").querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => void this.clock({ step: Number(/** @type {HTMLElement} */ (button).dataset.step) }));
    }
    byId("speed").addEventListener("change", () => void this.clock({ speed: value("speed") }));
    byId("deposit-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#asked("deposit", this.api.post("/dev/deposit", { email: this.store.email, amount: value("deposit") }), (body) => `${body.amount} USDC paid in, ${body.balance} free`);
    });
    byId("reset-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#reset();
    });
    byId("switch-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.signInAs(value("switch-email"));
    });
    byId("record").addEventListener("click", () => void this.#record());
    byId("record-copy").addEventListener("click", () => void copy(/** @type {HTMLTextAreaElement} */ (byId("recorded")).value));
  }

  toggle() {
    if (this.facts.dev === "none") return;
    const lab = byId("lab");
    reveal(lab, Boolean(lab.hidden));
    byId("lab-button").setAttribute("aria-expanded", String(!lab.hidden));
    this.store.touch("lab", "clock");
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (keys.has("session")) this.#switches();
    if (keys.has("choice.asset") || keys.has("assets")) write(byId("lab-asset"), this.store.choice.asset);
    if (keys.has("choice.asset") || keys.has("lab")) this.#field();
    if (keys.has("clock")) {
      const { clock } = this.store;
      write(byId("pause"), clock?.paused ? "resume" : "pause");
      if (clock && document.activeElement !== byId("speed")) /** @type {HTMLInputElement} */ (byId("speed")).value = String(clock.speed);
      write(byId("clock-said"), clock?.scriptLeft ? `${clock.scriptLeft} scripted prices to come` : "");
    }
  }

  /** The price of now in the field, unless somebody writes there. */
  #field() {
    const field = /** @type {HTMLInputElement} */ (byId("price-value"));
    const price = this.store.market.get(this.store.choice.asset);
    if (document.activeElement !== field) field.value = price?.mark ? shown(price.mark).replaceAll(",", "") : "200";
  }

  /** @param {string} mid decimal text */
  async setPrice(mid) {
    const { asset } = this.store.choice;
    await this.#asked(`${asset} at ${mid}`, this.api.call("PUT", `/dev/prices/${asset}`, { mid }));
  }

  /** @param {number} by hundredths of a percent */
  async nudge(by) {
    const { asset } = this.store.choice;
    const from = markOf(this.store, asset);
    if (from === null) this.#say(`${asset} has no price yet: set one`);
    else await this.setPrice(show(moved(from, by), this.store.market.get(asset)?.decimal ?? 0));
  }

  /** @param {bigint} units before it */
  async #toLiquidation(units) {
    const nearest = this.chart.nearest();
    if (!nearest) {
      this.#say("there is no trade here that can be liquidated");
      return;
    }
    const { row, liquidation } = nearest;
    await this.setPrice(show(row.type === "long" ? liquidation + units : liquidation - units, this.store.market.get(row.asset)?.decimal ?? 0));
  }

  /** @param {string} name */
  async preset(name) {
    const { asset } = this.store.choice;
    if (name === "stale") {
      await this.clock({ step: 31 });
      return;
    }
    const from = markOf(this.store, asset);
    const depth = Number(parse(value("preset-depth"), 2) ?? 0n);
    const seconds = Number(value("preset-seconds"));
    if (from === null || !(depth > 0 && depth < 10_000) || !(seconds > 0 && seconds <= 86_400)) {
      this.#say("a preset wants a price to begin with, a depth below 100 % and a time up to a day");
      return;
    }
    const decimals = this.store.market.get(asset)?.decimal ?? 0;
    const prices = presetPoints(name, from, depth, seconds).map(({ offset, price }) => ({ offset, asset, price: show(price, decimals) }));
    const paused = this.store.clock?.paused ? "; the clock is paused: resume or step it" : "";
    await this.#asked(name, this.api.post("/dev/prices/script", { prices }), (body) => `${body.left} prices to come${paused}`);
  }

  /** @param {{paused?: boolean, step?: number, speed?: string}} order */
  async clock(order) {
    if (this.facts.dev !== "market") return;
    await this.#asked(JSON.stringify(order), this.api.post("/dev/clock", order), (body) => `${body.paused ? "paused at" : "running from"} ${body.now.slice(0, 19).replace("T", " ")}${fallen(body)}`);
  }

  async #reset() {
    const word = /** @type {HTMLInputElement} */ (byId("reset-word"));
    if (word.value.trim().toLowerCase() !== "reset") {
      this.#say("type the word reset first: every account, trade and price is forgotten");
      return;
    }
    word.value = "";
    await this.#asked("reset", this.api.post("/dev/reset"), () => "everything is forgotten");
  }

  async #record() {
    const button = byId("record");
    const text = /** @type {HTMLTextAreaElement} */ (byId("recorded"));
    if (this.recorder.isOn) text.value = this.recorder.stop();
    else if (this.store.trades.size || this.store.orders.size) {
      this.#say("recording begins with no trade open and no order waiting: close and cancel them, or reset");
      return;
    } else {
      const told = await this.api.get("/rates", false);
      const prices = [...this.store.market.values()];
      const { email, account } = this.store;
      this.recorder.start({ email, balance: account?.balance ?? "", execution: this.store.execution, prices, rates: told.ok ? told.body : null });
      this.#say("recording: what you do now becomes a pytest");
    }
    const on = this.recorder.isOn;
    button.setAttribute("aria-pressed", String(on));
    write(button, on ? "stop" : "record");
    reveal(text, !on);
    reveal(byId("record-copy"), !on);
  }

  #switches() {
    const { email } = this.store;
    /** @type {string[]} */
    let known = [];
    try {
      known = JSON.parse(localStorage.getItem(EMAILS) ?? "[]").filter((/** @type {unknown} */ each) => typeof each === "string");
      if (email) localStorage.setItem(EMAILS, JSON.stringify([email, ...known.filter((each) => each !== email)].slice(0, EMAILS_KEPT)));
    } catch {
      // without a memory, there are no suggestions
    }
    const others = known.filter((each) => each !== email);
    byId("known-emails").replaceChildren(...others.map((each) => make("option", { value: each })));
    byId("switches").replaceChildren(...others.map((each) => make("button", { type: "button", click: () => void this.signInAs(each) }, each)));
  }

  /** The price itself as a handle on the chart. @returns {import("./levels.js").Level[]} */
  #levels() {
    const { asset } = this.store.choice;
    const price = this.store.market.get(asset);
    const at = markOf(this.store, asset);
    if (!price || at === null) return [];
    const said = (/** @type {bigint} */ to) => `${asset} ${shown(show(to, price.decimal))}${this.store.trades.size ? `, PnL ${this.chart.pnlAt(to)}` : ""}`;
    const over = (/** @type {bigint} */ to) => {
      this.#drag(to, price.decimal);
      return said(to);
    };
    return [{
      key: "mark", kind: "mark", price: at, decimals: price.decimal, text: `drag the price: ${shown(price.mark)}`,
      slider: { label: `price of ${asset}`, over, drop: (to) => this.#drag(to, price.decimal) },
    }];
  }

  /** The newest price of a drag, one request at a time. @param {bigint} to @param {number} decimals */
  #drag(to, decimals) {
    const busy = this.wanted !== null || this.sending;
    this.wanted = to;
    if (!busy) void this.#send(decimals);
  }

  /** @param {number} decimals */
  async #send(decimals) {
    this.sending = true;
    while (this.wanted !== null) {
      const { wanted } = this;
      this.wanted = null;
      await this.setPrice(show(wanted, decimals));
      await new Promise((resolve) => setTimeout(resolve, DRAG_MS));
    }
    this.sending = false;
  }

  /**
   * Say what came of it.
   * @param {string} what
   * @param {Promise<import("./api.js").Answered>} asking
   * @param {(body: any) => string} [told]
   */
  async #asked(what, asking, told = (body) => fallen(body).replace(/^, /, "") || "done") {
    const answered = await asking;
    this.#say(`${what}: ${answered.ok ? told(answered.body) : (answered.body?.message ?? "no answer")}`);
    mark(byId("lab-said"), "tone", answered.ok ? "" : "down");
    return answered;
  }

  /** @param {string} text */
  #say(text) {
    write(byId("lab-said"), text);
  }
}

/** @param {any} body */
function fallen(body) {
  return body.liquidated ? `, liquidated ${body.liquidated}` : "";
}
