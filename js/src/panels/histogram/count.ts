/** How many weights the brush holds: estimated from the bins at once, counted by the kernel when it rests. */

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { type Range, RequestCancelled } from "../../model";
import type { Store } from "../../store";
import { type Bins, countBetween } from "./bins";
import { type ScopeState, WHOLE } from "./scope";

export interface Count {
  count: number;
  total: number;
  exact: boolean;
}

/** Milliseconds that the brush must rest before the kernel counts. */
const REST = 80;

export function brushCount(
  store: Store,
  bins: ReadonlySignal<Bins | null>,
  { scope }: ScopeState = WHOLE,
): ReadonlySignal<Count | null> {
  const counted = signal<{ question: string; answer: Count } | null>(null);
  const question = computed(() => {
    const range = store.traits.value_range.value;
    const row = store.selectedRow.value;
    const overview = store.overview.value;
    if (!range || row < 0 || !overview.summarised(row) || overview.error(row)) return "";
    const marks = ["count", "mean", "std"].map((key) => overview.column(key)[row]);
    return JSON.stringify([store.traits.selected.value, range, marks, scope.value.fields]);
  });

  let abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = (): void => {
    clearTimeout(timer);
    abort.abort();
  };
  store.lifetime.addEventListener("abort", stop);
  store.effect(() => {
    const asked = question.value;
    const range = store.traits.value_range.peek();
    stop();
    if (!asked || !range) return;
    abort = new AbortController();
    const { signal } = abort;
    const path = store.traits.selected.peek();
    const { fields } = scope.peek();
    timer = setTimeout(() => {
      store.model.request("count", { ...fields, path, range }, { signal }).then(
        ({ count, total, exact }) => {
          counted.value = { question: asked, answer: { count, total, exact } };
        },
        (error: unknown) => {
          // The estimate stays, and is marked as one.
          if (!(error instanceof RequestCancelled)) console.warn("weightwidget: counting failed:", error);
        },
      );
    }, REST);
  });

  return computed(() => {
    const range = store.traits.value_range.value;
    if (!question.value || !range) return null;
    if (counted.value?.question === question.value) return counted.value.answer;
    return bins.value && estimate(bins.value, range);
  });
}

/** From the bins; bins that the range cuts count in proportion. */
export function estimate(bins: Bins, range: Range): Count {
  return { count: Math.round(countBetween(bins, range[0], range[1])), total: bins.total, exact: false };
}
