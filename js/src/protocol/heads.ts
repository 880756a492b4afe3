/** The heads of attention layers. Mirrors weightwidget/wire/protocol/heads.py. */

/** A projection, or a circuit of two. */
export const HEAD_PARTS = ["query", "key", "value", "output", "qk", "ov"] as const;
export type HeadPart = (typeof HEAD_PARTS)[number];

export interface HeadsRequests {
  heads: {
    request: { layer: string; what: "norms" | "circuits" };
    /** Buffer: float64 (measures, heads), NaN where there is none. */
    reply: { measures: string[]; heads: number };
  };
  head_similarity: {
    request: { layer: string; part: HeadPart };
    /** Buffer: float64 cosines (heads, heads). Of keys and values the heads are those of keys and values. */
    reply: { heads: number };
  };
  head: {
    request: { layer: string; head: number; width: number; height: number };
    /**
     * Buffers: float32 pictures of query, key, value and output, (head size, width) of the weights made smaller;
     * float64 singular values of QK, of OV, real and imaginary parts of OV's eigenvalues, all measures.
     */
    reply: {
      pictures: [height: number, width: number][];
      shapes: [size: number, width: number][];
      measures: string[];
      square: boolean;
      finite: boolean;
    };
  };
  /** Sets the number of heads by hand, of all attention layers in a module; the overview follows. */
  set_heads: {
    request: { path: string; heads: number; kv_heads: number | null };
    /** Number of attention layers that there are now. */
    reply: { layers: number };
  };
}
