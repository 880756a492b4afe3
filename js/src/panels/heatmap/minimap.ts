/** The whole matrix in small, with the part that is seen: drawn when that is not all. */

import { computed } from "@preact/signals-core";
import { h } from "../../draw/dom";
import { inksOf } from "./inks";
import { painter } from "./picture";
import { drawMatrix } from "./render";
import type { HeatmapState } from "./state";
import { centreOn, drawnSize, fit, isFit, type Viewport } from "./viewport";

/** @param ended to be called when a drag is over */
export function minimap(state: HeatmapState, ended: () => void): HTMLElement {
  const { store } = state;
  const canvas = h("canvas", { role: "img", "aria-label": "the whole matrix and the part that is seen" });
  const element = h("div", { class: "ww-hm-minimap", title: "drag to move the part that is seen" }, canvas);
  const paint = computed(() => painter(state));
  let frame = 0;

  /** The whole in the room of the minimap. */
  const small = (v: Viewport): Viewport =>
    fit(v.rows, v.cols, element.clientWidth - 2, element.clientHeight - 2);

  const draw = (): void => {
    frame = 0;
    const v = state.viewport.peek();
    const matrix = state.matrix.peek();
    const hidden = !v || !matrix || v.rows < 2 || isFit(v);
    element.toggleAttribute("data-hidden", hidden);
    const context = canvas.getContext("2d");
    if (hidden || !context || element.clientWidth === 0) return;
    const ratio = state.ratio.peek();
    const whole = small(v);
    const [width, height] = drawnSize(whole);
    canvas.width = Math.ceil((width + 2) * ratio);
    canvas.height = Math.ceil((height + 2) * ratio);
    canvas.style.width = `${canvas.width / ratio}px`;
    canvas.style.height = `${canvas.height / ratio}px`;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const inks = inksOf(element);
    const room = { x: 1, y: 1, width, height };
    drawMatrix(context, { state, matrix, v: whole, room, ratio, painter: paint.peek(), inks, small: true });
    const [seenWide, seenHigh] = drawnSize(v);
    const x = 1 + v.x * whole.sx;
    const y = 1 + v.y * whole.sy;
    const wide = Math.max(3, (seenWide / v.sx) * whole.sx);
    const high = Math.max(3, (seenHigh / v.sy) * whole.sy);
    context.fillStyle = inks.bg;
    context.globalAlpha = 0.5;
    context.fillRect(0, 0, width + 2, y);
    context.fillRect(0, y + high, width + 2, height + 2 - y - high);
    context.fillRect(0, y, x, high);
    context.fillRect(x + wide, y, width + 2 - x - wide, high);
    context.globalAlpha = 1;
    context.strokeStyle = inks.accent;
    context.lineWidth = 1.5;
    context.strokeRect(x, y, wide, high);
  };
  const request = (): void => {
    if (!frame) frame = requestAnimationFrame(draw);
  };
  store.effect(() => {
    void [state.viewport.value, state.arrivals.value, paint.value, state.matrix.value, store.theme.value];
    request();
  });
  const observer = new ResizeObserver(request);
  observer.observe(element);
  store.lifetime.addEventListener("abort", () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  });

  const move = (event: PointerEvent): void => {
    const v = state.viewport.peek();
    if (!v) return;
    const whole = small(v);
    const at = canvas.getBoundingClientRect();
    const col = (event.clientX - at.left - 1) / whole.sx;
    const row = (event.clientY - at.top - 1) / whole.sy;
    state.viewport.value = centreOn(v, row, col);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    move(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) move(event);
  });
  canvas.addEventListener("lostpointercapture", ended);
  return element;
}
