/** A channel followed through the network. */

import { h } from "../draw/dom";
import type { View } from "../views";

export const channelView: View = {
  name: "channel",
  label: "Channel",
  title: "",
  whole: false,
  available: () => false,
  panel: () => h("div", {}),
};
