/** The region of the matrix that is marked by dragging or by keys, for the histogram to count. */

import { batch } from "@preact/signals-core";
import type { Region } from "../../protocol";
import type { Hover, Store } from "../../store";
import type { Viewport } from "./viewport";

/** A cell, or the elements under a pixel. */
export type Cells = Omit<Hover, "value">;

export interface Marker {
  set(region: Region): void;
  /** Begins a region at a cell, or ends the one that goes along with the cell cursor. */
  toggle(cell: Cells | null): void;
  /** Stretches a region that was begun up to a cell. */
  follow(cell: Cells | null): void;
  /** @returns whether there was one */
  clear(): boolean;
}

export function marker(store: Store): Marker {
  let anchor: Cells | null = null;
  const set = (region: Region): void =>
    batch(() => {
      if (JSON.stringify(store.region.peek()) !== JSON.stringify(region)) store.region.value = region;
      store.scope.value = "region";
    });
  // What was begun in another matrix, or cleared, is not gone on with.
  store.effect(() => {
    if (!store.region.value) anchor = null;
  });
  return {
    set: (region) => {
      anchor = null;
      set(region);
    },
    toggle: (cell) => {
      const begun = anchor !== null;
      anchor = begun ? null : cell;
      if (!begun && cell) set(between(cell, cell));
    },
    follow: (cell) => {
      if (anchor && cell) set(between(anchor, cell));
    },
    clear: () => {
      anchor = null;
      if (!store.region.peek()) return false;
      batch(() => {
        store.region.value = null;
        if (store.scope.peek() === "region") store.scope.value = "all";
      });
      return true;
    },
  };
}

/** The smallest region that holds two cells. */
export function between(a: Cells, b: Cells): Region {
  return {
    rows: [Math.min(a.row, b.row), Math.max(a.row + a.rows, b.row + b.rows)],
    cols: [Math.min(a.col, b.col), Math.max(a.col + a.cols, b.col + b.cols)],
  };
}

/**
 * The elements between two points of the room: at least one, none beyond the matrix.
 * @param strip whether the rows are those of a vector's strip: all of them
 */
export function spanned(
  v: Viewport,
  from: readonly [number, number],
  to: readonly [number, number],
  strip = false,
): Region {
  const along = (a: number, b: number, start: number, scale: number, size: number): [number, number] => {
    const at = (pixel: number): number => Math.max(0, Math.min(size - 1, Math.floor(start + pixel / scale)));
    return [at(Math.min(a, b)), at(Math.max(a, b)) + 1];
  };
  return {
    rows: strip ? [0, v.rows] : along(from[1], to[1], v.y, v.sy, v.rows),
    cols: along(from[0], to[0], v.x, v.sx, v.cols),
  };
}
