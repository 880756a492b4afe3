/** Above the plots: what the table is, the search for a token, and how far the search for neighbours has come. */

import { signal } from "@preact/signals-core";
import { h } from "../../draw/dom";
import { formatCount } from "../../draw/format";
import { lack } from "../../lack";
import { entriesWord } from "./scatter";
import type { TokenState } from "./state";
import { firstLimit, secondsForAll } from "./table";

/** Matches that are offered. */
const OFFERED = 12;

export function tokenBar(state: TokenState): HTMLElement {
  const [search, found] = [searchField(state), progress(state)];
  // Positions and types have no strings, and so few that all cosines are shown.
  state.store.effect(() => {
    search.hidden = found.hidden = state.table.value?.entries !== "token";
  });
  return h("div", { class: "ww-tok-bar-top" }, search, facts(state), found);
}

function facts(state: TokenState): HTMLElement {
  const { store } = state;
  const element = h("span", { class: "ww-soft ww-tok-facts" });
  store.effect(() => {
    const table = state.table.value;
    if (!table) return;
    const { source, known, problem } = state.strings.value;
    const parts: (string | Node)[] = [
      `${entriesWord(table.count, table.entries)} × ${formatCount(table.size)}`,
    ];
    if (table.tiedWith)
      parts.push(" · ", h("span", { title: `the same weights as ${table.tiedWith}` }, "tied"));
    if (!table.certain)
      parts.push(
        " · ",
        h("span", { class: "ww-tok-guess", title: table.why }, "guessed from name and shape"),
      );
    if (table.entries !== "token") {
      element.replaceChildren(...parts);
      return;
    }
    if (source) {
      const few = known < table.count ? ` (${formatCount(known)} of them)` : "";
      parts.push(
        " · ",
        h("span", { title: "where the strings of the tokens come from" }, `strings: ${source}${few}`),
      );
    } else if (problem) parts.push(" · ", h("span", { class: "ww-tok-guess" }, problem));
    else if (state.norms.value && store.model.kernel.value !== "gone")
      parts.push(
        " · ",
        h("span", { title: "explorer.tokenizer = tokenizer gives tokens their strings" }, "no strings"),
      );
    element.replaceChildren(...parts);
  });
  return element;
}

/** Progress of the search with its cancel button; afterwards what it covered. */
function progress(state: TokenState): HTMLElement {
  const { store } = state;
  const meter = h("progress", { max: 1, "aria-label": "search for nearest neighbours" });
  const stop = h("button", { type: "button" }, "cancel");
  const again = h("button", { type: "button" });
  const note = h("span", { class: "ww-soft" });
  stop.addEventListener("click", () => state.stopSearch());
  again.addEventListener("click", () => state.search(null));
  store.effect(() => {
    const gone = store.model.kernel.value === "gone";
    const share = gone ? null : state.searching.value;
    const table = state.table.value;
    const found = state.neighbours.value;
    const ready = state.norms.value !== null && state.normStep.value === 1;
    meter.hidden = stop.hidden = share === null;
    if (share !== null) meter.value = share;
    const partial = found !== null && table !== null && found.asked < table.count;
    again.hidden = gone || share !== null || !table || !ready || (found !== null && !partial);
    if (table) {
      const seconds = secondsForAll(table.count, table.size);
      const long = firstLimit(table.count, table.size) === null ? "" : `, about ${duration(seconds)}`;
      again.textContent = partial ? `all${long}` : `find nearest neighbours${long}`;
      again.title = "look for the nearest neighbours of all tokens; it can be cancelled";
    }
    if (share !== null) note.textContent = "nearest neighbours";
    else if (gone && found === null)
      note.textContent = store.base.value.hasWeights
        ? "no kernel answers: norms of the overview, rounded to 0.4 %"
        : "norms of the overview, rounded to 0.4 %";
    else
      note.textContent = partial
        ? `nearest of ${formatCount(found.asked)} of ${formatCount(table.count)} tokens, spread evenly`
        : "";
  });
  return h("span", { class: "ww-tok-progress" }, note, meter, stop, again);
}

function duration(seconds: number): string {
  return seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
}

/** Text to tokens: a list of matches, chosen by click or arrow keys. */
function searchField(state: TokenState): HTMLElement {
  const { store } = state;
  const input = h("input", {
    type: "search",
    placeholder: "find a token or number",
    "aria-label": "find a token",
    spellcheck: "false",
    autocomplete: "off",
    role: "combobox",
    "aria-expanded": "false",
    "aria-autocomplete": "list",
  });
  const list = h("div", {
    class: "ww-tok-matches",
    role: "listbox",
    "aria-label": "matching tokens",
    hidden: true,
  });
  const box = h("div", { class: "ww-tok-search" }, input, list);
  const found = signal<{ entries: number[]; texts: string[]; total: number } | null>(null);
  const problem = signal("");
  const at = signal(0);
  let abort = new AbortController();

  const ask = (): void => {
    abort.abort();
    const address = state.address.peek();
    const text = input.value;
    problem.value = "";
    if (!address || text.trim() === "") {
      found.value = null;
      return;
    }
    abort = new AbortController();
    const mine = abort;
    store.model
      .request("tokens.find", { ...address, text: text.trim(), limit: OFFERED }, { signal: mine.signal })
      .then((reply) => {
        if (mine.signal.aborted) return;
        at.value = 0;
        found.value = reply;
      })
      .catch((reason: unknown) => {
        if (!mine.signal.aborted) problem.value = reason instanceof Error ? reason.message : String(reason);
      });
  };
  const choose = (entry: number | undefined): void => {
    if (entry === undefined) return;
    state.chosen.value = entry;
    found.value = null;
  };
  input.addEventListener("input", ask);
  input.addEventListener("focus", ask);
  input.addEventListener("keydown", (event) => {
    const now = found.peek();
    if (event.key === "Enter") choose(now?.entries[at.peek()]);
    else if (event.key === "Escape" && now) found.value = null;
    else if (now && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const step = event.key === "ArrowDown" ? 1 : -1;
      at.value = Math.max(0, Math.min(now.entries.length - 1, at.peek() + step));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  box.addEventListener("focusout", (event) => {
    if (!box.contains(event.relatedTarget as Node | null)) found.value = null;
  });
  store.effect(() => {
    const now = found.value;
    const gone = store.model.kernel.value === "gone";
    input.disabled = gone;
    input.title = gone ? `${lack(store).without}, tokens are found by their strings` : "";
    list.hidden = now === null && problem.value === "";
    input.setAttribute("aria-expanded", String(!list.hidden));
    if (!now) {
      list.replaceChildren(...(problem.value ? [h("p", { class: "ww-note" }, problem.value)] : []));
      return;
    }
    const hasStrings = state.strings.value.source !== "";
    const none = hasStrings ? "no token has this text" : "no such number; no strings are known";
    const more = now.total - now.entries.length;
    list.replaceChildren(
      ...now.entries.map((entry, place) => {
        const option = h(
          "button",
          {
            type: "button",
            class: "ww-plain",
            role: "option",
            tabindex: -1,
            "aria-selected": String(place === at.value),
          },
          h("bdi", { class: "ww-tok-text" }, now.texts[place] || "–"),
          h("span", { class: "ww-tok-id" }, String(entry)),
        );
        option.addEventListener("click", () => choose(entry));
        return option;
      }),
      now.entries.length === 0
        ? h("p", { class: "ww-note" }, none)
        : more > 0
          ? h("p", { class: "ww-note" }, `and ${formatCount(more)} more`)
          : "",
    );
  });
  return box;
}
