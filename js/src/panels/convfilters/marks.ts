/** Filters that stand out: dead, weak, copies, broken. */

import type { Similarity } from "./facts";
import type { LayerNorms } from "./local";
import { descending } from "./order";

/** Share of the strongest filter's norm below which one is weak. */
export const WEAK = 0.05;

export type Mark = "dead" | "weak" | "copy" | "not finite";

export interface Marks {
  /** Of a filter, "" for none. */
  of(filter: number): Mark | "";
  /** For whom the mark is not enough: "copy of 3, of opposite sign (cos −0.9995)". */
  words(filter: number): string;
  readonly counts: ReadonlyMap<Mark, number>;
  /** Place of a filter by norm, from 1. */
  rank(filter: number): number;
  readonly strongest: number;
}

export function marksOf(norms: LayerNorms | null, similarity: Similarity | null): Marks {
  const count = norms?.norms.length ?? 0;
  const marks: (Mark | "")[] = new Array(count).fill("");
  const counts = new Map<Mark, number>();
  let strongest = 0;
  for (const norm of norms?.norms ?? []) if (norm > strongest) strongest = norm;
  for (let filter = 0; filter < count; filter++) {
    const norm = norms?.norms[filter] as number;
    let mark: Mark | "" = "";
    if ((norms?.nonfinite?.[filter] ?? 0) > 0) mark = "not finite";
    else if (norm === 0) mark = "dead";
    else if (norm < WEAK * strongest) mark = "weak";
    else if ((similarity?.copyOf[filter] ?? -1) >= 0) mark = "copy";
    marks[filter] = mark;
    if (mark) counts.set(mark, (counts.get(mark) ?? 0) + 1);
  }
  let ranks: Int32Array | null = null;
  return {
    of: (filter) => marks[filter] ?? "",
    words: (filter) => wordsOf(marks[filter] ?? "", filter, norms, similarity),
    counts,
    rank: (filter) => {
      if (!ranks && norms) {
        ranks = new Int32Array(count);
        descending(norms.norms).forEach((at, place) => {
          (ranks as Int32Array)[at] = place + 1;
        });
      }
      return ranks?.[filter] ?? 0;
    },
    strongest,
  };
}

function wordsOf(
  mark: Mark | "",
  filter: number,
  norms: LayerNorms | null,
  similarity: Similarity | null,
): string {
  switch (mark) {
    case "dead":
      return "dead: every weight is exactly 0";
    case "weak":
      return "weak: under 5 % of the strongest norm";
    case "not finite": {
      const count = norms?.nonfinite?.[filter] ?? 0;
      return `${count} of its weights ${count === 1 ? "is" : "are"} NaN or infinite`;
    }
    case "copy": {
      const first = similarity?.copyOf[filter] ?? filter;
      const cosine = similarity?.cosine[filter] ?? 1;
      if (first === filter) return "other filters are copies of it (|cos| > 0.999)";
      return cosine < 0
        ? `copy of ${first} with the sign turned (cos < −0.999)`
        : `copy of ${first} (cos > 0.999)`;
    }
    default:
      return "";
  }
}

/** The line that counts them. */
export function countsLine(marks: Marks, filters: number, thing: string): string {
  const of = (mark: Mark): number => marks.counts.get(mark) ?? 0;
  const are = (count: number): string => (count === 1 ? "is" : "are");
  const parts: string[] = [];
  if (of("not finite")) parts.push(`${of("not finite")} ${are(of("not finite"))} not finite`);
  if (of("dead")) parts.push(`${of("dead")} ${are(of("dead"))} all zero`);
  if (of("weak")) parts.push(`${of("weak")} ${are(of("weak"))} under 5 % of the strongest`);
  if (of("copy")) parts.push(`${of("copy")} ${are(of("copy"))} copies of one another`);
  const [first, ...others] = parts;
  const all = `${filters} ${thing}`;
  if (!first) return all;
  return [`${first.replace(" ", ` of ${all} `)}`, ...others].join(", ");
}
