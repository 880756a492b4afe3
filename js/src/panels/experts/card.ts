/** The selected expert, role by role; how its weights are stored; what stands out. */

import { computed } from "@preact/signals-core";
import type { Axes, ExpertLayer } from "../../anatomy";
import { copyText, h } from "../../draw/dom";
import { formatCount, formatNumber, formatShape, formatShare } from "../../draw/format";
import type { Store } from "../../store";
import { median, pathOf, pathsOf, ROUTER, shapeOf } from "./layers";
import { type Group, type Standout, standouts } from "./standout";
import type { ExpertState } from "./state";

/** Items that are listed. */
const MOST = 40;

export function expertCard(state: ExpertState, labels: () => readonly string[]): HTMLElement {
  const { store } = state;
  const title = h("div", { class: "ww-exp-title" });
  const body = h("div", {});
  store.effect(() => {
    const layer = state.layers.value[state.layer.value];
    const expert = state.expert.value;
    if (!layer || expert < 0) {
      title.textContent = "Expert";
      body.replaceChildren(
        h("p", { class: "ww-note" }, "Click a cell to see an expert against the others of its layer."),
      );
      return;
    }
    title.replaceChildren(
      `Expert ${expert}`,
      h("span", { class: "ww-soft" }, layer.path ? ` of layer ${labels()[state.layer.value]}` : ""),
    );
    store.blocks.want(layer.weights.flatMap(({ role }) => pathsOf(layer, role)));
    body.replaceChildren(table(state, layer, expert));
  });
  return h("section", { class: "ww-exp-card", "aria-label": "expert" }, title, body);
}

const COLUMNS: readonly (readonly [key: string, label: string, share?: boolean])[] = [
  ["std", "std"],
  ["l2", "‖w‖₂"],
  ["absmax", "max |w|"],
  ["kurtosis", "ex. kurt"],
  ["sparsity", "zeros", true],
];

/** One line a role, each number with its place among the layer's experts. */
function table(state: ExpertState, layer: ExpertLayer, expert: number): HTMLElement {
  const { store } = state;
  const overview = store.overview.value;
  const lines = layer.weights.map(({ role }) => {
    const paths = pathsOf(layer, role);
    const open = h(
      "button",
      { type: "button", class: "ww-plain ww-exp-open", title: `show ${paths[expert]} as a heatmap` },
      role,
    );
    open.addEventListener("click", () => {
      store.select(paths[expert] as string);
      store.traits.view.value = "heatmap";
    });
    const rows = paths.map((path) => overview.rowOf(path));
    const noise = state.noise(state.layer.value, role)?.[expert] ?? Number.NaN;
    const cells = COLUMNS.map(([key, label, share]) => {
      const all = Array.from(rows, (row) => overview.column(key)[row] ?? Number.NaN);
      const value = all[expert] ?? Number.NaN;
      const middle = median(all);
      return h(
        "td",
        { class: "ww-number", title: `${label}; median of the layer's experts ${formatNumber(middle)}` },
        Number.isNaN(value) ? "–" : share ? formatShare(value) : formatNumber(value, 3),
      );
    });
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, open),
      ...cells,
      h("td", { class: "ww-number" }, Number.isNaN(noise) ? "–" : formatNumber(noise, 3)),
    );
  });
  const router = state.router(state.layer.value);
  return h(
    "div",
    {},
    h(
      "table",
      { class: "ww-exp-table" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", {}),
          ...COLUMNS.map(([, label]) => h("th", { scope: "col" }, label)),
          h("th", { scope: "col", title: "largest singular value against that of noise" }, "σ₁/noise"),
        ),
      ),
      h("tbody", {}, ...lines),
    ),
    router
      ? h("p", { class: "ww-note" }, `router row: norm ${formatNumber(router.norms[expert] ?? Number.NaN)}`)
      : null,
  );
}

/** Where experts lie in one tensor: which axis is what, and the way to say otherwise. */
export function orientation(state: ExpertState): HTMLElement {
  const { store } = state;
  const element = h("div", { class: "ww-exp-orientation" });
  store.effect(() => {
    const layer = state.layers.value[state.layer.value];
    const overview = store.base.value;
    const stacked = layer?.weights.filter((weights) => weights.stacked !== null) ?? [];
    element.replaceChildren(
      ...stacked.flatMap((weights) => {
        const row = overview.rowOf(weights.pattern);
        const axes = overview.axes(row);
        const shape = overview.shape(row);
        if (!layer || !axes || shape.length !== 3 || weights.stacked !== 0) return [];
        return [one(store, state, layer, weights.role, weights.pattern, axes, shape)];
      }),
    );
  });
  return element;
}

function one(
  store: Store,
  state: ExpertState,
  layer: ExpertLayer,
  role: string,
  tensor: string,
  axes: Axes,
  shape: readonly number[],
): HTMLElement {
  const named = axes.names.map((name, axis) => `${name} ${formatCount(shape[axis] as number)}`).join(" × ");
  const flip = h(
    "button",
    {
      type: "button",
      title: "draw its matrix the other way round; sizes alone do not tell which axis is that of the inputs",
    },
    "flip",
  );
  flip.addEventListener("click", () => {
    const expert = Math.max(0, state.expert.peek());
    const turned = store.traits.selected.peek() === tensor && store.traits.drawn_axes.peek()?.rows[0] === 2;
    store.select(tensor);
    store.traits.drawn_axes.value = turned ? { rows: [1], cols: [2] } : { rows: [2], cols: [1] };
    store.traits.index.value = [expert, 0, 0];
    store.traits.view.value = "heatmap";
  });
  const [first, second] = [axes.names[2] ?? "in", axes.names[1] ?? "out"];
  const code = `explorer.anatomy.set(${pythonString(tensor)}, "expert ${first} ${second}", expert=${layer.experts})`;
  const copy = h(
    "button",
    { type: "button", class: "ww-plain ww-exp-code", title: `copy: ${code}` },
    "Python",
  );
  copy.addEventListener("click", () => void copyText(code));
  return h(
    "span",
    { class: "ww-exp-stored" },
    h("b", {}, role),
    ` ${named}`,
    axes.certain ? null : h("span", { class: "ww-exp-guess", title: axes.why }, "guess"),
    flip,
    axes.certain ? null : copy,
  );
}

/** A string literal of Python. */
function pythonString(text: string): string {
  return JSON.stringify(text);
}

export function standoutList(state: ExpertState, labels: () => readonly string[]): HTMLElement {
  const { store } = state;
  const groups = computed<readonly Group[]>(() => {
    const overview = store.overview.value;
    const role = state.role.value;
    if (role === ROUTER) return [];
    return state.layers.value.flatMap((layer, place) => {
      const rows = pathsOf(layer, role).map((path) => overview.rowOf(path));
      if (rows.length === 0) return [];
      const values = (key: string): Float64Array =>
        Float64Array.from(rows, (row) => overview.column(key)[row] ?? Number.NaN);
      const [nan, inf] = [values("nan"), values("inf")];
      return [
        {
          ...{ layer: place, role, shape: shapeOf(overview, layer, role) },
          ...{ std: values("std"), absmax: values("absmax") },
          nonfinite: nan.map((count, i) => count + (inf[i] as number)),
          noise: state.noise(place, role),
          cosines: state.similarity(place, role),
        },
      ];
    });
  });
  const list = h("div", { class: "ww-exp-items" });
  store.effect(() => {
    const role = state.role.value;
    const found = standouts(groups.value);
    const waiting = state.progress.value !== null;
    if (role === ROUTER) {
      list.replaceChildren(
        h("p", { class: "ww-note" }, "Choose weights of the experts to see which are unlike the others."),
      );
      return;
    }
    list.replaceChildren(
      ...found.slice(0, MOST).map((item) => itemOf(state, item, labels()[item.layer] ?? "")),
      found.length > MOST ? h("p", { class: "ww-note" }, `and ${formatCount(found.length - MOST)} more`) : "",
      found.length === 0
        ? h(
            "p",
            { class: "ww-note" },
            // What could not be read is not all right.
            waiting
              ? "looking …"
              : state.problem.value || `No expert's ${role} is unlike the others of its layer.`,
          )
        : "",
    );
  });
  return h(
    "section",
    { class: "ww-exp-standouts", "aria-label": "what stands out" },
    h("div", { class: "ww-exp-title" }, "Stands out"),
    list,
  );
}

function itemOf(state: ExpertState, item: Standout, label: string): HTMLElement {
  const layer = state.layers.peek()[item.layer];
  const name = item.expert < 0 ? `layer ${label}` : `layer ${label} · expert ${item.expert}`;
  const line = h(
    "button",
    { type: "button", class: "ww-plain ww-exp-item" },
    h("b", {}, name),
    ` ${item.what}`,
  );
  line.addEventListener("click", () => {
    const path = layer && (item.expert < 0 ? layer.path : pathOf(layer, item.role, item.expert));
    if (path) state.store.select(path);
  });
  return line;
}

export function layerFacts(state: ExpertState): HTMLElement {
  const { store } = state;
  const element = h("span", { class: "ww-soft" });
  store.effect(() => {
    const all = state.layers.value;
    const counts = [...new Set(all.map(({ experts }) => experts))];
    const some = all[state.layer.value];
    const parts: (string | Node)[] = [
      `${formatCount(all.length)} ${all.length === 1 ? "layer" : "layers"} × ${counts.map(formatCount).join(" or ")} experts`,
    ];
    const shape =
      some && state.role.value !== ROUTER ? shapeOf(store.overview.value, some, state.role.value) : [];
    if (shape.length > 0) parts.push(` · each ${formatShape(shape)}`);
    const guessed = all.filter(({ certain }) => !certain);
    if (guessed.length > 0)
      parts.push(
        " · ",
        h("span", { class: "ww-exp-guess", title: guessed[0]?.why }, guessed[0]?.why || "a guess"),
      );
    element.replaceChildren(...parts);
  });
  return element;
}
