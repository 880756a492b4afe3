/** The filters of a convolution. Mirrors weightwidget/wire/protocol/filters.py. */

/** What is drawn of a filter: one input channel, all, their mean, their norm, the one of largest norm. */
export type FilterMode = "channel" | "all" | "mean" | "norm" | "largest";

/** Whether a filter is what an output channel reads, or what an input channel writes. */
export type FilterSide = "output" | "input";

export interface FiltersRequests {
  filters: {
    request: {
      tensor: string;
      by: FilterSide;
      mode: FilterMode;
      filters: number[];
      /** First channel that is drawn, and the one after the last. */
      channels: [number, number];
    };
    /** Buffers: float32 values of that shape; of mode "largest" also int32 channels. */
    reply: { shape: number[] };
  };
  filter_norms: {
    request: { tensor: string; by: FilterSide };
    /** Buffers: float64 norms, largest magnitudes, numbers of non-finite weights, biases (or empty), two limits. */
    reply: Record<never, never>;
  };
  filter_frequencies: {
    request: { tensor: string; by: FilterSide };
    /** Buffers: float64 frequencies, orientations, coherences, one correlation of neighbours. */
    reply: Record<never, never>;
  };
  filter_similarity: {
    request: { tensor: string; by: FilterSide };
    /** Buffers: int32 first of the copies or −1, float32 cosine with it, int32 order. */
    reply: Record<never, never>;
  };
  filter: {
    request: { tensor: string; by: FilterSide; filter: number };
    /** Buffers: float64 norms of the channels' kernels, cosines with all filters. */
    reply: Record<never, never>;
  };
}
