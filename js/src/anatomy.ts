/** What the axes of tensors mean, and which tensors make a layer. Mirrors weightwidget/wire/anatomy.py. */

/** Stands between the parts of a block's name, and between a tensor's name and that of a block in it. */
export const SEPARATOR = " › ";

/** A division of one axis into named parts that lie one after the other. */
export interface Split {
  readonly axis: number;
  /** What the parts are: "gate", "qkv", "head", "expert". */
  readonly name: string;
  readonly labels: readonly string[];
  readonly sizes: readonly number[];
  /** For each part the splits within it; empty if no part is divided further. */
  readonly inner: readonly (readonly Split[])[];
}

export type What =
  | ""
  | "linear"
  | "conv"
  | "recurrent"
  | "attention"
  | "embedding"
  | "expert"
  | "router"
  | "norm"
  | "bias"
  | "channel"
  | "position"
  | "buffer"
  | "other";

export interface Axes {
  /** One for each stored axis; an axis along which several things lie is written "(gate hidden)". */
  readonly names: readonly string[];
  /** What the tensor is; "" if nothing is known of it. */
  readonly what: What;
  readonly certain: boolean;
  readonly why: string;
  /** Axis of the layer's outputs, and of its inputs. */
  readonly output: number | null;
  readonly input: number | null;
  readonly spatial: readonly number[];
  readonly groups: number;
  readonly splits: readonly Split[];
}

/** Head h takes `size` elements of a tensor's axis, from first + (h // run) * step + (h % run) * size. */
export interface HeadBlocks {
  /** Row of the tensor in the overview. */
  readonly tensor: number;
  readonly axis: number;
  readonly first: number;
  readonly step: number;
  readonly size: number;
  readonly count: number;
  readonly transposed: boolean;
  /** Heads that follow one another directly, before `step` leads on; 1 if not told. */
  readonly run?: number;
}

interface Known {
  readonly certain: boolean;
  readonly why: string;
}

export const PROJECTIONS = ["query", "key", "value", "output"] as const;

export interface AttentionLayer extends Known {
  readonly path: string;
  readonly heads: number;
  readonly kv_heads: number;
  readonly head_dim: number;
  readonly query: HeadBlocks | null;
  readonly key: HeadBlocks | null;
  readonly value: HeadBlocks | null;
  readonly output: HeadBlocks | null;
  /** Whether positions rotate queries and keys; null if that is not known. */
  readonly rotary: boolean | null;
}

/** One layer and direction. Tensors as rows of the overview. */
export interface RecurrentLayer extends Known {
  readonly path: string;
  readonly kind: "LSTM" | "GRU" | "RNN";
  readonly layer: number;
  readonly reverse: boolean;
  readonly gates: readonly string[];
  readonly hidden: number;
  readonly inputs: number;
  readonly input: number;
  readonly recurrent: number;
  readonly input_bias: number | null;
  readonly recurrent_bias: number | null;
  readonly projection: number | null;
  readonly layout: "torch" | "keras";
}

export interface ExpertWeights {
  readonly role: string;
  /** Name of the tensor; of experts that are modules of their own, with * for the expert's number. */
  readonly pattern: string;
  /** Axis along which the experts lie in one tensor; null where each has a tensor. */
  readonly stacked: number | null;
}

export interface ExpertLayer extends Known {
  readonly path: string;
  readonly experts: number;
  readonly weights: readonly ExpertWeights[];
  /** Row of the router's weights. */
  readonly router: number | null;
  readonly router_axis: number;
}

export interface EmbeddingTable extends Known {
  readonly tensor: number;
  readonly entries: "token" | "position" | "type";
  readonly axis: number;
  readonly padding: number | null;
}

export interface Layers {
  readonly attention: readonly AttentionLayer[];
  readonly recurrent: readonly RecurrentLayer[];
  readonly experts: readonly ExpertLayer[];
  readonly embeddings: readonly EmbeddingTable[];
}

/** As the overview's index holds it. */
export interface PackedAnatomy extends Layers {
  /** `sizes` has one entry if all are equal, `inner` one if it is the same for all parts. */
  splits: (Omit<Split, "inner"> & { inner: number[][] })[];
  axes: (Omit<Axes, "splits"> & { splits: number[] })[];
}

export interface Anatomy extends Layers {
  /** By place in the table. */
  readonly axes: readonly Axes[];
}

export const NO_LAYERS: Layers = { attention: [], recurrent: [], experts: [], embeddings: [] };

export function unpackAnatomy(packed: PackedAnatomy | undefined): Anatomy {
  if (!packed) return { ...NO_LAYERS, axes: [] };
  const splits: Split[] = [];
  // Splits come after those inside them.
  for (const { inner, sizes, labels, ...rest } of packed.splits) {
    const parts = inner.map((part) => part.map((place) => splits[place] as Split));
    splits.push({
      ...rest,
      labels,
      sizes: sizes.length === 1 ? labels.map(() => sizes[0] as number) : sizes,
      inner: parts.length === 1 ? labels.map(() => parts[0] as Split[]) : parts,
    });
  }
  const axes = packed.axes.map(({ splits: places, ...rest }) => ({
    ...rest,
    splits: places.map((place) => splits[place] as Split),
  }));
  const { attention, recurrent, experts, embeddings } = packed;
  return { axes, attention, recurrent, experts, embeddings };
}

/** The path of an expert's weights: a tensor, or a block of one. */
export function expertPath(weights: ExpertWeights, expert: number): string {
  return weights.stacked === null
    ? weights.pattern.replace("*", String(expert))
    : `${weights.pattern}${SEPARATOR}expert ${expert}`;
}
