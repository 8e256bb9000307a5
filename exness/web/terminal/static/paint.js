// When views paint. Figures at most ten times a second, by a timer: painting at every message costs three times as much.
// Sums, previews and levels, which are read and not watched, go by the key "calm": prices have moved, told four times a second.
// What a hand moves does not go through here. A hidden page paints nothing, and everything when it is seen again.

const PAINT_MS = 100;
const CALM_MS = 250;

/**
 * @typedef {object} View
 * @property {(keys: Set<string>) => void} paint what changed; keys are those of the store
 */

export class Painter {
  #store;
  /** @type {View[]} */
  #views = [];
  #timer = 0;
  #paintedAt = 0;
  #calmAt = 0;
  #moved = false;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.#store = store;
    store.watchers.push(() => this.#soon());
    document.addEventListener("visibilitychange", () => this.#soon());
  }

  /** @param {View[]} views */
  add(...views) {
    this.#views.push(...views);
  }

  #soon() {
    if (this.#timer || document.hidden) return;
    const wait = Math.max(0, PAINT_MS - (performance.now() - this.#paintedAt));
    this.#timer = setTimeout(() => this.now(), wait);
  }

  now() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#paintedAt = performance.now();
    const keys = this.#store.taken();
    if (!keys.size) return;
    this.#moved ||= keys.has("market");
    if (this.#moved && (keys.has("tick") || this.#paintedAt - this.#calmAt >= CALM_MS)) {
      keys.add("calm");
      this.#moved = false;
      this.#calmAt = this.#paintedAt;
    }
    for (const view of this.#views) view.paint(keys);
  }
}
