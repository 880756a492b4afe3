/** The colour scale and what governs it: map, scale, what a pixel shows. */

import { css } from "../../draw/colour";
import { h } from "../../draw/dom";
import { formatCount, formatNumber } from "../../draw/format";
import type { ColorMap, ColorScale } from "../../model";
import { AGGREGATES } from "../../protocol";
import { PIXEL_SHOWS } from "./readout";
import type { HeatmapState } from "./state";

const MAPS: Record<ColorMap, string> = {
  "blue-red": "blue – red",
  "purple-green": "purple – green",
  "brown-teal": "brown – teal",
  grey: "grey: magnitude",
};

const SCALES: Record<ColorScale, string> = {
  robust: "robust",
  full: "full range",
  symlog: "symmetric log",
  row: "each row",
};

export function legend(state: HeatmapState): HTMLElement {
  const { store } = state;
  const { traits } = store;
  const bar = h("canvas", { class: "ww-hm-bar", role: "img" });
  const low = h("span");
  const middle = h("span", {}, "0");
  const high = h("span");
  const note = h("div", { class: "ww-soft ww-hm-note" });
  const special = h("div", { class: "ww-hm-special" });

  const map = choice("colour map", MAPS, (value) => {
    traits.color_map.value = value;
  });
  const scale = choice("colour scale", SCALES, (value) => {
    traits.color_scale.value = value;
  });
  const labels = Object.fromEntries(AGGREGATES.map((key) => [key, PIXEL_SHOWS[key]])) as typeof PIXEL_SHOWS;
  const aggregate = choice("what a pixel shows", labels, (value) => {
    traits.aggregate.value = value;
  });
  store.effect(() => {
    map.value = traits.color_map.value;
    scale.value = traits.color_scale.value;
    aggregate.value = traits.aggregate.value;
  });

  store.effect(() => {
    drawBar(bar, state);
    const now = state.scale.value;
    const unit = now.kind === "row" ? " rms" : "";
    low.textContent = formatNumber(-now.limit, 3) + unit;
    high.textContent = `+${formatNumber(now.limit, 3)}${unit}`;
    const norms = traits.color_scale.value === "row" && now.kind !== "row";
    note.textContent = norms ? "the norms of rows are not known yet" : now.note;
    note.title = `${now.note}; values beyond have the colours at the ends`;
    bar.setAttribute("aria-label", `colours from ${low.textContent} to ${high.textContent}: ${now.note}`);
  });

  store.effect(() => {
    const matrix = state.matrix.value;
    const count = (key: string): number => (matrix && store.overview.value.column(key)[matrix.row]) || 0;
    const colours = state.palette.value;
    const entries = [
      ["NaN", "×", count("nan"), colours.nan],
      ["+Inf", "+", count("posinf"), colours.posinf],
      ["−Inf", "−", count("neginf"), colours.neginf],
    ] as const;
    special.replaceChildren(
      ...entries
        .filter(([, , many]) => many > 0)
        .map(([name, sign, many, colour]) =>
          h(
            "span",
            { class: "ww-hm-entry" },
            h(
              "span",
              { class: "ww-hm-swatch", style: `background:${css(colour)}`, "aria-hidden": "true" },
              sign,
            ),
            `${name} ${formatCount(many)}`,
          ),
        ),
    );
  });

  return h(
    "div",
    { class: "ww-hm-legend" },
    h("div", { class: "ww-heading" }, "Colour"),
    bar,
    h("div", { class: "ww-hm-ticks ww-number" }, low, middle, high),
    note,
    special,
    h("div", { class: "ww-hm-choices" }, map, scale, aggregate),
  );
}

/** Below the scale, the scale, above the scale; the ends carry signs of their own. */
function drawBar(bar: HTMLCanvasElement, state: HeatmapState): void {
  const [width, height, end] = [292, 24, 18];
  bar.width = width;
  bar.height = height;
  const context = bar.getContext("2d");
  if (!context) return;
  const { lut, above, below } = state.palette.value;
  for (let x = end + 4; x < width - end - 4; x++) {
    const t = (x - end - 4) / (width - 2 * end - 9);
    context.fillStyle = css(lut[Math.round(t * 255)] as number);
    context.fillRect(x, 0, 1, height);
  }
  for (const [colour, x, way] of [
    [below, 0, -1],
    [above, width - end, 1],
  ] as const) {
    context.fillStyle = css(colour);
    context.fillRect(x, 0, end, height);
    context.fillStyle = state.store.theme.value === "dark" ? "#000" : "#fff";
    const [cx, cy] = [x + end / 2, height / 2];
    context.beginPath();
    context.moveTo(cx - 4, cy + 3 * way);
    context.lineTo(cx + 4, cy + 3 * way);
    context.lineTo(cx, cy - 5 * way);
    context.fill();
  }
}

function choice<T extends string>(
  label: string,
  options: Record<T, string>,
  chosen: (value: T) => void,
): HTMLSelectElement {
  const select = h("select", { "aria-label": label, title: label });
  for (const [value, text] of Object.entries<string>(options)) select.append(h("option", { value }, text));
  select.addEventListener("change", () => chosen(select.value as T));
  return select;
}
