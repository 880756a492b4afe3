"""Compiled kernels of tiles: one pass over a band of a matrix. Imported in the background only.

A matrix is handed over as the flat memory it lies in and the distance between its rows, so that the compiler knows
that neighbours in a row are neighbours in memory. Types: float32, and bfloat16 as its bits (uint16).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped, unused-ignore]
from numba import njit, types
from numba.extending import intrinsic

CHUNK = 2048
"""Columns that are worked on at a time: what is added up of them stays in the fastest cache."""

# No flags that let the compiler assume that there are neither NaN nor infinities.
_FLAGS = {"reassoc", "contract", "nsz", "arcp"}
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": _FLAGS, "error_model": "numpy"}


def _widened(_typing: Any, stored: Any) -> Any:
    """An element as a float: bits of bfloat16 are the upper half of those of float32."""
    if isinstance(stored, types.Float):
        return stored(stored), lambda _context, _builder, _signature, given: given[0]

    def widen(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        wide = builder.zext(given[0], ir.IntType(32))
        return builder.bitcast(builder.shl(wide, ir.Constant(ir.IntType(32), 16)), ir.FloatType())

    return types.float32(stored), widen


_number: Any = intrinsic(_widened)


@njit(**_OPTIONS)
def _first_rows(flat, at, stride, eight, low, high, total, square, shift, n):  # type: ignore[no-untyped-def]
    """Begin with eight rows (or one) of a chunk."""
    if not eight:
        row = flat[at : at + n]
        for j in range(n):
            a = _number(row[j])
            low[j] = a
            high[j] = a
            d = np.float64(a) - shift
            total[j] = d
            square[j] = d * d
        return
    r0, r1 = flat[at : at + n], flat[at + stride : at + stride + n]
    r2, r3 = flat[at + 2 * stride : at + 2 * stride + n], flat[at + 3 * stride : at + 3 * stride + n]
    r4, r5 = flat[at + 4 * stride : at + 4 * stride + n], flat[at + 5 * stride : at + 5 * stride + n]
    r6, r7 = flat[at + 6 * stride : at + 6 * stride + n], flat[at + 7 * stride : at + 7 * stride + n]
    for j in range(n):
        a, b, c, d = _number(r0[j]), _number(r1[j]), _number(r2[j]), _number(r3[j])
        e, f, g, h = _number(r4[j]), _number(r5[j]), _number(r6[j]), _number(r7[j])
        low[j] = min(min(min(a, b), min(c, d)), min(min(e, f), min(g, h)))
        high[j] = max(max(max(a, b), max(c, d)), max(max(e, f), max(g, h)))
        da, db, dc, dd = np.float64(a) - shift, np.float64(b) - shift, np.float64(c) - shift, np.float64(d) - shift
        de, df, dg, dh = np.float64(e) - shift, np.float64(f) - shift, np.float64(g) - shift, np.float64(h) - shift
        total[j] = ((da + db) + (dc + dd)) + ((de + df) + (dg + dh))
        square[j] = ((da * da + db * db) + (dc * dc + dd * dd)) + ((de * de + df * df) + (dg * dg + dh * dh))


@njit(**_OPTIONS)
def _more_rows(flat, at, stride, eight, low, high, total, square, shift, n):  # type: ignore[no-untyped-def]
    """Go on with eight rows (or one) of a chunk."""
    if not eight:
        row = flat[at : at + n]
        for j in range(n):
            a = _number(row[j])
            low[j] = min(low[j], a)
            high[j] = max(high[j], a)
            d = np.float64(a) - shift
            total[j] += d
            square[j] += d * d
        return
    r0, r1 = flat[at : at + n], flat[at + stride : at + stride + n]
    r2, r3 = flat[at + 2 * stride : at + 2 * stride + n], flat[at + 3 * stride : at + 3 * stride + n]
    r4, r5 = flat[at + 4 * stride : at + 4 * stride + n], flat[at + 5 * stride : at + 5 * stride + n]
    r6, r7 = flat[at + 6 * stride : at + 6 * stride + n], flat[at + 7 * stride : at + 7 * stride + n]
    for j in range(n):
        a, b, c, d = _number(r0[j]), _number(r1[j]), _number(r2[j]), _number(r3[j])
        e, f, g, h = _number(r4[j]), _number(r5[j]), _number(r6[j]), _number(r7[j])
        low[j] = min(low[j], min(min(min(a, b), min(c, d)), min(min(e, f), min(g, h))))
        high[j] = max(high[j], max(max(max(a, b), max(c, d)), max(max(e, f), max(g, h))))
        da, db, dc, dd = np.float64(a) - shift, np.float64(b) - shift, np.float64(c) - shift, np.float64(d) - shift
        de, df, dg, dh = np.float64(e) - shift, np.float64(f) - shift, np.float64(g) - shift, np.float64(h) - shift
        total[j] += ((da + db) + (dc + dd)) + ((de + df) + (dg + dh))
        square[j] += ((da * da + db * db) + (dc * dc + dd * dd)) + ((de * de + df * df) + (dg * dg + dh * dh))


@njit(**_OPTIONS)
def _halve_low(a, b, n):  # type: ignore[no-untyped-def]
    for j in range(n):
        b[j] = min(a[2 * j], a[2 * j + 1])


@njit(**_OPTIONS)
def _halve_high(a, b, n):  # type: ignore[no-untyped-def]
    for j in range(n):
        b[j] = max(a[2 * j], a[2 * j + 1])


@njit(**_OPTIONS)
def _halve_sum(a, b, n):  # type: ignore[no-untyped-def]
    for j in range(n):
        b[j] = a[2 * j] + a[2 * j + 1]


def _reduce(flat, stride, height, width, rows, cols, shift, low, high, total, square):  # type: ignore[no-untyped-def]
    """Reduce a band to pixels of 2**rows by 2**cols elements; the last of each axis may cover fewer.

    `low`, `high`, `total` and `square` (of the elements less `shift`) take the pixels, and are overwritten. Returns
    the sum of all: not finite if any element is not, in which case `low` and `high` mean nothing.
    """
    extremes, sums = np.empty((4, CHUNK), low.dtype), np.empty((4, CHUNK), np.float64)
    everything = 0.0
    for top in range(0, height, 1 << rows):
        bottom = min(height, top + (1 << rows))
        for left in range(0, width, CHUNK):
            n = min(CHUNK, width - left)
            row = top
            while row < bottom:
                eight = row + 8 <= bottom
                at = row * stride + left
                if row == top:
                    _first_rows(flat, at, stride, eight, extremes[0], extremes[1], sums[0], sums[1], shift, n)
                else:
                    _more_rows(flat, at, stride, eight, extremes[0], extremes[1], sums[0], sums[1], shift, n)
                row += 8 if eight else 1
            here, there, size = 0, 2, n
            for _ in range(cols):
                if size == 1:
                    break
                half = size >> 1
                _halve_low(extremes[here], extremes[there], half)
                _halve_high(extremes[here + 1], extremes[there + 1], half)
                _halve_sum(sums[here], sums[there], half)
                _halve_sum(sums[here + 1], sums[there + 1], half)
                if size & 1:
                    for k in range(2):
                        extremes[there + k, half] = extremes[here + k, size - 1]
                        sums[there + k, half] = sums[here + k, size - 1]
                here, there, size = there, here, half + (size & 1)
            y, x = top >> rows, left >> cols
            begins = left & ((1 << cols) - 1) == 0
            for j in range(size):
                everything += sums[here, j]
                if begins:
                    low[y, x + j] = extremes[here, j]
                    high[y, x + j] = extremes[here + 1, j]
                    total[y, x + j] = sums[here, j]
                    square[y, x + j] = sums[here + 1, j]
                else:  # a pixel of several chunks
                    low[y, x + j] = min(low[y, x + j], extremes[here, j])
                    high[y, x + j] = max(high[y, x + j], extremes[here + 1, j])
                    total[y, x + j] += sums[here, j]
                    square[y, x + j] += sums[here + 1, j]
    return everything


def _count(flat, stride, height, width, rows, cols, least, most, counts):  # type: ignore[no-untyped-def]
    """Count the elements within [least, most] under each pixel; `counts` is overwritten."""
    sums = np.empty((2, CHUNK), np.float32)  # at most 2**24 of a chunk: exact
    tall = min(1 << rows, 4096)
    for top in range(0, height, tall):
        bottom = min(height, top + tall)
        for left in range(0, width, CHUNK):
            n = min(CHUNK, width - left)
            first = sums[0]
            first[:n] = 0
            for row in range(top, bottom):
                at = row * stride + left
                line = flat[at : at + n]
                for j in range(n):
                    w = _number(line[j])
                    first[j] += np.float32((w >= least) & (w <= most))
            here, there, size = 0, 1, n
            for _ in range(cols):
                if size == 1:
                    break
                half = size >> 1
                _halve_sum(sums[here], sums[there], half)
                if size & 1:
                    sums[there, half] = sums[here, size - 1]
                here, there, size = there, here, half + (size & 1)
            y, x = top >> rows, left >> cols
            begins = left & ((1 << cols) - 1) == 0 and top & ((1 << rows) - 1) == 0
            for j in range(size):
                if begins:
                    counts[y, x + j] = sums[here, j]
                else:
                    counts[y, x + j] += sums[here, j]


def _squares(flat, stride, height, width, rows, cols):  # type: ignore[no-untyped-def]
    """Add the squares of a band to those of its rows and its columns.

    Returns the sum of all: not finite if any element is not, in which case `rows` and `cols` mean nothing.
    """
    everything = 0.0
    for left in range(0, width, CHUNK):
        n = min(CHUNK, width - left)
        sums = cols[left : left + n]
        for row in range(height):
            at = row * stride + left
            line = flat[at : at + n]
            total = 0.0
            for j in range(n):
                w = np.float64(_number(line[j]))
                square = w * w
                sums[j] += square
                total += square
            rows[row] += total
            everything += total
    return everything


def _signatures(void: bool) -> list[Any]:
    made = []
    for stored, number in ((types.float32, types.float32), (types.uint16, types.float32)):
        whole, plane, sums = types.int64, types.Array(number, 2, "C"), types.Array(types.float64, 2, "C")
        flat = types.Array(stored, 1, "C")
        if void:
            made.append(types.void(flat, *[whole] * 5, number, number, sums))
        else:
            made.append(types.float64(flat, *[whole] * 5, types.float64, plane, plane, sums, sums))
    return made


reduce = njit(_signatures(void=False), **_OPTIONS)(_reduce)
count = njit(_signatures(void=True), **_OPTIONS)(_count)
squares = njit(
    [
        types.float64(types.Array(stored, 1, "C"), *[types.int64] * 3, *[types.Array(types.float64, 1, "C")] * 2)
        for stored in (types.float32, types.uint16)
    ],
    **_OPTIONS,
)(_squares)
