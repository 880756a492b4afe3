/** The vectors of an embedding. Mirrors weightwidget/wire/protocol/tokens.py. */

export type Measure = "cosine" | "dot" | "distance";

/** A table of vectors: a tensor and the axis along which its entries lie. */
export interface TableAddress {
  tensor: string;
  axis: number;
}

export interface TokensRequests {
  "tokens.norms": {
    request: TableAddress;
    reply: { count: number; size: number; strings: string; known: number; problem: string };
  };
  "tokens.map": {
    request: TableAddress & { limit?: number | null };
    reply: { search_error: number };
  };
  "tokens.near": {
    request: TableAddress & { entry: number; measure: Measure; count: number };
    reply: { entries: number[]; texts: string[] };
  };
  "tokens.texts": {
    request: TableAddress & { entries: number[] };
    reply: { texts: string[] };
  };
  "tokens.find": {
    request: TableAddress & { text: string; limit: number };
    reply: { entries: number[]; texts: string[]; total: number };
  };
  "tokens.reference": {
    request: TableAddress & { text: string };
    reply: { norm: number };
  };
  "tokens.groups": {
    request: TableAddress & { entries: number[]; threshold: number };
    reply: { groups: number[] };
  };
  "tokens.cosines": {
    request: TableAddress & { centred: boolean };
    reply: { size: number; step: number };
  };
}
