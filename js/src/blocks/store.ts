/** Asks the kernel for what is known of blocks, a few at a time, and keeps it until the weights change. */

import { computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals-core";
import { copied } from "../buffers";
import { isHere } from "../local/cut";
import { type Model, RequestCancelled, RequestFailed } from "../model";
import type { LocalHistogram, Overview } from "../overview";
import type { RecordDetail, Reply } from "../protocol";
import { type BlockPlace, placesOf } from "./place";
import { type BlockRecord, blockTable, type Level, withBlocks } from "./table";

export interface BlockStore {
  /**
   * Asks for the statistics of blocks and heads, which then are in the overview's rows of them. What is there or on
   * its way is not asked for again; after a change of the weights all of it is, by itself.
   * @param options.detail true: histograms, thumbnail and norms, too; "histograms": histograms only
   */
  want(paths: Iterable<string>, options?: { detail?: boolean | "histograms" }): void;
  /** Share of what was asked for that has come; 1 when nothing is on its way. */
  readonly progress: ReadonlySignal<number>;
}

/** Most paths and weights in one request: small enough that nothing else has to wait for long. */
const MOST_PATHS: Record<Level, number> = { 0: 256, 1: 64, 2: 16 };
const MOST_WEIGHTS = 1 << 24;

const DETAIL: Record<Level, RecordDetail> = { 0: "numbers", 1: "histograms", 2: "all" };

/** When the weights of a tensor change, at least one of these does. */
const FINGERPRINT = ["min", "max", "mean", "std", "zeros", "nan", "posinf", "neginf"];

export interface Blocks {
  readonly store: BlockStore;
  /** The overview with the blocks that are known so far. */
  readonly overview: ReadonlySignal<Overview>;
}

/**
 * @param base the overview, which knows tensors and modules only
 * @param lifetime ends with the model
 */
export function createBlocks(model: Model, base: ReadonlySignal<Overview>, lifetime: AbortSignal): Blocks {
  const table = blockTable();
  const arrivals = signal(0);
  const overview = computed(() => {
    void arrivals.value;
    return withBlocks(base.value, table);
  });
  /** By path: what is to be asked for, the latest last. */
  const queue: Record<Level, Map<string, true>> = { 0: new Map(), 1: new Map(), 2: new Map() };
  /** By path: how much was asked for, and the weights that it is of. */
  const asked = new Map<string, { level: Level; prints: string }>();
  const flying = new Map<string, Level>();
  /** Lanes with a request under way: of blocks whose weights are here, which are answered without a kernel, and others. */
  const busy = new Set<boolean>();
  /** Counts the changes of weights: what was asked for before one is not kept. */
  let generation = 0;
  const outstanding = signal(0);
  const total = signal(0);

  const waiting = (): number => queue[0].size + queue[1].size + queue[2].size + flying.size;
  const count = (): void => {
    const now = waiting();
    total.value = now === 0 ? 0 : Math.max(total.peek(), now);
    outstanding.value = now;
  };

  const enqueue = (path: string, level: Level): void => {
    for (const other of [0, 1, 2] as const) {
      if (other > level && queue[other].has(path)) return;
      if (other === level && level === 0 && queue[other].has(path)) return;
      queue[other].delete(path);
    }
    queue[level].set(path, true);
  };

  /** The best wanted first; among them what was wanted last, which is what is looked at. Grids fill in order. */
  const nextBatch = (here: boolean): { places: BlockPlace[]; level: Level } | null => {
    const places = placesOf(base.peek());
    for (const level of [2, 1, 0] as const) {
      const found: BlockPlace[] = [];
      let weights = 0;
      const paths = [...queue[level].keys()];
      for (const path of level === 0 ? paths : paths.reverse()) {
        const place = places.find(path);
        if (place && isHere(base.peek(), place) !== here) continue;
        if (place) {
          const size = (place.parts.length > 0 ? place.parts : [place]).reduce(
            (sum, part) => sum + part.shape.reduce((product, one) => product * one, 1),
            0,
          );
          if (found.length > 0 && weights + size > MOST_WEIGHTS) break;
          weights += size;
          found.push(place);
        }
        queue[level].delete(path);
        if (found.length === MOST_PATHS[level]) break;
      }
      if (found.length > 0) return { places: found, level };
    }
    return null;
  };

  let stopped = false;
  lifetime.addEventListener("abort", () => {
    stopped = true;
  });
  /** One request at a time on each lane; without a kernel it goes on waiting, so that one that comes back is noticed. */
  const pump = (): void => {
    for (const here of [true, false]) send(here);
    count();
  };
  const send = (here: boolean): void => {
    const batch = busy.has(here) || stopped ? null : nextBatch(here);
    if (!batch) return;
    const { places, level } = batch;
    busy.add(here);
    for (const place of places) {
      flying.set(place.path, level);
      asked.set(place.path, { level, prints: printsOf(base.peek(), place) });
    }
    const sent = generation;
    const paths = places.map((place) => place.path);
    const done = (records: readonly BlockRecord[] | null): void => {
      busy.delete(here);
      for (const path of paths) flying.delete(path);
      if (records && sent === generation) {
        places.forEach((place, i) => {
          const record = records[i] as BlockRecord;
          const before = table.record(place);
          if (!before || before.level <= record.level) table.put(place, record);
        });
        arrivals.value = arrivals.peek() + 1;
      } else if (records) for (const path of paths) enqueue(path, level);
      pump();
    };
    model.request("records", { paths, detail: DETAIL[level] }, { signal: lifetime }).then(
      (reply) => done(unpack(reply, level)),
      (reason: unknown) => {
        if (reason instanceof RequestCancelled) return done(null);
        const error = reason instanceof RequestFailed ? reason.message : String(reason);
        done(places.map(() => ({ ...NOTHING, level, error })));
      },
    );
  };

  const stop = effect(() => {
    const now = base.value;
    untracked(() => {
      const places = placesOf(now);
      const prints = new Map<number, string>();
      let changed = false;
      for (const [path, known] of asked) {
        const place = places.find(path);
        const print = place ? printsOf(now, place, prints) : "";
        if (print === "" || print === known.prints) continue;
        // That the scan comes to a tensor is no change of its weights.
        if (known.prints !== "" && place) {
          table.drop(place);
          asked.delete(path); // until it is asked for again
          enqueue(path, known.level);
          changed = true;
        } else asked.set(path, { ...known, prints: print });
      }
      if (!changed) return;
      generation++;
      arrivals.value = arrivals.peek() + 1;
      pump();
    });
  });
  lifetime.addEventListener("abort", stop);

  return {
    overview,
    store: {
      want: (paths, { detail = false } = {}) => {
        const level: Level = detail === true ? 2 : detail ? 1 : 0;
        const now = overview.peek();
        let more = false;
        for (const path of paths) {
          const place = now.block(now.rowOf(path));
          if (!place || now.error(place.tensor)) continue;
          const have = table.record(place);
          if (have && (have.level >= level || have.error)) continue;
          if ((flying.get(place.path) ?? -1) >= level) continue;
          enqueue(place.path, level);
          more = true;
        }
        // Together with what else is wanted in this turn.
        if (more) queueMicrotask(pump);
      },
      progress: computed(() => (total.value === 0 ? 1 : 1 - outstanding.value / total.value)),
    },
  };
}

const NOTHING = {
  values: new Map<string, number>(),
  histogram: null,
  logHistogram: null,
  thumbnail: null,
  profiles: null,
};

/** What tells the weights of a block's tensors; "" before they are summarised. */
function printsOf(overview: Overview, place: BlockPlace, known = new Map<number, string>()): string {
  const rows = place.parts.length > 0 ? place.parts.map((part) => part.tensor) : [place.tensor];
  const prints = rows.map((row) => {
    let print = known.get(row);
    if (print === undefined) {
      print = overview.summarised(row) ? FINGERPRINT.map((key) => overview.column(key)[row]).join() : "";
      known.set(row, print);
    }
    return print;
  });
  return prints.includes("") ? "" : prints.join(" ");
}

export function unpack(reply: Reply<"records">, level: Level): BlockRecord[] {
  const { columns, errors, shapes, bins = 0, log_bins = 0, thumbnails, profiles } = reply;
  const [numbers, histograms, logHistograms, pictures, norms] = reply.buffers;
  if (!numbers) throw new Error("the kernel sent records without numbers");
  const statistics = new Float64Array(copied(numbers));
  const local = histograms && new Float64Array(copied(histograms));
  const log = logHistograms && new Float64Array(copied(logHistograms));
  const cells = pictures && new Float32Array(copied(pictures));
  const edges = norms && new Float32Array(copied(norms));
  let cell = 0;
  let edge = 0;
  return shapes.map((_, i) => {
    const own = statistics.subarray(i * columns.length, (i + 1) * columns.length);
    const [height, width] = thumbnails?.[i] ?? [0, 0];
    const [rows, cols] = profiles?.[i] ?? [0, 0];
    const picture = cells?.subarray(cell, cell + height * width);
    const along = edges?.subarray(edge, edge + rows + cols);
    cell += height * width;
    edge += rows + cols;
    return {
      level,
      values: new Map(columns.map((key, place) => [key, own[place] as number])),
      histogram: local ? histogramAt(local, i, bins) : null,
      logHistogram: log ? histogramAt(log, i, log_bins) : null,
      thumbnail: picture && picture.length > 0 ? { height, width, data: picture } : null,
      profiles:
        along && along.length > 0 ? { rows: along.subarray(0, rows), cols: along.subarray(rows) } : null,
      error: errors[String(i)] ?? "",
    };
  });
}

/** Counts, first and last edge, and the weights below and above. */
function histogramAt(all: Float64Array, i: number, bins: number): LocalHistogram | null {
  const row = all.subarray(i * (bins + 4), (i + 1) * (bins + 4));
  const [low, high, below, above] = row.subarray(bins);
  if (!Number.isFinite(low)) return null;
  return {
    counts: row.subarray(0, bins),
    range: [low as number, high as number],
    below: below as number,
    above: above as number,
  };
}
