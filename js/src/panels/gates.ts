/** The gates of a recurrent layer. */

import { h } from "../draw/dom";
import type { View } from "../views";

export const gatesView: View = {
  name: "gates",
  label: "Gates",
  title: "",
  whole: false,
  available: () => false,
  panel: () => h("div", {}),
};
