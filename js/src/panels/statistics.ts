/** The statistics of the selected tensor or module, as a table that can be copied. */

import { batch, untracked } from "@preact/signals-core";
import { breakable, copyText, h, setText } from "../draw/dom";
import { set } from "../draw/svg";
import { lack } from "../lack";
import type { Store } from "../store";
import { matrixSize } from "../tensor";
import { type Entry, entries, entriesToText, flatCell } from "./statistics/entries";
import { type Rank, rankOf } from "./statistics/rank";

/** Rows and columns of the heatmap's window around a weight that is jumped to. */
const WINDOW = [16, 24] as const;

export function statisticsPanel(store: Store): HTMLElement {
  const list = h("dl", { class: "ww-stats-list" });
  const error = h("p", { class: "ww-note", "data-tone": "error", role: "status" });
  const copy = h(
    "button",
    { type: "button", class: "ww-plain ww-soft", title: "copy all of it with all digits, tab-separated" },
    "copy",
  );
  const panel = h(
    "div",
    { class: "ww-statistics" },
    h("div", { class: "ww-stats-head" }, h("span", { class: "ww-heading" }, "Statistics"), copy),
    error,
    list,
  );
  let shown: Entry[] = [];
  let marks: HTMLElement[] = [];
  let before = "";
  copy.addEventListener("click", async () => {
    await copyText(entriesToText(shown));
    copy.textContent = "copied";
    setTimeout(() => {
      copy.textContent = "copy";
    }, 900);
  });

  store.effect(() => {
    const overview = store.overview.value;
    const row = store.selectedRow.value;
    panel.hidden = row < 0;
    if (row < 0) return;
    const problem = overview.error(row);
    const away = store.model.kernel.value === "gone";
    const missing = away && problem === "" && !overview.summarised(row);
    setText(error, missing ? `${lack(store).doer} tells them` : problem, true);
    error.dataset.tone = problem ? "error" : "";
    error.hidden = problem === "" && !missing;
    const path = store.traits.selected.value;
    shown = entries(overview, row, path, away);
    // While the scan goes on, new overviews come many times a second. What did not change stays, and can be clicked.
    const now = JSON.stringify(shown);
    if (now !== before) {
      before = now;
      marks = shown.map(() => h("span", { class: "ww-stat-rank" }));
      list.replaceChildren(...shown.map((entry, i) => line(store, entry, marks[i] as HTMLElement)));
    }
    // Modules have no rank, and need no room for it.
    list.dataset.ranks = String(overview.isTensor(row));
    const { passes } = store.matches.value;
    for (const [i, { rank }] of shown.entries()) {
      if (rank) setRank(marks[i] as HTMLElement, rankOf(overview, rank, row, passes));
    }
  });
  return panel;
}

function line(store: Store, entry: Entry, mark: HTMLElement): HTMLElement {
  const value = h("dd", { class: "ww-number" });
  if (entry.link) value.append(link(store, entry.link));
  if (entry.text) value.append(h("span", { title: entry.title }, ...breakable(entry.text)));
  const term = h("dt", { title: entry.help }, entry.label);
  const ranked = entry.rank || !entry.width;
  return h("div", { class: "ww-stat", "data-width": entry.width }, term, value, ranked ? mark : null);
}

function link(store: Store, to: NonNullable<Entry["link"]>): HTMLElement {
  const button = h(
    "button",
    { type: "button", class: "ww-plain ww-stat-link", title: to.title },
    ...breakable(to.text),
  );
  button.addEventListener("click", () => {
    if (to.path !== undefined) store.select(to.path);
    else if (to.position) jump(store, to.position);
  });
  return button;
}

/** Shows the heatmap around a weight, in the usual axes. */
function jump(store: Store, position: readonly number[]): void {
  const at = store.selectedRow.peek();
  const shape = store.overview.peek().shape(at);
  const axes = untracked(() => store.usualAxes(at));
  const [height, width] = matrixSize(shape, axes);
  const [row, col] = flatCell(shape, axes, position);
  const around = (at: number, length: number, room: number): [number, number] => {
    const size = Math.min(length, room);
    const start = Math.min(Math.max(0, at - (size >> 1)), length - size);
    return [start, start + size];
  };
  batch(() => {
    store.traits.drawn_axes.value = null;
    if (axes.rows.length + axes.cols.length < shape.length) store.traits.index.value = [...position];
    store.traits.window.value = [...around(row, height, WINDOW[0]), ...around(col, width, WINDOW[1])];
  });
}

/** Where the value stands among those of all tensors that pass the filters: a dot on a short line. */
function setRank(mark: HTMLElement, rank: Rank | null): void {
  set(mark, {
    title: rank?.text,
    role: rank ? "img" : null,
    "aria-label": rank?.text,
    "data-known": rank ? "" : null,
  });
  mark.style.setProperty("--ww-rank", rank ? rank.share.toFixed(3) : null);
}
