/** L2 norms of rows and columns: from the kernel in full, from the overview in as many steps as it has. */

import { floats } from "../../buffers";
import type { Profiles } from "../../overview";
import type { Reply } from "../../protocol";
import type { MatrixInfo } from "./matrix";

export interface Norms {
  readonly values: Float32Array;
  /** Rows (or columns) that an entry covers: it is the largest norm of them. */
  readonly step: number;
  readonly largest: number;
}

export interface NormProfile {
  readonly rows: Norms;
  readonly cols: Norms;
}

function norms(values: Float32Array, step: number): Norms {
  let largest = 0;
  for (const value of values) if (value > largest) largest = value;
  return { values, step, largest };
}

export function ofKernel(reply: Reply<"profile">): NormProfile | null {
  const [rows, cols] = reply.buffers;
  if (!rows || !cols) return null;
  return { rows: norms(floats(rows), reply.row_step), cols: norms(floats(cols), reply.col_step) };
}

export function ofOverview(matrix: MatrixInfo, profiles: Profiles | null): NormProfile | null {
  if (!profiles || profiles.rows.length === 0 || profiles.cols.length === 0) return null;
  return {
    rows: norms(profiles.rows, matrix.rows / profiles.rows.length),
    cols: norms(profiles.cols, matrix.cols / profiles.cols.length),
  };
}

/** The largest norm of the rows from … to - 1. */
export function largestIn({ values, step }: Norms, from: number, to: number): number {
  const first = Math.max(0, Math.floor(from / step + 1e-9));
  const last = Math.min(values.length, Math.max(first + 1, Math.ceil(to / step - 1e-9)));
  let found = 0;
  for (let i = first; i < last; i++) if ((values[i] as number) > found) found = values[i] as number;
  return found;
}
