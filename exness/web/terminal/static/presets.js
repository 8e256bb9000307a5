// Scenarios of the lab as scripts of prices.

const MOST_POINTS = 400;
const POINTS_A_S = 10;
const FLAPS_A_S = 2;

/** What each does. @type {Record<string, string>} */
export const PRESETS = {
  crash: "down by the depth, evenly over the time",
  pump: "up by the depth, evenly over the time",
  wick: "down and back again",
  gap: "one leap down, at half of the time",
  flapping: "up and down by a tenth of the depth, twice a second",
  stale: "31 s pass without a price",
};

/** Where the price is, in shares of the depth, at a share of the time. @type {Record<string, (share: number) => number>} */
const PATHS = {
  crash: (share) => -share,
  pump: (share) => share,
  wick: (share) => (share < 0.5 ? -2 * share : -2 * (1 - share)),
};

/**
 * The prices of a preset.
 * @param {string} name
 * @param {bigint} from scaled
 * @param {number} depth hundredths of a percent
 * @param {number} seconds
 * @returns {{offset: number, price: bigint}[]}
 */
export function presetPoints(name, from, depth, seconds) {
  const at = (/** @type {number} */ share) => {
    const price = from + (from * BigInt(Math.round(depth * share * 1000))) / 10_000_000n;
    return price > 0n ? price : 1n;
  };
  if (name === "gap") return [{ offset: round(seconds / 2), price: at(-1) }];
  if (name === "flapping") {
    const flaps = Math.max(2, Math.min(MOST_POINTS, Math.round(seconds * FLAPS_A_S)));
    return Array.from({ length: flaps }, (_, n) => ({ offset: round(((n + 1) * seconds) / flaps), price: at(n % 2 ? 0.1 : -0.1) }));
  }
  const points = Math.max(2, Math.min(MOST_POINTS, Math.round(seconds * POINTS_A_S)));
  return Array.from({ length: points }, (_, n) => ({ offset: round(((n + 1) * seconds) / points), price: at(PATHS[name]((n + 1) / points)) }));
}

/** Milliseconds are fine enough, and exact as text. @param {number} seconds */
function round(seconds) {
  return Math.round(seconds * 1000) / 1000;
}
