/** What is asked of the kernel for a whole layer, and for the filter that is looked at. */

import { computed, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals-core";
import { copied, doubles } from "../../buffers";
import { RequestCancelled } from "../../model";
import type { Reply, RequestKind, Requests } from "../../protocol";
import type { Store } from "../../store";
import type { Layer } from "./layer";
import { type LayerNorms, type LocalWeights, overviewNorms } from "./local";

/** Something that is fetched: what came, how far it is, why it failed. */
export interface Fetched<T> {
  readonly value: ReadonlySignal<T | null>;
  /** Share that is done; null while nothing is under way. */
  readonly progress: ReadonlySignal<number | null>;
  readonly error: ReadonlySignal<string>;
}

export interface Frequencies {
  readonly frequency: Float64Array;
  readonly orientation: Float64Array;
  readonly coherence: Float64Array;
  readonly neighbours: number;
}

export interface Similarity {
  /** First of a filter's copies, −1 for none. */
  readonly copyOf: Int32Array;
  readonly cosine: Float32Array;
  readonly order: Int32Array;
}

export interface FilterFacts {
  readonly filter: number;
  readonly channelNorms: Float64Array;
  /** With every filter of the layer. */
  readonly cosines: Float64Array;
}

/** Most filters that are compared with each other: as in weightwidget/detail/similarity.py. */
export const MOST_COMPARED = 4096;

/** What is to be fetched. */
export interface Wanted<K extends RequestKind> {
  /** Says what it is of: with another key, what came before is dropped. */
  readonly key: string;
  readonly request: Requests[K]["request"];
  /** Whether to ask now; what is there already stays. */
  readonly ask: boolean;
}

/** Asks for something as soon as it is wanted. `wanted` is run in an effect: it should read few signals. */
export function fetched<K extends RequestKind, T>(
  store: Store,
  kind: K,
  wanted: () => Wanted<K> | null,
  unpack: (reply: Reply<K>) => T,
): Fetched<T> {
  const value = signal<T | null>(null);
  const progress: Signal<number | null> = signal(null);
  const error = signal("");
  let known = "";
  store.effect(() => {
    const now = wanted();
    if ((now?.key ?? "") !== known) {
      known = now?.key ?? "";
      value.value = null;
      error.value = "";
    }
    if (!now?.ask || untracked(() => value.value !== null || error.value !== "")) return;
    const abort = new AbortController();
    const report = (share: number): void => {
      if (!abort.signal.aborted) progress.value = share;
    };
    report(0);
    store.model
      .request(kind, now.request, { signal: abort.signal, onProgress: report })
      .then((reply) => {
        if (!abort.signal.aborted) value.value = unpack(reply);
      })
      .catch((reason: unknown) => {
        if (reason instanceof RequestCancelled || abort.signal.aborted) return;
        error.value = reason instanceof Error ? reason.message : String(reason);
      })
      .finally(() => {
        if (!abort.signal.aborted) progress.value = null;
      });
    return () => {
      abort.abort();
      progress.value = null;
    };
  });
  return { value, progress, error };
}

export function unpackNorms(reply: Reply<"filter_norms">): LayerNorms {
  const [norms, absmax, nonfinite, biases, limits] = reply.buffers.map(doubles);
  if (!norms || !absmax || !nonfinite || !biases || !limits) throw new Error("the kernel sent too few norms");
  const [meanLimit = Number.NaN, normLimit = Number.NaN] = limits;
  return { norms, absmax, nonfinite, biases, meanLimit, normLimit };
}

export function unpackFrequencies(reply: Reply<"filter_frequencies">): Frequencies {
  const [frequency, orientation, coherence, one] = reply.buffers.map(doubles);
  if (!frequency || !orientation || !coherence || !one)
    throw new Error("the kernel sent too few frequencies");
  return { frequency, orientation, coherence, neighbours: one[0] ?? Number.NaN };
}

export function unpackSimilarity(reply: Reply<"filter_similarity">): Similarity {
  const [copyOf, cosine, order] = reply.buffers.map(copied);
  if (!copyOf || !cosine || !order) throw new Error("the kernel sent no order of the filters");
  return { copyOf: new Int32Array(copyOf), cosine: new Float32Array(cosine), order: new Int32Array(order) };
}

export function unpackFilter(reply: Reply<"filter">, filter: number): FilterFacts {
  const [channelNorms, cosines] = reply.buffers.map(doubles);
  if (!channelNorms || !cosines) throw new Error("the kernel sent nothing of the filter");
  return { filter, channelNorms, cosines };
}

/** Norms as good as they are to be had: the kernel's, until then the overview's. */
export function bestNorms(
  store: Store,
  layer: ReadonlySignal<Layer | null>,
  local: ReadonlySignal<LocalWeights | null>,
  exact: ReadonlySignal<LayerNorms | null>,
): ReadonlySignal<LayerNorms | null> {
  const rough = computed(() => {
    const shown = layer.value;
    if (!shown) return null;
    const weights = local.value;
    return weights ? weights.norms() : overviewNorms(store.overview.value, shown);
  });
  return computed(() => exact.value ?? rough.value);
}
