// The only file that knows the chart library: candles, volume, markers, a curve. It turns prices into pixels and back; floats
// exist between those two and nowhere else. The zoom is the user's: data is set once per asset and interval, then updated.

/* global LightweightCharts */

import { placesOf } from "./money.js";

const SHOWN_BARS = 120;
const MARKERS_MS = 1000;

/** Whether the library is there: without it the page trades and shows no chart. */
export function hasCharts() {
  return "LightweightCharts" in globalThis;
}

/** @returns {any} */
function library() {
  return /** @type {any} */ (globalThis).LightweightCharts;
}

/** A colour of the design, resolved for a canvas. @param {string} name */
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return toRgb(found);
}

/** Canvas libraries parse old forms of colours only. @param {string} text */
function toRgb(text) {
  const found = /color\(srgb ([\d.]+) ([\d.]+) ([\d.]+)/.exec(text);
  return found ? `rgb(${found.slice(1).map((each) => Math.round(Number(each) * 255)).join(", ")})` : text;
}

/** @param {string} iso */
function second(iso) {
  return Math.floor(Date.parse(iso) / 1000);
}

class Base {
  /** @param {HTMLElement} box @param {object} options */
  constructor(box, options) {
    this.zone = "utc";
    this.behindS = 0;
    this.chart = library().createChart(box, {
      autoSize: true,
      layout: { attributionLogo: false, fontSize: 11 },
      timeScale: { timeVisible: true, secondsVisible: false, rightOffset: 10 },
      ...options,
    });
    this.paintTheme();
  }

  paintTheme() {
    const [pane, ink, edge] = ["pane", "quiet", "edge"].map(colour);
    this.chart.applyOptions({
      layout: { background: { color: pane }, textColor: ink, attributionLogo: false },
      grid: { vertLines: { color: edge, style: 4 }, horzLines: { color: edge, style: 4 } },
      rightPriceScale: { borderColor: edge },
      timeScale: { borderColor: edge },
    });
  }

  /** The library knows no zones: local time is a shift of the data, of all by the same, or an hour would come twice in autumn. @param {number} at seconds */
  shifted(at) {
    return this.zone === "local" ? at - this.behindS : at;
  }

  /** The shift is that of the newest. @param {number} at seconds */
  shiftAs(at) {
    this.behindS = new Date(at * 1000).getTimezoneOffset() * 60;
  }
}

export class CandleChart extends Base {
  /** @param {HTMLElement} box */
  constructor(box) {
    super(box, { crosshair: { mode: 0 }, rightPriceScale: { minimumWidth: 64 }, localization: { locale: "en-GB" } });
    const { CandlestickSeries, HistogramSeries, createSeriesMarkers } = library();
    this.candles = this.chart.addSeries(CandlestickSeries, { priceLineVisible: false, lastValueVisible: true });
    this.volume = this.chart.addSeries(HistogramSeries, { priceScaleId: "", lastValueVisible: false, priceLineVisible: false });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.85, bottom: 0 } });
    this.#restMarkers();
    this.markers = createSeriesMarkers(this.candles, []);
    this.last = 0;
    this.decimals = 2;
    /** @type {any[]} */
    this.marked = [];
    /** Called when prices stand elsewhere on the screen. @type {() => void} */
    this.onMoved = () => {};
    /** Called with the candle under the cursor, or null. @type {(bar: any) => void} */
    this.onHover = () => {};
    this.candles.attachPrimitive({ updateAllViews: () => this.onMoved() });
    // In bars, for who can't see it: the zoom is the user's, and a test holds that it stays so.
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((/** @type {any} */ range) => {
      box.dataset.bars = range ? `${range.from.toFixed(2)} ${range.to.toFixed(2)}` : "";
    });
    this.chart.subscribeCrosshairMove((/** @type {any} */ at) => this.onHover(at.seriesData?.get(this.candles) ?? null));
    this.paintTheme();
  }

  /**
   * Markers hear of a candle that grows once a second. At each of it they have the library lay out all of the chart, and draw it twice:
   * a third of what the page cost.
   */
  #restMarkers() {
    const { candles } = this;
    const listen = candles.subscribeDataChanged.bind(candles);
    candles.subscribeDataChanged = (/** @type {(scope: string) => void} */ told) => {
      let heardAt = 0;
      listen((/** @type {string} */ scope) => {
        if (scope === "update" && performance.now() - heardAt < MARKERS_MS) return;
        heardAt = performance.now();
        told(scope);
      });
    };
  }

  /** @override */
  paintTheme() {
    super.paintTheme();
    if (!this.candles) return;
    const [up, down, edge] = ["up", "down", "edge"].map(colour);
    this.candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false });
    this.volume.applyOptions({ color: edge });
    this.colours = { up, down, edge, accent: colour("accent") };
    this.setMarkers(this.marked);
  }

  /** @param {import("./frames.js").Candle} candle */
  #bar(candle) {
    const [open, high, low, close] = [candle.open, candle.high, candle.low, candle.close].map(Number);
    const faded = candle.backfilled ? { color: this.colours?.edge, wickColor: this.colours?.edge } : {};
    return { time: this.shifted(second(candle.start)), open, high, low, close, ...faded };
  }

  /**
   * All candles anew. `keep`: of the same asset and interval, so what is seen stays where it is.
   * @param {import("./frames.js").Candle[]} candles @param {number} decimals @param {boolean} keep
   */
  setData(candles, decimals, keep) {
    const scale = this.chart.timeScale();
    const range = keep ? scale.getVisibleLogicalRange() : null;
    const newest = candles[candles.length - 1];
    this.decimals = decimals;
    if (newest) this.#begin(newest);
    this.candles.setData(candles.map((each) => this.#bar(each)));
    this.volume.setData(candles.map((each) => ({ time: this.shifted(second(each.start)), value: Number(each.volume) })));
    this.last = newest ? second(newest.start) : 0;
    if (range) scale.setVisibleLogicalRange(range);
    else if (candles.length) {
      scale.setVisibleLogicalRange({ from: Math.max(candles.length - SHOWN_BARS, candles.length - Math.max(candles.length, 40)), to: candles.length + 8 });
    }
    if (!keep) this.chart.priceScale("right").applyOptions({ autoScale: true });
  }

  /** What goes by the newest of the candles there are: the shift of times, and how many decimals prices need. @param {import("./frames.js").Candle} newest */
  #begin(newest) {
    const precision = placesOf(Number(newest.close), this.decimals);
    this.shiftAs(second(newest.start));
    this.candles.applyOptions({ priceFormat: { type: "price", precision, minMove: 10 ** -precision } });
  }

  /** The newest candle as it grows. @param {import("./frames.js").Candle} candle */
  update(candle) {
    if (second(candle.start) < this.last) return;
    if (!this.last) this.#begin(candle);
    this.last = second(candle.start);
    this.candles.update(this.#bar(candle));
    this.volume.update({ time: this.shifted(this.last), value: Number(candle.volume) });
  }

  /** Bring a moment into the middle; the zoom stays. @param {string} at */
  centre(at) {
    const scale = this.chart.timeScale();
    const place = scale.timeToIndex(this.shifted(second(at)), true);
    const range = scale.getVisibleLogicalRange();
    if (place === null || !range) return;
    const half = (range.to - range.from) / 2;
    scale.setVisibleLogicalRange({ from: place - half, to: place + half });
  }

  /**
   * What one did: where one opened, closed, was liquidated.
   * @param {{at: string, kind: "long" | "short" | "closed" | "liquidated", text: string}[]} marked oldest first
   * @param {number} [intervalS]
   */
  setMarkers(marked, intervalS) {
    this.intervalS = intervalS ?? this.intervalS ?? 60;
    this.marked = marked;
    const { up, down, accent } = /** @type {any} */ (this.colours);
    const looks = {
      long: { shape: "arrowUp", position: "belowBar", color: up },
      short: { shape: "arrowDown", position: "aboveBar", color: down },
      closed: { shape: "square", position: "aboveBar", color: accent },
      liquidated: { shape: "circle", position: "aboveBar", color: down },
    };
    this.markers.setMarkers(
      marked.map(({ at, kind, text }) => {
        const time = second(at);
        return { time: this.shifted(time - (time % /** @type {number} */ (this.intervalS))), ...looks[kind], text };
      }),
    );
  }

  /** Pixels from the top; null where there is no scale yet. @param {number} price */
  yOf(price) {
    return this.candles.priceToCoordinate(price);
  }

  /** @param {number} y */
  priceAt(y) {
    return this.candles.coordinateToPrice(y);
  }
}

export class CurveChart extends Base {
  /** @param {HTMLElement} box */
  constructor(box) {
    super(box, { rightPriceScale: { minimumWidth: 64 } });
    const { AreaSeries } = library();
    this.area = this.chart.addSeries(AreaSeries, { lineWidth: 2, priceLineVisible: false });
    this.paintTheme();
  }

  /** @override */
  paintTheme() {
    super.paintTheme();
    if (!this.area) return;
    const line = colour("accent");
    this.area.applyOptions({ lineColor: line, topColor: line.replace("rgb(", "rgba(").replace(")", ", 0.25)"), bottomColor: "rgba(0, 0, 0, 0)" });
  }

  /** @param {{at: string, value: string}[]} points oldest first */
  setData(points) {
    if (points.length) this.shiftAs(second(points[points.length - 1].at));
    /** @type {Map<number, number>} one value a second, the last one */
    const bySecond = new Map(points.map(({ at, value }) => [this.shifted(second(at)), Number(value)]));
    this.area.setData([...bySecond].map(([time, value]) => ({ time, value })));
    this.chart.timeScale().fitContent();
  }
}
