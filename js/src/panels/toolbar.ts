/** The line at the top: name, totals, search, how far scan and training are, whether a kernel answers. */

import { h, setText } from "../draw/dom";
import { formatBytes, formatCount, formatShort } from "../draw/format";
import { visible } from "../draw/visible";
import type { KernelState } from "../model";
import { inTotals, type Overview } from "../overview";
import type { Store } from "../store";
import { scanProgress } from "./toolbar/progress";
import { watchNote } from "./toolbar/watch";

/** Milliseconds without a keystroke after which the query is taken over. */
const TYPING_PAUSE = 120;

const SYNTAX: readonly [string, string][] = [
  ["attention", "names that contain the word"],
  ["encoder.*.weight", "names by pattern: * any text, ? one sign"],
  ["kind:Conv2d|Linear", "class of a module around the tensor"],
  ["role:bias dtype:bf16", "role, stored type"],
  ["ndim=2 shape:384x*", "number of axes, shape"],
  ["std>0.1 sparsity>50%", "any statistic: < <= > >= = !="],
  ["count>1M nan>0", "k, M, G for large numbers"],
  ["-bias", "a minus turns a term round"],
];

export function toolbar(store: Store): HTMLElement {
  return h(
    "div",
    { class: "ww-toolbar", role: "toolbar", "aria-label": "model" },
    totals(store),
    leftOut(store),
    search(store),
    scanProgress(store),
    watchNote(store),
    kernelNote(store),
  );
}

function totals(store: Store): HTMLElement {
  const name = h("strong", { class: "ww-name" });
  const numbers = h("span", { class: "ww-totals ww-soft ww-number" });
  store.effect(() => {
    const overview = store.base.value;
    name.textContent = visible(overview.name);
    name.title = visible(overview.name);
    const { weights, bytes, dtypes } = countAll(overview);
    numbers.textContent = [
      `${formatCount(overview.tensors)} ${overview.tensors === 1 ? "tensor" : "tensors"}`,
      `${formatShort(weights)} weights`,
      formatBytes(bytes),
      dtypes,
    ].join(" · ");
    numbers.title = `${formatCount(weights)} weights, tied ones counted once`;
  });
  return h("div", { class: "ww-title" }, name, numbers);
}

/** What the source holds and the explorer cannot show, or could not read: said, not hidden. */
function leftOut(store: Store): HTMLElement {
  const summary = h("summary", { title: "what is not shown, and why" });
  const list = h("dl", { class: "ww-popover ww-left-out" });
  const box = h("details", { class: "ww-help ww-skipped" }, summary, list);
  store.effect(() => {
    const overview = store.base.value;
    const { count, reasons } = overview.skipped;
    const unread: [string, string][] = [];
    for (let row = 0; row < overview.tensors; row++) {
      if (overview.error(row)) unread.push([overview.names[row] as string, overview.error(row)]);
    }
    const total = count + unread.length;
    box.hidden = total === 0;
    summary.textContent = `${formatCount(total)} not shown`;
    const entries = [...unread.slice(0, 100), ...reasons];
    list.replaceChildren(
      ...entries.flatMap(([name, reason]) => [h("dt", {}, name), h("dd", { class: "ww-soft" }, reason)]),
    );
    if (entries.length < total) list.append(h("dt", {}, `and ${formatCount(total - entries.length)} more`));
  });
  closeWhenLeft(box);
  return box;
}

function closeWhenLeft(box: HTMLDetailsElement): void {
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") box.open = false;
  });
  box.addEventListener("focusout", (event) => {
    if (!box.contains(event.relatedTarget as Node | null)) box.open = false;
  });
}

function countAll(overview: Overview): { weights: number; bytes: number; dtypes: string } {
  const count = overview.column("count");
  const size = overview.column("bytes");
  const byType = new Map<string, number>();
  let weights = 0;
  let bytes = 0;
  for (let row = 0; row < overview.tensors; row++) {
    if (overview.sharedWith(row) >= 0) continue;
    bytes += size[row] as number;
    if (inTotals(overview, row)) weights += count[row] as number;
    byType.set(overview.dtype(row), (byType.get(overview.dtype(row)) ?? 0) + (count[row] as number));
  }
  const types = [...byType].sort((a, b) => b[1] - a[1]).map(([type]) => type);
  const shown = types.slice(0, 2).join(", ");
  return { weights, bytes, dtypes: types.length > 2 ? `${shown}, +${types.length - 2}` : shown };
}

function search(store: Store): HTMLElement {
  const { query } = store.traits;
  const input = h("input", {
    type: "search",
    placeholder: "Filter layers: name, glob, kind:Linear, std>0.1",
    "aria-label": "filter layers",
    spellcheck: "false",
    autocomplete: "off",
  });
  const hits = h("span", { class: "ww-hits ww-soft ww-number", "aria-live": "polite" });
  const fault = h("p", { class: "ww-note ww-fault", "data-tone": "error", role: "status" });
  let timer = 0;
  const take = (): void => {
    clearTimeout(timer);
    query.value = input.value;
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = window.setTimeout(take, input.value === "" ? 0 : TYPING_PAUSE);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") take();
    if (event.key === "Escape") {
      input.value = "";
      take();
    }
  });
  store.lifetime.addEventListener("abort", () => clearTimeout(timer));
  store.effect(() => {
    if (input.value !== query.value) input.value = query.value;
  });
  store.effect(() => {
    const { count, error } = store.matches.value;
    hits.textContent = `${formatCount(count)} / ${formatCount(store.base.value.tensors)}`;
    hits.title = "tensors that pass the filters";
    setText(fault, error);
    fault.hidden = error === "";
  });
  return h("div", { class: "ww-search" }, input, syntaxHelp(input, take), hits, fault);
}

function syntaxHelp(input: HTMLInputElement, take: () => void): HTMLElement {
  const list = h("div", { class: "ww-popover" });
  const help = h(
    "details",
    { class: "ww-help" },
    h("summary", { title: "what can be typed", "aria-label": "what can be typed" }, "?"),
    list,
  );
  for (const [example, meaning] of SYNTAX) {
    const button = h("button", { class: "ww-plain", type: "button" }, h("code", {}, example));
    button.addEventListener("click", () => {
      input.value = example;
      take();
      help.open = false;
      input.focus();
    });
    list.append(button, h("span", { class: "ww-soft" }, meaning));
  }
  closeWhenLeft(help);
  return help;
}

const COPY: [text: string, title: string] = [
  "saved copy",
  "stored with this page: tree, filters, histograms and pictures work by themselves; " +
    "what was not stored says that it takes a running kernel",
];

const BARE: [text: string, title: string] = [
  "summary only",
  "opened from a saved summary: tree, filters, statistics, histograms and pictures are there; " +
    "what takes the weights themselves says so",
];

function kernelNote(store: Store): HTMLElement {
  const note = h("span", { class: "ww-kernel", role: "status" });
  let reached = false;
  store.effect(() => {
    const state = store.model.kernel.value;
    reached ||= state === "alive";
    const bare = !store.base.value.hasWeights;
    const [text, title] = bare ? BARE : store.model.isCopy ? COPY : kernelWords(state, reached);
    note.dataset.copy = String(bare || store.model.isCopy);
    note.hidden = text === "";
    note.textContent = text;
    note.title = title;
  });
  return note;
}

/** @param reached whether a kernel has answered before: then it went, else there never was one */
function kernelWords(state: KernelState, reached: boolean): [text: string, title: string] {
  if (state === "slow")
    return ["waiting for the kernel…", "the kernel is busy: finer detail follows when it is free"];
  if (state !== "gone") return ["", ""];
  const without =
    "tree, filters, histograms and thumbnails work without; single weights and exact counts need a running kernel";
  return reached
    ? ["the kernel was restarted or is gone: run the cell again", without]
    : ["no kernel answers: showing the overview", without];
}
