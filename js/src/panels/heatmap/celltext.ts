/** Numbers in the little room of a cell. */

import { formatNumber } from "../../draw/format";

const MINUS = "\u2212";

/** Decimals with which values of this size have three digits. */
export function decimalsFor(size: number): number {
  if (!(size > 0) || !Number.isFinite(size)) return 0;
  return Math.max(0, 2 - Math.floor(Math.log10(size) + 1e-9));
}

/**
 * The value in at most `room` characters, with as many decimals as its neighbours have, so that points stand in line:
 * .047, −.120. Values that would round to zero are written with an exponent: 3e−5.
 */
export function cellText(value: number, room: number, decimals: number): string {
  if (!Number.isFinite(value)) {
    const text = formatNumber(value);
    return text.length <= room ? text : Number.isNaN(value) ? "?" : value > 0 ? "+∞" : `${MINUS}∞`;
  }
  if (value === 0) return "0";
  for (let places = decimals; places >= 0; places--) {
    const text = bare(value.toFixed(places));
    if (text.length > room) continue;
    if (Number(value.toFixed(places)) !== 0) return text;
    break;
  }
  const short = value.toExponential(0).replace("e+", "e").replaceAll("-", MINUS);
  if (short.length <= room) return short;
  // Not zero, but there is no room to say how little.
  return Math.abs(value) < 1 && room >= 2 ? (value < 0 ? `${MINUS}0` : "+0") : "";
}

/** Without the zero before the point. */
function bare(text: string): string {
  return text.replace(/^(-?)0\./, "$1.").replace("-", MINUS);
}
