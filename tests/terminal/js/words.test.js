import assert from "node:assert/strict";
import test from "node:test";

import { Api, Intent, newId, pythonOf } from "../../../exness/web/terminal/static/api.js";
import { hundredthsOf, plain } from "../../../exness/web/terminal/static/form.js";
import { drawdown } from "../../../exness/web/terminal/static/account.js";
import { asFraction, asPercent } from "../../../exness/web/terminal/static/rates.js";
import { ratesCalls } from "../../../exness/web/terminal/static/recorder.js";
import { PRESETS, presetPoints } from "../../../exness/web/terminal/static/presets.js";

const api = new Api({ email: "ann@example.com" }, "http://localhost:8002/api/v1", "POST:/trade/create GET:/prices");

test("a command names the token and never holds one", () => {
  const request = { method: "POST", path: "/trade/create", body: { asset: "SOL", margin: "1'0" } };
  assert.equal(
    api.asCurl(request),
    "TOKEN=$(python -m exness token ann@example.com)\ncurl -s -X POST 'http://localhost:8002/api/v1/trade/create' \\\n" +
      "  -H \"Authorization: Bearer $TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  -d '{\"asset\":\"SOL\",\"margin\":\"1'\\''0\"}'\n",
  );
  assert.ok(api.asPython(request).includes("os.environ['TOKEN']"));
  assert.ok(!api.asCurl({ method: "GET", path: "/prices" }).includes("TOKEN"));
});

test("what a server has is known without asking it", () => {
  assert.deepEqual([api.has("POST:/trade/create"), api.has("POST:/trade/quote"), api.has("GET:/trade/create")], [true, false, false]);
});

test("data is written as Python writes it", () => {
  assert.equal(pythonOf({ a: [1, true, null, "x\"y"], b: false }), '{"a": [1, True, None, "x\\"y"], "b": False}');
});

test("ids are new each time", () => {
  assert.match(newId(), /^web-[0-9a-f]{32}$/);
  assert.notEqual(newId(), newId());
});

test("the deepest fall is from a height before it", () => {
  assert.equal(drawdown([100n, 120n, 90n, 130n, 110n]), 30n);
  assert.equal(drawdown([]), 0n);
});

test("presets end where they say, never fall in time and never touch zero", () => {
  for (const name of Object.keys(PRESETS).filter((each) => each !== "stale")) {
    const points = presetPoints(name, 200_000000n, 1000, 10);
    assert.ok(points.length >= 1 && points.length <= 400);
    points.reduce((before, { offset, price }) => {
      assert.ok(offset >= before && price > 0n);
      return offset;
    }, 0);
  }
  assert.equal(presetPoints("crash", 200_000000n, 1000, 10).at(-1).price, 180_000000n);
  assert.equal(presetPoints("pump", 200_000000n, 1000, 10).at(-1).price, 220_000000n);
  assert.equal(presetPoints("wick", 200_000000n, 1000, 10).at(-1).price, 200_000000n);
  assert.ok(presetPoints("crash", 1n, 9999, 10).every(({ price }) => price === 1n));
});

test("what is asked for keeps its id while nobody knows what came of it, and no longer", () => {
  const intent = new Intent();
  const { id } = intent;
  for (const status of [0, 500, 504]) intent.settle({ ok: false, status, body: {} });
  assert.equal(intent.id, id);
  for (const answered of [{ ok: true, status: 200 }, { ok: false, status: 422 }, { ok: false, status: 503 }]) {
    const before = intent.id;
    intent.settle({ ...answered, body: {} });
    assert.notEqual(intent.id, before);
  }
});

test("percentages go out in whole hundredths, and what is none is left to the server", () => {
  assert.deepEqual(["1", "2.5", "0.01", "lots", "1.234", ""].map(hundredthsOf), [100, 250, 1, "lots", "1.234", ""]);
  assert.deepEqual(["100.000000", "0.500", "100", "10"].map(plain), ["100", "0.5", "100", "10"]);
});

test("rates are shown in percent and go out as the fractions they are, to the digit", () => {
  assert.deepEqual(["0.00050000", "0.00000001", "0.00000000", "-0.00012500", "feed"].map(asPercent), ["0.05", "0.000001", "0", "-0.0125", "feed"]);
  assert.deepEqual([[{ floor: "0.000000", rate: "0.01000000" }], [{}, {}]].map(asPercent), ["1", "2 tiers"]);
  assert.deepEqual(["0.05", "0.000001", "-0.0125", "lots", "0.0000001"].map(asFraction), ["0.00050000", "0.00000001", "-0.00012500", "lots", "0.0000001"]);
});

test("a recording begins with the rates there were: the profile, and what was given over it", () => {
  const told = (source, value) => ({ source, value });
  const rates = { SOL: { taker: told("dev", "0.001"), fundingRateShort: told("dev", null), maker: told("default", "0") }, BTC: { taker: told("a page", "0.0005") } };
  assert.deepEqual(ratesCalls({ profile: "binance", rates }), [["/dev/profile", { profile: "binance" }], ["/dev/rates/SOL", { taker: "0.001" }]]);
  assert.deepEqual(ratesCalls({ profile: "", rates: { BTC: rates.BTC } }), []);
  assert.deepEqual(ratesCalls(null), []);
});
