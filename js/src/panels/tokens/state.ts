/** What the panel of tokens knows: fetched from the kernel, dropped when the weights or the strings change. */

import { batch, computed, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals-core";
import { floats, integers } from "../../buffers";
import { RequestCancelled, RequestFailed } from "../../model";
import type { Measure, TableAddress } from "../../protocol";
import type { Store } from "../../store";
import { weightChanges } from "./generation";
import {
  type Brush,
  clustered,
  firstLimit,
  inside,
  type Neighbours,
  type Quantity,
  type Reference,
  type Table,
  tableOf,
} from "./table";
import { type Strings, textCache } from "./texts";

export type ListName = "all" | "brushed" | "clusters" | "unused";

export interface TokenState {
  readonly store: Store;
  readonly table: ReadonlySignal<Table | null>;
  /** Of all entries; from the overview, which may have one for several entries, until the kernel answers. */
  readonly norms: ReadonlySignal<Float32Array | null>;
  /** Entries that one norm of the overview stands for; 1 when they are all there. */
  readonly normStep: ReadonlySignal<number>;
  readonly strings: ReadonlySignal<Strings>;
  readonly neighbours: ReadonlySignal<Neighbours | null>;
  /** Share of the search for neighbours that is done; null if none is under way. */
  readonly searching: ReadonlySignal<number | null>;
  /** Looks for the neighbours of that many entries, or of all. */
  search(limit: number | null): void;
  stopSearch(): void;
  readonly reference: ReadonlySignal<Reference | null>;
  /** Names the known unused tokens; "" forgets them. */
  setReference(text: string): void;
  readonly threshold: Signal<number>;
  readonly flagged: ReadonlySignal<readonly number[]>;
  /** Cluster of each flagged entry; null while it is not known. */
  readonly groups: ReadonlySignal<ReadonlyMap<number, number> | null>;
  readonly vertical: Signal<Quantity>;
  readonly brush: Signal<Brush | null>;
  readonly brushed: ReadonlySignal<readonly number[]>;
  readonly list: Signal<ListName>;
  readonly chosen: Signal<number | null>;
  /** Entry under the pointer, in the scatter or a list. */
  readonly hovered: Signal<number | null>;
  readonly measure: Signal<Measure>;
  /** What went wrong last, by what was asked. */
  readonly problems: ReadonlySignal<Readonly<Record<string, string>>>;
  values(quantity: Quantity): ArrayLike<number> | null;
  /** The string of an entry, null while it is not known; asks for it if `ask`. */
  text(entry: number, ask?: boolean): string | null;
  readonly arrivals: ReadonlySignal<number>;
  readonly address: ReadonlySignal<TableAddress | null>;
  /** Changes with table, weights and strings: what was fetched before is void. */
  readonly generation: ReadonlySignal<string>;
  fail(what: string, reason: unknown): void;
}

export function tokenState(store: Store, shown: ReadonlySignal<boolean>): TokenState {
  const { model, traits } = store;
  const table = steady(
    computed(() => tableOf(store.overview.value, store.selectedRow.value)),
    (a, b) =>
      a?.tensor === b?.tensor && a?.count === b?.count && a?.axis === b?.axis && a?.entries === b?.entries,
  );
  const address = computed<TableAddress | null>(() =>
    table.value ? { tensor: table.value.tensor, axis: table.value.axis } : null,
  );
  const rows = computed(() => (table.value ? [store.overview.value.rowOf(table.value.tensor)] : []));
  const changes = weightChanges(store, rows);
  const generation = computed(() => `${changes.value} ${traits._strings_version.value}`);

  const fetched = signal<Float32Array | null>(null);
  const strings = signal<Strings>({ source: "", known: 0, problem: "" });
  const neighbours = signal<Neighbours | null>(null);
  const searching = signal<number | null>(null);
  const reference = signal<Reference | null>(null);
  const groups = signal<ReadonlyMap<number, number> | null>(null);
  const problems = signal<Readonly<Record<string, string>>>({});
  const threshold = signal(0.98);
  const vertical = signal<Quantity>("cosine");
  const brush = signal<Brush | null>(null);
  const list = signal<ListName>("all");
  const chosen = signal<number | null>(null);
  const hovered = signal<number | null>(null);
  const measure = signal<Measure>("cosine");
  const arrivals = signal(0);

  const fail = (what: string, reason: unknown): void => {
    if (reason instanceof RequestCancelled) return;
    const text = reason instanceof RequestFailed ? reason.message : `unexpected: ${String(reason)}`;
    problems.value = { ...problems.peek(), [what]: text };
  };
  const clear = (what: string): void => {
    if (!(what in problems.peek())) return;
    const { [what]: _, ...rest } = problems.peek();
    problems.value = rest;
  };

  const texts = textCache(store, address, strings, arrivals, fail);
  let running: AbortController | null = null;
  /** The known unused tokens as they were named. */
  let named = "";
  let naming: AbortController | null = null;

  // Another table, other weights: nothing of before holds.
  let before = "";
  store.effect(() => {
    const now = table.value;
    void generation.value;
    untracked(() =>
      batch(() => {
        stop();
        texts.forget();
        fetched.value = null;
        neighbours.value = null;
        groups.value = null;
        problems.value = {};
        if (now?.tensor !== before) {
          brush.value = null;
          chosen.value = null;
          hovered.value = null;
          reference.value = null;
          list.value = "all";
          vertical.value = "cosine";
          named = "";
        }
        before = now?.tensor ?? "";
      }),
    );
  });

  // Norms and strings, then neighbours unasked; nothing while another view is seen.
  store.effect(() => {
    const at = address.value;
    const now = table.value;
    void generation.value;
    if (!at || !now || !shown.value || untracked(() => fetched.value)) return;
    const abort = new AbortController();
    model
      .request("tokens.norms", at, { signal: abort.signal })
      .then((reply) => {
        if (abort.signal.aborted) return;
        batch(() => {
          fetched.value = floats(reply.buffers[0]);
          strings.value = { source: reply.strings, known: reply.known, problem: reply.problem };
        });
        if (now.entries === "token") {
          search(firstLimit(now.count, now.size));
          if (named) setReference(named);
        }
      })
      .catch((reason: unknown) => fail("norms", reason));
    return () => abort.abort();
  });

  function stop(): void {
    running?.abort();
    running = null;
    searching.value = null;
  }
  function search(limit: number | null): void {
    const at = address.peek();
    const now = table.peek();
    if (!at || !now) return;
    stop();
    clear("map");
    const abort = new AbortController();
    running = abort;
    searching.value = 0;
    const onProgress = (share: number): void => {
      if (!abort.signal.aborted) searching.value = share;
    };
    model
      .request("tokens.map", { ...at, limit }, { signal: abort.signal, onProgress })
      .then((reply) => {
        if (abort.signal.aborted) return;
        running = null;
        batch(() => {
          searching.value = null;
          neighbours.value = unpack(now.count, reply.buffers, reply.search_error);
        });
      })
      .catch((reason: unknown) => {
        if (running === abort) {
          running = null;
          searching.value = null;
        }
        fail("map", reason);
      });
  }
  store.lifetime.addEventListener("abort", stop);

  function setReference(text: string): void {
    named = text.trim();
    naming?.abort();
    clear("reference");
    const at = address.peek();
    if (!named || !at) {
      reference.value = null;
      if (list.peek() === "unused") list.value = "all";
      return;
    }
    const abort = new AbortController();
    naming = abort;
    model
      .request("tokens.reference", { ...at, text: named }, { signal: abort.signal })
      .then(({ buffers, norm }) => {
        if (abort.signal.aborted) return;
        batch(() => {
          const entries = integers(buffers[0]);
          reference.value = {
            text: named,
            entries,
            cosine: floats(buffers[1]),
            distance: floats(buffers[2]),
            norm,
          };
          list.value = "unused";
        });
      })
      .catch((reason: unknown) => {
        if (reason instanceof RequestCancelled) return;
        reference.value = null;
        fail("reference", reason);
      });
  }

  const flagged = computed(() => (neighbours.value ? clustered(neighbours.value, threshold.value) : []));
  store.effect(() => {
    const entries = flagged.value;
    const limit = threshold.value;
    groups.value = null;
    const at = untracked(() => address.value);
    if (!at || entries.length === 0 || entries.length > 4096) return;
    const abort = new AbortController();
    model
      .request("tokens.groups", { ...at, entries: [...entries], threshold: limit }, { signal: abort.signal })
      .then((reply) => {
        if (!abort.signal.aborted)
          groups.value = new Map(entries.map((entry, place) => [entry, reply.groups[place] as number]));
      })
      .catch((reason: unknown) => fail("groups", reason));
    return () => abort.abort();
  });

  const profile = computed(() => {
    const now = table.value;
    if (now?.axis !== 0) return null;
    return store.overview.value.profiles(now.row)?.rows ?? null;
  });
  const norms = computed(() => fetched.value ?? profile.value);
  const normStep = computed(() => {
    const now = table.value;
    return fetched.value || !now || !profile.value ? 1 : Math.max(1, now.count / profile.value.length);
  });
  const numbers = computed(() => Uint32Array.from({ length: table.value?.count ?? 0 }, (_, entry) => entry));
  const values = (quantity: Quantity): ArrayLike<number> | null => {
    switch (quantity) {
      case "norm":
        return norms.value;
      case "cosine":
        return neighbours.value?.cosine ?? null;
      case "near unused":
        return reference.value?.cosine ?? null;
      case "distance":
        return reference.value?.distance ?? null;
      default:
        return numbers.value;
    }
  };
  const brushed = computed(() => {
    const held = brush.value;
    const xs = norms.value;
    if (!held || !xs || normStep.value > 1) return [];
    return inside(held, xs, values(vertical.value));
  });

  return {
    ...{ store, table, norms, normStep, strings, neighbours, searching, search, reference, setReference },
    ...{ threshold, flagged, groups, vertical, brush, brushed, list, chosen, hovered, measure, problems },
    ...{ values, arrivals, address, generation, fail },
    stopSearch: stop,
    text: texts.get,
  };
}

/** The same object as before while nothing that matters has changed. */
function steady<T>(source: ReadonlySignal<T>, same: (a: T, b: T) => boolean): ReadonlySignal<T> {
  let last: T | undefined;
  let first = true;
  return computed(() => {
    const now = source.value;
    if (first || !same(last as T, now)) last = now;
    first = false;
    return last as T;
  });
}

function unpack(count: number, buffers: readonly DataView[], searchError: number): Neighbours {
  const entries = integers(buffers[0]);
  const spread = { nearest: integers(buffers[1]), cosine: floats(buffers[2]), second: floats(buffers[4]) };
  if (entries.length === count) return { asked: count, ...spread, searchError };
  const nearest = new Int32Array(count).fill(-1);
  const cosine = new Float32Array(count).fill(Number.NaN);
  const second = new Float32Array(count).fill(Number.NaN);
  entries.forEach((entry, place) => {
    nearest[entry] = spread.nearest[place] as number;
    cosine[entry] = spread.cosine[place] as number;
    second[entry] = spread.second[place] as number;
  });
  return { asked: entries.length, nearest, cosine, second, searchError };
}
