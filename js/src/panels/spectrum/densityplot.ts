/** The density of the squared singular values on a logarithmic axis, with the law of noise and the power law. */

import { computed } from "@preact/signals-core";
import { countTicks, magnitudeTicks } from "../../draw/axis";
import { formatCount, formatNumber } from "../../draw/format";
import { s } from "../../draw/svg";
import { type Density, densityOf, noiseDensity, type Point, powerLawDensity } from "./curves";
import { type Frame, frame, pathOf, type Scale } from "./plot";
import type { Full } from "./replies";
import type { SpectrumState } from "./state";

interface Picture {
  density: Density;
  curves: { kind: "noise" | "init" | "shuffled" | "power"; points: Point[] }[];
  /** log10 σ² beyond which values stand out of the noise, and where noise ends; NaN where that is not shown. */
  limit: number;
  edge: number;
  /** log10 of where the fitted tail begins. */
  tail: number;
  log: boolean;
}

export function densityPlot(state: SpectrumState): HTMLElement {
  const { store } = state;
  const plot = frame(store, "density", "histogram of the squared singular values");
  const picture = computed<Picture | null>(() => {
    const { top, full, shuffled } = state.known.value;
    if (!full) return null;
    const pooled = full.pooled !== null && state.showPooled.value;
    const limit = pooled ? Number.NaN : 2 * Math.log10(full.numbers.spike_limit);
    const density = densityOf(pooled ? (full.pooled as Float64Array) : squares(full.values), limit);
    if (!density) return null;
    const { width } = density;
    const curves: Picture["curves"] = [];
    if (!pooled) {
      const { noise } = full.numbers;
      if (full.law && noise > 0 && state.showNoise.value)
        curves.push({ kind: "noise", points: noiseDensity(full.law, noise, full, width) });
      const std = top?.init?.std;
      if (full.law && std && state.showInit.value)
        curves.push({ kind: "init", points: noiseDensity(full.law, std, full, width) });
      if (shuffled && state.showShuffled.value)
        curves.push({ kind: "shuffled", points: stepsOf(squares(shuffled), density) });
    }
    const fitted = full.tail > 0 && (pooled || full.pooled === null);
    if (fitted) curves.push({ kind: "power", points: powerLaw(full, density) });
    const noisy = !pooled && state.showNoise.value;
    return {
      density,
      curves,
      limit: !pooled && full.spikes > 0 ? limit : Number.NaN,
      edge: noisy ? 2 * Math.log10(full.numbers.mp_edge) : Number.NaN,
      tail: fitted ? Math.log10(full.numbers.xmin) : Number.NaN,
      log: state.logCounts.value,
    };
  });
  const place = computed(() => {
    const drawn = picture.value;
    const { width, height } = plot.size.value;
    return drawn && width > 0 ? scalesOf(drawn, width, height) : null;
  });
  store.effect(() => {
    const drawn = picture.value;
    const scales = place.value;
    plot.element.hidden = drawn === null;
    if (drawn && scales) draw(plot, drawn, scales);
  });
  const mark = s("rect", { class: "ww-sp-under" });
  store.effect(() => {
    const at = plot.pointer.value;
    const drawn = picture.value;
    const scales = place.value;
    mark.remove();
    plot.tip(null);
    if (!at || !drawn || !scales) return;
    const { from, width, counts } = drawn.density;
    const bin = Math.floor((scales.valueAt(at.x) - from) / width);
    if (bin < 0 || bin >= counts.length) return;
    const left = scales.x.at(from + bin * width);
    const attributes = { x: left, width: scales.x.at(from + (bin + 1) * width) - left, y: 0 };
    for (const [name, value] of Object.entries({ ...attributes, height: plot.size.value.height }))
      mark.setAttribute(name, String(value));
    plot.inside.append(mark);
    plot.tip(tipText(drawn, bin));
  });
  // Keys have nothing to do here.
  plot.element.querySelector(".ww-sp-pad")?.removeAttribute("tabindex");
  return plot.element;
}

function squares(values: Float64Array): Float64Array {
  return values.map((value) => value * value);
}

function powerLaw(full: Full, density: Density): Point[] {
  const { alpha, xmin } = full.numbers;
  const to = density.from + density.width * density.counts.length;
  return powerLawDensity({ alpha, xmin, tail: full.tail }, to, density.width);
}

/** Another histogram in the same bins, as an outline. */
function stepsOf(values: Float64Array, { from, width }: Density): Point[] {
  const bins = new Map<number, number>();
  for (const value of values) {
    const at = Math.floor((Math.log10(value) - from) / width);
    if (Number.isFinite(at)) bins.set(at, (bins.get(at) ?? 0) + 1);
  }
  const all = [...bins.keys()];
  if (all.length === 0) return [];
  const [first, last] = [Math.min(...all), Math.max(...all)];
  const points: Point[] = [{ x: from + first * width, y: 0 }];
  for (let bin = first; bin <= last; bin++) {
    const y = bins.get(bin) ?? 0;
    points.push({ x: from + bin * width, y }, { x: from + (bin + 1) * width, y });
  }
  points.push({ x: from + (last + 1) * width, y: 0 });
  return points;
}

interface Scales {
  x: Scale;
  y: Scale;
  valueAt(x: number): number;
}

/** On a logarithmic axis of counts a single value has a height, too. */
const FLOOR = 0.5;

function scalesOf({ density, log, curves }: Picture, width: number, height: number): Scales {
  const { from, counts } = density;
  const own = curves.filter(({ kind }) => kind === "shuffled" || kind === "init");
  const pad = density.width;
  let low = from;
  let high = from + density.width * counts.length;
  // What is compared with is seen as a whole, unless it is so far away that nothing else would be.
  for (const { points } of own) {
    for (const { x } of points) {
      if (x > from - 3 && x < high + 3) [low, high] = [Math.min(low, x), Math.max(high, x)];
    }
  }
  low -= pad;
  high += pad;
  let top = counts.reduce((most, count) => Math.max(most, count), 1);
  for (const { kind, points } of curves) {
    if (kind !== "power") for (const { y } of points) if (y < 4 * top) top = Math.max(top, y);
  }
  const ticks = Math.max(2, Math.floor(height / 34));
  const logOf = (count: number): number => Math.log10(count / FLOOR) / Math.log10((1.3 * top) / FLOOR);
  return {
    x: {
      ticks: magnitudeTicks([low, high], Math.max(2, Math.floor(width / 34))),
      at: (value) => ((value - low) / (high - low)) * width,
    },
    y: {
      ticks: countTicks(top, log, ticks),
      at: (count) => height * (1 - (log ? (count > 0 ? logOf(count) : -0.1) : count / (1.08 * top))),
    },
    valueAt: (x) => low + (x / width) * (high - low),
  };
}

function draw(plot: Frame, drawn: Picture, { x, y }: Scales): void {
  const { density, curves, limit, edge, tail } = drawn;
  const { width, height } = plot.size.peek();
  const nodes: SVGElement[] = [];
  const over: SVGElement[] = [];
  const bars = (from: number, to: number): string => {
    const parts: string[] = [];
    density.counts.forEach((count, bin) => {
      const left = Math.max(x.at(density.from + bin * density.width), from);
      const right = Math.min(x.at(density.from + (bin + 1) * density.width) - 1, to);
      if (count > 0 && right > left)
        parts.push(
          `M${left.toFixed(2)},${height}V${Math.min(height - 1, y.at(count)).toFixed(2)}H${right.toFixed(2)}V${height}Z`,
        );
    });
    return parts.join("");
  };
  const split = Number.isFinite(limit) ? x.at(limit) : Number.POSITIVE_INFINITY;
  nodes.push(s("path", { class: "ww-sp-bars", d: bars(Number.NEGATIVE_INFINITY, split) }));
  nodes.push(s("path", { class: "ww-sp-bars ww-sp-beyond", d: bars(split, Number.POSITIVE_INFINITY) }));
  for (const { kind, points } of curves) {
    const d = pathOf(points.map((point) => [x.at(point.x), y.at(point.y)] as const));
    nodes.push(s("path", { class: `ww-sp-curve ww-sp-${kind}`, d }));
  }
  const line = (value: number, kind: string, text: string, row: number): void => {
    if (!Number.isFinite(value)) return;
    const at = x.at(value);
    if (at < 0 || at > width) return;
    nodes.push(s("line", { class: kind, x1: at, x2: at, y1: 0, y2: height }));
    const end = at > width - 80;
    const anchor = end ? "end" : "start";
    over.push(
      s(
        "text",
        { class: "ww-sp-label", x: at + (end ? -4 : 4), y: 9 + 12 * row, "text-anchor": anchor },
        text,
      ),
    );
  };
  line(edge, "ww-sp-edge", "MP edge", 0);
  line(tail, "ww-sp-tail", "tail from here", 1);
  plot.inside.replaceChildren(...nodes);
  plot.over.replaceChildren(...over);
  plot.axes(x, y);
}

function tipText({ density }: Picture, bin: number): string {
  const low = 10 ** (density.from + bin * density.width);
  const high = 10 ** (density.from + (bin + 1) * density.width);
  const count = density.counts[bin] as number;
  return `${formatCount(count)} ${count === 1 ? "value" : "values"} with σ² from ${formatNumber(low, 3)} to ${formatNumber(high, 3)}`;
}
