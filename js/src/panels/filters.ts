/** The filter panel: a mini histogram for each statistic; brushing any of them filters the tree. */

import { h } from "../draw/dom";
import { formatCount } from "../draw/format";
import { STATISTICS } from "../statistics";
import type { Store } from "../store";
import { createFacet, type Facet } from "./filters/facet";
import { createFilterState } from "./filters/state";

export function filterPanel(store: Store): HTMLElement {
  const state = createFilterState(store);
  const count = h("span", { class: "ww-filters-count ww-number", role: "status" });
  const clear = h("button", { type: "button", class: "ww-plain ww-filters-clear" }, "clear all");
  const add = h("select", { class: "ww-filters-add", "aria-label": "Add a statistic" });
  const grid = h("div", { class: "ww-filters-grid" });
  const root = h(
    "div",
    { class: "ww-filters", role: "group", "aria-label": "Filter by statistic" },
    h("div", { class: "ww-filters-head" }, count, clear, add),
    grid,
  );

  clear.addEventListener("click", () => state.clear());
  add.addEventListener("change", () => {
    state.add(add.value);
    grid.lastElementChild?.scrollIntoView({ block: "nearest" });
  });
  root.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    event.stopPropagation();
    state.undo();
  });
  // Undo works after a brush with the mouse too: the panel takes the focus that a drawing cannot have.
  root.tabIndex = -1;

  store.effect(() => {
    const all = store.base.value.tensors;
    const passing = store.matches.value.count;
    count.textContent =
      passing < all
        ? `${formatCount(passing)} of ${formatCount(all)} tensors`
        : `${formatCount(all)} ${all === 1 ? "tensor" : "tensors"}`;
    count.toggleAttribute("data-filtered", passing < all);
    const { query, facets } = store.traits;
    clear.hidden = query.value.trim() === "" && Object.keys(facets.value).length === 0;
    clear.title = query.value.trim() === "" ? "Clear all ranges" : "Clear all ranges and the query";
  });

  const facets = new Map<string, Facet>();
  store.effect(() => {
    const shown = state.shown.value;
    for (const [key, facet] of facets) {
      if (shown.includes(key)) continue;
      facet.dispose();
      facet.root.remove();
      facets.delete(key);
    }
    for (const key of shown) {
      if (facets.has(key)) continue;
      const facet = createFacet(store, state, key);
      facets.set(key, facet);
      grid.append(facet.root);
    }
    const rest = STATISTICS.filter(({ key }) => !shown.includes(key));
    add.replaceChildren(
      h("option", { value: "" }, "+ statistic"),
      ...rest.map(({ key, label, help }) => h("option", { value: key, title: help }, label)),
    );
    add.value = "";
    add.hidden = rest.length === 0;
  });
  store.lifetime.addEventListener("abort", () => {
    for (const facet of facets.values()) facet.dispose();
  });
  return root;
}
