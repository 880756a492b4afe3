/** How statistics are compared. Mirrors weightwidget/summary/query.py, which gives the reasons. */

const TOLERANCE = 1e-6;
const EXACT: ReadonlySet<string> = new Set(["ndim", "zeros", "nan", "inf", "count", "bytes"]);

/** Counts are compared exactly, everything else to a millionth. */
export function isExact(key: string): boolean {
  return EXACT.has(key);
}

/** NaN is unequal to every number and fails all else. */
export function compare(value: number, operator: string, number: number, exact: boolean): boolean {
  const equal = same(value, number, exact);
  switch (operator) {
    case "=":
      return equal;
    case "!=":
      return !equal;
    case "<":
      return value < number && !equal;
    case ">":
      return value > number && !equal;
    case "<=":
      return value < number || equal;
    default:
      return value > number || equal;
  }
}

export function inRange(value: number, low: number, high: number, exact: boolean): boolean {
  return (value >= low || same(value, low, exact)) && (value <= high || same(value, high, exact));
}

function same(value: number, number: number, exact: boolean): boolean {
  if (value === number) return true;
  if (exact || !Number.isFinite(value) || !Number.isFinite(number)) return false;
  return Math.abs(value - number) <= TOLERANCE * Math.max(Math.abs(value), Math.abs(number));
}
