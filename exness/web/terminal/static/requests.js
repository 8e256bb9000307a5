// What this page has asked for, newest first, to copy as curl and as Python.

import { byId, copy, make, reveal } from "./dom.js";
import { isShown } from "./tabs.js";

const SHOWN = 100;

export class Requests {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   */
  constructor(store, api) {
    this.store = store;
    this.api = api;
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (!isShown("requests") || !(keys.has("requests") || keys.has("tab"))) return;
    reveal(byId("requests-empty"), this.store.requests.length === 0);
    byId("request-rows").replaceChildren(...this.store.requests.slice(-SHOWN).reverse().map((request) => this.#row(request)));
  }

  /** @param {import("./store.js").LoggedRequest} request */
  #row(request) {
    const { method, path, status, code, milliseconds, requestId } = request;
    const told = status === 0 ? "…" : status === -1 ? "no answer" : String(status);
    const cells = [method, path, told, code, milliseconds ? milliseconds.toFixed(0) : "", requestId];
    const copies = [
      make("button", { type: "button", class: "link", "aria-label": `copy ${method} ${path} as curl`, click: () => void copy(this.api.asCurl(request)) }, "curl"),
      " ",
      make("button", { type: "button", class: "link", "aria-label": `copy ${method} ${path} as Python`, click: () => void copy(this.api.asPython(request)) }, "Python"),
    ];
    return make("tr", {}, ...cells.map((text) => make("td", { title: text }, text)), make("td", {}, ...copies));
  }
}
