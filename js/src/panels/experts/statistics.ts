/** The statistics that the grid of experts can show. */

import { STATISTICS } from "../../statistics";
import type { GridStatistic } from "../grid";

/** Before a statistic of the weights themselves: "rel:std" is against the median of the layer's experts. */
export const RELATIVE = "rel:";

const OF_WEIGHTS = STATISTICS.filter(({ key }) => key !== "bytes");

export const EXPERT_STATISTICS: readonly GridStatistic[] = [
  ...OF_WEIGHTS.map(({ key, label, help, format }) => ({ key, label, help, format, group: "weights" })),
  {
    key: `${RELATIVE}std`,
    label: "std / layer's median",
    help: "standard deviation against the median of the layer's experts, as log2: 1 is twice as large",
    signed: true,
    group: "against the other experts",
  },
  {
    key: `${RELATIVE}l2`,
    label: "‖w‖₂ / layer's median",
    help: "norm against the median of the layer's experts, as log2: 1 is twice as large",
    signed: true,
    group: "against the other experts",
  },
  {
    key: "alike",
    label: "most alike",
    help: "largest cosine with another expert of the layer, weight by weight",
    signed: true,
    group: "against the other experts",
  },
  {
    key: "noise",
    label: "σ₁ / σ₁ of noise",
    help: "largest singular value against that of noise of the same size and mean square: about 1 was hardly trained",
    group: "against noise",
  },
];

export const ROUTER_STATISTICS: readonly GridStatistic[] = [
  { key: "router norm", label: "‖row‖₂", help: "norm of the expert's row of the router" },
  {
    key: "router alike",
    label: "most alike",
    help: "largest cosine with the row of another expert: these two are chosen for the same inputs",
    signed: true,
  },
];
