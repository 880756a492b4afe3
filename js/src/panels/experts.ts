/** Mixtures of experts: all of them as a grid, the layer that is looked at, the chosen expert. */

import { computed, signal } from "@preact/signals-core";
import { h } from "../draw/dom";
import type { View } from "../views";
import { expertCard, layerFacts, orientation, standoutList } from "./experts/card";
import { concernsExperts, median, mostAlike, pathOf, pathsOf, ROUTER } from "./experts/layers";
import { similarityPanel } from "./experts/similarity";
import { type ExpertState, expertState } from "./experts/state";
import { EXPERT_STATISTICS, RELATIVE, ROUTER_STATISTICS } from "./experts/statistics";
import { type GridData, gridPanel, shortLabels } from "./grid";

export const expertsView: View = {
  name: "experts",
  label: "Experts",
  title: "mixtures of experts: each expert of each layer, routers, which are alike or unlike",
  whole: true,
  available: (overview, _row, path) => concernsExperts(overview, path),
  panel: (store, shown) => expertsPanel(expertState(store, shown)),
};

function expertsPanel(state: ExpertState): HTMLElement {
  const labels = computed(() => shortLabels(state.layers.value.map(({ path }) => path)));
  return h(
    "div",
    { class: "ww-experts" },
    h("div", { class: "ww-exp-head" }, roleChoice(state), layerFacts(state), progressBar(state)),
    gridSection(state, labels),
    h(
      "p",
      { class: "ww-note" },
      "How often each expert is chosen cannot be had from weights: run data through the model.",
    ),
    h(
      "div",
      { class: "ww-exp-below" },
      layerSection(state, labels),
      h(
        "div",
        { class: "ww-exp-side" },
        expertCard(state, () => labels.value),
        standoutList(state, () => labels.value),
      ),
    ),
  );
}

function layerSection(state: ExpertState, labels: { readonly value: readonly string[] }): HTMLElement {
  const title = h("div", { class: "ww-exp-title" });
  state.store.effect(() => {
    const layer = state.layers.value[state.layer.value];
    if (!layer) return;
    const button = h(
      "button",
      { type: "button", class: "ww-plain", title: `select ${layer.path || "the model"}` },
      layer.path ? `Layer ${labels.value[state.layer.value]}` : "The model",
    );
    button.addEventListener("click", () => state.store.select(layer.path));
    title.replaceChildren(button, h("span", { class: "ww-soft" }, ` ${layer.path}`));
  });
  return h("div", { class: "ww-exp-layer" }, title, orientation(state), similarityPanel(state));
}

function roleChoice(state: ExpertState): HTMLElement {
  const { store } = state;
  const group = h("div", { class: "ww-segments", role: "group", "aria-label": "weights of the experts" });
  store.effect(() => {
    group.replaceChildren(
      ...state.roles.value.map((role) => {
        const button = h("button", { type: "button", "data-role": role }, role);
        button.setAttribute("aria-pressed", String(role === state.role.value));
        button.addEventListener("click", () => state.setRole(role));
        return button;
      }),
    );
  });
  return group;
}

function gridSection(state: ExpertState, labels: { readonly value: readonly string[] }): HTMLElement {
  const { store } = state;
  const routerStatistic = signal("router norm");
  const isRouter = computed(() => state.role.value === ROUTER);
  // What is shown of the router is remembered apart from what is shown of the weights.
  const statistic = signal(state.statistic.peek());
  store.effect(() => {
    statistic.value = isRouter.value ? routerStatistic.value : state.statistic.value;
  });
  store.effect(() => {
    const now = statistic.value;
    if (now.startsWith(ROUTER)) routerStatistic.value = now;
    else state.statistic.value = now;
  });
  store.effect(() => {
    if (!state.shown.value || isRouter.value) return;
    store.blocks.want(state.layers.value.flatMap((layer) => pathsOf(layer, state.role.value)));
  });
  const values = computed(() => gridValues(state, statistic.value));
  const data = computed((): GridData | null => {
    const layers = state.layers.value;
    if (!state.shown.value || layers.length === 0) return null;
    const role = state.role.value;
    const cols = layers.reduce((most, layer) => Math.max(most, layer.experts), 0);
    const { value, details } = values.value;
    return {
      rows: layers.length,
      cols,
      rowLabels: labels.value,
      colLabels: Array.from({ length: cols }, (_, expert) => String(expert)),
      rowTitle: "layer",
      colTitle: "expert",
      value,
      path: (row, col) => {
        const layer = layers[row];
        if (!layer || col >= layer.experts) return null;
        return role === ROUTER ? pathOf(layer, layer.weights[0]?.role ?? "", col) : pathOf(layer, role, col);
      },
      rowName: (row) => layers[row]?.path || "model",
      details,
    };
  });
  const selected = computed((): readonly [number, number] | null =>
    state.expert.value < 0 ? null : [state.layer.value, state.expert.value],
  );
  return gridPanel({
    store,
    data,
    statistics: computed(() => (isRouter.value ? ROUTER_STATISTICS : EXPERT_STATISTICS)),
    statistic,
    selected,
    label: "statistic of each expert of each layer",
    sizes: { largest: [58, 24], least: [3, 7], height: 230 },
  });
}

interface Values {
  value(row: number, col: number): number;
  details(row: number, col: number): readonly string[];
}

function gridValues(state: ExpertState, key: string): Values {
  const layers = state.layers.value;
  const role = state.role.value;
  const none = (): readonly string[] => [];
  const from = (
    columns: readonly (ArrayLike<number> | null)[],
    details = none as Values["details"],
  ): Values => ({
    value: (row, col) => columns[row]?.[col] ?? Number.NaN,
    details,
  });
  if (key === "noise") return from(layers.map((_, layer) => state.noise(layer, role)));
  if (key === "router norm") return from(layers.map((_, layer) => state.router(layer)?.norms ?? null));
  if (key === "alike" || key === "router alike") {
    const found = layers.map(({ experts }, layer) => {
      const cosines =
        key === "alike" ? state.similarity(layer, role) : (state.router(layer)?.cosines ?? null);
      return cosines ? mostAlike(cosines, experts) : null;
    });
    return from(
      found.map((one) => one?.values ?? null),
      (row, col) => {
        const other = found[row]?.which[col] ?? -1;
        return other < 0 ? [] : [`with expert ${other}`];
      },
    );
  }
  const overview = state.store.overview.value;
  const relative = key.startsWith(RELATIVE);
  const column = overview.column(relative ? key.slice(RELATIVE.length) : key);
  const own = layers.map((layer) =>
    Float64Array.from(pathsOf(layer, role), (path) => column[overview.rowOf(path)] ?? Number.NaN),
  );
  if (!relative) return from(own);
  const middles = own.map(median);
  return from(
    own.map((all, row) => all.map((value) => Math.log2(value / (middles[row] as number)))),
    (row, col) => [
      `${((own[row]?.[col] ?? Number.NaN) / (middles[row] as number)).toPrecision(4)} × the median`,
    ],
  );
}

function progressBar(state: ExpertState): HTMLElement {
  const bar = h("progress", { max: 1, "aria-label": "experts compared" });
  const text = h("span", { class: "ww-soft" });
  const button = h("button", { type: "button" }, "stop");
  button.addEventListener("click", () => {
    state.stopped.value = !state.stopped.peek();
  });
  const element = h("span", { class: "ww-exp-progress" }, text, bar, button);
  state.store.effect(() => {
    const share = state.progress.value;
    const stopped = state.stopped.value;
    // Its room stays: nothing moves when it comes and goes.
    element.style.visibility = share === null ? "hidden" : "visible";
    bar.value = share ?? 0;
    text.textContent = stopped ? "stopped" : "comparing experts";
    button.textContent = stopped ? "go on" : "stop";
  });
  return element;
}
