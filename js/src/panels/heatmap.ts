/** The heatmap panel: the weights of the selected tensor, from the whole down to single numbers. */

import { computed, untracked } from "@preact/signals-core";
import { h } from "../draw/dom";
import { formatNumber, formatPosition } from "../draw/format";
import type { Store } from "../store";
import { followLinks } from "./channel/follow";
import { axesControl } from "./heatmap/axescontrol";
import { legend } from "./heatmap/legend";
import { minimap } from "./heatmap/minimap";
import { message, moduleView, scalarView, tensorsOf } from "./heatmap/others";
import { type Plot, plot } from "./heatmap/plot";
import { readout } from "./heatmap/readout";
import { type HeatmapState, heatmapState } from "./heatmap/state";
import { toolbar } from "./heatmap/toolbar";

/** Widths from which legend and readout stand beside the plot. */
const BESIDE = 470;

export function heatmapPanel(store: Store): HTMLElement {
  const state = heatmapState(store);
  const drawn = plot(state);
  const { buttons, status } = toolbar(state, drawn);
  const matrix = h(
    "div",
    { class: "ww-hm-matrix" },
    h("div", { class: "ww-hm-top" }, axesControl(state), status, buttons),
    h(
      "div",
      { class: "ww-hm-body" },
      drawn.element,
      h(
        "div",
        { class: "ww-hm-side" },
        readout(state),
        followLinks(store, state.pinned, state.matrix),
        legend(state),
        largest(state, drawn),
        minimap(state, drawn.moved),
      ),
    ),
  );
  const other = h("div", { class: "ww-hm-other" });
  const panel = h("div", { class: "ww-heatmap" }, matrix, other);

  const observer = new ResizeObserver(() => {
    if (panel.clientWidth > 0) panel.dataset.beside = String(panel.clientWidth >= BESIDE);
  });
  observer.observe(panel);
  store.lifetime.addEventListener("abort", () => observer.disconnect());

  // Looked at apart: the overview changes often during a scan, what is shown rarely.
  const shown = computed(() => {
    const overview = store.overview.value;
    const row = store.selectedRow.value;
    if (row < 0) return overview.rows === 0 ? "wait" : "none";
    if (!overview.isTensor(row)) return "module";
    if (overview.error(row)) return "error";
    if (overview.shape(row).includes(0)) return "empty";
    return overview.shape(row).length === 0 ? "scalar" : "matrix";
  });
  const known = computed(() => countSummarised(store));
  store.effect(() => {
    const kind = shown.value;
    matrix.hidden = kind !== "matrix";
    other.hidden = kind === "matrix";
    other.replaceChildren();
    if (kind === "matrix") return;
    void [store.selectedRow.value, known.value];
    void [store.traits.color_map.value, store.traits.color_scale.value, store.theme.value];
    const abort = new AbortController();
    other.append(untracked(() => otherView(store, kind, abort.signal)));
    return () => abort.abort();
  });
  return panel;
}

/** How much is known of the tensors that are selected. */
function countSummarised(store: Store): number {
  const overview = store.overview.value;
  const row = store.selectedRow.value;
  if (row < 0 || overview.isTensor(row)) return row < 0 ? 0 : Number(overview.summarised(row));
  let count = 0;
  for (const at of tensorsOf(overview, row)) {
    count += Number(overview.summarised(at));
    // The pictures of blocks may come after their statistics.
    if (overview.block(at)) count += Number(overview.thumbnail(at) !== null);
  }
  return count;
}

function otherView(store: Store, kind: string, lifetime: AbortSignal): HTMLElement {
  const overview = store.overview.value;
  const row = store.selectedRow.value;
  switch (kind) {
    case "wait":
      return message("waiting for the model …");
    case "none":
      return message("Select a tensor in the tree to see its weights.");
    case "error":
      return message(overview.error(row), "error");
    case "empty":
      return message(
        `An empty tensor of shape ${overview.shape(row).join(" × ")}: there are no weights to draw.`,
      );
    case "scalar":
      return scalarView(store, row, lifetime);
    default:
      return moduleView(store, row);
  }
}

/** The largest weight: how large, where, whether it is marked; a click goes there. */
function largest(state: HeatmapState, drawn: Plot): HTMLElement {
  const { store } = state;
  const go = h("button", { type: "button", class: "ww-plain ww-hm-link", title: "go there" });
  const mark = h("input", { type: "checkbox" });
  mark.addEventListener("change", () => {
    state.markLargest.value = mark.checked;
  });
  go.addEventListener("click", () => {
    const found = state.largest.peek();
    if (!found) return;
    // On axes that are stepped through, first go to its position.
    if (!found.cell) store.traits.index.value = [...found.position];
    const cell = state.largest.peek()?.cell;
    if (cell) drawn.goTo(...cell);
  });
  const element = h(
    "div",
    { class: "ww-hm-largest" },
    h(
      "div",
      { class: "ww-hm-largest-title" },
      h("span", { class: "ww-heading" }, "Largest |w|"),
      h("label", { class: "ww-soft" }, mark, " mark"),
    ),
    go,
  );
  store.effect(() => {
    const found = state.largest.value;
    element.hidden = found === null;
    mark.checked = state.markLargest.value;
    if (found) go.textContent = `${formatNumber(found.value, 5)} at ${formatPosition(found.position)}`;
  });
  return element;
}
