/** Taking away what is seen: as text, as a picture. */

import { floats } from "../../buffers";
import { copyText } from "../../draw/dom";
import { lack } from "../../lack";
import { TILE_SIZE } from "../../protocol";
import { isHeld, shortestFloat32 } from "./exact";
import type { HeatmapState } from "./state";
import { extent, tilesIn } from "./tilecache";
import { visibleWindow } from "./viewport";

/** Most cells that are copied as text. */
export const MOST_COPIED = 10_000;

/** Copies the weights that are seen, a line a row, separated by tabs. @returns what to tell */
export async function copyWindow(state: HeatmapState): Promise<string> {
  const v = state.viewport.peek();
  const matrix = state.matrix.peek();
  if (!v || !matrix) return "nothing to copy";
  const [row0, row1, col0, col1] = visibleWindow(v);
  const cells = (row1 - row0) * (col1 - col0);
  if (cells > MOST_COPIED) return `zoom in to copy: ${MOST_COPIED} weights at most`;
  const values = new Float32Array(cells);
  const width = col1 - col0;
  for (const place of tilesIn(v, [0, 0])) {
    const held = state.cache.peek()?.get(place);
    const tile = held ?? (await fetchTile(state, [place[2], place[3]]));
    const [top, bottom, left, right] = extent(place, v.rows, v.cols);
    for (let row = Math.max(top, row0); row < Math.min(bottom, row1); row++) {
      for (let col = Math.max(left, col0); col < Math.min(right, col1); col++) {
        values[(row - row0) * width + col - col0] = tile.values[
          (row - top) * tile.width + col - left
        ] as number;
      }
    }
  }
  const lines = Array.from({ length: row1 - row0 }, (_, row) =>
    Array.from(values.subarray(row * width, (row + 1) * width), plain).join("\t"),
  );
  await copyText(lines.join("\n"));
  const rounded = isHeld(matrix.dtype) ? "" : ", rounded to float32";
  return `copied ${row1 - row0} × ${width} weights${rounded}`;
}

/** As programs read it: an ordinary minus, nan and inf. */
function plain(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return shortestFloat32(value).replaceAll("\u2212", "-");
}

async function fetchTile(
  state: HeatmapState,
  [row, col]: readonly [number, number],
): Promise<{ values: Float32Array; width: number }> {
  const matrix = state.matrix.peek();
  if (!matrix) throw new Error("nothing is drawn");
  if (state.store.model.kernel.peek() === "gone") throw new Error(`copying needs ${lack(state.store).need}`);
  const { width, buffers } = await state.store.model.request("tile", {
    tensor: matrix.tensor,
    axes: matrix.axes,
    index: matrix.index,
    tile: [0, 0, row, col],
    aggregate: "absmax",
  });
  const [values] = buffers;
  if (!values) throw new Error(`the kernel sent no tile of ${TILE_SIZE} rows`);
  return { values: floats(values), width };
}

/** Saves the picture under the tensor's name. */
export function savePicture(picture: HTMLCanvasElement, name: string): void {
  picture.toBlob((blob) => {
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name.replace(/[^\w.-]+/g, "_") || "weights"}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }, "image/png");
}
