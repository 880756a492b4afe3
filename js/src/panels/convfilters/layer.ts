/** Which layer's filters are shown of what is selected. */

import { computed, type ReadonlySignal, type Signal } from "@preact/signals-core";
import type { Axes } from "../../anatomy";
import type { Overview } from "../../overview";
import type { FilterSide } from "../../protocol";
import type { Store } from "../../store";
import { byInput, type FilterLayout, filterLayout, type KernelKind, kernelKind } from "./layout";

export interface Layer {
  readonly key: string;
  readonly tensor: string;
  /** In the overview. */
  readonly row: number;
  readonly axes: Axes;
  readonly dtype: string;
  readonly by: FilterSide;
  readonly layout: FilterLayout;
  readonly kind: KernelKind;
  /** PyTorch's and Keras's transposed convolutions, by name of their axes. */
  readonly transposed: boolean;
  readonly depthwise: boolean;
  /** What has to be known to read the picture; "" for nothing. */
  readonly caution: string;
}

/** Names under which a module keeps its kernel. */
const LEAVES = ["weight", "kernel", "weight_orig", "weight_v", "depthwise_kernel"];

/** Row of the kernel of the selected tensor or module; −1 if that is no convolution. */
export function kernelRow(overview: Overview, row: number, path: string): number {
  if (row < 0) return -1;
  if (overview.isTensor(row)) {
    return filterLayout(overview.axes(row), overview.shape(row)) && isDrawable(overview, row) ? row : -1;
  }
  for (const leaf of LEAVES) {
    const at = overview.rowOf(path ? `${path}.${leaf}` : leaf);
    if (at >= 0 && overview.isTensor(at) && kernelRow(overview, at, "") >= 0) return at;
  }
  return -1;
}

function isDrawable(overview: Overview, row: number): boolean {
  return overview.error(row) === "" && !overview.shape(row).includes(0);
}

/** The layer that is shown; the same object until something of it changes. `by` null: as the layer suggests. */
export function shownLayer(store: Store, by: Signal<FilterSide | null>): ReadonlySignal<Layer | null> {
  let last: Layer | null = null;
  return computed(() => {
    const overview = store.overview.value;
    const row = kernelRow(overview, store.selectedRow.value, store.traits.selected.value);
    const axes = row < 0 ? null : overview.axes(row);
    const plain = row < 0 ? null : filterLayout(axes, overview.shape(row));
    if (!axes || !plain) {
      last = null;
      return last;
    }
    const transposed = plain.allInputs && axes.names[axes.output ?? 0] !== "multiplier";
    const turned = by.value ?? suggestedSide(plain, transposed || isKerasTransposed(axes));
    const tensor = overview.names[row] as string;
    const key = JSON.stringify([tensor, overview.shape(row), turned, axes]);
    if (last?.key === key && last.row === row) return last;
    last = {
      key,
      tensor,
      row,
      axes,
      dtype: overview.dtype(row),
      by: turned,
      layout: turned === "input" ? byInput(plain) : plain,
      kind: kernelKind(plain),
      transposed: transposed || isKerasTransposed(axes),
      depthwise: plain.groups > 1 && plain.channels === 1,
      caution: cautionOf(overview, tensor),
    };
    return last;
  });
}

/** Decoders that end in a picture are read by what each input paints. */
function suggestedSide(layout: FilterLayout, transposed: boolean): FilterSide {
  return transposed && layout.filters <= 4 && layout.channels > layout.filters ? "input" : "output";
}

function isKerasTransposed(axes: Axes): boolean {
  return axes.names.length > 2 && axes.names.at(-1) === "in" && axes.names.at(-2) === "out";
}

function cautionOf(overview: Overview, tensor: string): string {
  const dot = tensor.lastIndexOf(".");
  const [module, leaf] = [tensor.slice(0, dot + 1), tensor.slice(dot + 1)];
  const isThere = (name: string): boolean => overview.rowOf(module + name) >= 0;
  if (leaf === "weight_orig" && isThere("weight_mask"))
    return "a pruning mask is attached: these are the weights before it is applied";
  if ((leaf === "weight_v" && isThere("weight_g")) || (leaf === "original1" && isThere("original0")))
    return "weight norm: these are directions, a length of its own scales each filter";
  return "";
}
