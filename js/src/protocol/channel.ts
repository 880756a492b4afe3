/** A channel followed through the network. Mirrors weightwidget/wire/protocol/channel.py, which documents it. */

export type ChannelRole = "writes" | "reads" | "scales" | "shifts" | "mean" | "variance" | "filters";

export interface SpaceChoice {
  space: number;
  name: string;
  size: number;
  axis: number;
  role: ChannelRole;
  part: string;
  first: number;
}

export interface ChannelMember {
  tensor: string;
  axis: number;
  role: ChannelRole;
  part: string;
  certain: boolean;
  why: string;
  times: number;
  norm: boolean;
  error: string;
}

export type UnusualReason = "off" | "unwritten" | "unread" | "large" | "small";

export interface UnusualChannel {
  channel: number;
  reason: UnusualReason;
  member: number;
  members: number;
}

export interface ChannelRequests {
  channel: {
    request: {
      path: string;
      axis?: number | null;
      position?: number | null;
      followed?: number | null;
    };
    reply: {
      tensor: string;
      choices: SpaceChoice[];
      space: number | null;
      channel: number | null;
      how: string;
      traced: boolean;
      traceable: boolean;
    };
  };
  channel_space: {
    request: { space: number; bins: number; unusual?: number };
    reply: {
      space: number;
      name: string;
      size: number;
      step: number;
      certain: boolean;
      members: ChannelMember[];
      unusual: UnusualChannel[];
      unusual_count: number;
    };
  };
  channel_numbers: {
    request: { space: number; channel: number };
    reply: { channel: number; positions: number[] };
  };
  channel_farthest: {
    request: { space: number; member: number; first: number; end: number };
    reply: { channel: number | null };
  };
  channel_partners: {
    request: { space: number; channel: number; member: number; count: number };
    reply: { partners: [number, number][] };
  };
  trace: {
    request: Record<string, never>;
    reply: { how: string };
  };
}
