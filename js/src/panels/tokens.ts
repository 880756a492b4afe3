/** The vectors of an embedding. */

import { h } from "../draw/dom";
import type { View } from "../views";

export const tokensView: View = {
  name: "tokens",
  label: "Tokens",
  title: "",
  whole: false,
  available: () => false,
  panel: () => h("div", {}),
};
