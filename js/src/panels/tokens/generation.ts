/** When what was fetched of a tensor is void: its weights have changed. */

import { type ReadonlySignal, signal } from "@preact/signals-core";
import type { Store } from "../../store";

/** When the weights of a tensor change, at least one of these does. */
const FINGERPRINT = ["min", "max", "mean", "std", "zeros", "nan", "posinf", "neginf"];

/**
 * Counts how often the weights of some tensors have changed.
 * @param rows of the tensors in the overview; other tensors are no change
 */
export function weightChanges(store: Store, rows: ReadonlySignal<readonly number[]>): ReadonlySignal<number> {
  const changes = signal(0);
  let known = new Map<string, string>();
  store.effect(() => {
    const overview = store.overview.value;
    let changed = false;
    const now = new Map<string, string>();
    for (const row of rows.value) {
      const name = overview.names[row] as string;
      const before = known.get(name);
      // That the scan comes to a tensor is no change of its weights.
      const print = overview.summarised(row)
        ? FINGERPRINT.map((key) => overview.column(key)[row]).join()
        : (before ?? "");
      changed ||= before !== undefined && before !== "" && print !== before;
      now.set(name, print);
    }
    known = now;
    if (changed) changes.value = changes.peek() + 1;
  });
  return changes;
}
