// The one line on top: what kind of market this is, its time, whether anybody is there, what one has, who one is.

import { brief, rough } from "./money.js";
import { byId, mark, moment, reveal, tone, write } from "./dom.js";
import { holdings } from "./figures.js";

export const THEMES = ["system", "dark", "light"];

export class Header {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./stream.js").Stream} stream
   * @param {import("./main.js").Facts} facts
   */
  constructor(store, stream, facts) {
    this.store = store;
    this.stream = stream;
    const feed = byId("feed");
    write(feed, facts.feed);
    feed.title = facts.feed;
    mark(feed, "simulated", String(facts.simulated));
    write(byId("version"), `exness ${facts.version}`);
    byId("zone").addEventListener("click", () => {
      store.choose({ zone: store.choice.zone === "utc" ? "local" : "utc" });
    });
    byId("theme").addEventListener("click", () => {
      store.choose({ theme: THEMES[(THEMES.indexOf(store.choice.theme) + 1) % THEMES.length] });
    });
    this.time = byId("clock");
    this.connection = byId("connection");
    this.state = document.createTextNode("");
    this.since = document.createElement("span");
    this.since.setAttribute("aria-hidden", "true"); // else it would be read out every second
    this.places = ["equity", "free", "locked", "open-pnl"].map((id) => byId(id));
    this.connection.replaceChildren(this.state, this.since);
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (keys.has("connection") || keys.has("tick")) this.#connection();
    if (keys.has("time") || keys.has("clock") || keys.has("tick") || keys.has("choice.zone")) this.#clock(keys);
    if (["account", "trades", "calm", "session"].some((key) => keys.has(key))) this.#money();
    if (keys.has("market") || keys.has("connection") || keys.has("choice.asset")) this.#trouble();
    if (keys.has("tick")) this.#title();
    if (keys.has("choice")) this.#choices();
    if (keys.has("session")) {
      reveal(byId("who"), this.store.email !== "");
      write(byId("who"), this.store.email);
      write(byId("who-email"), this.store.email);
    }
  }

  #connection() {
    const { state, retryAt } = this.store.connection;
    const shown = state === "live" || state === "quiet" ? state : "down";
    const waiting = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
    let said = "";
    if (state === "quiet") said = ` ${Math.round(this.stream.age / 1000)} s`;
    else if (state === "down") said = `, trying in ${waiting} s`;
    else if (shown === "down") said = ", connecting";
    if (this.state.data !== shown) this.state.data = shown;
    write(this.since, said);
    mark(this.connection, "state", shown);
    mark(document.body, "connection", shown);
  }

  /** @param {Set<string>} keys */
  #clock(keys) {
    const { clock, newest, choice, connection } = this.store;
    if (connection.state === "down") return; // it may have stopped, too
    const now = clock ? new Date(this.store.timeAt(performance.now())).toISOString() : newest;
    const sign = clock?.paused ? "paused " : clock && clock.speed !== 1 ? `×${clock.speed} ` : "";
    write(this.time, now ? `${sign}${moment(now, choice.zone, true)}${choice.zone === "utc" ? " UTC" : ""}` : "–");
    if (keys.has("tick")) this.time.setAttribute("datetime", now);
  }

  #money() {
    const held = holdings(this.store);
    [held?.equity, held?.free, held?.locked, held?.pnl].forEach((figure, at) => write(this.places[at], brief(figure)));
    mark(this.places[3], "tone", tone(held?.pnl));
  }

  #title() {
    const { asset } = this.store.choice;
    const price = this.store.market.get(asset)?.mark;
    document.title = price ? `${rough(price)} ${asset} · exness` : "exness";
  }

  /** The bar that is there only when something is wrong. */
  #trouble() {
    const { asset } = this.store.choice;
    const price = this.store.market.get(asset);
    let text = "";
    if (this.store.connection.state === "down") text = "The exchange does not answer: what is shown is old.";
    else if (price?.state === "suspect") {
      text = `${asset} is suspect: the venue shows another price far away. Opening is refused, closing is at ${price.mark}.`;
    } else if (price?.state === "stale") text = `${asset} is stale: its last price is too old to trade on.`;
    else if (price?.state === "down") text = `${asset} has no price yet.`;
    write(byId("trouble"), text);
    reveal(byId("trouble"), text !== "");
  }

  #choices() {
    const { theme, zone } = this.store.choice;
    mark(document.documentElement, "theme", theme);
    write(byId("theme"), `◐ ${theme}`);
    write(byId("zone"), zone === "utc" ? "UTC" : "local time");
    write(byId("axis-zone"), zone === "utc" ? "UTC" : "local");
  }
}
