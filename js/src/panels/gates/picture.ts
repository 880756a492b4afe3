/** The small pictures of a gate's card: weights, their histogram, the biases. */

import { css, palette } from "../../draw/colour";
import { type ColourScale, paint } from "../../draw/colourscale";
import { s } from "../../draw/svg";
import type { ColorMap } from "../../model";
import type { Thumbnail } from "../../overview";
import { SATURATED } from "./numbers";

/** Draws a picture on a canvas of its size; CSS makes it as large as it is seen. */
export function drawPicture(
  canvas: HTMLCanvasElement,
  picture: Thumbnail,
  limit: number,
  map: ColorMap,
  theme: "light" | "dark",
): void {
  const { height, width, data } = picture;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context || width * height === 0) return;
  const image = context.createImageData(width, height);
  const scale: ColourScale = { kind: "full", limit: limit > 0 ? limit : 1, linear: 0, note: "" };
  paint(data, width, new Uint32Array(image.data.buffer), { palette: palette(map, theme), scale });
  context.putImageData(image, 0, 0);
}

/** Colour bar of a legend, from −limit to limit. */
export function drawColourBar(canvas: HTMLCanvasElement, map: ColorMap, theme: "light" | "dark"): void {
  const { lut } = palette(map, theme);
  canvas.width = lut.length;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  if (!context) return;
  lut.forEach((colour, x) => {
    context.fillStyle = css(colour);
    context.fillRect(x, 0, 1, 1);
  });
}

/** Height of the small histograms, in units of their viewBox. */
const HEIGHT = 24;

/** Bars of counts, the first and the last of them what lies beyond the ends. Linear; whatever is there is seen. */
export function countBars(counts: ArrayLike<number>, label: string): SVGSVGElement {
  const bins = counts.length - 2;
  const top = Math.max(...Array.from(counts).slice(1, -1), 1);
  const bars: SVGElement[] = [];
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] as number;
    if (count === 0) continue;
    const height = Math.max(1, Math.min(1, count / top) * HEIGHT);
    const isTail = i === 0 || i === counts.length - 1;
    bars.push(bar(i, height, isTail ? "ww-gates-tail" : undefined));
  }
  const middle = 1 + bins / 2;
  return svg(
    counts.length,
    label,
    s("line", { class: "ww-gates-zero", x1: middle, x2: middle, y1: 0, y2: HEIGHT }),
    ...bars,
  );
}

/**
 * Bars of biases; those of saturated gates in a colour of their own.
 * @param saturates whether a bias beyond ±SATURATED holds the gate open or shut
 * @param marked value of the chosen unit
 */
export function biasBars(
  counts: ArrayLike<number>,
  range: readonly [number, number],
  saturates: boolean,
  marked: number | null,
  label: string,
): SVGSVGElement {
  const bins = counts.length;
  const [low, high] = range;
  const place = (value: number): number => ((value - low) / (high - low)) * bins;
  const top = Math.max(...Array.from(counts), 1);
  const parts: SVGElement[] = [];
  const rule = (value: number, name: string): void => {
    if (value <= low || value >= high) return;
    const x = place(value);
    parts.push(s("line", { class: name, x1: x, x2: x, y1: 0, y2: HEIGHT }));
  };
  rule(0, "ww-gates-zero");
  if (saturates) for (const end of [-SATURATED, SATURATED]) rule(end, "ww-gates-saturation");
  for (let i = 0; i < bins; i++) {
    const count = counts[i] as number;
    if (count === 0) continue;
    const middle = low + ((i + 0.5) / bins) * (high - low);
    const beyond = saturates && Math.abs(middle) > SATURATED;
    parts.push(bar(i, Math.max(1.5, (count / top) * HEIGHT), beyond ? "ww-gates-saturated" : undefined));
  }
  if (marked !== null && marked >= low && marked <= high) {
    const x = place(marked);
    parts.push(s("line", { class: "ww-gates-unit-mark", x1: x, x2: x, y1: 0, y2: HEIGHT }));
  }
  return svg(bins, label, ...parts);
}

function bar(at: number, height: number, name?: string): SVGElement {
  return s("rect", { class: name, x: at, y: HEIGHT - height, width: 1, height });
}

function svg(width: number, label: string, ...children: SVGElement[]): SVGSVGElement {
  return s(
    "svg",
    {
      class: "ww-gates-bars",
      viewBox: `0 0 ${width} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": label,
    },
    ...children,
  );
}
