/** The small controls under the plot. */

import type { Signal } from "@preact/signals-core";
import { copyText, h } from "../../draw/dom";
import { formatCount } from "../../draw/format";
import type { ScopeKind, Store } from "../../store";
import { binsToText } from "./bins";
import type { BrushState } from "./brush";
import { SCOPES, type ScopeState } from "./scope";
import type { HistogramState } from "./state";

/** One of a few, as buttons side by side. */
export function segmented<T>(
  store: Store,
  label: string,
  chosen: Signal<T>,
  options: readonly { value: T; text: string; title: string }[],
): HTMLElement {
  const group = h("span", { class: "ww-segments", role: "group", "aria-label": label });
  for (const { value, text, title } of options) {
    const button = h("button", { type: "button", title }, text);
    button.addEventListener("click", () => {
      chosen.value = value;
    });
    store.effect(() => button.setAttribute("aria-pressed", String(chosen.value === value)));
    group.append(button);
  }
  return group;
}

/** What is counted: buttons that can be used where there is something of their kind, and else say how to get it. */
export function scopeControl(
  store: Store,
  state: HistogramState,
  { chosen, scope, missing, divisible }: ScopeState,
): HTMLElement {
  const group = h("span", { class: "ww-segments", role: "group", "aria-label": "counted" });
  const hint = h("span", { class: "ww-note", role: "status" });
  for (const kind of SCOPES) {
    const button = h("button", { type: "button", "data-scope": kind }, kind);
    button.addEventListener("click", () => {
      const why = missing.peek()[kind];
      if (why === null) chosen.value = kind;
      hint.textContent = why ?? "";
    });
    store.effect(() => {
      const why = missing.value[kind];
      // Not disabled, which would hide from keys and fingers how to get there.
      button.setAttribute("aria-disabled", String(why !== null));
      button.setAttribute("aria-pressed", String(scope.value.kind === kind));
      button.title = why ?? WHAT[kind];
    });
    group.append(button);
  }
  const part = h("span", { class: "ww-hist-part ww-number", "aria-live": "polite" });
  store.effect(() => {
    const { text, count } = state.counted.value;
    part.hidden = count === null;
    const size = count === null ? "" : `${formatCount(count)} ${count === 1 ? "weight" : "weights"}`;
    part.textContent = `${text} · ${size}`;
  });
  const row = h("div", { class: "ww-hist-scopes" }, group, part, hint);
  store.effect(() => {
    row.hidden = !divisible.value;
  });
  store.effect(() => {
    void [missing.value, scope.value];
    hint.textContent = "";
  });
  return row;
}

const WHAT: Record<ScopeKind, string> = {
  all: "count all weights of the tensor",
  window: "count what the heatmap shows, and follow it",
  row: "count the row of the pinned cell",
  column: "count the column of the pinned cell",
  region: "count the marked region of the heatmap",
};

export function histogramControls(store: Store, state: HistogramState, brush: BrushState): HTMLElement {
  const scale = segmented(store, "axis", state.scale, [
    { value: "value", text: "w", title: "axis of the values" },
    { value: "magnitude", text: "log |w|", title: "axis of the magnitudes, logarithmic" },
  ]);
  const counts = segmented(store, "counts", state.logCounts, [
    { value: false, text: "count", title: "counts on a linear axis" },
    { value: true, text: "log count", title: "counts on a logarithmic axis: single weights show" },
  ]);
  const sign = segmented(store, "sides of zero", brush.sign, [
    {
      value: -1 as const,
      text: "−w",
      title: "brush negative weights: one interval cannot hold both signs",
    },
    {
      value: 1 as const,
      text: "+w",
      title: "brush positive weights: one interval cannot hold both signs",
    },
  ]);
  store.effect(() => {
    sign.hidden = state.scale.value === "value";
  });

  const normal = h("button", {
    type: "button",
    class: "ww-hist-normal",
    title: "the normal distribution of the same mean and standard deviation",
  });
  normal.append(h("i", { "aria-hidden": "true" }), "normal");
  normal.addEventListener("click", () => {
    state.normal.value = !state.normal.value;
  });
  store.effect(() => normal.setAttribute("aria-pressed", String(state.normal.value)));
  store.effect(() => {
    // Its mean and deviation are those of all weights.
    normal.disabled = state.counted.value.kind !== "all";
  });

  const button = (text: string, title: string, act: () => void): HTMLButtonElement => {
    const made = h("button", { type: "button", title, "aria-label": title }, text);
    made.addEventListener("click", act);
    return made;
  };
  const out = button("−", "zoom out", () => state.zoomBy(2));
  const into = button("+", "zoom in", () => state.zoomBy(0.5));
  const toBrush = button("to brush", "zoom to the brushed interval", () => {
    const range = brush.shown.peek();
    if (range) state.show(range);
  });
  const reset = button("reset", "show the robust range again", () => state.show(null));
  store.effect(() => {
    const range = brush.shown.value;
    toBrush.disabled = !range || !(range[0] < range[1]);
    reset.disabled = !state.zoomed.value;
    const known = state.view.value !== null;
    into.disabled = !known;
    const limits = state.limits.value;
    const view = state.view.value;
    out.disabled = !known || !limits || !view || (view[0] <= limits[0] && view[1] >= limits[1]);
  });
  const zoom = h(
    "span",
    { class: "ww-segments", role: "group", "aria-label": "zoom" },
    out,
    into,
    toBrush,
    reset,
  );

  const copy = h(
    "button",
    { type: "button", title: "copy the edges and counts that are shown, tab-separated" },
    "copy",
  );
  copy.addEventListener("click", async () => {
    const bins = state.bins.peek();
    if (!bins) return;
    await copyText(binsToText(bins));
    flash(copy, "copied");
  });
  return h("div", { class: "ww-hist-controls" }, scale, counts, normal, sign, zoom, copy);
}

/** Says for a moment that it is done. */
export function flash(button: HTMLButtonElement, text: string): void {
  const before = button.textContent;
  button.style.minWidth = `${button.offsetWidth}px`;
  button.textContent = text;
  button.disabled = true;
  setTimeout(() => {
    button.textContent = before;
    button.disabled = false;
  }, 900);
}
