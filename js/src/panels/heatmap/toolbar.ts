/** Buttons of the heatmap, and the line that says what is seen. */

import { computed, signal } from "@preact/signals-core";
import { h } from "../../draw/dom";
import { formatNumber } from "../../draw/format";
import { copyWindow, savePicture } from "./actions";
import type { Plot } from "./plot";
import { blockText } from "./probe";
import { PIXEL_SHOWS } from "./readout";
import type { HeatmapState } from "./state";
import { isFit } from "./viewport";

export function toolbar(state: HeatmapState, plot: Plot): { buttons: HTMLElement; status: HTMLElement } {
  const { store } = state;
  const said = signal("");
  let saying: ReturnType<typeof setTimeout> | undefined;
  const say = (text: string): void => {
    said.value = text;
    clearTimeout(saying);
    saying = setTimeout(() => {
      said.value = "";
    }, 4000);
  };
  store.lifetime.addEventListener("abort", () => clearTimeout(saying));

  const button = (label: string, title: string, run: () => void): HTMLButtonElement => {
    const element = h("button", { type: "button", title, "aria-label": title }, label);
    element.addEventListener("click", run);
    return element;
  };
  const fitAll = button("fit", "show the whole matrix (0)", () => plot.fit());
  const buttons = h(
    "div",
    { class: "ww-hm-buttons", role: "group", "aria-label": "view" },
    button("−", "zoom out (−)", () => plot.zoom(1 / 2)),
    button("+", "zoom in (+)", () => plot.zoom(2)),
    fitAll,
    button("copy", "copy the visible weights as text, separated by tabs", () => {
      copyWindow(state)
        .then(say)
        .catch((reason: unknown) => say(reason instanceof Error ? reason.message : "copying failed"));
    }),
    button("png", "save the heatmap as a picture", () => {
      savePicture(plot.image(), state.matrix.peek()?.tensor ?? "weights");
    }),
  );
  store.effect(() => {
    const v = state.viewport.value;
    fitAll.disabled = !v || isFit(v);
  });

  const status = h("div", { class: "ww-hm-status ww-note", role: "status" });
  const text = computed(() => said.value || describe(state));
  store.effect(() => {
    status.textContent = text.value;
    status.title = text.value;
    status.dataset.tone = state.cache.value?.error && state.arrivals.value >= 0 ? "error" : "";
  });
  return { buttons, status };
}

/** What a pixel stands for, and what a kernel would add. */
function describe(state: HeatmapState): string {
  const { store } = state;
  void state.arrivals.value;
  const v = state.viewport.value;
  const cache = state.cache.value;
  if (!v || !cache) return "";
  if (cache.error) return `the kernel could not draw this: ${cache.error}`;
  const kernel = store.model.kernel.value;
  if (!state.hasTiles.value) {
    const thumbnail = state.thumbnail.value;
    const away = kernel === "gone";
    if (!thumbnail) return away ? "these axes need a running kernel" : "waiting for the kernel …";
    const block = blockText(Math.ceil(v.rows / thumbnail.height), Math.ceil(v.cols / thumbnail.width));
    if (block === "1 weight") return "each cell is one weight";
    return `the largest |w| of ${block} a cell${away ? "; a running kernel shows each" : ""}`;
  }
  const [rowLevel, colLevel] = state.levels.value;
  const parts = [
    rowLevel + colLevel === 0
      ? "each cell is one weight"
      : `a pixel is the ${PIXEL_SHOWS[store.traits.aggregate.value]} of ${blockText(2 ** rowLevel, 2 ** colLevel)}`,
  ];
  const range = store.traits.value_range.value;
  if (range) parts.push(`highlighted: ${formatNumber(range[0], 3)} … ${formatNumber(range[1], 3)}`);
  if (kernel === "gone") parts.push("the kernel does not answer");
  return parts.join(" · ");
}
