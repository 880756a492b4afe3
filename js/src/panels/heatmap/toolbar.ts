/** Buttons of the heatmap, and the line that says what is seen. */

import { computed, signal } from "@preact/signals-core";
import { h, setText, setTitle } from "../../draw/dom";
import { lack } from "../../lack";
import { isWhole } from "../../overview";
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
  store.effect(() => {
    void state.matrix.value;
    said.value = "";
  });
  store.lifetime.addEventListener("abort", () => clearTimeout(saying));

  const button = (label: string, title: string, run: () => void): HTMLButtonElement => {
    const element = h("button", { type: "button", title, "aria-label": title }, label);
    element.addEventListener("click", run);
    return element;
  };
  const fitAll = button("fit", "show the whole matrix (0)", () => plot.fit());
  const region = button(
    "region",
    "drag over the heatmap to mark a region, which the histogram counts (or drag with Shift)",
    () => {
      plot.marking.value = !plot.marking.peek();
    },
  );
  store.effect(() => region.setAttribute("aria-pressed", String(plot.marking.value)));
  const buttons = h(
    "div",
    { class: "ww-hm-buttons", role: "group", "aria-label": "view" },
    button("−", "zoom out (−)", () => plot.zoom(1 / 2)),
    button("+", "zoom in (+)", () => plot.zoom(2)),
    fitAll,
    region,
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

  const short = h("span", { class: "ww-hm-short", "aria-hidden": "true" });
  const long = h("span", { class: "ww-hm-long" });
  const status = h("div", { class: "ww-hm-status ww-note" }, short, long);
  const told = computed<Told>(() => (said.value ? { long: said.value } : describe(state)));
  store.effect(() => {
    const now = told.value;
    setText(long, now.long, true);
    setText(short, now.short ?? now.long, true);
    setTitle(status, now.long);
    status.dataset.tone = state.cache.value?.error && state.arrivals.value >= 0 ? "error" : "";
  });
  return { buttons, status };
}

interface Told {
  long: string;
  /** Where there is little room; the long one is its tooltip. */
  short?: string;
}

/** What the reader should know of tiles that are there although no kernel answers. */
function withoutKernel({ store, matrix }: HeatmapState): string {
  const kept = store.overview.value.kept(matrix.value?.row ?? -1);
  if (!kept) return store.overview.value.hasWeights ? " · the kernel does not answer" : "";
  return isWhole(kept) ? "" : ` · ${lack(store).doer} shows each`;
}

/** What a pixel stands for, and what a kernel would add. */
function describe(state: HeatmapState): Told {
  const { store } = state;
  void state.arrivals.value;
  const v = state.viewport.value;
  const cache = state.cache.value;
  if (!v || !cache) return { long: "" };
  if (cache.error) return { long: `the kernel could not draw this: ${cache.error}` };
  const away = store.model.kernel.value === "gone";
  const range = store.traits.value_range.value;
  const lit = range ? " · brushed ones highlighted" : "";
  if (!state.hasTiles.value) {
    const thumbnail = state.thumbnail.value;
    const what = store.overview.value.block(store.selectedRow.value) ? "blocks" : "these axes";
    if (!thumbnail) return { long: away ? `${what} need ${lack(store).need}` : "waiting for the kernel …" };
    const rows = Math.ceil(v.rows / thumbnail.height);
    const cols = Math.ceil(v.cols / thumbnail.width);
    if (rows * cols === 1) return { long: `each cell is one weight${lit}`, short: "one weight a cell" };
    const block = blockText(rows, cols);
    const more = away ? `; ${lack(store).doer} shows each` : "";
    return { long: `largest |w| of ${block}${more || lit}`, short: `${rows} × ${cols} a cell` };
  }
  const [rowLevel, colLevel] = state.levels.value;
  const ending = away ? `${lit}${withoutKernel(state)}` : lit;
  if (rowLevel + colLevel === 0)
    return { long: `each cell is one weight${ending}`, short: "one weight a cell" };
  const [rows, cols] = [Math.min(v.rows, 2 ** rowLevel), Math.min(v.cols, 2 ** colLevel)];
  const block = blockText(rows, cols);
  const shows = PIXEL_SHOWS[store.traits.aggregate.value];
  return { long: `each pixel: ${shows} of ${block}${ending}`, short: `${rows} × ${cols} a pixel` };
}
