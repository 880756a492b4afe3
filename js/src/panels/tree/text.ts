/** The words of a row: statistics, tooltips, marked matches. */

import type { Axes } from "../../anatomy";
import {
  formatBytes,
  formatCount,
  formatNumber,
  formatShape,
  formatShare,
  formatShort,
} from "../../draw/format";
import { visible } from "../../draw/visible";
import type { Overview } from "../../overview";
import { fold } from "../../query/glob";
import { STATISTIC } from "../../statistics";
import type { TreeNode } from "../../tree";
import { isGroupOfBlocks } from "./merged";

/** A statistic in the room of a column; "" if it is not known. */
export function statisticText(key: string, value: number): string {
  if (Number.isNaN(value)) return "";
  switch (STATISTIC.get(key)?.format) {
    case "count":
      return formatShort(value);
    case "share":
      return formatShare(value);
    case "bytes":
      return formatBytes(value);
    default:
      return formatNumber(value, 3);
  }
}

/** Why a row is marked, and with which glyph: what went wrong comes before what is in the weights. */
export function flagOf(
  overview: Overview,
  row: number,
  statistic: (key: string) => number,
): { glyph: string; text: string; tone: "error" | "warn" } | null {
  const error = row < 0 ? "" : overview.error(row);
  if (error) return { glyph: "✕", text: error, tone: "error" };
  const [nan, inf] = [statistic("nan"), statistic("inf")];
  const found = [
    nan > 0 ? `${formatCount(nan)} NaN` : "",
    inf > 0 ? `${formatCount(inf)} ${inf === 1 ? "infinity" : "infinities"}` : "",
  ].filter(Boolean);
  return found.length > 0 ? { glyph: "▲", text: found.join(", "), tone: "warn" } : null;
}

export function tooltipOf(overview: Overview, node: TreeNode, row: number): string {
  if (node.kind === "group")
    return `${visible(node.path)}\n${node.children.length} ${isGroupOfBlocks(node) ? "heads" : "equal blocks"}`;
  const kind = row < 0 ? "" : visible(overview.kind(row));
  const name = visible(node.path || overview.name);
  if (node.kind === "module" || !overview.isTensor(row)) return [name, kind].filter(Boolean).join("\n");
  const shared = overview.sharedWith(row);
  return [
    name,
    [kind, formatShape(overview.shape(row)), overview.dtype(row), overview.role(row)]
      .filter(Boolean)
      .join(" · "),
    axesText(overview.axes(row)),
    shared >= 0 ? `the same weights as ${visible(overview.names[shared] as string)}` : "",
    overview.error(row),
  ]
    .filter(Boolean)
    .join("\n");
}

/** "out × in", with a question mark if that is a guess; "" if nothing is known. */
export function axesText(axes: Axes | null): string {
  if (!axes || axes.what === "" || axes.names.length === 0) return "";
  return `${axes.names.join(" × ")}${axes.certain ? "" : " (a guess)"}`;
}

/** Ranges of the label that the query asks for, found in the full name: a match may begin in a parent's part. */
export function markedRanges(node: TreeNode, marks: readonly string[]): [number, number][] {
  if (marks.length === 0 || node.kind === "group" || node.kind === "block") return [];
  const folded = fold(node.path);
  // Folding may change the length of a name (İ): places would not fit then.
  if (folded.length !== node.path.length) return [];
  const start = node.path.length - node.label.length;
  const ranges: [number, number][] = [];
  for (const mark of marks) {
    if (!mark) continue;
    for (let at = folded.indexOf(mark); at >= 0; at = folded.indexOf(mark, at + mark.length)) {
      if (at + mark.length > start) ranges.push([Math.max(at, start) - start, at + mark.length - start]);
    }
  }
  ranges.sort((a, b) => a[0] - b[0]);
  const joined: [number, number][] = [];
  for (const range of ranges) {
    const before = joined[joined.length - 1];
    if (before && range[0] <= before[1]) before[1] = Math.max(before[1], range[1]);
    else joined.push(range);
  }
  return joined;
}
