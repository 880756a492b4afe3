/** The strings of tokens, asked for when they are seen. */

import type { ReadonlySignal, Signal } from "@preact/signals-core";
import type { TableAddress } from "../../protocol";
import type { Store } from "../../store";

/** Where strings come from; `source` is "" without any. */
export interface Strings {
  readonly source: string;
  readonly known: number;
  readonly problem: string;
}

/** Strings are asked for in small groups, when they are seen. */
export function textCache(
  store: Store,
  address: ReadonlySignal<TableAddress | null>,
  strings: ReadonlySignal<Strings>,
  arrivals: Signal<number>,
  fail: (what: string, reason: unknown) => void,
): { get(entry: number, ask?: boolean): string | null; forget(): void } {
  let known = new Map<number, string>();
  let asked = new Set<number>();
  const wanted: number[] = [];
  let abort = new AbortController();
  const send = (): void => {
    const at = address.peek();
    const entries = wanted.splice(0, 2000);
    if (wanted.length > 0) queueMicrotask(send);
    if (!at || entries.length === 0) return;
    const mine = known;
    store.model
      .request("tokens.texts", { ...at, entries }, { signal: abort.signal })
      .then(({ texts }) => {
        entries.forEach((entry, place) => {
          mine.set(entry, texts[place] ?? "");
        });
        if (mine === known) arrivals.value = arrivals.peek() + 1;
      })
      .catch((reason: unknown) => fail("texts", reason));
  };
  store.lifetime.addEventListener("abort", () => abort.abort());
  return {
    get: (entry, ask = true) => {
      if (strings.value.source === "") return "";
      const found = known.get(entry);
      if (found !== undefined) return found;
      if (ask && !asked.has(entry)) {
        if (wanted.length === 0) queueMicrotask(send);
        asked.add(entry);
        wanted.push(entry);
      }
      return null;
    },
    forget: () => {
      abort.abort();
      abort = new AbortController();
      known = new Map();
      asked = new Set();
      wanted.length = 0;
    },
  };
}
