// What must not be missed: a liquidation stays until it is dismissed and is read out at once; other news goes by itself.

import { brief, price } from "./money.js";
import { byId, make } from "./dom.js";

const SHOWN = 3;
const CALM_MS = 6000;

export class Notices {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.box = byId("alerts");
    this.news = byId("news");
    this.more = 0;
    store.endWatchers.push((ended) => {
      if (ended.liquidated) this.liquidated(ended);
      else if (ended.reason && !["user", "order"].includes(ended.reason)) {
        this.say(`Closed by ${ended.reason.replaceAll("_", " ")}: ${named(ended)} at ${price(ended.closePrice)}, PnL ${ended.pnl}.`);
      }
    });
    store.fillWatchers.push(({ asset, type, kind }, at) => this.say(`Filled: ${kind.replaceAll("_", " ")} ${type} of ${asset} at ${price(at)}.`));
  }

  /** Of somebody else nothing stays. @param {Set<string>} keys */
  paint(keys) {
    if (!keys.has("session")) return;
    this.more = 0;
    this.news.replaceChildren();
    for (const alert of this.box.querySelectorAll('[role="alert"]')) alert.remove();
  }

  /** @param {import("./frames.js").Ended} ended */
  liquidated(ended) {
    const lost = brief(ended.pnl.replace("-", ""));
    const text = `Liquidated: ${named(ended)} at ${price(ended.closePrice)}, ${lost} USDC of margin lost.`;
    const shown = [...this.box.querySelectorAll('[role="alert"]')];
    if (shown.length >= SHOWN) {
      this.more += 1;
      const last = /** @type {HTMLElement} */ (shown[shown.length - 1].querySelector("span"));
      last.textContent = `${text} And ${this.more} more before it, see History.`;
      return;
    }
    const alert = make("div", { role: "alert", class: "alert" }, make("span", {}, text));
    const dismiss = () => {
      alert.remove();
      if (!this.box.querySelector('[role="alert"]')) this.more = 0;
    };
    alert.append(make("button", { type: "button", click: dismiss }, "dismiss"));
    this.box.append(alert);
  }

  /** Something that was asked for was refused, or the like. @param {string} text */
  say(text) {
    const notice = make("div", { class: "alert", "data-mood": "calm" }, text);
    this.news.append(notice);
    while (this.news.children.length > SHOWN) this.news.firstElementChild?.remove();
    setTimeout(() => notice.remove(), CALM_MS);
  }
}

/** @param {import("./frames.js").Ended} ended */
function named({ asset, type, leverage }) {
  return [asset, type, leverage && `${leverage}x`].filter(Boolean).join(" ");
}
