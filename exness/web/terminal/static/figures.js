// Figures of open trades at the prices of now, worked out from the store: by BigInt, to the digit of the server.

import { USDC_DECIMALS, distance, parse, percentOfMargin, pnl, show, termsOf } from "./money.js";

/** @type {WeakMap<object, import("./money.js").Terms | null>} */
const terms = new WeakMap();
/** Read once for each price, not once for each row. @type {WeakMap<object, bigint>} */
const marks = new WeakMap();

/** @param {import("./store.js").Store} store @param {import("./frames.js").TradeRow} row */
export function termsIn(store, row) {
  let known = terms.get(row);
  if (known === undefined) {
    const decimals = decimalsOf(store, row.asset);
    if (decimals === null) return null;
    known = termsOf(row, decimals);
    terms.set(row, known);
  }
  return known;
}

/** @param {import("./store.js").Store} store @param {string} asset */
export function decimalsOf(store, asset) {
  return store.market.get(asset)?.decimal ?? store.assets.get(asset)?.decimals ?? null;
}

/** The mark of an asset, scaled; null while there is none. @param {import("./store.js").Store} store @param {string} asset */
export function markOf(store, asset) {
  const price = store.market.get(asset);
  if (!price?.mark) return null;
  let known = marks.get(price);
  if (known === undefined) {
    known = /** @type {bigint} */ (parse(price.mark, price.decimal));
    marks.set(price, known);
  }
  return known;
}

/**
 * What a row shows at this mark; null until its terms and a mark are there, so that no figure is ever half right.
 * @param {import("./store.js").Store} store
 * @param {import("./frames.js").TradeRow} row
 */
export function rowFigures(store, row) {
  const price = store.market.get(row.asset);
  const known = termsIn(store, row);
  if (!price?.mark || !known) return null;
  const mark = /** @type {bigint} */ (markOf(store, row.asset));
  const gained = pnl(known, mark);
  const liquidation = known.liquidation ?? 0n;
  return {
    mark: price.mark,
    pnl: show(gained, USDC_DECIMALS),
    percent: show(percentOfMargin(gained, known.margin), 4),
    away: liquidation === 0n ? null : show(distance(mark, liquidation), 2),
  };
}

/**
 * What a close would gain at this moment, where that is not at the mark: PnL and percent. Null: it is, or there is no such price.
 * @param {import("./store.js").Store} store
 * @param {import("./frames.js").TradeRow} row
 */
export function closingFigures(store, row) {
  const price = store.market.get(row.asset);
  const known = termsIn(store, row);
  if (store.execution !== "touch" || !price || !known || !["live", "suspect"].includes(price.state)) return null;
  const at = parse(known.long ? price.bid : price.ask, price.decimal);
  if (at === null) return null;
  const gained = pnl(known, at);
  return { pnl: show(gained, USDC_DECIMALS), percent: show(percentOfMargin(gained, known.margin), 4) };
}

/** PnL of all open trades, micro-USDC; null while one of them has no mark. @param {import("./store.js").Store} store */
export function openPnl(store) {
  let sum = 0n;
  for (const row of store.trades.values()) {
    const mark = markOf(store, row.asset);
    const known = termsIn(store, row);
    if (mark === null || !known) return null;
    sum += pnl(known, mark);
  }
  return sum;
}

/** Equity and what it is made of, as decimal text; null while it is not known. @param {import("./store.js").Store} store */
export function holdings(store) {
  if (!store.account) return null;
  const { balance, lockedMargin, reserved = "0" } = store.account;
  const gained = openPnl(store);
  const free = parse(balance, USDC_DECIMALS) ?? 0n;
  const locked = parse(lockedMargin, USDC_DECIMALS) ?? 0n;
  const held = parse(reserved, USDC_DECIMALS) ?? 0n;
  return {
    free: balance,
    locked: lockedMargin,
    pnl: gained === null ? null : show(gained, USDC_DECIMALS),
    equity: gained === null ? null : show(free + locked + held + gained, USDC_DECIMALS),
  };
}

/** How the "cannot be liquidated" of a long at 1x is said everywhere. @param {string} liquidationPrice */
export function isSafe(liquidationPrice) {
  return /^0(\.0*)?$/.test(liquidationPrice);
}

export const SAFE = "can't be liquidated";
