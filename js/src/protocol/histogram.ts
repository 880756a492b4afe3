/** Histograms and counts. Mirrors weightwidget/wire/protocol/histogram.py. */

export interface HistogramRequests {
  histogram: {
    request: {
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
    request: { path: string; range: [number, number] };
    reply: { count: number; total: number; exact: boolean };
  };
}
