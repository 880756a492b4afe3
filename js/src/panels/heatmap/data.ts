/** What is fetched for the drawn matrix: its tiles and its norms. Dropped when the weights change. */

import { computed, type ReadonlySignal, signal, untracked } from "@preact/signals-core";
import { floats } from "../../buffers";
import { RequestCancelled } from "../../model";
import type { Aggregate } from "../../protocol";
import type { Store } from "../../store";
import type { MatrixInfo } from "./matrix";
import { type NormProfile, ofKernel, ofOverview } from "./norms";
import { type FetchTile, TileCache } from "./tilecache";

export interface HeatmapData {
  readonly cache: ReadonlySignal<TileCache | null>;
  /** Smallest and largest element, for the plot of a vector. */
  readonly envelope: ReadonlySignal<{ min: TileCache; max: TileCache } | null>;
  /** Counts tiles that came: read it to draw again. */
  readonly arrivals: ReadonlySignal<number>;
  readonly norms: ReadonlySignal<NormProfile | null>;
}

/** When the weights of a tensor change, at least one of these does. */
const FINGERPRINT = ["min", "max", "mean", "std", "zeros", "nan", "posinf", "neginf"];

export function heatmapData(store: Store, matrix: ReadonlySignal<MatrixInfo | null>): HeatmapData {
  const { model, traits } = store;
  const arrivals = signal(0);
  const cache = signal<TileCache | null>(null);
  const envelope = signal<{ min: TileCache; max: TileCache } | null>(null);
  const generation = weightGeneration(store, matrix);

  const open = (drawn: MatrixInfo, aggregate: Aggregate): TileCache =>
    new TileCache(
      fetcher(store, drawn, aggregate),
      () => {
        arrivals.value = arrivals.peek() + 1;
      },
      // Without a kernel one request goes on waiting, so that a kernel that comes back is noticed.
      (flying) => flying === 0 || model.kernel.peek() !== "gone",
    );

  store.effect(() => {
    const drawn = matrix.value;
    const aggregate = traits.aggregate.value;
    void generation.value;
    const caches = untracked(() => {
      if (!drawn || drawn.rows * drawn.cols === 0) return [];
      const one = open(drawn, aggregate);
      return drawn.rows === 1 && drawn.cols > 1 ? [one, open(drawn, "min"), open(drawn, "max")] : [one];
    });
    const [values, min, max] = caches;
    cache.value = values ?? null;
    envelope.value = min && max ? { min, max } : null;
    return () => {
      for (const each of caches) each.close();
    };
  });

  return { cache, envelope, arrivals, norms: norms(store, matrix, generation) };
}

/** Counts how often the weights of the drawn tensor have changed since it is drawn. */
export function weightGeneration(
  store: Store,
  matrix: ReadonlySignal<{ readonly tensor: string; readonly row: number } | null>,
): ReadonlySignal<number> {
  const generation = signal(0);
  let tensor = "";
  let known = "";
  store.effect(() => {
    const drawn = matrix.value;
    const overview = store.overview.value;
    if (!drawn) return;
    const now = overview.summarised(drawn.row)
      ? FINGERPRINT.map((key) => overview.column(key)[drawn.row]).join()
      : "";
    // That the scan comes to a tensor is no change of its weights.
    const changed = drawn.tensor === tensor && known !== "" && now !== "" && now !== known;
    if (drawn.tensor !== tensor || now !== "") known = now;
    tensor = drawn.tensor;
    if (changed) generation.value = generation.peek() + 1;
  });
  return generation;
}

function fetcher(store: Store, drawn: MatrixInfo, aggregate: Aggregate): FetchTile {
  const address = { tensor: drawn.tensor, axes: drawn.axes, index: drawn.index };
  return async ([rowLevel, colLevel, row, col], range, abort) => {
    const tile: [number, number, number, number] = [rowLevel, colLevel, row, col];
    const request = { ...address, tile, aggregate, range };
    const { height, width, rough, buffers } = await store.model.request("tile", request, { signal: abort });
    const [values, shares] = buffers;
    if (!values || values.byteLength !== 4 * height * width) {
      throw new Error("the kernel sent a tile of the wrong size");
    }
    return { height, width, rough, values: floats(values), shares: shares ? bytes(shares) : null };
  };
}

function bytes(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
}

/** Norms as fine as they are to be had: the kernel's, until then the overview's. */
function norms(
  store: Store,
  matrix: ReadonlySignal<MatrixInfo | null>,
  generation: ReadonlySignal<number>,
): ReadonlySignal<NormProfile | null> {
  const fetched = signal<NormProfile | null>(null);
  store.effect(() => {
    const drawn = matrix.value;
    void generation.value;
    fetched.value = null;
    if (!drawn || drawn.rows < 2 || drawn.cols === 0) return;
    const abort = new AbortController();
    const address = { tensor: drawn.tensor, axes: drawn.axes, index: drawn.index };
    store.model
      .request("profile", address, { signal: abort.signal })
      .then((reply) => {
        if (!abort.signal.aborted) fetched.value = ofKernel(reply);
      })
      .catch((reason: unknown) => {
        // The heatmap stands without them, and the overview has coarser ones.
        if (!(reason instanceof RequestCancelled)) console.warn("weightwidget: no norms:", reason);
      });
    return () => abort.abort();
  });
  return computed(() => {
    const drawn = matrix.value;
    if (!drawn) return null;
    if (fetched.value || !drawn.isDefault || drawn.rows < 2) return fetched.value;
    return ofOverview(drawn, store.overview.value.profiles(drawn.row));
  });
}
