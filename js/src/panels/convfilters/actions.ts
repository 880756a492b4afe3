/** Taking away what is seen: a filter's weights or a list of all filters as text, the filters in view as a picture. */

import { batch } from "@preact/signals-core";
import { copyText, h } from "../../draw/dom";
import { formatCount } from "../../draw/format";
import { lack } from "../../lack";
import { savePicture } from "../heatmap/actions";
import { isHeld, shortestFloat32 } from "../heatmap/exact";
import { channelNumber, kernelSize, positionOf } from "./layout";
import { channelPictures } from "./pictures";
import type { FiltersState } from "./state";

/** Most weights that are copied as text. */
const MOST_COPIED = 20_000;

/** Copies a filter: a line a row of the kernel, separated by tabs; channels apart by an empty line. */
export async function copyFilter(state: FiltersState): Promise<string> {
  const layer = state.layer.peek();
  if (!layer) return "nothing to copy";
  const { layout } = layer;
  const filter = state.chosen.peek();
  const all = layout.channels * kernelSize(layout);
  if (all > MOST_COPIED)
    return `${formatCount(all)} weights are too many to copy: ${formatCount(MOST_COPIED)} at most`;
  const local = state.local.peek();
  const here = local?.exact ? local : null;
  const kernels = channelPictures(state.store, layer, filter, here);
  const channels = Array.from({ length: layout.channels }, (_, channel) => channel);
  if (!here && state.store.model.kernel.peek() === "gone") return `copying needs ${lack(state.store).need}`;
  await kernels.all(channels);
  const wide = layout.kernel.at(-1) as number;
  const blocks = channels.map((channel) => {
    const values = kernels.get(channel)?.values ?? new Float32Array();
    const rows: string[] = [];
    for (let at = 0; at < values.length; at += wide) {
      rows.push(Array.from(values.subarray(at, at + wide), plain).join("\t"));
    }
    return rows.join("\n");
  });
  await copyText(blocks.join("\n\n"));
  return `copied ${formatCount(all)} weights${isHeld(layer.dtype) ? "" : ", rounded to float32"}`;
}

/** Copies number, norm, mark and spatial frequency of every filter, in the order of the grid. */
export async function copyList(state: FiltersState): Promise<string> {
  const norms = state.norms.peek();
  const sequence = Array.from(state.sequence.peek());
  if (!norms) return "the norms are not there yet";
  const frequencies = state.frequencies.value.peek();
  const marks = state.marks.peek();
  const lines = sequence.map((filter) => {
    const known = [filter, norms.norms[filter] as number, marks.of(filter)];
    const more = frequencies
      ? [frequencies.frequency[filter], frequencies.orientation[filter], frequencies.coherence[filter]]
      : [];
    return [...known, ...more].join("\t");
  });
  const heads = ["filter", "norm", "mark", ...(frequencies ? ["frequency", "orientation", "coherence"] : [])];
  await copyText([heads.join("\t"), ...lines].join("\n"));
  return `copied a list of ${formatCount(sequence.length)} filters`;
}

/** Saves the pictures in view of a grid. */
export function saveGrid(state: FiltersState, grid: HTMLElement): void {
  const cells = [...grid.querySelectorAll<HTMLElement>(".ww-cf-cell:not([hidden])")];
  const boxes = cells.map((cell) => cell.getBoundingClientRect());
  const frame = {
    left: Math.min(...boxes.map((box) => box.left)),
    top: Math.min(...boxes.map((box) => box.top)),
    right: Math.max(...boxes.map((box) => box.right)),
    bottom: Math.max(...boxes.map((box) => box.bottom)),
  };
  const ratio = 2;
  const style = getComputedStyle(grid);
  const picture = h("canvas", {});
  picture.width = Math.max(1, Math.round((frame.right - frame.left + 16) * ratio));
  picture.height = Math.max(1, Math.round((frame.bottom - frame.top + 16) * ratio));
  const context = picture.getContext("2d");
  if (!context) return;
  context.scale(ratio, ratio);
  context.fillStyle = style.getPropertyValue("--ww-bg");
  context.fillRect(0, 0, picture.width, picture.height);
  context.imageSmoothingEnabled = false;
  context.fillStyle = style.color;
  context.font = `10.5px ${style.getPropertyValue("--ww-mono")}`;
  for (const cell of cells) {
    const canvas = cell.querySelector("canvas");
    const label = cell.querySelector(".ww-cf-label");
    if (!canvas || !label) continue;
    const [own, under] = [canvas.getBoundingClientRect(), label.getBoundingClientRect()];
    context.globalAlpha = Number(canvas.style.opacity || 1);
    if (canvas.width * canvas.height > 0)
      context.drawImage(canvas, own.left - frame.left + 8, own.top - frame.top + 8, own.width, own.height);
    context.globalAlpha = 1;
    const [number, note] = [...label.children].map((part) => part.textContent ?? "");
    context.fillText(`${number}  ${note}`, under.left - frame.left + 8, under.bottom - frame.top + 5);
  }
  savePicture(picture, `${state.layer.peek()?.tensor ?? "weights"}_filters`);
}

/** Shows a filter in the heatmap: its outputs as rows, and of those the one of the filter. */
export function toHeatmap(state: FiltersState): void {
  const layer = state.layer.peek();
  if (!layer) return;
  const { layout, row } = layer;
  const { traits, overview } = state.store;
  const tensor = overview.peek().names[row] as string;
  const position = positionOf(layout, state.chosen.peek(), state.channel.peek(), []);
  const folded = layout.stored.length !== layout.shape.length;
  const axes = folded
    ? { rows: [0], cols: [1] }
    : { rows: [layout.output], cols: [layout.input, ...layout.spatial] };
  const at = position[axes.rows[0] as number] as number;
  // Where the inputs of all groups lie along one axis, a filter is a stretch of it.
  const size = kernelSize(layout);
  const apart = layout.allInputs && layout.groups > 1;
  const width = folded ? (layout.stored[1] as number) : (layout.shape[layout.input] as number) * size;
  const first = apart ? channelNumber(layout, state.chosen.peek(), 0) * size : 0;
  const stop = apart ? first + layout.channels * size : width;
  batch(() => {
    if (traits.selected.peek() !== tensor) state.store.select(tensor);
    traits.index.value = position;
    const isDefault = axes.rows[0] === 0 && axes.cols.every((axis, i) => axis === i + 1);
    traits.drawn_axes.value = isDefault ? null : axes;
    traits.window.value = [at, at + 1, first, stop];
    traits.view.value = "heatmap";
  });
}

/** As programs read it: an ordinary minus, nan and inf. */
function plain(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return shortestFloat32(value).replaceAll("−", "-");
}
