// Signing in: by a mailed link, or on a machine with dev control as anybody. And out.

import { byId, reveal, write } from "./dom.js";

export class SignIn {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./stream.js").Stream} stream
   * @param {import("./main.js").Facts} facts
   */
  constructor(store, api, stream, facts) {
    this.store = store;
    this.api = api;
    this.stream = stream;
    const email = () => /** @type {HTMLInputElement} */ (byId("email")).value.trim();
    reveal(byId("signin-dev"), facts.dev !== "none");
    byId("signin").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.mail(email());
    });
    byId("signin-dev").addEventListener("click", () => void this.as(email()));
    const dialog = /** @type {HTMLDialogElement} */ (byId("who-dialog"));
    byId("who").addEventListener("click", () => dialog.showModal());
    byId("sign-out").addEventListener("click", () => {
      dialog.close();
      void this.out();
    });
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (keys.has("session")) reveal(byId("signin"), this.store.email === "");
  }

  /** @param {string} email */
  async mail(email) {
    const answered = await this.api.post("/signup", { email });
    write(byId("signin-said"), answered.body.message);
  }

  /** Without a mail, by dev control. @param {string} email */
  async as(email) {
    const answered = await this.api.post("/dev/session", { email });
    write(byId("signin-said"), answered.ok ? "" : answered.body.message);
    write(byId("lab-said"), answered.ok ? `you are ${answered.body.email}` : answered.body.message);
    if (!answered.ok) return;
    this.store.selected = "";
    this.store.forget(answered.body.email);
    this.stream.restart();
  }

  async out() {
    await this.api.post("/logout");
    this.gone();
  }

  /** Nobody is signed in any more: nothing of the account stays on the screen. */
  gone() {
    if (!this.store.email) return;
    this.store.forget("");
    this.stream.restart();
  }
}
