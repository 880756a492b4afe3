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

from weightwidget.detail.strips import STRIP, STRIP_LEVEL, count_strip, strip

BUILT_ON = "9bac9e30c91cd746"
"""Stamp of the files that code is taken from, see `tests/kernel_stamps.py`."""

CHUNK = 2048
"""Columns whose squares are summed at a time: the sums stay in the fastest cache."""

TALL = 16
"""Rows that are read at a time, side by side."""

AHEAD = 256
"""Columns from those that are worked on to those that are fetched from memory."""

# No flags that let the compiler assume that there are neither NaN nor infinities.
_FLAGS = {"reassoc", "contract", "nsz", "arcp"}
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": _FLAGS, "error_model": "numpy"}
_EXACT = {**_OPTIONS, "fastmath": False}
"""Where the order of sums must not depend on what else is reduced."""


def _widened(_typing: Any, stored: Any) -> Any:
    """An element as a float: bits of bfloat16 are the upper half of those of float32."""
    if isinstance(stored, types.Float):
        return stored(stored), lambda _context, _builder, _signature, given: given[0]

    def widen(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        wide = builder.zext(given[0], ir.IntType(32))
        return builder.bitcast(builder.shl(wide, ir.Constant(ir.IntType(32), 16)), ir.FloatType())

    return types.float32(stored), widen


_number: Any = intrinsic(_widened)


@njit(**_EXACT)
def _gather(flat, at, stride, rows, n, shift, low, high, total, square):  # type: ignore[no-untyped-def]
    """Gather some rows of the first n columns, fewer than a strip."""
    low[:n] = np.inf
    high[:n] = -np.inf
    total[:n] = 0
    square[:n] = 0
    for row in range(rows):
        line = flat[at + row * stride : at + row * stride + n]
        for j in range(n):
            a = _number(line[j])
            low[j] = min(low[j], a)
            high[j] = max(high[j], a)
            wide = np.float64(a)
            total[j] += wide
            square[j] += (wide - shift) * (wide - shift)


@njit(**_EXACT)
def _pair(low, high, total, square, n):  # type: ignore[no-untyped-def]
    """Fold neighbouring columns, and tell how many there are then; the last may stand alone."""
    for j in range(n >> 1):
        low[j] = min(low[2 * j], low[2 * j + 1])
        high[j] = max(high[2 * j], high[2 * j + 1])
        total[j] = total[2 * j] + total[2 * j + 1]
        square[j] = square[2 * j] + square[2 * j + 1]
    half = n >> 1
    if n & 1:
        low[half], high[half], total[half], square[half] = low[n - 1], high[n - 1], total[n - 1], square[n - 1]
    return half + (n & 1)


@njit(**_OPTIONS)
def _moved(total, shift, unit, size):  # type: ignore[no-untyped-def]
    """Move sums of `unit` elements, of which there are `size`, by a shift of each, and sum all as they were."""
    everything = 0.0
    for x in range(len(total)):
        everything += total[x]
    for x in range(len(total) - 1):
        total[x] -= unit * shift
    total[-1] -= (size - (len(total) - 1) * unit) * shift
    return everything


def _reduce(flat, stride, height, width, rows, cols, shift, low, high, total, square, start, pitch):  # type: ignore[no-untyped-def]
    """Reduce a band to pixels of 2**rows by 2**cols elements; the last of each axis may cover fewer.

    `low`, `high`, `total` and `square` (of the elements less `shift`; the last may be None) are flat planes, and take
    the pixels from `start` on, each row of them `pitch` after the one before; what was there is overwritten. Returns
    the sum of all: not finite if any element is not, in which case `low` and `high` mean nothing.
    """
    extremes, sums = np.empty((2, STRIP), np.float32), np.empty((2, STRIP), np.float64)
    everything = 0.0
    level, inside = min(cols, STRIP_LEVEL), (1 << cols) - 1
    across, strips = ((width - 1) >> cols) + 1, width & -STRIP
    for top in range(0, height, 1 << rows):
        bottom = min(height, top + (1 << rows))
        first = start + (top >> rows) * pitch
        for row in range(top, bottom, TALL):
            n = min(TALL, bottom - row)
            for left in range(0, strips, STRIP):
                begins = row == top and left & inside == 0
                at, place = row * stride + left, first + (left >> cols)
                ahead = AHEAD if left + AHEAD < strips else n * stride + AHEAD - strips  # of the next rows
                strip(flat, at, stride, n, ahead, level, shift, low, high, total, square, place, begins)
            if strips < width:
                size = width - strips
                _gather(flat, row * stride + strips, stride, n, size, shift, extremes[0], extremes[1], sums[0], sums[1])
                for _ in range(level):
                    size = _pair(extremes[0], extremes[1], sums[0], sums[1], size)
                begins = row == top and strips & inside == 0
                for j in range(size):
                    place = first + (strips >> cols) + j
                    low[place] = extremes[0, j] if begins else min(low[place], extremes[0, j])
                    high[place] = extremes[1, j] if begins else max(high[place], extremes[1, j])
                    total[place] = sums[0, j] if begins else total[place] + sums[0, j]
                    if square is not None:
                        square[place] = sums[1, j] if begins else square[place] + sums[1, j]
        n = bottom - top
        everything += _moved(total[first : first + across], shift, np.float64(n << cols), np.float64(n * width))
    return everything


@njit(**_OPTIONS)
def _gather_counts(flat, at, stride, rows, n, least, most, sums):  # type: ignore[no-untyped-def]
    """Count in some rows of the first n columns, fewer than a strip."""
    sums[:n] = 0
    for row in range(rows):
        line = flat[at + row * stride : at + row * stride + n]
        for j in range(n):
            w = _number(line[j])
            sums[j] += np.float32((w >= least) & (w <= most))


def _count(flat, stride, height, width, rows, cols, least, most, counts):  # type: ignore[no-untyped-def]
    """Count the elements of a band within [least, most] under each pixel; `counts` is overwritten.

    Float32 counts fewer than 2**24 exactly.
    """
    level, inside = min(cols, STRIP_LEVEL), (1 << cols) - 1
    strips, pitch, pixels = width & -STRIP, counts.shape[1], counts.reshape(-1)
    sums = np.empty(STRIP, np.float32)
    for top in range(0, height, 1 << rows):
        bottom, y = min(height, top + (1 << rows)), top >> rows
        for x in range(strips >> cols, pitch):
            counts[y, x] = 0  # what no strip begins
        for row in range(top, bottom, TALL):
            n = min(TALL, bottom - row)
            for left in range(0, strips, STRIP):
                begins = row == top and left & inside == 0
                at, place = row * stride + left, y * pitch + (left >> cols)
                ahead = AHEAD if left + AHEAD < strips else n * stride + AHEAD - strips
                count_strip(flat, at, stride, n, ahead, level, least, most, pixels, place, begins)
            _gather_counts(flat, row * stride + strips, stride, n, width - strips, least, most, sums)
            for j in range(width - strips):
                counts[y, (strips + j) >> cols] += sums[j]


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


def _signatures() -> list[Any]:
    made = []
    planes = types.Array(types.float32, 1, "C"), types.Array(types.float64, 1, "C")
    for stored in (types.float32, types.uint16):
        for square in (types.none, planes[1]):
            band = types.Array(stored, 1, "C"), *[types.int64] * 5, types.float64
            made.append(types.float64(*band, planes[0], planes[0], planes[1], square, types.int64, types.int64))
    return made


reduce = njit(_signatures(), **_EXACT)(_reduce)
count = njit(
    [
        types.void(
            types.Array(stored, 1, "C"), *[types.int64] * 5, *[types.float32] * 2, types.Array(types.float32, 2, "C")
        )
        for stored in (types.float32, types.uint16)
    ],
    **_OPTIONS,
)(_count)
squares = njit(
    [
        types.float64(types.Array(stored, 1, "C"), *[types.int64] * 3, *[types.Array(types.float64, 1, "C")] * 2)
        for stored in (types.float32, types.uint16)
    ],
    **_OPTIONS,
)(_squares)
