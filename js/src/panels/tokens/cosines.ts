/** Tables whose entries have an order, positions say: norms along it, and the cosines of all pairs as a matrix. */

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { floats } from "../../buffers";
import { css, palette } from "../../draw/colour";
import { colourOf } from "../../draw/colourscale";
import { h } from "../../draw/dom";
import { formatCount, formatNumber } from "../../draw/format";
import { lack } from "../../lack";
import {
  cosineGeometry,
  drawCells,
  drawEntries,
  drawProfile,
  type Matrix,
  paintMatrix,
  SCALE,
} from "./cosinedraw";
import { type Inks, inksOf } from "./draw";
import type { TokenState } from "./state";

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
        (store.model.kernel.peek() === "gone" ? `with ${lack(store).short}: the cosines of all pairs` : "…");
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
