/** What of the selected tensor the histogram counts: all, what the heatmap shows, a row, a column, a region. */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { formatCount } from "../../draw/format";
import { whole } from "../../local/answers";
import type { Region, Restricted } from "../../protocol";
import type { ScopeKind, Store } from "../../store";
import { drawnMatrix, type MatrixInfo } from "../heatmap/matrix";

export const SCOPES: readonly ScopeKind[] = ["all", "window", "row", "column", "region"];

export interface Scope {
  readonly kind: ScopeKind;
  /** "row 17 of 768"; "" for all. */
  readonly text: string;
  /** Number of elements; null for all, which the overview counts. */
  readonly count: number | null;
  /** The fields of a request. */
  readonly fields: Restricted;
}

export interface ScopeState {
  /** What was chosen. */
  readonly chosen: Signal<ScopeKind>;
  /** What is counted: all while there is nothing of the chosen kind. */
  readonly scope: ReadonlySignal<Scope>;
  /** Why there is nothing of a kind, and what to do; null if there is. */
  readonly missing: ReadonlySignal<Record<ScopeKind, string | null>>;
  /** Whether there are parts to choose from. */
  readonly divisible: ReadonlySignal<boolean>;
}

const ALL: Scope = { kind: "all", text: "", count: null, fields: {} };

/** All of whatever is selected, always. */
export const WHOLE: ScopeState = {
  chosen: signal<ScopeKind>("all"),
  scope: signal(ALL),
  missing: signal({ all: null, window: "", row: "", column: "", region: "" }),
  divisible: signal(false),
};

const NEEDS_KERNEL = "counting a part of this tensor needs a running kernel";

const HOW: Record<ScopeKind, string> = {
  all: "",
  window: "zoom into the heatmap to count what it shows",
  row: "click a cell of the heatmap to count its row",
  column: "click a cell of the heatmap to count its column",
  region: "drag over the heatmap with Shift to count a region",
};

export function scopeState(store: Store): ScopeState {
  const matrix = drawnMatrix(store);
  const parts = computed<Record<ScopeKind, Region | null>>(() => {
    const drawn = matrix.value;
    if (!drawn) return { all: null, window: null, row: null, column: null, region: null };
    const { rows, cols } = drawn;
    const window = store.traits.window.value;
    const pinned = store.pinned.value;
    const span = (first: number, size: number, most: number): [number, number] => [
      first,
      Math.min(first + size, most),
    ];
    return {
      all: null,
      window: within(window && { rows: [window[0], window[1]], cols: [window[2], window[3]] }, drawn),
      row: within(pinned && { rows: span(pinned.row, pinned.rows, rows), cols: [0, cols] }, drawn),
      column: within(pinned && { rows: [0, rows], cols: span(pinned.col, pinned.cols, cols) }, drawn),
      region: within(store.region.value, drawn),
    };
  });
  /** Whether somebody can count a part. */
  const possible = computed(
    () =>
      store.model.kernel.value !== "gone" ||
      whole(store.overview.value, store.traits.selected.value) !== null,
  );
  const divisible = computed(() => matrix.value !== null && matrix.value.rows * matrix.value.cols > 1);
  let last = ALL;
  return {
    chosen: store.scope,
    divisible,
    missing: computed(() => {
      const of = (kind: ScopeKind): string | null => {
        if (kind === "all") return null;
        if (!possible.value) return NEEDS_KERNEL;
        return parts.value[kind] ? null : HOW[kind];
      };
      return {
        all: null,
        window: of("window"),
        row: of("row"),
        column: of("column"),
        region: of("region"),
      };
    }),
    scope: computed(() => {
      const kind = store.scope.value;
      const drawn = matrix.value;
      const region = drawn && possible.value ? parts.value[kind] : null;
      const next = drawn && region ? scopeOf(kind, region, drawn) : ALL;
      // The same object until something of it changes.
      if (JSON.stringify(next) !== JSON.stringify(last)) last = next;
      return last;
    }),
  };
}

/** A region if the matrix has it: that of another matrix may reach further. */
function within(region: Region | null, { rows, cols }: MatrixInfo): Region | null {
  if (!region) return null;
  const fits = ([first, end]: readonly [number, number], size: number): boolean =>
    first >= 0 && first < end && end <= size;
  return fits(region.rows, rows) && fits(region.cols, cols) ? region : null;
}

function scopeOf(kind: ScopeKind, region: Region, { rows, cols, axes, index }: MatrixInfo): Scope {
  const ofRows = spanText("row", region.rows, rows);
  const ofCols = spanText("column", region.cols, cols);
  const text =
    kind === "row"
      ? `${ofRows} of ${formatCount(rows)}`
      : kind === "column"
        ? `${ofCols} of ${formatCount(cols)}`
        : `${ofRows} × ${ofCols}`;
  const count = (region.rows[1] - region.rows[0]) * (region.cols[1] - region.cols[0]);
  return { kind, text, count, fields: { region, axes, index } };
}

/** "row 17", "rows 0–63", "all rows"; numbers as the heatmap has them. */
function spanText(name: string, [first, end]: readonly [number, number], size: number): string {
  if (end - first === 1) return `${name} ${first}`;
  return end - first === size ? `all ${name}s` : `${name}s ${first}–${end - 1}`;
}
