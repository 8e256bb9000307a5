// Levels over the chart: entry, liquidation, the ticket's ghost, the price in the lab. Each is an element with a handle, so
// it has a name, takes focus and arrow keys, and a test finds it. A level beyond the chart's edge stays there, with an arrow.

import { placesOf, show } from "./money.js";
import { make, mark, write } from "./dom.js";

const HANDLE_PX = 22;
const ASKED_MS = 2000;
const REFUSAL_MS = 6000;
/** An arrow key moves a level by one part of so many of where it stands; with Shift by ten. */
const STEPS = 1000n;
const COLUMN_PX = 210;
const COLUMNS = 4;

/**
 * @typedef {object} Level
 * @property {string} key
 * @property {string} kind entry, liquidation, ghost, ghost-liquidation, mark, take-profit, stop-loss, order
 * @property {bigint} price scaled
 * @property {number} decimals
 * @property {string} text
 * @property {{label: string, run: () => void} | null} [action]
 * @property {{label: string, over: (price: bigint) => string, drop: (price: bigint) => void | Promise<string>} | null} [slider] `drop` may tell why not
 */

/** @typedef {{line: HTMLElement, handle: HTMLElement, text: HTMLElement, level: Level, dragged: bigint | null, asked: {to: bigint, from: bigint, until: number} | null, refusal: string}} Drawn */

export class Levels {
  /** @type {Map<string, Drawn>} */
  #drawn = new Map();
  #asked = false;

  /**
   * @param {HTMLElement} layer
   * @param {{yOf: (price: number) => number | null, priceAt: (y: number) => number | null}} scale
   */
  constructor(layer, scale) {
    this.layer = layer;
    this.scale = scale;
    this.height = layer.clientHeight;
    this.width = layer.clientWidth;
    // Kept, not asked for each time: that would have the browser lay out the page in the middle of a paint.
    new ResizeObserver(() => {
      this.height = layer.clientHeight;
      this.width = layer.clientWidth;
      this.soon();
    }).observe(layer);
  }

  /** Exactly these, keyed: one is made, moved only if its price differs, removed when its key is gone. @param {Level[]} levels */
  set(levels) {
    const keys = new Set(levels.map(({ key }) => key));
    for (const [key, { line }] of this.#drawn) {
      if (keys.has(key)) continue;
      line.remove();
      this.#drawn.delete(key);
    }
    for (const level of levels) {
      const drawn = this.#drawn.get(level.key);
      if (drawn) drawn.level = level;
      else this.#draw(level);
    }
    this.place();
  }

  /**
   * Put all where their prices are, once the chart has drawn, which may rescale it. That is within the same frame: to ask for frames of
   * our own made four of each one, and a frame costs as much as what is written in it.
   */
  soon() {
    if (this.#asked) return;
    this.#asked = true;
    queueMicrotask(() => {
      this.#asked = false;
      this.place();
    });
  }

  place() {
    const { height } = this;
    const placed = [...this.#drawn.values()]
      .map((drawn) => ({ drawn, y: this.scale.yOf(Number(show(standing(drawn), drawn.level.decimals))) }))
      .filter(({ drawn, y }) => {
        drawn.line.hidden = y === null || height === 0;
        return !drawn.line.hidden;
      })
      .sort((a, b) => /** @type {number} */ (a.y) - /** @type {number} */ (b.y));
    /** @type {{drawn: Drawn, y: number, at: number, handleAt: number}[][]} from the top, by column */
    const columns = Array.from({ length: Math.max(1, Math.min(COLUMNS, Math.floor(this.width / COLUMN_PX))) }, () => []);
    for (const { drawn, y } of /** @type {{drawn: Drawn, y: number}[]} */ (placed)) {
      const at = Math.min(Math.max(y, 12), height - 12);
      const free = columns.map((column) => (column.length ? column[column.length - 1].handleAt + HANDLE_PX : 0));
      const column = free.findIndex((from) => from <= at);
      const taken = column === -1 ? free.indexOf(Math.min(...free)) : column; // where all are full, below what stands there
      columns[taken].push({ drawn, y, at, handleAt: Math.max(at, free[taken]) });
    }
    columns.forEach((column, number) => {
      let lowest = height - 12;
      for (const { drawn, y, at, handleAt } of column.reverse()) {
        const stands = Math.min(handleAt, lowest);
        lowest = stands - HANDLE_PX;
        this.#put(drawn, at, stands - at, number, at > y ? "↑ " : at < y ? "↓ " : "");
      }
    });
  }

  /** @param {Drawn} drawn @param {number} y @param {number} off how far below its line the handle stands @param {number} column @param {string} arrow */
  #put(drawn, y, off, column, arrow) {
    const { line, handle, text, level, dragged, refusal } = drawn;
    const top = `${Math.round(y)}px`; // no transform: a line would then hide the handles before it
    if (line.style.top !== top) line.style.top = top;
    const left = `${8 + column * COLUMN_PX}px`;
    if (handle.style.left !== left) handle.style.left = left;
    const moved = off ? `translateY(${Math.round(off)}px)` : "";
    if (handle.style.transform !== moved) handle.style.transform = moved;
    mark(line, "low", String(y > this.height / 2));
    mark(line, "pinned", String(arrow !== ""));
    mark(handle, "refused", String(refusal !== ""));
    if (dragged === null) write(text, refusal || arrow + level.text);
    if (level.slider) {
      const value = show(standing(drawn), level.decimals);
      if (handle.getAttribute("aria-valuetext") !== value) {
        handle.setAttribute("aria-valuetext", value);
        handle.setAttribute("aria-valuenow", value);
      }
    }
  }

  /** @param {Level} level */
  #draw(level) {
    const text = make("span");
    const handle = make("div", { class: "handle" }, text);
    const line = make("div", { class: "level", "data-kind": level.kind, "data-key": level.key }, handle);
    /** @type {Drawn} */
    const drawn = { line, handle, text, level, dragged: null, asked: null, refusal: "" };
    if (level.action) {
      const label = `${level.action.label} ${level.text.split(" ").slice(0, 2).join(" ")}`;
      handle.append(make("button", { type: "button", "aria-label": label, click: () => drawn.level.action?.run() }, level.action.label));
    }
    if (level.slider) this.#hold(drawn);
    this.#drawn.set(level.key, drawn);
    this.layer.append(line);
  }

  /** A handle that a mouse, a finger or the arrow keys move. @param {Drawn} drawn */
  #hold(drawn) {
    const { handle, text } = drawn;
    const attributes = { role: "slider", tabindex: "0", "aria-label": drawn.level.slider?.label ?? "", "aria-orientation": "vertical", "aria-valuemin": "0", "aria-valuemax": "1000000000" };
    for (const [name, value] of Object.entries(attributes)) handle.setAttribute(name, value);
    const over = (/** @type {bigint} */ price) => {
      drawn.dragged = price > 0n ? price : 1n;
      drawn.refusal = "";
      const said = drawn.level.slider?.over(drawn.dragged) ?? "";
      write(text, said);
      this.place();
    };
    const drop = async () => {
      const { dragged } = drawn;
      drawn.dragged = null;
      if (dragged === null) return;
      drawn.asked = { to: dragged, from: drawn.level.price, until: performance.now() + ASKED_MS };
      setTimeout(() => this.place(), ASKED_MS);
      const refusal = await drawn.level.slider?.drop(dragged);
      if (!refusal) return;
      drawn.asked = null; // it stands where it was, and says why
      drawn.refusal = refusal;
      this.place();
      setTimeout(() => {
        if (drawn.refusal === refusal) drawn.refusal = "";
        this.place();
      }, REFUSAL_MS);
    };
    handle.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      handle.setPointerCapture(event.pointerId);
      const above = event.clientY - handle.getBoundingClientRect().top - handle.clientHeight / 2;
      const move = (/** @type {PointerEvent} */ moved) => {
        const at = this.scale.priceAt(moved.clientY - above - this.layer.getBoundingClientRect().top);
        if (at !== null) over(scaled(at, drawn.level.decimals));
      };
      handle.addEventListener("pointermove", move);
      handle.addEventListener("lostpointercapture", () => {
        handle.removeEventListener("pointermove", move);
        void drop();
      }, { once: true });
    });
    handle.addEventListener("keydown", (event) => {
      const from = standing(drawn);
      const step = (from / STEPS || 1n) * (event.shiftKey ? 10n : 1n);
      if (event.key === "ArrowUp" || event.key === "ArrowDown") {
        event.preventDefault();
        over(event.key === "ArrowUp" ? from + step : from - step);
      } else if (event.key === "Enter" && drawn.dragged !== null) void drop();
      else if (event.key === "Escape") {
        drawn.dragged = null;
        this.place();
      }
    });
    handle.addEventListener("keyup", (event) => {
      if (event.key.startsWith("Arrow")) void drop();
    });
  }
}

/** Where it stands: as dragged; then as asked for, until the exchange has moved it or had its time. @param {Drawn} drawn */
function standing({ dragged, asked, level }) {
  if (dragged !== null) return dragged;
  return asked && asked.from === level.price && performance.now() < asked.until ? asked.to : level.price;
}

/** From a pixel's price to the asset's decimals. @param {number} price @param {number} decimals */
function scaled(price, decimals) {
  const places = placesOf(price, decimals);
  return BigInt(Math.round(price * 10 ** places)) * 10n ** BigInt(decimals - places);
}
