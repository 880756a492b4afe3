/** A distribution in a line's height: linear counts, and tails as a bar of their own at either end. */

import type { LocalHistogram } from "../overview";

export interface SparklineStyle {
  width: number;
  height: number;
  color: string;
}

/** Room for a tail bar and the gap beside it, in CSS pixels. */
const TAIL = 3;

/** Draws on a canvas, which is set to this size. Without a histogram a base line says that it is not there yet. */
export function drawSparkline(
  canvas: HTMLCanvasElement,
  histogram: LocalHistogram | null,
  { width, height, color }: SparklineStyle,
): void {
  const scale = globalThis.devicePixelRatio || 1;
  const w = Math.max(1, Math.round(width * scale));
  const h = Math.max(1, Math.round(height * scale));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, w, h);
  context.fillStyle = color;
  const line = Math.max(1, Math.round(scale));
  if (!histogram) {
    context.globalAlpha = 0.4;
    context.fillRect(0, h - line, w, line);
    context.globalAlpha = 1;
    return;
  }
  const tail = Math.round(TAIL * scale);
  const heights = barHeights(histogram, Math.max(1, Math.floor((w - 2 * tail) / line)), h, line);
  const bars = heights.bins.length;
  const inner = w - 2 * tail;
  for (let bar = 0; bar < bars; bar++) {
    const left = tail + Math.round((bar * inner) / bars);
    const right = tail + Math.round(((bar + 1) * inner) / bars);
    const size = heights.bins[bar] as number;
    if (size > 0) context.fillRect(left, h - size, right - left, size);
  }
  if (heights.below > 0) context.fillRect(0, h - heights.below, tail - line, heights.below);
  if (heights.above > 0) context.fillRect(w - tail + line, h - heights.above, tail - line, heights.above);
}

/** Heights in device pixels of at most `most` bars; whatever is not empty is at least `least` high. */
export function barHeights(
  histogram: LocalHistogram,
  most: number,
  height: number,
  least: number,
): { bins: number[]; below: number; above: number } {
  const { counts } = histogram;
  const bars = Math.min(most, counts.length);
  // A bar is the mean of its bins: not every bar has the same number of them.
  const means = Array.from({ length: bars }, (_, bar) => {
    const from = Math.floor((bar * counts.length) / bars);
    const to = Math.floor(((bar + 1) * counts.length) / bars);
    let sum = 0;
    for (let i = from; i < to; i++) sum += counts[i] as number;
    return sum / (to - from);
  });
  // Tails do not set the scale: they may hold more than any bin, and are then cut off at the top.
  const top = Math.max(...means, 0) || Math.max(histogram.below, histogram.above, 1);
  const size = (count: number): number =>
    count > 0 ? Math.max(least, Math.min(height, Math.round((count / top) * height))) : 0;
  return { bins: means.map(size), below: size(histogram.below), above: size(histogram.above) };
}
