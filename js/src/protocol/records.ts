/** Records of blocks. Mirrors weightwidget/wire/protocol/records.py, which says what the buffers hold. */

export type RecordDetail = "numbers" | "histograms" | "all";

export interface RecordsRequests {
  records: {
    request: { paths: string[]; detail?: RecordDetail };
    /**
     * Buffers: float64 statistics (paths, columns); with histograms float64 (paths, bins + 4) and
     * (paths, log_bins + 4); with all float32 thumbnails and float32 norms.
     */
    reply: {
      columns: string[];
      shapes: number[][];
      /** By place in `paths`. */
      errors: Record<string, string>;
      bins?: number;
      log_bins?: number;
      /** Height and width. */
      thumbnails?: [number, number][];
      /** Number of row norms and of column norms. */
      profiles?: [number, number][];
    };
  };
}
