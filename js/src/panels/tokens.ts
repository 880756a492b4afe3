/** The vectors of an embedding: of tokens with their neighbours and clusters, of positions and types with all cosines. */

import { h } from "../draw/dom";
import type { View } from "../views";
import { tokenBar } from "./tokens/bar";
import { legend, listRule, listTabs, verticalChoice } from "./tokens/choices";
import { cosinePanel } from "./tokens/cosines";
import { tokenList } from "./tokens/list";
import { nearPanel } from "./tokens/near";
import { scatterPanel } from "./tokens/scatter";
import { tokenState } from "./tokens/state";
import { tableOf } from "./tokens/table";

export const tokensView: View = {
  name: "tokens",
  label: "Tokens",
  title: "the vectors of an embedding: norms, nearest neighbours, clusters",
  whole: true,
  available: (overview, row) => tableOf(overview, row) !== null,
  panel: (store, shown) => {
    const state = tokenState(store, shown);
    const tokens = h(
      "div",
      { class: "ww-tok-work" },
      h(
        "div",
        { class: "ww-tok-plots" },
        scatterPanel(state),
        h("div", { class: "ww-tok-under" }, verticalChoice(state)),
        legend(state),
      ),
      h(
        "div",
        { class: "ww-tok-side" },
        h("div", { class: "ww-tok-tabs" }, listTabs(state)),
        listRule(state),
        tokenList(state),
        nearPanel(state),
      ),
    );
    const others = cosinePanel(state, shown);
    store.effect(() => {
      const isTokens = (state.table.value?.entries ?? "token") === "token";
      tokens.hidden = !isTokens;
      others.hidden = isTokens;
    });
    return h("div", { class: "ww-tokens" }, tokenBar(state), tokens, others);
  },
};
