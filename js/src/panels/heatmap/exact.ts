/** The exact element behind what is pointed at: asked of the kernel when the pointer rests. */

import { type ReadonlySignal, signal } from "@preact/signals-core";
import type { Hover } from "../../store";
import type { HeatmapState } from "./state";

export interface ExactCell {
  /** What was pointed at. */
  of: Hover;
  value: string;
  position: number[];
}

/** Milliseconds that the pointer rests before the kernel is asked. */
const REST = 120;

/** Types whose values float32, and so a tile, holds to the last digit. */
const HELD = new Set(["float32", "float16", "bfloat16", "bool", "uint8", "int8", "int16", "uint16"]);

/** Whether tiles hold the values of a type as they are. */
export function isHeld(dtype: string): boolean {
  return HELD.has(dtype) || dtype.startsWith("float8");
}

export function exactCell(state: HeatmapState): ReadonlySignal<ExactCell | null> {
  const found = signal<ExactCell | null>(null);
  state.store.effect(() => {
    const of = state.store.hover.value ?? state.pinned.value;
    const matrix = state.matrix.value;
    const last = found.peek();
    if (last && !sameCell(last.of, of)) found.value = null;
    if (!of || !matrix || (last && sameCell(last.of, of))) return;
    const held = isHeld(matrix.dtype);
    const rough = "rough" in of && of.rough === true;
    if (of.rows * of.cols === 1 && held && !rough && !Number.isNaN(of.value)) return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      state.store.model
        .request(
          "cell",
          {
            tensor: matrix.tensor,
            axes: matrix.axes,
            index: matrix.index,
            window: [of.row, of.row + of.rows, of.col, of.col + of.cols],
          },
          { signal: abort.signal },
        )
        .then(({ value, position }) => {
          found.value = { of, value, position };
        })
        .catch(() => {
          // Withdrawn or failed: the value of the pixel stays, which says what it stands for.
        });
    }, REST);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  });
  return found;
}

function sameCell(a: Hover, b: Hover | null): boolean {
  return b !== null && a.row === b.row && a.col === b.col && a.rows === b.rows && a.cols === b.cols;
}

/** The shortest decimal number that float32 reads as this value. */
export function shortestFloat32(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "\u2212Inf";
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return String(short).replaceAll("-", "\u2212");
  }
  return String(Number(value.toPrecision(9))).replaceAll("-", "\u2212");
}
