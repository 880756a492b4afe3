/** The colours and their ends. */

import { css } from "../../draw/colour";
import { h } from "../../draw/dom";
import { formatNumber } from "../../draw/format";
import { limitOf } from "./paint";
import { drawingOf } from "./picture";
import type { FiltersState } from "./state";

const STEPS = 64;

export function legend(state: FiltersState): HTMLElement {
  const ramp = h("canvas", { class: "ww-cf-ramp", width: STEPS, height: 1 });
  const low = h("span", {});
  const middle = h("span", {});
  const high = h("span", {});
  const note = h("span", { class: "ww-soft" });
  const element = h(
    "div",
    { class: "ww-cf-legend" },
    ramp,
    h("div", { class: "ww-cf-ends ww-number" }, low, middle, high),
    note,
  );
  state.store.effect(() => {
    const layer = state.layer.value;
    const pictures = state.pictures.value;
    if (!layer || !pictures) return;
    void pictures.arrivals.value;
    const drawing = drawingOf(state, layer);
    const picture = pictures.get(state.chosen.value);
    const { palette, scale, each } = drawing.colours;
    const limit = each && picture ? limitOf(picture.values, drawing.colours) : scale.limit;
    const signed = drawing.show !== "norm";
    const grey = drawing.show === "rgb";
    const context = ramp.getContext("2d");
    for (let step = 0; context && step < STEPS; step++) {
      const t = step / (STEPS - 1);
      const at = signed ? t : 0.5 + t / 2;
      context.fillStyle = grey
        ? `rgb(${255 * t} ${255 * t} ${255 * t})`
        : css(palette.lut[Math.round(at * 255)] as number);
      context.fillRect(step, 0, 1, 1);
    }
    const end = formatNumber(limit, 3);
    low.textContent = signed ? `−${end}` : "0";
    middle.textContent = signed ? "0" : "";
    high.textContent = signed ? `+${end}` : end;
    const told = each
      ? "its own largest"
      : grey
        ? "one scale for all three channels and all filters"
        : scale.note;
    note.textContent = drawing.colours.range ? `${told}; what the brush leaves out is greyed` : told;
  });
  return element;
}
