/** The statistics that the grid of heads can show. */

import { STATISTICS } from "../../statistics";
import type { GridStatistic } from "../grid";

const CIRCUITS: readonly GridStatistic[] = [
  {
    key: "copying",
    label: "OV copying score",
    help: "Σλ / Σ|λ| over the eigenvalues of OV (Elhage et al. 2021): positive where the head writes back what it reads",
    signed: true,
  },
  { key: "qk_spectral", label: "QK spectral norm", help: "largest singular value of Wqᵀ Wk" },
  { key: "qk_frobenius", label: "QK Frobenius norm", help: "Euclidean norm of all elements of Wqᵀ Wk" },
  {
    key: "qk_stable_rank",
    label: "QK stable rank",
    help: "‖QK‖²F / ‖QK‖²₂: about how many directions it compares",
  },
  { key: "ov_spectral", label: "OV spectral norm", help: "largest singular value of Wo Wv" },
  { key: "ov_frobenius", label: "OV Frobenius norm", help: "Euclidean norm of all elements of Wo Wv" },
  {
    key: "ov_stable_rank",
    label: "OV stable rank",
    help: "‖OV‖²F / ‖OV‖²₂: about how many directions it moves",
  },
];

const NORMS: readonly GridStatistic[] = [
  { key: "query_norm", label: "‖query‖", help: "Frobenius norm of the head's query weights" },
  { key: "key_norm", label: "‖key‖", help: "Frobenius norm of the head's key weights" },
  { key: "value_norm", label: "‖value‖", help: "Frobenius norm of the head's value weights" },
  {
    key: "output_norm",
    label: "‖output‖",
    help: "Frobenius norm of the head's columns of the output projection",
  },
];

/** The part of a statistic's key before a statistic of the weights themselves: "weights:std". */
export const OF_WEIGHTS = "weights:";

export const HEAD_STATISTICS: readonly GridStatistic[] = [
  ...CIRCUITS.map((one) => ({ ...one, group: "circuits" })),
  ...NORMS.map((one) => ({ ...one, group: "norms" })),
  ...STATISTICS.filter(({ key }) => key !== "bytes").map(({ key, label, help, format }) => ({
    key: OF_WEIGHTS + key,
    label,
    help,
    format,
    group: "all weights of the head",
  })),
];

/** Norms alone can be told without a kernel. */
export const NORM_STATISTICS: readonly GridStatistic[] = NORMS;
