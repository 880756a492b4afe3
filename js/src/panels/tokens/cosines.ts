/** Tables whose entries have an order, positions say: norms along it, and the cosines of all pairs as a matrix. */

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { placeTicks, valueTicks } from "../../draw/axis";
import { css, ink, palette } from "../../draw/colour";
import { type ColourScale, colourOf, paint } from "../../draw/colourscale";
import { h } from "../../draw/dom";
import { formatCount, formatNumber, formatTrimmed } from "../../draw/format";
import { type Inks, inksOf } from "./draw";
import { floats, type TokenState } from "./state";
import { extent } from "./table";

interface Matrix {
  readonly values: Float32Array;
  readonly size: number;
  readonly step: number;
}

/** Cosines are compared across models: the colours always reach from −1 to 1. */
const SCALE: ColourScale = { kind: "full", limit: 1, linear: 0, note: "" };

/** Largest side of a cell, and the least that has room for its number, in pixels. */
const LARGEST_CELL = 64;
const NUMBERED_CELL = 34;

export interface CosineGeometry {
  readonly left: number;
  /** Side of the matrix. */
  readonly side: number;
  readonly profileTop: number;
  readonly profileBottom: number;
  readonly top: number;
}

export function cosineGeometry(width: number, height: number, count: number): CosineGeometry {
  const [left, profileTop, profile] = [46, 16, 64];
  const top = profileTop + profile + 22;
  // A few entries do not need all the room.
  const wanted = Math.max(160, LARGEST_CELL * count);
  const side = Math.max(40, Math.min(width - left - 10, height - top - 30, wanted));
  return { left, side, profileTop, profileBottom: profileTop + profile, top };
}

export function cosinePanel(state: TokenState, shown: ReadonlySignal<boolean>): HTMLElement {
  const { store } = state;
  const matrix = signal<Matrix | null>(null);
  const problem = signal("");
  const centred = signal(false);
  const hover = signal<[number, number] | null>(null);
  const size = signal({ width: 0, height: 0 });

  store.effect(() => {
    const at = state.address.value;
    const isTokens = state.table.value?.entries === "token";
    const taken = centred.value;
    void state.generation.value;
    matrix.value = null;
    problem.value = "";
    if (!at || isTokens || !shown.value) return;
    const abort = new AbortController();
    store.model
      .request("tokens.cosines", { ...at, centred: taken }, { signal: abort.signal })
      .then((reply) => {
        if (abort.signal.aborted) return;
        matrix.value = { values: floats(reply.buffers[0]), size: reply.size, step: reply.step };
      })
      .catch((reason: unknown) => {
        if (!abort.signal.aborted) problem.value = reason instanceof Error ? reason.message : String(reason);
      });
    return () => abort.abort();
  });

  const canvas = h("canvas", { class: "ww-tok-canvas", role: "img", "aria-label": "cosines of all pairs" });
  const readout = h("div", { class: "ww-tok-readout ww-number" });
  const plot = h("div", { class: "ww-tok-cosines" }, canvas);
  const toggle = h(
    "button",
    {
      type: "button",
      title: "what all vectors share hides what tells them apart: take their mean off first",
    },
    "minus the mean",
  );
  toggle.addEventListener("click", () => {
    centred.value = !centred.peek();
  });
  store.effect(() => toggle.setAttribute("aria-pressed", String(centred.value)));
  const bar = h("canvas", {
    class: "ww-tok-scale",
    width: 120,
    height: 10,
    role: "img",
    "aria-label": "−1 to 1",
  });
  const note = h("span", { class: "ww-soft" });
  const element = h(
    "div",
    { class: "ww-tok-matrix" },
    h(
      "div",
      { class: "ww-tok-under" },
      h("span", { class: "ww-tok-colours" }, h("span", {}, "cosine −1"), bar, h("span", {}, "+1")),
      toggle,
      note,
      readout,
    ),
    plot,
  );

  const observer = new ResizeObserver((entries) => {
    const { width, height } = entries[0]?.contentRect ?? { width: 0, height: 0 };
    if (width > 0 && height > 0) size.value = { width: Math.floor(width), height: Math.floor(height) };
  });
  observer.observe(plot);
  store.lifetime.addEventListener("abort", () => observer.disconnect());
  const geo = computed(() =>
    cosineGeometry(size.value.width, size.value.height, state.table.value?.count ?? 0),
  );
  const colours = computed(() => palette(store.traits.color_map.value, store.theme.value));
  const picture = computed(() => {
    const now = matrix.value;
    return now ? paintMatrix(now, colours.value) : null;
  });

  let inks: Inks | null = null;
  store.effect(() => {
    void store.theme.value;
    inks = null;
  });
  let frame = 0;
  store.effect(() => {
    void [geo.value, picture.value, state.norms.value, hover.value, problem.value, state.table.value];
    void [size.value, store.model.kernel.value, colours.value];
    if (!frame) frame = requestAnimationFrame(draw);
  });
  store.lifetime.addEventListener("abort", () => cancelAnimationFrame(frame));
  store.effect(() => {
    const context = bar.getContext("2d");
    if (!context) return;
    for (let x = 0; x < bar.width; x++) {
      context.fillStyle = css(colourOf(colours.value, SCALE, (2 * x) / (bar.width - 1) - 1));
      context.fillRect(x, 0, 1, bar.height);
    }
  });

  function draw(): void {
    frame = 0;
    const { width, height } = size.peek();
    const context = canvas.getContext("2d");
    const table = state.table.peek();
    if (!context || width === 0 || !table) return;
    const ratio = globalThis.devicePixelRatio || 1;
    const [w, t] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== t) [canvas.width, canvas.height] = [w, t];
    inks ??= inksOf(plot);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `10.5px ${inks.font}`;
    context.textBaseline = "middle";
    const all = geo.peek();
    drawProfile(context, all, inks, state.norms.peek(), table.count, table.entries, hover.peek());
    const found = picture.peek();
    context.strokeStyle = inks.border;
    if (found) {
      // Shrunk, entries are averaged rather than left out; enlarged, each keeps its edges.
      context.imageSmoothingEnabled = all.side * ratio < found.width;
      context.imageSmoothingQuality = "high";
      context.drawImage(found, all.left, all.top, all.side, all.side);
    } else {
      context.fillStyle = inks.soft;
      context.textAlign = "center";
      const text =
        problem.peek() ||
        (store.model.kernel.peek() === "gone" ? "with a kernel: the cosines of all pairs" : "…");
      context.fillText(text, all.left + all.side / 2, all.top + all.side / 2, all.side - 8);
    }
    context.strokeRect(all.left - 0.5, all.top - 0.5, all.side + 1, all.side + 1);
    const values = matrix.peek();
    if (found && values) drawCells(context, all, values, colours.peek());
    drawEntries(context, all, inks, table.count, table.entries);
    const at = hover.peek();
    if (at && found) {
      const cell = all.side / table.count;
      context.strokeStyle = inks.text;
      context.globalAlpha = 0.5;
      const [x, y] = [all.left + (at[1] + 0.5) * cell, all.top + (at[0] + 0.5) * cell];
      context.beginPath();
      context.moveTo(all.left, y);
      context.lineTo(all.left + all.side, y);
      context.moveTo(x, all.profileTop);
      context.lineTo(x, all.top + all.side);
      context.stroke();
      context.globalAlpha = 1;
    }
  }

  plot.addEventListener("pointermove", (event) => {
    const table = state.table.peek();
    const { left, top, side, profileTop } = geo.peek();
    const box = plot.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - left, event.clientY - box.top - top];
    if (!table || x < 0 || x >= side || y >= side || y < profileTop - top) {
      hover.value = null;
      return;
    }
    const step = matrix.peek()?.step ?? 1;
    const of = (at: number): number => Math.floor(Math.floor((at / side) * table.count) / step) * step;
    hover.value = [y < 0 ? of(x) : of(y), of(x)];
  });
  plot.addEventListener("pointerleave", () => {
    hover.value = null;
  });
  store.effect(() => {
    const at = hover.value;
    const now = matrix.value;
    const table = state.table.value;
    if (!at || !table) {
      readout.textContent = "";
      return;
    }
    const norms = state.normStep.value === 1 ? state.norms.value : null;
    const norm = (entry: number): string =>
      norms ? ` (norm ${formatNumber(norms[entry] ?? Number.NaN, 3)})` : "";
    const pad = (entry: number): string => (table.padding === entry ? " [padding]" : "");
    const one = (entry: number): string => `${table.entries} ${entry}${pad(entry)}${norm(entry)}`;
    const [row, col] = at;
    const cosine = now ? now.values[(row / now.step) * now.size + col / now.step] : undefined;
    const value = cosine === undefined ? "" : `, cosine ${formatNumber(cosine, 4)}`;
    readout.textContent = row === col ? one(row) : `${one(row)} · ${one(col)}${value}`;
  });
  store.effect(() => {
    const now = matrix.value;
    note.textContent = now && now.step > 1 ? `every ${formatCount(now.step)}th of the entries` : "";
  });
  return element;
}

function paintMatrix(matrix: Matrix, colours: ReturnType<typeof palette>): HTMLCanvasElement | null {
  if (matrix.size === 0) return null;
  const canvas = h("canvas", { width: matrix.size, height: matrix.size });
  const context = canvas.getContext("2d");
  if (!context) return null;
  const image = context.createImageData(matrix.size, matrix.size);
  paint(matrix.values, matrix.size, new Uint32Array(image.data.buffer), { palette: colours, scale: SCALE });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Cells that are large enough have their number written in them. */
function drawCells(
  context: CanvasRenderingContext2D,
  geo: CosineGeometry,
  { values, size }: Matrix,
  colours: ReturnType<typeof palette>,
): void {
  const cell = geo.side / size;
  if (cell < NUMBERED_CELL) return;
  context.textAlign = "center";
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as number;
    context.fillStyle = ink(colourOf(colours, SCALE, value));
    const [row, col] = [Math.floor(at / size), at % size];
    context.fillText(formatTrimmed(value, 2), geo.left + (col + 0.5) * cell, geo.top + (row + 0.5) * cell);
  }
}

function drawProfile(
  context: CanvasRenderingContext2D,
  geo: CosineGeometry,
  inks: Inks,
  norms: ArrayLike<number> | null,
  count: number,
  entries: string,
  hover: readonly [number, number] | null,
): void {
  const range = extent(norms ?? []);
  context.fillStyle = inks.soft;
  context.textAlign = "left";
  context.fillText(`norm of each ${entries}`, geo.left, geo.profileTop - 9);
  if (!norms || !range) return;
  const high = range[1] > 0 ? range[1] * 1.06 : 1;
  const toX = (at: number): number => geo.left + ((at + 0.5) / norms.length) * geo.side;
  const toY = (value: number): number =>
    geo.profileBottom - (value / high) * (geo.profileBottom - geo.profileTop);
  context.lineWidth = 1;
  for (const tick of valueTicks([0, high], 3)) {
    const y = Math.round(toY(tick.value)) + 0.5;
    context.strokeStyle = inks.border;
    context.beginPath();
    context.moveTo(geo.left, y);
    context.lineTo(geo.left + geo.side, y);
    context.stroke();
    context.textAlign = "right";
    context.fillStyle = inks.soft;
    context.fillText(formatTrimmed(tick.value, 3), geo.left - 5, y);
  }
  const wide = geo.side / norms.length >= 5;
  context.fillStyle = inks.mark;
  context.strokeStyle = inks.accent;
  context.lineWidth = 1.2;
  context.beginPath();
  for (let at = 0; at < norms.length; at++) {
    const value = norms[at] as number;
    if (!Number.isFinite(value)) continue;
    if (wide)
      context.fillRect(
        toX(at) - geo.side / norms.length / 2 + 0.5,
        toY(value),
        geo.side / norms.length - 1,
        geo.profileBottom - toY(value),
      );
    else context.lineTo(toX(at), toY(value));
  }
  if (!wide) context.stroke();
  if (hover) {
    context.fillStyle = inks.accent;
    const at = Math.min(norms.length - 1, Math.floor((hover[1] / count) * norms.length));
    context.fillRect(toX(at) - 2, toY(norms[at] as number) - 2, 4, 4);
  }
}

/** Numbers of the entries under the matrix and beside it. */
function drawEntries(
  context: CanvasRenderingContext2D,
  geo: CosineGeometry,
  inks: Inks,
  count: number,
  entries: string,
): void {
  const at = (value: number): number => ((value + 0.5) / count) * geo.side;
  const ticks = valueTicks([0, Math.max(0, count - 1)], Math.max(2, Math.round(geo.side / 70))).filter(
    ({ value }) => Number.isInteger(value) && value < count,
  );
  const shown = (ticks.length > 0 ? ticks : [{ value: 0 }]).map(({ value }) => ({
    value,
    label: formatCount(value),
  }));
  context.fillStyle = inks.soft;
  for (const tick of placeTicks(shown, (value) => geo.left + at(value), 0, geo.left + geo.side + 10)) {
    if (!tick.shown) continue;
    context.textAlign = tick.anchor === "middle" ? "center" : tick.anchor === "start" ? "left" : "right";
    context.fillText(tick.label, tick.x, geo.top + geo.side + 10);
  }
  context.textAlign = "right";
  for (const tick of shown) context.fillText(tick.label, geo.left - 5, geo.top + at(tick.value));
  context.textAlign = "right";
  context.fillText(entries, geo.left + geo.side, geo.top + geo.side + 22);
}
