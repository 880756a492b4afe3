/** Brushing the interval of values: by drag, by keys, typed; with the last gestures undone by Ctrl+Z. */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Range } from "../../model";
import type { Store } from "../../store";
import type { HistogramState } from "./state";

export interface BrushState {
  /** On the axis of magnitudes one interval of values lies on one side of zero: which. */
  readonly sign: Signal<1 | -1>;
  /** The brush on the axis that is shown; null if there is none or it cannot be shown there. */
  readonly shown: ReadonlySignal<Range | null>;
  /** Why a brush that is there cannot be shown, else "". */
  readonly hint: ReadonlySignal<string>;
  /** Takes the interval of a running gesture, in units of the axis; at most once a frame. */
  drag(range: Range): void;
  /** Begins and ends a gesture: what lies between is undone at once. */
  begin(): void;
  end(): void;
  /** Ends a gesture as if it had not begun. */
  abandon(): void;
  /** Sets the interval of w in one go; null clears. */
  set(range: Range | null): void;
  undo(): void;
}

const UNDO_DEPTH = 50;

export function brushState(store: Store, histogram: HistogramState): BrushState {
  const trait = store.traits.value_range;
  const sign = signal<1 | -1>(1);
  const undoable: (Range | null)[] = [];
  let start: { range: Range | null } | null = null;
  let frame = 0;
  let next: Range | null = null;

  /** Both ends of w, of an interval on the axis. */
  const toValues = ([a, b]: Range): Range => {
    if (histogram.scale.peek() === "value") return a <= b ? [a, b] : [b, a];
    const low = outwards(10 ** Math.min(a, b), Math.floor);
    const high = outwards(10 ** Math.max(a, b), Math.ceil);
    return sign.peek() > 0 ? [low, high] : [-high, -low];
  };
  const flush = (): void => {
    cancelAnimationFrame(frame);
    frame = 0;
    if (next) trait.value = next;
    next = null;
  };
  const remember = (before: Range | null): void => {
    if (same(before, trait.peek())) return;
    undoable.push(before);
    if (undoable.length > UNDO_DEPTH) undoable.shift();
  };
  store.lifetime.addEventListener("abort", () => cancelAnimationFrame(frame));

  // A brush set elsewhere decides on which side of zero it is.
  store.effect(() => {
    const range = trait.value;
    if (range && range[0] > 0) sign.value = 1;
    else if (range && range[1] < 0) sign.value = -1;
  });

  return {
    sign,
    shown: computed(() => {
      const range = trait.value;
      if (!range || histogram.scale.value === "value") return range;
      const [low, high] = sign.value > 0 ? range : [-range[1], -range[0]];
      return low > 0 ? [Math.log10(low), Math.log10(high)] : null;
    }),
    hint: computed(() => {
      const range = trait.value;
      if (!range || histogram.scale.value === "value") return "";
      const [low, high] = sign.value > 0 ? range : [-range[1], -range[0]];
      if (low > 0) return "";
      return high < 0
        ? "the brush is on the other side of zero"
        : "a brush across zero shows on the axis of w";
    }),
    drag: (range) => {
      next = toValues(range);
      frame ||= requestAnimationFrame(flush);
    },
    begin: () => {
      flush();
      start = { range: trait.peek() };
    },
    end: () => {
      flush();
      if (start) remember(start.range);
      start = null;
    },
    abandon: () => {
      next = null;
      flush();
      if (start) trait.value = start.range;
      start = null;
    },
    set: (range) => {
      const before = trait.peek();
      if (!same(before, range)) trait.value = range;
      remember(before);
    },
    undo: () => {
      const before = undoable.pop();
      if (before !== undefined) trait.value = before;
    },
  };
}

/** A magnitude to the three digits that a logarithmic axis tells, outwards: the largest weight stays inside. */
function outwards(value: number, round: (value: number) => number): number {
  const near = Number(value.toPrecision(3));
  // What has three digits already went through a logarithm, and must not move on.
  if (Math.abs(near - value) <= 1e-9 * value) return near;
  const place = Math.floor(Math.log10(value)) - 2;
  return Number(`${round(Number((value / 10 ** place).toPrecision(12)))}e${place}`);
}

function same(a: Range | null, b: Range | null): boolean {
  return a === b || (a !== null && b !== null && a[0] === b[0] && a[1] === b[1]);
}
