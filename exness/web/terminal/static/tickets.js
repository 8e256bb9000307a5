// Two tickets in one place, one of them shown: that of trades of their own, and that of net positions.

import { NetTicket } from "./net-ticket.js";
import { byId, reveal } from "./dom.js";

export class Tickets {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./ticket.js").Ticket} own
   */
  constructor(store, api, own) {
    this.store = store;
    this.api = api;
    this.own = own;
    /** Made when it is first chosen. @type {NetTicket | null} */
    this.net = null;
    this.there = api.has("POST:/net/order");
    byId("books").addEventListener("change", () => store.touch("book", "ticket"));
  }

  get current() {
    if (!this.there || !(/** @type {HTMLInputElement} */ (byId("book-net")).checked)) return this.own;
    this.net ??= new NetTicket(this.store, this.api);
    return this.net;
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (keys.has("session") || keys.has("book")) {
      const here = this.store.email !== "";
      reveal(byId("books"), here && this.there);
      reveal(this.own.form, here && this.current === this.own);
      reveal(byId("net-pane"), here && this.current === this.net);
    }
    this.own.paint(keys);
    this.net?.paint(keys);
  }

  /** @param {"long" | "short"} side */
  set side(side) {
    this.current.side = side;
  }

  /** Put the cursor where it is said how much. */
  select() {
    this.current.select();
  }

  async open() {
    if (this.store.email) await this.current.open();
  }
}
