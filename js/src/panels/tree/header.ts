/** The head of the tree: titles that sort, the choice of the statistic, and what folds and opens everything. */

import { h } from "../../draw/dom";
import { icon } from "../../draw/icon";
import { STATISTIC, STATISTICS } from "../../statistics";
import type { Store } from "../../store";
import type { TreeState } from "./state";

const EXPAND = "M4 6l4-4 4 4M4 10l4 4 4-4";
const COLLAPSE = "M4 2l4 4 4-4M4 14l4-4 4 4";

export function treeHeader(store: Store, state: TreeState): HTMLElement {
  const byName = sortButton(store, "ww-tree-by-name", () => "name", "Layer", "name");
  const byStatistic = sortButton(store, "ww-tree-by-stat", () => store.statistic.value);
  const bySize = sortButton(store, "ww-tree-by-size", () => "count", "size", "number of weights");

  const expand = tool(icon(EXPAND), "Open all", () => state.setAllOpen(true));
  const collapse = tool(icon(COLLAPSE), "Close all", () => state.setAllOpen(false));
  const fold = tool("×N", "", () => state.setFolding(state.grouped.value ? "none" : "all"));

  const choice = h(
    "select",
    { class: "ww-tree-choice", "aria-label": "Statistic of the column", title: "Choose the statistic" },
    ...STATISTICS.map(({ key, label, help }) => h("option", { value: key, title: help }, label)),
  );
  choice.addEventListener("change", () => {
    const sort = store.sort.value;
    if (sort && sort.key === store.statistic.value) store.sort.value = { ...sort, key: choice.value };
    store.statistic.value = choice.value;
  });

  store.effect(() => {
    choice.value = store.statistic.value;
  });
  store.effect(() => {
    fold.hidden = !state.hasRuns.value;
    fold.setAttribute("aria-pressed", String(state.grouped.value));
    fold.title = state.grouped.value ? "Show every block of a run" : "Fold runs of equal blocks into one row";
    fold.setAttribute("aria-label", fold.title);
  });

  return h(
    "div",
    { class: "ww-tree-head" },
    h("span", { class: "ww-tree-tools" }, byName, expand, collapse, fold),
    h("span", { class: "ww-tree-spark ww-heading" }, "distribution"),
    h("span", { class: "ww-tree-stat" }, byStatistic, choice),
    h("span", { class: "ww-tree-size" }, bySize),
    h("span", {}),
  );
}

function tool(face: SVGSVGElement | string, title: string, act: () => void): HTMLButtonElement {
  const button = h(
    "button",
    { type: "button", class: "ww-plain ww-tree-tool", title, "aria-label": title },
    face,
  );
  button.addEventListener("click", act);
  return button;
}

/** A title that sorts: first the way that shows most, then the other, then the model's own order. */
function sortButton(
  store: Store,
  className: string,
  keyOf: () => string,
  label?: string,
  what?: string,
): HTMLButtonElement {
  const text = h("span", { class: "ww-tree-title" });
  const arrow = h("span", { class: "ww-tree-arrow", "aria-hidden": "true" });
  const button = h("button", { type: "button", class: `ww-plain ww-heading ${className}` }, text, arrow);
  button.addEventListener("click", () => {
    const key = keyOf();
    const sort = store.sort.value;
    const first = key !== "name";
    if (sort?.key !== key) store.sort.value = { key, descending: first };
    else store.sort.value = sort.descending === first ? { key, descending: !first } : null;
  });
  store.effect(() => {
    const key = keyOf();
    const sort = store.sort.value;
    const statistic = STATISTIC.get(key);
    const name = what ?? statistic?.label ?? key;
    text.textContent = label ?? name;
    const mine = sort?.key === key ? sort : null;
    arrow.textContent = mine ? (mine.descending ? "↓" : "↑") : "";
    const state = mine ? `sorted by ${name}, ${mine.descending ? "falling" : "rising"}` : `sort by ${name}`;
    button.title = label ? state : `${statistic?.help ?? name} · ${state}`;
    button.setAttribute("aria-label", state);
  });
  return button;
}
