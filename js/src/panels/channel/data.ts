/** What the kernel tells of a channel space, unpacked. */

import { doubles, floats } from "../../buffers";
import type { ChannelMember, Reply, UnusualChannel } from "../../protocol";

/** How a number is distributed over the channels. */
export interface Spread {
  readonly median: number;
  readonly mad: number;
  readonly low: number;
  readonly high: number;
  readonly q05: number;
  readonly q95: number;
}

/** A tensor's number for every channel, in steps of `step` channels. */
export interface Profile {
  /** Smallest and largest number of each step; the same array where a step is one channel. */
  readonly low: Float32Array;
  readonly high: Float32Array;
  readonly spread: Spread;
}

export interface Strange extends UnusualChannel {
  readonly value: number;
  readonly deviation: number;
}

export interface SpaceData {
  readonly space: number;
  readonly name: string;
  readonly size: number;
  /** Channels in a step of the profiles. */
  readonly step: number;
  readonly steps: number;
  readonly certain: boolean;
  readonly members: readonly ChannelMember[];
  readonly profiles: readonly Profile[];
  readonly unusual: readonly Strange[];
  /** How many there are; the first ones are in `unusual`. */
  readonly unusualCount: number;
}

/** How a channel stands among all in one member. */
export interface Standing {
  /** First position that carries the channel; -1 for none. */
  readonly position: number;
  readonly value: number;
  /** 1 for the largest; 0 where the member does not carry it. */
  readonly rank: number;
  readonly of: number;
  /** Share of the others that are smaller. */
  readonly below: number;
  /** Robust standard deviations from the median. */
  readonly deviation: number;
}

export function unpackSpace(reply: Reply<"channel_space">): SpaceData {
  const [lows, highs, spreads, strange] = reply.buffers;
  if (!lows || !highs || !spreads || !strange) throw new Error("the kernel sent no profiles");
  const count = reply.members.length;
  const low = floats(lows);
  const high = floats(highs);
  const steps = Math.ceil(reply.size / reply.step);
  if (low.length !== count * steps || high.length !== low.length) {
    throw new Error("the kernel sent profiles of the wrong size");
  }
  const table = doubles(spreads);
  const profiles = reply.members.map((_, at) => {
    const [median, mad, least, most, q05, q95] = table.subarray(6 * at, 6 * at + 6);
    return {
      low: low.subarray(at * steps, (at + 1) * steps),
      high: high.subarray(at * steps, (at + 1) * steps),
      spread: { median, mad, low: least, high: most, q05, q95 } as Spread,
    };
  });
  const far = doubles(strange);
  return {
    space: reply.space,
    name: reply.name,
    size: reply.size,
    step: reply.step,
    steps,
    certain: reply.certain,
    members: reply.members,
    profiles,
    unusual: reply.unusual.map((one, at) => ({
      ...one,
      value: far[2 * at] as number,
      deviation: far[2 * at + 1] as number,
    })),
    unusualCount: reply.unusual_count,
  };
}

export function unpackNumbers(reply: Reply<"channel_numbers">): Standing[] {
  const [buffer] = reply.buffers;
  if (!buffer) throw new Error("the kernel sent no numbers");
  const table = doubles(buffer);
  return reply.positions.map((position, at) => {
    const [value, rank, of, below, deviation] = table.subarray(5 * at, 5 * at + 5);
    return { position, value, rank, of, below, deviation } as Standing;
  });
}
