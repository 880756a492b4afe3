/** What is not there where something cannot be shown: a kernel that answers, or the weights. */

import { computed, type ReadonlySignal } from "@preact/signals-core";
import { type Model, RequestCancelled } from "./model";
import type { Overview } from "./overview";
import type { Store } from "./store";

/** The words for it. */
export interface Lack {
  /** Begins a sentence that goes on with what would be there otherwise. */
  readonly without: string;
  /** A sentence without its full stop. */
  readonly fact: string;
  /** What would show it: "… draws it". */
  readonly doer: string;
  /** What it takes: "copying needs …". */
  readonly need: string;
  /** The same where there is little room. */
  readonly short: string;
  /** Begins a sentence: "… would add exact norms". */
  readonly Agent: string;
  /** The same within one: "… would compare the heads". */
  readonly agent: string;
  /** Begins a sentence: "… there are exact pictures". */
  readonly With: string;
  /** Where it comes from: "norms come from …". */
  readonly source: string;
  /** What holds all that is there. */
  readonly kept: string;
  /** How the number of heads can be set all the same. */
  readonly setting: string;
  /** Why nothing is known of a block. */
  readonly block: string;
  /** Why there are no eigenvalues. */
  readonly eigenvalues: string;
}

const KERNEL: Lack = {
  without: "No kernel answers: with one",
  fact: "No kernel answers",
  doer: "a running kernel",
  need: "a running kernel",
  short: "a kernel",
  Agent: "A kernel",
  agent: "a kernel",
  With: "With one",
  source: "the kernel",
  kept: "notebook",
  setting: "setting it takes a kernel",
  block: "a block's weights need a running kernel",
  eigenvalues: "The kernel computes them, and none answers.",
};

const WEIGHTS: Lack = {
  without: "Only the summary was opened: with the weights themselves",
  fact: "Only the summary was opened",
  doer: "opening the weights",
  need: "the weights themselves",
  short: "weights",
  Agent: "Opening the weights",
  agent: "opening the weights",
  With: "With the weights themselves",
  source: "the weights themselves",
  kept: "summary",
  setting: "set it in Python: explorer.anatomy.set_heads(12)",
  block: "a block's weights need opening: only the summary is here",
  eigenvalues: "They are computed from the weights, and only the summary was opened.",
};

/** What panels are missing while `model.kernel` is "gone". */
export function lack(store: Pick<Store, "base">): Lack {
  return store.base.value.hasWeights ? KERNEL : WEIGHTS;
}

/** Requests that are answered from records: they need no weights. Of blocks there are no records. */
const FROM_RECORDS: ReadonlySet<string> = new Set(["histogram", "count"]);
const FROM_FILES: ReadonlySet<string> = new Set(["tokens.texts", "tokens.find"]);

/**
 * A model without its weights: where only a summary was opened, panels find no kernel, whose answers would be nothing
 * but refusals. What the kernel can tell of the summary it is asked all the same.
 *
 * @param overview as it is now
 */
export function withoutWeights(model: Model, overview: ReadonlySignal<Overview>): Model {
  const has = computed(() => overview.value.hasWeights);
  const asked = (kind: string, payload: object): boolean => {
    if (FROM_RECORDS.has(kind)) return overview.peek().rowOf((payload as { path: string }).path) >= 0;
    return FROM_FILES.has(kind);
  };
  return {
    ...model,
    kernel: computed(() => (has.value ? model.kernel.value : "gone")),
    request: (kind, payload, options = {}) => {
      if (has.peek() || asked(kind, payload)) return model.request(kind, payload, options);
      return new Promise((_resolve, reject) => {
        const cancel = (): void => reject(new RequestCancelled());
        if (options.signal?.aborted) cancel();
        else options.signal?.addEventListener("abort", cancel, { once: true });
      });
    },
  };
}
