/** The filters of a convolution. */

import { h } from "../draw/dom";
import type { View } from "../views";

export const filtersView: View = {
  name: "filters",
  label: "Filters",
  title: "",
  whole: false,
  available: () => false,
  panel: () => h("div", {}),
};
