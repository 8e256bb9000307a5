// What was clicked, as a pytest that passes as copied: on an exchange of its own whose clock stands still, with the prices and
// the balance that there were, and the figures that were seen as its asserts. Pure: requests in, text out.

import { USDC_DECIMALS, parse, show } from "./money.js";
import { pythonOf } from "./api.js";

const SKIPPED = ["/trade/quote", "/net/quote", "/signin", "/signup", "/logout"];
/** What an answer is held against, by path. @type {Record<string, string[]>} */
const ASSERTED = {
  "/trade/create": ["entryPrice", "liquidationPrice", "margin"],
  "/trade/close": ["closePrice", "pnl", "liquidated"],
  "/order/create": ["status"],
  "/order/cancel": ["status"],
  "/trade/exits": ["takeProfit", "stopLoss"],
  "/trade/exit": ["kind"],
  "/trade/margin": ["margin", "leverage", "liquidationPrice"],
  "/trade/leverage": ["margin", "leverage", "liquidationPrice"],
  "/net/order": ["status", "price", "pnl"],
  "/net/leverage": ["leverage"],
  "/dev/deposit": ["amount"],
};
/** Microseconds: what passes between two clicks is not told to the last. */
const LEAST_STEP = 1000;
const NUMBERED = ["/trade/create", "/order/create", "/trade/exit", "/net/order"];

/**
 * @typedef {object} Beginning
 * @property {string} email
 * @property {string} balance free, decimal text
 * @property {string} execution
 * @property {import("./frames.js").Price[]} prices
 * @property {any} [rates] as GET /rates answers
 */

export class Recorder {
  /** @type {import("./store.js").LoggedRequest[]} */
  #requests = [];
  /** @type {Beginning | null} */
  #beginning = null;
  /** @type {Map<string, import("./frames.js").Ended>} */
  #ended = new Map();

  get isOn() {
    return this.#beginning !== null;
  }

  /** @param {Beginning} beginning */
  start(beginning) {
    this.#beginning = beginning;
    this.#requests = [];
    this.#ended = new Map();
  }

  stop() {
    const text = this.text();
    this.#beginning = null;
    return text;
  }

  /** @param {import("./store.js").LoggedRequest} request that was answered @param {string} balance of now */
  note(request, balance) {
    if (!this.#beginning || request.status <= 0 || SKIPPED.some((path) => request.path.startsWith(path))) return;
    if (request.path === "/dev/reset" && request.status === 200) {
      this.start({ ...this.#beginning, prices: [], balance: "", rates: null }); // what was before is forgotten there, too
      return;
    }
    if (!this.#beginning.balance) this.#beginning.balance = before(request, balance);
    this.#requests.push({ ...request });
  }

  /** @param {import("./frames.js").Ended} ended */
  end(ended) {
    if (this.#beginning) this.#ended.set(ended.orderId, ended);
  }

  /** The test. */
  text() {
    const beginning = this.#beginning;
    if (!beginning) return "";
    const lines = [`        you = Client(http, token(${JSON.stringify(beginning.email)}))`, `        await you.call("POST", "/dev/clock", {"paused": True})`];
    for (const { asset, bid, ask } of beginning.prices) {
      if (bid && ask) lines.push(`        await you.call("PUT", "/dev/prices/${asset}", ${pythonOf(bid === ask ? { mid: bid } : { bid, ask })})`);
    }
    for (const [path, body] of ratesCalls(beginning.rates)) lines.push(`        await you.call("PUT", "${path}", ${pythonOf(body)})`);
    lines.push(...this.#steps());
    return [...head(beginning), ...lines, ""].join("\n");
  }

  #steps() {
    /** @type {Map<string, string>} the variable of each order */
    const names = new Map();
    /** @type {Map<string, string>} who placed it */
    const owners = new Map();
    /** @type {string[]} */
    const lines = [];
    let email = this.#beginning?.email ?? "";
    let at = 0; // up to here the test's clock has come, microseconds
    const stepTo = (/** @type {number} */ time) => {
      if (time > at) lines.push(`        await you.call("POST", "/dev/clock", {"step": "${show(BigInt(time - at), 6)}"})`);
      at = Math.max(at, time);
    };
    for (const request of this.#requests) {
      const answer = /** @type {any} */ (request.answer);
      const now = microseconds(timeOf(answer));
      if (now) {
        const before = now - stepped(request);
        at ||= before;
        if (before - at >= LEAST_STEP) stepTo(before);
        at += stepped(request);
      }
      lines.push(...this.#step(request, answer, names));
      if (request.path === "/dev/session" && request.status === 200) email = answer.email;
      for (const orderId of names.keys()) if (!owners.has(orderId)) owners.set(orderId, email);
    }
    const ends = [...names.keys()].flatMap((orderId) => this.#ended.get(orderId)?.closedAt ?? []);
    if (ends.length) stepTo(Math.max(...ends.map(microseconds)) + LEAST_STEP); // a script may have ended one after the last click
    return [...lines, ...this.#ends(names, owners)];
  }

  /** @param {import("./store.js").LoggedRequest} request @param {any} answer @param {Map<string, string>} names @returns {string[]} */
  #step(request, answer, names) {
    const { method, path } = request;
    if (path === "/dev/session") return [`        you = Client(http, token(${JSON.stringify(answer.email)}))`];
    if (path === "/dev/clock" && !(/** @type {any} */ (request.body)?.step)) return [`        # the clock: ${JSON.stringify(request.body)}; here it stands still and is stepped`];
    const body = bodyOf(request.body, names);
    if (body === null) return [`        # ${path}: of a trade from before the recording`];
    const call = `you.call(${[`"${method}"`, JSON.stringify(path), ...(body === "None" ? [] : [body])].join(", ")}`;
    if (request.status !== 200) return ["", `        refused = await ${call}, expect=${request.status})`, `        assert refused["code"] == ${JSON.stringify(request.code)}`];
    let name = "answer";
    if (NUMBERED.includes(path) && answer.orderId) {
      name = names.get(answer.orderId) ?? `trade_${names.size + 1}`;
      names.set(answer.orderId, name);
    }
    const fields = (path.startsWith("/dev/prices/") || path === "/dev/clock" ? ["liquidated"] : (ASSERTED[path] ?? [])).filter((each) => answer[each] !== undefined);
    const asserts = fields.map((field) => `        assert ${name}["${field}"] ${literal(answer[field])}`);
    return ["", `        ${fields.length || name !== "answer" ? `${name} = ` : ""}await ${call})`, ...asserts];
  }

  /** How each trade that was opened stands at the end. @param {Map<string, string>} names @param {Map<string, string>} owners */
  #ends(names, owners) {
    return [...new Set(owners.values())].flatMap((email) => {
      const lines = [...names].flatMap(([orderId, name]) => {
        const ended = this.#ended.get(orderId);
        if (!ended || owners.get(orderId) !== email) return [];
        const seen = pythonOf([ended.liquidated, ended.closePrice, ended.pnl]).replace(/^\[|\]$/g, "");
        return [`        row = closed[${name}["orderId"]]`, `        assert (row["liquidated"], row["closePrice"], row["pnl"]) == (${seen})`];
      });
      if (!lines.length) return [];
      return [
        "", ...(new Set(owners.values()).size > 1 ? [`        you = Client(http, token(${JSON.stringify(email)}))`] : []),
        "        history = await you.call(\"GET\", \"/trade/history?status=closed&limit=500\")", "        closed = {row[\"orderId\"]: row for row in history[\"data\"]}", ...lines,
      ];
    });
  }
}

/** What sets an exchange's rates as they were: a profile, and what was given over it. @param {any} told as GET /rates @returns {[string, object][]} */
export function ratesCalls(told) {
  if (!told) return [];
  /** @type {[string, object][]} */
  const calls = told.profile ? [["/dev/profile", { profile: told.profile }]] : [];
  for (const [asset, rates] of Object.entries(told.rates)) {
    const given = Object.entries(rates).filter(([, { value, source }]) => value !== null && ["dev", "configuration"].includes(source));
    if (given.length) calls.push([`/dev/rates/${asset}`, Object.fromEntries(given.map(([name, { value }]) => [name, value]))]);
  }
  return calls;
}

/** @param {import("./store.js").LoggedRequest} request @param {string} balance after it */
function before(request, balance) {
  const answer = /** @type {any} */ (request.answer);
  if (request.path !== "/trade/create" || request.status !== 200) return balance;
  const parts = [answer.balance, answer.margin, answer.commission ?? "0"].map((text) => parse(text, USDC_DECIMALS) ?? 0n);
  return show(parts[0] + parts[1] + parts[2], USDC_DECIMALS);
}

/** Order ids differ from run to run, ids of clients must not be known there. @param {unknown} body @param {Map<string, string>} names @returns {string | null} */
function bodyOf(body, names) {
  if (body === undefined || body === null) return "None";
  const fields = { .../** @type {Record<string, unknown>} */ (body) };
  delete fields.clientOrderId;
  if (fields.orderId === undefined) return pythonOf(fields);
  const name = names.get(String(fields.orderId));
  if (!name) return null;
  return pythonOf({ ...fields, orderId: "\u0000" }).replace('"\\u0000"', `${name}["orderId"]`);
}

/** @param {unknown} value */
function literal(value) {
  return value === true || value === false || value === null ? `is ${pythonOf(value)}` : `== ${pythonOf(value)}`;
}

/** The engine's time of an answer. @param {any} answer @returns {string} */
function timeOf(answer) {
  return answer?.at ?? answer?.now ?? answer?.createdAt ?? answer?.closedAt ?? "";
}

/** @param {import("./store.js").LoggedRequest} request microseconds that it stepped itself */
function stepped({ path, body }) {
  return path === "/dev/clock" ? Number(parse(/** @type {any} */ (body)?.step, 6) ?? 0n) : 0;
}

/** 0: there is none. @param {string} iso */
function microseconds(iso) {
  if (!iso) return 0;
  return Date.parse(`${iso.slice(0, 19)}Z`) * 1000 + Number(iso.slice(20, 26));
}

/** @param {Beginning} beginning */
function head({ balance, execution }) {
  const environment = [
    ...(balance ? [`"EXNESS_TRADING_INITIAL_BALANCE": "${balance}"`] : []),
    ...(execution === "mid" ? [] : [`"EXNESS_TRADING_EXECUTION": "${execution}"`]),
  ];
  return `"""Recorded in the terminal. Needs pytest, aiohttp and exness."""

import asyncio
import os
import subprocess
import sys

import aiohttp
import pytest

EXNESS = [sys.executable, "-m", "exness"]
SETTINGS = {**os.environ${environment.map((each) => `, ${each}`).join("")}}


@pytest.fixture
def exchange(tmp_path):
    """A fresh exchange with a manual feed on a free port: its address, and sessions by mail address."""
    data = ["--data-dir", str(tmp_path / "data")]

    def token(email):
        return subprocess.check_output([*EXNESS, "token", email, *data], text=True).strip()

    command = [*EXNESS, "serve", "--feed", "manual", "--dev-control", "--port", "0", *data]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=SETTINGS) as server:
        try:
            lines = iter(server.stdout.readline, "")
            yield next(line.split()[-1] for line in lines if line.startswith("listening on")), token
        finally:
            server.terminate()


class Client:
    """One account. Put your own client here."""

    def __init__(self, http, token):
        self.http, self.token = http, token

    async def call(self, method, path, body=None, expect=200):
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.request(method, f"/api/v1{path}", json=body, headers=headers) as response:
            assert response.status == expect, await response.text()
            return await response.json()


def test_recorded(exchange):
    asyncio.run(recorded(*exchange))


async def recorded(url, token):
    async with aiohttp.ClientSession(url) as http:`.split("\n");
}
