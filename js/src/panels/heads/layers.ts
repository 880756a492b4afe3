/** Which attention layer and head a path belongs to. Pure. */

import { type AttentionLayer, type HeadBlocks, PROJECTIONS, SEPARATOR } from "../../anatomy";
import type { Overview } from "../../overview";

/** A layer and, if one is meant, a head of it; −1 for the layer as a whole. */
export interface Place {
  readonly layer: AttentionLayer;
  readonly head: number;
}

const HEAD = / › head (\d{1,9})(?= › |$)/;

/** The attention layer, and the query head, that a path lies in; null if it lies in none. */
export function placeOf(overview: Overview, path: string): Place | null {
  const { attention } = overview.layers;
  const cut = path.indexOf(SEPARATOR);
  const owner = cut < 0 ? path : path.slice(0, cut);
  const number = Number(HEAD.exec(path)?.[1] ?? -1);
  const row = overview.rowOf(owner);
  if (row >= 0 && overview.isTensor(row)) {
    for (const layer of attention) {
      const blocks = PROJECTIONS.map((name) => layer[name]).filter((one) => one?.tensor === row);
      if (blocks.length === 0) continue;
      return { layer, head: number < 0 ? -1 : queryHead(layer, blocks as HeadBlocks[], path, number) };
    }
  }
  const layer =
    attention.find((one) => one.path === owner) ?? attention.find((one) => inside(owner, one.path));
  return layer ? { layer, head: number < layer.heads ? number : -1 } : null;
}

/** Blocks of keys and values are numbered by their own heads: the first query head that reads one stands for it. */
function queryHead(
  layer: AttentionLayer,
  blocks: readonly HeadBlocks[],
  path: string,
  number: number,
): number {
  const shared =
    layer.kv_heads < layer.heads && (blocks.length === 1 ? blocks[0]?.count : kvCount(layer, path));
  const head = shared && shared < layer.heads ? Math.floor((number * layer.heads) / shared) : number;
  return head < layer.heads ? head : -1;
}

function kvCount(layer: AttentionLayer, path: string): number {
  return / › [kv] › /.test(path) ? layer.kv_heads : layer.heads;
}

/** Whether a path is a module, or lies inside it. */
export function inside(path: string, module: string): boolean {
  return (
    module === "" || path === module || path.startsWith(`${module}.`) || path.startsWith(module + SEPARATOR)
  );
}

/** Whether attention layers lie inside a module, or a path inside one of them. */
export function concernsAttention(overview: Overview, row: number, path: string): boolean {
  const { attention } = overview.layers;
  if (attention.length === 0) return false;
  if (path === "") return true;
  if (placeOf(overview, path)) return true;
  return !overview.isTensor(row) && attention.some((layer) => inside(layer.path, path));
}

/** Path of a head. */
export function headPath(layer: AttentionLayer, head: number): string {
  return `${layer.path}${SEPARATOR}head ${head}`;
}

/** Key and value head that a query head reads. */
export function kvHead(layer: AttentionLayer, head: number): number {
  return Math.floor((head * layer.kv_heads) / layer.heads);
}

/** What kind of attention it is, by its heads: "12 heads of 64", "8 heads of 64 on 2 key/value heads". */
export function describeHeads(layer: AttentionLayer): string {
  const heads = `${layer.heads} ${layer.heads === 1 ? "head" : "heads"} of ${layer.head_dim}`;
  if (layer.kv_heads === layer.heads) return heads;
  if (layer.kv_heads === 1) return `${heads}, all on one key/value head (multi-query)`;
  return `${heads} on ${layer.kv_heads} key/value heads (grouped-query)`;
}

/**
 * Tensors that are projections of attention, but of which it is not known where their heads lie; by row.
 */
export function headless(overview: Overview): readonly number[] {
  const known = new Set(
    overview.layers.attention.flatMap((layer) => PROJECTIONS.map((name) => layer[name]?.tensor ?? -1)),
  );
  const found: number[] = [];
  for (let row = 0; row < overview.tensors; row++) {
    const axes = overview.axes(row);
    const parted = axes?.what === "attention" && axes.names.some((name) => /\bhead\b/.test(name));
    if (parted && overview.shape(row).length > 1 && !known.has(row)) found.push(row);
  }
  return found;
}

/** Norms of heads from the norms of rows and columns that the overview holds: without a kernel. */
export interface RoughNorms {
  /** One for each head of the projection. */
  readonly values: Float64Array;
  /** False where the overview holds only the largest norm of some rows: the values are then upper bounds. */
  readonly exact: boolean;
}

export function roughNorms(overview: Overview, blocks: HeadBlocks): RoughNorms | null {
  const shape = overview.shape(blocks.tensor);
  const norms = overview.profiles(blocks.tensor)?.[blocks.axis === 0 ? "rows" : "cols"];
  if (shape.length !== 2 || !norms || norms.length === 0) return null;
  const length = shape[blocks.axis] as number;
  const values = new Float64Array(blocks.count);
  for (let head = 0; head < blocks.count; head++) {
    const run = blocks.run ?? 1;
    const start = blocks.first + Math.floor(head / run) * blocks.step + (head % run) * blocks.size;
    let sum = 0;
    for (let at = start; at < start + blocks.size; at++) {
      // Entry k of m holds the largest norm of the rows from k * length / m on.
      const entry = Math.floor(((at + 1) * norms.length - 1) / length);
      sum += (norms[entry] as number) ** 2;
    }
    values[head] = Math.sqrt(sum);
  }
  return { values, exact: norms.length === length };
}
