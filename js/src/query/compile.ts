/** Terms to predicates. Mirrors weightwidget/summary/query.py, which documents the language. */

import type { Overview } from "../overview";
import { STATISTICS } from "../statistics";
import { compileGlob, fold, type Glob } from "./glob";
import { compare, inRange, isExact } from "./numbers";
import { cut, isNumberKey, OPERATOR, splitAt, type Term, termsOf } from "./terms";

/** Sets the mask of tensors that hold. */
export type Predicate = (overview: Overview) => Uint8Array;

export interface Query {
  predicates: Predicate[];
  error: string;
  /** Folded pieces of text that the query asks of names, to be marked in them. */
  marks: string[];
}

const TEXT_KEYS = ["name", "kind", "role", "dtype", "shape"];
const EXAMPLES: Record<string, string> = {
  kind: "Linear",
  role: "bias",
  dtype: "float32",
  shape: "384x*",
  name: "weight",
};
const DTYPES = new Map([
  ["bf16", "bfloat16"],
  ["fp16", "float16"],
  ["f16", "float16"],
  ["half", "float16"],
  ["fp32", "float32"],
  ["f32", "float32"],
  ["float", "float32"],
  ["fp64", "float64"],
  ["f64", "float64"],
  ["double", "float64"],
]);
const UNITS = new Map([
  ["k", 1e3],
  ["m", 1e6],
  ["g", 1e9],
  ["t", 1e12],
]);
const SAME = new Map([
  ["==", "="],
  ["≤", "<="],
  ["≥", ">="],
  ["≠", "!="],
]);
const KEYED = new RegExp(`^([a-z_][a-z0-9_]*)(:|${OPERATOR})`);
const NUMBER = /^([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?)(?:(%)|([kmgt]?)(b?))$/;
const SHAPE = /^(?:scalar|[0-9x*?]+)$/;

/** A term that does not filter; the message is for its writer. */
class Fault extends Error {}

export function compileQuery(text: string): Query {
  const query: Query = { predicates: [], error: "", marks: [] };
  for (const term of termsOf(text)) {
    try {
      query.predicates.push(compileTerm(term, query.marks));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      query.error ||= `“${clip(term.raw)}”${error.message}`;
    }
  }
  return query;
}

function compileTerm(term: Term, marks: string[]): Predicate {
  if (!term.closed) throw new Fault(' is not finished: close the quote with "');
  let negated = false;
  let body = term;
  while (body.mask[0] === "-" || body.mask[0] === "!") {
    negated = !negated;
    body = cut(body, 1);
  }
  const wanted = negated ? [] : marks;
  const keyed = KEYED.exec(body.mask);
  let predicate: Predicate;
  if (keyed) {
    const [whole, key = "", operator = ""] = keyed;
    predicate = compileKeyed(key, SAME.get(operator) ?? operator, cut(body, whole.length), wanted);
  } else if (!body.text && term.raw.includes('"')) {
    predicate = (overview) => new Uint8Array(overview.tensors).fill(1);
  } else {
    predicate = compileText("name", body, `: write what to leave out after the ${term.raw[0]}`, wanted);
  }
  return negated ? not(predicate) : predicate;
}

function compileKeyed(key: string, operator: string, value: Term, marks: string[]): Predicate {
  if (TEXT_KEYS.includes(key)) {
    if (![":", "=", "!="].includes(operator)) {
      throw new Fault(`: ${key} is text, not a number; write ${key}:…`);
    }
    const unfinished = ` is not finished: write what to look for, as in ${key}:${EXAMPLES[key]}`;
    const predicate = compileText(key, value, unfinished, operator === "!=" ? [] : marks);
    return operator === "!=" ? not(predicate) : predicate;
  }
  if (!isNumberKey(key)) throw new Fault(unknown(key, operator));
  const exact = isExact(key);
  if (operator === ":") {
    const ranges = splitAt(value, "|").map((part) => rangeOf(key, part));
    return where(key, (x) => ranges.some(([low, high]) => inRange(x, low, high, exact)));
  }
  if (!value.text) {
    throw new Fault(` is not finished: write a number after it, as in ${key}${operator}${example(key)}`);
  }
  const number = numberOf(key, value.text);
  return where(key, (x) => compare(x, operator, number, exact));
}

function compileText(key: string, value: Term, unfinished: string, marks: string[]): Predicate {
  const parts = splitAt(value, "|").filter((part) => part.text);
  if (parts.length === 0) {
    throw new Fault(value.text ? " is not finished: write something beside the |" : unfinished);
  }
  const globs = parts.map((part) => textGlob(key, part));
  if (key === "name") marks.push(...globs.flatMap((glob) => glob.literals));
  const test = (text: string): boolean => globs.some((glob) => glob.test(text));
  switch (key) {
    case "kind":
      return containing(test);
    case "role":
      return remembered((overview, row) => overview.role(row), test);
    case "dtype":
      return remembered((overview, row) => overview.dtype(row), test);
    case "shape":
      return remembered((overview, row) => overview.shape(row).join("x") || "scalar", test);
    default:
      return (overview) => {
        const names = foldedNames(overview);
        return Uint8Array.from({ length: overview.tensors }, (_, row) => Number(test(names[row] as string)));
      };
  }
}

function textGlob(key: string, part: Term): Glob {
  let { text, mask } = part;
  if (key === "dtype" && DTYPES.has(text)) {
    text = mask = DTYPES.get(text) as string;
  } else if (key === "shape") {
    text = mask = text.replaceAll("×", "x").replaceAll(",", "x");
    if (!SHAPE.test(text)) {
      throw new Fault(": a shape is written as 384x1536, with * for any; scalar for no axes");
    }
  }
  return compileGlob(text, mask, key !== "name");
}

/** Tests texts that many tensors share, each once. */
function remembered(
  textOf: (overview: Overview, row: number) => string,
  test: (text: string) => boolean,
): Predicate {
  return (overview) => {
    const known = new Map<string, number>();
    return Uint8Array.from({ length: overview.tensors }, (_, row) => {
      const text = textOf(overview, row);
      let holds = known.get(text);
      if (holds === undefined) {
        holds = Number(test(fold(text)));
        known.set(text, holds);
      }
      return holds;
    });
  };
}

/** Tests the class of the module that owns a tensor and of all modules around that. */
function containing(test: (kind: string) => boolean): Predicate {
  return (overview) => {
    const fits = (row: number): boolean => {
      const kind = row < 0 ? "" : overview.kind(row);
      return kind !== "" && test(fold(kind));
    };
    const root = fits(overview.moduleRowOf(""));
    const known = new Map<string, boolean>();
    const inside = (path: string): boolean => {
      const dot = path.lastIndexOf(".");
      if (dot <= 0) return root;
      const owner = path.slice(0, dot);
      let holds = known.get(owner);
      if (holds === undefined) {
        holds = fits(overview.moduleRowOf(owner)) || inside(owner);
        known.set(owner, holds);
      }
      return holds;
    };
    return Uint8Array.from({ length: overview.tensors }, (_, row) =>
      // The tensor's own kind: its owner need not be among the modules of the overview.
      Number(inside(overview.names[row] as string) || fits(row)),
    );
  };
}

function where(key: string, test: (value: number) => boolean): Predicate {
  return (overview) => {
    const value = numbersOf(overview, key);
    return Uint8Array.from({ length: overview.tensors }, (_, row) => Number(test(value(row))));
  };
}

function numbersOf(overview: Overview, key: string): (row: number) => number {
  if (key === "ndim") return (row) => overview.shape(row).length;
  const column = overview.column(key);
  return (row) => column[row] ?? Number.NaN;
}

function not(predicate: Predicate): Predicate {
  return (overview) => predicate(overview).map((holds) => 1 - holds);
}

const folded = new WeakMap<readonly string[], string[]>();

function foldedNames(overview: Overview): string[] {
  let names = folded.get(overview.names);
  if (!names) {
    names = overview.names.map(fold);
    folded.set(overview.names, names);
  }
  return names;
}

function rangeOf(key: string, part: Term): [number, number] {
  if (part.text === "" || part.text === "..") {
    throw new Fault(
      ` is not finished: write a range after it, as in ${key}:${example(key)}..${example(key, true)}`,
    );
  }
  const at = part.mask.indexOf("..");
  if (at < 0) {
    const number = numberOf(key, part.text);
    return [number, number];
  }
  const lowText = part.text.slice(0, at);
  const highText = part.text.slice(at + 2);
  const low = lowText ? numberOf(key, lowText) : Number.NEGATIVE_INFINITY;
  const high = highText ? numberOf(key, highText) : Number.POSITIVE_INFINITY;
  if (low > high) {
    throw new Fault(` holds for nothing: write the lower end first, ${key}:${highText}..${lowText}`);
  }
  return [low, high];
}

function numberOf(key: string, text: string): number {
  const found = NUMBER.exec(text.replaceAll("−", "-"));
  if (!found) throw new Fault(`: “${clip(text)}” is not a number; write one such as 0.1, 50% or 1M`);
  const [, digits, percent, unit, byte] = found;
  if (byte && key !== "bytes") throw new Fault(`: ${key} is not in bytes; leave out the B`);
  return percent ? Number(digits) / 100 : Number(digits) * (UNITS.get(unit ?? "") ?? 1);
}

function example(key: string, upper = false): string {
  if (key === "ndim") return upper ? "4" : "2";
  if (isExact(key)) return upper ? "1M" : "1k";
  return upper ? "0.5" : "0.1";
}

function unknown(key: string, operator: string): string {
  const numbers = [...STATISTICS.map((statistic) => statistic.key), "ndim"];
  const known = operator === ":" ? [...TEXT_KEYS, ...numbers] : numbers;
  const near = nearest(key, known);
  const what = operator === ":" ? "key" : "statistic";
  const remedy = near ? `did you mean ${near}?` : `there are ${known.join(", ")}.`;
  return `: there is no ${what} “${clip(key)}”; ${remedy} To look for this text in names, put it in quotes.`;
}

/** The known word that begins like this one, else the one fewest edits away; empty if none is near. */
function nearest(word: string, known: string[]): string {
  if (word.length > 20) return "";
  const start = known.find((one) => word.length > 2 && (one.startsWith(word) || word.startsWith(one)));
  if (start) return start;
  const distances = known.map((one) => distance(word, one));
  const best = Math.min(...distances);
  return best <= (word.length < 4 ? 1 : 2) ? (known[distances.indexOf(best)] as string) : "";
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const above = row;
    row = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const swap = (above[j] as number) + Number(a[i] !== b[j]);
      row.push(Math.min((above[j + 1] as number) + 1, (row[j] as number) + 1, swap));
    }
  }
  return row[b.length] as number;
}

function clip(text: string): string {
  const points = [...text];
  return points.length <= 40 ? text : `${points.slice(0, 39).join("")}…`;
}
