/** What is said of filters in words. */

import { formatNumber } from "../../draw/format";
import type { Frequencies } from "./facts";
import type { Layer } from "./layer";
import { kernelKind } from "./layout";

/** Coherence from which on a filter has a direction: fresh layers have about .14, some of their filters .3. */
const DIRECTED = 0.35;

const DIRECTIONS = ["horizontal", "rising diagonal", "vertical", "falling diagonal"];

/** The spatial frequency of a filter: "vertical edge, 0.14 cycles a pixel, orientation 86°". */
export function frequencyWords(frequencies: Frequencies, filter: number, kernel: readonly number[]): string {
  const frequency = frequencies.frequency[filter] ?? Number.NaN;
  if (!Number.isFinite(frequency)) return "none: its kernels are constant";
  const orientation = frequencies.orientation[filter] ?? Number.NaN;
  const coherence = frequencies.coherence[filter] ?? Number.NaN;
  const cycles = `${formatNumber(frequency, 2)} cycles a pixel`;
  // About one period in the kernel is an edge, more are stripes.
  const fine = frequency * Math.max(...kernel) > 1.3;
  if (Number.isNaN(orientation)) return `${fine ? "oscillating" : "smooth"}, ${cycles}`;
  if (coherence < DIRECTED) return `no clear direction, ${cycles}`;
  return `${directionWord(orientation)} ${fine ? "stripes" : "edge"}, ${cycles}, orientation ${Math.round(orientation)}°`;
}

/** Of the direction of stripes, counted anticlockwise from horizontal. */
export function directionWord(orientation: number): string {
  return DIRECTIONS[Math.round(orientation / 45) % 4] as string;
}

/** What is special about the layer: groups, transposition, kernels of one weight. */
export function layerWords(layer: Layer): string {
  const { layout, by } = layer;
  const parts: string[] = [];
  const multiplier = layout.filters / layout.groups;
  if (layer.depthwise) {
    parts.push(
      multiplier > 1 && by === "output"
        ? `depthwise, ${multiplier} filters a channel`
        : "depthwise: one channel each",
    );
  } else if (layout.groups > 1) {
    const [reads, other] = by === "output" ? ["reads", "inputs"] : ["goes to", "outputs"];
    parts.push(
      `${layout.groups} groups: each filter ${reads} ${layout.channels} of ${layout.channels * layout.groups} ${other}`,
    );
  }
  if (layer.transposed) parts.push(by === "input" ? "transposed: what each input paints" : "transposed");
  if (kernelKind(layout) === "point")
    parts.push(`${layout.kernel.join(" × ")}: a ${layout.filters} × ${layout.channels} matrix`);
  if (layout.stored.length !== layout.shape.length) parts.push("linear layer on patches");
  return parts.join(" · ");
}

/** A filter as it is called: "filter 6", "input 6". */
export function nameOf(layer: Layer): { one: string; many: string; channel: string; channels: string } {
  return layer.by === "output"
    ? { one: "filter", many: "filters", channel: "input channel", channels: "input channels" }
    : { one: "input", many: "inputs", channel: "output channel", channels: "output channels" };
}
