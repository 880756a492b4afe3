/** Draws a grid on its canvas. */

import { css, ink, type Palette } from "../../draw/colour";
import { formatNumber, formatToStep } from "../../draw/format";
import { visible } from "../../draw/visible";
import { edge, type GridGeometry, labelStep } from "./geometry";
import { cellColour, type GridScale } from "./scale";

export interface GridInks {
  readonly bg: string;
  readonly text: string;
  readonly soft: string;
  readonly border: string;
  readonly accent: string;
  readonly font: string;
  readonly mono: string;
}

export interface GridScene {
  readonly geo: GridGeometry;
  readonly ratio: number;
  readonly rowLabels: readonly string[];
  readonly colLabels: readonly string[];
  readonly rowTitle: string;
  readonly colTitle: string;
  /** Row-major. */
  readonly values: ArrayLike<number>;
  /** Row-major: whether there is such a cell. */
  readonly there: ArrayLike<number>;
  readonly scale: GridScale;
  readonly palette: Palette;
  readonly inks: GridInks;
  readonly selected: readonly [number, number] | null;
  /** Row that is marked as a whole, where no cell of it is selected. */
  readonly selectedRow: number | null;
  readonly hover: readonly [number, number] | null;
}

/** Cells of this size and larger carry their numbers. */
const NUMBERED = [36, 15] as const;
/** Cells of this size and larger stand apart. */
const APART = 6;

export function inksOf(element: Element): GridInks {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(name).trim();
  return {
    bg: of("--ww-bg"),
    text: of("--ww-text"),
    soft: of("--ww-text-soft"),
    border: of("--ww-border"),
    accent: of("--ww-accent"),
    font: of("--ww-font"),
    mono: of("--ww-mono"),
  };
}

export function drawGrid(context: CanvasRenderingContext2D, scene: GridScene): void {
  const { geo, ratio } = scene;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, geo.width, geo.height);
  drawCells(context, scene);
  drawLabels(context, scene);
  drawMarks(context, scene);
}

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A cell, its gap to the next one left out. */
export function boxOf(geo: GridGeometry, ratio: number, row: number, col: number): Box {
  const x = edge(geo.left, geo.cellWidth, col, ratio);
  const y = edge(geo.top, geo.cellHeight, row, ratio);
  const right = edge(geo.left, geo.cellWidth, col + 1, ratio);
  const bottom = edge(geo.top, geo.cellHeight, row + 1, ratio);
  const gap = Math.min(geo.cellWidth, geo.cellHeight) >= APART ? 1 : 0;
  return { x, y, width: right - x - gap, height: bottom - y - gap };
}

function drawCells(context: CanvasRenderingContext2D, scene: GridScene): void {
  const { geo, ratio, values, there, scale, palette, inks } = scene;
  const numbered = geo.cellWidth >= NUMBERED[0] && geo.cellHeight >= NUMBERED[1];
  const hatch = hatching(context, inks, ratio);
  context.font = `11px ${inks.mono}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let row = 0; row < geo.rows; row++) {
    for (let col = 0; col < geo.cols; col++) {
      const at = row * geo.cols + col;
      if (!there[at]) continue;
      const value = values[at] as number;
      const { x, y, width, height } = boxOf(geo, ratio, row, col);
      const colour = cellColour(palette, scale, value);
      context.fillStyle = colour === null ? hatch : css(colour);
      context.fillRect(x, y, width, height);
      if (!numbered || colour === null) continue;
      context.fillStyle = ink(colour);
      context.fillText(cellText(value, width, scale), x + width / 2, y + height / 2 + 0.5);
    }
  }
}

/** Width of a digit of the cells' type. */
const DIGIT = 6.7;

/**
 * A value with the digits that tell the cells of a grid apart, as far as there is room: three of the largest value.
 * A leading zero is left out where it would cost a digit.
 */
export function cellText(value: number, width: number, scale: GridScale): string {
  const largest = Math.max(Math.abs(scale.low), Math.abs(scale.high));
  for (const digits of [3, 2, 1]) {
    const step = 10 ** (Math.floor(Math.log10(largest)) + 1 - digits);
    // Over many decades no common step tells all apart.
    const text =
      scale.spread === "log" || !Number.isFinite(value)
        ? formatNumber(value, digits)
        : formatToStep(value, step);
    if (text.length * DIGIT <= width - 4) return text;
    const bare = text.replace(/^(\u2212?)0\./, "$1.");
    if (bare.length * DIGIT <= width - 4) return bare;
  }
  return "";
}

function hatching(context: CanvasRenderingContext2D, inks: GridInks, ratio: number): CanvasPattern | string {
  const size = Math.round(6 * ratio);
  const tile = document.createElement("canvas");
  tile.width = size;
  tile.height = size;
  const on = tile.getContext("2d");
  if (!on) return inks.border;
  on.strokeStyle = inks.border;
  on.lineWidth = ratio;
  for (const shift of [-size, 0, size]) {
    on.beginPath();
    on.moveTo(shift, size);
    on.lineTo(shift + size, 0);
    on.stroke();
  }
  const pattern = context.createPattern(tile, "repeat");
  pattern?.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern ?? inks.border;
}

function drawLabels(context: CanvasRenderingContext2D, scene: GridScene): void {
  const { geo, ratio, rowLabels, colLabels, inks, hover, selected, selectedRow } = scene;
  const marked = (axis: 0 | 1, at: number): string | null => {
    if (hover?.[axis] === at) return inks.text;
    if (selected?.[axis] === at || (axis === 0 && selectedRow === at)) return inks.accent;
    return null;
  };
  const font = (bold: boolean): string => `${bold ? "600 " : ""}11px ${inks.font}`;
  context.textBaseline = "middle";

  context.textAlign = "right";
  const everyRow = labelStep(geo.cellHeight, 12);
  const room = geo.left - 14;
  for (let row = 0; row < geo.rows; row++) {
    const colour = marked(0, row);
    const crowded =
      colour === null && [hover?.[0], selected?.[0], selectedRow].some((at) => near(at, row, everyRow));
    if (colour === null && (row % everyRow !== 0 || crowded)) continue;
    const y = geo.top + (row + 0.5) * geo.cellHeight;
    context.font = font(colour !== null);
    context.fillStyle = colour ?? inks.soft;
    context.fillText(fitted(context, visible(rowLabels[row] ?? ""), room), geo.left - 6, y);
  }

  context.textAlign = "center";
  const longest = Math.max(1, ...colLabels.map((label) => label.length));
  const everyCol = labelStep(geo.cellWidth, longest * 6.4 + 5);
  for (let col = 0; col < geo.cols; col++) {
    const colour = marked(1, col);
    const crowded = colour === null && [hover?.[1], selected?.[1]].some((at) => near(at, col, everyCol));
    if (colour === null && (col % everyCol !== 0 || crowded)) continue;
    context.font = font(colour !== null);
    context.fillStyle = colour ?? inks.soft;
    const x = edge(geo.left, geo.cellWidth, col + 0.5, ratio);
    context.fillText(visible(colLabels[col] ?? ""), x, geo.top - 8);
  }

  context.font = `11px ${inks.font}`;
  context.fillStyle = inks.soft;
  context.textAlign = "left";
  context.fillText(scene.colTitle, geo.left, 7);
  context.textAlign = "right";
  context.fillText(fitted(context, scene.rowTitle, room), geo.left - 6, geo.top - 8);
}

/** Whether a label is so near to a marked one that they would run into each other. */
function near(marked: number | null | undefined, at: number, every: number): boolean {
  return marked !== null && marked !== undefined && every > 1 && Math.abs(marked - at) < every;
}

/** The end tells more than the middle of a path: an ellipsis stands in the middle. */
function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (context.measureText(text).width <= room) return text;
  for (let keep = text.length - 1; keep > 1; keep--) {
    const head = Math.floor(keep * 0.4);
    const short = `${text.slice(0, head)}…${text.slice(text.length - (keep - head))}`;
    if (context.measureText(short).width <= room) return short;
  }
  return "…";
}

function drawMarks(
  context: CanvasRenderingContext2D,
  { geo, ratio, selected, selectedRow, hover, inks }: GridScene,
): void {
  const frame = (box: Box, colour: string, width: number): void => {
    const out = width / 2;
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.strokeRect(box.x - out, box.y - out, box.width + width, box.height + width);
  };
  if (selected) {
    const box = boxOf(geo, ratio, selected[0], selected[1]);
    frame(box, inks.bg, 3.5);
    frame(box, inks.accent, 2);
  } else if (selectedRow !== null) {
    const first = boxOf(geo, ratio, selectedRow, 0);
    const last = boxOf(geo, ratio, selectedRow, geo.cols - 1);
    frame({ ...first, width: last.x + last.width - first.x }, inks.accent, 1.5);
  }
  if (hover) frame(boxOf(geo, ratio, hover[0], hover[1]), inks.text, 1);
}
