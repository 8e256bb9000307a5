// Where trailing stops stand by now: they follow each new extreme, and the stream tells of none of it. So while there is one in
// the chosen asset and its price moves, the server is asked, once a second at most.

const ASK_MS = 1000;

export class TrailingLevels {
  #askedAt = -ASK_MS;
  #asking = false;

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   */
  constructor(store, api) {
    this.store = store;
    this.api = api;
    this.old = true;
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    const { asset } = this.store.choice;
    if (keys.has("trades") || keys.has("choice.asset") || keys.has(`market.${asset}`)) this.old = true;
    const due = performance.now() - this.#askedAt >= ASK_MS;
    if (!this.old || this.#asking || !due || this.store.connection.state !== "live") return;
    if (![...this.store.trades.values()].some((row) => row.asset === asset && row.trailingStop)) return;
    void this.#ask(asset);
  }

  /** @param {string} asset */
  async #ask(asset) {
    this.#asking = true;
    this.#askedAt = performance.now();
    this.old = false;
    const answered = await this.api.get(`/trade/open?asset=${asset}`, false);
    this.#asking = false;
    if (!answered.ok) return;
    let moved = false;
    for (const { orderId, trailingStop } of answered.body.data) {
      const row = this.store.trades.get(orderId);
      if (!row?.trailingStop || !trailingStop || row.trailingStop.level === trailingStop.level) continue;
      row.trailingStop = trailingStop;
      moved = true;
    }
    if (moved) this.store.touch("trailing");
  }
}
