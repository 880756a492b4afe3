/** Which channel is followed through which tensors, and their numbers. */

import { batch, type ReadonlySignal, type Signal, signal, untracked } from "@preact/signals-core";
import { SEPARATOR } from "../../anatomy";
import { doubles } from "../../buffers";
import { RequestCancelled } from "../../model";
import type { Reply } from "../../protocol";
import type { Store } from "../../store";
import { type SpaceData, type Standing, unpackNumbers, unpackSpace } from "./data";

export type Choices = Reply<"channel">;

export interface Partners {
  /** Place of the member whose weights they are. */
  readonly member: number;
  readonly list: readonly { space: number; channel: number; value: number }[];
}

export interface ChannelState {
  readonly store: Store;
  /** The spaces of what is selected. */
  readonly choices: ReadonlySignal<Choices | null>;
  /** The followed space: all members and the profiles of their numbers. */
  readonly space: ReadonlySignal<SpaceData | null>;
  readonly channel: ReadonlySignal<number | null>;
  /** For each member how the channel stands; null until it is known. */
  readonly standings: ReadonlySignal<readonly Standing[] | null>;
  /** The channel under the pointer, the first of a step where a step is several. */
  readonly hover: Signal<{ member: number; step: number } | null>;
  /** A member to bring into sight; null again once it is. */
  readonly reveal: Signal<number | null>;
  /** Share of what is computed that is done; null when nothing is. */
  readonly progress: ReadonlySignal<number | null>;
  readonly problem: ReadonlySignal<string>;
  /** "running" while the model's code is traced, then "" or why that failed. */
  readonly tracing: ReadonlySignal<string>;
  /** Channels that the selected tensor connects the followed one to most strongly; null while there are none. */
  readonly partners: ReadonlySignal<Partners | null>;
  pick(channel: number | null): void;
  /** Picks the channel that stands out most among those of a step of a member's profile. */
  pickStep(member: number, step: number): void;
  /** Follows another space, and a channel in it. */
  choose(space: number, channel?: number): void;
  trace(): void;
}

/** Steps of a profile that are asked for: more than any panel has pixels, few enough to redraw at once. */
const BINS = 2048;

/** Partners that are told of. */
const PARTNERS = 8;

/** When the weights of a tensor change, at least one of these does. */
const FINGERPRINT = ["min", "max", "mean", "std", "zeros"];

export function channelState(store: Store, shown: ReadonlySignal<boolean>): ChannelState {
  const { model, traits } = store;
  const choices = signal<Choices | null>(null);
  const space = signal<SpaceData | null>(null);
  const number = signal<number | null>(null);
  const channel = signal<number | null>(null);
  const standings = signal<readonly Standing[] | null>(null);
  const hover = signal<{ member: number; step: number } | null>(null);
  const reveal = signal<number | null>(null);
  const progress = signal<number | null>(null);
  const problem = signal("");
  const tracing = signal("");
  const again = signal(0);
  const generation = weightGeneration(store, space);

  const failed = (reason: unknown): void => {
    if (reason instanceof RequestCancelled) return;
    batch(() => {
      problem.value = reason instanceof Error ? reason.message : String(reason);
      progress.value = null;
    });
  };

  // What is selected, or asked for from outside: which spaces there are, and which channel that is.
  let subject = "";
  let told = "null";
  let kept = "";
  let asking: AbortController | null = null;
  store.effect(() => {
    const path = traits.selected.value;
    const wanted = traits.channel.value ?? null;
    const about = JSON.stringify([path, again.value, generation.value]);
    if (!shown.value) return;
    const text = JSON.stringify(wanted);
    const isNew = text !== told;
    // A change of the trait that this view made itself is known already.
    if (about === subject && !isNew) return;
    subject = about;
    told = text;
    asking?.abort();
    const abort = new AbortController();
    asking = abort;
    const place = isNew && wanted ? { axis: wanted[0], position: wanted[1] } : {};
    const followed = untracked(() => number.value);
    model
      .request("channel", { path, ...place, followed }, { signal: abort.signal })
      .then((reply) => {
        if (abort.signal.aborted) return;
        batch(() => {
          problem.value = "";
          choices.value = reply;
          const same = reply.space === followed;
          number.value = reply.space;
          if (reply.channel !== null) channel.value = reply.channel;
          else if (!same || (isNew && !wanted)) channel.value = null;
          // The position that was asked for stays, though another may carry the same channel.
          kept = reply.channel !== null ? `${reply.tensor} ${reply.channel}` : "";
        });
      })
      .catch(failed);
  });
  store.lifetime.addEventListener("abort", () => asking?.abort());

  // The followed space.
  let loaded = "";
  store.effect(() => {
    const id = number.value;
    const how = choices.value?.how;
    const key = JSON.stringify([id, how, generation.value, again.value]);
    if (!shown.value || key === loaded) return;
    if (id === null) {
      loaded = key;
      space.value = null;
      return;
    }
    const abort = new AbortController();
    progress.value = 0;
    model
      .request(
        "channel_space",
        { space: id, bins: BINS },
        {
          signal: abort.signal,
          onProgress: (share) => {
            progress.value = share;
          },
        },
      )
      .then((reply) => {
        if (abort.signal.aborted) return;
        loaded = key;
        batch(() => {
          problem.value = "";
          progress.value = null;
          hover.value = null;
          space.value = unpackSpace(reply);
        });
      })
      .catch(failed);
    return () => {
      progress.value = null;
      abort.abort();
    };
  });

  // The followed channel: its numbers, and the trait that tells Python.
  store.effect(() => {
    const data = space.value;
    const at = channel.value;
    const tensor = choices.value?.tensor;
    if (!data || at === null || at >= data.size || data.space !== number.value) {
      standings.value = null;
      return;
    }
    const abort = new AbortController();
    model
      .request("channel_numbers", { space: data.space, channel: at }, { signal: abort.signal })
      .then((reply) => {
        if (abort.signal.aborted) return;
        standings.value = unpackNumbers(reply);
        if (kept === `${tensor} ${at}`) return;
        kept = "";
        const place = data.members.findIndex(
          (member, i) => member.tensor === tensor && (reply.positions[i] as number) >= 0,
        );
        const member = data.members[place];
        if (member && traits.selected.peek().split(SEPARATOR)[0] === member.tensor) {
          tell([member.axis, reply.positions[place] as number]);
        }
      })
      .catch(failed);
    return () => abort.abort();
  });

  // What the selected tensor connects it to.
  const partners = signal<Partners | null>(null);
  store.effect(() => {
    const data = space.value;
    const at = channel.value;
    const tensor = choices.value?.tensor;
    partners.value = null;
    if (!shown.value || !data || at === null || at >= data.size || data.space !== number.value) return;
    const member = data.members.findIndex(
      (one) => one.tensor === tensor && (one.role === "writes" || one.role === "reads") && one.norm,
    );
    if (member < 0) return;
    const abort = new AbortController();
    model
      .request(
        "channel_partners",
        { space: data.space, channel: at, member, count: PARTNERS },
        { signal: abort.signal },
      )
      .then((reply) => {
        const [buffer] = reply.buffers;
        if (abort.signal.aborted || !buffer) return;
        const values = doubles(buffer);
        const list = reply.partners.map(([of, one], i) => ({
          space: of,
          channel: one,
          value: values[i] as number,
        }));
        partners.value = { member, list };
      })
      .catch(failed);
    return () => abort.abort();
  });

  const tell = (value: [number, number] | null): void => {
    told = JSON.stringify(value);
    traits.channel.value = value;
  };

  return {
    store,
    choices,
    space,
    channel,
    standings,
    hover,
    reveal,
    progress,
    problem,
    tracing,
    partners,
    pick: (value) => {
      const size = space.peek()?.size ?? 0;
      if (value !== null && !(value >= 0 && value < size)) return;
      channel.value = value;
      if (value === null) tell(null);
    },
    pickStep: (member, step) => {
      const data = space.peek();
      if (!data) return;
      const first = step * data.step;
      if (data.step === 1) {
        channel.value = first;
        return;
      }
      const end = Math.min(data.size, first + data.step);
      model
        .request("channel_farthest", { space: data.space, member, first, end })
        .then((reply) => {
          if (space.peek() === data) channel.value = reply.channel ?? first;
        })
        .catch(failed);
    },
    choose: (id, at = -1) => {
      batch(() => {
        number.value = id;
        channel.value = at >= 0 ? at : null;
        standings.value = null;
        if (at < 0) tell(null);
      });
    },
    trace: () => {
      tracing.value = "running";
      model
        .request("trace", {})
        .then(() => {
          batch(() => {
            tracing.value = "";
            number.value = null;
            // The followed channel is found anew by its place in the selected tensor.
            told = "";
            again.value = again.peek() + 1;
          });
        })
        .catch((reason: unknown) => {
          if (reason instanceof RequestCancelled) tracing.value = "";
          else tracing.value = reason instanceof Error ? reason.message : String(reason);
        });
    },
  };
}

/** Counts how often weights of the followed space have changed. */
function weightGeneration(store: Store, space: ReadonlySignal<SpaceData | null>): ReadonlySignal<number> {
  const generation = signal(0);
  let known = new Map<string, string>();
  let of: SpaceData | null = null;
  store.effect(() => {
    const overview = store.base.value;
    const data = space.value;
    if (!data) return;
    if (data !== of) known = new Map();
    of = data;
    let changed = false;
    for (const { tensor } of data.members) {
      const row = overview.rowOf(tensor);
      if (row < 0 || !overview.summarised(row)) continue;
      const now = FINGERPRINT.map((key) => overview.column(key)[row]).join();
      const before = known.get(tensor);
      if (before !== undefined && before !== now) changed = true;
      known.set(tensor, now);
    }
    if (changed) generation.value = untracked(() => generation.value) + 1;
  });
  return generation;
}
