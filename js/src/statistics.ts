/** The statistics that columns, facets and queries know. Mirrors weightwidget/summary/table.py. */

export type StatisticFormat = "number" | "count" | "share" | "bytes";

export interface Statistic {
  readonly key: string;
  readonly label: string;
  readonly format: StatisticFormat;
  /** One sentence for the tooltip. */
  readonly help: string;
}

export const STATISTICS: readonly Statistic[] = [
  { key: "std", label: "std", format: "number", help: "standard deviation (population, ddof = 0)" },
  { key: "mean", label: "mean", format: "number", help: "arithmetic mean of the finite weights" },
  { key: "min", label: "min", format: "number", help: "smallest finite weight" },
  { key: "max", label: "max", format: "number", help: "largest finite weight" },
  { key: "absmax", label: "max |w|", format: "number", help: "largest magnitude" },
  { key: "median", label: "median", format: "number", help: "median of the finite weights" },
  { key: "rms", label: "rms", format: "number", help: "root of the mean square" },
  { key: "l1", label: "‖w‖₁", format: "number", help: "sum of magnitudes" },
  { key: "l2", label: "‖w‖₂", format: "number", help: "Euclidean (Frobenius) norm" },
  { key: "skewness", label: "skew", format: "number", help: "third standardised moment, 0 if symmetric" },
  {
    key: "kurtosis",
    label: "ex. kurt",
    format: "number",
    help: "excess kurtosis: 0 for a normal, −1.2 for a uniform distribution",
  },
  { key: "sparsity", label: "zeros %", format: "share", help: "share of weights that are exactly zero" },
  { key: "zeros", label: "zeros", format: "count", help: "weights that are exactly zero" },
  { key: "nan", label: "NaN", format: "count", help: "weights that are not a number" },
  { key: "inf", label: "Inf", format: "count", help: "infinite weights of either sign" },
  { key: "count", label: "weights", format: "count", help: "number of elements" },
  { key: "bytes", label: "bytes", format: "bytes", help: "stored size" },
];

export const STATISTIC = new Map(STATISTICS.map((s) => [s.key, s]));
