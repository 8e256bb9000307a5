// The tabs: one panel at a time, arrow keys between them. A panel that is not seen loads and paints nothing.

import { byId } from "./dom.js";

export class Tabs {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.list = byId("tablist");
    this.list.addEventListener("click", (event) => {
      const tab = /** @type {HTMLElement} */ (event.target).closest('[role="tab"]');
      if (tab) this.show(/** @type {HTMLElement} */ (tab));
    });
    this.list.addEventListener("keydown", (event) => {
      const tabs = this.tabs;
      const at = tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const tab = tabs[(to + tabs.length) % tabs.length];
      this.show(tab);
      tab.focus();
    });
  }

  get tabs() {
    return /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll('[role="tab"]:not([hidden])')]);
  }

  /** @param {HTMLElement} chosen */
  show(chosen) {
    for (const tab of this.tabs) {
      const on = tab === chosen;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      byId(tab.getAttribute("aria-controls") ?? "").hidden = !on;
    }
    this.store.touch("tab", "trades", "tick");
  }
}

/** Whether a panel is the one that is seen. @param {string} name */
export function isShown(name) {
  return !byId(`panel-${name}`).hidden;
}
