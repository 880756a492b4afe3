/** Pointer, wheel and keys on the plot. */

import type { ReadonlySignal, Signal } from "@preact/signals-core";
import type { Range } from "../../model";
import type { Store } from "../../store";
import type { BrushState } from "./brush";
import { axisOf, brushPixels, type Geometry, roundTo } from "./geometry";
import type { HistogramState } from "./state";

/** How near to an edge of the brush the pointer takes hold of it, in pixels. */
const REACH = 6;
/** A press that moves less is a click. */
const CLICK = 3;

type Hold = "low" | "high" | "both" | "new";

interface Parts {
  pad: HTMLElement;
  place: ReadonlySignal<Geometry>;
  /** Where the pointer is, in pixels, while it brushes nothing. */
  under: Signal<number | null>;
}

export function gestures(store: Store, state: HistogramState, brush: BrushState, parts: Parts): void {
  const { pad, place, under } = parts;

  const pixelOf = (event: MouseEvent): number => event.clientX - pad.getBoundingClientRect().left;
  /** The value at a pixel; on an end bin and beyond, the smallest or the largest weight. */
  const valueAt = (x: number): number => {
    const view = state.view.peek() as Range;
    const limits = state.limits.peek() as Range;
    const { x0, x1 } = place.peek();
    if (x < x0 - 1) return Math.min(limits[0], view[0]);
    if (x > x1 + 1) return Math.max(limits[1], view[1]);
    const value = axisOf(view, { x0, x1 }).toValue(x);
    return state.scale.peek() === "value" ? roundTo(value, (view[1] - view[0]) / (x1 - x0)) : value;
  };
  const holdAt = (x: number): Hold => {
    const range = brush.shown.peek();
    const view = state.view.peek();
    if (!range || !view) return "new";
    const [low, high] = brushPixels(range, view, place.peek());
    const fromLow = Math.abs(x - low);
    const fromHigh = Math.abs(x - high);
    if (Math.min(fromLow, fromHigh) <= REACH)
      return fromLow < fromHigh || (fromLow === fromHigh && x < low) ? "low" : "high";
    return x > low && x < high ? "both" : "new";
  };

  let drag: { id: number; hold: Hold; x: number; moved: boolean; range: Range } | null = null;

  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !state.view.peek() || !state.bins.peek()) return;
    const x = pixelOf(event);
    const range = brush.shown.peek() ?? [valueAt(x), valueAt(x)];
    drag = { id: event.pointerId, hold: holdAt(x), x, moved: false, range };
    pad.setPointerCapture(event.pointerId);
    brush.begin();
    under.value = null;
  });
  pad.addEventListener("pointermove", (event) => {
    const x = pixelOf(event);
    const view = state.view.peek();
    if (!view) return;
    if (!drag) {
      const hold = state.bins.peek() ? holdAt(x) : "new";
      pad.style.cursor = hold === "new" ? "crosshair" : hold === "both" ? "grab" : "ew-resize";
      under.value = x;
      return;
    }
    if (!drag.moved && Math.abs(x - drag.x) < CLICK) return;
    drag.moved = true;
    const at = valueAt(x);
    const [low, high] = drag.range;
    if (drag.hold === "new") brush.drag(sorted(valueAt(drag.x), at));
    else if (drag.hold === "low") brush.drag(sorted(at, high));
    else if (drag.hold === "high") brush.drag(sorted(low, at));
    else {
      const { x0, x1 } = place.peek();
      const pixel = (view[1] - view[0]) / (x1 - x0);
      const by = (x - drag.x) * pixel;
      const move = (end: number): number =>
        state.scale.peek() === "value" ? roundTo(end + by, pixel / 10) : end + by;
      brush.drag([move(low), move(high)]);
    }
  });
  const release = (event: PointerEvent): void => {
    if (drag?.id !== event.pointerId) return;
    const { moved } = drag;
    drag = null;
    if (moved) brush.end();
    else brush.abandon();
  };
  pad.addEventListener("pointerup", release);
  pad.addEventListener("pointercancel", () => {
    if (drag) brush.abandon();
    drag = null;
  });
  pad.addEventListener("pointerleave", () => {
    under.value = null;
  });
  pad.addEventListener("dblclick", () => brush.set(null));

  pad.addEventListener(
    "wheel",
    (event) => {
      const view = state.view.peek();
      // Without focus the wheel belongs to the page.
      if (!view || !(event.ctrlKey || event.metaKey || isFocused(pad))) return;
      event.preventDefault();
      const { x0, x1 } = place.peek();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        const by = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
        state.panBy((by * (view[1] - view[0])) / (x1 - x0));
        return;
      }
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const x = Math.min(x1, Math.max(x0, pixelOf(event)));
      state.zoomBy(Math.exp(event.deltaY * lines * 0.0015), axisOf(view, { x0, x1 }).toValue(x));
    },
    { passive: false },
  );

  pad.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drag) {
      drag = null;
      brush.abandon();
    } else if (!onKey(event, store, state, brush)) return;
    event.preventDefault();
    event.stopPropagation();
  });
}

/** @returns whether the key meant something */
function onKey(event: KeyboardEvent, store: Store, state: HistogramState, brush: BrushState): boolean {
  const view = state.view.peek();
  if (!view) return false;
  const command = event.ctrlKey || event.metaKey;
  if (command) {
    if (event.key.toLowerCase() !== "z") return false;
    brush.undo();
    return true;
  }
  const range = brush.shown.peek();
  switch (event.key) {
    case "ArrowLeft":
    case "ArrowRight": {
      if (!range) return false;
      const pixel = (view[1] - view[0]) / Math.max(1, state.pixels.peek());
      const by = (event.key === "ArrowLeft" ? -3 : 3) * pixel;
      const round = (value: number): number =>
        state.scale.peek() === "value" ? roundTo(value, pixel) : value;
      const [low, high] = range;
      brush.begin();
      brush.drag(
        event.shiftKey ? [low, Math.max(low, round(high + by))] : [round(low + by), round(high + by)],
      );
      brush.end();
      return true;
    }
    case "Enter":
    case " ":
      if (range || event.target !== event.currentTarget) return false;
      brush.set(firstBrush(store, state));
      return true;
    case "Escape":
      if (!store.traits.value_range.peek()) return false;
      brush.set(null);
      return true;
    case "+":
    case "=":
      state.zoomBy(0.5);
      return true;
    case "-":
      state.zoomBy(2);
      return true;
    case "0":
      state.show(null);
      return true;
    default:
      return false;
  }
}

/** What the first brush made by key holds: the upper quarter, as far as it is shown. */
function firstBrush(store: Store, state: HistogramState): Range | null {
  const stat = (key: string): number =>
    store.overview.peek().column(key)[store.selectedRow.peek()] ?? Number.NaN;
  const limits = state.limits.peek();
  const low = stat("q75");
  const high = stat("max");
  if (low <= high) return [roundTo(low, (high - low) / 100), high];
  return limits && state.scale.peek() === "value" ? limits : null;
}

function isFocused(element: HTMLElement): boolean {
  // In a shadow root the document's active element is the host.
  return (element.getRootNode() as Document | ShadowRoot).activeElement === element;
}

function sorted(a: number, b: number): Range {
  return a <= b ? [a, b] : [b, a];
}
