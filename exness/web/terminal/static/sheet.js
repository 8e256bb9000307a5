// On a narrow screen the ticket is a sheet that Long and Short open.

import { byId } from "./dom.js";

export class Sheet {
  /** @param {import("./tickets.js").Tickets} ticket */
  constructor(ticket) {
    for (const button of byId("sheet-bar").querySelectorAll("[data-sheet]")) {
      button.addEventListener("click", () => {
        ticket.side = /** @type {"long" | "short"} */ (/** @type {HTMLElement} */ (button).dataset.sheet);
        document.body.dataset.sheet = "open";
        byId("ticket-hide").focus();
      });
    }
    byId("ticket-hide").addEventListener("click", () => document.body.removeAttribute("data-sheet"));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") document.body.removeAttribute("data-sheet");
    });
  }
}
