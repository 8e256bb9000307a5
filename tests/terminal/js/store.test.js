import assert from "node:assert/strict";
import test from "node:test";

import { Store } from "../../../exness/web/terminal/static/store.js";

const CHOICE = { asset: "SOL", interval: "1m", theme: "system", zone: "utc", keys: true };
const AT = "2026-01-31T09:15:02.123456Z";

const frame = (channel, seq, type, data, at = AT) => ({ channel, seq, at, type, data });
const opened = (seq, orderId, asset = "SOL") =>
  frame("trades", seq, "opened", { orderId, asset, type: "long", margin: "100.000000", leverage: 10, entryPrice: "200.000000", liquidationPrice: "180.000000", createdAt: AT });
const ended = (seq, orderId, type = "closed") =>
  frame("trades", seq, type, { orderId, asset: "SOL", closePrice: "190.000000", pnl: "-50.000000", returned: "50.000000", liquidated: type === "liquidated", closedAt: AT });
const balance = (seq, text, openTrades) => frame("account", seq, "balance", { balance: text, lockedMargin: "0.000000", openTrades });

/** All that a page shows of an account. */
const seen = (store) => ({
  trades: [...store.trades.keys()], account: store.account, ended: [...store.ended.keys()], events: store.events.map(({ id }) => id), seqs: store.seqs,
});

const TOLD = [
  frame("trades", 10, "snapshot", []), frame("account", 10, "snapshot", { balance: "5000.000000", lockedMargin: "0.000000", openTrades: 0 }),
  opened(11, "a"), balance(11, "4900.000000", 1), opened(14, "b"), balance(14, "4800.000000", 2), ended(17, "a"), balance(17, "4850.000000", 1),
  ended(20, "b", "liquidated"), balance(20, "4850.000000", 0),
];

test("frames in order give trades, balance, ends and a log", () => {
  const store = new Store(CHOICE);
  const ends = [];
  store.endWatchers.push((each) => ends.push([each.orderId, each.liquidated, each.leverage]));
  TOLD.forEach((each) => store.apply(each));
  assert.deepEqual(seen(store), {
    trades: [],
    account: { balance: "4850.000000", lockedMargin: "0.000000", openTrades: 0 },
    ended: ["a", "b"],
    events: [
      "trades.11.opened.a", "account.11.balance.", "trades.14.opened.b", "account.14.balance.", "trades.17.closed.a", "account.17.balance.",
      "trades.20.liquidated.b", "account.20.balance.",
    ],
    seqs: { trades: 20, account: 20 },
  });
  assert.deepEqual(ends, [["a", false, 10], ["b", true, 10]]);
});

test("what a resume tells twice changes nothing, wherever it begins", () => {
  const once = new Store(CHOICE);
  TOLD.forEach((each) => once.apply(each));
  for (let from = 2; from < TOLD.length; from++) {
    for (let cut = from; cut <= TOLD.length; cut++) {
      const store = new Store(CHOICE);
      const alerts = [];
      store.endWatchers.push(({ orderId }) => alerts.push(orderId));
      TOLD.slice(0, cut).forEach((each) => store.apply(each));
      TOLD.slice(from).forEach((each) => store.apply(each));
      assert.deepEqual(seen(store), seen(once), `told again from ${from} after ${cut}`);
      assert.deepEqual(alerts, ["a", "b"], "nobody is told of an end twice");
    }
  }
});

test("a page that goes on after the lower seq misses nothing", () => {
  const store = new Store(CHOICE);
  assert.equal(store.resume, null);
  TOLD.slice(0, 3).forEach((each) => store.apply(each)); // trades are at 11, the account at 10
  assert.equal(store.resume, 10);
  store.apply(frame("control", 30, "pong", null));
  assert.equal(store.resume, 30);
});

test("a snapshot takes the place of all there was", () => {
  const store = new Store(CHOICE);
  TOLD.slice(0, 4).forEach((each) => store.apply(each));
  store.apply(frame("trades", 3, "snapshot", [opened(2, "z").data]));
  assert.deepEqual([...store.trades.keys()], ["z"]);
  assert.equal(store.seqs.trades, 3, "of a journal that begins anew");
});

test("of somebody else nothing stays, and the choice does", () => {
  const store = new Store(CHOICE);
  TOLD.forEach((each) => store.apply(each));
  store.apply(frame("prices", 1, "snapshot", { SOL: { asset: "SOL", decimal: 6, mark: "200.000000" } }));
  store.forget("bob@example.com");
  assert.deepEqual(seen(store), { trades: [], account: null, ended: [], events: [], seqs: {} });
  assert.equal(store.email, "bob@example.com");
  assert.equal(store.market.get("SOL").mark, "200.000000", "prices are everybody's");
  assert.equal(store.resume, null);
});

test("prices say which way they went, and only what changed is dirty", () => {
  const store = new Store(CHOICE);
  const price = (mark) => frame("prices", 1, "price", { asset: "SOL", decimal: 6, mark, bid: mark, ask: mark, state: "live" });
  store.apply(price("200.000000"));
  store.taken();
  store.apply(price("201.000000"));
  assert.deepEqual([...store.taken()].sort(), ["market", "market.SOL"]);
  assert.equal(store.market.get("SOL").direction, 1);
  store.apply(price("199.000000"));
  assert.equal(store.market.get("SOL").direction, -1);
});

test("an older candle never takes the place of a newer one", () => {
  const store = new Store(CHOICE);
  const candle = (start) => frame("candles.1m.SOL", 1, "candle", { start });
  store.apply(candle("2026-01-31T09:16:00.000000Z"));
  store.apply(candle("2026-01-31T09:15:00.000000Z"));
  assert.equal(store.candles.get("candles.1m.SOL").start, "2026-01-31T09:16:00.000000Z");
  store.apply(frame("candles.1m.SOL", 2, "snapshot", null));
  assert.equal(store.candles.size, 1, "null says that there is none yet");
});

test("logs are bounded", () => {
  const store = new Store(CHOICE);
  for (let seq = 1; seq <= 1500; seq++) store.apply(balance(seq, String(seq), 0));
  assert.equal(store.events.length, 1000);
  assert.equal(store.events[999].seq, 1500);
  for (let id = 0; id < 500; id++) store.logRequest({ id });
  assert.equal(store.requests.length, 200);
});

test("changes of a trade, and waiting orders, are taken in where a server has them", () => {
  const store = new Store(CHOICE);
  store.apply(opened(1, "a"));
  store.apply(frame("trades", 2, "changed", { orderId: "a", why: "margin", margin: "150.000000" }));
  assert.deepEqual([store.trades.get("a").margin, store.trades.get("a").entryPrice], ["150.000000", "200.000000"]);
  store.apply(frame("orders", 3, "snapshot", [{ orderId: "o", kind: "limit" }]));
  store.apply(frame("orders", 4, "amended", { orderId: "o", limitPrice: "190.000000" }));
  assert.deepEqual(store.orders.get("o"), { orderId: "o", kind: "limit", limitPrice: "190.000000" });
  store.apply(frame("orders", 5, "ended", { orderId: "o" }));
  assert.equal(store.orders.size, 0);
});

test("the exchange's time is the newest frame's, or goes on from where a hand has put it, as fast as it runs", () => {
  const store = new Store(CHOICE);
  const clock = (now, paused, speed) => frame("clock", 1, "clock", { now, paused, speed, scriptLeft: 0 }, now);
  assert.ok(Number.isNaN(store.timeAt(0)));
  store.apply(balance(1, "1.000000", 0));
  assert.equal(store.timeAt(99_999), Date.parse(AT));
  store.apply(clock("2026-01-31T10:00:00.000000Z", false, 60), 1000);
  assert.equal(new Date(store.timeAt(3000)).toISOString(), "2026-01-31T10:02:00.000Z");
  store.apply(clock("2026-01-31T10:05:00.000000Z", true, 60), 4000);
  assert.equal(new Date(store.timeAt(9000)).toISOString(), "2026-01-31T10:05:00.000Z");
  store.setClock(null, 0);
  assert.equal(new Date(store.timeAt(9000)).toISOString(), "2026-01-31T10:05:00.000Z", "the newest frame's again");
});

test("an exit that is an order is gone with its trade, and other orders stay", () => {
  const store = new Store(CHOICE);
  store.apply(opened(1, "a"));
  for (const [orderId, closes] of [["x", "a"], ["y", "b"], ["z", undefined]]) store.apply(frame("orders", 2, "placed", { orderId, closes, asset: "SOL" }));
  store.taken();
  store.apply(ended(3, "a"));
  assert.deepEqual([...store.orders.keys()], ["y", "z"]);
  assert.ok(store.taken().has("orders"));
});

test("the net position of an asset is the trade that says so, and a part that was closed leaves the rest of it", () => {
  const store = new Store(CHOICE);
  store.apply(opened(1, "a"));
  assert.equal(store.netIn("SOL"), null);
  store.apply(frame("trades", 2, "opened", { orderId: "n", asset: "SOL", net: true, quantity: "2.000" }));
  store.apply(frame("trades", 3, "reduced", { orderId: "n", asset: "SOL", pnl: "1.000000", trade: { orderId: "n", asset: "SOL", net: true, quantity: "0.500" } }));
  assert.equal(store.netIn("SOL").quantity, "0.500");
  assert.equal(store.netIn("BTC"), null);
  assert.equal(store.trades.size, 2);
});
