// Exact figures: decimal text to BigInt and back, and the formulas of docs/API.md that a row needs at every price. The
// server has the last word on everything else. No float ever holds money or a price; `toNumber` is for pixels alone.

export const USDC_DECIMALS = 6;
const LEVERAGE_UNIT = 100n;
const DECIMAL = /^(-?)(\d+)(?:\.(\d*))?$/;

/**
 * Decimal text as an integer of 10^-decimals units; null when it is none, or has more decimals than that.
 * @param {string | number | null | undefined} text
 * @param {number} decimals
 * @returns {bigint | null}
 */
export function parse(text, decimals) {
  const match = DECIMAL.exec(String(text ?? "").trim());
  if (!match) return null;
  const [, sign, whole, given = ""] = match;
  const fraction = given.replace(/0+$/, "");
  if (fraction.length > decimals) return null;
  const value = BigInt(whole + fraction.padEnd(decimals, "0"));
  return sign ? -value : value;
}

/**
 * The same the other way: with all its decimals, as the server writes it.
 * @param {bigint} value
 * @param {number} decimals
 */
export function show(value, decimals) {
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, "0");
  const sign = value < 0n ? "-" : "";
  return decimals === 0 ? sign + digits : `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

/**
 * For people: thousands apart, `places` decimals, rounded towards zero.
 * @param {string | null | undefined} text decimal text
 * @param {number} [places]
 */
export function brief(text, places = 2) {
  if (text === null || text === undefined) return "–";
  const [whole, fraction = ""] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return places === 0 ? grouped : `${grouped}.${fraction.slice(0, places).padEnd(places, "0")}`;
}

/**
 * A price as it is read: without the zeros that say nothing, but with two decimals at least.
 * @param {string | null | undefined} text
 */
export function price(text) {
  if (text === null || text === undefined) return "–";
  const fraction = text.split(".")[1] ?? "";
  return brief(text, Math.max(2, fraction.replace(/0+$/, "").length));
}

/**
 * A price where there is little room: as many decimals as its height is worth.
 * @param {string | null | undefined} text
 */
export function rough(text) {
  if (text === null || text === undefined) return "–";
  const whole = text.split(".")[0].length;
  return whole < 2 ? price(text) : brief(text, whole > 3 ? 2 : 4);
}

/** @param {bigint} a @param {bigint} b above 0 */
export function floorDivide(a, b) {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

/** Leverage in hundredths. @param {string | number} leverage */
export function hundredths(leverage) {
  return parse(leverage, 2);
}

/**
 * @typedef {object} Terms what a trade was opened with, scaled
 * @property {boolean} long
 * @property {bigint} margin micro-USDC
 * @property {bigint} leverage hundredths
 * @property {bigint} entry
 * @property {bigint} [liquidation] 0: no price reaches it
 * @property {{size: bigint, cost: bigint, unit: bigint} | null} line the trade's own line, where the server tells it
 */

/**
 * The terms of a row of /trade/open.
 * @param {import("./frames.js").TradeRow} row
 * @param {number} decimals of the asset
 * @returns {Terms | null}
 */
export function termsOf(row, decimals) {
  const margin = parse(row.margin, USDC_DECIMALS);
  const leverage = hundredths(row.leverage);
  const entry = parse(row.entryPrice, decimals);
  if (margin === null || leverage === null || entry === null) return null;
  const line = row.line
    ? { size: BigInt(row.line.size), cost: BigInt(row.line.cost), unit: BigInt(row.line.unit) }
    : null;
  const liquidation = parse(row.liquidationPrice, decimals) ?? 0n;
  return { long: row.type === "long", margin, leverage, entry, liquidation, line };
}

/**
 * `max(-M, floor(s*N*(X-E)/E))`, or by the trade's line `max(-M, floor(s*(size*X - cost)/unit))`: micro-USDC.
 * @param {Terms} terms
 * @param {bigint} at a price, scaled
 */
export function pnl(terms, at) {
  const sign = terms.long ? 1n : -1n;
  const { line } = terms;
  const gained = line
    ? floorDivide(sign * (line.size * at - line.cost), line.unit)
    : floorDivide(sign * terms.margin * terms.leverage * (at - terms.entry), terms.entry * LEVERAGE_UNIT);
  return gained < -terms.margin ? -terms.margin : gained;
}

/**
 * In percent of the margin, with four decimals, rounded down as pnl is.
 * @param {bigint} amount
 * @param {bigint} margin
 */
export function percentOfMargin(amount, margin) {
  return floorDivide(amount * 1_000_000n, margin);
}

/**
 * How far it is from `from` to `to`, in hundredths of a percent of `from`.
 * @param {bigint} from
 * @param {bigint} to
 */
export function distance(from, to) {
  return from === 0n ? 0n : ((to > from ? to - from : from - to) * 10_000n) / from;
}

/** The middle of bid and ask; a half unit goes to the even neighbour. @param {bigint} bid @param {bigint} ask */
export function middle(bid, ask) {
  const sum = bid + ask;
  const half = sum / 2n;
  return sum % 2n === 0n || half % 2n === 0n ? half : half + 1n;
}

/**
 * A price moved by so many hundredths of a percent.
 * @param {bigint} from
 * @param {number} basisPoints
 */
export function moved(from, basisPoints) {
  const to = (from * BigInt(10_000 + basisPoints)) / 10_000n;
  return to > 0n ? to : 1n;
}

/** How many decimals a price is drawn and dragged with: four, and more where it is low. @param {number} price @param {number} decimals of the asset */
export function placesOf(price, decimals) {
  return Math.min(decimals, Math.max(4, 4 - Math.floor(Math.log10(price > 0 ? price : 1))));
}

/** For pixels and candles only. @param {string} text */
export function toNumber(text) {
  return Number(text);
}
