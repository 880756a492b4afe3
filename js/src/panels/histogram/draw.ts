/** Draws a histogram into SVG layers. Colours come from the style sheet, so that themes need no redrawing. */

import { line } from "d3-shape";
import { countTicks, magnitudeTicks, placeTicks, valueTicks } from "../../draw/axis";
import { formatCount, formatNumber, formatShort, formatToStep } from "../../draw/format";
import { s, set } from "../../draw/svg";
import type { Range } from "../../model";
import { type Bins, height, normalCount, outside } from "./bins";
import { axisOf, type Geometry, heightOf } from "./geometry";

export interface Picture {
  bins: Bins;
  view: Range;
  place: Geometry;
  log: boolean;
  /** Whether only whole numbers occur: the axis then names no others. */
  integers: boolean;
  /** null draws no normal curve. */
  normal: { mean: number; std: number } | null;
  quantiles: readonly { label: string; value: number }[];
}

export interface Layers {
  readonly root: SVGSVGElement;
  readonly grid: SVGGElement;
  readonly bars: SVGPathElement;
  readonly held: SVGSVGElement;
  readonly heldBars: SVGPathElement;
  readonly ends: SVGGElement;
  readonly curve: SVGPathElement;
  readonly axis: SVGGElement;
}

export function layers(): Layers {
  const grid = s("g", { class: "ww-hist-grid" });
  const bars = s("path", { class: "ww-hist-bars" });
  const heldBars = s("path", { class: "ww-hist-held" });
  const held = s("svg", { overflow: "hidden", y: 0 }, heldBars);
  const ends = s("g");
  const curve = s("path", { class: "ww-hist-curve" });
  const axis = s("g", { class: "ww-hist-axis" });
  const root = s("svg", { class: "ww-hist-svg", "aria-hidden": "true" }, grid, bars, held, ends, curve, axis);
  return { root, grid, bars, held, heldBars, ends, curve, axis };
}

/** Highest bin in view: the scale of counts. Bins set apart do not squeeze it; they are cut if they are higher. */
export function highest(bins: Bins, view: Range, specials: Geometry["specials"]): number {
  let top = 0;
  for (let i = 0; i < bins.counts.length; i++) {
    const inView = (bins.edges[i + 1] as number) > view[0] && (bins.edges[i] as number) < view[1];
    if (inView) top = Math.max(top, height(bins, i));
  }
  return top > 0 ? top : Math.max(0, ...specials.map((bin) => bin.count));
}

export function draw(to: Layers, picture: Picture): void {
  const { bins, view, place, log } = picture;
  set(to.root, { width: place.width, height: place.height, viewBox: `0 0 ${place.width} ${place.height}` });
  const top = highest(bins, view, place.specials) * (log ? 1 : 1.03);
  const pixels = place.bottom - place.top;
  const y = (count: number): number => place.bottom - heightOf(count, top, pixels, log);

  drawGrid(to.grid, picture, top, y);
  const path = barPath(picture, y);
  set(to.bars, { d: path });
  set(to.heldBars, { d: path });
  drawEnds(to.ends, picture, top, y);
  set(to.curve, { d: curvePath(picture, top, pixels) });
  drawAxis(to.axis, picture);
}

function drawGrid(to: SVGGElement, { place, log }: Picture, top: number, y: (count: number) => number): void {
  const ticks = countTicks(top, log, Math.max(log ? 3 : 2, Math.floor((place.bottom - place.top) / 40)));
  const nodes: SVGElement[] = [];
  for (const tick of ticks) {
    const at = Math.round(y(tick.value)) + 0.5;
    if (at > place.bottom - 8) continue;
    nodes.push(s("line", { x1: 30, x2: place.width, y1: at, y2: at }));
    nodes.push(s("text", { x: 26, y: at + 3.5, "text-anchor": "end" }, tick.label));
  }
  to.replaceChildren(...nodes);
}

/** All bars as one path; wide ones stand a hair apart. */
function barPath({ bins, view, place }: Picture, y: (count: number) => number): string {
  const { toPixel } = axisOf(view, place);
  const parts: string[] = [];
  const gap = toPixel(view[0] + bins.step) - toPixel(view[0]) >= 7 ? 1 : 0;
  for (let i = 0; i < bins.counts.length; i++) {
    const left = Math.max(place.x0, toPixel(bins.edges[i] as number));
    const right = Math.min(place.x1, toPixel(bins.edges[i + 1] as number));
    const high = height(bins, i);
    if (high <= 0 || right - left < 0.01) continue;
    const from = Math.min(left, right - 0.75).toFixed(2);
    parts.push(`M${from},${place.bottom}V${y(high).toFixed(2)}H${(right - gap).toFixed(2)}V${place.bottom}Z`);
  }
  return parts.join("");
}

/** The tails, and the bins of zeros, NaN and infinities. */
function drawEnds(
  to: SVGGElement,
  { bins, view, place }: Picture,
  top: number,
  y: (count: number) => number,
): void {
  const nodes: SVGElement[] = [];
  /** @returns where it ends */
  const bar = (kind: string, x: number, width: number, count: number, ceiling: number): number => {
    const at = Math.max(ceiling, y(count));
    if (count <= 0) return at;
    nodes.push(s("rect", { class: `ww-hist-${kind}`, x, width, y: at, height: place.bottom - at }));
    // Higher than the axis: a break says so.
    if (count > top) {
      nodes.push(
        s("path", { class: "ww-hist-break", d: `M${x - 1},${ceiling + 10}L${x + width + 1},${ceiling + 4}` }),
      );
    }
    return at;
  };
  const tails = outside(bins, view);
  bar("tail", place.below.x, place.below.width, tails.below, place.top);
  bar("tail", place.above.x, place.above.width, tails.above, place.top);
  for (const { key, x, width, count, label } of place.specials) {
    // Room for the count above the bar.
    const end = bar(key === "zeros" ? "tail" : "nonfinite", x, width, count, place.top + 12);
    const text = (y: number, kind: string, content: string): SVGElement =>
      s("text", { class: `ww-hist-${kind}`, x: x + width / 2, y, "text-anchor": "middle" }, content);
    nodes.push(text(place.bottom + 16, "label", label), text(end - 3, "count", formatShort(count)));
  }
  to.replaceChildren(...nodes);
}

function curvePath({ bins, view, place, log, normal }: Picture, top: number, pixels: number): string | null {
  if (!normal || !(normal.std > 0) || bins.step === 0) return null;
  const { toPixel } = axisOf(view, place);
  const points: [number, number][] = [];
  const steps = 160;
  for (let i = 0; i <= steps; i++) {
    const at = view[0] + ((view[1] - view[0]) * i) / steps;
    const count = normalCount(bins, normal.mean, normal.std, at);
    // Not rounded up to a pixel as bars are: an expectation may be less than one weight.
    const share = log
      ? Math.log10(Math.max(count, 0.6) / 0.6) / Math.log10(Math.max(2, top) / 0.6)
      : count / top;
    points.push([toPixel(at), place.bottom - share * pixels]);
  }
  return line<[number, number]>().defined(([, y]) => y >= place.top - 1)(points);
}

function drawAxis(to: SVGGElement, { bins, view, place, quantiles, integers }: Picture): void {
  const { toPixel } = axisOf(view, place);
  const nodes: SVGElement[] = [
    s("line", { x1: place.x0, x2: place.x1, y1: place.bottom + 0.5, y2: place.bottom + 0.5 }),
  ];
  const wanted = Math.max(3, Math.floor((place.x1 - place.x0) / 70));
  let ticks = bins.scale === "value" ? valueTicks(view, wanted) : magnitudeTicks(view, wanted);
  if (integers) {
    const whole = ticks.filter((tick) => Number.isInteger(tick.value));
    ticks = whole.map(({ value }) => ({ value, label: formatToStep(value, 1) }));
  }
  if (bins.step === 0) ticks = [];
  for (const { x, label, anchor, shown } of placeTicks(ticks, toPixel, place.below.x, place.above.x + 10)) {
    const at = Math.round(x) + 0.5;
    nodes.push(s("line", { x1: at, x2: at, y1: place.bottom, y2: place.bottom + 4 }));
    if (shown) nodes.push(s("text", { x, y: place.bottom + 16, "text-anchor": anchor }, label));
  }
  for (const { label, value } of quantiles) {
    const x = toPixel(value);
    if (!(x >= place.x0 && x <= place.x1) || bins.step === 0) continue;
    const y = place.bottom + 1;
    const mark = s("path", { class: "ww-hist-quantile", d: `M${x},${y}l3,5h-6Z` });
    mark.append(s("title", {}, `${label}: ${formatNumber(value)}`));
    nodes.push(mark);
  }
  to.replaceChildren(...nodes);
}

/** Words for the tail labels: "1 204 below −0.6". */
export function tailText(count: number, side: "below" | "above", edge: string, known: boolean): string {
  return `${known ? "" : "≈ "}${formatCount(count)} ${side} ${edge}`;
}
