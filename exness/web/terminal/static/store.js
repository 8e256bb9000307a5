// All that is known, and the only way it changes: `apply` a frame, `put` what a request answered. No DOM, no clock, no
// network. Every change names its keys, and views paint by them. A frame that comes twice changes nothing.

import { CHANNELS } from "./frames.js";

const EVENTS_KEPT = 1000;
const ENDED_KEPT = 500;
const REQUESTS_KEPT = 200;

/**
 * @typedef {object} LoggedRequest
 * @property {number} id
 * @property {string} method
 * @property {string} path
 * @property {unknown} body
 * @property {number} status 0 while it waits, -1 when there was no answer
 * @property {string} code
 * @property {number} milliseconds
 * @property {string} requestId
 * @property {unknown} answer
 */

/**
 * @typedef {object} Connection
 * @property {"connecting" | "syncing" | "live" | "quiet" | "down"} state
 * @property {number} since milliseconds of the page's own clock
 * @property {number} retryAt 0: none is set
 */

/**
 * @typedef {object} Choice what the user has chosen of the view
 * @property {string} asset
 * @property {string} interval
 * @property {string} theme
 * @property {string} zone
 * @property {boolean} keys
 */

/**
 * @typedef {object} LoggedEvent
 * @property {number} seq
 * @property {string} at
 * @property {string} type
 * @property {string} id
 * @property {import("./frames.js").Frame} frame
 */

export class Store {
  /** @param {Choice} choice */
  constructor(choice) {
    /** @type {Map<string, import("./frames.js").Price & {direction: number}>} */
    this.market = new Map();
    /** What can be traded. @type {Map<string, {symbol: string, name: string, decimals: number, maxLeverage: number}>} */
    this.assets = new Map();
    /** @type {Map<string, import("./frames.js").Candle>} by channel */
    this.candles = new Map();
    /** @type {Map<string, import("./frames.js").TradeRow>} */
    this.trades = new Map();
    /** @type {Map<string, import("./frames.js").Ended>} newest last */
    this.ended = new Map();
    /** @type {Map<string, import("./frames.js").OrderRow>} */
    this.orders = new Map();
    /** The leverage of net positions, by asset. @type {Map<string, number>} */
    this.netLeverages = new Map();
    /** @type {import("./frames.js").Balance | null} */
    this.account = null;
    /** @type {LoggedEvent[]} newest last */
    this.events = [];
    /** @type {LoggedRequest[]} newest last */
    this.requests = [];
    /** @type {(import("./frames.js").Clock & {receivedAt: number}) | null} */
    this.clock = null;
    /** Time of the newest frame, as the server wrote it. */
    this.newest = "";
    /** @type {Connection} */
    this.connection = { state: "connecting", since: 0, retryAt: 0 };
    this.email = "";
    /** At which price orders are done: mid (the mark) or touch (bid and ask). */
    this.execution = "mid";
    /** The trade that keys and the lab are about. */
    this.selected = "";
    this.choice = choice;
    /** @type {Record<string, number>} the newest seq of each private channel */
    this.seqs = {};
    /** @type {Set<string>} */
    this.dirty = new Set();
    /** @type {(() => void)[]} */
    this.watchers = [];
    /** @type {((ended: import("./frames.js").Ended) => void)[]} */
    this.endWatchers = [];
    /** Of an order that waited and is filled, with the price. @type {((order: import("./frames.js").OrderRow, price: string) => void)[]} */
    this.fillWatchers = [];
  }

  /**
   * Say that something has changed.
   * @param {...string} keys
   */
  touch(...keys) {
    for (const key of keys) this.dirty.add(key);
    for (const watcher of this.watchers) watcher();
  }

  /** What has changed since this was last asked. */
  taken() {
    const { dirty } = this;
    this.dirty = new Set();
    return dirty;
  }

  /** Where to go on after a break; null: there is nothing to go on from. */
  get resume() {
    const seqs = Object.values(this.seqs);
    return seqs.length ? Math.min(...seqs) : null;
  }

  /**
   * @param {import("./frames.js").Frame} frame
   * @param {number} [heardAt] milliseconds of the page's own clock
   */
  apply(frame, heardAt = 0) {
    if (frame.at > this.newest) {
      this.newest = frame.at;
      this.dirty.add("time");
    }
    const { channel } = frame;
    if (channel === CHANNELS.prices) this.#applyPrices(frame);
    else if (channel.startsWith("candles.")) this.#applyCandle(frame);
    else if (channel === CHANNELS.clock) this.setClock(frame.data, heardAt);
    else if (channel in PRIVATE) this.#applyPrivate(frame);
    else if (frame.type === "pong") this.#applyPong(frame);
  }

  /** @param {import("./frames.js").Frame} frame */
  #applyPrices(frame) {
    const prices = frame.type === "snapshot" ? Object.values(frame.data) : [frame.data];
    for (const price of prices) {
      const before = this.market.get(price.asset);
      const direction = before?.mark && price.mark && before.mark !== price.mark
        ? Math.sign(Number(price.mark) - Number(before.mark))
        : (before?.direction ?? 0);
      this.market.set(price.asset, { ...price, direction });
      this.dirty.add(`market.${price.asset}`);
    }
    this.touch("market");
  }

  /** @param {import("./frames.js").Frame} frame */
  #applyCandle(frame) {
    if (frame.data === null) return;
    const before = this.candles.get(frame.channel);
    if (before && before.start > frame.data.start) return;
    this.candles.set(frame.channel, frame.data);
    this.touch(frame.channel);
  }

  /** A pong's seq: up to it this connection has been told everything. @param {import("./frames.js").Frame} frame */
  #applyPong(frame) {
    for (const channel of Object.keys(this.seqs)) this.seqs[channel] = Math.max(this.seqs[channel], frame.seq);
  }

  /** @param {import("./frames.js").Frame} frame */
  #applyPrivate(frame) {
    const { channel, type } = frame;
    // After a resume a channel that was ahead is told again what it has had: that must not undo what came later.
    if (type !== "snapshot" && frame.seq < (this.seqs[channel] ?? 0)) return;
    this.seqs[channel] = frame.seq;
    PRIVATE[channel](this, frame);
    if (type !== "snapshot") this.#log(frame);
    this.touch(channel);
  }

  /** @param {import("./frames.js").Frame} frame */
  #log(frame) {
    const id = `${frame.channel}.${frame.seq}.${frame.type}.${frame.data?.orderId ?? ""}`;
    for (let at = this.events.length - 1; at >= 0 && this.events[at].seq >= frame.seq; at--) {
      if (this.events[at].id === id) return;
    }
    this.events.push({ seq: frame.seq, at: frame.at, type: `${frame.channel} ${frame.type}`, id, frame });
    if (this.events.length > EVENTS_KEPT) this.events.shift();
    this.dirty.add("events");
  }

  /** The net position in an asset. @param {string} asset */
  netIn(asset) {
    for (const row of this.trades.values()) if (row.net && row.asset === asset) return row;
    return null;
  }

  /** @param {import("./frames.js").Frame} frame how a trade ended */
  end(frame) {
    const row = this.trades.get(frame.data.orderId);
    this.trades.delete(frame.data.orderId);
    for (const order of this.orders.values()) {
      if (order.closes !== frame.data.orderId) continue;
      this.orders.delete(order.orderId); // an exit that is gone with its trade is told of no more
      this.touch("orders");
    }
    const { orderId, asset, closePrice, pnl, liquidated, closedAt, reason } = frame.data;
    const known = this.ended.has(orderId);
    const ended = {
      orderId, asset, closePrice, pnl, liquidated, closedAt, reason,
      type: row?.type ?? null,
      leverage: row?.leverage ?? null,
      margin: row?.margin ?? null,
      entryPrice: row?.entryPrice ?? null,
      createdAt: row?.createdAt ?? null,
    };
    if (known && !row) return;
    this.keepEnded(ended);
    if (!known) for (const watcher of this.endWatchers) watcher(ended);
  }

  /** @param {import("./frames.js").Ended} ended */
  keepEnded(ended) {
    this.ended.set(ended.orderId, ended);
    if (this.ended.size > ENDED_KEPT) this.ended.delete(/** @type {string} */ (this.ended.keys().next().value));
    this.touch("ended");
  }

  /**
   * Of somebody else, or of an exchange that was reset, nothing stays.
   * @param {string} [email]
   */
  forget(email = this.email) {
    this.email = email;
    this.trades.clear();
    this.orders.clear();
    this.netLeverages.clear();
    this.ended.clear();
    this.account = null;
    this.events = [];
    this.seqs = {};
    if (!email) this.requests = [];
    this.touch("trades", "orders", "account", "ended", "events", "requests", "session");
  }

  /** Candles of an exchange that was reset are none. */
  forgetCandles() {
    this.candles.clear();
    this.touch("candles");
  }

  /** @param {import("./frames.js").Clock | null} clock null: nobody holds it @param {number} receivedAt milliseconds of the page's own clock */
  setClock(clock, receivedAt) {
    this.clock = clock && { ...clock, receivedAt };
    this.touch("clock");
  }

  /**
   * The exchange's own time in milliseconds since 1970; NaN while it is not known. A clock that a hand holds is told only when it is
   * moved, and goes on from there; else it is that of the newest frame.
   * @param {number} now milliseconds of the page's own clock
   */
  timeAt(now) {
    const { clock } = this;
    if (!clock) return Date.parse(this.newest);
    return Date.parse(clock.now) + (clock.paused ? 0 : (now - clock.receivedAt) * clock.speed);
  }

  /** @param {Partial<Connection>} changed */
  setConnection(changed) {
    this.connection = { ...this.connection, ...changed };
    this.touch("connection");
  }

  /** @param {Partial<Choice>} changed */
  choose(changed) {
    this.choice = { ...this.choice, ...changed };
    this.touch(...Object.keys(changed).map((key) => `choice.${key}`), "choice");
  }

  /** @param {LoggedRequest} request */
  logRequest(request) {
    if (!this.requests.includes(request)) this.requests.push(request);
    if (this.requests.length > REQUESTS_KEPT) this.requests.shift();
    this.touch("requests");
  }
}

/** What a frame of a private channel does. @type {Record<string, (store: Store, frame: import("./frames.js").Frame) => void>} */
const PRIVATE = {
  trades(store, { type, data, ...frame }) {
    switch (type) {
      case "snapshot":
        store.trades = new Map(data.map((/** @type {any} */ row) => [row.orderId, row]));
        break;
      case "closed":
      case "liquidated":
        store.end({ ...frame, type, data });
        break;
      case "opened":
        store.trades.set(data.orderId, data);
        break;
      default: {
        // increased, reduced, changed: the trade as it is after it
        const row = store.trades.get(data.orderId);
        if (row) store.trades.set(data.orderId, { ...row, ...(data.trade ?? data) });
      }
    }
  },
  account(store, { data }) {
    store.account = data;
  },
  orders(store, { type, data }) {
    if (type === "snapshot") store.orders = new Map(data.map((/** @type {any} */ row) => [row.orderId, row]));
    else if (type === "ended") {
      const row = store.orders.get(data.orderId);
      store.orders.delete(data.orderId);
      if (row && !row.closes && data.status === "filled") for (const watcher of store.fillWatchers) watcher(row, data.averagePrice);
    } else store.orders.set(data.orderId, { ...store.orders.get(data.orderId), ...data });
  },
};
