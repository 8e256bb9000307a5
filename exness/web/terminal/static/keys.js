// Single keys, never while a field has focus, and none where the user has switched them off.

import { INTERVALS } from "./frames.js";
import { byId, make } from "./dom.js";

/** @type {[string, string][]} */
const HELP = [
  ["1 … 9", "asset"], ["L, S", "long, short; buy, sell"], ["M", "how much"], ["Enter", "send what the ticket says"], ["X", "close the selected trade, or the newest"], ["E", "change it: a part, margin, exits"],
  ["[ ]", "interval"], ["Space", "pause or resume the clock (lab)"], [".", "one second ahead (lab)"], ["B", "the lab"], ["?", "this list"],
];

export class Keys {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./tickets.js").Tickets} ticket
   * @param {import("./trades.js").Trades} trades
   * @param {import("./lab.js").Lab} lab
   */
  constructor(store, ticket, trades, lab) {
    this.store = store;
    this.ticket = ticket;
    this.trades = trades;
    this.lab = lab;
    this.help = /** @type {HTMLDialogElement} */ (byId("help"));
    byId("key-list").append(...HELP.flatMap(([key, what]) => [make("dt", {}, key), make("dd", {}, what)]));
    byId("help-button").addEventListener("click", () => this.help.showModal());
    const on = /** @type {HTMLInputElement} */ (byId("keys-on"));
    on.checked = store.choice.keys;
    on.addEventListener("change", () => store.choose({ keys: on.checked }));
    document.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const busy = target.closest('input, select, textarea, [role="slider"], dialog, summary') !== null;
    const pressing = (event.key === "Enter" || event.key === " ") && target.closest("button, a") !== null;
    if (!this.store.choice.keys || busy || pressing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const action = this.#action(event.key);
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** @param {string} key @returns {(() => void) | undefined} */
  #action(key) {
    const { store, ticket, lab } = this;
    const asset = /^[1-9]$/.test(key) ? [...store.assets.keys()][Number(key) - 1] : undefined;
    if (asset) return () => store.choose({ asset });
    /** @type {Record<string, () => void>} */
    const actions = {
      l: () => (ticket.side = "long"),
      s: () => (ticket.side = "short"),
      m: () => ticket.select(),
      enter: () => void ticket.open(),
      x: () => this.#chosen((orderId) => void this.trades.close(orderId)),
      e: () => this.#chosen((orderId) => this.trades.onChange(orderId)),
      "[": () => this.#interval(-1),
      "]": () => this.#interval(1),
      " ": () => void lab.clock({ paused: !store.clock?.paused }),
      ".": () => void lab.clock({ step: 1 }),
      b: () => lab.toggle(),
      "?": () => this.help.showModal(),
    };
    return actions[key.toLowerCase()];
  }

  /** What keys are about: the selected trade, or the newest. @param {(orderId: string) => void} run */
  #chosen(run) {
    const newest = [...this.store.trades.keys()].pop();
    const orderId = this.store.trades.has(this.store.selected) ? this.store.selected : newest;
    if (orderId) run(orderId);
  }

  /** @param {number} by */
  #interval(by) {
    const at = INTERVALS.indexOf(this.store.choice.interval) + by;
    if (INTERVALS[at]) this.store.choose({ interval: INTERVALS[at] });
  }
}
