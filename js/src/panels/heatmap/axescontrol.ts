/** Which axes of a tensor of rank three or more are drawn, and where on the others. */

import { batch } from "@preact/signals-core";
import type { Axes } from "../../anatomy";
import { h, setText } from "../../draw/dom";
import { formatCount } from "../../draw/format";
import type { MatrixInfo } from "./matrix";
import { placeOnAxis } from "./parts";
import type { HeatmapState } from "./state";

/** Any view of a drawn matrix can have this control. */
export type AxesState = Pick<HeatmapState, "store" | "matrix" | "axes">;

type Part = "rows" | "cols" | "step";
const PARTS: Record<Part, string> = { rows: "rows", cols: "columns", step: "step" };

export function axesControl(state: AxesState): HTMLElement {
  const { effect } = state.store;
  const element = h("div", { class: "ww-hm-axes", role: "group", "aria-label": "drawn axes" });
  let built = "";

  effect(() => {
    const matrix = state.matrix.value;
    element.hidden = !matrix || matrix.shape.length < 3;
    if (!matrix || matrix.shape.length < 3) return;
    // Built anew only when axes change: a slider that is being dragged must stay.
    const meaning = state.axes.value;
    const layout = JSON.stringify([matrix.tensor, matrix.shape, matrix.axes, meaning?.names, meaning?.why]);
    if (layout !== built) {
      built = layout;
      element.replaceChildren(...matrix.shape.map((_, axis) => axisControl(state, matrix, meaning, axis)));
      const usual = state.store.usualAxes(matrix.row);
      if (JSON.stringify(usual) !== JSON.stringify(matrix.axes)) element.append(reset(state));
    }
    for (const name of element.querySelectorAll<HTMLElement>(".ww-hm-place")) {
      const axis = Number(name.dataset.axis);
      const at = matrix.index[axis] ?? 0;
      setText(name, meaning ? labelAt(meaning, axis, at, matrix.index) : "");
    }
    for (const input of element.querySelectorAll<HTMLInputElement>("input")) {
      input.value = String(matrix.index[Number(input.dataset.axis)] ?? 0);
    }
  });
  return element;
}

function partOf(matrix: MatrixInfo, axis: number): Part {
  return matrix.axes.rows.includes(axis) ? "rows" : matrix.axes.cols.includes(axis) ? "cols" : "step";
}

/** Name of the part at which an axis stands: "expert 3"; "" where the number says it all. */
function labelAt(axes: Axes, axis: number, at: number, index: readonly number[]): string {
  const text = placeOnAxis(axes, axis, at, at, index);
  return text === `${axes.names[axis]} ${at}` && axes.splits.every((split) => split.axis !== axis)
    ? ""
    : text;
}

function axisControl(state: AxesState, matrix: MatrixInfo, axes: Axes | null, axis: number): HTMLElement {
  const size = matrix.shape[axis] as number;
  const select = h("select", { "aria-label": `axis ${axis}` });
  for (const [value, text] of Object.entries(PARTS)) select.append(h("option", { value }, text));
  select.value = partOf(matrix, axis);
  select.addEventListener("change", () => draw(state, axis, select.value as Part));
  const known = axes !== null && axes.what !== "";
  const name = known ? (axes.names[axis] as string) : `axis ${axis}`;
  const title = known ? `axis ${axis}: ${axes.certain ? axes.why : `a guess: ${axes.why}`}` : undefined;
  const label = h("span", { class: "ww-soft", title }, `${name} (${formatCount(size)})`);
  const control = h("span", { class: "ww-hm-axis" }, label, select);
  if (partOf(matrix, axis) === "step" && size > 1) {
    const common = { min: 0, max: size - 1, step: 1, "data-axis": axis };
    const slider = h("input", { ...common, type: "range", "aria-label": `position on axis ${axis}` });
    const number = h("input", {
      ...common,
      type: "number",
      "aria-label": `position on axis ${axis}, as a number`,
    });
    for (const input of [slider, number]) {
      input.addEventListener("input", () => {
        const at = Math.round(Number(input.value));
        if (input.value === "" || !(at >= 0 && at < size)) return;
        const now = state.matrix.peek();
        if (now) state.store.traits.index.value = now.index.map((old, other) => (other === axis ? at : old));
      });
    }
    control.append(slider, number, h("span", { class: "ww-hm-place", "data-axis": axis }));
  }
  return control;
}

function draw(state: AxesState, axis: number, part: Part): void {
  // As it is now: the controls outlive the position that they were built at.
  const matrix = state.matrix.peek();
  if (!matrix) return;
  const now = matrix.shape.map((_, other) => (other === axis ? part : partOf(matrix, other)));
  const list = (wanted: Part): number[] => now.flatMap((own, other) => (own === wanted ? [other] : []));
  const axes = { rows: list("rows"), cols: list("cols") };
  const { traits } = state.store;
  batch(() => {
    traits.window.value = null;
    traits.index.value = [...matrix.index];
    const plain = JSON.stringify(axes) === JSON.stringify(state.store.usualAxes(matrix.row));
    traits.drawn_axes.value = plain ? null : axes;
  });
}

function reset(state: AxesState): HTMLElement {
  const button = h("button", { type: "button", class: "ww-plain ww-hm-link" }, "default");
  button.title = "the axes that are drawn unless others are chosen";
  button.addEventListener("click", () =>
    batch(() => {
      state.store.traits.window.value = null;
      state.store.traits.drawn_axes.value = null;
    }),
  );
  return button;
}
