/** Colour maps of signed numbers: zero in the middle, safe for colour-blind readers, light and dark. */

import type { ColorMap } from "../model";

export type Theme = "light" | "dark";
export type Rgb = readonly [number, number, number];

/** Colours as 32-bit numbers in the order of ImageData on little-endian machines: alpha, blue, green, red. */
export interface Palette {
  /** 256 colours from −1 to +1; zero lies between entries 127 and 128. */
  readonly lut: Uint32Array;
  /** Beyond the ends of the scale. */
  readonly above: number;
  readonly below: number;
  readonly nan: number;
  readonly posinf: number;
  readonly neginf: number;
  /** What the colours of all that a brush leaves out are drawn back to: grey, which no map has in its middle. */
  readonly ground: number;
}

/** Colours from the middle outwards, and the one for values beyond the end. */
interface Arm {
  stops: readonly string[];
  beyond: string;
}

interface Anchors {
  middle: string;
  negative: Arm;
  positive: Arm;
}

// Light: ColorBrewer's RdBu, PRGn and BrBG, all safe for colour-blind readers. Dark: the same hues from a dark middle
// outwards to light ends, so that size is lightness there too. Clipped values continue the lightness.
const ANCHORS: Record<Theme, Record<ColorMap, Anchors>> = {
  light: {
    "blue-red": {
      middle: "#f7f7f7",
      negative: { stops: ["#d1e5f0", "#92c5de", "#4393c3", "#2166ac"], beyond: "#052a57" },
      positive: { stops: ["#fddbc7", "#f4a582", "#d6604d", "#b2182b"], beyond: "#5a0019" },
    },
    "purple-green": {
      middle: "#f7f7f7",
      negative: { stops: ["#e7d4e8", "#c2a5cf", "#9970ab", "#762a83"], beyond: "#360040" },
      positive: { stops: ["#d9f0d3", "#a6dba0", "#5aae61", "#1b7837"], beyond: "#003516" },
    },
    "brown-teal": {
      middle: "#f5f5f5",
      negative: { stops: ["#f6e8c3", "#dfc27d", "#bf812d", "#8c510a"], beyond: "#452602" },
      positive: { stops: ["#c7eae5", "#80cdc1", "#35978f", "#01665e"], beyond: "#00332a" },
    },
    grey: {
      middle: "#f7f7f7",
      negative: { stops: ["#bdbdbd", "#6e6e6e", "#3d3d3d"], beyond: "#000000" },
      positive: { stops: ["#bdbdbd", "#6e6e6e", "#3d3d3d"], beyond: "#000000" },
    },
  },
  dark: {
    "blue-red": {
      middle: "#1b2028",
      negative: { stops: ["#1d3f6b", "#2f74bd", "#62aaf0", "#a3d0fb"], beyond: "#e6f4ff" },
      positive: { stops: ["#6a2a29", "#b84238", "#f07a63", "#fbb9a3"], beyond: "#fff0e8" },
    },
    "purple-green": {
      middle: "#1d1f27",
      negative: { stops: ["#482a58", "#80489b", "#b584cd", "#dcbcec"], beyond: "#faf0ff" },
      positive: { stops: ["#204a2b", "#367f43", "#66b86c", "#b0e2ae"], beyond: "#effff0" },
    },
    "brown-teal": {
      middle: "#1f2125",
      negative: { stops: ["#523b17", "#946a22", "#cf9f4b", "#ecd091"], beyond: "#fff8e2" },
      positive: { stops: ["#174b47", "#23827a", "#4cb9ad", "#a0e2d9"], beyond: "#eafffb" },
    },
    grey: {
      middle: "#1b2028",
      negative: { stops: ["#555a63", "#9a9fa8", "#d2d5da"], beyond: "#ffffff" },
      positive: { stops: ["#555a63", "#9a9fa8", "#d2d5da"], beyond: "#ffffff" },
    },
  },
};

const GROUND: Record<Theme, string> = { light: "#cdd3dc", dark: "#353b46" };

/** Hues that no map has: they stand out on all of them, and each has a sign of its own in the cells too. */
const SPECIAL = { nan: "#e000c8", posinf: "#ffb000", neginf: "#00d0ff" };

const cache = new Map<string, Palette>();

export function palette(map: ColorMap, theme: Theme): Palette {
  const key = `${theme} ${map}`;
  let found = cache.get(key);
  if (!found) {
    found = build(ANCHORS[theme][map], GROUND[theme]);
    cache.set(key, found);
  }
  return found;
}

function build(anchors: Anchors, ground: string): Palette {
  const middle = toOklab(parse(anchors.middle));
  const arm = ({ stops }: Arm): number[][] => [middle, ...stops.map((stop) => toOklab(parse(stop)))];
  const negative = arm(anchors.negative);
  const positive = arm(anchors.positive);
  const lut = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const t = (i - 127.5) / 127.5;
    lut[i] = pack(fromOklab(along(t < 0 ? negative : positive, Math.abs(t))));
  }
  return {
    lut,
    above: pack(parse(anchors.positive.beyond)),
    below: pack(parse(anchors.negative.beyond)),
    nan: pack(parse(SPECIAL.nan)),
    posinf: pack(parse(SPECIAL.posinf)),
    neginf: pack(parse(SPECIAL.neginf)),
    ground: pack(parse(ground)),
  };
}

/** The point at 0 … 1 of a line through equally spaced points. */
function along(points: readonly number[][], t: number): number[] {
  const at = t * (points.length - 1);
  const start = Math.min(points.length - 2, Math.floor(at));
  const from = points[start] as number[];
  const to = points[start + 1] as number[];
  return from.map((value, i) => value + ((to[i] as number) - value) * (at - start));
}

export function parse(hex: string): Rgb {
  const bits = Number.parseInt(hex.slice(1), 16);
  return [(bits >> 16) & 255, (bits >> 8) & 255, bits & 255];
}

export function pack([r, g, b]: Rgb): number {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

export function unpack(colour: number): Rgb {
  return [colour & 255, (colour >> 8) & 255, (colour >> 16) & 255];
}

export function css(colour: number): string {
  return `rgb(${unpack(colour).join(" ")})`;
}

/** Relative luminance as WCAG defines it, 0 … 1. */
export function luminance(rgb: Rgb): number {
  const [r, g, b] = rgb.map(toLinear) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Black or white, whichever can be read on a colour. At 0.179 both have the same contrast. */
export function ink(colour: number): "#000000" | "#ffffff" {
  return luminance(unpack(colour)) > 0.179 ? "#000000" : "#ffffff";
}

function toLinear(channel: number): number {
  const c = channel / 255;
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
}

function fromLinear(c: number): number {
  const value = c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055;
  return Math.round(255 * Math.min(1, Math.max(0, value)));
}

// Oklab, https://bottosson.github.io/posts/oklab/: equal steps in it look equal.
export function toOklab(rgb: Rgb): number[] {
  const [r, g, b] = rgb.map(toLinear) as [number, number, number];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function fromOklab([L = 0, a = 0, b = 0]: number[]): Rgb {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    fromLinear(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    fromLinear(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    fromLinear(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}
