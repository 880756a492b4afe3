/** How much the heads of a layer are alike: a matrix of cosines. */

import { computed, signal } from "@preact/signals-core";
import { h, setText } from "../../draw/dom";
import { lack } from "../../lack";
import type { HeadPart } from "../../protocol";
import { type GridData, type GridStatistic, gridPanel } from "../grid";
import { headPath, kvHead } from "./layers";
import { chain } from "./order";
import { type HeadsState, parts } from "./state";

const PARTS: Record<HeadPart, GridStatistic> = {
  qk: { key: "qk", label: "QK circuit", help: "cosine of Wqᵀ Wk of two heads, all elements", signed: true },
  ov: { key: "ov", label: "OV circuit", help: "cosine of Wo Wv of two heads, all elements", signed: true },
  query: {
    key: "query",
    label: "query weights",
    help: "cosine of the flattened query weights",
    signed: true,
  },
  key: { key: "key", label: "key weights", help: "cosine of the flattened key weights", signed: true },
  value: {
    key: "value",
    label: "value weights",
    help: "cosine of the flattened value weights",
    signed: true,
  },
  output: {
    key: "output",
    label: "output weights",
    help: "cosine of the flattened output weights",
    signed: true,
  },
};

export function similarityPanel(state: HeadsState): HTMLElement {
  const { store } = state;
  const sorted = signal(false);
  const statistics = computed(() => parts(state.layer.value).map((part) => PARTS[part]));
  /** Number of the head at each place of the matrix. */
  const order = computed(() => {
    const now = state.similarity.value;
    const n = now?.value ? Math.round(Math.sqrt(now.value.length)) : 0;
    if (!now?.value || !sorted.value) return Array.from({ length: n }, (_, i) => i);
    return chain(now.value, n);
  });
  const data = computed((): GridData | null => {
    const layer = state.layer.value;
    const now = state.similarity.value;
    if (!layer || !now?.value || !now.of.startsWith(`${layer.path} `)) return null;
    const at = order.value;
    const n = at.length;
    const cosines = now.value;
    const labels = at.map(String);
    const shared = n < layer.heads;
    const title = shared ? "key/value head" : "head";
    const head = (place: number): number => Math.round(((at[place] as number) * layer.heads) / n);
    return {
      rows: n,
      cols: n,
      rowLabels: labels,
      colLabels: labels,
      rowTitle: n > 60 ? "" : "head",
      colTitle: title,
      value: (row, col) => cosines[(at[row] as number) * n + (at[col] as number)] as number,
      path: (row, col) => (row === col ? null : headPath(layer, head(row))),
      rowName: (row) => `${title} ${labels[row]}`,
    };
  });
  const selected = computed((): readonly [number, number] | null => {
    const layer = state.layer.value;
    const head = state.head.value;
    if (!layer || head < 0) return null;
    const own = order.value.length < layer.heads ? kvHead(layer, head) : head;
    const place = order.value.indexOf(own);
    return place < 0 ? null : [place, -1];
  });
  const sort = h("select", { "aria-label": "order of the heads" });
  sort.append(h("option", { value: "" }, "as stored"), h("option", { value: "yes" }, "by similarity"));
  sort.addEventListener("change", () => {
    sorted.value = sort.value !== "";
  });
  const bar = gridPanel({
    store,
    data,
    statistics,
    statistic: state.part,
    selected,
    label: "similarity of heads",
    sizes: { largest: [20, 18], least: [3, 3], height: 190 },
    controls: [sort],
  });
  const note = h("p", { class: "ww-note" });
  store.effect(() => {
    const now = state.similarity.value;
    const some = parts(state.layer.value).length > 0;
    bar.hidden = !some || (state.gone.value && !now?.value);
    note.dataset.tone = now?.error ? "error" : "";
    if (now?.error) setText(note, now.error, true);
    else if (!some) note.textContent = "this layer has no projections to compare";
    else if (!now?.value) {
      note.textContent = state.gone.value
        ? `${lack(state.store).agent} would compare the heads of this layer: cosines of their weights and circuits`
        : "comparing the heads …";
    } else if (now.value.length === 1) note.textContent = "there is but one head: nothing to compare";
    else note.textContent = "cosines; the diagonal, 1, is left out so that the colours tell the rest apart";
  });
  return h(
    "div",
    { class: "ww-heads-part" },
    h("div", { class: "ww-heads-title" }, "How alike the heads are"),
    bar,
    note,
  );
}
