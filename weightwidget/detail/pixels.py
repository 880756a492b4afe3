"""The pixels of a tile, reduced from blocks of a matrix as they come in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

Aggregate = Literal["absmax", "mean", "std", "min", "max"]
"""What a pixel shows of the elements under it. ``absmax`` is the element of largest magnitude, with its
sign."""

Array = npt.NDArray[Any]

FLOAT32_MAX = float(np.finfo(np.float32).max)


def halved(cells: Array, axis: int, times: int, fold: np.ufunc) -> Array:
    """Reduce pairs of neighbours along an axis, again and again; the last may stand alone.

    By NumPy, which starts no threads, in pairs, which it takes several of at a time, and sums exactly.
    """
    for _ in range(times):
        size = cells.shape[axis]
        if size == 1:
            break
        if axis == 0:
            paired, last = fold(cells[0 : size - 1 : 2], cells[1:size:2]), cells[-1:]
        else:
            paired, last = fold(cells[:, 0 : size - 1 : 2], cells[:, 1:size:2]), cells[:, -1:]
        cells = np.concatenate([paired, last], axis) if size % 2 else paired
    return cells


class Pixels:
    """The pixels of a tile while blocks come in. Before the first, they are to be started or cleared.

    Parameters
    ----------
    window
        row0, row1, col0, col1 of the tile in elements.
    levels
        A pixel covers 2**level elements on each axis.
    """

    def __init__(self, window: tuple[int, int, int, int], levels: tuple[int, int]) -> None:
        self.levels = levels
        self.sizes = window[1] - window[0], window[3] - window[2]
        self.height = -(-self.sizes[0] >> levels[0])
        self.width = -(-self.sizes[1] >> levels[1])

    def start(self) -> None:
        """Begin with no element under any pixel."""
        self.clear(0, 0, (self.height, self.width))

    def clear(self, row: int, col: int, shape: tuple[int, ...]) -> None:
        """Forget what is under so many pixels, of which the first covers this row and column of the window."""
        raise NotImplementedError

    def fold(self, block: Array, fold: np.ufunc) -> Array:
        """Reduce a block to its pixels."""
        # Rows first: that runs along memory and leaves little for the columns.
        return halved(halved(block, 0, self.levels[0], fold), 1, self.levels[1], fold)

    def place(self, row: int, col: int, block: Array) -> tuple[slice, slice]:
        """Find the pixels of a block that starts at this row and column of the window."""
        (rows, cols), (high, wide) = self.levels, block.shape
        return (
            slice(row >> rows, (row + high - 1 >> rows) + 1),
            slice(col >> cols, (col + wide - 1 >> cols) + 1),
        )

    def shape_of(self, block: Sequence[int]) -> tuple[int, int]:
        """Shape of the pixels of a block of this shape that begins at the edge of a pixel, or lies within one."""
        return -(-block[0] >> self.levels[0]), -(-block[1] >> self.levels[1])

    def place_of_pixels(self, row: int, col: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Find so many pixels, of which the first covers this row and column of the window."""
        top, left = row >> self.levels[0], col >> self.levels[1]
        return slice(top, top + shape[0]), slice(left, left + shape[1])

    def covered(self) -> npt.NDArray[np.float64] | float:
        """Count the elements under each pixel: an array where they differ."""
        if all(size & (1 << level) - 1 == 0 for size, level in zip(self.sizes, self.levels, strict=True)):
            return float(1 << sum(self.levels))
        rows, cols = (
            (np.minimum(np.arange(1, n + 1) << level, size) - (np.arange(n) << level)).astype(np.float64)
            for n, level, size in zip((self.height, self.width), self.levels, self.sizes, strict=True)
        )
        product: npt.NDArray[np.float64] = np.outer(rows, cols)
        return product


class Extremes(Pixels):
    """Smallest and largest element under each pixel; NaN where there is one.

    Parameters
    ----------
    window, levels
        As of `Pixels`.
    dtype
        Of the blocks.
    known
        Smallest and largest, where no blocks are to come.
    empty
        Makes arrays, as `numpy.empty` does.
    """

    def __init__(
        self,
        window: tuple[int, int, int, int],
        levels: tuple[int, int],
        dtype: torch.dtype,
        known: tuple[Array, Array] | None = None,
        empty: Callable[..., Array] = np.empty,
    ) -> None:
        super().__init__(window, levels)
        number = np.float32 if dtype == torch.float32 else np.float64
        if known is None:
            known = empty((self.height, self.width), number), empty((self.height, self.width), number)
        self.low, self.high = known
        self.finite = False
        """Whether all elements are known to be finite."""

    def add(self, row: int, col: int, block: Array) -> None:
        """Take a block that starts at this row and column of the window; each element comes once."""
        place = self.place(row, col, block)
        if self.levels == (0, 0):
            self.low[place] = self.high[place] = block
            return
        low, high = self.low[place], self.high[place]
        # Both pass NaN on.
        np.minimum(low, self.fold(block, np.minimum), out=low)
        np.maximum(high, self.fold(block, np.maximum), out=high)

    def merge(self, row: int, col: int, low: Array, high: Array) -> None:
        """Take the pixels of a block without NaN, as `add` takes its elements."""
        place = self.place_of_pixels(row, col, low.shape)
        np.minimum(self.low[place], low, out=self.low[place])
        np.maximum(self.high[place], high, out=self.high[place])

    def clear(self, row: int, col: int, shape: tuple[int, ...]) -> None:  # noqa: D102
        place = self.place_of_pixels(row, col, shape)
        self.low[place], self.high[place] = np.inf, -np.inf

    def result(self, aggregate: Aggregate) -> npt.NDArray[np.float32]:
        """Pixels for one of absmax, min, max: shape (height, width)."""
        low, high = self.low, self.high
        if aggregate == "min":
            return _to_float32(
                low.copy() if self.finite else np.where(np.isposinf(high) & ~np.isneginf(low), high, low)
            )
        if aggregate == "max":
            return _to_float32(
                high.copy() if self.finite else np.where(np.isneginf(low) & ~np.isposinf(high), low, high)
            )
        return _to_float32(self.larger())

    def larger(self) -> Array:
        """Whichever of smallest and largest is larger in magnitude; NaN where there is one."""
        low, high = self.low, self.high
        if low.dtype != np.float32:
            return np.where(-low > high, low, high)
        # The same by bits: processors cannot guess which of the two it will be.
        picked = np.negative((-low > high).view(np.int8), dtype=np.int32)
        bits = low.view(np.int32) ^ high.view(np.int32)
        bits &= picked
        bits ^= high.view(np.int32)
        return bits.view(np.float32)


class Moments(Pixels):
    """Sum and sum of squares under each pixel, about a shift that keeps the difference of the two exact.

    The sums are the same, whether or not squares are summed as well.

    Parameters
    ----------
    window, levels
        As of `Pixels`.
    dtype
        Of the blocks.
    shift
        Some number near the mean of all elements.
    squares
        Whether squares are summed, which only the standard deviation needs.
    empty
        Makes arrays, as `numpy.empty` does.
    """

    def __init__(
        self,
        window: tuple[int, int, int, int],
        levels: tuple[int, int],
        dtype: torch.dtype,
        shift: float,
        *,
        squares: bool,
        empty: Callable[..., Array] = np.empty,
    ) -> None:
        super().__init__(window, levels)
        self.total: Array = empty((self.height, self.width), np.float64)
        self.square: Array | None = empty((self.height, self.width), np.float64) if squares else None
        self.odd: Array | None = None
        """What is not finite under a pixel, if anything is: NaN before an infinity; 0 where all is finite."""
        self.window, self.dtype, self.shift = window, dtype, shift
        self._odd: Extremes | None = None

    def add(self, row: int, col: int, block: Array) -> None:
        """Take a block, as `Extremes.add` does."""
        place = self.place(row, col, block)
        with np.errstate(over="ignore", invalid="ignore"):
            wide = block.astype(np.float64)
            if not math.isfinite(float(wide.sum())):
                finite = np.isfinite(wide)
                if self._odd is None:
                    self._odd = Extremes(self.window, self.levels, self.dtype)
                    self._odd.low[:] = self._odd.high[:] = 0
                # Only non-finite elements count here.
                self._odd.add(row, col, np.where(finite, 0, block))
                self.odd = self._odd.larger()
                wide[~finite] = 0
            wide -= self.shift
            self.total[place] += self.fold(wide, np.add)
            if self.square is not None:
                np.square(wide, out=wide)
                self.square[place] += self.fold(wide, np.add)

    def merge(self, row: int, col: int, total: Array, square: Array | None) -> None:
        """Take the sums under the pixels of a block of finite elements, as `add` takes its elements."""
        place = self.place_of_pixels(row, col, total.shape)
        self.total[place] += total
        if self.square is not None:
            self.square[place] += square

    def clear(self, row: int, col: int, shape: tuple[int, ...]) -> None:  # noqa: D102
        place = self.place_of_pixels(row, col, shape)
        self.total[place] = 0
        if self.square is not None:
            self.square[place] = 0

    def result(self, aggregate: Aggregate) -> npt.NDArray[np.float32]:
        """Pixels for mean or std (population): shape (height, width)."""
        count = self.covered()
        # Sums of finite float64 may overflow. What is not finite itself comes after that.
        with np.errstate(over="ignore", invalid="ignore"):
            values = self.total / count
            if aggregate == "mean":
                values += self.shift
            else:
                assert self.square is not None
                spread = self.square / count
                spread -= np.square(values, out=values)
                values = np.sqrt(np.maximum(spread, 0, out=spread), out=spread)
        if not _fits(values):
            values = np.nan_to_num(values, nan=FLOAT32_MAX, posinf=FLOAT32_MAX, neginf=-FLOAT32_MAX)
            values = np.clip(values, -FLOAT32_MAX, FLOAT32_MAX)
        if self.odd is not None:
            values = np.where(np.isfinite(self.odd), values, self.odd)
        return np.ascontiguousarray(values, np.float32)


class Count(Pixels):
    """Number of elements in a value range under each pixel."""

    def __init__(self, window: tuple[int, int, int, int], levels: tuple[int, int], limits: tuple[float, float]) -> None:
        super().__init__(window, levels)
        self.limits = limits
        self.count: Array = np.empty((self.height, self.width))

    def add(self, row: int, col: int, block: Array) -> None:
        """Take a block, as `Extremes.add` does."""
        inside = (block >= self.limits[0]) & (block <= self.limits[1])
        # float32 counts a block exactly (of fewer than 2**24)
        self.count[self.place(row, col, block)] += self.fold(inside.astype(np.float32), np.add)

    def clear(self, row: int, col: int, shape: tuple[int, ...]) -> None:  # noqa: D102
        self.count[self.place_of_pixels(row, col, shape)] = 0

    def merge(self, row: int, col: int, count: Array) -> None:
        """Take the counts under the pixels of a block, as `add` takes its elements."""
        self.count[self.place_of_pixels(row, col, count.shape)] += count

    def shares(self) -> npt.NDArray[np.uint8]:
        """Shares of 255, rounded up: shape (height, width)."""
        return np.ceil(self.count * 255 / self.covered()).astype(np.uint8)


def _fits(values: Array) -> bool:
    """Whether all are finite in float32."""
    return bool(values.max() <= FLOAT32_MAX and values.min() >= -FLOAT32_MAX)


def _to_float32(values: Array) -> npt.NDArray[np.float32]:
    if values.dtype != np.float32 and not _fits(values):
        values = np.where(np.isinf(values), values, np.clip(values, -FLOAT32_MAX, FLOAT32_MAX))
    return np.ascontiguousarray(values, np.float32)
