/** The weights of a fake model. */

export interface FakeTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** As torch spells it. The data are float32 all the same. */
  readonly dtype: string;
  /** Class of the module that owns it. */
  readonly kind: string;
  readonly role: string;
  /** First name of a tied tensor. */
  readonly sharedWith?: string;
  /** Why it cannot be read. */
  readonly error?: string;
  /** Row-major. May be made anew at each call: a fake model can be larger than what it keeps. */
  data(): Float32Array;
}

export interface FakeModule {
  readonly path: string;
  readonly kind: string;
}

export interface FakeSource {
  readonly name: string;
  readonly tensors: readonly FakeTensor[];
  readonly modules: readonly FakeModule[];
  /** What the model holds besides, and why it is not among the tensors. */
  readonly skipped?: Readonly<Record<string, string>>;
  /** What is selected at first. */
  readonly selected: string;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

const ITEM_SIZES: Record<string, number> = {
  float64: 8,
  int64: 8,
  float16: 2,
  bfloat16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
};

export function bytesOf(tensor: FakeTensor): number {
  return sizeOf(tensor.shape) * (ITEM_SIZES[tensor.dtype] ?? 4);
}
