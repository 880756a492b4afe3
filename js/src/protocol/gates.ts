/** The gates of a recurrent layer. Mirrors weightwidget/wire/protocol/gates.py, which documents the buffers. */

export interface GatesRequests {
  gates: {
    /** Name of the layer's recurrent weights. */
    request: { recurrent: string };
    /** Buffers: statistics, histograms, norms, biases, time scales, projected norms (float64), pictures (float32). */
    reply: {
      gates: string[];
      units: number;
      bins: number;
      limit: number;
      /** Height and width of the picture of an input block, and of a recurrent block. */
      pictures: [[number, number], [number, number]];
      /** Gates whose two biases may not be added. */
      separate: string[];
      /** The gate that keeps the state; null if there is none. */
      keeper: string | null;
    };
  };
  eigenvalues: {
    request: { recurrent: string; gate: string };
    /** Buffer: float64 pairs of real and imaginary part, in order of falling magnitude. */
    reply: { zeros: number };
  };
}
