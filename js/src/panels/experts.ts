/** Mixtures of experts: layer by expert. */

import { h } from "../draw/dom";
import type { View } from "../views";

export const expertsView: View = {
  name: "experts",
  label: "Experts",
  title: "",
  whole: false,
  available: () => false,
  panel: () => h("div", {}),
};
