/**
 * The messages between the front end and the kernel; one file a view in protocol/.
 * Mirrors weightwidget/wire/protocol/, which documents them.
 */

import type { ChannelRequests } from "./protocol/channel";
import type { ExpertsRequests } from "./protocol/experts";
import type { FiltersRequests } from "./protocol/filters";
import type { GatesRequests } from "./protocol/gates";
import type { HeadsRequests } from "./protocol/heads";
import type { HeatmapRequests } from "./protocol/heatmap";
import type { HistogramRequests } from "./protocol/histogram";
import type { RecordsRequests } from "./protocol/records";
import type { SpectrumRequests } from "./protocol/spectrum";
import type { TokensRequests } from "./protocol/tokens";

export * from "./protocol/channel";
export * from "./protocol/experts";
export * from "./protocol/filters";
export * from "./protocol/gates";
export * from "./protocol/heads";
export * from "./protocol/heatmap";
export * from "./protocol/histogram";
export * from "./protocol/records";
export * from "./protocol/spectrum";
export * from "./protocol/tokens";

/** By kind: what is asked, and what is answered besides buffers. */
export interface Requests
  extends HeatmapRequests,
    HistogramRequests,
    RecordsRequests,
    FiltersRequests,
    GatesRequests,
    HeadsRequests,
    TokensRequests,
    ExpertsRequests,
    ChannelRequests,
    SpectrumRequests {}

export type RequestKind = keyof Requests;

export type Reply<K extends RequestKind> = Requests[K]["reply"] & {
  buffers: DataView[];
};

export interface ErrorBody {
  type: string;
  message: string;
}
