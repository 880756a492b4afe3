/** Facets as they are edited: what each mini histogram counts, and the way back. */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Range } from "../../model";
import type { Overview } from "../../overview";
import { facetMask, queryMask } from "../../query";
import { STATISTIC } from "../../statistics";
import type { Store } from "../../store";

type Facets = Record<string, Range>;

export interface FilterState {
  /** Statistics that have a mini histogram. */
  readonly shown: ReadonlySignal<readonly string[]>;
  /** What tensors must pass to be counted in the histogram of a statistic: query and all other facets. */
  masksFor(key: string): readonly Uint8Array[];
  add(key: string): void;
  remove(key: string): void;
  /** Sets the range of a statistic, null for none, at most once a frame. */
  set(key: string, range: Range | null): void;
  /** Call before a gesture changes anything: undo comes back to here. */
  begin(): void;
  undo(): void;
  /** Takes away all facets and the query. */
  clear(): void;
}

const FIRST = ["std", "absmax", "kurtosis", "sparsity", "count", "mean"];
const UNDO_DEPTH = 100;

export function createFilterState(store: Store): FilterState {
  const { facets, query } = store.traits;
  const chosen: Signal<readonly string[]> = signal(FIRST);
  const history: { facets: Facets; query: string }[] = [];

  // What somebody brushes elsewhere, in Python say, is shown here too.
  const shown = computed(() => {
    const others = Object.keys(facets.value).filter(
      (key) => STATISTIC.has(key) && !chosen.value.includes(key),
    );
    return [...chosen.value, ...others];
  });

  let known: { overview: Overview; masks: Map<string, { range: Range; mask: Uint8Array }> } | null = null;
  const masks = computed(() => {
    const overview = store.base.value;
    const before = known?.overview === overview ? known.masks : null;
    const now = new Map<string, { range: Range; mask: Uint8Array }>();
    for (const [key, range] of Object.entries(facets.value)) {
      const old = before?.get(key);
      const same = old && old.range[0] === range[0] && old.range[1] === range[1];
      now.set(key, same ? old : { range, mask: facetMask(overview, key, range) });
    }
    known = { overview, masks: now };
    return now;
  });

  let waiting: Map<string, Range | null> | null = null;
  let frame = 0;
  const flush = (): void => {
    cancelAnimationFrame(frame);
    if (!waiting) return;
    const next = { ...facets.peek() };
    for (const [key, range] of waiting) {
      if (range) next[key] = range;
      else delete next[key];
    }
    waiting = null;
    if (!sameFacets(next, facets.peek())) facets.value = next;
  };
  store.lifetime.addEventListener("abort", () => cancelAnimationFrame(frame));

  const begin = (): void => {
    flush();
    const last = history[history.length - 1];
    const now = { facets: facets.peek(), query: query.peek() };
    if (last && last.query === now.query && sameFacets(last.facets, now.facets)) return;
    history.push(now);
    if (history.length > UNDO_DEPTH) history.shift();
  };

  return {
    shown,
    masksFor: (key) => {
      const others = [...masks.value].filter(([other]) => other !== key).map(([, { mask }]) => mask);
      return [queryMask(store.base.value, query.value), ...others];
    },
    add: (key) => {
      if (!shown.peek().includes(key)) chosen.value = [...shown.peek(), key];
    },
    remove: (key) => {
      chosen.value = chosen.peek().filter((one) => one !== key);
    },
    set: (key, range) => {
      if (!waiting) {
        waiting = new Map();
        frame = requestAnimationFrame(flush);
      }
      waiting.set(key, range);
    },
    begin,
    undo: () => {
      flush();
      // The state before a gesture that changed nothing is the state now: go on to the one before.
      for (let last = history.pop(); last; last = history.pop()) {
        if (last.query === query.peek() && sameFacets(last.facets, facets.peek())) continue;
        facets.value = last.facets;
        query.value = last.query;
        return;
      }
    },
    clear: () => {
      begin();
      facets.value = {};
      query.value = "";
    },
  };
}

function sameFacets(a: Facets, b: Facets): boolean {
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => b[key] && a[key]?.[0] === b[key][0] && a[key]?.[1] === b[key][1])
  );
}
