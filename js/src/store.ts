/** The state of one view: what the panels share and the kernel need not know. */

import { batch, computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { type BlockStore, type Blocks, createBlocks } from "./blocks/store";
import type { Model, TraitSignals } from "./model";
import { emptyOverview, type Overview, parseOverview } from "./overview";
import type { DrawnAxes, Region } from "./protocol";
import { type QueryResult, runQuery } from "./query";
import { defaultAxes, usualAxes } from "./tensor";

/** An element of the drawn matrix under the pointer, or the block of elements under the pixel. */
export interface Hover {
  row: number;
  col: number;
  /** Number of rows and columns under the pixel; 1 and 1 where a pixel is one element. */
  rows: number;
  cols: number;
  value: number;
}

/** What of the selected tensor the histogram counts. */
export type ScopeKind = "all" | "window" | "row" | "column" | "region";

export interface Store {
  readonly model: Model;
  readonly traits: TraitSignals;
  /** Of tensors and modules alone: changes only when the kernel sends another one. For what looks at all tensors. */
  readonly base: ReadonlySignal<Overview>;
  /** Of tensors, modules, and the blocks of which anything is known. */
  readonly overview: ReadonlySignal<Overview>;
  readonly blocks: BlockStore;
  /** The outcome of query and facets: per tensor whether it passes, and what is wrong with the query. */
  readonly matches: ReadonlySignal<QueryResult>;
  /** Row of `selected` in the overview; -1 if nothing (known) is selected. */
  readonly selectedRow: ReadonlySignal<number>;
  /** The axes drawn of the selected tensor: the trait, or the usual ones. */
  readonly axes: ReadonlySignal<DrawnAxes>;
  /** The axes that are drawn of a tensor unless others are chosen. */
  usualAxes(row: number): DrawnAxes;
  /** Statistic in the tree's column, a key of STATISTICS. */
  readonly statistic: Signal<string>;
  readonly sort: Signal<{ key: string; descending: boolean } | null>;
  readonly hover: Signal<Hover | null>;
  /** The cell of the heatmap that was clicked last. */
  readonly pinned: Signal<Hover | null>;
  /** The region of the drawn matrix that was dragged over. */
  readonly region: Signal<Region | null>;
  readonly scope: Signal<ScopeKind>;
  readonly theme: ReadonlySignal<"light" | "dark">;
  /** Selects a tensor or module and shows all of it: the way for clicks. */
  select(path: string): void;
  /** Ends with the view: hang listeners on it. */
  readonly lifetime: AbortSignal;
  /** Runs now and whenever a signal that it read changes, until the view goes. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most effects return nothing, some what undoes them
  effect(run: () => void | (() => void)): void;
}

/**
 * @param base shared by all views of a model (parsing it is not free)
 * @param blocks shared, too; by default of this view alone
 */
export function createStore(
  model: Model,
  base: ReadonlySignal<Overview>,
  theme: ReadonlySignal<"light" | "dark">,
  lifetime: AbortSignal,
  { overview, store: blocks }: Blocks = createBlocks(model, base, lifetime),
): Store {
  const { traits } = model;
  const selectedRow = computed(() => overview.value.rowOf(traits.selected.value));
  const run: Store["effect"] = (what) => {
    const stop = effect(what);
    lifetime.addEventListener("abort", stop, { once: true });
  };
  let reachedOnce = false;
  const reached = computed(() => {
    const state = model.kernel.value;
    reachedOnce ||= state === "alive";
    return reachedOnce || state !== "gone";
  });
  const usual = (row: number): DrawnAxes => {
    const shape = overview.value.shape(row);
    const plain = defaultAxes(shape);
    const wanted = usualAxes(shape, overview.value.axes(row));
    // Without a kernel only the default axes have a picture.
    return JSON.stringify(wanted) === JSON.stringify(plain) || reached.value ? wanted : plain;
  };
  // Of what is selected everything is wanted, of a head that of its parts, too.
  run(() => {
    const place = overview.value.block(selectedRow.value);
    if (!place) return;
    blocks.want(
      place.parts.map((part) => part.path),
      { detail: true },
    );
    blocks.want([place.path], { detail: true });
  });
  return {
    model,
    traits,
    base,
    overview,
    blocks,
    // Blocks are not filtered: that some have come changes nothing.
    matches: computed(() => runQuery(base.value, traits.query.value, traits.facets.value)),
    selectedRow,
    axes: computed(() => traits.drawn_axes.value ?? usual(selectedRow.value)),
    usualAxes: usual,
    statistic: signal("std"),
    sort: signal(null),
    hover: signal(null),
    pinned: signal(null),
    region: signal(null),
    scope: signal("all"),
    theme,
    select: (path) =>
      batch(() => {
        if (traits.selected.value === path) return;
        traits.selected.value = path;
        traits.window.value = null;
        traits.index.value = [];
        traits.drawn_axes.value = null;
      }),
    lifetime,
    effect: run,
  };
}

/** The parsed overview of a model, following its trait. */
export function overviewOf(model: Model): ReadonlySignal<Overview> {
  return computed(() => {
    const blob = model.traits._overview.value;
    return blob && blob.byteLength > 0 ? parseOverview(blob) : emptyOverview();
  });
}
