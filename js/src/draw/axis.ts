/** Ticks of axes and their labels: where they stand and what they say. Pure; drawn by the panels. */

import { scaleLinear } from "d3-scale";
import { formatPower, formatShort, formatToStep } from "./format";

export interface Tick {
  /** In units of the axis: of log10 |w| on an axis of magnitudes. */
  value: number;
  label: string;
}

/** About `count` ticks at round values, all with as many digits as their step needs. */
export function valueTicks(domain: readonly [number, number], count: number): Tick[] {
  const values = scaleLinear().domain(domain).ticks(Math.max(1, count));
  const step = values.length > 1 ? Math.abs((values[1] as number) - (values[0] as number)) : 0;
  return values.map((value) => ({ value, label: formatToStep(value, step || Math.abs(value)) }));
}

/**
 * Ticks of an axis of log10 |w|: powers of ten, every second or third if they are many, and 2 and 5 times them when
 * the axis spans little more than a decade.
 */
export function magnitudeTicks(domain: readonly [number, number], count: number): Tick[] {
  const [low, high] = domain;
  const decades = high - low;
  if (decades < 0.8) {
    // So little that w itself is all but linear here.
    const ticks = valueTicks([10 ** low, 10 ** high], count);
    return ticks.filter((tick) => tick.value > 0).map((tick) => ({ ...tick, value: Math.log10(tick.value) }));
  }
  const ticks: Tick[] = [];
  if (decades < 3 && count >= 3 * decades) {
    for (let exponent = Math.floor(low); exponent <= high; exponent++) {
      for (const factor of [1, 2, 5]) {
        const value = exponent + Math.log10(factor);
        if (value < low || value > high) continue;
        const size = factor * 10 ** exponent;
        ticks.push({ value, label: formatToStep(size, 10 ** exponent) });
      }
    }
    return ticks;
  }
  const step = [1, 2, 3, 5, 10, 20, 50, 100].find((every) => decades / every <= count) ?? 200;
  for (let exponent = Math.ceil(low / step) * step; exponent <= high; exponent += step) {
    ticks.push({ value: exponent, label: formatPower(exponent) });
  }
  return ticks;
}

/** Ticks of an axis of counts from zero to `top`: whole numbers, or powers of ten on a logarithmic axis. */
export function countTicks(top: number, log: boolean, count: number): Tick[] {
  if (!(top > 0)) return [];
  if (!log) {
    return scaleLinear()
      .domain([0, top])
      .ticks(Math.max(1, count))
      .filter((value) => value > 0 && Number.isInteger(value))
      .map((value) => ({ value, label: formatShort(value) }));
  }
  const decades = Math.floor(Math.log10(top) + 1e-9);
  const step = Math.max(1, Math.ceil((decades + 1) / Math.max(1, count)));
  const ticks: Tick[] = [];
  for (let exponent = 0; exponent <= decades; exponent += step) {
    ticks.push({ value: 10 ** exponent, label: formatShort(10 ** exponent) });
  }
  return ticks;
}

export interface PlacedTick extends Tick {
  x: number;
  /** How the label stands to the tick: at the ends it is moved inwards, so that nothing is cut off. */
  anchor: "start" | "middle" | "end";
  /** False where the label would run into its neighbour. The tick is drawn all the same. */
  shown: boolean;
}

/** Width of a digit of the axis's type, in pixels. */
const DIGIT = 6;

/** Places ticks from `x0` to `x1`, and keeps their labels apart and inside `left` … `right`. */
export function placeTicks(
  ticks: readonly Tick[],
  at: (value: number) => number,
  left: number,
  right: number,
): PlacedTick[] {
  let taken = Number.NEGATIVE_INFINITY;
  return ticks.map((tick) => {
    const x = at(tick.value);
    const width = tick.label.length * DIGIT;
    const anchor = x - width / 2 < left ? "start" : x + width / 2 > right ? "end" : "middle";
    const start = anchor === "start" ? x : anchor === "end" ? x - width : x - width / 2;
    const shown = start >= taken && start >= left - DIGIT;
    if (shown) taken = start + width + DIGIT;
    return { ...tick, x, anchor, shown };
  });
}
