/** From a member to the heatmap, with the channel's row or column in sight. */

import { batch } from "@preact/signals-core";
import { RequestCancelled } from "../../model";
import type { ChannelMember } from "../../protocol";
import type { Store } from "../../store";
import { defaultAxes, matrixSize } from "../../tensor";

/** Rows and columns of the window. */
const WINDOW = [16, 24] as const;

/** Selects a member's tensor and shows its heatmap around the largest weight of the channel. */
export function openMember(store: Store, member: ChannelMember, position: number): void {
  const overview = store.overview.peek();
  const row = overview.rowOf(member.tensor);
  if (row < 0) return;
  const shape = overview.shape(row);
  const axes = defaultAxes(shape);
  const [rows, cols] = matrixSize(shape, axes);
  batch(() => {
    store.select(member.tensor);
    store.traits.view.value = "heatmap";
    if (position >= 0) store.traits.channel.value = [member.axis, position];
  });
  if (position < 0) return;
  const slice = sliceOf(shape, member.axis, position);
  const [row0, row1, col0, col1] = slice;
  const show = (atRow: number, atCol: number): void => {
    if (store.traits.selected.peek() !== member.tensor) return;
    batch(() => {
      store.traits.drawn_axes.value = axes;
      store.traits.window.value = [...around(atRow, rows, WINDOW[0]), ...around(atCol, cols, WINDOW[1])];
    });
  };
  show(row0 + ((row1 - row0) >> 1), col0 + ((col1 - col0) >> 1));
  if ((row1 - row0) * (col1 - col0) === 1 || store.model.kernel.peek() === "gone") return;
  // The largest weight of the slice is what one wants to see of it.
  const index = shape.map(() => 0);
  store.model
    .request("cell", { tensor: member.tensor, axes, index, window: slice })
    .then((reply) => show(reply.row, reply.col))
    .catch((reason: unknown) => {
      if (!(reason instanceof RequestCancelled)) console.warn("weightwidget: no largest weight:", reason);
    });
}

/** The channel's slice as a window of the default matrix; of axes inside the columns, from its first to its last. */
export function sliceOf(
  shape: readonly number[],
  axis: number,
  position: number,
): [number, number, number, number] {
  const [rows, cols] = matrixSize(shape, defaultAxes(shape));
  if (shape.length < 2) return [0, 1, position, position + 1];
  if (axis === 0) return [position, position + 1, 0, cols];
  const inner = shape.slice(axis + 1).reduce((p, size) => p * size, 1);
  // Axes between rows and the channel's would repeat it; the first of them stands for all.
  return [0, rows, position * inner, (position + 1) * inner];
}

function around(at: number, length: number, room: number): [number, number] {
  const size = Math.min(length, room);
  const start = Math.min(Math.max(0, at - (size >> 1)), length - size);
  return [start, start + size];
}
