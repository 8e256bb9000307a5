// One WebSocket as a table of states: it resumes after breaks, backs off, and knows by the age of the last frame whether
// anybody is still there. A socket that stays open in silence is as dead as a closed one.

import { CHANNELS, CLOSE } from "./frames.js";

const QUIET_MS = 2000;
const PONG_MS = 1500;
const OPEN_MS = 3000;
const CHECK_MS = 500;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5000;
const SHOWN_QUIET_MS = 2600;
const OPTIONAL = "optional";

/**
 * @typedef {object} Outside what a stream needs of its surroundings, so that tests can be them
 * @property {(url: string) => WebSocket} open
 * @property {() => number} now milliseconds
 * @property {(run: () => void, ms: number) => () => void} later returns what calls it off
 * @property {() => number} random 0 to 1
 */

export class Stream {
  #store;
  #url;
  #outside;
  /** @type {Set<string>} */
  #publicChannels = new Set([CHANNELS.prices]);
  /** @type {WebSocket | null} */
  #socket = null;
  #attempts = 0;
  #lastFrameAt = 0;
  #pingedAt = 0;
  #openedAt = 0;
  /** @type {() => void} */
  #retry = () => {};
  /** Those that a server may not have: without them the rest is told all the same. @type {string[]} */
  optionalChannels = [];
  /** Called when the stream has told all there is. @type {(resumed: boolean) => void} */
  onSynced = () => {};
  /** Called when the session has ended. @type {() => void} */
  onSignedOut = () => {};
  /** Called when the exchange was reset. @type {() => void} */
  onReset = () => {};

  /**
   * @param {import("./store.js").Store} store
   * @param {string} url
   * @param {Outside} outside
   * @param {string[]} privateChannels those that the server has
   */
  constructor(store, url, outside, privateChannels) {
    this.#store = store;
    this.#url = url;
    this.#outside = outside;
    this.privateChannels = privateChannels;
  }

  start() {
    this.#connect();
    this.#watch();
  }

  /** Begin anew, as whoever is signed in now. */
  restart() {
    this.#attempts = 0;
    this.#leave();
    this.#connect();
  }

  /** Milliseconds since the last frame. */
  get age() {
    return this.#outside.now() - this.#lastFrameAt;
  }

  /** Look at once: the machine has woken, the page is seen again, the network is back. */
  check() {
    if (this.#store.connection.state === "down") {
      this.#attempts = 0;
      this.#connect();
    } else if (this.age > CHECK_MS) this.#ping();
  }

  /** @param {string[]} channels */
  listen(...channels) {
    const added = channels.filter((channel) => !this.#publicChannels.has(channel));
    for (const channel of added) this.#publicChannels.add(channel);
    if (added.length) this.#say({ op: "subscribe", channels: added });
  }

  /** @param {string[]} channels */
  ignore(...channels) {
    const dropped = channels.filter((channel) => this.#publicChannels.delete(channel));
    if (dropped.length) this.#say({ op: "unsubscribe", channels: dropped });
  }

  #connect() {
    this.#retry();
    this.#leave();
    const { now } = this.#outside;
    this.#openedAt = this.#lastFrameAt = now();
    this.#pingedAt = 0;
    if (this.#attempts === 0) this.#store.setConnection({ state: "connecting", since: now(), retryAt: 0 });
    /** @type {WebSocket} */
    let socket;
    try {
      socket = this.#outside.open(this.#url);
    } catch {
      this.#down();
      return;
    }
    this.#socket = socket;
    socket.onopen = () => this.#subscribe();
    socket.onmessage = (message) => this.#heard(JSON.parse(message.data));
    socket.onclose = (event) => {
      if (this.#socket === socket) this.#closed(event.code);
    };
  }

  #leave() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #subscribe() {
    const { resume, email } = this.#store;
    const channels = [...this.#publicChannels, ...(email ? this.privateChannels : [])];
    this.#store.setConnection({ state: "syncing" });
    this.#say({ op: "subscribe", id: "all", channels, ...(email && resume !== null ? { resume } : {}) });
  }

  /** @param {import("./frames.js").Frame & {id?: string}} frame */
  #heard(frame) {
    this.#lastFrameAt = this.#outside.now();
    this.#pingedAt = 0;
    const { state } = this.#store.connection;
    if (state === "quiet") this.#store.setConnection({ state: "live", since: this.#lastFrameAt });
    if (frame.channel !== "control") {
      this.#store.apply(frame, this.#lastFrameAt);
      return;
    }
    if (frame.type === "pong") this.#store.apply(frame);
    else if (frame.type === "subscribed" && state === "syncing") this.#synced(frame.data.resumed === true);
    else if (frame.type === "error" && frame.data.id === OPTIONAL) this.#store.setClock(null, 0);
    else if (frame.type === "error" && frame.data.code === "unauthorized") this.#signedOut();
  }

  /** @param {boolean} resumed */
  #synced(resumed) {
    this.#attempts = 0;
    this.#store.setConnection({ state: "live", since: this.#outside.now(), retryAt: 0 });
    if (this.optionalChannels.length) this.#say({ op: "subscribe", id: OPTIONAL, channels: this.optionalChannels });
    this.onSynced(resumed);
  }

  #signedOut() {
    this.#store.forget("");
    this.onSignedOut();
    this.restart();
  }

  /** @param {number} code */
  #closed(code) {
    this.#socket = null;
    if (code === CLOSE.sessionEnded) this.#signedOut();
    else if (code === CLOSE.reset) {
      this.#store.forget();
      this.#store.forgetCandles();
      this.onReset();
      this.restart();
    } else this.#down();
  }

  #down() {
    this.#leave();
    const { now, later, random } = this.#outside;
    const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#attempts) * (0.8 + 0.4 * random());
    const { state, since } = this.#store.connection;
    this.#attempts += 1;
    this.#store.setConnection({ state: "down", since: state === "down" ? since : now(), retryAt: now() + wait });
    this.#retry = later(() => this.#connect(), wait);
  }

  #watch() {
    const { now, later } = this.#outside;
    const { state } = this.#store.connection;
    if (state === "live" || state === "quiet") {
      if (this.#pingedAt && now() - this.#pingedAt > PONG_MS) this.#down();
      else if (this.age > SHOWN_QUIET_MS && state === "live") this.#store.setConnection({ state: "quiet", since: now() });
      else if (this.age > QUIET_MS && !this.#pingedAt) this.#ping();
    } else if (this.#socket && now() - this.#openedAt > OPEN_MS) this.#down();
    later(() => this.#watch(), CHECK_MS);
  }

  #ping() {
    if (this.#pingedAt) return;
    this.#pingedAt = this.#outside.now();
    this.#say({ op: "ping" });
  }

  /** @param {object} message */
  #say(message) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }
}
