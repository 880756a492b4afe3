/** A mini histogram of one statistic across the tensors, with a brush. */

import { computed, effect, signal } from "@preact/signals-core";
import { type BrushBehavior, brushX, type D3BrushEvent } from "d3-brush";
import { select } from "d3-selection";
import { h } from "../../draw/dom";
import { formatCount } from "../../draw/format";
import { s } from "../../draw/svg";
import type { Range } from "../../model";
import { STATISTIC } from "../../statistics";
import type { Store } from "../../store";
import { statisticText } from "../tree/text";
import { assignBins, axisFor, countBins, prefersLog, rangeBetween } from "./bins";
import type { FilterState } from "./state";
import { createThumbs } from "./thumbs";

const HEIGHT = 32;
/** Width of a bin in CSS pixels, about. */
const BIN = 5;

/** So close to an end of the axis, in CSS pixels, a brush reaches it. */
const SNAP = 2;

interface Start {
  range: Range;
  places: Range;
}

export interface Facet {
  readonly root: HTMLElement;
  dispose(): void;
}

export function createFacet(store: Store, state: FilterState, key: string): Facet {
  const statistic = STATISTIC.get(key);
  const label = statistic?.label ?? key;
  const whole = statistic?.format === "count" || statistic?.format === "bytes";
  const text = (value: number): string => withoutZeros(statisticText(key, value)) || "–";
  const width = signal(0);
  /** null: by the values. */
  const log = signal<boolean | null>(null);
  const range = computed(() => store.traits.facets.value[key] ?? null);

  const column = computed(() => store.base.value.column(key));
  const tensors = computed(() => store.base.value.tensors);
  const isLog = computed(() => log.value ?? prefersLog(column.value, tensors.value));
  const axis = computed(() => axisFor(column.value, tensors.value, isLog.value));
  const bins = computed(() => Math.max(8, Math.min(60, Math.round(width.value / BIN))));
  const assigned = computed(() =>
    axis.value ? assignBins(axis.value, column.value, tensors.value, bins.value) : new Int16Array(),
  );
  const all = computed(() => countBins(assigned.value, bins.value, []));
  const passing = computed(() => countBins(assigned.value, bins.value, state.masksFor(key)));

  const title = h("span", { class: "ww-facet-title", title: `${statistic?.help ?? ""} · ${key}` }, label);
  const shownRange = h("span", { class: "ww-facet-range ww-number" });
  const close = h("button", { type: "button", class: "ww-plain ww-facet-close" }, "×");
  const allPath = s("path", { class: "ww-facet-all" });
  const passingPath = s("path", { class: "ww-facet-passing" });
  const brushGroup = s("g", { class: "ww-facet-brush" });
  const svg = s("svg", { height: HEIGHT, "aria-hidden": "true" }, allPath, passingPath, brushGroup);
  const low = h("span", { class: "ww-facet-end" });
  const high = h("span", { class: "ww-facet-end" });
  const scale = h("button", { type: "button", class: "ww-plain ww-facet-scale" });
  const note = h("span", { class: "ww-note ww-facet-none" }, "not known yet");

  const thumbs = createThumbs({
    label,
    axis: () => axis.peek(),
    range: () => range.peek(),
    step: (fine) => 1 / (fine ? Math.max(width.peek(), 1) : bins.peek()),
    text,
    begin: state.begin,
    set: (from, to) => setPlaces(from, to),
    clear: () => clear(),
  });
  const plot = h("div", { class: "ww-facet-plot" }, svg, ...thumbs.elements, note);
  const root = h(
    "div",
    { class: "ww-facet", role: "group", "aria-label": `filter by ${label}`, "data-statistic": key },
    h("div", { class: "ww-facet-head" }, title, close, shownRange),
    plot,
    h("div", { class: "ww-facet-axis" }, low, scale, high),
  );

  /** Ends that a gesture left where they were keep their exact values. */
  const setPlaces = (from: number, to: number, before: Start | null = null): void => {
    const on = axis.peek();
    if (!on) return;
    const next = rangeBetween(on, from, to, width.peek(), whole);
    if (before && from === before.places[0]) next[0] = before.range[0];
    if (before && to === before.places[1]) next[1] = before.range[1];
    state.set(key, next);
  };
  const clear = (): void => {
    state.begin();
    state.set(key, null);
  };

  // -- the brush -----------------------------------------------------------------------------------------------------

  let dragging = false;
  let start: Start | null = null;
  /** Place of a pixel; the ends of the axis are wide enough to be hit. */
  const placeOf = (x: number): number => {
    const w = Math.max(width.peek(), 1);
    return x <= SNAP ? 0 : x >= w - SNAP ? 1 : x / w;
  };
  const brush: BrushBehavior<unknown> = brushX<unknown>()
    .handleSize(9)
    .on("start", (event: D3BrushEvent<unknown>) => {
      if (!event.sourceEvent) return;
      dragging = true;
      state.begin();
      const before = range.peek();
      const selection = event.selection as [number, number] | null;
      start =
        before && selection
          ? { range: before, places: [placeOf(selection[0]), placeOf(selection[1])] }
          : null;
    })
    .on("brush", (event: D3BrushEvent<unknown>) => {
      if (!event.sourceEvent || !event.selection) return;
      const [x0, x1] = event.selection as [number, number];
      setPlaces(placeOf(x0), placeOf(x1), start);
    })
    .on("end", (event: D3BrushEvent<unknown>) => {
      if (!event.sourceEvent) return;
      dragging = false;
      // A click beside the brush takes it away.
      if (!event.selection) state.set(key, null);
      else moveBrush();
    });
  const group = select<SVGGElement, unknown>(brushGroup);

  const moveBrush = (): void => {
    if (dragging || width.peek() === 0) return;
    const places = placesOf(range.peek());
    group.call(brush.move, places ? [places[0] * width.peek(), places[1] * width.peek()] : null);
  };
  const placesOf = (of: Range | null): Range | null => {
    const on = axis.peek();
    if (!of || !on) return null;
    const clamp = (value: number): number => {
      const place = on.place(Math.max(on.domain[0], Math.min(on.domain[1], value)));
      return Math.max(0, Math.min(1, place));
    };
    return [clamp(of[0]), clamp(of[1])];
  };

  plot.addEventListener("dblclick", clear);
  plot.addEventListener("pointermove", (event) => {
    const on = axis.peek();
    if (!on || dragging) return;
    const place = (event.clientX - plot.getBoundingClientRect().left) / Math.max(width.peek(), 1);
    const bin = Math.max(0, Math.min(bins.peek() - 1, Math.floor(place * bins.peek())));
    const ends = [bin / bins.peek(), (bin + 1) / bins.peek()].map((edge) => text(on.value(edge)));
    const [some, total] = [passing.peek()[bin] ?? 0, all.peek()[bin] ?? 0];
    plot.title = `${ends.join(" to ")}: ${formatCount(some)} of ${formatCount(total)} tensors`;
  });
  close.addEventListener("click", () => {
    if (range.peek()) clear();
    else state.remove(key);
  });
  scale.addEventListener("click", () => {
    log.value = !isLog.peek();
  });

  // -- what changes --------------------------------------------------------------------------------------------------

  const stops = [
    effect(() => {
      const w = width.value;
      svg.setAttribute("width", String(w));
      if (w > 0) {
        brush.extent([
          [0, 0],
          [w, HEIGHT],
        ]);
        group.call(brush);
      }
    }),
    effect(() => {
      const top = Math.max(1, ...all.value);
      allPath.setAttribute("d", barsPath(all.value, top, width.value));
      passingPath.setAttribute("d", barsPath(passing.value, top, width.value));
    }),
    effect(() => {
      const on = axis.value;
      plot.toggleAttribute("data-unknown", !on);
      low.textContent = !on ? "" : on.only === null ? text(on.domain[0]) : `all ${text(on.only)}`;
      high.textContent = on && on.only === null ? text(on.domain[1]) : "";
      scale.textContent = on ? { linear: "linear", log: "log", symlog: "± log" }[on.kind] : "";
      scale.title = isLog.value ? "Show on a linear scale" : "Show on a logarithmic scale";
    }),
    effect(() => {
      const now = range.value;
      shownRange.textContent = now ? `${text(now[0])} – ${text(now[1])}` : "all";
      shownRange.toggleAttribute("data-all", !now);
      root.toggleAttribute("data-brushed", now !== null);
      close.title = now ? `Clear the range of ${label}` : `Remove ${label} from the panel`;
      close.setAttribute("aria-label", close.title);
      axis.value;
      width.value;
      moveBrush();
      thumbs.place(placesOf(now) ?? [0, 1], now);
    }),
  ];
  const observer = new ResizeObserver(() => {
    width.value = plot.clientWidth;
  });
  observer.observe(plot);

  return {
    root,
    dispose: () => {
      observer.disconnect();
      for (const stop of stops) stop();
    },
  };
}

/** One path for all bars; whatever is not empty can be seen. */
function barsPath(counts: Float64Array, top: number, width: number): string {
  let path = "";
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] as number;
    if (count === 0) continue;
    const left = Math.round((i * width) / counts.length);
    const right = Math.max(left + 1, Math.round(((i + 1) * width) / counts.length));
    const size = Math.max(1, Math.round((count / top) * (HEIGHT - 1)));
    path += `M${left} ${HEIGHT}V${HEIGHT - size}H${right}V${HEIGHT}Z`;
  }
  return path;
}

/** 0.0200 says no more than 0.02 where there is no column to keep. */
function withoutZeros(text: string): string {
  return text.replace(/(\.\d*?)0+(?!\d)/, "$1").replace(/\.(?!\d)/, "");
}
