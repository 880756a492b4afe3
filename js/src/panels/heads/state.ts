/** What the view of heads knows: which layer and head are meant, and what the kernel has told of them. */

import { computed, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals-core";
import { type AttentionLayer, PROJECTIONS } from "../../anatomy";
import { doubles, floats } from "../../buffers";
import { RequestCancelled } from "../../model";
import type { HeadPart, Reply } from "../../protocol";
import type { Store } from "../../store";
import { headPath, inside, type Place, placeOf } from "./layers";
import { type Measured, measuring } from "./measures";
import { messageOf } from "./reply";

/** What was asked of the kernel: the answer, or why there is none. */
export interface Answer<T> {
  /** Of what: the layer, the head, the part. */
  readonly of: string;
  readonly value: T | null;
  readonly error: string;
}

export interface HeadsState extends Measured {
  readonly store: Store;
  readonly shown: ReadonlySignal<boolean>;
  readonly layers: ReadonlySignal<readonly AttentionLayer[]>;
  /** The layer that is looked at: the selected one, else the last or the first. Null: there are none. */
  readonly layer: ReadonlySignal<AttentionLayer | null>;
  /** The selected head of that layer, −1 for none. */
  readonly head: ReadonlySignal<number>;
  /** Whether something of the layer is selected, rather than a module around it. */
  readonly chosen: ReadonlySignal<boolean>;
  readonly statistic: Signal<string>;
  readonly stopped: Signal<boolean>;
  /** By what heads are compared: a HeadPart. */
  readonly part: Signal<string>;
  readonly similarity: ReadonlySignal<Answer<Float64Array> | null>;
  readonly detail: ReadonlySignal<Answer<HeadDetail> | null>;
  readonly gone: ReadonlySignal<boolean>;
  select(layer: AttentionLayer, head: number): void;
}

export interface Picture {
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
}

export interface HeadDetail {
  readonly layer: AttentionLayer;
  readonly head: number;
  /** In the order of PROJECTIONS. */
  readonly pictures: readonly (Picture | null)[];
  /** Of the weights: head size and width. */
  readonly shapes: readonly (readonly [number, number])[];
  readonly qk: Float64Array | null;
  readonly ov: Float64Array | null;
  readonly eigenvalues: { re: Float64Array; im: Float64Array } | null;
  readonly measures: ReadonlyMap<string, number>;
  readonly square: boolean;
  readonly finite: boolean;
}

/** Largest size of a head's pictures, in pixels. */
const PICTURE = { width: 512, height: 64 };

/** What is read from the circuits, which takes longer than norms. */
const CIRCUIT = /^(qk|ov)_|^copying$/;

/** When the weights of a tensor change, at least one of these does. */
const FINGERPRINT = ["min", "max", "mean", "std", "zeros", "nan", "posinf", "neginf"];

export function headsState(store: Store, shown: ReadonlySignal<boolean>): HeadsState {
  const { model } = store;
  const layers = computed(() => store.base.value.layers.attention);
  let last: Place | null = null;
  const place = computed((): (Place & { chosen: boolean }) | null => {
    const overview = store.base.value;
    const selected = store.traits.selected.value;
    const found = placeOf(overview, selected);
    if (found) {
      last = found;
      return { ...found, chosen: true };
    }
    // Of a module around several layers: the one that was looked at last, if it lies in there.
    const within = layers.value.filter((layer) => inside(layer.path, selected));
    const before = within.find((layer) => layer.path === last?.layer.path);
    const layer = before ?? within[0] ?? layers.value[0];
    return layer ? { layer, head: -1, chosen: false } : null;
  });
  const layer = computed(() => place.value?.layer ?? null);
  const head = computed(() => place.value?.head ?? -1);
  const chosen = computed(() => place.value?.chosen ?? false);
  const generation = weightGeneration(store);
  const statistic = signal("copying");
  const part = signal<string>("qk");
  const stopped = signal(false);
  const gone = computed(() => model.kernel.value === "gone");

  const asked = computed(() => (shown.value && layer.value ? layer.value.path : null));
  const similarity = answered(store, (abort) => {
    void generation.value;
    const path = asked.value;
    const wanted = part.value;
    const there = parts(untracked(() => layer.value));
    // A layer may lack what another one was compared by.
    const of = there.find((one) => one === wanted) ?? there[0];
    if (path === null || of === undefined) return null;
    const ask = model.request("head_similarity", { layer: path, part: of }, { signal: abort });
    return { of: `${path} ${of}`, answer: ask.then(({ buffers }) => doubles(buffers[0])) };
  });
  const detail = answered(store, (abort) => {
    void generation.value;
    const [path, number] = [asked.value, head.value];
    const owner = untracked(() => layer.value);
    if (path === null || number < 0 || !owner) return null;
    const ask = model.request("head", { layer: path, head: number, ...PICTURE }, { signal: abort });
    return { of: `${path} ${number}`, answer: ask.then((reply) => unpack(owner, number, reply)) };
  });
  const what = computed(() => (CIRCUIT.test(statistic.value) ? "circuits" : "norms"));
  const grid = measuring({ store, model, shown, layers, layer, what, generation, stopped });

  return {
    store,
    shown,
    layers,
    layer,
    head,
    chosen,
    statistic,
    ...grid,
    stopped,
    part,
    similarity,
    detail,
    gone,
    select: (of, number) => store.select(number < 0 ? of.path : headPath(of, number)),
  };
}

/** Parts and circuits by which the heads of a layer can be compared. */
export function parts(layer: AttentionLayer | null): HeadPart[] {
  if (!layer) return [];
  const found: HeadPart[] = [];
  if (layer.query && layer.key) found.push("qk");
  if (layer.value && layer.output) found.push("ov");
  return [...found, ...PROJECTIONS.filter((name) => layer[name] !== null)];
}

/**
 * What a request is answered. The last answer stays until the next one comes; null is nothing asked.
 * @param ask reads signals; called again when they change
 */
function answered<T>(
  store: Store,
  ask: (abort: AbortSignal) => { of: string; answer: Promise<T> } | null,
): ReadonlySignal<Answer<T> | null> {
  const found = signal<Answer<T> | null>(null);
  store.effect(() => {
    const abort = new AbortController();
    const sent = ask(abort.signal);
    if (!sent)
      untracked(() => {
        found.value = null;
      });
    sent?.answer.then(
      (value) => {
        if (!abort.signal.aborted) found.value = { of: sent.of, value, error: "" };
      },
      (reason: unknown) => {
        if (reason instanceof RequestCancelled || abort.signal.aborted) return;
        found.value = { of: sent.of, value: null, error: messageOf(reason) };
      },
    );
    return () => abort.abort();
  });
  return found;
}

/** Counts how often the weights of some attention layer have changed. */
function weightGeneration(store: Store): ReadonlySignal<number> {
  const generation = signal(0);
  const prints = new Map<string, string>();
  store.effect(() => {
    const overview = store.base.value;
    const rows = new Set(
      overview.layers.attention.flatMap((layer) => PROJECTIONS.map((name) => layer[name]?.tensor ?? -1)),
    );
    let changed = false;
    for (const row of rows) {
      if (row < 0 || !overview.summarised(row)) continue;
      const name = overview.names[row] as string;
      const now = FINGERPRINT.map((key) => overview.column(key)[row]).join();
      // That the scan comes to a tensor is no change of its weights.
      changed ||= prints.has(name) && prints.get(name) !== now;
      prints.set(name, now);
    }
    if (changed) generation.value = generation.peek() + 1;
  });
  return generation;
}

function unpack(layer: AttentionLayer, head: number, reply: Reply<"head">): HeadDetail {
  const { buffers } = reply;
  const [qk, ov, eigenvalues, measures] = buffers.slice(PROJECTIONS.length).map((buffer) => doubles(buffer));
  if (!qk || !ov || !eigenvalues || !measures) throw new Error("the kernel sent too little of the head");
  const count = eigenvalues.length / 2;
  return {
    layer,
    head,
    pictures: reply.pictures.map(([height, width], i) =>
      height * width > 0 ? { height, width, data: floats(buffers[i]) } : null,
    ),
    shapes: reply.shapes,
    qk: qk.length > 0 ? qk : null,
    ov: ov.length > 0 ? ov : null,
    eigenvalues: count > 0 ? { re: eigenvalues.slice(0, count), im: eigenvalues.slice(count) } : null,
    measures: new Map(reply.measures.map((name, i) => [name, measures[i] as number])),
    square: reply.square,
    finite: reply.finite,
  };
}
