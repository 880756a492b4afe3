/** What weightwidget/outputs/listing.py says a kernel holds. */

import source from "../../weightwidget/outputs/listing.py";
import { formatBytes, formatCount } from "../src/draw/format";
import { shown } from "../src/draw/visible";
import type { Evaluated } from "./jupyterlab";
import { literal } from "./kernel";

const MIME = "application/vnd.weightwidget.listing";

export type Kind = "module" | "explorer" | "source" | "mapping" | "file" | "folder" | "array";

/** Something that can be opened. Sizes that are not known without reading are null. */
export interface Item {
  name: string;
  /** Further variables that hold the same object. */
  aliases: string[];
  /** What it calls itself: a path, an explorer's model. */
  label?: string;
  /** Class name. */
  type: string;
  kind: Kind;
  /** Tells objects apart that one name held one after the other. */
  token: string;
  tensors: number | null;
  weights: number | null;
  bytes: number | null;
  /** The commonest first. */
  dtypes: string[];
  note: string;
  /** Counting was cut short. */
  at_least: boolean;
}

export interface Listing {
  items: Item[];
  skipped: { name: string; type: string; reason: string }[];
  /** Variables beyond what is listed. */
  left_out: number;
}

/**
 * An expression that gives the listing.
 *
 * The file's names stay in a namespace of their own, and what the user calls his variables cannot stand in the way.
 */
export const EXPRESSION =
  `(lambda b, own: (b.exec(${literal(source)}, own), own["Listing"](b.globals()))[1])` +
  `(__import__("builtins"), {"__name__": "weightwidget_listing"})`;

/** The answer to EXPRESSION; throws what went wrong, worded. */
export function read(answer: Evaluated): Listing {
  if (answer.status === "error") throw new Error(`${answer.ename}: ${answer.evalue}`);
  const text = answer.data[MIME];
  if (typeof text !== "string") throw new Error("the kernel gave no list");
  return JSON.parse(text) as Listing;
}

/** The item that a variable holds. */
export function find(listing: Listing, name: string): Item | undefined {
  return listing.items.find((item) => item.name === name || item.aliases.includes(name));
}

/** Whether every word of a filter is in the names, the type or the element types of an item. */
export function matches(item: Item, filter: string): boolean {
  const text = [item.name, ...item.aliases, item.label ?? "", item.type, item.kind, ...item.dtypes]
    .join("\n")
    .toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** Its number of weights; empty if that is not known. */
export function weightsOf(item: Item): string {
  return item.weights === null || item.tensors === 0 ? "" : atLeast(item) + formatCount(item.weights);
}

/** Its size in memory or on disk; empty if that is not known. */
export function sizeOf(item: Item): string {
  return item.bytes === null || item.tensors === 0 ? "" : atLeast(item) + formatBytes(item.bytes);
}

/** What it is, in few words: its class and commonest type of element. */
export function typeOf(item: Item): string {
  if (item.kind === "file" || item.kind === "folder") return lastPart(item.label ?? item.type);
  const [dtype, ...others] = item.dtypes;
  const elements = dtype === undefined ? "" : ` · ${dtype}${others.length > 0 ? ` +${others.length}` : ""}`;
  if (item.tensors === 0 && item.note) return `${item.type} · ${item.note}`;
  const shown = item.kind === "explorer" && item.label ? `explorer of ${item.label}` : item.type;
  return shown + elements;
}

/** All that is known of an item, a line each. */
export function describe(item: Item): string {
  const lines = [[item.name, ...item.aliases].join(" = ")];
  lines.push(
    item.label !== undefined && item.label !== item.name ? `${item.type}: ${item.label}` : item.type,
  );
  if (item.tensors && item.weights !== null) {
    const tensors = `${formatCount(item.tensors)} ${item.tensors === 1 ? "tensor" : "tensors"}`;
    lines.push(`${atLeast(item)}${tensors}, ${atLeast(item)}${formatCount(item.weights)} weights`);
  }
  const size = sizeOf(item);
  if (size) lines.push([size, item.dtypes.join(", ")].filter(Boolean).join(", "));
  if (item.note) lines.push(item.note);
  if (item.at_least) lines.push("too large to be counted to the end");
  return lines.map((line) => shown(line)).join("\n");
}

function atLeast(item: Item): string {
  return item.at_least ? "≥\u2009" : "";
}

function lastPart(path: string): string {
  return (
    path
      .split(/[/\\]/)
      .filter((part) => part)
      .at(-1) ?? path
  );
}
