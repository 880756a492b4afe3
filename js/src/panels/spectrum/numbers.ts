/** The numbers of a spectrum: what each is, and how far it can be trusted. */

import { formatCount, formatExact, formatNumber, formatShare } from "../../draw/format";
import type { Full, Top } from "./replies";

export interface SpectrumNumber {
  readonly key: string;
  readonly label: string;
  /** Defines it. */
  readonly help: string;
  readonly text: string;
  /** Stands under it: a limit, a condition. */
  readonly note?: string;
  /** For copying, with all digits; null if there is nothing to copy. */
  readonly copied: string | null;
}

export interface Context {
  readonly top: Top | null;
  readonly full: Full | null;
  /** Of the overview: what is known without a kernel. */
  readonly l2: number;
  readonly conv: boolean;
}

const HELP: Record<string, string> = {
  spectral_norm: "largest singular value σ₁: how much the matrix can lengthen a vector",
  frobenius_norm: "root of the sum of all σ², which is that of all squared weights",
  stable_rank: "‖W‖²F / σ₁²: how many directions as strong as the first hold all the energy",
  effective_rank:
    "exp of the entropy of σᵢ / Σσ, natural logarithm (Roy and Vetterli, 2007): over how many directions the singular values are spread",
  numerical_rank:
    "singular values above σ₁ × larger side × epsilon of the stored type, as torch.linalg.matrix_rank counts them",
  condition_number: "largest over smallest singular value. Large ones are common in healthy layers",
  noise:
    "standard deviation of the noise, estimated from the median singular value (Gavish and Donoho, 2014), for matrices of at least 10 × 10",
  mp_edge:
    "where the singular values of pure noise of that strength end: noise σ × (√rows + √columns) (Marchenko and Pastur, 1967)",
  spikes:
    "singular values beyond the MP edge by more than noise makes likely (1.5 times the Tracy–Widom scale): directions with structure",
  alpha:
    "exponent of a power law fitted to the tail of the squared singular values, ± its standard error; WeightWatcher 0.7.7's recipe",
  alpha_distance:
    "Kolmogorov–Smirnov distance between the tail and the fitted law: 0 is a perfect fit, above about 0.1 it is hardly a power law",
  tail: "squared singular values in the fitted tail, of all above 1e−5",
  xmin: "squared singular value at which the fitted tail begins",
};

/** Said beside the exponent, for it is often read as a verdict. */
export const CAVEAT =
  "α describes the tail of this one matrix. Taken alone it does not tell well trained from badly trained: compare it between matched models only.";

export function numbersOf({ top, full, l2, conv }: Context): SpectrumNumber[] {
  const waiting = top ? "…" : "–";
  const told = full?.numbers;
  const spectral = told?.spectral_norm ?? top?.values[0];
  const frobenius = told?.frobenius_norm ?? top?.frobenius ?? l2;
  const stable = told?.stable_rank ?? (top && spectral ? (top.frobenius / spectral) ** 2 : undefined);
  const line = (
    key: string,
    label: string,
    text: string,
    value: number | undefined,
    note?: string,
  ): SpectrumNumber => ({
    key,
    label,
    help: HELP[key] as string,
    text,
    note,
    copied: value === undefined || Number.isNaN(value) ? null : formatExact(value),
  });
  const number = (key: string, label: string, value: number | undefined, note?: string): SpectrumNumber =>
    line(
      key,
      label,
      value === undefined ? waiting : Number.isNaN(value) ? "–" : formatNumber(value),
      value,
      note,
    );

  const estimated =
    top && !full && (top.errors[0] as number) > 0
      ? `± ${formatNumber(top.errors[0] as number, 2)} at most, from its residual`
      : undefined;
  const count = full ? Math.min(full.rows, full.cols) : 0;
  const small = full !== null && count < 10;
  const fitted = full?.pooled?.length ?? full?.values.length ?? 0;
  const zero = full !== null && told?.spectral_norm === 0;
  const condition = told?.condition_number;
  const exponent =
    told && full.tail > 0
      ? `${formatNumber(told.alpha)} ± ${formatNumber(told.alpha_error, 2)}`
      : full
        ? "–"
        : waiting;
  return [
    number("spectral_norm", "spectral norm σ₁", spectral, conv ? "of the reshaped kernel" : estimated),
    number("frobenius_norm", "Frobenius norm", Number.isFinite(frobenius) ? frobenius : undefined),
    number("stable_rank", "stable rank", stable),
    number("effective_rank", "effective rank", told?.effective_rank),
    line(
      "numerical_rank",
      "numerical rank",
      full ? `${formatCount(full.rank)} of ${formatCount(count)}` : waiting,
      full?.rank,
      full?.rankIsLimited
        ? `limited: σ below ${formatNumber(full.numbers.resolution, 2)} is lost in rounding`
        : undefined,
    ),
    line(
      "condition_number",
      "condition number",
      condition === undefined
        ? waiting
        : zero
          ? "–"
          : `${full?.conditionIsLimited ? "> " : ""}${condition === Number.POSITIVE_INFINITY ? "∞" : formatNumber(condition)}`,
      condition,
      full?.conditionIsLimited ? "at least: the smallest σ is lost in rounding" : undefined,
    ),
    number("noise", "noise σ", told?.noise, small ? "needs 10 rows and columns" : undefined),
    number("mp_edge", "MP edge", told?.mp_edge),
    line(
      "spikes",
      "spikes beyond it",
      full && !small ? formatCount(full.spikes) : full ? "–" : waiting,
      full && !small ? full.spikes : undefined,
    ),
    line(
      "alpha",
      "power law α",
      exponent,
      told?.alpha,
      full && full.tail === 0 ? "too few values to fit" : undefined,
    ),
    number("alpha_distance", "KS distance D", told?.alpha_distance),
    line(
      "tail",
      "values in the tail",
      full ? (full.tail > 0 ? `${formatCount(full.tail)} of ${formatCount(fitted)}` : "–") : waiting,
      full?.tail,
      full?.pooled ? `of the ${formatCount(full.places)} slices of the kernel, pooled` : undefined,
    ),
    number("xmin", "tail begins at σ²", told?.xmin),
  ];
}

const METHODS = {
  svd: "singular value decomposition in float64",
  qr: "reduced to a triangle block by block, then decomposed, in float64",
  gram: "root of the eigenvalues of the Gram matrix, in float64",
};

/** How the singular values were computed, for a person. */
export function methodText({ method, numbers }: Full): string {
  const limit =
    method === "gram" ? `; σ below ${formatNumber(numbers.resolution, 2)} is lost in rounding` : "";
  return METHODS[method] + limit;
}

export function numbersToText(name: string, context: Context): string {
  const known = context.full ?? context.top;
  const lines = [`name\t${name.replaceAll(/\s/g, " ")}`];
  if (known) lines.push(`matrix\t${known.rows}×${known.cols}${context.conv ? " (reshaped kernel)" : ""}`);
  for (const { key, copied } of numbersOf(context)) if (copied !== null) lines.push(`${key}\t${copied}`);
  if (context.full) {
    if (context.full.tail > 0) lines.push(`alpha_error\t${formatExact(context.full.numbers.alpha_error)}`);
    lines.push(`method\t${methodText(context.full)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Share of the energy that a singular value holds: "16.6 % of the energy". */
export function energyText(value: number, frobenius: number): string {
  return `${formatShare((value / frobenius) ** 2)} of the energy`;
}
