import assert from "node:assert/strict";
import test from "node:test";

import { Store } from "../../../exness/web/terminal/static/store.js";
import { Stream } from "../../../exness/web/terminal/static/stream.js";

/** A page whose clock, timers and sockets the test holds. */
class Page {
  constructor(email = "you@example.com") {
    this.now = 0;
    this.timers = [];
    this.sockets = [];
    this.store = new Store({ asset: "SOL" });
    this.store.email = email;
    const outside = {
      open: () => this.opened(),
      now: () => this.now,
      later: (run, ms) => {
        const timer = { at: this.now + ms, run };
        this.timers.push(timer);
        return () => void (this.timers = this.timers.filter((each) => each !== timer));
      },
      random: () => 0.5,
    };
    this.stream = new Stream(this.store, "ws://here", outside, ["trades", "account"]);
    this.synced = [];
    this.stream.onSynced = (resumed) => this.synced.push(resumed);
    this.stream.start();
  }

  opened() {
    const socket = { said: [], readyState: 0, closed: false, send: (text) => socket.said.push(JSON.parse(text)), close: () => void (socket.closed = true) };
    this.sockets.push(socket);
    return socket;
  }

  get socket() {
    return this.sockets.at(-1);
  }

  get state() {
    return this.store.connection.state;
  }

  pass(ms) {
    const until = this.now + ms;
    for (;;) {
      const next = this.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((each) => each !== next);
      this.now = next.at;
      next.run();
    }
    this.now = until;
  }

  hear(frame) {
    this.socket.onmessage({ data: JSON.stringify({ at: "", ...frame }) });
  }

  live(resumed = false) {
    this.socket.readyState = 1;
    this.socket.onopen();
    this.hear({ channel: "control", seq: 0, type: "subscribed", data: { channels: [], resumed } });
  }

  told(seq) {
    this.hear({ channel: "trades", seq, type: "snapshot", data: [] });
    this.hear({ channel: "account", seq, type: "snapshot", data: { balance: "1" } });
  }
}

test("it asks for everything at once, and is live when that is answered", () => {
  const page = new Page();
  assert.equal(page.state, "connecting");
  page.socket.readyState = 1;
  page.socket.onopen();
  assert.equal(page.state, "syncing");
  assert.deepEqual(page.socket.said, [{ op: "subscribe", id: "all", channels: ["prices", "trades", "account"] }]);
  page.live();
  assert.equal(page.state, "live");
  assert.deepEqual(page.synced, [false]);
});

test("who is not signed in asks for what is everybody's", () => {
  const page = new Page("");
  page.live();
  assert.deepEqual(page.socket.said[0].channels, ["prices"]);
});

test("a socket that stays open in silence is down within six seconds", () => {
  const page = new Page();
  page.live();
  page.pass(2500);
  assert.deepEqual(page.socket.said.at(-1), { op: "ping" });
  const { socket } = page;
  page.pass(1000);
  assert.equal(page.state, "quiet");
  page.pass(1500);
  assert.equal(page.state, "down");
  assert.ok(page.now <= 5000, "and a second for a busy machine");
  assert.ok(socket.closed);
});

test("a quiet market is no lost server: a pong is enough", () => {
  const page = new Page();
  page.live();
  for (let second = 0; second < 60; second++) {
    page.pass(1000);
    if (page.socket.said.at(-1).op === "ping") page.hear({ channel: "control", seq: 5, type: "pong", data: {} });
    assert.notEqual(page.state, "down");
  }
  assert.equal(page.sockets.length, 1);
});

test("after a break it goes on where it was, ever less often, and at once when somebody looks", () => {
  const page = new Page();
  page.live();
  page.told(41);
  page.socket.onclose({ code: 1006 });
  assert.equal(page.state, "down");
  const waits = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    const began = page.now;
    const { length } = page.sockets;
    while (page.sockets.length === length) page.pass(50);
    waits.push(page.now - began);
    page.socket.onclose({ code: 1006 });
    assert.equal(page.state, "down", "it is down until it is live again");
  }
  assert.deepEqual(waits, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  const { length } = page.sockets;
  page.stream.check();
  assert.equal(page.sockets.length, length + 1);
  page.live(true);
  assert.equal(page.socket.said[0].resume, 41);
  assert.deepEqual(page.synced, [false, true]);
});

test("a session that has ended leaves nothing on the page, and asks no more for it", () => {
  const page = new Page();
  page.live();
  page.told(41);
  let told = 0;
  page.stream.onSignedOut = () => told++;
  page.socket.onclose({ code: 4001 });
  assert.deepEqual([page.store.email, page.store.account, told], ["", null, 1]);
  page.live();
  assert.deepEqual(page.socket.said[0], { op: "subscribe", id: "all", channels: ["prices"] });
});

test("a cookie that is none any more is found out by the answer", () => {
  const page = new Page();
  page.socket.readyState = 1;
  page.socket.onopen();
  page.hear({ channel: "control", seq: 0, type: "error", data: { code: "unauthorized", message: "" } });
  assert.equal(page.store.email, "");
  assert.equal(page.sockets.length, 2);
});

test("after a reset there is nothing to go on from: it begins anew at once", () => {
  const page = new Page();
  page.live();
  page.told(41);
  let resets = 0;
  page.stream.onReset = () => resets++;
  page.socket.onclose({ code: 4010 });
  assert.deepEqual([page.store.email, page.store.account, resets], ["you@example.com", null, 1]);
  page.live();
  assert.equal(page.socket.said[0].resume, undefined);
});

test("who fell behind goes on with a resume", () => {
  const page = new Page();
  page.live();
  page.told(7);
  page.socket.onclose({ code: 4008 });
  page.pass(250);
  page.live(true);
  assert.equal(page.socket.said[0].resume, 7);
});

test("a server that takes the connection and never answers is given up", () => {
  const page = new Page();
  page.pass(6000);
  assert.ok(page.sockets[0].closed);
  assert.ok(page.sockets.length > 1);
});

test("channels come and go on the open connection, and after a break all that are wanted are asked for", () => {
  const page = new Page("");
  page.live();
  page.stream.listen("candles.1m.SOL");
  page.stream.listen("candles.1m.SOL");
  page.stream.ignore("candles.1m.SOL");
  page.stream.listen("candles.5m.SOL");
  assert.deepEqual(page.socket.said.slice(1), [
    { op: "subscribe", channels: ["candles.1m.SOL"] }, { op: "unsubscribe", channels: ["candles.1m.SOL"] }, { op: "subscribe", channels: ["candles.5m.SOL"] },
  ]);
  page.socket.onclose({ code: 1006 });
  page.pass(300);
  page.live();
  assert.deepEqual(page.socket.said[0].channels, ["prices", "candles.5m.SOL"]);
});

test("channels that a server may not have are asked for by themselves, and their refusal ends nothing", () => {
  const page = new Page();
  page.stream.optionalChannels = ["clock"];
  page.socket.readyState = 1;
  page.socket.onopen();
  page.hear({ channel: "control", seq: 0, type: "subscribed", data: { channels: [], resumed: false, id: "all" } });
  assert.deepEqual(page.socket.said.map(({ id, channels }) => [id, channels]), [["all", ["prices", "trades", "account"]], ["optional", ["clock"]]]);
  page.store.setClock({ now: "2026-01-31T10:00:00.000000Z", paused: true, speed: 1, scriptLeft: 0 }, 0);
  page.hear({ channel: "control", seq: 0, type: "error", data: { code: "invalid_request", message: "no", id: "optional" } });
  assert.equal(page.state, "live");
  assert.equal(page.store.clock, null);
  page.pass(10);
  assert.equal(page.sockets.length, 1);
});
