/** How a tensor's value stands among those of the others. Pure. */

import type { Overview } from "../../overview";

export interface Rank {
  /** Share of the tensors with smaller values, ties counted half: 0 for the smallest, 1 for the largest. */
  share: number;
  /** "3rd largest of 103" */
  text: string;
}

/** Fewer tensors make no ranking. */
const FEWEST = 4;

/** @returns null for modules, for tensors that do not pass, and where there is too little to compare with */
export function rankOf(overview: Overview, key: string, row: number, passes: Uint8Array): Rank | null {
  if (!overview.isTensor(row) || !passes[row]) return null;
  const column = overview.column(key);
  const own = column[row] as number;
  if (!Number.isFinite(own)) return null;
  let less = 0;
  let more = 0;
  let equal = 0;
  for (let other = 0; other < overview.tensors; other++) {
    if (!passes[other] || overview.sharedWith(other) >= 0) continue;
    const value = column[other] as number;
    if (value < own) less++;
    else if (value > own) more++;
    else if (value === own) equal++;
  }
  const all = less + more + equal;
  if (all < FEWEST || equal === all) return null;
  // A tied tensor is not among the counted; its first name is.
  const share = all > 1 ? (less + Math.max(0, equal - 1) / 2) / (all - 1) : 0;
  const from = more <= less ? `${ordinal(more + 1)}largest` : `${ordinal(less + 1)}smallest`;
  return { share: Math.min(1, share), text: `${from} of ${all} tensors` };
}

function ordinal(n: number): string {
  if (n === 1) return "";
  const teen = n % 100 >= 11 && n % 100 <= 13;
  const ending = teen ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${ending} `;
}
