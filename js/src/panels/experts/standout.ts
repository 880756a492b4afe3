/** Experts that are unlike the others of their layer, or like noise. Pure. */

import { formatNumber } from "../../draw/format";
import { median } from "./layers";

/** What is known of one role of a layer's experts; NaN where it is not. */
export interface Group {
  readonly layer: number;
  readonly role: string;
  readonly shape: readonly number[];
  readonly std: ArrayLike<number>;
  readonly absmax: ArrayLike<number>;
  readonly nonfinite: ArrayLike<number>;
  readonly noise: ArrayLike<number> | null;
  /** Cosines with each other. */
  readonly cosines: ArrayLike<number> | null;
}

export interface Standout {
  readonly layer: number;
  readonly role: string;
  /** -1: all of the layer. */
  readonly expert: number;
  readonly what: string;
  /** How far out it is, to sort by. */
  readonly weight: number;
}

/** Below this times the largest singular value of noise, weights are like noise. */
export const NOISE = 1.03;
/** Smaller matrices than that are like noise too often. */
const LEAST_WEIGHTS = 1000;
const LEAST_SIDE = 16;
/** How many (scaled) median deviations from the median an expert stands out, and by which share at least. */
const DEVIATIONS = 6;
const SHARE = 0.1;
/** Cosine above which one is a copy. */
const COPY = 0.999;

export function standouts(groups: readonly Group[]): Standout[] {
  return groups
    .flatMap(ofGroup)
    .sort((a, b) => b.weight - a.weight || a.layer - b.layer || a.expert - b.expert);
}

function ofGroup(group: Group): Standout[] {
  const { layer, role, std } = group;
  const count = std.length;
  const found: Standout[] = [];
  const add = (expert: number, what: string, weight: number): void => {
    found.push({ layer, role, expert, what, weight });
  };
  const fresh = likeNoise(group);
  if (fresh.length === count && count > 1) {
    add(-1, "all experts are like noise: never trained, or hardly", 5000);
  } else {
    for (const expert of fresh) {
      const ratio = (group.noise as ArrayLike<number>)[expert] as number;
      add(
        expert,
        `like noise (largest singular value ${formatNumber(ratio, 3)} × that of noise): hardly trained?`,
        4000,
      );
    }
  }
  const middle = median(std);
  const spread = 1.4826 * median(Float64Array.from(std, (value) => Math.abs(value - middle)));
  for (let expert = 0; expert < count; expert++) {
    if ((group.nonfinite[expert] as number) > 0) {
      add(expert, "holds NaN or infinities", 10000);
      continue;
    }
    if (group.absmax[expert] === 0) {
      add(expert, "all zero", 9000);
      continue;
    }
    const value = std[expert] as number;
    const off = Math.abs(value - middle);
    if (count >= 4 && middle > 0 && off > DEVIATIONS * spread && off > SHARE * middle)
      add(
        expert,
        `std ${formatNumber(value / middle, 3)} × the layer's median`,
        1000 * Math.abs(Math.log(value / middle)),
      );
  }
  const { cosines } = group;
  if (cosines && cosines.length === count * count) {
    for (let a = 0; a < count; a++) {
      for (let b = 0; b < a; b++) {
        const cosine = cosines[a * count + b] as number;
        if (Math.abs(cosine) > COPY) {
          add(a, `a copy of expert ${b} (cosine ${formatNumber(cosine, 4)})`, 3000);
          break;
        }
      }
    }
  }
  return found;
}

function likeNoise({ shape, noise, std }: Group): number[] {
  const rows = shape[0] ?? 0;
  const columns = shape.slice(1).reduce((a, b) => a * b, 1);
  if (!noise || rows * columns < LEAST_WEIGHTS || Math.min(rows, columns) < LEAST_SIDE) return [];
  return Array.from({ length: std.length }, (_, expert) => expert).filter(
    (expert) => (noise[expert] as number) < NOISE,
  );
}
