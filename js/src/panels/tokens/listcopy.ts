/** Copies a list of tokens as a table. */

import { copyText } from "../../draw/dom";
import { formatExact } from "../../draw/format";
import type { TokenState } from "./state";

/** Lines that are copied at most. */
const COPIED = 100_000;
/** Strings that are asked for at once. */
const PART = 2000;

export async function copyList(
  state: TokenState,
  entries: readonly number[],
  button: HTMLButtonElement,
): Promise<void> {
  const at = state.address.peek();
  const chosen = entries.slice(0, COPIED);
  const texts: string[] = [];
  if (at && state.strings.peek().source) {
    button.disabled = true;
    try {
      for (let start = 0; start < chosen.length; start += PART) {
        const part = chosen.slice(start, start + PART);
        texts.push(...(await state.store.model.request("tokens.texts", { ...at, entries: part })).texts);
      }
    } catch (reason) {
      state.fail("texts", reason);
    }
    button.disabled = false;
  }
  const exact = (values: ArrayLike<number> | null, entry: number): string =>
    values ? formatExact(values[entry] as number) : "";
  const clean = (text: string): string => text.replace(/[\t\r\n]/g, " ");
  const lines = chosen.map((entry, place) =>
    [
      entry,
      clean(texts[place] ?? ""),
      exact(state.norms.peek(), entry),
      exact(state.values("cosine"), entry),
      state.neighbours.peek()?.nearest[entry] ?? "",
      exact(state.values("near unused"), entry),
    ].join("\t"),
  );
  await copyText(["id\ttoken\tnorm\tnearest cosine\tnearest id\tcosine to unused", ...lines, ""].join("\n"));
  button.textContent = "copied";
  setTimeout(() => {
    button.textContent = "copy";
  }, 1500);
}
