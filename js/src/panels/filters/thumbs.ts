/** The two ends of a brush for the keyboard: sliders that stand where the brush ends, or at the ends of the axis. */

import { h } from "../../draw/dom";
import type { Range } from "../../model";
import type { FacetAxis } from "./bins";

export interface ThumbsOptions {
  label: string;
  axis(): FacetAxis | null;
  range(): Range | null;
  /** How far an arrow moves, as a share of the axis. */
  step(fine: boolean): number;
  text(value: number): string;
  begin(): void;
  set(from: number, to: number): void;
  clear(): void;
}

export interface Thumbs {
  readonly elements: HTMLElement[];
  /** Moves them to places from 0 to 1; without a range they stand for all. */
  place(places: Range, range: Range | null): void;
}

export function createThumbs(options: ThumbsOptions): Thumbs {
  /** Exact places, so that steps do not stick at rounded numbers. */
  let places: Range = [0, 1];
  let asked: Range | null = null;

  const onKey = (end: 0 | 1) => (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !options.axis()) return;
    const step = options.step(event.shiftKey);
    const at = places[end];
    const to = {
      ArrowLeft: at - step,
      ArrowDown: at - step,
      ArrowRight: at + step,
      ArrowUp: at + step,
      PageDown: at - 5 * step,
      PageUp: at + 5 * step,
      Home: 0,
      End: 1,
    }[event.key];
    if (event.key === "Delete" || event.key === "Backspace" || event.key === "Escape") {
      if (options.range()) options.clear();
    } else if (to === undefined) {
      return;
    } else {
      // A key that is held down is one gesture.
      if (!event.repeat) options.begin();
      const other = places[1 - end] as number;
      const moved = end === 0 ? Math.min(Math.max(to, 0), other) : Math.max(Math.min(to, 1), other);
      places = end === 0 ? [moved, other] : [other, moved];
      asked = places;
      options.set(places[0], places[1]);
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const elements = ([0, 1] as const).map((end) => {
    const element = h("div", {
      class: "ww-facet-thumb",
      role: "slider",
      tabindex: 0,
      "aria-label": `${options.label}: ${end === 0 ? "lower" : "upper"} end`,
    });
    element.addEventListener("keydown", onKey(end));
    return element;
  });

  return {
    elements,
    place: (given, range) => {
      // The range that a step asked for comes back rounded; the step's own place is the better one.
      const isEcho = asked && Math.abs(given[0] - asked[0]) < 0.02 && Math.abs(given[1] - asked[1]) < 0.02;
      places = isEcho && asked && range ? asked : given;
      asked = null;
      const axis = options.axis();
      elements.forEach((element, end) => {
        element.style.left = `${(places[end] as number) * 100}%`;
        element.hidden = axis === null;
        if (!axis) return;
        const value = range ? (range[end] as number) : axis.domain[end as 0 | 1];
        element.setAttribute("aria-valuemin", String(axis.domain[0]));
        element.setAttribute("aria-valuemax", String(axis.domain[1]));
        element.setAttribute("aria-valuenow", String(value));
        element.setAttribute("aria-valuetext", range ? options.text(value) : `${options.text(value)}, all`);
      });
    },
  };
}
