// Waiting orders; the tab is there where the server has them.

import { brief, price } from "./money.js";
import { byId, make, moment, reveal, write } from "./dom.js";

export class Orders {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./notices.js").Notices} notices
   */
  constructor(store, api, notices) {
    this.store = store;
    this.api = api;
    this.notices = notices;
    reveal(byId("tab-orders"), api.has("GET:/order/open"));
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (!keys.has("orders") && !keys.has("choice.zone")) return;
    const { orders, choice } = this.store;
    byId("order-rows").replaceChildren(
      ...[...orders.values()].map((row) => {
        const cells = [
          row.asset, row.type, row.kind.replaceAll("_", " "), brief(row.margin), row.leverage === null ? "–" : `${row.leverage}x`,
          price(row.limitPrice), price(row.stopPrice), moment(row.createdAt, choice.zone),
        ];
        const cancel = make("button", { type: "button", "aria-label": `cancel ${row.asset} ${row.kind}`, click: (/** @type {Event} */ event) => void this.#cancel(row.orderId, event) }, "Cancel");
        return make("tr", { "data-order": row.orderId }, ...cells.map((text) => make("td", {}, text)), make("td", {}, cancel));
      }),
    );
    write(byId("tab-orders"), orders.size ? `Orders ${orders.size}` : "Orders");
    reveal(byId("orders-empty"), orders.size === 0);
  }

  /** @param {string} orderId @param {Event} event */
  async #cancel(orderId, event) {
    const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
    button.disabled = true;
    const answered = await this.api.post("/order/cancel", { orderId });
    if (!answered.ok) {
      button.disabled = false;
      this.notices.say(answered.body.message);
    }
  }
}
