/** Mixtures of experts: which are concerned by what is selected, and where their weights are. Pure. */

import { type ExpertLayer, type ExpertWeights, expertPath, SEPARATOR } from "../../anatomy";
import type { Overview } from "../../overview";

/** The router's place among the roles. */
export const ROUTER = "router";

/** Whether a path is a module around a layer, the layer, or something in it. */
export function concernsExperts(overview: Overview, path: string): boolean {
  return overview.layers.experts.some(
    (layer) => path === "" || around(path, layer.path) || inLayer(overview, layer, path),
  );
}

/** Whether a path is one of a module above another path, or that path. */
function around(path: string, inner: string): boolean {
  return path === inner || path === "" || inner.startsWith(`${path}.`);
}

/** Whether a path is part of a layer: of its experts, or its router. */
export function inLayer(overview: Overview, layer: ExpertLayer, path: string): boolean {
  if (layer.path !== "" && (path === layer.path || path.startsWith(`${layer.path}.`))) return true;
  if (expertAt(layer, path) !== null) return true;
  const tensor = path.split(SEPARATOR)[0] as string;
  if (layer.weights.some(({ pattern, stacked }) => stacked !== null && pattern === tensor)) return true;
  return layer.router !== null && overview.names[layer.router] === tensor;
}

/** The expert that a path belongs to: a module, a tensor or block of it; and the role if it is told. */
export function expertAt(layer: ExpertLayer, path: string): { expert: number; role: string | null } | null {
  for (const { role, pattern, stacked } of layer.weights) {
    if (stacked !== null) {
      const head = `${pattern}${SEPARATOR}expert `;
      if (!path.startsWith(head)) continue;
      const number = /^\d+/.exec(path.slice(head.length))?.[0];
      if (number) return known(layer, Number(number), role);
      continue;
    }
    const star = pattern.indexOf("*");
    const [before, after] = [pattern.slice(0, star), pattern.slice(star + 1)];
    if (!path.startsWith(before)) continue;
    const rest = path.slice(before.length);
    const number = /^\d+/.exec(rest)?.[0];
    if (!number) continue;
    const tail = rest.slice(number.length);
    if (tail === after || tail.startsWith(`${after}${SEPARATOR}`)) return known(layer, Number(number), role);
    // A module of the expert: of which role is not told.
    if (tail === "" || after.startsWith(`${tail}.`)) return known(layer, Number(number), null);
  }
  return null;
}

function known(
  layer: ExpertLayer,
  expert: number,
  role: string | null,
): { expert: number; role: string | null } | null {
  return expert < layer.experts ? { expert, role } : null;
}

/** Roles of all layers, in order of first appearance; the router last. */
export function rolesOf(layers: readonly ExpertLayer[]): string[] {
  const roles = new Set(layers.flatMap((layer) => layer.weights.map(({ role }) => role)));
  const routed = layers.some((layer) => layer.router !== null);
  return routed ? [...roles, ROUTER] : [...roles];
}

export function weightsOf(layer: ExpertLayer, role: string): ExpertWeights | null {
  return layer.weights.find((weights) => weights.role === role) ?? null;
}

/** Path of an expert's weights of a role; null where there are none. */
export function pathOf(layer: ExpertLayer, role: string, expert: number): string | null {
  const weights = weightsOf(layer, role);
  return weights && expert < layer.experts ? expertPath(weights, expert) : null;
}

export function pathsOf(layer: ExpertLayer, role: string): string[] {
  const weights = weightsOf(layer, role);
  return weights ? Array.from({ length: layer.experts }, (_, expert) => expertPath(weights, expert)) : [];
}

/** Shape of one expert's weights. */
export function shapeOf(overview: Overview, layer: ExpertLayer, role: string): readonly number[] {
  const path = pathOf(layer, role, 0);
  return path ? overview.shape(overview.rowOf(path)) : [];
}

/** Multiplications that the comparison of one layer's experts with noise takes, about. */
export function noiseWork(layer: ExpertLayer, shape: readonly number[]): number {
  const rows = shape[0] ?? 0;
  const columns = shape.slice(1).reduce((a, b) => a * b, 1);
  const [small, large] = rows < columns ? [rows, columns] : [columns, rows];
  return layer.experts * (small <= 512 ? 2 * large * small * small : 160 * large * small);
}

/** The middle of some numbers; NaN without any. */
export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(Array.from(values).filter(Number.isFinite)).sort();
  const n = sorted.length;
  if (n === 0) return Number.NaN;
  const upper = sorted[n >> 1] as number;
  return n % 2 === 1 ? upper : ((sorted[(n >> 1) - 1] as number) + upper) / 2;
}

/** Largest magnitude of each row of a square matrix beside its diagonal: to which other expert it is most alike. */
export function mostAlike(
  cosines: ArrayLike<number>,
  n: number,
): { values: Float64Array; which: Int32Array } {
  const values = new Float64Array(n).fill(Number.NaN);
  const which = new Int32Array(n).fill(-1);
  for (let row = 0; row < n; row++) {
    for (let col = 0; col < n; col++) {
      const cosine = cosines[row * n + col] as number;
      if (row === col || Number.isNaN(cosine)) continue;
      const best = values[row] as number;
      if (!(Math.abs(cosine) <= Math.abs(best))) [values[row], which[row]] = [cosine, col];
    }
  }
  return { values, which };
}
