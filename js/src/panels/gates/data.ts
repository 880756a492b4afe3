/** What is known of a layer's gates: from the kernel, and until it answers what the overview holds. */

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import type { RecurrentLayer } from "../../anatomy";
import { doubles, floats } from "../../buffers";
import { RequestCancelled } from "../../model";
import type { Overview, Thumbnail } from "../../overview";
import type { Reply } from "../../protocol";
import type { Store } from "../../store";
import { keyOf } from "./layers";
import { addBiases, biasTimeScale, cutThumbnail } from "./numbers";

/** One gate's part of the input weights, or of the recurrent weights. */
export interface GateBlock {
  readonly mean: number;
  readonly std: number;
  readonly norm: number;
  readonly min: number;
  readonly max: number;
  readonly q01: number;
  readonly q99: number;
  readonly nonfinite: number;
  /** Counts below −limit, in equal bins, above; null where they are not known. */
  readonly counts: Float64Array | null;
  /** Null where the overview's thumbnail cannot be cut exactly. */
  readonly picture: Thumbnail | null;
}

export interface UnitNorms {
  /** Of what the unit's gate reads of the inputs, and of the state. */
  readonly input: Float64Array;
  readonly recurrent: Float64Array;
  /** Of what the gate reads of the unit; null with a projection, which stands between. */
  readonly read: Float64Array | null;
}

export interface Gate {
  readonly label: string;
  readonly input: GateBlock;
  readonly recurrent: GateBlock;
  /** Null without a kernel. */
  readonly norms: UnitNorms | null;
  /** What is added to the gate; null where there is none, or it is not known. */
  readonly bias: Float64Array | null;
  /** The biases of both sides, where they may not be added. */
  readonly separate: readonly [Float64Array, Float64Array] | null;
}

export interface LayerData {
  /** Name of the recurrent weights. */
  readonly key: string;
  readonly origin: "kernel" | "overview";
  readonly gates: readonly Gate[];
  readonly units: number;
  /** Magnitude at the end of the common scale; NaN where it is not known. */
  readonly limit: number;
  readonly keeper: string | null;
  /** Steps, as the bias of the keeper implies; null where no gate keeps the state or its bias is not known. */
  readonly scales: Float64Array | null;
  /** Norm of what the projection reads of each unit. */
  readonly projected: Float64Array | null;
}

/** Eigenvalues of one gate's recurrent weights: pairs of real and imaginary part by falling magnitude. */
export interface GateEigenvalues {
  readonly pairs: Float64Array;
  readonly zeros: number;
}

export type EigenState =
  | { readonly state: "waiting" }
  | { readonly state: "there"; readonly values: GateEigenvalues }
  | { readonly state: "failed"; readonly message: string };

/** Units up to which eigenvalues are computed without being asked for: about a second a gate. */
export const AT_ONCE = 768;

/** When the weights of a tensor change, at least one of these does. */
const FINGERPRINT = ["min", "max", "mean", "std", "zeros", "nan", "posinf", "neginf"];

export interface GateState {
  readonly data: ReadonlySignal<LayerData | null>;
  /** Why the kernel's answer is not there; "" if it is, or is on its way. */
  readonly problem: ReadonlySignal<string>;
  /** By gate. */
  readonly eigenvalues: ReadonlySignal<ReadonlyMap<string, EigenState>>;
  /** Asks for the eigenvalues of a large layer. */
  computeEigenvalues(): void;
}

export function gateState(
  store: Store,
  shown: ReadonlySignal<boolean>,
  layer: ReadonlySignal<RecurrentLayer | null>,
): GateState {
  const fetched = signal<LayerData | null>(null);
  const problem = signal("");
  const eigenvalues = signal<ReadonlyMap<string, EigenState>>(new Map());
  const asked = signal("");
  /** Changes with the layer and with its weights. */
  const fingerprint = computed(() => {
    const found = layer.value;
    return found ? fingerprintOf(store.overview.value, found) : "";
  });

  const fail = (reason: unknown): string => {
    if (reason instanceof RequestCancelled) return "";
    return reason instanceof Error ? reason.message : String(reason);
  };

  let last = "";
  store.effect(() => {
    const print = fingerprint.value;
    const found = layer.peek();
    problem.value = "";
    if (print !== last) fetched.value = null;
    last = print;
    if (!shown.value || !found || print === "") return;
    const abort = new AbortController();
    const recurrent = keyOf(store.overview.peek(), found);
    store.model
      .request("gates", { recurrent }, { signal: abort.signal })
      .then((reply) => {
        if (!abort.signal.aborted) fetched.value = unpack(recurrent, found, reply);
      })
      .catch((reason: unknown) => {
        problem.value = fail(reason);
      });
    return () => abort.abort();
  });

  store.effect(() => {
    const print = fingerprint.value;
    const found = layer.peek();
    if (!shown.value || !found || print === "") {
      eigenvalues.value = new Map();
      return;
    }
    const recurrent = keyOf(store.overview.peek(), found);
    if (eigenSize(store.overview.peek(), found) > AT_ONCE && asked.value !== recurrent) {
      eigenvalues.value = new Map();
      return;
    }
    const abort = new AbortController();
    const set = (gate: string, state: EigenState): void => {
      if (!abort.signal.aborted) eigenvalues.value = new Map(eigenvalues.peek()).set(gate, state);
    };
    eigenvalues.value = new Map(found.gates.map((gate) => [gate, { state: "waiting" }]));
    for (const gate of found.gates) {
      store.model
        .request("eigenvalues", { recurrent, gate }, { signal: abort.signal })
        .then(({ zeros, buffers }) =>
          set(gate, { state: "there", values: { zeros, pairs: doubles(buffers[0]) } }),
        )
        .catch((reason: unknown) => {
          const message = fail(reason);
          if (message) set(gate, { state: "failed", message });
        });
    }
    return () => abort.abort();
  });

  const offline = computed(() => {
    const found = layer.value;
    return found ? ofOverview(store.overview.value, found) : null;
  });
  return {
    data: computed(() => {
      const known = fetched.value;
      const local = offline.value;
      return known && local && known.key === local.key ? known : local;
    }),
    problem,
    eigenvalues,
    computeEigenvalues: () => {
      const found = layer.peek();
      if (found) asked.value = keyOf(store.overview.peek(), found);
    },
  };
}

/** Side of the matrix whose eigenvalues are computed: with a projection, the projected state. */
export function eigenSize(overview: Overview, layer: RecurrentLayer): number {
  const shape = overview.shape(layer.recurrent);
  return layer.projection === null ? layer.hidden : (shape[1] ?? layer.hidden);
}

function fingerprintOf(overview: Overview, layer: RecurrentLayer): string {
  const rows = [layer.input, layer.recurrent, layer.input_bias, layer.recurrent_bias, layer.projection];
  const parts = rows
    .filter((row) => row !== null)
    .map((row) => FINGERPRINT.map((key) => overview.column(key)[row]).join());
  return [keyOf(overview, layer), layer.kind, layer.gates, ...parts].join("|");
}

function unpack(key: string, layer: RecurrentLayer, reply: Reply<"gates">): LayerData {
  const { gates, units, bins, limit, keeper } = reply;
  const [statistics, histograms, norms, biases, scales, projected] = reply.buffers.slice(0, 6).map(doubles);
  if (!statistics || !histograms || !norms || !biases || !scales || !projected) {
    throw new Error("the kernel sent too little");
  }
  const count = gates.length;
  const pictures = reply.buffers.slice(6);
  const part = (from: Float64Array, at: number, size: number): Float64Array =>
    from.subarray(at * size, (at + 1) * size);
  const block = (number: number): GateBlock => {
    const [mean, std, norm, min, max, q01, q99, nonfinite] = part(
      statistics,
      number,
      8,
    ) as unknown as number[];
    const [height, width] = reply.pictures[number < count ? 0 : 1];
    return {
      ...{ mean: mean as number, std: std as number, norm: norm as number },
      ...{ min: min as number, max: max as number, q01: q01 as number, q99: q99 as number },
      nonfinite: nonfinite as number,
      counts: part(histograms, number, bins + 2),
      picture: { height, width, data: floats(pictures[number]) },
    };
  };
  const sides = [layer.input_bias, layer.recurrent_bias].map((row) => row !== null);
  return {
    key,
    origin: "kernel",
    units,
    limit,
    keeper,
    gates: gates.map((label, at) => {
      const [input, state] = [0, 1].map((side) =>
        sides[side] ? part(biases, side * count + at, units) : null,
      ) as [Float64Array | null, Float64Array | null];
      const apart = reply.separate.includes(label) && input && state;
      return {
        label,
        input: block(at),
        recurrent: block(count + at),
        norms: {
          input: part(norms, at, units),
          recurrent: part(norms, count + at, units),
          read: layer.projection === null ? part(norms, 2 * count + at, units) : null,
        },
        bias: apart ? null : addBiases(input, state),
        separate: apart ? [input, state] : null,
      };
    }),
    scales: keeper === null ? null : scales,
    projected: projected.length > 0 ? projected : null,
  };
}

/** Pictures cut from the thumbnails, and the biases where the overview has each one. */
export function ofOverview(overview: Overview, layer: RecurrentLayer): LayerData {
  const count = layer.gates.length;
  const torch = layer.layout === "torch";
  const cut = (row: number): (Thumbnail | null)[] => {
    const picture = overview.thumbnail(row);
    const length = overview.shape(row)[torch ? 0 : 1] ?? 0;
    return (
      (picture && cutThumbnail(picture, torch ? "rows" : "cols", count, length)) ||
      layer.gates.map(() => null)
    );
  };
  const input = cut(layer.input);
  const recurrent = cut(layer.recurrent);
  const [inputBias, stateBias] = biasesOf(overview, layer);
  const gateOf = (from: Float64Array | null, at: number): Float64Array | null =>
    from?.subarray(at * layer.hidden, (at + 1) * layer.hidden) ?? null;
  const keeper = layer.kind === "LSTM" ? "f" : layer.kind === "GRU" ? "z" : null;
  const gates = layer.gates.map((label, at): Gate => {
    const [a, b] = [gateOf(inputBias, at), gateOf(stateBias, at)];
    const apart = layer.kind === "GRU" && at === count - 1 && layer.recurrent_bias !== null;
    return {
      label,
      input: unmeasured(input[at] ?? null),
      recurrent: unmeasured(recurrent[at] ?? null),
      norms: null,
      bias: apart ? null : addBiases(a, b),
      separate: apart && a && b ? [a, b] : null,
    };
  });
  const kept = gates.find((gate) => gate.label === keeper);
  const none = layer.input_bias === null && layer.recurrent_bias === null;
  const bias = none ? new Float64Array(layer.hidden) : kept?.bias;
  return {
    key: keyOf(overview, layer),
    origin: "overview",
    gates,
    units: layer.hidden,
    limit: limitOf([...input, ...recurrent]),
    keeper,
    scales: keeper !== null && bias ? bias.map(biasTimeScale) : null,
    projected: null,
  };
}

/** The biases of both sides as far as the overview has every one of them. */
function biasesOf(overview: Overview, layer: RecurrentLayer): [Float64Array | null, Float64Array | null] {
  const whole = (row: number | null): Float64Array | null => {
    const picture = row === null ? null : overview.thumbnail(row);
    const size = overview.shape(row ?? -1).reduce((product, length) => product * length, 1);
    return picture && picture.data.length === size ? Float64Array.from(picture.data) : null;
  };
  const [a, b] = [whole(layer.input_bias), whole(layer.recurrent_bias)];
  if (layer.input_bias !== null && layer.input_bias === layer.recurrent_bias) {
    // One tensor of two rows holds both.
    return a ? [a.slice(0, a.length / 2), a.slice(a.length / 2)] : [null, null];
  }
  // A sum of which one part is not known is not known.
  if ((layer.input_bias !== null && !a) || (layer.recurrent_bias !== null && !b)) return [null, null];
  return [a, b];
}

function unmeasured(picture: Thumbnail | null): GateBlock {
  const nan = Number.NaN;
  return {
    ...{ mean: nan, std: nan, norm: nan, min: nan, max: nan, q01: nan, q99: nan },
    nonfinite: 0,
    counts: null,
    picture,
  };
}

/** A scale that holds 98 % of the cells of all pictures: what the overview allows. */
function limitOf(pictures: (Thumbnail | null)[]): number {
  const sizes: number[] = [];
  for (const picture of pictures) {
    for (const value of picture?.data ?? []) if (Number.isFinite(value)) sizes.push(Math.abs(value));
  }
  sizes.sort((a, b) => a - b);
  return sizes[Math.floor(0.98 * (sizes.length - 1))] || sizes.at(-1) || Number.NaN;
}
