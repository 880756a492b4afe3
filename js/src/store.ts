/** The state of one view: what the panels share and the kernel need not know. */

import { batch, computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Model, TraitSignals } from "./model";
import { emptyOverview, type Overview, parseOverview } from "./overview";
import type { DrawnAxes } from "./protocol";
import { type QueryResult, runQuery } from "./query";
import { defaultAxes } from "./tensor";

/** An element of the drawn matrix under the pointer, or the block of elements under the pixel. */
export interface Hover {
  row: number;
  col: number;
  /** Number of rows and columns under the pixel; 1 and 1 where a pixel is one element. */
  rows: number;
  cols: number;
  value: number;
}

export interface Store {
  readonly model: Model;
  readonly traits: TraitSignals;
  readonly overview: ReadonlySignal<Overview>;
  /** The outcome of query and facets: per tensor whether it passes, and what is wrong with the query. */
  readonly matches: ReadonlySignal<QueryResult>;
  /** Row of `selected` in the overview; -1 if nothing (known) is selected. */
  readonly selectedRow: ReadonlySignal<number>;
  /** The axes drawn of the selected tensor: the trait, or the default. */
  readonly axes: ReadonlySignal<DrawnAxes>;
  /** Statistic in the tree's column, a key of STATISTICS. */
  readonly statistic: Signal<string>;
  readonly sort: Signal<{ key: string; descending: boolean } | null>;
  readonly hover: Signal<Hover | null>;
  readonly theme: ReadonlySignal<"light" | "dark">;
  /** Selects a tensor or module and shows all of it: the way for clicks. */
  select(path: string): void;
  /** Ends with the view: hang listeners on it. */
  readonly lifetime: AbortSignal;
  /** Runs now and whenever a signal that it read changes, until the view goes. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most effects return nothing, some what undoes them
  effect(run: () => void | (() => void)): void;
}

/** @param overview shared by all views of a model (parsing it is not free) */
export function createStore(
  model: Model,
  overview: ReadonlySignal<Overview>,
  theme: ReadonlySignal<"light" | "dark">,
  lifetime: AbortSignal,
): Store {
  const { traits } = model;
  const selectedRow = computed(() => overview.value.rowOf(traits.selected.value));
  return {
    model,
    traits,
    overview,
    matches: computed(() => runQuery(overview.value, traits.query.value, traits.facets.value)),
    selectedRow,
    axes: computed(() => traits.drawn_axes.value ?? defaultAxes(overview.value.shape(selectedRow.value))),
    statistic: signal("std"),
    sort: signal(null),
    hover: signal(null),
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
    effect: (run) => {
      const stop = effect(run);
      lifetime.addEventListener("abort", stop, { once: true });
    },
  };
}

/** The parsed overview of a model, following its trait. */
export function overviewOf(model: Model): ReadonlySignal<Overview> {
  return computed(() => {
    const blob = model.traits._overview.value;
    return blob && blob.byteLength > 0 ? parseOverview(blob) : emptyOverview();
  });
}
