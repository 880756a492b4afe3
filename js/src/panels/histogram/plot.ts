/** The plot: bars, brush, marker of the element under the heatmap's pointer, and what is under the own pointer. */

import { computed, signal } from "@preact/signals-core";
import { h, setText } from "../../draw/dom";
import { formatCount, formatNumber, formatShare, formatToStep } from "../../draw/format";
import { s, set } from "../../draw/svg";
import type { Range } from "../../model";
import type { Store } from "../../store";
import { type Bins, binAt, outside, type Scale, tailsKnown } from "./bins";
import type { BrushState } from "./brush";
import { draw, layers, tailText } from "./draw";
import { AXIS, axisOf, brushPixels, type Geometry, geometry } from "./geometry";
import { gestures } from "./gestures";
import type { HistogramState } from "./state";

const NO_VIEW: Range = [0, 1];

export const QUANTILES: readonly { key: string; label: string }[] = [
  { key: "q01", label: "1 %" },
  { key: "q25", label: "25 %" },
  { key: "median", label: "median" },
  { key: "q75", label: "75 %" },
  { key: "q99", label: "99 %" },
];

export function histogramPlot(store: Store, state: HistogramState, brush: BrushState): HTMLElement {
  const picture = layers();
  const hovered = s("rect", { class: "ww-hist-hovered" });
  const held = s("rect", { class: "ww-hist-brush" });
  const edges = [s("path", { class: "ww-hist-edge" }), s("path", { class: "ww-hist-edge" })] as const;
  const marker = s("g", { class: "ww-hist-marker" });
  picture.root.append(hovered, held, ...edges, marker);
  const pad = h("div", {
    class: "ww-hist-pad",
    tabindex: 0,
    role: "group",
    "aria-label": "histogram: drag or press Enter to brush an interval of values",
    "aria-keyshortcuts": "Enter ArrowLeft ArrowRight Shift+ArrowLeft Shift+ArrowRight Escape Control+Z + - 0",
  });
  const tip = h("div", { class: "ww-hist-tip", hidden: true });
  const problem = h("p", { class: "ww-note ww-hist-problem", role: "status" });
  const box = h("div", { class: "ww-hist-plot" }, pad, tip, problem);
  box.prepend(picture.root);

  const { size } = state;
  const observer = new ResizeObserver((entries) => {
    const { width, height } = entries[0]?.contentRect ?? { width: 0, height: 0 };
    if (width > 0 && height > 0) size.value = { width: Math.floor(width), height: Math.floor(height) };
  });
  observer.observe(box);
  store.lifetime.addEventListener("abort", () => observer.disconnect());

  const place = computed<Geometry>(() => geometry(size.value.width, size.value.height, state.bins.value));
  store.effect(() => {
    state.pixels.value = size.value.width > 0 ? place.value.x1 - place.value.x0 : 0;
  });
  /** Where the pointer is, in pixels from the left. */
  const under = signal<number | null>(null);

  store.effect(() => {
    const bins = state.bins.value;
    const view = state.view.value;
    // Without a place on the axis any will do: only the bins set apart are drawn.
    const shown = view ?? (bins?.step === 0 ? NO_VIEW : null);
    const drawn = bins !== null && shown !== null && size.value.width > 0;
    picture.root.style.visibility = drawn ? "visible" : "hidden";
    setText(problem, state.problem.value, true);
    problem.hidden = state.problem.value === "";
    // Errors of the kernel stand beside what the overview shows.
    problem.dataset.over = drawn && bins.step > 0 ? "plot" : "nothing";
    if (!drawn) return;
    const overview = store.overview.value;
    const row = store.selectedRow.value;
    const stat = (key: string): number => overview.column(key)[row] ?? Number.NaN;
    // Mean, deviation and quantiles are those of all weights.
    const whole = state.counted.value.kind === "all";
    draw(picture, {
      bins,
      view: shown,
      integers: state.integers.value,
      place: place.value,
      log: state.logCounts.value,
      normal:
        whole && state.normal.value && overview.dtype(row) !== "bool"
          ? { mean: stat("mean"), std: stat("std") }
          : null,
      quantiles:
        whole && bins.scale === "value"
          ? QUANTILES.map(({ key, label }) => ({ label, value: stat(key) }))
          : [],
    });
  });

  store.effect(() => drawBrush(state, brush, place.value, held, edges, picture.held, picture.heldBars));
  store.effect(() => drawMarker(store, state, place.value, marker));
  store.effect(() => {
    const at = under.value;
    const bins = state.bins.value;
    const view = state.view.value;
    const found =
      at !== null && bins && (view || bins.step === 0)
        ? whatIsUnder(at, bins, view ?? NO_VIEW, place.value)
        : null;
    tip.hidden = !found;
    set(hovered, { visibility: found ? "visible" : "hidden" });
    if (!found || at === null) return;
    tip.textContent = found.text;
    const room = size.value.width;
    const width = tip.offsetWidth;
    const left = at + 10;
    tip.style.left = `${Math.max(0, left + width > room ? left - 20 - width : left)}px`;
    set(hovered, {
      x: found.x,
      width: found.width,
      y: place.value.top,
      height: place.value.bottom - place.value.top,
    });
  });

  gestures(store, state, brush, { pad, place, under });
  store.effect(() => {
    pad.style.height = `${Math.max(0, size.value.height - AXIS)}px`;
  });
  return box;
}

function drawBrush(
  state: HistogramState,
  brush: BrushState,
  place: Geometry,
  held: SVGRectElement,
  edges: readonly SVGPathElement[],
  window: SVGSVGElement,
  bars: SVGPathElement,
): void {
  const range = brush.shown.value;
  const view = state.view.value;
  const visible = range && view && state.bins.value ? "visible" : "hidden";
  for (const node of [held, ...edges, window]) set(node, { visibility: visible });
  if (!range || !view) return;
  const [left, right] = brushPixels(range, view, place);
  const { top, bottom } = place;
  set(held, { x: left, y: top, width: Math.max(1, right - left), height: bottom - top });
  set(window, { x: left, width: Math.max(1, right - left), height: bottom });
  set(bars, { transform: `translate(${-left})` });
  const middle = (top + bottom) / 2;
  [left, right].forEach((x, i) => {
    const grip = right - left > 14 ? `M${x - 2},${middle - 6}h4v12h-4Z` : "";
    set(edges[i] as SVGPathElement, { d: `M${x},${top}V${bottom}${grip}` });
  });
}

function drawMarker(store: Store, state: HistogramState, place: Geometry, marker: SVGGElement): void {
  const hover = store.hover.value;
  const view = state.view.value;
  const bins = state.bins.value;
  marker.replaceChildren();
  if (!hover || !view || !bins) return;
  const x = markerPixel(hover.value, bins.scale, view, place);
  if (x === null) return;
  const { top, bottom } = place;
  marker.append(s("line", { x1: x, x2: x, y1: top, y2: bottom }));
  const middle = (top + bottom) / 2;
  const value = bins.scale === "value" ? hover.value : Math.log10(Math.abs(hover.value));
  if (value < view[0] && hover.value !== 0) marker.append(s("path", { d: `M${x - 2},${middle}l8,-5v10Z` }));
  if (value > view[1]) marker.append(s("path", { d: `M${x + 2},${middle}l-8,-5v10Z` }));
  const end = x > (place.x0 + place.x1) / 2;
  marker.append(
    s(
      "text",
      { x: end ? x - 4 : x + 4, y: top + 20, "text-anchor": end ? "end" : "start" },
      formatNumber(hover.value),
    ),
  );
}

function markerPixel(value: number, scale: Scale, view: Range, place: Geometry): number | null {
  const special = Number.isNaN(value)
    ? "nan"
    : value === Number.POSITIVE_INFINITY
      ? "posinf"
      : value === Number.NEGATIVE_INFINITY
        ? "neginf"
        : value === 0 && scale === "magnitude"
          ? "zeros"
          : null;
  if (special) {
    const bin = place.specials.find(({ key }) => key === special);
    return bin ? bin.x + bin.width / 2 : null;
  }
  const at = scale === "value" ? value : Math.log10(Math.abs(value));
  if (at < view[0]) return place.below.x + place.below.width / 2;
  if (at > view[1]) return place.above.x + place.above.width / 2;
  return axisOf(view, place).toPixel(at);
}

interface Under {
  text: string;
  x: number;
  width: number;
}

/** What the pointer is on: a bin, an end bin, or a bin of zeros, NaN, infinities. */
function whatIsUnder(x: number, bins: Bins, view: Range, place: Geometry): Under | null {
  const say = (what: string, count: number, exact: boolean): string =>
    `${what} : ${exact ? "" : "≈ "}${formatCount(count)} (${formatShare(count / bins.total)})`;
  for (const bin of place.specials) {
    if (x >= bin.x && x <= bin.x + bin.width) {
      return { text: say(bin.meaning, bin.count, true), x: bin.x, width: bin.width };
    }
  }
  if (bins.step === 0) return null;
  const tails = outside(bins, view);
  const known = bins.exact && tailsKnown(bins, view);
  for (const side of ["below", "above"] as const) {
    const { x: from, width } = place[side];
    if (x < from - 1 || x > from + width + 1 || tails[side] === 0) continue;
    const edge = edgeText(view[side === "below" ? 0 : 1], bins.scale, view);
    const share = formatShare(tails[side] / bins.total);
    return { text: `${tailText(tails[side], side, edge, known)} (${share})`, x: from, width };
  }
  if (x < place.x0 || x > place.x1) return null;
  const { toPixel, toValue } = axisOf(view, place);
  const i = binAt(bins, toValue(x));
  if (i < 0) return null;
  const low = bins.edges[i] as number;
  const high = bins.edges[i + 1] as number;
  const step = bins.step / 10;
  const name = (edge: number): string =>
    bins.scale === "value" ? formatToStep(edge, step) : formatNumber(10 ** edge, 3);
  const what = `${bins.scale === "value" ? "" : "|w| "}${name(low)} … ${name(high)}`;
  const left = Math.max(place.x0, toPixel(low));
  const right = Math.min(place.x1, toPixel(high));
  return { text: say(what, bins.counts[i] as number, bins.exact), x: left, width: Math.max(1, right - left) };
}

/** An end of the view, in units of w (or |w|), with as many digits as the view's width needs. */
export function edgeText(edge: number, scale: Scale, view: Range): string {
  return scale === "value" ? formatToStep(edge, (view[1] - view[0]) / 100) : formatNumber(10 ** edge, 2);
}
