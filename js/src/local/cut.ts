/** Parts of tensors that are here as a whole. */

import { type BlockPlace, isPart } from "../blocks/place";
import { isWhole, type Kept, type Overview } from "../overview";
import type { Numbers } from "../safetensors";
import { defaultAxes, matrixSize } from "../tensor";

/** The weights in a box of a tensor, both row-major. */
export function cut(
  data: Numbers,
  shape: readonly number[],
  box: readonly (readonly [number, number])[],
): Numbers {
  // Axes from here on are taken whole: they are copied in one stretch.
  let inner = shape.length;
  let stretch = 1;
  while (inner > 0 && spans(box, shape, inner - 1)) stretch *= shape[--inner] as number;
  const sizes = box.map(([from, to]) => to - from);
  const out = data.slice(
    0,
    sizes.reduce((product, size) => product * size, 1),
  );
  let written = 0;
  const copy = (axis: number, offset: number): void => {
    if (axis === inner) {
      out.set(data.subarray(offset * stretch, (offset + 1) * stretch), written);
      written += stretch;
      return;
    }
    const [from, to] = box[axis] as readonly [number, number];
    for (let i = from; i < to; i++) copy(axis + 1, offset * (shape[axis] as number) + i);
  };
  copy(0, 0);
  return out;
}

function spans(box: readonly (readonly [number, number])[], shape: readonly number[], axis: number): boolean {
  const [from, to] = box[axis] as readonly [number, number];
  return from === 0 && to === shape[axis];
}

/** By overview and block: what was cut. */
const known = new WeakMap<Overview, Map<string, Kept>>();

/** All weights of a block, if the overview of its tensor has them. */
export function keptOfBlock(base: Overview, place: BlockPlace): Kept | null {
  const whole = place.box.length > 0 && !isPart(base, place) ? base.kept(place.tensor) : null;
  if (!whole || !isWhole(whole)) return null;
  const blocks = known.get(base) ?? new Map<string, Kept>();
  known.set(base, blocks);
  let found = blocks.get(place.key);
  if (!found) {
    const [height, width] = matrixSize(place.shape, defaultAxes(place.shape));
    const data = cut(whole.data, base.shape(place.tensor), place.box);
    found = { levels: [0, 0], height, width, data };
    blocks.set(place.key, found);
  }
  return found;
}

/** Whether all weights of a block, or of all parts of a head, are here. */
export function isHere(base: Overview, place: BlockPlace): boolean {
  if (place.parts.length > 0) return place.parts.every((part) => isHere(base, part));
  const whole = place.box.length > 0 && !isPart(base, place) ? base.kept(place.tensor) : null;
  return whole !== null && isWhole(whole);
}
