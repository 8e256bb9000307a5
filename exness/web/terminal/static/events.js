// What the stream has told of the account, newest first. A row opens its frame.

import { byId, make, moment, reveal } from "./dom.js";
import { isShown } from "./tabs.js";

const SHOWN = 200;

export class Events {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.body = byId("event-rows");
    /** @type {Set<string>} */
    this.shown = new Set();
    this.first = "";
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (!isShown("events") || !(keys.has("events") || keys.has("tab") || keys.has("choice.zone") || keys.has("session"))) return;
    const { events } = this.store;
    const whole = keys.has("choice.zone") || keys.has("session") || !events.length;
    if (whole) {
      this.body.replaceChildren();
      this.shown.clear();
    }
    for (const event of events.slice(-SHOWN)) {
      if (this.shown.has(event.id)) continue;
      this.shown.add(event.id);
      this.body.prepend(this.#row(event));
    }
    while (this.body.children.length > SHOWN) this.body.lastElementChild?.remove();
    this.shown = new Set(events.slice(-SHOWN).map(({ id }) => id));
    reveal(byId("events-empty"), events.length === 0);
  }

  /** @param {import("./store.js").LoggedEvent} event */
  #row(event) {
    const open = () => {
      const next = row.nextElementSibling;
      if (next?.classList.contains("opened")) next.remove();
      else row.after(make("tr", { class: "opened" }, make("td", { colspan: 4, class: "frame" }, make("pre", {}, JSON.stringify(event.frame, null, 1)))));
    };
    const row = make(
      "tr", {},
      make("td", {}, make("button", { type: "button", class: "link", "aria-label": `frame of ${event.seq}`, click: open }, String(event.seq))),
      make("td", {}, moment(event.at, this.store.choice.zone, true)),
      make("td", {}, event.type),
      make("td", {}, figures(event.frame.data)),
    );
    return row;
  }
}

/** The figures of a frame in a line. @param {Record<string, unknown>} data */
function figures(data) {
  const names = ["asset", "type", "margin", "leverage", "entryPrice", "liquidationPrice", "closePrice", "pnl", "returned", "why", "amount", "commission", "funding", "balance", "lockedMargin"];
  return names.filter((name) => data[name] !== undefined).map((name) => `${name} ${data[name]}`).join(" · ");
}
