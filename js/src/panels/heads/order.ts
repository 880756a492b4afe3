/** An order of things in which neighbours are alike. Pure. */

/**
 * A chain that starts with the two that are most alike, and grows at either end by whatever is most alike to that end.
 * @param cosines row-major (n, n), NaN where unknown; the sign does not matter, for a head's sign is arbitrary
 */
export function chain(cosines: ArrayLike<number>, n: number): number[] {
  const alike = (a: number, b: number): number => {
    const value = Math.abs(cosines[a * n + b] as number);
    return Number.isNaN(value) ? -1 : value;
  };
  if (n < 3) return Array.from({ length: n }, (_, i) => i);
  let best: [number, number] = [0, 1];
  for (let a = 0; a < n; a++) {
    for (let b = a + 1; b < n; b++) if (alike(a, b) > alike(...best)) best = [a, b];
  }
  const order = [...best];
  const left = new Set(Array.from({ length: n }, (_, i) => i).filter((i) => !order.includes(i)));
  while (left.size > 0) {
    const [first, last] = [order[0] as number, order[order.length - 1] as number];
    let next = -1;
    let atEnd = true;
    let most = Number.NEGATIVE_INFINITY;
    for (const one of left) {
      if (alike(last, one) > most) [next, atEnd, most] = [one, true, alike(last, one)];
      if (alike(first, one) > most) [next, atEnd, most] = [one, false, alike(first, one)];
    }
    left.delete(next);
    if (atEnd) order.push(next);
    else order.unshift(next);
  }
  return order;
}
