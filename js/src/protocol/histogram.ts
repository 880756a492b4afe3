/** Histograms and counts. Mirrors weightwidget/wire/protocol/histogram.py. */

import type { DrawnAxes } from "./heatmap";

/** Rows and columns of the matrix that `axes` and `index` draw: first and last of each, the end exclusive. */
export interface Region {
  rows: [number, number];
  cols: [number, number];
}

/** What restricts a request to a part of a tensor; without `region` it is about all of it. */
export interface Restricted {
  region?: Region | null;
  axes?: DrawnAxes;
  index?: number[];
}

export interface HistogramRequests {
  histogram: {
    request: Restricted & {
      path: string;
      bins: number;
      scale: "value" | "magnitude";
      range?: [number, number] | null;
    };
    /** Buffer: float64 counts. */
    reply: {
      range: [number, number];
      below: number;
      above: number;
      zeros: number;
      nan: number;
      posinf: number;
      neginf: number;
      exact: boolean;
      relative_error: number;
    };
  };
  count: {
    request: Restricted & { path: string; range: [number, number] };
    reply: { count: number; total: number; exact: boolean };
  };
}
