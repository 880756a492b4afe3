/** Text of a query to terms. Mirrors weightwidget/summary/terms.py. */

import { STATISTIC } from "../statistics";
import { fold } from "./glob";

/** A term, folded to lower case. `mask` is `text` with NUL for what was quoted: it has only live operators. */
export interface Term {
  raw: string;
  text: string;
  mask: string;
  closed: boolean;
}

export const OPERATOR = "<=|>=|!=|==|=|<|>|≤|≥|≠";
const SPACE = " \t\n\r\v\f\u00a0";
const LONE_KEY = /^[-!]*([a-z_][a-z0-9_]*)$/;
const STARTS_OPERATOR = new RegExp(`^(?:${OPERATOR})`);
const ENDS_OPERATOR = new RegExp(`^[-!]*([a-z_][a-z0-9_]*)(?:${OPERATOR})$`);
const STARTS_NUMBER = /^[-+−]?\.?[0-9]/;

export function isNumberKey(key: string): boolean {
  return key === "ndim" || STATISTIC.has(key);
}

export function termsOf(query: string): Term[] {
  return glue(split(query));
}

export function cut(term: Term, start: number, stop?: number): Term {
  return { ...term, text: term.text.slice(start, stop), mask: term.mask.slice(start, stop), closed: true };
}

export function splitAt(term: Term, separator: string): Term[] {
  const parts: Term[] = [];
  let start = 0;
  for (;;) {
    const at = term.mask.indexOf(separator, start);
    if (at < 0) return [...parts, cut(term, start)];
    parts.push(cut(term, start, at));
    start = at + separator.length;
  }
}

function split(query: string): Term[] {
  const terms: Term[] = [];
  let raw = "";
  let text = "";
  let mask = "";
  let quoted = false;
  let escaped = false;
  for (const char of [...query, " "]) {
    if (!quoted && SPACE.includes(char)) {
      if (raw) terms.push({ raw, text, mask, closed: true });
      raw = text = mask = "";
      continue;
    }
    raw += char;
    if (quoted && !escaped && char === "\\") {
      escaped = true;
    } else if (char === '"' && !escaped) {
      quoted = !quoted;
    } else {
      const folded = fold(char);
      text += folded;
      mask += quoted ? "\0".repeat(folded.length) : folded;
      escaped = false;
    }
  }
  // The last quote is still open; the space that ends the text was taken into it.
  if (raw) terms.push({ raw: raw.slice(0, -1), text, mask, closed: false });
  return terms;
}

/** Joins what was written with spaces around the operator: `std > 0.1`. */
function glue(terms: Term[]): Term[] {
  const out: Term[] = [];
  for (const term of terms) {
    const before = out[out.length - 1];
    if (before?.closed) {
      const lone = LONE_KEY.exec(before.mask)?.[1];
      const open = ENDS_OPERATOR.exec(before.mask)?.[1];
      if (
        (lone !== undefined && isNumberKey(lone) && STARTS_OPERATOR.test(term.mask)) ||
        (open !== undefined && isNumberKey(open) && STARTS_NUMBER.test(term.mask))
      ) {
        out[out.length - 1] = {
          raw: `${before.raw} ${term.raw}`,
          text: before.text + term.text,
          mask: before.mask + term.mask,
          closed: term.closed,
        };
        continue;
      }
    }
    out.push(term);
  }
  return out;
}
