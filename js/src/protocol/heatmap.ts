/** Tiles, norms and cells of the drawn matrix. Mirrors weightwidget/wire/protocol/heatmap.py. */

export type Aggregate = "absmax" | "mean" | "std" | "min" | "max";
export const AGGREGATES: readonly Aggregate[] = ["absmax", "mean", "std", "min", "max"];

/** Rows and columns of a full tile, in pixels. */
export const TILE_SIZE = 256;

/** Which axes make rows and columns; axes listed together are flattened, the others are fixed at `index`. */
export interface DrawnAxes {
  rows: number[];
  cols: number[];
}

/** The matrix that is drawn of a tensor. */
export interface MatrixAddress {
  tensor: string;
  axes: DrawnAxes;
  index: number[];
}

export interface HeatmapRequests {
  tile: {
    request: MatrixAddress & {
      /** row level, column level, row number, column number */
      tile: [number, number, number, number];
      aggregate: Aggregate;
      range?: [number, number] | null;
    };
    /** Buffers: float32 values; with a range also uint8 shares. */
    reply: {
      height: number;
      width: number;
      /** Whether the values have lost digits: only in answers that come from the overview. */
      rough?: boolean;
    };
  };
  profile: {
    request: MatrixAddress;
    /** Buffers: float32 row norms, float32 column norms. */
    reply: { row_step: number; col_step: number };
  };
  cell: {
    request: MatrixAddress & { window: [number, number, number, number] };
    reply: { value: string; row: number; col: number; position: number[] };
  };
}
