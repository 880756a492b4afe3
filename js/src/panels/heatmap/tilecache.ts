/** The tiles of one matrix: asked for when they are wanted, kept while there is room, given up when not wanted. */

import { type Range, RequestCancelled } from "../../model";
import { TILE_SIZE } from "../../protocol";
import type { Viewport } from "./viewport";

/** Row level, column level, row number, column number. */
export type Place = readonly [number, number, number, number];

export interface TileData {
  height: number;
  width: number;
  values: Float32Array;
  shares: Uint8Array | null;
  /** Whether the values have lost digits. */
  rough?: boolean;
}

export type FetchTile = (place: Place, range: Range | null, signal: AbortSignal) => Promise<TileData>;

export interface Tile {
  readonly place: Place;
  readonly height: number;
  readonly width: number;
  readonly values: Float32Array;
  readonly rough?: boolean;
  /** Shares of the elements in `range`; null if it was not asked for. */
  shares: Uint8Array | null;
  range: string;
  /** Goes up when the shares change. */
  version: number;
  /** What drawing keeps with a tile: its coloured picture. */
  picture: unknown;
  used: number;
}

/** Requests under way at a time: enough to keep two threads of the kernel busy, few enough to stay up to date. */
const IN_FLIGHT = 6;
/** Bytes of values, shares and picture for each pixel. */
const PIXEL_BYTES = 9;
const ROOM = 64e6;

export class TileCache {
  private readonly tiles = new Map<string, Tile>();
  private readonly flying = new Map<string, { range: string; abort: AbortController }>();
  private readonly failed = new Set<string>();
  private wanted: Place[] = [];
  private range: Range | null = null;
  private pinned: (place: Place) => boolean = () => false;
  private clock = 0;
  private bytes = 0;
  private closed = false;
  /** What the kernel said when it could not give a tile. */
  error = "";

  /**
   * @param fetch asks the kernel
   * @param arrived called when a tile came or failed
   * @param mayAsk whether to send one more request, given the number under way
   */
  constructor(
    private readonly fetch: FetchTile,
    private readonly arrived: () => void,
    private readonly mayAsk: (flying: number) => boolean = () => true,
    private readonly room = ROOM,
  ) {}

  get(place: Place): Tile | undefined {
    const tile = this.tiles.get(place.join());
    if (tile) tile.used = ++this.clock;
    return tile;
  }

  all(): IterableIterator<Tile> {
    return this.tiles.values();
  }

  get size(): number {
    return this.tiles.size;
  }

  /**
   * Says which tiles are wanted, the most urgent first. All other requests are withdrawn.
   *
   * @param range asks for shares too
   * @param pinned tiles that are kept whatever comes
   */
  want(places: Place[], range: Range | null, pinned: (place: Place) => boolean): void {
    this.wanted = places;
    this.range = range;
    this.pinned = pinned;
    const needed = new Set(places.map((place) => place.join()));
    const ranged = rangeKey(range);
    for (const [key, flight] of this.flying) {
      if (needed.has(key) && flight.range === ranged) continue;
      this.flying.delete(key);
      flight.abort.abort();
    }
    this.ask();
  }

  /** Forgets everything and withdraws what is under way; nothing comes any more. */
  close(): void {
    this.closed = true;
    for (const { abort } of this.flying.values()) abort.abort();
    this.flying.clear();
    this.tiles.clear();
  }

  private ask(): void {
    if (this.closed) return;
    const range = this.range;
    for (const place of this.wanted) {
      if (this.flying.size >= IN_FLIGHT || !this.mayAsk(this.flying.size)) return;
      const key = place.join();
      // Single elements are in the range or not: that shows without asking.
      const ranged = place[0] + place[1] === 0 ? "" : rangeKey(range);
      const tile = this.tiles.get(key);
      const complete = tile && (ranged === "" || tile.range === ranged);
      if (complete || this.flying.has(key) || this.failed.has(key)) continue;
      const abort = new AbortController();
      const flight = { range: rangeKey(range), abort };
      this.flying.set(key, flight);
      this.fetch(place, ranged === "" ? null : range, abort.signal)
        .then((data) => {
          if (this.flying.get(key) === flight) this.add(place, data, ranged);
        })
        .catch((reason: unknown) => {
          if (reason instanceof RequestCancelled || this.flying.get(key) !== flight) return;
          this.failed.add(key);
          this.error = reason instanceof Error ? reason.message : String(reason);
        })
        .finally(() => {
          if (this.flying.get(key) === flight) this.flying.delete(key);
          else if (abort.signal.aborted) return;
          this.arrived();
          this.ask();
        });
    }
  }

  private add(place: Place, data: TileData, range: string): void {
    const key = place.join();
    const known = this.tiles.get(key);
    if (known) {
      known.shares = data.shares;
      known.range = range;
      known.version++;
      return;
    }
    this.tiles.set(key, { ...data, place, range, version: 0, picture: null, used: ++this.clock });
    this.bytes += data.height * data.width * PIXEL_BYTES;
    this.makeRoom();
  }

  private makeRoom(): void {
    if (this.bytes <= this.room) return;
    const needed = new Set(this.wanted.map((place) => place.join()));
    const idle = [...this.tiles].filter(([key, tile]) => !needed.has(key) && !this.pinned(tile.place));
    idle.sort(([, a], [, b]) => a.used - b.used);
    for (const [key, tile] of idle) {
      if (this.bytes <= this.room) return;
      this.tiles.delete(key);
      this.bytes -= tile.height * tile.width * PIXEL_BYTES;
    }
  }
}

export function rangeKey(range: Range | null): string {
  return range ? range.join() : "";
}

/** The tiles that a part of the matrix touches at a level of detail, the middle first. */
export function tilesIn(v: Viewport, levels: readonly [number, number], margin = 0): Place[] {
  const [rowLevel, colLevel] = levels;
  const high = TILE_SIZE * 2 ** rowLevel;
  const wide = TILE_SIZE * 2 ** colLevel;
  const span = (start: number, length: number, step: number, most: number): [number, number] => [
    Math.max(0, Math.floor((start - margin * length) / step)),
    Math.min(Math.ceil(most / step), Math.ceil((start + length * (1 + margin)) / step)),
  ];
  const [row0, row1] = span(v.y, v.height / v.sy, high, v.rows);
  const [col0, col1] = span(v.x, v.width / v.sx, wide, v.cols);
  const found: { place: Place; away: number }[] = [];
  for (let row = row0; row < row1; row++) {
    for (let col = col0; col < col1; col++) {
      const dy = ((row + 0.5) * high - v.y) * v.sy - v.height / 2;
      const dx = ((col + 0.5) * wide - v.x) * v.sx - v.width / 2;
      found.push({ place: [rowLevel, colLevel, row, col], away: dx * dx + dy * dy });
    }
  }
  return found.sort((a, b) => a.away - b.away).map(({ place }) => place);
}

/** The elements that a tile covers: row0, row1, col0, col1, cut off at the ends of the matrix. */
export function extent(place: Place, rows: number, cols: number): [number, number, number, number] {
  const [rowLevel, colLevel, row, col] = place;
  const high = TILE_SIZE * 2 ** rowLevel;
  const wide = TILE_SIZE * 2 ** colLevel;
  return [row * high, Math.min(rows, (row + 1) * high), col * wide, Math.min(cols, (col + 1) * wide)];
}
