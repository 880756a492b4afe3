/** What is said of members, channels and links. */

import { formatNumber, formatToStep } from "../../draw/format";
import type { ChannelMember, ChannelRole, SpaceChoice } from "../../protocol";
import type { Standing, Strange } from "./data";

/** What stands in the column of roles, and its explanation. */
export function roleOf(member: ChannelMember, hasGain: boolean): { label: string; title: string } {
  const part = member.part ? ` (${member.part})` : "";
  const slices = member.axis === 0 ? "row" : "slice";
  switch (member.role) {
    case "writes":
      return { label: "fan-in", title: `fan-in: norm of the ${slices} whose output is the channel${part}` };
    case "reads":
      return { label: "fan-out", title: `fan-out: norm of the weights that read the channel${part}` };
    case "filters":
      return { label: "filter", title: "norm of the channel's own filter (depthwise)" };
    case "scales":
      return { label: "γ", title: "gain of the norm" };
    case "shifts":
      return hasGain
        ? { label: "β", title: "bias of the norm" }
        : { label: "bias", title: member.norm ? `norm of the channel's biases${part}` : `bias${part}` };
    case "mean":
      return { label: "mean", title: "running mean" };
    case "variance":
      return { label: "var", title: "running variance" };
  }
}

const AXIS_ROLE: Record<ChannelRole, string> = {
  writes: "outputs",
  reads: "inputs",
  scales: "channels",
  shifts: "channels",
  mean: "channels",
  variance: "channels",
  filters: "channels",
};

/** A space as a choice: "outputs (rows): residual stream of encoder.layer, 384". */
export function choiceText(choice: SpaceChoice): string {
  const what = choice.part ? `${AXIS_ROLE[choice.role]}, ${choice.part}` : AXIS_ROLE[choice.role];
  return `${what}, axis ${choice.axis}: ${choice.name}`;
}

/** "+175 σ", "−0.6 σ": to a tenth, which is all that such a number means; "" where there is nothing to say. */
export function deviationText(deviation: number): string {
  if (!Number.isFinite(deviation)) return "";
  const step = Math.abs(deviation) >= 9.95 ? 1 : 0.1;
  const text = formatToStep(deviation, step);
  return `${deviation > 0 && text !== "0" ? "+" : ""}${text}${"\u2009"}σ`;
}

export function standingTitle(standing: Standing): string {
  if (standing.rank === 0) return "does not carry this channel";
  const larger = standing.rank - 1;
  return (
    `${formatNumber(standing.value, 6)}: number ${standing.rank} of ${standing.of} by size, ` +
    `${larger === 0 ? "none" : larger} larger; ${deviationText(standing.deviation) || "no"} from the median ` +
    "in robust standard deviations (1.4826 MAD)"
  );
}

/** Why a channel is in the list of unusual ones: short, and in full. */
export function strangeText(
  one: Strange,
  member: ChannelMember | undefined,
): { short: string; title: string } {
  const where = member?.tensor ?? "";
  switch (one.reason) {
    case "off":
      return {
        short: one.members > 1 ? `off in ${one.members} norms` : "off",
        title: `switched off: |γ| below 0.001 of the median in ${one.members} norm${one.members > 1 ? "s" : ""}, least in ${where}`,
      };
    case "unwritten":
      return { short: "no fan-in", title: "dead: all weights that write it are exactly zero" };
    case "unread":
      return { short: "no fan-out", title: "never read: all weights that read it are exactly zero" };
    default:
      return {
        short: deviationText(one.deviation),
        title:
          `${one.reason} in ${one.members} tensor${one.members > 1 ? "s" : ""}; farthest in ${where}: ` +
          `${formatNumber(one.value, 4)}, ${deviationText(one.deviation)} from the median`,
      };
  }
}

/**
 * A member's name in little room: without the "weight" or "bias" at its end, which its role says already.
 * @returns the part that may be cut off from the left
 */
export function shortName(member: ChannelMember): string {
  return member.tensor.replace(/\.(weight|bias|kernel|gamma|beta)$/, "");
}
