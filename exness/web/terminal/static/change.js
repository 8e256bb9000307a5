// What can be done to a trade that is open: close a part of it, add or take margin, set its leverage and its exits. The figures
// above follow the price, and each answer says what came of it.

import { brief, parse, price as shown } from "./money.js";
import { Figures, clearErrors, dueAt, hundredthsOf, plain, refuse, trailingOf, value } from "./form.js";
import { byId, make, mount, write } from "./dom.js";
import { SAFE, closingFigures, isSafe, rowFigures } from "./figures.js";
import { Intent } from "./api.js";

const PARTS = [25, 50, 75];
/** @type {Record<string, string>} */
const FIELD_OF = { take_profit_on_fill: "takeProfit", stop_loss_on_fill: "stopLoss" };

export class Change {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   */
  constructor(store, api) {
    this.store = store;
    this.api = api;
    this.dialog = /** @type {HTMLDialogElement} */ (byId("change"));
    this.figures = new Figures(this.dialog);
    /** @type {HTMLFormElement[]} */
    this.forms = [];
    this.orderId = "";
    this.busy = false;
    this.intent = new Intent();
    /** The exits as they were when the dialog was opened. @type {Record<string, string>} */
    this.before = {};
    this.dialog.addEventListener("input", () => this.intent.renew());
    this.dialog.addEventListener("close", () => this.dialog.replaceChildren());
  }

  /** Its fields are there while it is open: nothing else on the page has two of a name. */
  #build() {
    mount(this.dialog, "change-template");
    this.figures = new Figures(byId("change-figures"));
    this.forms = [...this.dialog.querySelectorAll("form")].filter((form) => form.id);
    byId("parts").append(...PARTS.map((part) => make("button", { type: "button", click: () => this.#part(part) }, `${part} %`)));
    this.#on("part-form", () => this.#send("part-form", "/trade/close", { percent: hundredthsOf(value("part")), clientOrderId: this.intent.id }, closed));
    this.#on("margin-form", (event) => {
      const takes = /** @type {HTMLButtonElement | null} */ (event.submitter)?.value === "take";
      const amount = `${takes ? "-" : ""}${value("margin-change")}`;
      void this.#send("margin-form", "/trade/margin", { amount, clientOrderId: this.intent.id }, margined);
    });
    this.#on("leverage-form", () => this.#send("leverage-form", "/trade/leverage", { leverage: value("leverage-change") }, margined));
    this.#on("exits-form", () => this.#exits());
    this.#on("exit-form", () => this.#exit());
  }

  /** @param {string} id @param {(event: SubmitEvent) => void} run */
  #on(id, run) {
    byId(id).addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.busy) run(/** @type {SubmitEvent} */ (event));
    });
  }

  /** @param {string} orderId */
  open(orderId) {
    const row = this.store.trades.get(orderId);
    if (!row) return;
    this.orderId = orderId;
    this.intent.renew();
    this.#build();
    write(byId("change-title"), `${row.net ? "Net position" : "Trade"}: ${row.asset} ${row.type}`);
    this.#fill("leverage-change", String(row.leverage));
    this.#fillExits(row);
    this.#paintRow();
    this.dialog.showModal();
  }

  /** @param {import("./frames.js").TradeRow} row */
  #fillExits(row) {
    const { trailingStop } = row;
    const behind = trailingStop?.percent !== undefined ? plain((trailingStop.percent / 100).toFixed(2)) : plain(trailingStop?.distance ?? "");
    this.#fill("exits-take-profit", plain(row.takeProfit ?? ""));
    this.#fill("exits-stop-loss", plain(row.stopLoss ?? ""));
    this.#fill("exits-trailing", behind);
    this.#fill("exits-trailing-unit", trailingStop?.distance ? "distance" : "percent");
    this.#fill("exits-activation", plain(trailingStop?.activation ?? ""));
    this.before = this.#stated();
  }

  /** @param {string} id @param {string} text */
  #fill(id, text) {
    /** @type {HTMLInputElement} */ (byId(id)).value = text;
  }

  #stated() {
    return { takeProfit: value("exits-take-profit"), stopLoss: value("exits-stop-loss"), trailingStop: JSON.stringify(trailingOf("exits")) };
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (!this.dialog.open) return;
    if (keys.has("session")) this.dialog.close();
    else if (["trades", "trailing", "market", "connection", "session"].some((key) => keys.has(key))) this.#paintRow();
  }

  #paintRow() {
    const row = this.store.trades.get(this.orderId);
    const off = !row || this.busy || !["live", "quiet"].includes(this.store.connection.state);
    for (const form of this.forms) {
      for (const button of form.querySelectorAll("button")) button.disabled = off;
    }
    if (!row) {
      write(byId("change-said"), "This trade has ended.");
      return;
    }
    const figures = rowFigures(this.store, row);
    const closing = closingFigures(this.store, row);
    const { level } = row.trailingStop ?? {};
    this.figures.show([
      ["margin", `${brief(row.margin)} USDC at ${row.leverage}x`],
      ["entry", shown(row.entryPrice)],
      ["mark", shown(figures?.mark)],
      ["liquidation", isSafe(row.liquidationPrice) ? SAFE : `${shown(row.liquidationPrice)}${figures?.away ? `, ${brief(figures.away)} % away` : ""}`, true],
      ["PnL", figures ? `${figures.pnl} USDC, ${brief(figures.percent)} %` : "–", true],
      ...(closing ? [/** @type {[string, string]} */ (["if closed now", `${closing.pnl} USDC, ${brief(closing.percent)} %`])] : []),
      ...(isSafe(row.commission ?? "0") ? [] : [/** @type {[string, string]} */ (["commission so far", `${row.commission} USDC`])]),
      ...(isSafe(row.funding ?? "0") ? [] : [/** @type {[string, string]} */ (["funding so far", `${row.funding} USDC`])]),
      ...(row.trailingStop ? [/** @type {[string, string]} */ (["trailing stop", level ? `sells or buys at ${shown(level)}` : level === null ? "waits for its price" : "is set"])] : []),
    ]);
  }

  /** @param {number} part in percent */
  #part(part) {
    this.#fill("part", String(part));
    this.intent.renew();
  }

  #exits() {
    const now = this.#stated();
    /** @type {Record<string, unknown>} */
    const changed = {};
    for (const name of /** @type {("takeProfit" | "stopLoss")[]} */ (["takeProfit", "stopLoss"])) {
      if (now[name] !== this.before[name]) changed[name] = now[name] || null;
    }
    if (now.trailingStop !== this.before.trailingStop) changed.trailingStop = trailingOf("exits");
    if (!Object.keys(changed).length) {
      write(byId("change-said"), "Nothing has changed.");
      return;
    }
    void this.#send("exits-form", "/trade/exits", changed, (body) => {
      const row = this.store.trades.get(this.orderId);
      if (row) this.#fillExits({ ...row, takeProfit: body.takeProfit, stopLoss: body.stopLoss, trailingStop: body.trailingStop });
      const set = [body.takeProfit && `take profit ${shown(body.takeProfit)}`, body.stopLoss && `stop loss ${shown(body.stopLoss)}`, body.trailingStop && "a trailing stop"];
      const warned = (body.warnings ?? []).map((/** @type {any} */ each) => ` ${each.message}.`).join("");
      return `${set.some(Boolean) ? `Set: ${set.filter(Boolean).join(", ")}.` : "No exits."}${warned}`;
    });
  }

  /** One over a part: an order of its own, in the tab of orders. */
  #exit() {
    const body = { kind: value("exit-kind"), price: value("exit-price"), percent: hundredthsOf(value("exit-part")), clientOrderId: this.intent.id };
    void this.#send("exit-form", "/trade/exit", body, () => "Added: it stands among the orders.");
  }

  /**
   * @param {string} id of the form
   * @param {string} path
   * @param {object} body
   * @param {(body: any) => string} told
   */
  async #send(id, path, body, told) {
    const form = /** @type {HTMLFormElement} */ (byId(id));
    for (const each of this.forms) clearErrors(each);
    this.busy = true;
    this.#paintRow();
    write(byId("change-said"), "sent");
    const answered = await this.api.post(path, { orderId: this.orderId, ...body });
    this.intent.settle(answered);
    this.busy = false;
    if (!this.dialog.open) return;
    write(byId("change-said"), answered.ok ? told(answered.body) : "");
    if (!answered.ok) refuse(form, answered.body, { ...FIELD_OF, would_trigger: dueAt(answered.body.details, "exits-") });
    this.#paintRow();
  }
}

/** @param {any} body */
function closed(body) {
  const left = parse(body.remaining?.margin, 6);
  return `Closed at ${shown(body.closePrice)}, PnL ${body.pnl}: ${left === null ? "nothing is left" : `${brief(body.remaining.margin)} USDC of margin are left`}.`;
}

/** @param {any} body */
function margined(body) {
  return `Margin ${brief(body.margin)} USDC at ${body.leverage}x; ${brief(body.removable)} of it can be taken out.`;
}
