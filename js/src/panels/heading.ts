/** What is selected: its path, each part a way up; its shape, type and class, and what its axes mean. */

import { h, setText } from "../draw/dom";
import { formatCount, formatShape } from "../draw/format";
import { visible } from "../draw/visible";
import type { Overview } from "../overview";
import type { Store } from "../store";
import { COMPLEX } from "../tensor";

interface Crumb {
  label: string;
  /** Path that it leads to. */
  target: string;
}

export function headingPanel(store: Store): HTMLElement {
  const path = h("div", { class: "ww-path" });
  const facts = h("div", { class: "ww-facts ww-soft ww-number" });

  store.effect(() => {
    const overview = store.overview.value;
    const selected = store.traits.selected.value;
    const row = store.selectedRow.value;
    const name = overview.name || "model";
    const all = [{ label: name, target: "" }, ...crumbsOf(overview, selected)];
    const last = all.pop() as Crumb;
    const shown = all.flatMap(({ label, target }) => {
      const button = h(
        "button",
        { class: "ww-plain ww-soft", type: "button", title: visible(target) || "the whole model" },
        visible(label),
      );
      button.addEventListener("click", () => store.select(target));
      return [button, h("span", { class: "ww-soft" }, "›")];
    });
    path.replaceChildren(
      ...shown,
      h("strong", { class: "ww-path-last", title: visible(selected) }, visible(last.label)),
    );

    if (row < 0) {
      facts.textContent = overview.rows === 0 ? "" : "no such tensor or module in this model";
      return;
    }
    setText(facts, factsOf(overview, row));
    const meaning = meaningOf(overview, row);
    if (meaning) facts.append(" · ", meaning);
  });
  return h("header", { class: "ww-header" }, path, facts);
}

/** The parts of a path below the whole model: modules, the tensor, blocks in it. */
export function crumbsOf(overview: Overview, path: string): Crumb[] {
  const place = overview.block(overview.rowOf(path));
  if (place) return [...crumbsOf(overview, place.parent), { label: place.label, target: place.path }];
  if (path === "") return [];
  const parts = path.split(".");
  return parts.map((label, depth) => ({ label, target: parts.slice(0, depth + 1).join(".") }));
}

function factsOf(overview: Overview, row: number): string {
  const kind = overview.kind(row);
  if (overview.isTensor(row)) {
    const dtype = overview.dtype(row);
    // Of complex weights, all that is shown is that of their magnitudes.
    const what = COMPLEX.has(dtype) ? `|w| of ${dtype}` : dtype;
    return [formatShape(overview.shape(row)), what, kind || overview.role(row)].join(" · ");
  }
  const head = overview.block(row);
  const what = head ? `head of ${kind || "an attention layer"}` : kind || "module";
  return [`${formatCount(overview.column("count")[row] as number)} weights`, what].join(" · ");
}

/** The names of the axes; a guess says so. */
function meaningOf(overview: Overview, row: number): HTMLElement | null {
  const axes = overview.axes(row);
  if (!axes || axes.what === "" || axes.names.length === 0) return null;
  const text = axes.names.join(" × ");
  if (axes.certain) return h("span", { class: "ww-axes", title: axes.why }, text);
  const guess = h("em", { class: "ww-guess" }, "guess");
  return h("span", { class: "ww-axes", title: `a guess: ${axes.why}` }, text, " ", guess);
}
