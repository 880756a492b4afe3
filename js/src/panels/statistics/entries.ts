/** The lines of the statistics table. Pure. */

import {
  formatBytes,
  formatCount,
  formatExact,
  formatNumber,
  formatPosition,
  formatShape,
  formatShare,
} from "../../draw/format";
import type { Overview } from "../../overview";
import type { DrawnAxes } from "../../protocol";
import { STATISTIC } from "../../statistics";
import { COMPLEX } from "../../tensor";
import { axesText } from "../tree/text";

export interface Entry {
  label: string;
  help: string;
  text: string;
  /** Tooltip of the value. */
  title?: string;
  /** A place or a tensor to jump to, shown before the text. */
  link?: { text: string; title: string; position?: readonly number[]; path?: string };
  /** full: has a line of its own; long: has one where two would stand on a line. */
  width?: "full" | "long";
  /** Statistic whose rank among the tensors is shown. */
  rank?: string;
  /** For copying: names and values with all digits. */
  copied: readonly (readonly [string, string])[];
}

const UNKNOWN = "…";

/** @param away whether nobody will tell what is not known yet */
export function entries(overview: Overview, row: number, path: string, away = false): Entry[] {
  return [...identity(overview, row, path), ...numbers(overview, row, away)];
}

/** What the tensor or module is: known before it is read. */
function identity(overview: Overview, row: number, path: string): Entry[] {
  const fact = (label: string, help: string, text: string, width?: Entry["width"]): Entry => ({
    label,
    help,
    text,
    title: text,
    width,
    copied: [[label, text]],
  });
  const found = [fact("name", "full name", path || overview.name, "full")];
  const tensor = overview.isTensor(row);
  if (tensor) {
    const shape = formatShape(overview.shape(row));
    found.push({
      ...fact("shape", "size of each axis, in elements", shape),
      width: overview.shape(row).length > 2 ? "long" : undefined,
      copied: [["shape", overview.shape(row).join("×") || "scalar"]],
    });
    const axes = overview.axes(row);
    const meaning = axesText(axes);
    if (axes && meaning)
      found.push({
        ...fact(
          "axes",
          axes.certain ? axes.why : `a guess: ${axes.why}`,
          meaning,
          meaning.length > 20 ? "full" : "long",
        ),
        title: axes.why,
      });
    const dtype = overview.dtype(row);
    found.push(fact("dtype", "stored type", dtype));
    if (COMPLEX.has(dtype))
      found.push(
        fact("part", "what the numbers are of: its real and imaginary part are blocks of it", "|w|"),
      );
  }
  const kind = overview.kind(row);
  if (kind)
    found.push(fact("kind", tensor ? "class of the module that owns it" : "class of the module", kind));
  if (tensor) found.push(fact("role", "what the tensor is in its module", overview.role(row)));
  const first = overview.sharedWith(row);
  if (first >= 0) {
    const name = overview.names[first] as string;
    found.push({
      label: "tied to",
      help: "the same weights under another name; they are counted once",
      text: "",
      link: { text: name, title: `select ${name}`, path: name },
      width: "full",
      copied: [["tied to", name]],
    });
  }
  return found;
}

/** A statistic with the digits that it came with: most travel as float32, whose further digits mean nothing. */
function formatHeld(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return formatExact(value);
  for (let digits = 6; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return formatExact(short);
  }
  // Worked out from such ones.
  return formatExact(Number(value.toPrecision(8)));
}

function numbers(overview: Overview, row: number, away: boolean): Entry[] {
  const stat = (key: string): number => overview.column(key)[row] ?? Number.NaN;
  const known = overview.summarised(row) && !overview.error(row);
  const help = (key: string): string => STATISTIC.get(key)?.help ?? "";
  // Where nothing will be known: a dash, for an ellipsis would promise something.
  const unknown = overview.error(row) || away ? "–" : UNKNOWN;
  const number = (value: number, digits = 4): string => (known ? dash(formatNumber(value, digits)) : unknown);
  const count = (value: number): string => (known ? formatCount(value) : unknown);
  const exact = (value: number): string => (known ? formatHeld(value) : "");

  const plain = (key: string, label: string): Entry => ({
    label,
    help: help(key),
    text: number(stat(key)),
    title: exact(stat(key)),
    rank: key,
    copied: [[key, exact(stat(key))]],
  });
  const extreme = (key: "min" | "max"): Entry => {
    const position = overview.extremeAt(row, key === "min" ? "argmin" : "argmax");
    const entry = plain(key, key);
    if (!known || !position) return entry;
    const at = formatPosition(position);
    return {
      ...entry,
      width: "long",
      link: position.length > 0 ? { text: at, title: `show ${at} in the heatmap`, position } : undefined,
      copied: [...entry.copied, [`arg${key}`, at]],
    };
  };
  const between = (label: string, low: string, high: string, about: string): Entry => ({
    label,
    help: about,
    width: "long",
    text: !known
      ? unknown
      : Number.isFinite(stat(low))
        ? `${number(stat(low), 3)} … ${number(stat(high), 3)}`
        : "–",
    title: known ? `${exact(stat(low))} … ${exact(stat(high))}` : undefined,
    copied: [
      [low, exact(stat(low))],
      [high, exact(stat(high))],
    ],
  });
  const weights = stat("count");
  const infinite = [stat("posinf"), stat("neginf")] as const;

  return [
    {
      label: "weights",
      help: help("count"),
      text: Number.isFinite(weights) ? formatCount(weights) : UNKNOWN,
      rank: "count",
      copied: [["count", formatExact(weights)]],
    },
    {
      label: "bytes",
      help: help("bytes"),
      text: Number.isFinite(stat("bytes")) ? formatBytes(stat("bytes")) : UNKNOWN,
      title: `${formatCount(stat("bytes"))} bytes`,
      copied: [["bytes", formatExact(stat("bytes"))]],
    },
    plain("mean", "mean"),
    plain("std", "std"),
    extreme("min"),
    extreme("max"),
    plain("median", "median"),
    between("25 … 75 %", "q25", "q75", "quartiles of the finite weights: half of them lie between"),
    between("1 … 99 %", "q01", "q99", "98 % of the finite weights lie between"),
    plain("skewness", "skewness"),
    { ...plain("kurtosis", "excess kurtosis"), width: "long" },
    plain("rms", "rms"),
    plain("l1", "‖w‖₁"),
    plain("l2", "‖w‖₂"),
    {
      label: "exact zeros",
      help: help("zeros"),
      width: "long",
      text: known
        ? `${count(stat("zeros"))} (${formatShare(weights > 0 ? stat("zeros") / weights : 0)})`
        : unknown,
      rank: known ? "sparsity" : undefined,
      copied: [["zeros", exact(stat("zeros"))]],
    },
    {
      label: "NaN / ±Inf",
      help: "weights that are not a number, and infinite ones; they enter no statistic",
      text: known ? `${count(stat("nan"))} / ${count(infinite[0] + infinite[1])}` : unknown,
      title: known ? `+Inf ${formatCount(infinite[0])}, −Inf ${formatCount(infinite[1])}` : undefined,
      copied: [
        ["nan", exact(stat("nan"))],
        ["posinf", exact(infinite[0])],
        ["neginf", exact(infinite[1])],
      ],
    },
  ];
}

/** Where there is no such value (no finite weight), a dash: not a NaN, which weights may be. */
function dash(text: string): string {
  return text === "NaN" ? "–" : text;
}

/** Names and values, one a line, with all digits. Newlines and tabs in names would break the table. */
export function entriesToText(all: readonly Entry[]): string {
  const lines = all.flatMap(({ copied }) =>
    copied.map((pair) => pair.map((cell) => cell.replace(/[\t\r\n]/g, " "))),
  );
  return `${lines.map((cells) => cells.join("\t")).join("\n")}\n`;
}

/** Row and column of a position in the matrix that these axes draw. */
export function flatCell(
  shape: readonly number[],
  axes: DrawnAxes,
  position: readonly number[],
): [number, number] {
  const flat = (list: readonly number[]): number =>
    list.reduce((at, axis) => at * (shape[axis] as number) + (position[axis] as number), 0);
  return [flat(axes.rows), flat(axes.cols)];
}
