/** How much the experts of a layer are alike: cosines of the router's rows, or of their weights. */

import { computed, signal } from "@preact/signals-core";
import { h, setText } from "../../draw/dom";
import { lack } from "../../lack";
import { type GridData, type GridStatistic, gridPanel } from "../grid";
import { chain } from "../heads/order";
import { pathOf, ROUTER } from "./layers";
import type { ExpertState } from "./state";

export function similarityPanel(state: ExpertState): HTMLElement {
  const { store } = state;
  const sorted = signal(false);
  const cosines = computed(() => {
    const role = state.role.value;
    return role === ROUTER
      ? (state.router(state.layer.value)?.cosines ?? null)
      : state.similarity(state.layer.value, role);
  });
  const size = computed(() => Math.round(Math.sqrt(cosines.value?.length ?? 0)));
  const order = computed(() =>
    sorted.value && cosines.value
      ? chain(cosines.value, size.value)
      : Array.from({ length: size.value }, (_, expert) => expert),
  );
  const statistics = computed<readonly GridStatistic[]>(() => {
    const of = state.role.value === ROUTER ? "router rows" : state.role.value;
    return [{ key: "cosine", label: `cosine of ${of}`, help: "compared weight by weight", signed: true }];
  });
  const data = computed<GridData | null>(() => {
    const found = cosines.value;
    const layer = state.layers.value[state.layer.value];
    const n = size.value;
    if (!found || !layer || n < 2) return null;
    const at = order.value;
    const labels = at.map(String);
    const role = state.role.value === ROUTER ? (layer.weights[0]?.role ?? "") : state.role.value;
    return {
      rows: n,
      cols: n,
      rowLabels: labels,
      colLabels: labels,
      rowTitle: n > 24 ? "" : "expert",
      colTitle: "expert",
      value: (row, col) => found[(at[row] as number) * n + (at[col] as number)] as number,
      path: (row, col) => (row === col ? null : pathOf(layer, role, at[row] as number)),
      rowName: (row) => `expert ${labels[row]}`,
    };
  });
  const selected = computed((): readonly [number, number] | null => {
    const place = order.value.indexOf(state.expert.value);
    return place < 0 ? null : [place, -1];
  });
  const sort = h("select", { "aria-label": "order of the experts" });
  sort.append(h("option", { value: "" }, "as stored"), h("option", { value: "yes" }, "by similarity"));
  sort.addEventListener("change", () => {
    sorted.value = sort.value !== "";
  });
  const note = h("p", { class: "ww-note" });
  store.effect(() => {
    const gone = store.model.kernel.value === "gone";
    const layer = state.layers.value[state.layer.value];
    if (!layer) return;
    if (cosines.value === null) {
      const waiting = layer.experts < 2 ? "There is but one expert." : "comparing the experts …";
      const without = `${lack(store).without}, the experts of a layer are compared here.`;
      setText(note, gone ? without : state.problem.value || waiting, true);
    } else if (state.role.value === ROUTER) {
      note.textContent = "Experts whose rows point the same way are chosen for the same inputs.";
    } else {
      note.textContent =
        "Weight by weight: large where experts began as copies of one another. Experts with the same units in " +
        "another order have no large cosine.";
    }
  });
  const grid = gridPanel({
    store,
    data,
    statistics,
    statistic: signal("cosine"),
    selected,
    label: "similarity of experts",
    sizes: { largest: [22, 20], least: [3, 3], height: 210 },
    controls: [sort],
  });
  return h("section", { class: "ww-exp-alike", "aria-label": "similarity of experts" }, grid, note);
}
