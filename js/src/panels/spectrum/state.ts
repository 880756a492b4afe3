/** The state of the spectrum view: what is known of the drawn matrix, and what is being computed. */

import { batch, computed, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals-core";
import type { Axes } from "../../anatomy";
import { doubles } from "../../buffers";
import { RequestCancelled, RequestFailed } from "../../model";
import type { Store } from "../../store";
import { weightGeneration } from "../heatmap/data";
import { drawnMatrix, type MatrixInfo } from "../heatmap/matrix";
import { type Full, readFull, readTop, type Top } from "./replies";

/** What is asked for: the largest, all, and all of the same elements in random order. */
export type Part = "top" | "full" | "shuffled";

export type Progress =
  | { state: "idle" }
  | { state: "running"; share: number; since: number }
  | { state: "failed"; message: string };

export type RankScale = "linear" | "log" | "energy";

export interface Known {
  readonly top: Top | null;
  readonly full: Full | null;
  readonly shuffled: Float64Array | null;
}

export interface SpectrumState {
  readonly store: Store;
  readonly matrix: ReadonlySignal<MatrixInfo | null>;
  readonly axes: ReadonlySignal<Axes | null>;
  readonly known: ReadonlySignal<Known>;
  readonly progress: Readonly<Record<Part, ReadonlySignal<Progress>>>;
  readonly rankScale: Signal<RankScale>;
  readonly logCounts: Signal<boolean>;
  /** Which curves are drawn to compare with. */
  readonly showNoise: Signal<boolean>;
  readonly showInit: Signal<boolean>;
  readonly showShuffled: Signal<boolean>;
  /** Of a convolution: whether the density is that of the pooled slices. */
  readonly showPooled: Signal<boolean>;
  /** Rank from 0 of the singular value whose vectors are shown. */
  readonly vector: Signal<number>;
  /** Rank from 0 of the singular value under the pointer. */
  readonly hovered: Signal<number | null>;
  /** Why there is no spectrum; "" if there is one, or will be. */
  readonly problem: ReadonlySignal<string>;
  /** Whether all singular values are computed only when somebody says so, for it takes long. */
  readonly asks: ReadonlySignal<boolean>;
  compute(): void;
  cancel(): void;
}

const NOTHING: Known = { top: null, full: null, shuffled: null };
const IDLE: Progress = { state: "idle" };

/** Seconds up to which all singular values are computed without being asked for. */
const PATIENCE = 20;
/** Matrices whose spectrum is kept. */
const KEPT = 24;

export function spectrumState(store: Store, shown: ReadonlySignal<boolean>): SpectrumState {
  const { model, overview } = store;
  const matrix = drawnMatrix(store);
  const axes = computed(() => (matrix.value ? overview.value.axes(matrix.value.row) : null));
  // A block changes when the tensor does in which it lies: its own statistics may never have been asked for.
  const owner = computed(() => {
    const drawn = matrix.value;
    const row = drawn ? (overview.value.block(drawn.row)?.tensor ?? drawn.row) : -1;
    return drawn ? { tensor: overview.value.names[row] ?? drawn.tensor, row } : null;
  });
  const generation = weightGeneration(store, owner);

  const kept = new Map<string, Known>();
  const known = signal<Known>(NOTHING);
  const progress: Record<Part, Signal<Progress>> = {
    top: signal<Progress>(IDLE),
    full: signal<Progress>(IDLE),
    shuffled: signal<Progress>(IDLE),
  };
  const refused = signal(false);
  const showShuffled = signal(false);
  const hovered = signal<number | null>(null);
  let key = "";
  let abort = new AbortController();
  const running = new Map<Part, AbortController>();
  store.lifetime.addEventListener("abort", () => abort.abort());

  const address = (): { tensor: string; axes: MatrixInfo["axes"]; index: number[] } | null => {
    const drawn = matrix.peek();
    return drawn && { tensor: drawn.tensor, axes: drawn.axes, index: drawn.index };
  };
  const take = (part: Partial<Known>): void => {
    known.value = { ...known.peek(), ...part };
    kept.delete(key);
    kept.set(key, known.peek());
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT) break;
      kept.delete(oldest);
    }
  };

  const ask = (part: Part, fetch: (signal: AbortSignal) => Promise<Partial<Known>>): void => {
    running.get(part)?.abort();
    const own = new AbortController();
    running.set(part, own);
    abort.signal.addEventListener("abort", () => own.abort(), { signal: own.signal });
    progress[part].value = { state: "running", share: 0, since: Date.now() };
    fetch(own.signal).then(
      (found) => {
        if (own.signal.aborted) return;
        batch(() => {
          take(found);
          progress[part].value = IDLE;
        });
      },
      (error: unknown) => {
        if (running.get(part) !== own) return;
        const stopped = error instanceof RequestCancelled || own.signal.aborted;
        const message = error instanceof RequestFailed ? error.message : String(error);
        progress[part].value = stopped ? IDLE : { state: "failed", message };
      },
    );
  };
  const tell =
    (part: Part, signal: AbortSignal) =>
    (share: number): void => {
      const now = progress[part].peek();
      if (!signal.aborted && now.state === "running") progress[part].value = { ...now, share };
    };

  const askTop = (): void => {
    const of = address();
    if (!of) return;
    ask("top", async (signal) => {
      const reply = await model.request("spectrum.top", of, { signal, onProgress: tell("top", signal) });
      return { top: readTop(reply) };
    });
  };
  const askFull = (): void => {
    const of = address();
    if (!of) return;
    ask("full", async (signal) => {
      const reply = await model.request("spectrum", of, { signal, onProgress: tell("full", signal) });
      return { full: readFull(reply) };
    });
  };
  const askShuffled = (): void => {
    const of = address();
    if (!of) return;
    ask("shuffled", async (signal) => {
      const reply = await model.request("spectrum.shuffled", of, { signal });
      return { shuffled: doubles(reply.buffers[0]) };
    });
  };

  /** Another matrix, or other weights: what was computed of the one before is of no use any more. */
  let before = -1;
  const here = computed(() => {
    const drawn = matrix.value;
    const fits = drawn !== null && drawn.rows * drawn.cols > 0 && drawn.shape.length > 1;
    return fits ? `${generation.value} ${drawn.key}` : "";
  });
  store.effect(() => {
    const now = here.value;
    untracked(() => {
      abort.abort();
      running.clear();
      abort = new AbortController();
      key = now;
      if (generation.peek() !== before) kept.clear();
      before = generation.peek();
      batch(() => {
        known.value = kept.get(now) ?? NOTHING;
        for (const part of Object.values(progress)) part.value = IDLE;
        refused.value = false;
        hovered.value = null;
      });
    });
  });

  const asks = computed(() => {
    const top = known.value.top;
    return top !== null && top.seconds !== null && top.seconds > PATIENCE;
  });
  // What is hidden asks for nothing; but what was begun goes on while somebody looks at another view.
  store.effect(() => {
    void here.value;
    if (!shown.value || here.value === "") return;
    if (known.value.top === null && progress.top.value.state === "idle") untracked(askTop);
  });
  store.effect(() => {
    const { top, full } = known.value;
    if (!shown.value || !top || full || top.seconds === null || asks.value || refused.value) return;
    if (progress.full.value.state === "idle") untracked(askFull);
  });
  store.effect(() => {
    const { full, shuffled } = known.value;
    if (!shown.value || !showShuffled.value || shuffled || !full) return;
    if (known.value.top?.shuffles && progress.shuffled.value.state === "idle") untracked(askShuffled);
  });

  return {
    store,
    matrix,
    axes,
    known,
    progress,
    rankScale: signal("linear"),
    logCounts: signal(true),
    showNoise: signal(true),
    showInit: signal(true),
    showShuffled,
    showPooled: signal(false),
    vector: signal(0),
    hovered,
    problem: computed(() => {
      const drawn = matrix.value;
      // What could not be read has no matrix to be drawn, but a reason.
      if (!drawn) return overview.value.error(store.selectedRow.value);
      if (drawn.rows * drawn.cols === 0) return "There are no weights.";
      const failed = progress.top.value;
      return failed.state === "failed" ? failed.message : "";
    }),
    asks,
    compute: () => {
      askFull();
      refused.value = false; // after it: what is under way is not asked for again
    },
    cancel: () => {
      refused.value = true;
      running.get("full")?.abort();
    },
  };
}
