/** Singular values of a matrix. Mirrors weightwidget/wire/protocol/spectrum.py. */

import type { MatrixAddress } from "./heatmap";

/** What the second buffer of a spectrum holds, in that order. */
export const NUMBERS = [
  "spectral_norm",
  "frobenius_norm",
  "stable_rank",
  "effective_rank",
  "condition_number",
  "rank_limit",
  "resolution",
  "noise",
  "mp_edge",
  "spike_limit",
  "alpha",
  "alpha_error",
  "alpha_distance",
  "xmin",
] as const;

export type NumberName = (typeof NUMBERS)[number];

export interface SpectrumRequests {
  "spectrum.top": {
    request: MatrixAddress;
    /**
     * Buffers: float64 values, errors, participation (2, k); float32 left and right profiles (2, k, steps); int32
     * places of the largest elements along rows and columns, float32 these elements along rows and columns; float64
     * ranks and singular values of the initialiser.
     */
    reply: {
      rows: number;
      cols: number;
      frobenius: number;
      /** Steps of the profiles along rows and columns. */
      steps: [number, number];
      /** How long all will take; null where that is refused, for the reason in `why_not`. */
      seconds: number | null;
      why_not: string;
      shuffles: boolean;
      init: { text: string; certain: boolean; std: number | null } | null;
    };
  };
  spectrum: {
    request: MatrixAddress;
    /** Buffers: float64 singular values, NUMBERS, pooled eigenvalues (may be empty), law of noise (may be empty). */
    reply: {
      rows: number;
      cols: number;
      method: "svd" | "qr" | "gram";
      places: number;
      rank: number;
      rank_is_limited: boolean;
      condition_is_limited: boolean;
      spikes: number;
      tail: number;
    };
  };
  "spectrum.shuffled": {
    request: MatrixAddress;
    /** Buffer: float64 singular values. */
    reply: Record<never, never>;
  };
}
