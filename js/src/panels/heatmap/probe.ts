/** What is drawn at an element: the value of its cell or pixel, and what else that stands for. */

import type { Hover } from "../../store";
import type { HeatmapState } from "./state";
import { extent } from "./tilecache";

export interface Probe extends Hover {
  /** The overview gave it: it may be rounded. */
  rough: boolean;
}

/** null while nothing is drawn there. */
export function probe(state: HeatmapState, row: number, col: number): Probe | null {
  const v = state.viewport.peek();
  const cache = state.cache.peek();
  if (!v || row < 0 || col < 0 || row >= v.rows || col >= v.cols) return null;
  const levels = state.levels.peek();
  let best: Probe | null = null;
  for (const tile of cache?.all() ?? []) {
    const [rowLevel, colLevel] = tile.place;
    // The level in sight, else the finest that is there.
    const ideal = rowLevel === levels[0] && colLevel === levels[1];
    const [top, bottom, left, right] = extent(tile.place, v.rows, v.cols);
    if (row < top || row >= bottom || col < left || col >= right) continue;
    const [high, wide] = [2 ** rowLevel, 2 ** colLevel];
    const down = Math.floor((row - top) / high);
    const across = Math.floor((col - left) / wide);
    const [row0, col0] = [top + down * high, left + across * wide];
    const found = {
      row: row0,
      col: col0,
      rows: Math.min(high, v.rows - row0),
      cols: Math.min(wide, v.cols - col0),
      value: tile.values[down * tile.width + across] as number,
      rough: tile.rough ?? false,
    };
    if (ideal) return found;
    if (!best || found.rows * found.cols < best.rows * best.cols) best = found;
  }
  return best ?? ofThumbnail(state, row, col);
}

function ofThumbnail(state: HeatmapState, row: number, col: number): Probe | null {
  const picture = state.thumbnail.peek();
  const v = state.viewport.peek();
  if (!picture || !v) return null;
  // Cell i covers the elements from floor(i n / cells) on.
  const cell = (at: number, count: number, cells: number): [number, number, number] => {
    let i = Math.min(cells - 1, Math.floor((at * cells) / count));
    if (i + 1 < cells && Math.floor(((i + 1) * count) / cells) <= at) i++;
    const start = Math.floor((i * count) / cells);
    return [i, start, Math.floor(((i + 1) * count) / cells) - start];
  };
  const [down, row0, rows] = cell(row, v.rows, picture.height);
  const [across, col0, cols] = cell(col, v.cols, picture.width);
  const value = picture.data[down * picture.width + across] as number;
  return { row: row0, col: col0, rows, cols, value, rough: true };
}

/** "8 × 4 weights", "1 weight". */
export function blockText(rows: number, cols: number): string {
  if (rows * cols === 1) return "1 weight";
  return rows === 1 ? `${cols} weights` : cols === 1 ? `${rows} weights` : `${rows} × ${cols} weights`;
}
