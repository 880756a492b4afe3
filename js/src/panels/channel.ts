/** A channel followed through the network: every tensor that writes, scales, shifts or reads it, in network order. */

import type { ReadonlySignal } from "@preact/signals-core";
import { SEPARATOR } from "../anatomy";
import { h, setText } from "../draw/dom";
import { formatCount, formatNumber } from "../draw/format";
import { visible } from "../draw/visible";
import { lack } from "../lack";
import type { Overview } from "../overview";
import type { Store } from "../store";
import type { View } from "../views";
import { channelHead } from "./channel/head";
import { pooledNorms } from "./channel/offline";
import { memberRows } from "./channel/rows";
import { type ChannelState, channelState } from "./channel/state";

export const channelView: View = {
  name: "channel",
  label: "Channel",
  title: "follow a unit through the network: norms, gains, biases, fan-in and fan-out",
  whole: true,
  available: (overview, _row, path) => hasChannels(overview, path),
  panel: channelPanel,
};

/** Whether a tensor, or the one that a block is part of, has axes that other tensors may share. */
export function hasChannels(overview: Overview, path: string): boolean {
  const row = overview.rowOf(path.split(SEPARATOR)[0] as string);
  if (!overview.isTensor(row)) return false;
  if (overview.shape(row).length === 0 || overview.error(row) !== "") return false;
  return overview.role(row) !== "mask" && !/^(u?int|bool|complex)/.test(overview.dtype(row));
}

function channelPanel(store: Store, shown: ReadonlySignal<boolean>): HTMLElement {
  const state = channelState(store, shown);
  const note = h("p", { class: "ww-note ww-ch-note", role: "status" });
  const offline = h("div", { class: "ww-ch-offline" });
  store.effect(() => {
    const data = state.space.value;
    const problem = state.problem.value;
    const kernel = store.model.kernel.value;
    const choices = state.choices.value;
    const share = state.progress.value;
    const waits = data === null && kernel === "gone";
    offline.hidden = !waits;
    if (waits) offline.replaceChildren(pooledNorms(store));
    let text = "";
    if (problem) text = problem;
    else if (waits) {
      text =
        `Following a channel through the network takes ${lack(store).source}. ` +
        `These are the norms of the selected tensor alone, as they were saved with the ${lack(store).kept}.`;
    } else if (kernel === "gone") text = "The kernel does not answer: this is what it told last.";
    else if (choices && choices.choices.length === 0)
      text = "Nothing is known of the channels of this tensor.";
    else if (share !== null && data === null) {
      text = share > 0 ? `computing norms … ${Math.round(100 * share)} %` : "computing norms …";
    }
    setText(note, text, true);
    note.hidden = text === "";
    note.dataset.tone = problem ? "error" : "";
  });
  return h(
    "div",
    { class: "ww-channel" },
    channelHead(state),
    note,
    readout(state),
    memberRows(state),
    offline,
  );
}

/** What is under the pointer, in words. */
function readout(state: ChannelState): HTMLElement {
  const line = h("div", { class: "ww-ch-readout" });
  state.store.effect(() => {
    const data = state.space.value;
    const at = state.hover.value;
    line.hidden = data === null;
    const profile = at ? data?.profiles[at.member] : undefined;
    const member = at ? data?.members[at.member] : undefined;
    if (!data || !at || !profile || !member) {
      const picked = state.channel.value;
      line.textContent = picked === null ? "Click a channel in any strip to follow it." : `channel ${picked}`;
      return;
    }
    const first = at.step * data.step;
    const last = Math.min(data.size, first + data.step) - 1;
    const low = profile.low[at.step] as number;
    const high = profile.high[at.step] as number;
    const where =
      first === last ? `channel ${first}` : `channels ${formatCount(first)} to ${formatCount(last)}`;
    const value = Number.isNaN(low)
      ? "not carried"
      : low === high
        ? formatNumber(low, 5)
        : `${formatNumber(low, 4)} to ${formatNumber(high, 4)}`;
    setText(line, `${where}: ${value} in ${visible(member.tensor)}${member.part ? ` (${member.part})` : ""}`);
  });
  return line;
}
