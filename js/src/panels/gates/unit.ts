/** One unit of a layer: what each of its gates reads, its biases, and how much each gate reads of it. */

import { batch, type ReadonlySignal } from "@preact/signals-core";
import type { RecurrentLayer } from "../../anatomy";
import { h } from "../../draw/dom";
import { formatCount, formatNumber, parseNumber } from "../../draw/format";
import { lack } from "../../lack";
import type { Store } from "../../store";
import type { Gate, LayerData } from "./data";
import { blockPath, gateMeaning } from "./layers";
import type { UnitState } from "./timescale";

/** Rows on either side of the unit's that the heatmap shows. */
const AROUND = 4;

interface Quantity {
  readonly name: string;
  readonly title: string;
  values(gate: Gate): Float64Array | null;
  /** Row of the tensor that it is read from, and along which side of a block the units lie. */
  readonly from: "input" | "recurrent" | null;
  readonly side: "reads" | "is read" | null;
  /** Biases have signs: their bars start in the middle. */
  readonly signed?: boolean;
}

const QUANTITIES: readonly Quantity[] = [
  {
    name: "reads of the inputs",
    title: "fan-in: norm of the unit's input weights",
    values: (gate) => gate.norms?.input ?? null,
    from: "input",
    side: "reads",
  },
  {
    name: "reads of the state",
    title: "fan-in: norm of the unit's recurrent weights",
    values: (gate) => gate.norms?.recurrent ?? null,
    from: "recurrent",
    side: "reads",
  },
  {
    name: "bias",
    title: "both biases added",
    values: (gate) => gate.bias,
    from: null,
    side: null,
    signed: true,
  },
  {
    name: "bias, inputs",
    title: "bias on the inputs' side, where the two may not be added",
    values: (gate) => gate.separate?.[0] ?? null,
    from: null,
    side: null,
    signed: true,
  },
  {
    name: "bias, state",
    title: "bias on the state's side, where the two may not be added",
    values: (gate) => gate.separate?.[1] ?? null,
    from: null,
    side: null,
    signed: true,
  },
  {
    name: "is read by the gates",
    title: "fan-out: norm of the weights with which all units' gates read this unit",
    values: (gate) => gate.norms?.read ?? null,
    from: "recurrent",
    side: "is read",
  },
];

export function unitSection(
  store: Store,
  data: ReadonlySignal<LayerData | null>,
  layer: ReadonlySignal<RecurrentLayer | null>,
  { unit, hovered }: UnitState,
): HTMLElement {
  const field = h("input", {
    class: "ww-number ww-gates-unit-field",
    type: "text",
    inputmode: "numeric",
    autocomplete: "off",
    "aria-label": "unit",
    title: "number of a unit; arrow keys step",
  });
  /** What is chosen here is shown, wherever the pointer was left. */
  const set = (to: number | null): void =>
    batch(() => {
      hovered.value = null;
      unit.value = to;
    });
  const step = (by: number): void => {
    const units = data.peek()?.units ?? 0;
    const from = unit.peek() ?? (by > 0 ? -1 : 0);
    if (units > 0) set((from + by + units) % units);
  };
  const take = (): void => {
    const units = data.peek()?.units ?? 0;
    const typed = field.value.trim() === "" ? null : parseNumber(field.value);
    if (typed !== null && Number.isInteger(typed) && typed >= 0 && typed < units) set(typed);
    else if (field.value.trim() === "") set(null);
    field.value = unit.peek() === null ? "" : String(unit.peek());
  };
  field.addEventListener("change", take);
  field.addEventListener("keydown", (event) => {
    const by = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
    if (event.key === "Enter") take();
    if (by === 0) return;
    event.preventDefault();
    step(by);
  });
  const button = (text: string, label: string, by: number): HTMLElement => {
    const made = h("button", { type: "button", "aria-label": label, title: label }, text);
    made.addEventListener("click", () => step(by));
    return made;
  };
  const of = h("span", { class: "ww-soft ww-number" });
  const table = h("table", { class: "ww-gates-table" });
  const note = h("p", { class: "ww-note" });

  store.effect(() => {
    const known = data.value;
    const at = hovered.value ?? unit.value;
    const found = layer.value;
    // Not by the document's active element: in a shadow root that is the host.
    if (!field.matches(":focus") || hovered.value === null) field.value = at === null ? "" : String(at);
    of.textContent = known ? `of ${formatCount(known.units)}` : "";
    table.hidden = at === null;
    note.hidden = at !== null && known?.origin === "kernel";
    note.textContent =
      at === null
        ? "Choose a unit here or among the dots above."
        : `Norms of rows and columns come from ${lack(store).source}.`;
    if (known && found && at !== null && at < known.units) {
      table.replaceChildren(...rows(store, known, found, at));
    } else table.replaceChildren();
  });

  return h(
    "section",
    { class: "ww-gates-section ww-gates-unit", "aria-label": "unit" },
    h(
      "div",
      { class: "ww-gates-section-head" },
      h(
        "span",
        { class: "ww-gates-unit-choice" },
        h("span", { class: "ww-heading" }, "Unit"),
        button("‹", "previous unit", -1),
        field,
        button("›", "next unit", 1),
        of,
      ),
    ),
    h("div", { class: "ww-gates-table-room" }, table),
    note,
  );
}

function rows(store: Store, known: LayerData, layer: RecurrentLayer, unit: number): HTMLElement[] {
  const head = h(
    "tr",
    {},
    h("th", {}),
    ...known.gates.map((gate) =>
      h("th", { scope: "col", title: gateMeaning(layer.kind, gate.label).name }, gate.label),
    ),
  );
  const lines = QUANTITIES.flatMap((quantity) => {
    const columns = known.gates.map((gate) => quantity.values(gate));
    if (columns.every((column) => column === null)) return [];
    // One scale a line: the gates of a line can be compared.
    let most = 0;
    for (const column of columns) {
      for (const value of column ?? []) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
    }
    return h(
      "tr",
      {},
      h("th", { scope: "row", class: "ww-soft", title: quantity.title }, quantity.name),
      ...columns.map((column, at) => {
        if (!column) return h("td", {});
        const value = column[unit] as number;
        const gate = known.gates[at] as Gate;
        return cell(store, layer, gate, quantity, unit, value, rankText(column, unit), most);
      }),
    );
  });
  const projected = known.projected;
  if (projected) {
    const text = `${formatNumber(projected[unit] as number, 3)} (${rankText(projected, unit)})`;
    lines.push(
      h(
        "tr",
        {},
        h(
          "th",
          { scope: "row", class: "ww-soft", title: "fan-out: norm of the unit's column of the projection" },
          "is read by the projection",
        ),
        h("td", { colspan: known.gates.length, class: "ww-number" }, text),
      ),
    );
  }
  return [head, ...lines];
}

/** "rank 3 of 96" by magnitude. */
function rankText(values: Float64Array, unit: number): string {
  const own = Math.abs(values[unit] as number);
  let larger = 0;
  for (const value of values) if (Math.abs(value) > own) larger++;
  return `rank ${formatCount(larger + 1)} of ${formatCount(values.length)}`;
}

function cell(
  store: Store,
  layer: RecurrentLayer,
  gate: Gate,
  quantity: Quantity,
  unit: number,
  value: number,
  rank: string,
  most: number,
): HTMLElement {
  const share = most > 0 && Number.isFinite(value) ? Math.abs(value) / most : 0;
  const bar = h("span", { class: "ww-gates-cell-bar", "aria-hidden": "true" });
  if (quantity.signed) {
    bar.style.left = value < 0 ? `${50 * (1 - share)}%` : "50%";
    bar.style.width = `${50 * share}%`;
  } else bar.style.width = `${100 * share}%`;
  const text = h("span", {}, formatNumber(value, 3));
  const { from, side } = quantity;
  if (from === null) return h("td", { class: "ww-number", title: rank }, bar, text);
  const button = h(
    "button",
    {
      type: "button",
      class: "ww-plain ww-number",
      title: `${rank}. Click to see these weights in the heatmap.`,
    },
    text,
  );
  button.addEventListener("click", () => showSlice(store, layer, gate.label, from, side === "reads", unit));
  return h("td", { class: "ww-number" }, bar, button);
}

/** The weights of a unit in the heatmap, with their neighbours. */
function showSlice(
  store: Store,
  layer: RecurrentLayer,
  gate: string,
  from: "input" | "recurrent",
  reads: boolean,
  unit: number,
): void {
  const overview = store.overview.peek();
  const row = layer[from];
  const [rows = 1, cols = 1] = overview.shape(row);
  const torch = layer.layout === "torch";
  const height = torch ? rows / layer.gates.length : rows;
  const width = torch ? cols : cols / layer.gates.length;
  const alongRows = reads === torch;
  const near = (length: number): [number, number] => [
    Math.max(0, unit - AROUND),
    Math.min(length, unit + AROUND + 1),
  ];
  // One after the other: Python forgets the window when the selection changes.
  store.select(blockPath(overview, layer, row, gate));
  store.traits.window.value = alongRows ? [...near(height), 0, width] : [0, height, ...near(width)];
  store.traits.view.value = "heatmap";
}
