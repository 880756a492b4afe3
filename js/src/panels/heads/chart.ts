/** Small charts of a head: singular values, eigenvalues on the complex plane. SVG, as wide as the room. */

import { valueTicks } from "../../draw/axis";
import { formatNumber } from "../../draw/format";
import { s, set } from "../../draw/svg";

/** Calls `draw` with the width of an element, now and whenever it changes. */
export function onWidth(element: Element, lifetime: AbortSignal, draw: (width: number) => void): void {
  let last = 0;
  const observer = new ResizeObserver((entries) => {
    const width = Math.floor(entries[0]?.contentRect.width ?? 0);
    if (width === last || width === 0) return;
    last = width;
    draw(width);
  });
  observer.observe(element);
  lifetime.addEventListener("abort", () => observer.disconnect());
}

const LEFT = 40;
const RIGHT = 8;
const TOP = 7;
const BOTTOM = 18;

/** Values in descending order against their number, from zero. */
export function drawSpectrum(svg: SVGSVGElement, values: Float64Array, width: number, height: number): void {
  set(svg, { width, height, viewBox: `0 0 ${width} ${height}` });
  const top = values[0] ?? 0;
  const domain: [number, number] = [0, top > 0 ? top : 1];
  const plot = { right: width - RIGHT, bottom: height - BOTTOM };
  const x = (i: number): number =>
    LEFT + (values.length > 1 ? (i / (values.length - 1)) * (plot.right - LEFT - 6) : 0) + 3;
  const y = (value: number): number => plot.bottom - (value / domain[1]) * (plot.bottom - TOP);
  const parts: SVGElement[] = [];
  for (const tick of valueTicks(domain, 3)) {
    const at = Math.round(y(tick.value)) + 0.5;
    parts.push(s("line", { class: "ww-line", x1: LEFT, x2: plot.right, y1: at, y2: at }));
    parts.push(s("text", { x: LEFT - 4, y: at + 3.5, "text-anchor": "end" }, tick.label));
  }
  const path = [...values].map(
    (value, i) => `${i === 0 ? "M" : "L"}${x(i).toFixed(1)},${y(value).toFixed(1)}`,
  );
  parts.push(s("path", { class: "ww-curve", d: path.join("") }));
  const radius = values.length > 96 ? 1.2 : 2;
  values.forEach((value, i) => {
    const dot = s("circle", { class: "ww-dot", cx: x(i), cy: y(value), r: radius });
    dot.append(s("title", {}, `σ${i + 1} = ${formatNumber(value, 5)}`));
    parts.push(dot);
  });
  if (values.length > 0) {
    parts.push(s("text", { x: x(0), y: height - 4, "text-anchor": "middle" }, "1"));
    if (values.length > 1) {
      parts.push(
        s("text", { x: x(values.length - 1), y: height - 4, "text-anchor": "end" }, String(values.length)),
      );
    }
  }
  svg.replaceChildren(...parts);
}

/** Points on the complex plane, zero in the middle, both axes alike. */
export function drawPlane(
  svg: SVGSVGElement,
  { re, im }: { re: Float64Array; im: Float64Array },
  width: number,
  height: number,
): void {
  set(svg, { width, height, viewBox: `0 0 ${width} ${height}` });
  const sizes = re.map((value, i) => Math.hypot(value, im[i] as number));
  const limit = sizes.reduce((a, b) => Math.max(a, b), 0) || 1;
  const middle: [number, number] = [width / 2, height / 2];
  // At either side there is room for a label.
  const unit = Math.min(width / 2 - 48, height / 2 - 12) / limit;
  const parts: SVGElement[] = [
    s("circle", { class: "ww-line", cx: middle[0], cy: middle[1], r: limit * unit, fill: "none" }),
    s("line", { class: "ww-line", x1: 6, x2: width - 6, y1: middle[1], y2: middle[1] }),
    s("line", { class: "ww-line", x1: middle[0], x2: middle[0], y1: 4, y2: height - 4 }),
  ];
  // The circle has the largest magnitude: its ends are the ticks.
  for (const side of [-1, 1]) {
    const x = middle[0] + side * (limit * unit + 4);
    const anchor = side < 0 ? "end" : "start";
    const label = formatNumber(side * limit, 3);
    parts.push(s("text", { x, y: middle[1] + 13, "text-anchor": anchor }, label));
  }
  re.forEach((value, i) => {
    const at = im[i] as number;
    const dot = s("circle", {
      class: "ww-dot",
      cx: middle[0] + value * unit,
      cy: middle[1] - at * unit,
      r: 2.6,
    });
    const sign = at < 0 ? "−" : "+";
    const text = at === 0 ? "" : ` ${sign} ${formatNumber(Math.abs(at), 4)}i`;
    dot.append(s("title", {}, `λ = ${formatNumber(value, 4)}${text}`));
    parts.push(dot);
  });
  parts.push(s("text", { x: width - 6, y: middle[1] - 5, "text-anchor": "end" }, "Re λ"));
  parts.push(s("text", { x: middle[0] + 5, y: 10 }, "Im λ"));
  svg.replaceChildren(...parts);
}
