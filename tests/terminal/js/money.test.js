import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import * as money from "../../../exness/web/terminal/static/money.js";

const VECTORS = JSON.parse(readFileSync(process.env.VECTORS, "utf8"));

test("text and integers go both ways without a digit lost", () => {
  assert.equal(money.parse("5000.000000", 6), 5000000000n);
  assert.equal(money.parse("9223372036854.775807", 6), 9223372036854775807n);
  assert.equal(money.parse("-0.000001", 6), -1n);
  assert.equal(money.parse(10, 2), 1000n);
  assert.equal(money.parse("12.50", 1), 125n);
  assert.equal(money.show(-1n, 6), "-0.000001");
  assert.equal(money.show(5000000000n, 6), "5000.000000");
  assert.equal(money.show(7n, 0), "7");
  assert.equal(money.show(0n, 4), "0.0000");
});

test("what is no number of that many decimals is none", () => {
  for (const text of ["", " ", "x", "1e3", "0x10", "1.2.3", "1,000", "NaN", "Infinity", "--1", null, undefined, "1.0000001"]) {
    assert.equal(money.parse(text, 6), null, String(text));
  }
});

test("people read thousands apart, and prices without the zeros that say nothing", () => {
  assert.equal(money.brief("1234567.899999"), "1,234,567.89");
  assert.equal(money.brief("-1234.5"), "-1,234.50");
  assert.equal(money.brief(null), "–");
  assert.equal(money.brief("1234.5", 0), "1,234");
  assert.equal(money.price("200.000000"), "200.00");
  assert.equal(money.price("193.989060"), "193.98906");
  assert.equal(money.price(null), "–");
  assert.equal(money.rough("81202.4486"), "81,202.44");
  assert.equal(money.rough("176.345709"), "176.3457");
  assert.equal(money.rough("0.000012"), "0.000012");
});

test("pnl and percent are the core's, to the digit", () => {
  assert.ok(VECTORS.length >= 500);
  for (const { side, margin, leverage, entry, at, pnl, percent, line } of VECTORS) {
    const terms = { long: side === "long", margin: BigInt(margin), leverage: BigInt(leverage), entry: BigInt(entry), line: null };
    const gained = money.pnl(terms, BigInt(at));
    assert.equal(gained.toString(), pnl);
    assert.equal(money.percentOfMargin(gained, terms.margin).toString(), percent);
    const ofLine = { ...terms, line: { size: BigInt(line.size), cost: BigInt(line.cost), unit: BigInt(line.unit) } };
    assert.equal(money.pnl(ofLine, BigInt(at)).toString(), pnl, "the same by its line");
  }
});

test("a low price is drawn with the decimals that say something", () => {
  assert.deepEqual([[200, 6], [81000, 2], [0.5, 6], [0.00001234, 9], [0.00001234, 8], [-1, 6], [0, 6]].map(([at, decimals]) => money.placesOf(at, decimals)), [4, 2, 5, 9, 8, 4, 4]);
});

test("the middle of an odd spread goes to the even neighbour", () => {
  assert.deepEqual([[1n, 2n], [2n, 3n], [3n, 4n], [2n, 4n]].map(([bid, ask]) => money.middle(bid, ask)), [2n, 2n, 4n, 3n]);
});

test("a price that is moved stays above zero", () => {
  assert.equal(money.moved(200_000000n, -500), 190_000000n);
  assert.equal(money.moved(1n, -500), 1n);
});
