/** Singular values of a matrix. */

import { h } from "../draw/dom";
import type { View } from "../views";

export const spectrumView: View = {
  name: "spectrum",
  label: "Spectrum",
  title: "",
  whole: false,
  available: () => false,
  panel: () => h("div", {}),
};
