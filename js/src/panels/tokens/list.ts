/** The list of tokens: all, the brushed ones, clusters, or by nearness to known unused ones. Rows are virtual. */

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { h } from "../../draw/dom";
import { formatCount, formatNumber } from "../../draw/format";
import { lack } from "../../lack";
import { label } from "./label";
import { copyList } from "./listcopy";
import type { ListName, TokenState } from "./state";
import { type Quantity, sorted } from "./table";

/** Height of a row in CSS pixels. */
const ROW = 21;
/** Rows drawn beyond what is seen. */
const SPARE = 6;
const PADDING =
  "the padding token takes no part in training: zero by design, where nothing else was written there";

interface Sort {
  by: Quantity | "cluster";
  descending: boolean;
}

const FIRST_SORT: Record<ListName, Sort> = {
  all: { by: "entry", descending: false },
  brushed: { by: "norm", descending: true },
  clusters: { by: "cluster", descending: false },
  unused: { by: "near unused", descending: true },
};

export function tokenList(state: TokenState): HTMLElement {
  const { store } = state;
  const sort = signal<Sort>(FIRST_SORT.all);
  store.effect(() => {
    sort.value = FIRST_SORT[state.list.value];
  });
  const entries = computed<readonly number[]>(() => {
    const count = state.normStep.value > 1 ? 0 : (state.norms.value?.length ?? 0);
    const { by, descending } = sort.value;
    const all = (): number[] => Array.from({ length: count }, (_, entry) => entry);
    const list = state.list.value;
    if (list === "unused" && !state.reference.value) return [];
    const chosen =
      list === "brushed" ? state.brushed.value : list === "clusters" ? state.flagged.value : all();
    if (by === "cluster") return byCluster(chosen, state.groups.value);
    return by === "entry" && !descending
      ? chosen
      : sorted(chosen, by === "entry" ? null : state.values(by), descending);
  });
  /** The last column: what the list is about. */
  const third = computed<Quantity>(() => {
    if (state.list.value === "unused")
      return state.vertical.value === "distance" ? "distance" : "near unused";
    return "cosine";
  });

  const rows = h("div", { class: "ww-tok-rows", role: "presentation" });
  const view = h(
    "div",
    {
      class: "ww-tok-scroll",
      tabindex: 0,
      role: "listbox",
      "aria-label": "tokens",
      "aria-keyshortcuts": "ArrowUp ArrowDown Home End",
    },
    rows,
  );
  const empty = h("p", { class: "ww-note ww-tok-empty" });
  const element = h("div", { class: "ww-tok-list" }, header(), view, empty);

  let frame = 0;
  const later = (): void => {
    if (!frame) frame = requestAnimationFrame(draw);
  };
  const draw = (): void => {
    frame = 0;
    const all = entries.peek();
    const first = Math.max(0, Math.floor(view.scrollTop / ROW) - SPARE);
    const last = Math.min(all.length, Math.ceil((view.scrollTop + view.clientHeight) / ROW) + SPARE);
    rows.style.height = `${all.length * ROW}px`;
    rows.replaceChildren(
      ...all.slice(first, last).map((entry, place) => row(entry, first + place, all.length)),
    );
  };
  const row = (entry: number, place: number, length: number): HTMLElement => {
    const nearest = state.neighbours.peek()?.nearest[entry] ?? -1;
    const at = third.peek();
    const value = state.values(at)?.[entry] ?? Number.NaN;
    const cluster = state.list.peek() === "clusters" ? state.groups.peek()?.get(entry) : undefined;
    const padding = state.table.peek()?.padding === entry;
    const line = h(
      "div",
      {
        class: "ww-tok-row",
        role: "option",
        style: `top:${place * ROW}px`,
        "data-entry": entry,
        "aria-selected": String(state.chosen.peek() === entry),
        "aria-posinset": place + 1,
        "aria-setsize": length,
      },
      h("span", { class: "ww-tok-id" }, `${entry}`),
      h(
        "span",
        { class: "ww-tok-name" },
        state.text(entry) !== "" && label(state, entry),
        padding && h("span", { class: "ww-tok-tag", title: PADDING }, "padding"),
      ),
      h("span", { class: "ww-number" }, number(state.norms.peek()?.[entry])),
      h("span", { class: "ww-number" }, number(value)),
      h(
        "span",
        { class: "ww-tok-name ww-soft" },
        cluster !== undefined
          ? `cluster ${cluster + 1}`
          : at === "cosine" && nearest >= 0
            ? label(state, nearest)
            : state.reference.peek()?.entries.includes(entry)
              ? "known"
              : null,
      ),
    );
    line.addEventListener("click", () => {
      state.chosen.value = entry;
    });
    line.addEventListener("pointerenter", () => {
      state.hovered.value = entry;
    });
    return line;
  };
  view.addEventListener("pointerleave", () => {
    state.hovered.value = null;
  });
  view.addEventListener("scroll", later, { passive: true });
  const observer = new ResizeObserver(later);
  observer.observe(view);
  store.lifetime.addEventListener("abort", () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  });
  store.effect(() => {
    const told = [
      entries,
      third,
      state.arrivals,
      state.neighbours,
      state.groups,
      state.strings,
      state.reference,
    ];
    for (const one of told) void one.value;
    later();
  });
  store.effect(() => {
    const chosen = state.chosen.value;
    for (const line of rows.children)
      line.setAttribute("aria-selected", String((line as HTMLElement).dataset.entry === String(chosen)));
  });
  store.effect(() => {
    void [state.list.value, sort.value];
    view.scrollTop = 0;
  });
  store.effect(() => {
    const none = entries.value.length === 0;
    empty.hidden = !none;
    view.hidden = none;
    empty.textContent = none ? emptyText(state) : "";
  });
  view.addEventListener("keydown", (event) => {
    const all = entries.peek();
    const place = state.chosen.peek() === null ? -1 : all.indexOf(state.chosen.peek() as number);
    const to = { ArrowDown: place + 1, ArrowUp: Math.max(0, place - 1), Home: 0, End: all.length - 1 }[
      event.key
    ];
    if (to === undefined || all.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const next = Math.min(all.length - 1, to);
    state.chosen.value = all[next] as number;
    const top = next * ROW;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + ROW > view.scrollTop + view.clientHeight) view.scrollTop = top + ROW - view.clientHeight;
  });

  function header(): HTMLElement {
    const column = (by: () => Quantity, text: () => string, title: string): HTMLElement => {
      const button = h("button", { type: "button", class: "ww-plain", title });
      button.addEventListener("click", () => {
        const key = by();
        const now = sort.peek();
        sort.value = { by: key, descending: now.by === key ? !now.descending : key !== "entry" };
      });
      store.effect(() => {
        const now = sort.value;
        const arrow = now.by === by() ? (now.descending ? " ↓" : " ↑") : "";
        button.textContent = text() + arrow;
        button.setAttribute("aria-pressed", String(now.by === by()));
      });
      return button;
    };
    const last = h("span", { class: "ww-soft" });
    store.effect(() => {
      const list = state.list.value;
      last.textContent = list === "clusters" ? "cluster" : list === "unused" ? "" : "nearest";
    });
    const words = { cosine: "nn cos", "near unused": "cos", distance: "distance", norm: "norm", entry: "id" };
    return h(
      "div",
      { class: "ww-tok-row ww-tok-head" },
      column(
        () => "entry",
        () => "id",
        "number of the entry",
      ),
      h("span", { class: "ww-soft" }, "token"),
      column(
        () => "norm",
        () => "norm",
        "L2 norm of the vector",
      ),
      column(
        () => third.value,
        () => words[third.value],
        "cosine to the nearest other token, or to the mean of the known unused ones",
      ),
      last,
    );
  }
  element.append(footer(state, entries));
  return element;
}

function footer(state: TokenState, entries: ReadonlySignal<readonly number[]>): HTMLElement {
  const count = h("span", { class: "ww-soft" });
  const copy = h("button", { type: "button", title: "copy the list as a table" }, "copy");
  copy.addEventListener("click", () => void copyList(state, entries.peek(), copy));
  state.store.effect(() => {
    const length = entries.value.length;
    count.textContent = `${formatCount(length)} ${length === 1 ? "token" : "tokens"}`;
    copy.disabled = length === 0;
  });
  return h("div", { class: "ww-tok-foot" }, count, copy);
}

/** Large clusters first, each in order. */
export function byCluster(entries: readonly number[], groups: ReadonlyMap<number, number> | null): number[] {
  if (!groups) return [...entries];
  const sizes = new Map<number, number>();
  for (const group of groups.values()) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  const of = (entry: number): number => groups.get(entry) ?? -1;
  return [...entries].sort(
    (a, b) => (sizes.get(of(b)) ?? 0) - (sizes.get(of(a)) ?? 0) || of(a) - of(b) || a - b,
  );
}

function emptyText(state: TokenState): string {
  if (state.normStep.value > 1 || !state.norms.value) {
    if (state.problems.value.norms) return state.problems.value.norms;
    const gone = state.store.model.kernel.value === "gone";
    return gone
      ? `${lack(state.store).without}, every token is listed here with its nearest neighbours.`
      : "…";
  }
  const list = state.list.value;
  const wanting = list === "clusters" ? !state.neighbours.value : list === "unused" && !state.reference.value;
  if (wanting && state.store.model.kernel.value === "gone")
    return `${lack(state.store).without}, untrained tokens are looked for here.`;
  switch (list) {
    case "brushed":
      return "Drag over the histogram or the scatter to list tokens here.";
    case "clusters":
      if (state.searching.value !== null) return "Still looking for nearest neighbours …";
      if (!state.neighbours.value) return "Clusters need the nearest neighbours of the tokens.";
      return "No token has two others this near. Untrained tokens need not share a vector: name known unused ones.";
    case "unused":
      return (
        state.problems.value.reference ??
        "Name tokens that are known to be unused, such as [unused*] or 5-10."
      );
    default:
      return "";
  }
}

function number(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "–" : formatNumber(value, 4);
}
