// One button for each asset: its price and why it can or can't be traded, and what one has in it.

import { USDC_DECIMALS, brief, parse, rough, show } from "./money.js";
import { byId, make, mark, write } from "./dom.js";

const ARROWS = { "1": "▲ ", "-1": "▼ ", "0": "" };

export class Markets {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    /** @type {Map<string, Record<string, HTMLElement>>} */
    this.rows = new Map();
    /** What one has in each asset, until trades change. @type {Map<string, string>} */
    this.exposures = new Map();
  }

  /** @param {Set<string>} keys */
  paint(keys) {
    if (keys.has("assets")) this.#build();
    if (keys.has("trades")) this.exposures.clear();
    const all = keys.has("assets") || keys.has("choice.asset") || keys.has("trades");
    for (const [asset, parts] of this.rows) {
      if (all || keys.has(`market.${asset}`)) this.#row(asset, parts);
    }
  }

  #build() {
    this.rows.clear();
    byId("market-list").replaceChildren(
      ...[...this.store.assets.values()].map(({ symbol, name }) => {
        const parts = {
          mark: make("span", { class: "mark" }),
          quotes: make("span"),
          state: make("span", { class: "state" }),
          own: make("span"),
        };
        const button = make(
          "button",
          { type: "button", click: () => this.store.choose({ asset: symbol }) },
          make("span", { class: "letter", "aria-hidden": "true" }, symbol.slice(0, 1)),
          make("strong", { title: name }, symbol),
          parts.mark,
          make("span", { class: "small" }, parts.quotes),
          make("span", { class: "small" }, parts.own, parts.state),
        );
        this.rows.set(symbol, { ...parts, button });
        return make("li", {}, button);
      }),
    );
  }

  /** @param {string} asset @param {Record<string, HTMLElement>} parts */
  #row(asset, parts) {
    const price = this.store.market.get(asset);
    const chosen = String(asset === this.store.choice.asset);
    if (parts.button.getAttribute("aria-pressed") !== chosen) parts.button.setAttribute("aria-pressed", chosen);
    if (!price) return;
    if (!this.exposures.has(asset)) this.exposures.set(asset, this.#exposure(asset));
    write(parts.mark, ARROWS[/** @type {"1"} */ (String(price.direction))] + rough(price.mark));
    mark(parts.mark, "tone", price.direction > 0 ? "up" : price.direction < 0 ? "down" : "");
    write(parts.quotes, price.bid ? `${rough(price.bid)} / ${rough(price.ask)}` : "no price");
    write(parts.state, price.state);
    mark(parts.state, "state", price.state);
    write(parts.own, [this.exposures.get(asset), price.mark ? `${spread(price)} bp` : ""].filter(Boolean).join(" · "));
  }

  /** What one has in it: notional of longs less that of shorts, at the entries. @param {string} asset */
  #exposure(asset) {
    let sum = 0n;
    let count = 0;
    for (const row of this.store.trades.values()) {
      if (row.asset !== asset) continue;
      const notional = ((parse(row.margin, USDC_DECIMALS) ?? 0n) * (parse(row.leverage, 2) ?? 0n)) / 100n;
      sum += row.type === "long" ? notional : -notional;
      count += 1;
    }
    if (sum === 0n) return count ? `${count} open` : "";
    return `${sum < 0n ? "short" : "long"} ${brief(show(sum < 0n ? -sum : sum, USDC_DECIMALS), 0)}`;
  }
}

/** In hundredths of a percent, one decimal. @param {import("./frames.js").Price} price */
function spread(price) {
  const [bid, ask, mark] = [price.bid, price.ask, price.mark].map((each) => parse(each, price.decimal) ?? 0n);
  return mark ? show(((ask - bid) * 100_000n) / mark, 1) : "–";
}
