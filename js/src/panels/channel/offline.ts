/** What can be shown of a tensor's channels without a kernel: the norms of its rows and columns in the overview. */

import { SEPARATOR } from "../../anatomy";
import { h } from "../../draw/dom";
import { formatCount, formatNumber } from "../../draw/format";
import type { Store } from "../../store";

export function pooledNorms(store: Store): HTMLElement {
  const overview = store.overview.value;
  const row = overview.rowOf(store.traits.selected.value.split(SEPARATOR)[0] as string);
  const found = row >= 0 && overview.isTensor(row) ? overview.profiles(row) : null;
  const shape = overview.shape(row);
  const lines = found
    ? ([
        ["rows", found.rows, shape[0] ?? 0],
        ["columns", found.cols, shape.slice(1).reduce((p, size) => p * size, 1)],
      ] as const)
    : [];
  return h(
    "dl",
    { class: "ww-ch-pooled" },
    ...lines
      .filter(([, norms]) => norms.length > 0)
      .map(([what, norms, size]) => {
        const sorted = Float32Array.from(norms).sort();
        const at = norms.indexOf(sorted.at(-1) as number);
        const [first, end] = [at, at + 1].map((place) => Math.floor((place * size) / norms.length));
        const where =
          (end as number) - (first as number) > 1 ? `${first} to ${(end as number) - 1}` : `${first}`;
        return h(
          "div",
          {},
          h("dt", {}, `norms of ${formatCount(size)} ${what}`),
          h(
            "dd",
            { class: "ww-number" },
            `median ${formatNumber(sorted[sorted.length >> 1] as number, 4)}, ` +
              `largest ${formatNumber(sorted.at(-1) as number, 4)} at ${where}`,
          ),
        );
      }),
  );
}
