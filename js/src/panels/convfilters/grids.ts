/** The grid of all filters of a layer, and that of the input channels of one filter. */

import { computed } from "@preact/signals-core";
import { formatNumber } from "../../draw/format";
import type { Cell, CellSize, Grid } from "./grid";
import { virtualGrid } from "./grid";
import { channelNumber } from "./layout";
import { descending } from "./order";
import {
  channelOf,
  type Drawing,
  drawingOf,
  drawPicture,
  pictureSize,
  weightAt,
  weightText,
} from "./picture";
import type { Picture } from "./pictures";
import type { FiltersState } from "./state";
import type { Tip } from "./tip";
import { nameOf } from "./words";

/** Picture sizes that are tried, the largest at which all are seen; and those of grids that scroll. */
const SIZES = [112, 100, 88, 76, 66];
const SCROLLED = 60;
const MANY = 48;

/** Where there are more, they are drawn smaller. */
const FEW = 600;

export function filterGrid(state: FiltersState, tip: Tip): Grid {
  const { store } = state;
  let drawing: Drawing | null = null;
  const changes = computed(() => {
    const layer = state.layer.value;
    drawing = layer && drawingOf(state, layer);
    void [state.pictures.value?.arrivals.value, state.sequence.value, state.marks.value, state.chosen.value];
    void [store.model.kernel.value, state.channel.value, state.opened.value];
    return {};
  });
  const filterAtPlace = (place: number): number => state.sequence.peek()[place] ?? 0;
  const grid = virtualGrid({
    store,
    label: "filters",
    changes,
    count: () => state.layer.peek()?.layout.filters ?? 0,
    size: (width, height) => fittingSize(state, drawing, width, height),
    active: () => Array.prototype.indexOf.call(state.sequence.peek(), state.chosen.peek()),
    bind: (cell, place, size) => {
      if (drawing) bindFilter(state, cell, filterAtPlace(place), drawing, size);
    },
    // The one that is shown large may lie out of sight.
    seen: (places) => state.pictures.peek()?.want([state.chosen.peek(), ...places.map(filterAtPlace)]),
    move: (place) => state.choose(filterAtPlace(place)),
    open: (place) => {
      state.choose(filterAtPlace(place));
      if ((state.layer.peek()?.layout.channels ?? 0) > 1) state.opened.value = true;
    },
    leave: () => undefined,
    hover: (at) => {
      const layer = state.layer.peek();
      const filter = at ? filterAtPlace(at.place) : -1;
      const picture = at ? (state.pictures.peek()?.get(filter) ?? null) : null;
      if (!at || !layer || !drawing || !picture) {
        tip.hide();
        return;
      }
      const lines = [tellFilter(state, filter)];
      const weight = weightAt(layer, drawing, picture, state.channel.peek(), at.x, at.y);
      if (weight) {
        const { value, where } = weightText(layer, drawing, picture, filter, weight);
        lines.unshift(`${value}  ${where}`);
      }
      tip.show(at.event, lines);
    },
  });
  return grid;
}

/** "filter 6 · norm 0.325 · weak: …" */
export function tellFilter(state: FiltersState, filter: number): string {
  const layer = state.layer.peek();
  const norm = state.norms.peek()?.norms[filter];
  const marks = state.marks.peek();
  const picture = state.pictures.peek()?.get(filter) ?? null;
  const parts = [`${layer ? nameOf(layer).one : "filter"} ${filter}`];
  if (norm !== undefined) parts.push(`norm ${formatNumber(norm, 3)}, rank ${marks.rank(filter)}`);
  const channel = layer && channelOf(layer, state.show.peek(), filter, picture, state.channel.peek());
  if (layer && channel !== null && layer.layout.channels * layer.layout.groups > 1) {
    parts.push(`${nameOf(layer).channel} ${channel}`);
  }
  const words = marks.words(filter);
  if (words) parts.push(words);
  return parts.join(" · ");
}

function fittingSize(state: FiltersState, drawing: Drawing | null, width: number, height: number): CellSize {
  const count = state.layer.peek()?.layout.filters ?? 0;
  if (!drawing) return { width: 1, height: 1 };
  for (const base of SIZES) {
    const size = pictureSize(drawing, base);
    const columns = Math.floor((width + 8) / (Math.max(46, size.width) + 8));
    if (columns > 0 && Math.ceil(count / columns) * (size.height + 27) <= height) return size;
  }
  return pictureSize(drawing, count > FEW ? MANY : SCROLLED);
}

function bindFilter(state: FiltersState, cell: Cell, filter: number, drawing: Drawing, size: CellSize): void {
  const marks = state.marks.peek();
  const mark = marks.of(filter);
  const norm = state.norms.peek()?.norms[filter];
  const picture = state.pictures.peek()?.get(filter) ?? null;
  cell.root.dataset.mark = mark;
  cell.root.dataset.filter = String(filter);
  cell.root.dataset.waiting = String(picture === null);
  drawOrClear(cell, drawing, picture, size);
  const share = norm === undefined || !(marks.strongest > 0) ? 0 : norm / marks.strongest;
  // Scaled by themselves weak filters look as strong as others: they are drawn fainter.
  cell.canvas.style.opacity = drawing.colours.each ? String(0.18 + 0.82 * share) : "";
  cell.bar.style.width = `${100 * share}%`;
  label(cell, size.width, String(filter), norm, mark);
  cell.root.setAttribute("aria-label", tellFilter(state, filter));
}

/** "6   .325", "0   weak .012"; in little room the word or the number alone. */
function label(cell: Cell, width: number, number: string, norm: number | undefined, mark: string): void {
  cell.number.textContent = number;
  const digits = norm === undefined ? "" : shortNorm(norm);
  const room = Math.floor(Math.max(46, width) / 6.1) - number.length - 1;
  const word = mark === "not finite" ? "NaN" : mark;
  const long = word && word !== "dead" ? `${word} ${digits}` : word || digits;
  cell.note.textContent = long.length <= room ? long : word || (digits.length <= room ? digits : "");
}

/** .325, .0123, 12.3 */
function shortNorm(norm: number): string {
  return formatNumber(norm, norm >= 0.1 ? 3 : 2).replace(/^0\./, ".");
}

function drawOrClear(cell: Cell, drawing: Drawing, picture: Picture | null, size: CellSize): void {
  if (picture) drawPicture(cell.canvas, drawing, picture.values, size);
  else cell.canvas.getContext("2d")?.clearRect(0, 0, cell.canvas.width, cell.canvas.height);
}

/** The kernels of the filter that is looked at, one for each input channel. */
export function channelGrid(state: FiltersState, tip: Tip): Grid {
  const { store } = state;
  let drawing: Drawing | null = null;
  let sequence: ArrayLike<number> = [];
  const ordered = computed<ArrayLike<number>>(() => {
    const count = state.layer.value?.layout.channels ?? 0;
    const norms = state.facts.value?.channelNorms;
    if (state.order.value === "norm" && norms?.length === count) return descending(norms);
    return Int32Array.from({ length: count }, (_, channel) => channel);
  });
  const changes = computed(() => {
    const layer = state.layer.value;
    drawing = layer && drawingOf(state, layer, "channel");
    sequence = ordered.value;
    void [state.kernels.value?.arrivals.value, state.facts.value, state.channel.value, state.chosen.value];
    void [state.show.value, state.pictures.value?.arrivals.value];
    void [store.model.kernel.value, state.opened.value];
    return {};
  });
  const channelAt = (place: number): number => sequence[place] ?? 0;
  const look = (channel: number): void => {
    state.setShow("channel");
    state.setChannel(channel);
  };
  return virtualGrid({
    store,
    label: "input channels of the filter",
    changes,
    count: () => sequence.length,
    size: (width, height) => fittingChannel(drawing, sequence.length, width, height),
    active: () => Array.prototype.indexOf.call(sequence, channelLarge(state)),
    bind: (cell, place, size) => {
      if (drawing) bindChannel(state, cell, channelAt(place), drawing, size);
    },
    seen: (places) => {
      if (state.opened.peek()) state.kernels.peek()?.want(places.map(channelAt));
    },
    move: (place) => look(channelAt(place)),
    open: (place) => look(channelAt(place)),
    leave: () => {
      state.opened.value = false;
    },
    hover: (at) => {
      const layer = state.layer.peek();
      const channel = at ? channelAt(at.place) : -1;
      const picture = at ? (state.kernels.peek()?.get(channel) ?? null) : null;
      if (!at || !layer || !drawing || !picture) {
        tip.hide();
        return;
      }
      const filter = state.chosen.peek();
      const lines = [tellChannel(state, channel)];
      const weight = weightAt(layer, drawing, picture, channel, at.x, at.y);
      if (weight) {
        const { value, where } = weightText(layer, drawing, picture, filter, weight);
        lines.unshift(`${value}  ${where}`);
      }
      tip.show(at.event, lines);
    },
  });
}

/** The channel whose kernel is shown large; −1 if it is more than one. */
function channelLarge(state: FiltersState): number {
  const show = state.show.peek();
  if (show === "channel") return state.channel.peek();
  return show === "largest" ? (state.pictures.peek()?.get(state.chosen.peek())?.channel ?? -1) : -1;
}

function fittingChannel(drawing: Drawing | null, count: number, width: number, height: number): CellSize {
  if (!drawing) return { width: 1, height: 1 };
  for (const base of SIZES) {
    const size = pictureSize(drawing, base);
    const columns = Math.floor((width + 8) / (Math.max(46, size.width) + 8));
    if (columns > 0 && Math.ceil(count / columns) * (size.height + 27) <= height) return size;
  }
  return pictureSize(drawing, MANY);
}

function tellChannel(state: FiltersState, channel: number): string {
  const layer = state.layer.peek();
  if (!layer) return "";
  const norm = state.facts.peek()?.channelNorms[channel];
  const number = channelNumber(layer.layout, state.chosen.peek(), channel);
  return `${nameOf(layer).channel} ${number}${norm === undefined ? "" : ` · norm ${formatNumber(norm, 3)}`}`;
}

function bindChannel(
  state: FiltersState,
  cell: Cell,
  channel: number,
  drawing: Drawing,
  size: CellSize,
): void {
  const layer = state.layer.peek();
  const norms = state.facts.peek()?.channelNorms;
  const norm = norms?.[channel];
  const picture = state.kernels.peek()?.get(channel) ?? null;
  cell.root.dataset.waiting = String(picture === null);
  cell.root.dataset.channel = String(channel);
  drawOrClear(cell, drawing, picture, size);
  const largest = norms ? norms.reduce((a, b) => Math.max(a, b), 0) : 0;
  const share = norm === undefined || !(largest > 0) ? 0 : norm / largest;
  cell.canvas.style.opacity = drawing.colours.each ? String(0.18 + 0.82 * share) : "";
  cell.bar.style.width = `${100 * share}%`;
  label(
    cell,
    size.width,
    String(layer ? channelNumber(layer.layout, state.chosen.peek(), channel) : channel),
    norm,
    "",
  );
  cell.root.setAttribute("aria-label", tellChannel(state, channel));
}
