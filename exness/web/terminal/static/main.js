// Makes everything and passes it on. Nothing else knows all the parts.

import { Account } from "./account.js";
import { Api } from "./api.js";
import { Change } from "./change.js";
import { CHANNELS, INTERVALS } from "./frames.js";
import { ChartView } from "./chart-view.js";
import { Events } from "./events.js";
import { Header, THEMES } from "./header.js";
import { History } from "./history.js";
import { Keys } from "./keys.js";
import { Lab } from "./lab.js";
import { Markets } from "./markets.js";
import { Net } from "./net.js";
import { Notices } from "./notices.js";
import { Orders } from "./orders.js";
import { Painter } from "./paint.js";
import { Rates } from "./rates.js";
import { Requests } from "./requests.js";
import { Sheet } from "./sheet.js";
import { SignIn } from "./signin.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";
import { Tabs } from "./tabs.js";
import { Ticket } from "./ticket.js";
import { Tickets } from "./tickets.js";
import { Trades } from "./trades.js";
import { TrailingLevels } from "./trailing.js";

const CHOICE = "exness.choice";
const CLOCK_MS = 1000;

/**
 * @typedef {object} Facts what the server says of itself in the page
 * @property {string} version
 * @property {string} feed
 * @property {boolean} simulated
 * @property {"none" | "money" | "market"} dev
 * @property {string} execution
 * @property {string} calls
 * @property {string} email
 */

/** @returns {Facts} */
function readFacts() {
  const { version = "", feed = "", simulated, dev = "none", execution = "mid", calls = "", email = "" } = document.documentElement.dataset;
  return { version, feed, simulated: simulated === "true", dev: /** @type {Facts["dev"]} */ (dev), execution, calls, email };
}

/** What the user chose the last time, as far as it still makes sense. @returns {import("./store.js").Choice} */
function remembered() {
  const choice = { asset: "SOL", interval: "1m", theme: "system", zone: "utc", keys: true };
  try {
    const kept = JSON.parse(localStorage.getItem(CHOICE) ?? "{}");
    if (typeof kept.asset === "string") choice.asset = kept.asset;
    if (INTERVALS.includes(kept.interval)) choice.interval = kept.interval;
    if (THEMES.includes(kept.theme)) choice.theme = kept.theme;
    if (kept.zone === "local") choice.zone = kept.zone;
    if (kept.keys === false) choice.keys = false;
  } catch {
    // nothing is remembered, or what is can't be read
  }
  return choice;
}

/** @param {import("./store.js").Store} store */
function remember(store) {
  try {
    localStorage.setItem(CHOICE, JSON.stringify(store.choice));
  } catch {
    // then not
  }
}

/** @param {string} path relative to the page, so that it is right below any prefix @param {boolean} [stream] */
function address(path, stream = false) {
  const url = new URL(path, document.baseURI);
  if (stream) url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

function start() {
  const facts = readFacts();
  const store = new Store(remembered());
  store.email = facts.email;
  store.execution = facts.execution;
  const api = new Api(store, address("api/v1"), facts.calls);
  const channels = [CHANNELS.trades, CHANNELS.account, ...(api.has("GET:/order/open") ? [CHANNELS.orders] : [])];
  const outside = {
    open: (/** @type {string} */ url) => new WebSocket(url),
    now: () => performance.now(),
    later: (/** @type {() => void} */ run, /** @type {number} */ ms) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    random: Math.random,
  };
  const stream = new Stream(store, address("api/v1/stream", true), outside, channels);
  if (facts.dev === "market") stream.optionalChannels = [CHANNELS.clock];
  const notices = new Notices(store);
  const signIn = new SignIn(store, api, stream, facts);
  const ticket = new Ticket(store, api);
  const tickets = new Tickets(store, api, ticket);
  const trades = new Trades(store, api, notices);
  const net = new Net(store, api, notices);
  const change = new Change(store, api);
  net.onChange = trades.onChange = (orderId) => change.open(orderId);
  const chart = new ChartView(store, api, stream, ticket, trades, notices);
  const history = new History(store, api);
  history.onChosen = (asset, at) => chart.show(asset, at);
  const lab = new Lab(store, api, chart, facts, (email) => signIn.as(email));
  new Tabs(store);
  new Sheet(tickets);
  new Keys(store, tickets, trades, lab);
  const painter = new Painter(store);
  painter.add(
    new Header(store, stream, facts), new Markets(store), signIn, tickets, trades, net, change, new TrailingLevels(store, api), new Orders(store, api, notices), notices, chart, history,
    new Account(store, api), new Events(store), new Requests(store, api), lab, new Rates(store, api, facts), { paint: (keys) => void (keys.has("choice") && remember(store)) },
  );

  api.onSignedOut = () => signIn.gone();
  stream.onSynced = (resumed) => {
    if (!resumed) store.ended.clear();
    store.touch("candles", "ended");
    if (store.email) void history.remember();
  };
  for (const event of ["online", "pageshow"]) addEventListener(event, () => stream.check());
  document.addEventListener("visibilitychange", () => void (document.hidden || stream.check()));
  setInterval(() => store.touch("tick"), CLOCK_MS);

  store.touch("session", "choice", "choice.theme", "choice.zone", "connection", "trades", "clock", "lab");
  painter.now();
  stream.start();
  void loadAssets(store, api);
}

/** @param {import("./store.js").Store} store @param {import("./api.js").Api} api */
async function loadAssets(store, api) {
  const answered = await api.get("/supportedAssets", false);
  if (!answered.ok) {
    setTimeout(() => void loadAssets(store, api), CLOCK_MS);
    return;
  }
  for (const asset of answered.body.assets) store.assets.set(asset.symbol, asset);
  if (!store.assets.has(store.choice.asset)) store.choose({ asset: answered.body.assets[0].symbol });
  store.touch("assets", "candles", "choice.asset");
}

start();
