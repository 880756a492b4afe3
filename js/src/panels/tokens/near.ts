/** One token: its norm, and the tokens most like it. */

import { signal } from "@preact/signals-core";
import { doubles } from "../../buffers";
import { h, setText } from "../../draw/dom";
import { formatNumber } from "../../draw/format";
import { lack } from "../../lack";
import type { Measure } from "../../protocol";
import { label } from "./label";
import type { TokenState } from "./state";

const MEASURES: Record<Measure, [label: string, title: string]> = {
  cosine: ["cosine", "by direction alone"],
  dot: ["dot", "by the product of the vectors: long ones win"],
  distance: ["distance", "by Euclidean distance, the smallest first"],
};

/** Neighbours that are listed. */
const COUNT = 40;

interface Near {
  readonly entry: number;
  readonly measure: Measure;
  readonly entries: readonly number[];
  readonly values: Float64Array;
}

export function nearPanel(state: TokenState): HTMLElement {
  const { store } = state;
  const near = signal<Near | null>(null);
  const problem = signal("");
  store.effect(() => {
    const entry = state.chosen.value;
    const measure = state.measure.value;
    const at = state.address.value;
    void state.generation.value;
    problem.value = "";
    if (entry === null || !at) {
      near.value = null;
      return;
    }
    const abort = new AbortController();
    store.model
      .request("tokens.near", { ...at, entry, measure, count: COUNT }, { signal: abort.signal })
      .then(({ entries, buffers }) => {
        if (!abort.signal.aborted) near.value = { entry, measure, entries, values: doubles(buffers[0]) };
      })
      .catch((reason: unknown) => {
        if (!abort.signal.aborted) problem.value = reason instanceof Error ? reason.message : String(reason);
      });
    return () => abort.abort();
  });

  const title = h("span", { class: "ww-tok-chosen" });
  const facts = h("span", { class: "ww-soft ww-tok-facts" });
  const rows = h("div", { class: "ww-tok-near-rows" });
  const note = h("p", { class: "ww-note" });
  const segments = h("div", { class: "ww-segments", role: "group", "aria-label": "measure of nearness" });
  for (const [key, [text, help]] of Object.entries(MEASURES)) {
    const button = h("button", { type: "button", title: help }, text);
    button.addEventListener("click", () => {
      state.measure.value = key as Measure;
    });
    store.effect(() => button.setAttribute("aria-pressed", String(state.measure.value === key)));
    segments.append(button);
  }
  const element = h(
    "section",
    { class: "ww-tok-near", "aria-label": "nearest tokens" },
    h("div", { class: "ww-tok-near-head" }, title, facts, segments),
    note,
    rows,
  );

  store.effect(() => {
    const entry = state.chosen.value;
    void [state.arrivals.value, state.strings.value];
    segments.hidden = entry === null;
    title.replaceChildren(...(entry === null ? [] : [label(state, entry, true)]));
    const norm =
      entry === null || state.normStep.value > 1 ? Number.NaN : (state.norms.value?.[entry] ?? Number.NaN);
    const padding = entry !== null && state.table.value?.padding === entry;
    facts.textContent =
      entry === null || Number.isNaN(norm)
        ? ""
        : `norm ${formatNumber(norm)}${padding ? (norm === 0 ? " · padding, zero by design" : " · padding") : ""}`;
  });
  store.effect(() => {
    const entry = state.chosen.value;
    const found = near.value;
    const gone = store.model.kernel.value === "gone";
    void [state.arrivals.value, state.strings.value];
    const waiting = entry !== null && found?.entry !== entry;
    const nothing = found !== null && !waiting && found.entries.length === 0;
    note.hidden = entry !== null && !(gone && waiting) && !problem.value && !nothing;
    if (gone && (entry === null || waiting))
      note.textContent = `${lack(store).without}, the tokens nearest to the chosen one stand here.`;
    else if (entry === null)
      note.textContent = "Choose a token in the list or the scatter to see which are nearest to it.";
    else if (problem.value) setText(note, problem.value, true);
    else note.textContent = "This vector is zero or holds NaN: it has no direction, and nothing is near it.";
    if (entry === null || (waiting && gone)) rows.replaceChildren();
    if (!found || entry === null) return;
    rows.dataset.waiting = String(waiting || found.measure !== state.measure.value);
    const sizes = Array.from(found.values, Math.abs).filter(Number.isFinite);
    const most = found.measure === "cosine" ? 1 : Math.max(...sizes, 1e-300);
    rows.replaceChildren(
      ...found.entries.map((other, place) => {
        const value = found.values[place] as number;
        const line = h(
          "button",
          { type: "button", class: "ww-plain ww-tok-near-row", "data-entry": other },
          h("i", {
            class: "ww-tok-bar",
            style: `width:${(100 * Math.min(1, Math.abs(value) / most)).toFixed(2)}%`,
          }),
          label(state, other, true),
          h("span", { class: "ww-number" }, formatNumber(value, 4)),
        );
        line.addEventListener("click", () => {
          state.chosen.value = other;
        });
        line.addEventListener("pointerenter", () => {
          state.hovered.value = other;
        });
        line.addEventListener("pointerleave", () => {
          state.hovered.value = null;
        });
        return line;
      }),
    );
  });
  store.effect(() => {
    void state.chosen.value;
    element.scrollTop = 0;
  });
  return element;
}
