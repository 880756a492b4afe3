/** The measures of all heads: asked for one layer after the other. */

import { type ReadonlySignal, signal, untracked } from "@preact/signals-core";
import type { AttentionLayer } from "../../anatomy";
import { doubles } from "../../buffers";
import { type Model, RequestCancelled } from "../../model";
import type { Store } from "../../store";
import { messageOf } from "./reply";

/** By name, one number for each head of a layer. */
export type Measures = ReadonlyMap<string, Float64Array>;

/** What the grid of all heads knows. */
export interface Measured {
  /** By path of the layer. */
  readonly measures: ReadonlySignal<ReadonlyMap<string, Measures>>;
  /** Why a layer has none, by its path. */
  readonly errors: ReadonlySignal<ReadonlyMap<string, string>>;
  /** Share of the layers that are done; null while none is worked on. */
  readonly progress: ReadonlySignal<number | null>;
}

export interface Measuring {
  store: Store;
  model: Model;
  shown: ReadonlySignal<boolean>;
  layers: ReadonlySignal<readonly AttentionLayer[]>;
  layer: ReadonlySignal<AttentionLayer | null>;
  what: ReadonlySignal<"norms" | "circuits">;
  generation: ReadonlySignal<number>;
  stopped: ReadonlySignal<boolean>;
}

/** Measures of all layers, one after the other; that which is looked at comes first. */
export function measuring(of: Measuring): Measured {
  const measures = signal<ReadonlyMap<string, Measures>>(new Map());
  const errors = signal<ReadonlyMap<string, string>>(new Map());
  const progress = signal<number | null>(null);
  const done = new Set<string>();
  let known: readonly AttentionLayer[] = [];
  let generation = 0;

  const run = async (what: "norms" | "circuits", abort: AbortSignal): Promise<void> => {
    const key = (layer: AttentionLayer, kind = what): string => `${kind} ${layer.path}`;
    const first = of.layer.peek();
    // The norms are there at once, and the panel of the layer draws them: they come with either.
    const all = first ? [first, ...known.filter((layer) => layer !== first)] : [...known];
    const queue = all.map((layer) => [layer, what] as const).filter(([layer]) => !done.has(key(layer)));
    if (what === "circuits") {
      queue.unshift(
        ...all.filter((layer) => !done.has(key(layer, "norms"))).map((one) => [one, "norms"] as const),
      );
    }
    for (const [place, [layer, kind]] of queue.entries()) {
      if (abort.aborted) return;
      progress.value = place / queue.length;
      try {
        const onProgress = (share: number): void => {
          if (!abort.aborted) progress.value = (place + share) / queue.length;
        };
        const request = { layer: layer.path, what: kind };
        const reply = await of.model.request("heads", request, { signal: abort, onProgress });
        if (abort.aborted) return;
        const values = doubles(reply.buffers[0]);
        const found = new Map(measures.peek().get(layer.path));
        reply.measures.forEach((name, i) => {
          found.set(name, values.slice(i * reply.heads, (i + 1) * reply.heads));
        });
        done.add(key(layer, kind));
        measures.value = new Map(measures.peek()).set(layer.path, found);
      } catch (reason) {
        if (reason instanceof RequestCancelled || abort.aborted) return;
        done.add(key(layer, kind));
        errors.value = new Map(errors.peek()).set(layer.path, messageOf(reason));
      }
    }
    if (!abort.aborted) progress.value = null;
  };

  of.store.effect(() => {
    const [shown, layers, what, now] = [of.shown.value, of.layers.value, of.what.value, of.generation.value];
    const stopped = of.stopped.value;
    const abort = new AbortController();
    untracked(() => {
      if (layers !== known || now !== generation) {
        known = layers;
        generation = now;
        done.clear();
        measures.value = new Map();
        errors.value = new Map();
      }
      progress.value = null;
      if (shown && !stopped && layers.length > 0) void run(what, abort.signal);
    });
    return () => abort.abort();
  });
  return { measures, errors, progress };
}
