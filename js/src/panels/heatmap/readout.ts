/** What is under the pointer, or pinned, in words and digits. */

import { h } from "../../draw/dom";
import { formatNumber, formatPosition } from "../../draw/format";
import type { Aggregate } from "../../protocol";
import type { Hover } from "../../store";
import { position } from "../../tensor";
import { type ExactCell, exactCell, shortestFloat32 } from "./exact";
import type { MatrixInfo } from "./matrix";
import { largestIn } from "./norms";
import { placeOnAxis } from "./parts";
import type { HeatmapState } from "./state";

export const PIXEL_SHOWS: Record<Aggregate, string> = {
  absmax: "largest |w|",
  mean: "mean",
  std: "standard deviation",
  min: "smallest",
  max: "largest",
};

export function readout(state: HeatmapState): HTMLElement {
  const { store } = state;
  const heading = h("div", { class: "ww-heading" });
  const value = h("div", { class: "ww-hm-value" });
  const where = h("div", { class: "ww-hm-where" });
  const rowPlace = h("div", { class: "ww-hm-part" });
  const colPlace = h("div", { class: "ww-hm-part" });
  const sigma = h("div", { class: "ww-soft" });
  const of = h("div", { class: "ww-soft" });
  const rowNorm = h("div", { class: "ww-soft ww-hm-norm" });
  const colNorm = h("div", { class: "ww-soft ww-hm-norm" });
  const spoken = h("div", { class: "ww-hm-spoken", "aria-live": "polite" });
  const exact = exactCell(state);

  store.effect(() => {
    const pinned = state.pinned.value;
    const cell = store.hover.value ?? pinned;
    const matrix = state.matrix.value;
    heading.textContent = !store.hover.value && pinned ? "Pinned cell" : "Cell under pointer";
    if (!cell || !matrix) {
      value.textContent = "–";
      for (const line of [where, rowPlace, colPlace, sigma, of, rowNorm, colNorm])
        line.textContent = "\u00a0";
      return;
    }
    const told = describe(state, matrix, cell, exact.value);
    value.textContent = told.value;
    where.textContent = told.where;
    rowPlace.textContent = rowPlace.title = told.rowPlace;
    colPlace.textContent = colPlace.title = told.colPlace;
    for (const line of [rowPlace, colPlace]) if (line.title === "") line.textContent = "\u00a0";
    sigma.textContent = told.sigma || "\u00a0";
    of.textContent = told.of;
    rowNorm.textContent = told.rowNorm || "\u00a0";
    colNorm.textContent = told.colNorm || "\u00a0";
    value.title = told.value;
    where.title = told.where;
  });
  store.effect(() => {
    const pinned = state.pinned.value;
    const matrix = state.matrix.value;
    if (!pinned || !matrix) return;
    const told = describe(state, matrix, pinned, exact.value);
    const places = [told.rowPlace, told.colPlace].filter(Boolean).join(", ");
    spoken.textContent = `${told.where} ${places} ${told.value} ${told.of}`;
  });
  store.effect(() => {
    // Known of a tensor at once: the lines do not come and go with the pointer.
    const known = (state.axes.value?.what ?? "") !== "";
    rowPlace.hidden = !known || (state.matrix.value?.axes.rows.length ?? 0) === 0;
    colPlace.hidden = !known;
  });
  const places = [rowPlace, colPlace];
  return h(
    "div",
    { class: "ww-hm-readout" },
    ...[heading, value, where, ...places, sigma, of, rowNorm, colNorm, spoken],
  );
}

interface Told {
  value: string;
  where: string;
  sigma: string;
  of: string;
  /** What row and column are, "" if that is not known: "f · hidden 12", "in 3 · kh 0 · kw 2". */
  rowPlace: string;
  colPlace: string;
  rowNorm: string;
  colNorm: string;
}

export function describe(
  state: HeatmapState,
  matrix: MatrixInfo,
  cell: Hover,
  known: ExactCell | null,
): Told {
  const { store } = state;
  const exact =
    known && known.of.row === cell.row && known.of.col === cell.col && known.of.rows === cell.rows
      ? known
      : null;
  const single = cell.rows * cell.cols === 1;
  const aggregate = store.traits.aggregate.value;
  const rough = "rough" in cell && cell.rough === true;
  const shown = rough ? "absmax" : aggregate;
  const isElement = single || shown === "absmax";
  let where: string;
  if (exact && isElement) where = formatPosition(exact.position);
  else if (single)
    where = formatPosition(position(matrix.shape, matrix.axes, matrix.index, cell.row, cell.col));
  else if (matrix.shape.length === 2) where = `[${span(cell.row, cell.rows)}, ${span(cell.col, cell.cols)}]`;
  else where = `row ${span(cell.row, cell.rows)}, col ${span(cell.col, cell.cols)}`;
  const number = exact && isElement ? Number(exact.value) : cell.value;
  const text =
    exact && isElement
      ? exact.value.replaceAll("-", "\u2212")
      : single && !rough
        ? shortestFloat32(cell.value)
        : formatNumber(cell.value, 5);
  const mean = store.overview.value.column("mean")[matrix.row] ?? Number.NaN;
  const std = store.overview.value.column("std")[matrix.row] ?? Number.NaN;
  const away = (number - mean) / std;
  const sign = away > 0 ? "+" : "";
  return {
    value: rough && !exact ? `≈ ${text}` : text,
    where,
    sigma: Number.isFinite(away) && isElement ? `${sign}${formatNumber(away, 3)} σ from mean` : "",
    of: single ? "one weight" : `${PIXEL_SHOWS[shown]} of ${cell.rows} × ${cell.cols}`,
    ...placesOf(state, matrix, cell, exact && isElement ? exact.position : null),
    ...normsOf(state, cell, matrix),
  };
}

/** @param found where the element is that a pixel shows, null if that is not known */
function placesOf(
  state: HeatmapState,
  matrix: MatrixInfo,
  cell: Hover,
  found: readonly number[] | null,
): { rowPlace: string; colPlace: string } {
  const axes = state.axes.value;
  if (!axes || axes.what === "") return { rowPlace: "", colPlace: "" };
  const corner = (row: number, col: number): readonly number[] =>
    found ?? position(matrix.shape, matrix.axes, matrix.index, row, col);
  const first = corner(cell.row, cell.col);
  const last = corner(cell.row + cell.rows - 1, cell.col + cell.cols - 1);
  const along = (list: readonly number[]): string => {
    // Of several flattened axes only those are told on which all elements of the pixel have one place, and the next.
    const differs = list.findIndex((axis) => first[axis] !== last[axis]);
    const told = differs < 0 ? list : list.slice(0, differs + 1);
    return told
      .map((axis) => placeOnAxis(axes, axis, first[axis] as number, last[axis] as number, first))
      .join(" · ");
  };
  return { rowPlace: along(matrix.axes.rows), colPlace: along(matrix.axes.cols) };
}

function span(first: number, count: number): string {
  return count === 1 ? `${first}` : `${first}–${first + count - 1}`;
}

function normsOf(state: HeatmapState, cell: Hover, matrix: MatrixInfo): { rowNorm: string; colNorm: string } {
  const norms = state.norms.value;
  if (!norms || matrix.rows < 2) return { rowNorm: "", colNorm: "" };
  const row = largestIn(norms.rows, cell.row, cell.row + cell.rows);
  const col = largestIn(norms.cols, cell.col, cell.col + cell.cols);
  return { rowNorm: `row norm ${formatNumber(row, 4)}`, colNorm: `column norm ${formatNumber(col, 4)}` };
}
