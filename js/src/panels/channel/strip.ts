/** A number of every channel as a thin strip of bars. Outliers show at any width. */

import type { Profile, Spread } from "./data";

/** Robust standard deviations from the median up to which the strip's scale reaches. */
const REACH = 8;
const MAD_TO_STD = 1.482602218505602;
/** A gain below this share of the median has switched its channel off. As in weightwidget/detail/channel.py. */
export const OFF = 1e-3;

/** From where to where a strip's scale reaches; zero is always in it. */
export interface StripScale {
  readonly low: number;
  readonly high: number;
}

/** The scale of a strip: all values, but no farther than 8 robust standard deviations from the median. */
export function stripScale(spread: Spread): StripScale {
  const reach = REACH * MAD_TO_STD * spread.mad;
  if (!Number.isFinite(spread.median)) return { low: 0, high: 1 };
  const cut = reach > 0;
  const low = Math.min(0, cut ? Math.max(spread.low, spread.median - reach) : spread.low);
  const high = Math.max(0, cut ? Math.min(spread.high, spread.median + reach) : spread.high);
  return low === high ? { low: 0, high: 1 } : { low, high };
}

/** What one column of pixels shows: the smallest and the largest number of its channels; NaN for none. */
export interface Columns {
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** Spreads a profile over columns of pixels: a column holds all steps that it touches, a wide step several columns. */
export function columns({ low, high }: Profile, width: number): Columns {
  const steps = low.length;
  const out = {
    low: new Float64Array(width).fill(Number.NaN),
    high: new Float64Array(width).fill(Number.NaN),
  };
  for (let x = 0; x < width; x++) {
    const first = Math.floor((x * steps) / width);
    const end = Math.max(first + 1, Math.ceil(((x + 1) * steps) / width - 1e-9));
    for (let at = first; at < end && at < steps; at++) {
      const [a, b] = [low[at] as number, high[at] as number];
      if (!(a >= (out.low[x] as number))) out.low[x] = Number.isNaN(a) ? (out.low[x] as number) : a;
      if (!(b <= (out.high[x] as number))) out.high[x] = Number.isNaN(b) ? (out.high[x] as number) : b;
    }
  }
  return out;
}

/** Step of the profile at a place of the strip. */
export function stepAt(x: number, width: number, steps: number): number {
  return Math.min(steps - 1, Math.max(0, Math.floor((x / width) * steps)));
}

/** Whether a number is that of a channel that is switched off or carries nothing: next to no gain, a norm of zero. */
export function isNothing(value: number, role: string, norm: boolean, median: number): boolean {
  if (role === "scales") return Math.abs(value) < OFF * Math.abs(median);
  return norm && value === 0;
}

export interface StripStyle {
  /** CSS pixels. */
  width: number;
  height: number;
  bar: string;
  faint: string;
  far: string;
  nothing: string;
  line: string;
  picked: string;
}

export interface Marked {
  role: string;
  norm: boolean;
  /** Step that is picked, and the value there. */
  picked: { step: number; value: number } | null;
}

export function drawStrip(
  canvas: HTMLCanvasElement,
  profile: Profile,
  style: StripStyle,
  marked: Marked,
): void {
  const ratio = globalThis.devicePixelRatio || 1;
  const w = Math.max(1, Math.round(style.width * ratio));
  const h = Math.max(1, Math.round(style.height * ratio));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, w, h);
  const scale = stripScale(profile.spread);
  const y = (value: number): number => {
    const share = (Math.min(scale.high, Math.max(scale.low, value)) - scale.low) / (scale.high - scale.low);
    return Math.round((1 - share) * (h - 1));
  };
  const zero = y(0);
  const thin = Math.max(1, Math.round(ratio));
  const shown = columns(profile, w);
  const median = profile.spread.median;
  const far: number[] = [];
  const nothing: number[] = [];
  for (let x = 0; x < w; x++) {
    const low = shown.low[x] as number;
    const high = shown.high[x] as number;
    if (Number.isNaN(low)) continue;
    // All of the step's numbers reach from zero to the one nearest to it, and some to the farthest.
    const near = low > 0 ? low : Math.min(high, 0);
    bar(context, style.faint, x, y(low), y(high), zero);
    if (near !== 0) bar(context, style.bar, x, y(near), zero, zero);
    if (high > scale.high * (1 + 1e-6) || low < scale.low * (1 + 1e-6)) far.push(x);
    if (isNothing(Math.abs(low) < Math.abs(high) ? low : high, marked.role, marked.norm, median))
      nothing.push(x);
  }
  context.fillStyle = style.line;
  context.fillRect(0, Math.min(h - 1, zero), w, 1);
  context.fillStyle = style.far;
  const wide = Math.max(2 * thin, Math.floor(w / profile.low.length));
  for (const x of far) {
    const up = (shown.high[x] as number) > scale.high;
    context.fillRect(x, up ? 0 : zero, Math.max(wide, 1), up ? zero : h - zero);
  }
  context.fillStyle = style.nothing;
  for (const x of middles(nothing)) {
    // A wedge that stands on the line: a bar of next to nothing would not be seen.
    const size = Math.round(4 * ratio);
    const base = Math.max(size, zero);
    context.beginPath();
    context.moveTo(x + 0.5, base - size);
    context.lineTo(x + 0.5 - size / 1.6, base);
    context.lineTo(x + 0.5 + size / 1.6, base);
    context.fill();
  }
  if (!marked.picked) return;
  const steps = profile.low.length;
  const middle = ((marked.picked.step + 0.5) / steps) * w;
  const broad = Math.max(2 * thin, w / steps);
  context.fillStyle = style.picked;
  context.globalAlpha = 0.18;
  context.fillRect(middle - broad / 2 - 2 * thin, 0, broad + 4 * thin, h);
  context.globalAlpha = 1;
  const { value } = marked.picked;
  if (Number.isNaN(value)) return;
  const top = Math.min(y(value), zero);
  context.fillRect(middle - broad / 2, top, broad, Math.max(thin, Math.abs(y(value) - zero)));
}

/** The middle of each run of consecutive numbers. */
export function middles(sorted: readonly number[]): number[] {
  const found: number[] = [];
  let first = 0;
  sorted.forEach((value, at) => {
    if (sorted[at + 1] === value + 1) return;
    found.push(((sorted[first] as number) + value) / 2);
    first = at + 1;
  });
  return found;
}

function bar(
  context: CanvasRenderingContext2D,
  colour: string,
  x: number,
  from: number,
  to: number,
  zero: number,
): void {
  const top = Math.min(from, to, zero);
  const bottom = Math.max(from, to, zero);
  context.fillStyle = colour;
  context.fillRect(x, top, 1, Math.max(1, bottom - top));
}
