/** The heads of attention layers. */

import { h } from "../draw/dom";
import type { View } from "../views";

export const headsView: View = {
  name: "heads",
  label: "Heads",
  title: "",
  whole: false,
  available: () => false,
  panel: () => h("div", {}),
};
