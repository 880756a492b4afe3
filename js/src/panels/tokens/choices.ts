/** Which tokens are listed, and the two ways to find untrained ones: clusters, and nearness to known unused ones. */

import { h } from "../../draw/dom";
import { formatCount, parseNumber } from "../../draw/format";
import type { ListName, TokenState } from "./state";
import type { Quantity } from "./table";

const LISTS: Record<ListName, [label: string, title: string]> = {
  all: ["all", "every token"],
  brushed: ["brushed", "what is inside the rectangle"],
  clusters: ["clusters", "tokens that share almost one vector"],
  unused: ["near unused", "all tokens by their cosine to the mean of known unused ones"],
};

export function listTabs(state: TokenState): HTMLElement {
  const { store } = state;
  const group = h("div", { class: "ww-segments", role: "group", "aria-label": "which tokens are listed" });
  for (const [key, [text, title]] of Object.entries(LISTS)) {
    const name = key as ListName;
    const button = h("button", { type: "button", title, "data-list": name }, text);
    button.addEventListener("click", () => {
      state.list.value = name;
      if (name === "unused" && !state.reference.peek()) group.parentElement?.querySelector("input")?.focus();
    });
    store.effect(() => {
      button.setAttribute("aria-pressed", String(state.list.value === name));
      const count =
        name === "brushed"
          ? state.brushed.value.length
          : name === "clusters"
            ? state.flagged.value.length
            : 0;
      button.textContent = count > 0 ? `${text} ${formatCount(count)}` : text;
    });
    group.append(button);
  }
  return group;
}

/** What stands between the tabs and the list: the rule that the list follows, and its caveat. */
export function listRule(state: TokenState): HTMLElement {
  const { store } = state;
  const clusters = h("div", { class: "ww-tok-rule" }, threshold(state));
  const unused = h("div", { class: "ww-tok-rule" }, knownUnused(state));
  store.effect(() => {
    clusters.hidden = state.list.value !== "clusters";
    unused.hidden = state.list.value !== "unused";
  });
  return h("div", {}, clusters, unused);
}

function threshold(state: TokenState): HTMLElement {
  const { store } = state;
  const input = h("input", {
    class: "ww-number ww-tok-threshold",
    type: "text",
    inputmode: "decimal",
    size: 6,
    "aria-label": "least cosine in a cluster",
  });
  store.effect(() => {
    input.value = String(state.threshold.value);
    input.removeAttribute("aria-invalid");
  });
  input.addEventListener("change", () => {
    const value = parseNumber(input.value);
    if (value === null || value <= -1 || value >= 1) input.setAttribute("aria-invalid", "true");
    else state.threshold.value = value;
  });
  const partial = h("span", {});
  store.effect(() => {
    const found = state.neighbours.value;
    const table = state.table.value;
    const some = found && table && found.asked < table.count;
    const many = state.flagged.value.length > 4096 ? " Too many to be grouped: raise the cosine." : "";
    partial.textContent =
      (some
        ? ` Only ${formatCount(found.asked)} of ${formatCount(table.count)} tokens were looked at.`
        : "") + many;
  });
  return h(
    "p",
    { class: "ww-note" },
    "At least two others at a cosine above ",
    input,
    ". Tokens that were never trained often share almost one vector, but need not: some may be missed, and a trained " +
      "token may be among them.",
    partial,
  );
}

function knownUnused(state: TokenState): HTMLElement {
  const { store } = state;
  const input = h("input", {
    type: "text",
    placeholder: "[unused*], 73, 100-120",
    "aria-label": "known unused tokens",
    title: "numbers, ranges and patterns of tokens with * and ?, divided by commas",
    spellcheck: "false",
    autocomplete: "off",
  });
  input.addEventListener("change", () => state.setReference(input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") state.setReference(input.value);
  });
  const answer = h("span", { role: "status" });
  store.effect(() => {
    const { reference, problems } = state;
    const problem = problems.value.reference;
    if (problem) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    const many = reference.value?.entries.length ?? 0;
    answer.textContent = problem ?? (many ? `${formatCount(many)} known` : "");
    answer.dataset.tone = problem ? "error" : "";
    if (reference.value && input.value === "") input.value = reference.value.text;
    if (!reference.value && !problem && state.list.value === "all") input.value = "";
  });
  return h(
    "div",
    {},
    h("label", { class: "ww-tok-known" }, h("span", {}, "known unused"), input, answer),
    h(
      "p",
      {
        class: "ww-note",
        title: "Land and Bartolo 2024, “Fishing for Magikarp: automatically detecting under-trained tokens”",
      },
      "Tokens whose vector points where the mean of the known unused ones does were probably hardly trained (Land and " +
        "Bartolo 2024). The norm alone does not tell: untrained rows are short in some models and long in others.",
    ),
  );
}

/** What the scatter has upwards. */
export function verticalChoice(state: TokenState): HTMLElement {
  const { store } = state;
  const choices: [Quantity, string][] = [
    ["cosine", "cosine to the nearest"],
    ["entry", "number"],
    ["near unused", "cosine to known unused"],
    ["distance", "distance to known unused"],
  ];
  const select = h("select", { "aria-label": "what the scatter has upwards" });
  for (const [key, text] of choices) select.append(h("option", { value: key }, text));
  select.addEventListener("change", () => {
    state.brush.value = null;
    state.vertical.value = select.value as Quantity;
  });
  store.effect(() => {
    const named = state.reference.value !== null;
    for (const option of [...select.options].slice(2)) option.disabled = !named;
    select.value = state.vertical.value;
  });
  return h("label", { class: "ww-tok-vertical" }, h("span", { class: "ww-soft" }, "norm against"), select);
}

export function legend(state: TokenState): HTMLElement {
  const { store } = state;
  const items = (
    [
      ["brush", "brushed", () => state.brushed.value.length],
      ["flagged", "in a cluster", () => state.flagged.value.length],
      ["known", "known unused", () => state.reference.value?.entries.length ?? 0],
    ] as const
  ).map(([name, text, count]) => {
    const item = h("span", { class: "ww-tok-key", "data-key": name }, h("i", {}), text);
    store.effect(() => {
      item.hidden = count() === 0;
    });
    return item;
  });
  return h("span", { class: "ww-tok-legend" }, ...items);
}
