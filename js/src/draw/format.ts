/** Numbers as a practitioner reads them: few digits, thin spaces in thousands, a real minus sign. */

const THIN = "\u2009";
const MINUS = "\u2212";
const SUPERSCRIPT = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A weight or statistic with `digits` significant digits: 0.0554, −3.2e−7, 1 234. */
export function formatNumber(value: number, digits = 4): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : `${MINUS}Inf`;
  if (value === 0) return "0";
  // Rounded first: 9999.99 has five digits before the point once it is rounded to four.
  const size = Math.abs(Number(value.toPrecision(digits)));
  let text: string;
  if (size >= 1e6 || size < 1e-4) {
    text = shortExponent(value.toExponential(Math.max(0, digits - 1)));
  } else if (size >= 10 ** digits) {
    text = groupThousands(value.toFixed(0));
  } else {
    text = value.toPrecision(digits);
    if (text.includes(".") && Number.isInteger(value)) text = text.replace(/\.?0+$/, "");
  }
  return realMinus(text);
}

/** As formatNumber, without the zeros that only fill up its digits: 0.15. */
export function formatTrimmed(value: number, digits = 4): string {
  const text = formatNumber(value, digits);
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}

/**
 * A number to the place that `step` needs, for values that stand on a grid or were read off a screen:
 * 0.15 and 0.153 for steps of 0.01 and 0.001. Tells neighbours a step apart, and no more.
 */
export function formatToStep(value: number, step: number): string {
  if (!Number.isFinite(value) || !(step > 0)) return formatNumber(value);
  if (value === 0) return "0";
  // The nudge keeps steps such as 0.1, which are a little less than they say, from asking for one place more.
  const place = Math.floor(Math.log10(step) + 1e-9);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) {
    const digits = Math.min(15, Math.max(0, Math.floor(Math.log10(size) + 1e-9) - place));
    return realMinus(shortExponent(value.toExponential(digits)));
  }
  const text = groupThousands(value.toFixed(Math.min(20, Math.max(0, -place))));
  return realMinus(Number(text.replaceAll(THIN, "")) === 0 ? "0" : text);
}

/** All the digits that tell a float64 from its neighbours, with an ASCII minus: for copying. */
export function formatExact(value: number): string {
  return Number.isNaN(value) ? "nan" : !Number.isFinite(value) ? (value > 0 ? "inf" : "-inf") : String(value);
}

/** A typed number, whatever minus and grouping it has; null if it is none. */
export function parseNumber(text: string): number | null {
  const plain = text.replace(/[\s\u2009\u202f]/g, "").replaceAll(MINUS, "-");
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) return null;
  const value = Number(plain);
  return Number.isFinite(value) ? value : null;
}

/** A power of ten: 10⁻³. */
export function formatPower(exponent: number): string {
  const raised = [...String(exponent)].map((sign) => SUPERSCRIPT["-0123456789".indexOf(sign)]).join("");
  return `10${raised}`;
}

/** A whole number, exact: 22 713 216. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return groupThousands(Math.round(value).toFixed(0)).replace("-", MINUS);
}

/** A whole number in little room: 22.7M, 147k, 384. */
export function formatShort(value: number): string {
  if (!Number.isFinite(value)) return "–";
  for (const [unit, suffix] of [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (value >= unit * 0.9995) {
      const scaled = value / unit;
      return `${scaled >= 99.95 ? scaled.toFixed(0) : Number(scaled.toPrecision(3))}${suffix}`;
    }
  }
  return value.toFixed(0);
}

/** A share as a percentage that never claims 0 % or 100 % when it is not: 0.82 %, <0.01 %. */
export function formatShare(share: number): string {
  if (!Number.isFinite(share)) return "–";
  const percent = share * 100;
  if (percent === 0) return `0${THIN}%`;
  if (percent < 0.01) return `<0.01${THIN}%`;
  if (percent > 99.99 && percent < 100) return `>99.99${THIN}%`;
  return `${Number(percent.toPrecision(percent >= 10 ? 4 : 3))}${THIN}%`;
}

/** A size in bytes, decimal units: 90.9 MB. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return "–";
  for (const [unit, suffix] of [
    [1e12, "TB"],
    [1e9, "GB"],
    [1e6, "MB"],
    [1e3, "kB"],
  ] as const) {
    // 999.9 of a unit is 1.00 of the next one.
    if (bytes >= unit * 0.9995) return `${(bytes / unit).toPrecision(3)}${THIN}${suffix}`;
  }
  return `${bytes}${THIN}B`;
}

/** A shape: 384 × 1 536; "scalar" for none. */
export function formatShape(shape: readonly number[]): string {
  return shape.length === 0 ? "scalar" : shape.map(formatCount).join(" × ");
}

/** A position: [99, 856]. */
export function formatPosition(position: readonly number[]): string {
  return `[${position.join(", ")}]`;
}

function groupThousands(number: string): string {
  const [whole = "", fraction] = number.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** 3.200e+7 as 3.2e7 */
function shortExponent(text: string): string {
  return text.replace(/\.?0+e/, "e").replace("e+", "e");
}

function realMinus(text: string): string {
  return text.replaceAll("-", MINUS);
}
