// What the server says, as types: rows, frames and answers. A test holds them against /asyncapi.json.

/**
 * @typedef {object} Price
 * @property {string} asset
 * @property {number} decimal
 * @property {string | null} bid
 * @property {string | null} ask
 * @property {string | null} mark
 * @property {string | null} at
 * @property {boolean} stale
 * @property {"live" | "suspect" | "stale" | "down"} state
 */

/**
 * @typedef {object} TradeRow an open trade, as in /trade/open; what follows from the price is worked out here
 * @property {string} orderId
 * @property {string} asset
 * @property {"long" | "short"} type
 * @property {string} margin
 * @property {number} leverage
 * @property {string} entryPrice
 * @property {string} liquidationPrice
 * @property {string} createdAt
 * @property {{size: string, cost: string, unit: string}} [line]
 * @property {string | null} [takeProfit]
 * @property {string | null} [stopLoss]
 * @property {{distance?: string, percent?: number, activation?: string, level?: string | null} | null} [trailingStop]
 * @property {boolean} [net]
 * @property {string} [quantity]
 * @property {string} [commission]
 * @property {string} [funding] below 0: received
 */

/**
 * @typedef {object} Ended how a trade ended: a `closed` or `liquidated` frame joined with its row
 * @property {string} orderId
 * @property {string} asset
 * @property {"long" | "short" | null} type null where the row was never seen
 * @property {number | null} leverage
 * @property {string | null} margin
 * @property {string | null} entryPrice
 * @property {string | null} createdAt
 * @property {string} closePrice
 * @property {string} pnl
 * @property {boolean} liquidated
 * @property {string} closedAt
 * @property {string} [reason]
 */

/**
 * @typedef {object} Candle
 * @property {string} start
 * @property {string} end
 * @property {string} open
 * @property {string} high
 * @property {string} low
 * @property {string} close
 * @property {string} volume
 * @property {number} trades
 * @property {boolean} [backfilled]
 */

/**
 * @typedef {object} Balance
 * @property {string} balance
 * @property {string} lockedMargin
 * @property {number} openTrades
 * @property {string} [reserved]
 */

/**
 * @typedef {object} OrderRow a waiting order, as in /order/open
 * @property {string} orderId
 * @property {string} asset
 * @property {"long" | "short"} type
 * @property {string} kind
 * @property {string | null} margin
 * @property {number | null} leverage
 * @property {string | null} limitPrice
 * @property {string | null} stopPrice
 * @property {string | null} [closes]
 * @property {string} createdAt
 */

/**
 * @typedef {object} Clock
 * @property {string} now
 * @property {boolean} paused
 * @property {number} speed
 * @property {number} scriptLeft
 */

/**
 * @typedef {object} Frame
 * @property {string} channel
 * @property {number} seq
 * @property {string} at
 * @property {string} type
 * @property {any} data
 */

export const CHANNELS = Object.freeze({ prices: "prices", trades: "trades", account: "account", orders: "orders", clock: "clock" });

/** The channel of a chart's newest candle. @param {string} interval @param {string} asset */
export function candleChannel(interval, asset) {
  return `candles.${interval}.${asset}`;
}

export const INTERVALS = Object.freeze(["1m", "5m", "15m", "1h", "4h", "1d"]);

/** Seconds. @type {Readonly<Record<string, number>>} */
export const INTERVAL_S = Object.freeze({ "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400 });

/** Why the server ends a stream, where that says what to do. */
export const CLOSE = Object.freeze({ sessionEnded: 4001, tooSlow: 4008, reset: 4010 });
