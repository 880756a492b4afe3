/** A fake model of all that can be wrong with weights and with their names. */

import type { FakeSource, FakeTensor } from "./fake-tensor";
import { fillNormal } from "./random";

export const HOSTILE = "<img src=x onerror=alert(1)>";

export function edge(): FakeSource {
  const normal = (length: number): Float32Array => fillNormal(new Float32Array(length), length, 0.1);
  const some = (length: number, at: Record<number, number>): Float32Array => {
    const data = normal(length);
    for (const [place, value] of Object.entries(at)) data[Number(place)] = value;
    return data;
  };
  const tensors: FakeTensor[] = [];
  const add = (name: string, shape: number[], data: Float32Array, more: Partial<FakeTensor> = {}): void => {
    tensors.push({
      name,
      shape,
      dtype: "float32",
      kind: "",
      role: shape.length === 1 ? "bias" : "weight",
      data: () => data,
      ...more,
    });
  };
  add("plain.weight", [24, 40], normal(960));
  add("nonfinite.some", [24, 40], some(960, { 5: Number.NaN, 6: Infinity, 47: -Infinity, 900: Number.NaN }));
  add("nonfinite.nan_only", [8, 8], new Float32Array(64).fill(Number.NaN));
  add("nonfinite.inf_only", [8, 8], new Float32Array(64).fill(Infinity));
  add("constant.zero", [12, 12], new Float32Array(144));
  add("constant.one", [32], new Float32Array(32).fill(1));
  add("constant.scalar", [], Float32Array.of(0.125));
  add("constant.nan_scalar", [], Float32Array.of(Number.NaN));
  add("empty.vector", [0], new Float32Array(0));
  add("empty.matrix", [0, 512], new Float32Array(0));
  add("size.one", [1, 1], Float32Array.of(-3));
  add("size.row", [1, 5000], normal(5000));
  add("size.column", [5000, 1], normal(5000));
  add("size.vector", [5000], normal(5000));
  add("size.five_axes", [3, 4, 5, 6, 7], normal(2520));
  add(
    "size.huge_values",
    [16, 16],
    normal(256).map((w) => w * 3e38),
  );
  add(
    "size.tiny_values",
    [16, 16],
    normal(256).map((w) => w * 1e-38),
  );
  add("size.one_outlier", [64, 64], some(4096, { 1234: 5e6 }));
  add("type.step_counter", [], Float32Array.of(123456), { dtype: "int64", role: "buffer" });
  add(
    "type.mask",
    [16, 16],
    normal(256).map((w) => (w > 0 ? 1 : 0)),
    { dtype: "bool", role: "mask" },
  );
  add("tied.embedding.weight", [40, 16], normal(640), { kind: "Embedding" });
  add("tied.head.weight", [40, 16], normal(640), { kind: "Linear", sharedWith: "tied.embedding.weight" });
  add("unreadable.weight", [64, 64], new Float32Array(0), {
    dtype: "float32",
    error: "sparse weights are summarised after .to_dense()",
  });
  add(HOSTILE, [8, 8], normal(64));
  add(`${HOSTILE}.weight`, [8, 8], normal(64), { kind: HOSTILE });
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a name that a careless template would evaluate
  add("${alert(1)}.{{7*7}}.'\"&amp;", [8, 8], normal(64));
  add("constructor.__proto__.toString", [8, 8], normal(64));
  add(`long.${"very_long_name_".repeat(13)}`, [8, 8], normal(64));
  add("a name with spaces.重み.\u202eabc", [8, 8], normal(64));
  return {
    name: `edge cases ${HOSTILE}`,
    tensors,
    modules: [
      { path: "", kind: "EdgeCases" },
      { path: HOSTILE, kind: HOSTILE },
    ],
    skipped: {
      [`optimizer.${HOSTILE}`]: "a list, not a tensor",
      epoch: "an int, not a tensor",
    },
    selected: "plain.weight",
  };
}
