/** Eigenvalues of each gate's recurrent weights on the complex plane, with the unit circle as a guide. */

import { type ReadonlySignal, signal } from "@preact/signals-core";
import type { RecurrentLayer } from "../../anatomy";
import { h } from "../../draw/dom";
import { formatCount, formatNumber, formatTrimmed } from "../../draw/format";
import { s, set } from "../../draw/svg";
import { type Lack, lack } from "../../lack";
import type { Store } from "../../store";
import { AT_ONCE, type EigenState, eigenSize, type GateEigenvalues, type GateState } from "./data";
import { gateMeaning } from "./layers";
import { eigenFacts } from "./numbers";

/** Side of a plot, in its own units. */
const SIDE = 200;
/** How near, in those units, the pointer must come. */
const NEAR = 14;

interface Hovered {
  readonly gate: string;
  readonly re: number;
  readonly im: number;
}

export function eigenSection(
  store: Store,
  state: GateState,
  layer: ReadonlySignal<RecurrentLayer | null>,
): HTMLElement {
  const hovered = signal<Hovered | null>(null);
  const plots = h("div", { class: "ww-gates-grid" });
  const note = h("p", { class: "ww-note" });
  const readout = h("div", { class: "ww-gates-readout ww-number", role: "status" });
  const compute = h("button", { type: "button" });
  compute.addEventListener("click", () => state.computeEigenvalues());

  store.effect(() => {
    const found = layer.value;
    const by = state.eigenvalues.value;
    const known = [...by.values()].some((eigen) => eigen.state !== "waiting");
    // Planes that nothing will ever stand on are not drawn.
    const gone = store.model.kernel.value === "gone" && !known;
    hovered.value = null;
    plots.hidden = readout.hidden = gone || by.size === 0;
    if (!found) {
      plots.replaceChildren();
      return;
    }
    const reach = 1.06 * Math.max(1.05, ...[...by.values()].map(radiusOf));
    plots.replaceChildren(...[...by].map(([gate, eigen]) => plot(found, gate, eigen, reach, hovered)));
    const size = eigenSize(store.overview.value, found);
    compute.hidden = by.size > 0 || gone;
    compute.textContent = `compute (${formatCount(size)} units: about ${duration(size)} a gate)`;
    note.textContent = noteText(found, by.size > 0 || size <= AT_ONCE, gone, lack(store), size);
  });

  store.effect(() => {
    const at = hovered.value;
    readout.textContent = at ? factText(at) : "point at an eigenvalue";
    readout.classList.toggle("ww-soft", at === null);
  });

  return h(
    "section",
    { class: "ww-gates-section ww-gates-eigen", "aria-label": "eigenvalues" },
    h(
      "div",
      { class: "ww-gates-section-head" },
      h("span", { class: "ww-heading" }, "Eigenvalues of the recurrent weights"),
      readout,
    ),
    plots,
    compute,
    note,
  );
}

/** Time of one gate on one core, a rough guess from n³. */
function duration(size: number): string {
  const seconds = 1.8 * (size / 1000) ** 3;
  return seconds < 90
    ? `${formatTrimmed(Math.max(1, seconds), 1)} s`
    : `${formatTrimmed(seconds / 60, 1)} min`;
}

function noteText(layer: RecurrentLayer, shown: boolean, gone: boolean, missing: Lack, size: number): string {
  if (gone) return missing.eigenvalues;
  if (!shown) return "";
  const projected =
    layer.projection === null
      ? ""
      : `The state is projected to ${formatCount(size)}, so that the blocks are not square: shown are the eigenvalues of block times projection, of which ${formatCount(layer.hidden - size)} more are 0. `;
  return `${projected}Dashed: the unit circle, a guide and no verdict. A radius above 1 is usual in trained layers: the Jacobian of a step also has the gates and the slopes of sigmoid and tanh.`;
}

function radiusOf(eigen: EigenState): number {
  if (eigen.state !== "there") return 0;
  const { pairs } = eigen.values;
  return pairs.length > 0 ? Math.hypot(pairs[0] as number, pairs[1] as number) : 0;
}

function plot(
  layer: RecurrentLayer,
  gate: string,
  eigen: EigenState,
  reach: number,
  hovered: { value: Hovered | null },
): HTMLElement {
  const name = gateMeaning(layer.kind, gate).name;
  const title = h(
    "div",
    { class: "ww-gates-title" },
    h("strong", {}, gate),
    h("span", { class: "ww-soft" }, name),
  );
  if (eigen.state === "failed") {
    const failure = h("p", { class: "ww-note", "data-tone": "error" }, eigen.message);
    return h("div", { class: "ww-gates-plane-card", "data-gate": gate }, title, failure);
  }
  const values = eigen.state === "there" ? eigen.values : null;
  const plane = drawPlane(gate, values, reach, hovered);
  const facts = h("div", { class: "ww-gates-numbers ww-number" });
  if (values) {
    const radius = radiusOf(eigen);
    const outside = countOutside(values);
    facts.append(
      h("span", {}, h("span", { class: "ww-soft" }, "radius "), formatNumber(radius, 4)),
      h(
        "span",
        {
          title: `${formatCount(outside)} of ${formatCount(values.pairs.length / 2)} beyond the unit circle`,
        },
        h("span", { class: "ww-soft" }, "> 1: "),
        formatCount(outside),
      ),
    );
  } else {
    facts.append(h("span", { class: "ww-soft" }, "computing …"));
  }
  return h(
    "div",
    { class: "ww-gates-plane-card", "data-gate": gate },
    title,
    h(
      "div",
      { class: "ww-gates-plane" },
      plane,
      h("span", { class: "ww-gates-reach ww-soft", title: "the plane is drawn to here" }, endText(reach)),
    ),
    facts,
  );
}

function endText(reach: number): string {
  return `±${formatTrimmed(reach, 2)}`;
}

function countOutside({ pairs }: GateEigenvalues): number {
  let count = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    if (Math.hypot(pairs[i] as number, pairs[i + 1] as number) > 1) count++;
  }
  return count;
}

function drawPlane(
  gate: string,
  values: GateEigenvalues | null,
  reach: number,
  hovered: { value: Hovered | null },
): SVGSVGElement {
  const place = (x: number): number => SIDE / 2 + (x / reach) * (SIDE / 2);
  const middle = SIDE / 2;
  const radius = values ? Math.hypot(values.pairs[0] ?? 0, values.pairs[1] ?? 0) : 0;
  const svg = s(
    "svg",
    {
      viewBox: `0 0 ${SIDE} ${SIDE}`,
      role: "img",
      "aria-label": values
        ? `${values.pairs.length / 2} eigenvalues of gate ${gate}, spectral radius ${formatNumber(radius, 4)}`
        : `eigenvalues of gate ${gate}, not there yet`,
    },
    s("line", { class: "ww-gates-axis", x1: 0, x2: SIDE, y1: middle, y2: middle }),
    s("line", { class: "ww-gates-axis", x1: middle, x2: middle, y1: 0, y2: SIDE }),
  );
  const circle = s("circle", { class: "ww-gates-circle", cx: middle, cy: middle, r: middle / reach });
  svg.append(circle);
  if (!values) return svg;
  const { pairs } = values;
  let path = "";
  for (let i = 0; i < pairs.length; i += 2) {
    // A stroke of no length with round ends is a dot, and thousands of them are one element.
    path += `M${place(pairs[i] as number).toFixed(2)} ${place(-(pairs[i + 1] as number)).toFixed(2)}h0`;
  }
  const dots = s("path", { class: "ww-gates-dots", d: path });
  const mark = s("circle", { class: "ww-gates-mark", r: 5 });
  const twin = s("circle", { class: "ww-gates-mark ww-gates-twin", r: 5 });
  mark.style.display = twin.style.display = "none";
  // The circle over the dots: of a small one nothing else would be seen.
  svg.append(dots, circle, mark, twin);

  const clear = (): void => {
    mark.style.display = twin.style.display = "none";
    hovered.value = null;
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * SIDE;
    const y = ((event.clientY - box.top) / box.height) * SIDE;
    let nearest = -1;
    let least = NEAR;
    for (let i = 0; i < pairs.length; i += 2) {
      const far = Math.hypot(place(pairs[i] as number) - x, place(-(pairs[i + 1] as number)) - y);
      if (far < least) [nearest, least] = [i, far];
    }
    if (nearest < 0) {
      clear();
      return;
    }
    const [re, im] = [pairs[nearest] as number, pairs[nearest + 1] as number];
    mark.style.display = "";
    twin.style.display = im === 0 ? "none" : "";
    set(mark, { cx: place(re), cy: place(-im) });
    set(twin, { cx: place(re), cy: place(im) });
    hovered.value = { gate, re, im };
  });
  svg.addEventListener("pointerleave", clear);
  return svg;
}

/** f: 0.91 ± 0.23i · |λ| 0.94 · fades in 16 steps · period 25 steps */
function factText({ gate, re, im }: Hovered): string {
  const facts = eigenFacts(re, im);
  const parts = [
    `${gate}: ${formatNumber(re, 3)}${im === 0 ? "" : ` ± ${formatNumber(Math.abs(im), 3)}i`}`,
    `|λ| ${formatNumber(facts.size, 4)}`,
  ];
  if (facts.size > 0 && Number.isFinite(facts.steps)) {
    parts.push(`${facts.grows ? "× e" : "× 1/e"} in ${formatNumber(facts.steps, 3)} steps`);
  }
  if (facts.period !== null) parts.push(`period ${formatNumber(facts.period, 3)}`);
  return parts.join(" · ");
}
