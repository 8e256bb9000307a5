import assert from "node:assert/strict";
import test from "node:test";

import { exitLevels, orderLevels } from "../../../exness/web/terminal/static/waiting.js";

/** What a page would hold, with a server that refuses what is below 100. */
function held(orders = []) {
  const asked = [];
  const said = [];
  return {
    asked,
    said,
    store: { orders: new Map(orders.map((row) => [row.orderId, row])), touch: () => {} },
    api: {
      post: async (path, body) => {
        asked.push([path, body]);
        const refused = Object.values(body).some((value) => Number(value) < 100);
        return refused ? { ok: false, body: { message: "It would be due at once" } } : { ok: true, body: {} };
      },
    },
    say: (text) => said.push(text),
    pnlAt: (at) => `${at}`,
  };
}

test("exits are levels that are dragged, removed, and put back with the server's sentence", async () => {
  const page = held();
  const row = { orderId: "a", type: "long", leverage: 10, takeProfit: "220.000000", stopLoss: "190.000000" };
  const levels = exitLevels(page, [row, { orderId: "b", type: "short", leverage: 2, takeProfit: null }], 6);
  assert.deepEqual(levels.map(({ key, kind, price, text }) => [key, kind, price, text]), [
    ["take-profit.a", "take-profit", 220000000n, "take profit 220.00"], ["stop-loss.a", "stop-loss", 190000000n, "stop loss 190.00"],
  ]);
  assert.equal(levels[0].slider.over(221000000n), "take profit 221.00, PnL 221000000");
  levels[0].slider.drop(221000000n);
  levels[1].action.run();
  assert.equal(await levels[1].slider.drop(90000000n), "It would be due at once", "for its line");
  await new Promise((done) => setTimeout(done));
  assert.deepEqual(page.asked, [
    ["/trade/exits", { orderId: "a", takeProfit: "221.000000" }], ["/trade/exits", { orderId: "a", stopLoss: null }],
    ["/trade/exits", { orderId: "a", stopLoss: "90.000000" }],
  ]);
  assert.ok(page.said.every((text) => text === "It would be due at once"));
});

test("orders are levels of their own asset, which amend and cancel", async () => {
  const page = held([
    { orderId: "o", asset: "SOL", type: "long", limitPrice: "180.000000", stopPrice: null }, { orderId: "p", asset: "BTC", type: "long", limitPrice: "1.0" },
  ]);
  const [level, ...others] = orderLevels(page, "SOL", 6);
  assert.equal(others.length, 0);
  assert.equal(level.text, "limit long 180.00");
  level.slider.drop(181000000n);
  level.action.run();
  await new Promise((done) => setTimeout(done));
  assert.deepEqual(page.asked, [["/order/amend", { orderId: "o", limitPrice: "181.000000" }], ["/order/cancel", { orderId: "o" }]]);
});

test("a trailing stop is a level once it stands, which nobody drags", async () => {
  const page = held();
  const row = { orderId: "a", type: "long", leverage: 10, trailingStop: { percent: 100, level: "198.000000" } };
  const [level] = exitLevels(page, [row], 6);
  assert.deepEqual([level.key, level.price, level.text, level.slider], ["trailing.a", 198_000_000n, "trailing stop 198.00", undefined]);
  level.action.run();
  assert.deepEqual(page.asked, [["/trade/exits", { orderId: "a", trailingStop: null }]]);
  assert.deepEqual(exitLevels(page, [{ ...row, trailingStop: { percent: 100, level: null } }], 6), []);
});
