/** Coloured pictures of grids of values, kept with the grid until its colours change. */

import { colourOf, paint, ROW_REACH, sharesOf } from "../../draw/colourscale";
import type { Range } from "../../model";
import type { Thumbnail } from "../../overview";
import { TILE_SIZE } from "../../protocol";
import { halve } from "./matrix";
import { largestIn } from "./norms";
import type { HeatmapState } from "./state";
import { rangeKey, type Tile } from "./tilecache";

export interface Picture {
  readonly canvas: HTMLCanvasElement;
  key: string;
}

export interface Painter {
  /** The picture of a tile; `fresh` false takes an older one where there is one, which is quick. */
  tile(tile: Tile, fresh: boolean): { canvas: HTMLCanvasElement; current: boolean };
  /** The picture of a thumbnail, at most so many cells large: outliers stay. */
  thumbnail(picture: Thumbnail, width: number, height: number): HTMLCanvasElement;
  /** Colour of a single element in a row, as tiles have it. */
  colour(value: number, row: number): number;
}

/** Colours as they are set now. Reads signals: ask for it inside an effect. */
export function painter(state: HeatmapState): Painter {
  const { traits } = state.store;
  const range = traits.value_range.value;
  const norms = state.norms.value;
  const matrix = state.matrix.value;
  const colours = state.palette.value;
  const scale = state.scale.value;
  const byRow = scale.kind === "row" && norms !== null && matrix !== null;
  const look = [traits.color_map.value, state.store.theme.value, rangeKey(range)].join();

  const limitOf = (from: number, to: number): number =>
    byRow ? (ROW_REACH * largestIn(norms.rows, from, to)) / Math.sqrt(matrix.cols) : scale.limit;
  const limits = (first: number, step: number, count: number): Float64Array | null =>
    byRow
      ? Float64Array.from({ length: count }, (_, i) => limitOf(first + i * step, first + (i + 1) * step))
      : null;
  // Row limits get better when the kernel's norms replace those of the overview.
  let small: { of: Thumbnail; canvas: HTMLCanvasElement; room: string } | null = null;
  const rowKey = byRow ? `r${norms.rows.step}` : "";

  return {
    tile: (tile, fresh) => {
      const [rowLevel, colLevel, row] = tile.place;
      const own = state.scaleAt([rowLevel, colLevel]);
      const key = `${look} ${own.kind} ${own.limit} ${rowKey} ${tile.version}`;
      const old = tile.picture as Picture | null;
      if (old && (old.key === key || !fresh)) return { canvas: old.canvas, current: old.key === key };
      const picture = old ?? { canvas: blank(tile.width, tile.height), key };
      const step = 2 ** rowLevel;
      fill(picture.canvas, tile.values, {
        palette: colours,
        scale: own,
        limits: limits(row * TILE_SIZE * step, step, tile.height),
        shares: range && shares(tile, range),
      });
      picture.key = key;
      tile.picture = picture;
      return { canvas: picture.canvas, current: true };
    },
    thumbnail: (whole, width, height) => {
      const room = `${width} ${height}`;
      if (small?.of === whole && small.room === room) return small.canvas;
      let cells = whole;
      while (cells.width > width) cells = halve(cells, "cols");
      while (cells.height > height) cells = halve(cells, "rows");
      const canvas = blank(cells.width, cells.height);
      small = { of: whole, canvas, room };
      const step = (matrix?.rows ?? cells.height) / cells.height;
      fill(canvas, cells.data, {
        palette: colours,
        scale: byRow ? scale : state.thumbnailScale.value,
        limits: limits(0, step, cells.height),
        shares: range && sharesOf(cells.data, range),
      });
      return canvas;
    },
    colour: (value, row) => colourOf(colours, scale, value, limitOf(row, row + 1)),
  };
}

/** What the brush holds of each pixel: exact where it was fetched, else judged by the element that is drawn. */
function shares(tile: Tile, range: Range): Uint8Array {
  return tile.shares && tile.range === rangeKey(range) ? tile.shares : sharesOf(tile.values, range);
}

function blank(width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

function fill(canvas: HTMLCanvasElement, values: Float32Array, how: Parameters<typeof paint>[3]): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(canvas.width, canvas.height);
  paint(values, canvas.width, new Uint32Array(image.data.buffer), how);
  context.putImageData(image, 0, 0);
}
