/** What the kernel sends of a spectrum, unpacked. */

import { doubles, floats, integers } from "../../buffers";
import { NUMBERS, type NumberName, type Reply } from "../../protocol";

/** A singular vector along its side of the matrix. */
export interface Vector {
  /** Elements of the side; `low` and `high` may have fewer steps. */
  readonly length: number;
  readonly low: Float32Array;
  readonly high: Float32Array;
  /** Over how many elements it is spread: 1 / sum of u⁴. */
  readonly participation: number;
  /** Where the elements of largest magnitude are, and what they are. */
  readonly places: Int32Array;
  readonly elements: Float32Array;
}

export interface Curve {
  readonly ranks: Float64Array;
  readonly values: Float64Array;
}

export interface Initialiser extends Curve {
  readonly text: string;
  readonly certain: boolean;
  readonly std: number | null;
}

export interface Top {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float64Array;
  /** There is a singular value of the matrix no further away. */
  readonly errors: Float64Array;
  readonly frobenius: number;
  readonly left: readonly Vector[];
  readonly right: readonly Vector[];
  readonly seconds: number | null;
  readonly whyNot: string;
  readonly shuffles: boolean;
  readonly init: Initialiser | null;
}

/** The law of noise of variance 1, for x = σ² / larger side. */
export interface Law {
  readonly x: Float64Array;
  readonly perDecade: Float64Array;
  readonly below: Float64Array;
}

export interface Full {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float64Array;
  readonly numbers: Readonly<Record<NumberName, number>>;
  readonly method: "svd" | "qr" | "gram";
  /** Squared singular values of the matrices at all places of a kernel, ascending; null where nothing is pooled. */
  readonly pooled: Float64Array | null;
  readonly places: number;
  readonly rank: number;
  readonly rankIsLimited: boolean;
  readonly conditionIsLimited: boolean;
  readonly spikes: number;
  readonly tail: number;
  readonly law: Law | null;
}

export function readTop(reply: Reply<"spectrum.top">): Top {
  const [values, errors, participation, left, right, leftAt, rightAt, leftMost, rightMost, ranks, init] =
    reply.buffers;
  const sizes = doubles(values);
  const spread = doubles(participation);
  // The vectors of zero are none.
  const count = spread.length / 2;
  const vectors = (
    side: number,
    profiles: DataView | undefined,
    at: DataView | undefined,
    most: DataView | undefined,
  ): Vector[] => {
    const all = floats(profiles);
    const places = integers(at);
    const elements = floats(most);
    const steps = reply.steps[side] as number;
    const largest = count ? places.length / count : 0;
    return Array.from({ length: count }, (_, k) => ({
      length: side === 0 ? reply.rows : reply.cols,
      low: all.subarray(k * steps, (k + 1) * steps),
      high: all.subarray((count + k) * steps, (count + k + 1) * steps),
      participation: spread[side * count + k] as number,
      places: places.subarray(k * largest, (k + 1) * largest),
      elements: elements.subarray(k * largest, (k + 1) * largest),
    }));
  };
  return {
    rows: reply.rows,
    cols: reply.cols,
    values: sizes,
    errors: doubles(errors),
    frobenius: reply.frobenius,
    left: vectors(0, left, leftAt, leftMost),
    right: vectors(1, right, rightAt, rightMost),
    seconds: reply.seconds,
    whyNot: reply.why_not,
    shuffles: reply.shuffles,
    init: reply.init && { ...reply.init, ranks: doubles(ranks), values: doubles(init) },
  };
}

export function readFull(reply: Reply<"spectrum">): Full {
  const [values, numbers, pooled, law] = reply.buffers;
  const told = doubles(numbers);
  const named = Object.fromEntries(NUMBERS.map((name, i) => [name, told[i]])) as Record<NumberName, number>;
  const slices = doubles(pooled);
  const table = doubles(law);
  const steps = table.length / 3;
  return {
    rows: reply.rows,
    cols: reply.cols,
    values: doubles(values),
    numbers: named,
    method: reply.method,
    pooled: slices.length > 0 ? slices : null,
    places: reply.places,
    rank: reply.rank,
    rankIsLimited: reply.rank_is_limited,
    conditionIsLimited: reply.condition_is_limited,
    spikes: reply.spikes,
    tail: reply.tail,
    law:
      steps > 0
        ? {
            x: table.subarray(0, steps),
            perDecade: table.subarray(steps, 2 * steps),
            below: table.subarray(2 * steps),
          }
        : null,
  };
}
