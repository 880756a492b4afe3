/** Draws the scatter of entries and the histogram of their norms above it. */

import { type PlacedTick, placeTicks, valueTicks } from "../../draw/axis";
import { binned } from "./table";

export interface ScatterGeometry {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  /** Of the histogram. */
  readonly barsTop: number;
  readonly barsBottom: number;
  /** Of the scatter. */
  readonly top: number;
  readonly bottom: number;
}

export function scatterGeometry(width: number, height: number): ScatterGeometry {
  const barsTop = 14;
  const barsBottom = barsTop + Math.round(Math.min(86, Math.max(44, height * 0.2)));
  return {
    width,
    height,
    left: 46,
    right: width - 10,
    barsTop,
    barsBottom,
    top: barsBottom + 22,
    bottom: height - 32,
  };
}

export interface Inks {
  readonly text: string;
  readonly soft: string;
  readonly mark: string;
  readonly border: string;
  readonly accent: string;
  readonly brush: string;
  readonly brushFill: string;
  readonly warn: string;
  readonly bg: string;
  readonly font: string;
}

export function inksOf(element: Element): Inks {
  const style = getComputedStyle(element);
  const ink = (name: string): string => style.getPropertyValue(name).trim();
  return {
    text: ink("--ww-text"),
    soft: ink("--ww-text-soft"),
    mark: ink("--ww-mark"),
    border: ink("--ww-border-soft"),
    accent: ink("--ww-accent"),
    brush: ink("--ww-brush"),
    brushFill: ink("--ww-brush-fill"),
    warn: ink("--ww-error"),
    bg: ink("--ww-bg"),
    font: style.fontFamily,
  };
}

export interface Scene {
  readonly geo: ScatterGeometry;
  readonly ratio: number;
  readonly inks: Inks;
  readonly xs: ArrayLike<number>;
  readonly ys: ArrayLike<number> | null;
  readonly x: readonly [number, number];
  readonly y: readonly [number, number] | null;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly brushed: ReadonlySet<number>;
  readonly flagged: ReadonlySet<number>;
  readonly known: ReadonlySet<number>;
  /** A line across, where the rule for clusters begins. */
  readonly threshold: number | null;
  /** What stands in the scatter's place when it has no points. */
  readonly message: string;
}

export function toX(geo: ScatterGeometry, [low, high]: readonly [number, number], value: number): number {
  return geo.left + ((value - low) / (high - low)) * (geo.right - geo.left);
}

export function toY(geo: ScatterGeometry, [low, high]: readonly [number, number], value: number): number {
  return geo.bottom - ((value - low) / (high - low)) * (geo.bottom - geo.top);
}

export function drawScatter(context: CanvasRenderingContext2D, scene: Scene): void {
  const { geo, ratio, inks } = scene;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, geo.width, geo.height);
  context.font = `10.5px ${inks.font}`;
  context.textBaseline = "middle";
  drawAxes(context, scene);
  drawBars(context, scene);
  if (scene.ys && scene.y) drawPoints(context, scene);
  if (scene.message) {
    context.fillStyle = inks.soft;
    context.textAlign = "center";
    context.fillText(
      scene.message,
      (geo.left + geo.right) / 2,
      (geo.top + geo.bottom) / 2,
      geo.right - geo.left - 12,
    );
  }
}

function drawAxes(context: CanvasRenderingContext2D, scene: Scene): void {
  const { geo, inks, x, y } = scene;
  const wide = Math.max(2, Math.round((geo.right - geo.left) / 80));
  const across = placeTicks(valueTicks(x, wide), (value) => toX(geo, x, value), 0, geo.width);
  context.lineWidth = 1;
  context.strokeStyle = inks.border;
  context.fillStyle = inks.soft;
  for (const tick of across) {
    line(context, Math.round(tick.x) + 0.5, geo.barsTop, Math.round(tick.x) + 0.5, geo.barsBottom);
    line(context, Math.round(tick.x) + 0.5, geo.top, Math.round(tick.x) + 0.5, geo.bottom);
    if (tick.shown) text(context, tick, geo.bottom + 9);
  }
  line(context, geo.left, geo.barsBottom + 0.5, geo.right, geo.barsBottom + 0.5);
  line(context, geo.left, geo.bottom + 0.5, geo.right, geo.bottom + 0.5);
  context.textAlign = "right";
  context.fillText(scene.xTitle, geo.right, geo.bottom + 23);
  if (!y) return;
  const tall = Math.max(2, Math.round((geo.bottom - geo.top) / 42));
  for (const tick of valueTicks(y, tall)) {
    const at = Math.round(toY(geo, y, tick.value)) + 0.5;
    line(context, geo.left, at, geo.right, at);
    context.textAlign = "right";
    context.fillText(tick.label, geo.left - 5, at);
  }
  context.textAlign = "left";
  context.fillText(scene.yTitle, 2, geo.top - 10);
}

function text(context: CanvasRenderingContext2D, tick: PlacedTick, y: number): void {
  context.textAlign = tick.anchor === "middle" ? "center" : tick.anchor === "start" ? "left" : "right";
  context.fillText(tick.label, tick.x, y);
}

function line(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** Bars of all; in front of them, to the same scale, those of the marked entries. */
function drawBars(context: CanvasRenderingContext2D, scene: Scene): void {
  const { geo, inks, xs, x } = scene;
  const room = geo.right - geo.left;
  const bins = Math.max(8, Math.min(120, Math.floor(room / 4)));
  const all = binned(xs, x, bins);
  const top = Math.max(1, ...all);
  const height = geo.barsBottom - geo.barsTop;
  const draw = (counts: Float64Array, colour: string): void => {
    context.fillStyle = colour;
    for (let bin = 0; bin < bins; bin++) {
      const count = counts[bin] as number;
      if (count === 0) continue;
      const from = geo.left + (bin * room) / bins;
      // Square roots: one entry far out must still be seen beside thousands.
      const size = Math.max(1.5, Math.sqrt(count / top) * height);
      context.fillRect(from, geo.barsBottom - size, room / bins - 0.5, size);
    }
  };
  draw(all, inks.mark);
  for (const [chosen, colour] of [
    [scene.known, inks.accent],
    [scene.flagged, inks.warn],
    [scene.brushed, inks.brush],
  ] as const) {
    if (chosen.size === 0) continue;
    draw(
      binned(
        Float64Array.from(chosen, (entry) => xs[entry] as number),
        x,
        bins,
      ),
      colour,
    );
  }
  context.fillStyle = inks.soft;
  context.textAlign = "left";
  context.fillText("tokens, √ of the count", 2, 6);
}

function drawPoints(context: CanvasRenderingContext2D, scene: Scene): void {
  const { geo, inks, xs, x, flagged, known, brushed } = scene;
  const ys = scene.ys as ArrayLike<number>;
  const y = scene.y as readonly [number, number];
  if (scene.threshold !== null && scene.threshold > y[0] && scene.threshold < y[1]) {
    const at = toY(geo, y, scene.threshold);
    context.strokeStyle = inks.warn;
    context.setLineDash([3, 3]);
    line(context, geo.left, at, geo.right, at);
    context.setLineDash([]);
  }
  context.save();
  context.beginPath();
  context.rect(geo.left - 3, geo.top - 3, geo.right - geo.left + 6, geo.bottom - geo.top + 6);
  context.clip();
  const many = xs.length > 4000;
  const size = many ? 1.6 : 3.2;
  const plot = (entries: Iterable<number>, colour: string, alpha: number, side: number): void => {
    context.fillStyle = colour;
    context.globalAlpha = alpha;
    for (const entry of entries) {
      const [px, py] = [toX(geo, x, xs[entry] as number), toY(geo, y, ys[entry] as number)];
      if (px >= geo.left - 4 && py >= geo.top - 4) context.fillRect(px - side / 2, py - side / 2, side, side);
    }
  };
  context.fillStyle = inks.soft;
  context.globalAlpha = many ? 0.42 : 0.75;
  for (let entry = 0; entry < xs.length; entry++) {
    const [value, other] = [xs[entry] as number, ys[entry] as number];
    if (Number.isNaN(value) || Number.isNaN(other)) continue;
    context.fillRect(toX(geo, x, value) - size / 2, toY(geo, y, other) - size / 2, size, size);
  }
  plot(known, inks.accent, many ? 0.7 : 0.9, size + 0.4);
  plot(flagged, inks.warn, 0.9, size + 0.8);
  plot(brushed, inks.brush, brushed.size > 4000 ? 0.6 : 0.9, size + 0.4);
  context.restore();
}
