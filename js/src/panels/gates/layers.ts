/** Which recurrent layers there are in what is selected, and what their parts are called. Pure. */

import { type RecurrentLayer, SEPARATOR } from "../../anatomy";
import type { Overview } from "../../overview";

/** What a gate is. Sigmoid gates open and shut; candidates are squashed by tanh (or ReLU in a plain RNN). */
export interface GateMeaning {
  readonly name: string;
  readonly sigmoid: boolean;
  readonly help: string;
}

const LSTM_CANDIDATE: GateMeaning = {
  name: "cell candidate",
  sigmoid: false,
  help: "what the input gate lets into the cell state; squashed by tanh",
};

const GRU_CANDIDATE: GateMeaning = {
  name: "new",
  sigmoid: false,
  help: "the candidate for the new state; squashed by tanh",
};

const MEANINGS: Record<RecurrentLayer["kind"], Record<string, GateMeaning>> = {
  LSTM: {
    i: { name: "input", sigmoid: true, help: "how much of the candidate enters the cell state" },
    f: { name: "forget", sigmoid: true, help: "how much of the cell state is kept: open is remembering" },
    g: LSTM_CANDIDATE,
    c: LSTM_CANDIDATE,
    o: { name: "output", sigmoid: true, help: "how much of the cell state is shown as the layer's output" },
  },
  GRU: {
    r: { name: "reset", sigmoid: true, help: "how much of the old state the candidate sees" },
    z: { name: "update", sigmoid: true, help: "how much of the old state is kept: open is remembering" },
    n: GRU_CANDIDATE,
    h: { ...GRU_CANDIDATE, name: "candidate" },
  },
  RNN: { h: { name: "hidden", sigmoid: false, help: "the new state, before tanh or ReLU" } },
};

export function gateMeaning(kind: RecurrentLayer["kind"], gate: string): GateMeaning {
  return MEANINGS[kind][gate] ?? { name: "", sigmoid: false, help: "" };
}

const ROLES = ["input", "recurrent", "input_bias", "recurrent_bias", "projection"] as const;

/** Names of the tensors of a layer, by role. */
function tensorsOf(overview: Overview, layer: RecurrentLayer): Map<(typeof ROLES)[number], string> {
  const found = new Map<(typeof ROLES)[number], string>();
  for (const role of ROLES) {
    const name = layer[role] === null ? undefined : overview.names[layer[role]];
    if (name !== undefined) found.set(role, name);
  }
  return found;
}

/** The layers that the module, tensor or block of a path belongs to, or contains. */
export function layersAt(overview: Overview, path: string): RecurrentLayer[] {
  const inside = `${path}.`;
  const block = path.indexOf(SEPARATOR) >= 0;
  return overview.layers.recurrent.filter((layer) => {
    if (path === "") return true;
    for (const role of ROLES) {
      const name = layer[role] === null ? undefined : overview.names[layer[role]];
      if (name === undefined) continue;
      if (name === path || name.startsWith(inside) || (block && path.startsWith(name + SEPARATOR)))
        return true;
    }
    return false;
  });
}

/** Path of a gate's part of one of the layer's tensors. A plain RNN's only part is the whole tensor. */
export function blockPath(overview: Overview, layer: RecurrentLayer, row: number, gate: string): string {
  const name = overview.names[row] ?? "";
  return layer.gates.length === 1 ? name : `${name}${SEPARATOR}${gate}`;
}

/** What is selected, in another layer: the same tensor or block where there is one, else the module. */
export function counterpart(
  overview: Overview,
  path: string,
  from: RecurrentLayer,
  to: RecurrentLayer,
): string {
  const there = tensorsOf(overview, to);
  for (const [role, name] of tensorsOf(overview, from)) {
    const other = there.get(role);
    if (other === undefined) continue;
    if (path === name) return other;
    if (path.startsWith(name + SEPARATOR)) {
      return String(from.gates) === String(to.gates) ? other + path.slice(name.length) : other;
    }
  }
  return to.path;
}

/** What tells a layer and direction from all others: the name of its recurrent weights. */
export function keyOf(overview: Overview, layer: RecurrentLayer): string {
  return overview.names[layer.recurrent] ?? "";
}

/** How a layer is called in the chooser: its module and, where that has several, its number. */
export function layerLabel(overview: Overview, layer: RecurrentLayer): string {
  const several = overview.layers.recurrent.some(
    (other) => other.path === layer.path && other.layer !== layer.layer,
  );
  const module = layer.path || overview.name || "model";
  return several ? `${module} · layer ${layer.layer}` : module;
}
