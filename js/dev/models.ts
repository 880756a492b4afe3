/** Fake models: the same weights at every start. */

import { edge } from "./edge-model";
import { type FakeModule, type FakeSource, type FakeTensor, sizeOf } from "./fake-tensor";
import { fillNormal, uniform } from "./random";

export const MODELS = ["cnn", "transformer", "moe", "edge", "big", "empty"] as const;
export type ModelName = (typeof MODELS)[number];

export function makeModel(name: ModelName): FakeSource {
  switch (name) {
    case "cnn":
      return cnn();
    case "transformer":
      return transformer();
    case "moe":
      return moe();
    case "edge":
      return edge();
    case "big":
      return big();
    case "empty":
      return { name: "nothing", tensors: [], modules: [], selected: "" };
  }
}

interface Options {
  std?: number;
  mean?: number;
  kind?: string;
  dtype?: string;
  role?: string;
  sharedWith?: string;
  /** Changes what was drawn at random. */
  edit?: (data: Float32Array) => void;
}

/** Collects tensors with normal weights; each gets a seed of its own. */
export class Builder {
  readonly tensors: FakeTensor[] = [];
  private readonly modules = new Map<string, string>();

  add(name: string, shape: number[], options: Options = {}): void {
    const data = fillNormal(
      new Float32Array(sizeOf(shape)),
      this.tensors.length + 1,
      options.std ?? 0.05,
      options.mean ?? 0,
    );
    options.edit?.(data);
    this.tensors.push({
      name,
      shape,
      dtype: options.dtype ?? "float32",
      kind: options.kind ?? "Linear",
      role: options.role ?? (shape.length > 1 ? "weight" : "bias"),
      sharedWith: options.sharedWith,
      data: () => data,
    });
    this.module(name.slice(0, Math.max(0, name.lastIndexOf("."))), options.kind ?? "Linear");
  }

  module(path: string, kind: string): void {
    if (!this.modules.has(path)) this.modules.set(path, kind);
  }

  source(name: string, selected: string): FakeSource {
    const modules: FakeModule[] = [...this.modules].map(([path, kind]) => ({ path, kind }));
    return { name, tensors: this.tensors, modules, selected };
  }
}

function cnn(): FakeSource {
  const build = new Builder();
  build.module("", "SmallCNN");
  build.add("conv1.weight", [16, 1, 7, 7], { kind: "Conv2d", std: 0.2 });
  build.add("conv1.bias", [16], { kind: "Conv2d" });
  build.add("conv2.weight", [32, 16, 3, 3], {
    kind: "Conv2d",
    std: 0.08,
    // Three dead filters.
    edit: (data) => {
      for (const filter of [5, 11, 24]) data.fill(0, filter * 144, (filter + 1) * 144);
    },
  });
  build.add("conv2.bias", [32], { kind: "Conv2d" });
  const norm = "BatchNorm2d";
  build.add("bn.weight", [32], { kind: norm, role: "gain", std: 0.1, mean: 1 });
  build.add("bn.bias", [32], { kind: norm });
  build.add("bn.running_mean", [32], { kind: norm, role: "buffer", std: 0.3 });
  build.add("bn.running_var", [32], { kind: norm, role: "buffer", std: 0.1, mean: 0.8 });
  build.add("bn.num_batches_tracked", [], {
    kind: norm,
    role: "buffer",
    dtype: "int64",
    edit: (data) => data.fill(1240),
  });
  build.add("fc1.weight", [64, 512], { std: 0.04 });
  build.add("fc1.bias", [64], { std: 0.02 });
  build.add("fc2.weight", [10, 64], { std: 0.15 });
  build.add("fc2.bias", [10], { std: 0.02 });
  return build.source("SmallCNN", "fc1.weight");
}

/** Where the weight stands by which the transformer is known. */
export const OUTLIER = {
  tensor: "encoder.layer.0.output.dense.weight",
  row: 99,
  col: 856,
  value: 7.9148,
} as const;

/** The names of all-MiniLM-L6-v2 with its one large weight at its place; small elsewhere. */
function transformer(): FakeSource {
  const build = new Builder();
  const [hidden, inner] = [48, 192];
  build.module("", "BertModel");
  build.module("encoder", "BertEncoder");
  const norm = (path: string, width: number): void => {
    build.add(`${path}.weight`, [width], { kind: "LayerNorm", role: "gain", std: 0.08, mean: 0.9 });
    build.add(`${path}.bias`, [width], { kind: "LayerNorm", std: 0.05 });
  };
  const linear = (path: string, rows: number, cols: number, std: number, edit?: Options["edit"]): void => {
    build.add(`${path}.weight`, [rows, cols], { std, edit });
    build.add(`${path}.bias`, [rows], { std: 0.03 });
  };
  const whole: Options = { kind: "BertEmbeddings", role: "buffer", dtype: "int64" };
  build.add("embeddings.position_ids", [1, 128], {
    ...whole,
    edit: (data) =>
      data.forEach((_, i) => {
        data[i] = i;
      }),
  });
  build.add("embeddings.word_embeddings.weight", [2048, hidden], { kind: "Embedding" });
  build.add("embeddings.position_embeddings.weight", [128, hidden], { kind: "Embedding", std: 0.03 });
  build.add("embeddings.token_type_embeddings.weight", [2, hidden], { kind: "Embedding", std: 0.02 });
  norm("embeddings.LayerNorm", hidden);
  for (let layer = 0; layer < 6; layer++) {
    const at = `encoder.layer.${layer}`;
    build.module(at, "BertLayer");
    const std = 0.045 + 0.004 * layer;
    for (const part of ["query", "key", "value"]) {
      linear(`${at}.attention.self.${part}`, hidden, hidden, part === "value" ? 0.8 * std : std);
    }
    linear(`${at}.attention.output.dense`, hidden, hidden, 0.9 * std);
    norm(`${at}.attention.output.LayerNorm`, hidden);
    linear(`${at}.intermediate.dense`, inner, hidden, std);
    if (layer === 0) {
      linear(`${at}.output.dense`, 384, 1536, 0.044, (data) => {
        data[OUTLIER.row * 1536 + OUTLIER.col] = OUTLIER.value;
      });
      norm(`${at}.output.LayerNorm`, 384);
    } else {
      linear(`${at}.output.dense`, hidden, inner, 0.95 * std, prune(layer * 0.08));
      norm(`${at}.output.LayerNorm`, hidden);
    }
  }
  linear("pooler.dense", hidden, hidden, 0.03);
  return build.source("all-MiniLM-L6-v2 (small)", OUTLIER.tensor);
}

/** Sets the given share of weights to zero. */
function prune(share: number): (data: Float32Array) => void {
  return (data) => {
    const next = uniform(data.length);
    for (let i = 0; i < data.length; i++) if (next() < share) data[i] = 0;
  };
}

/** 20,000 tiny tensors. */
function moe(): FakeSource {
  const [layers, experts, size] = [40, 500, 16 * 16];
  let made: Float32Array | null = null;
  const all = (): Float32Array => {
    made ??= fillNormal(new Float32Array(layers * experts * size), 1, 0.03);
    return made;
  };
  const tensors: FakeTensor[] = [];
  const modules: FakeModule[] = [{ path: "", kind: "MixtureOfExperts" }];
  for (let layer = 0; layer < layers; layer++) {
    for (let expert = 0; expert < experts; expert++) {
      const path = `model.layers.${layer}.mlp.experts.${expert}.gate_proj`;
      const start = (layer * experts + expert) * size;
      modules.push({ path, kind: "Linear" });
      tensors.push({
        name: `${path}.weight`,
        shape: [16, 16],
        dtype: "bfloat16",
        kind: "Linear",
        role: "weight",
        data: () => all().subarray(start, start + size),
      });
    }
  }
  return { name: "mixture of experts", tensors, modules, selected: (tensors[0] as FakeTensor).name };
}

/** One matrix as large as those of a 7 B model, with a few outliers. */
function big(): FakeSource {
  const [rows, cols] = [4096, 11008];
  let made: Float32Array | null = null;
  const make = (): Float32Array => {
    const data = new Float32Array(rows * cols);
    // Drawing 45 million numbers would take seconds. A prime length hides that a million of them is repeated.
    const block = fillNormal(new Float32Array(1_000_003), 1, 0.02);
    for (let at = 0; at < data.length; at += block.length) {
      data.set(block.subarray(0, Math.min(block.length, data.length - at)), at);
    }
    for (let row = 0; row < rows; row++) data[row * cols + 7003] = (data[row * cols + 7003] as number) * 6;
    const next = uniform(2);
    for (let k = 0; k < 12; k++) data[Math.floor(next() * data.length)] = k % 2 ? -1.9 : 2.4;
    return data;
  };
  const weight: FakeTensor = {
    name: "mlp.down_proj.weight",
    shape: [rows, cols],
    dtype: "bfloat16",
    kind: "Linear",
    role: "weight",
    data: () => {
      made ??= make();
      return made;
    },
  };
  return {
    name: "one large matrix",
    tensors: [weight],
    modules: [{ path: "mlp.down_proj", kind: "Linear" }],
    selected: weight.name,
  };
}
