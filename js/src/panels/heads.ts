/** The heads of attention layers: all of them as a grid, the chosen layer, the chosen head. */

import { computed, signal } from "@preact/signals-core";
import { h, setText } from "../draw/dom";
import { formatCount } from "../draw/format";
import { lack } from "../lack";
import type { View } from "../views";
import { type GridData, type GridStatistic, gridPanel, shortLabels } from "./grid";
import { normBars } from "./heads/bars";
import { headPanel } from "./heads/head";
import { concernsAttention, describeHeads, headPath, kvHead, roughNorms } from "./heads/layers";
import { similarityPanel } from "./heads/similarity";
import { type HeadsState, headsState } from "./heads/state";
import { HEAD_STATISTICS, NORM_STATISTICS, OF_WEIGHTS } from "./heads/statistics";
import { concernsHeadless, headsForm } from "./heads/unknown";

export const headsView: View = {
  name: "heads",
  label: "Heads",
  title: "attention heads: norms, QK and OV circuits, how alike they are",
  whole: true,
  available: (overview, row, path) =>
    concernsAttention(overview, row, path) || concernsHeadless(overview, row, path),
  panel: (store, shown) => headsPanel(headsState(store, shown)),
};

function headsPanel(state: HeadsState): HTMLElement {
  const { store } = state;
  /** Whether the number of heads is about to be set though it is there. */
  const setting = signal(false);
  const layerTitle = h("div", { class: "ww-heads-heading" });
  const headTitle = h("div", { class: "ww-heads-heading" });
  const known = h(
    "div",
    { class: "ww-heads-known" },
    gridSection(state),
    h("section", { "aria-label": "head" }, headTitle, headPanel(state), caveats(state)),
    h(
      "section",
      { "aria-label": "layer" },
      layerTitle,
      h("div", { class: "ww-heads-columns" }, normBars(state), similarityPanel(state)),
    ),
  );
  store.effect(() => {
    known.hidden = state.layers.value.length === 0;
    const layer = state.layer.value;
    if (!layer) return;
    const name = h(
      "button",
      { type: "button", class: "ww-plain ww-heads-name", title: "select this layer" },
      layer.path || "model",
    );
    name.addEventListener("click", () => store.select(layer.path));
    const guess = h(
      "button",
      { type: "button", class: "ww-plain ww-heads-guess", title: "set the number of heads" },
      layer.why || "a guess",
    );
    guess.hidden = layer.certain;
    guess.addEventListener("click", () => {
      setting.value = true;
    });
    layerTitle.replaceChildren(name, h("span", { class: "ww-soft" }, describeHeads(layer)), guess);
  });
  store.effect(() => {
    const layer = state.layer.value;
    const head = state.head.value;
    const shared = layer && head >= 0 && layer.kv_heads < layer.heads;
    const of = head < 0 || !layer ? "" : `of ${layer.path || "the model"}`;
    const sharers = shared ? `, ${sharing(layer.heads, layer.kv_heads, kvHead(layer, head))}` : "";
    headTitle.replaceChildren(
      h("b", {}, head < 0 ? "Head" : `Head ${head}`),
      h("span", { class: "ww-soft" }, of, sharers),
    );
  });
  return h("div", { class: "ww-heads" }, headsForm(store, setting), known);
}

function sharing(heads: number, kvHeads: number, kv: number): string {
  const first = Math.ceil((kv * heads) / kvHeads);
  const last = Math.ceil(((kv + 1) * heads) / kvHeads) - 1;
  return `reads key/value head ${kv}, as heads ${first} to ${last} do`;
}

function gridSection(state: HeadsState): HTMLElement {
  const { store } = state;
  const statistics = computed(() => (state.gone.value ? withoutKernel(state) : HEAD_STATISTICS));
  const key = computed(() =>
    statistics.value.some((one) => one.key === state.statistic.value)
      ? state.statistic.value
      : (statistics.value[0]?.key ?? ""),
  );
  const labels = computed(() => shortLabels(state.layers.value.map(({ path }) => path)));
  store.effect(() => {
    if (!state.shown.value || !key.value.startsWith(OF_WEIGHTS)) return;
    const paths = state.layers.value.flatMap((layer) =>
      Array.from({ length: layer.heads }, (_, head) => headPath(layer, head)),
    );
    store.blocks.want(paths);
  });
  const data = computed((): GridData | null => {
    const layers = state.layers.value;
    if (!state.shown.value || layers.length === 0) return null;
    const cols = layers.reduce((most, layer) => Math.max(most, layer.heads), 0);
    const value = cellValues(state, key.value);
    return {
      rows: layers.length,
      cols,
      rowLabels: labels.value,
      colLabels: Array.from({ length: cols }, (_, head) => String(head)),
      rowTitle: "layer",
      colTitle: "head",
      value,
      path: (row, col) => {
        const layer = layers[row];
        return layer && col < layer.heads ? headPath(layer, col) : null;
      },
      rowName: (row) => layers[row]?.path || "model",
      details: (row, col) => {
        const layer = layers[row];
        if (!layer) return [];
        const shared = layer.kv_heads < layer.heads ? [`reads key/value head ${kvHead(layer, col)}`] : [];
        return layer.certain ? shared : [...shared, layer.why || "a guess"];
      },
    };
  });
  const selected = computed((): readonly [number, number] | null => {
    const layer = state.layer.value;
    const row = layer ? state.layers.value.indexOf(layer) : -1;
    return row < 0 || !state.chosen.value ? null : [row, state.head.value];
  });
  const grid = gridPanel({
    store,
    data,
    statistics,
    statistic: state.statistic,
    selected,
    label: "statistic of each head of each layer",
  });
  return h("section", { "aria-label": "all heads" }, progressBar(state), grid, gridNote(state, key));
}

/** What can be told when no kernel answers: norms, and what it told before it went. */
function withoutKernel(state: HeadsState): readonly GridStatistic[] {
  const told = new Set([...state.measures.value.values()].flatMap((one) => [...one.keys()]));
  const norms = new Set(NORM_STATISTICS.map(({ key }) => key));
  return HEAD_STATISTICS.filter(({ key }) => told.has(key) || norms.has(key));
}

/** The value of a cell under the chosen statistic. */
function cellValues(state: HeadsState, key: string): (row: number, col: number) => number {
  const { store } = state;
  const layers = state.layers.value;
  if (key.startsWith(OF_WEIGHTS)) {
    const overview = store.overview.value;
    const column = overview.column(key.slice(OF_WEIGHTS.length));
    return (row, col) => {
      const layer = layers[row];
      return layer ? (column[overview.rowOf(headPath(layer, col))] ?? Number.NaN) : Number.NaN;
    };
  }
  const measures = state.measures.value;
  const projection = /^(query|key|value|output)_norm$/.exec(key)?.[1] as "query" | undefined;
  const base = store.base.value;
  const columns = layers.map((layer) => {
    const told = measures.get(layer.path)?.get(key);
    if (told) return told;
    const blocks = projection && layer[projection];
    const rough = blocks ? roughNorms(base, blocks) : null;
    // Upper bounds are for the time without a kernel: beside measured values they would look like outliers.
    if (!rough || !(rough.exact || state.gone.value)) return null;
    return Float64Array.from({ length: layer.heads }, (_, head) => {
      const block = blocks?.count === layer.heads ? head : kvHead(layer, head);
      return rough.values[block] ?? Number.NaN;
    });
  });
  return (row, col) => columns[row]?.[col] ?? Number.NaN;
}

function progressBar(state: HeadsState): HTMLElement {
  const bar = h("progress", { max: 1, "aria-label": "layers read" });
  const text = h("span", { class: "ww-soft ww-number" });
  const button = h("button", { type: "button" }, "stop");
  button.addEventListener("click", () => {
    state.stopped.value = !state.stopped.peek();
  });
  const element = h("div", { class: "ww-heads-progress" }, bar, text, button);
  // What is done in no time needs no bar: it would only flicker.
  let since = 0;
  state.store.effect(() => {
    const share = state.progress.value;
    const stopped = state.stopped.value;
    if (share === null) since = 0;
    else if (since === 0) since = performance.now();
    const waiting = state.gone.value;
    element.hidden = waiting || (!stopped && (share === null || performance.now() - since < 300));
    bar.value = share ?? 0;
    bar.hidden = stopped;
    text.textContent = stopped ? "stopped" : `${Math.round(100 * (share ?? 0))} % of the layers`;
    button.textContent = stopped ? "go on" : "stop";
  });
  return element;
}

function gridNote(state: HeadsState, key: { readonly value: string }): HTMLElement {
  const note = h("p", { class: "ww-note" });
  state.store.effect(() => {
    const failed = [...state.errors.value];
    const all = state.layers.value;
    const measured = all.filter((layer) => state.measures.value.get(layer.path)?.has(key.value));
    const rough = state.gone.value && measured.length < all.length;
    const guesses = new Set(all.filter((layer) => !layer.certain).map((layer) => layer.why || "a guess"));
    const parts: string[] = [];
    if (rough) {
      const { fact, Agent } = lack(state.store);
      parts.push(
        `${fact}: norms are at most these, from the norms of rows and columns that came with the overview. ${Agent} would add exact norms, circuits, similarity and spectra.`,
      );
    }
    if (failed.length > 0) {
      const more = failed.length > 1 ? `, and ${formatCount(failed.length - 1)} more` : "";
      parts.push(`${failed[0]?.[0] || "model"}: ${failed[0]?.[1]}${more}`);
    }
    if (guesses.size > 0) parts.push(`Not certain: ${[...guesses].slice(0, 2).join("; ")}.`);
    if (key.value === "copying" && !rough && failed.length < all.length) {
      parts.push("Positive: the head writes back what it reads; negative: it takes that away.");
    }
    note.dataset.tone = failed.length > 0 ? "error" : "";
    setText(note, parts.join(" "), true);
    note.hidden = parts.length === 0;
  });
  return note;
}

/** What the circuits leave out, where they are shown. */
function caveats(state: HeadsState): HTMLElement {
  const note = h("p", { class: "ww-note ww-heads-caveats" });
  state.store.effect(() => {
    const layer = state.layer.value;
    note.hidden = !layer || state.head.value < 0 || !state.detail.value?.value;
    const parts = [
      "Left out of the circuits: the gain of a norm before the layer (with outlier gains the spectra mislead), biases, and the scale 1/√(head size) of QK.",
    ];
    if (layer?.rotary) {
      parts.push("Positions rotate queries and keys here (RoPE): QK is only the part without rotation.");
    } else if (layer?.rotary === null) {
      parts.push("If positions rotate queries and keys (RoPE), QK is only the part without rotation.");
    }
    if (layer && /cross|enc_?dec|encoder_attn/i.test(layer.path)) {
      parts.push(
        "This looks like cross-attention: it reads keys and values from another stream than it writes to, so OV's eigenvalues say nothing of copying.",
      );
    }
    note.textContent = parts.join(" ");
  });
  return note;
}
