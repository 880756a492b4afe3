/**
 * The layer filter: which tensors pass the query and the facets. The kernel follows the same rules in
 * weightwidget/summary/query.py, where the language is described; tests/protocol/query.json holds the two together.
 */

import type { Range } from "./model";
import type { Overview } from "./overview";
import { compileQuery, type Query } from "./query/compile";
import { inRange, isExact } from "./query/numbers";

export interface QueryResult {
  /** One entry a tensor: 1 if it passes the query and all facets. */
  passes: Uint8Array;
  count: number;
  /** What is wrong with the query, worded for its writer; "" if nothing is. A faulty term does not filter. */
  error: string;
}

export function runQuery(overview: Overview, query: string, facets: Record<string, Range>): QueryResult {
  const passes = queryMask(overview, query).slice();
  for (const [key, range] of Object.entries(facets)) {
    const within = facetMask(overview, key, range);
    for (let row = 0; row < passes.length; row++)
      passes[row] = (passes[row] as number) & (within[row] as number);
  }
  let count = 0;
  for (const pass of passes) count += pass;
  return { passes, count, error: compiled(query).error };
}

/** Which tensors pass the query alone. Not to be written to. */
export function queryMask(overview: Overview, query: string): Uint8Array {
  if (lastMask?.overview === overview && lastMask.query === query) return lastMask.mask;
  const mask = new Uint8Array(overview.tensors).fill(1);
  for (const predicate of compiled(query).predicates) {
    const holds = predicate(overview);
    for (let row = 0; row < mask.length; row++) mask[row] = (mask[row] as number) & (holds[row] as number);
  }
  lastMask = { overview, query, mask };
  return mask;
}

/** Which tensors lie within the range of a statistic, ends included. NaN does not. */
export function facetMask(overview: Overview, key: string, [low, high]: Range): Uint8Array {
  const column = overview.column(key);
  const exact = isExact(key);
  const mask = new Uint8Array(overview.tensors);
  for (let row = 0; row < mask.length; row++) {
    mask[row] = Number(inRange(column[row] ?? Number.NaN, low, high, exact));
  }
  return mask;
}

/** Pieces of text, folded, that the query asks of names: to be marked in them. */
export function marksOf(query: string): readonly string[] {
  return compiled(query).marks;
}

/** The query that finds a text literally, whatever characters it has. */
export function quote(name: string): string {
  return `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

// A drag runs the same query with other facets many times a second: the last one is kept.
let lastMask: { overview: Overview; query: string; mask: Uint8Array } | null = null;
let lastQuery: { text: string; query: Query } | null = null;

function compiled(text: string): Query {
  if (lastQuery?.text !== text) lastQuery = { text, query: compileQuery(text) };
  return lastQuery.query;
}
