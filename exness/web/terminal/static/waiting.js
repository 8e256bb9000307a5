// Levels of what waits: take profit and stop loss of the trades on the chart, and orders. They are dragged to change them; the
// server decides on release, and where it refuses, the level stands where it was and the sentence is shown.

import { parse, price as shown, show } from "./money.js";

/** @type {["takeProfit" | "stopLoss", string, string][]} */
const EXITS = [["takeProfit", "take-profit", "take profit"], ["stopLoss", "stop-loss", "stop loss"]];
/** @type {["limitPrice" | "stopPrice", string][]} */
const PRICES = [["limitPrice", "limit"], ["stopPrice", "stop"]];

/**
 * @typedef {object} Held
 * @property {import("./store.js").Store} store
 * @property {import("./api.js").Api} api
 * @property {(text: string) => void} say what is told where the server refuses
 * @property {(at: bigint) => string} pnlAt
 */

/**
 * @param {Held} held
 * @param {import("./frames.js").TradeRow[]} rows those on the chart
 * @param {number} decimals
 * @returns {import("./levels.js").Level[]}
 */
export function exitLevels(held, rows, decimals) {
  return rows.flatMap((row) => [...trailingLevel(held, row, decimals),
    ...EXITS.flatMap(([field, kind, name]) => {
      const level = parse(row[field], decimals);
      if (level === null) return [];
      const send = (/** @type {string | null} */ to) => asked(held, "/trade/exits", { orderId: row.orderId, [field]: to });
      return [{
        key: `${kind}.${row.orderId}`, kind, price: level, decimals, text: `${name} ${shown(row[field])}`,
        action: { label: "remove", run: () => void send(null) },
        slider: { label: `${name} of ${row.type} ${row.leverage}x`, over: told(held, name, decimals), drop: (/** @type {bigint} */ to) => send(show(to, decimals)) },
      }];
    }),
  ]);
}

/** Where a trailing stop stands by now: the market moves it, no hand. @param {Held} held @param {import("./frames.js").TradeRow} row @param {number} decimals @returns {import("./levels.js").Level[]} */
function trailingLevel(held, row, decimals) {
  const level = parse(row.trailingStop?.level, decimals);
  if (level === null) return [];
  const remove = () => void asked(held, "/trade/exits", { orderId: row.orderId, trailingStop: null });
  return [{ key: `trailing.${row.orderId}`, kind: "stop-loss", price: level, decimals, text: `trailing stop ${shown(row.trailingStop?.level)}`, action: { label: "remove", run: remove } }];
}

/** @param {Held} held @param {string} asset @param {number} decimals @returns {import("./levels.js").Level[]} */
export function orderLevels(held, asset, decimals) {
  return [...held.store.orders.values()].filter((row) => row.asset === asset).flatMap((row) =>
    PRICES.flatMap(([field, name]) => {
      const level = parse(row[field], decimals);
      if (level === null) return [];
      const text = `${name} ${row.type} ${shown(row[field])}`;
      return [{
        key: `order.${field}.${row.orderId}`, kind: "order", price: level, decimals, text,
        action: { label: "cancel", run: () => void asked(held, "/order/cancel", { orderId: row.orderId }) },
        slider: {
          label: `${name} price of ${row.type} order`,
          over: (/** @type {bigint} */ to) => `${name} ${row.type} ${shown(show(to, decimals))}`,
          drop: (/** @type {bigint} */ to) => asked(held, "/order/amend", { orderId: row.orderId, [field]: show(to, decimals) }),
        },
      }];
    }),
  );
}

/** @param {Held} held @param {string} name @param {number} decimals */
function told(held, name, decimals) {
  return (/** @type {bigint} */ to) => `${name} ${shown(show(to, decimals))}, PnL ${held.pnlAt(to)}`;
}

/** @param {Held} held @param {string} path @param {object} body @returns {Promise<string>} why it was refused, if it was */
async function asked(held, path, body) {
  const answered = await held.api.post(path, body);
  const refusal = answered.ok ? "" : answered.body.message;
  if (refusal) held.say(refusal);
  held.store.touch("lab");
  return refusal;
}
