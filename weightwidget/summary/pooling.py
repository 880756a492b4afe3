"""The thumbnail: a small picture of a matrix in which no outlier is lost."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_LEAST, _MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def thumbnail_size(rows: int, columns: int, size: int) -> tuple[int, int]:
    """Cells of a thumbnail of side `size`; a single row gets a strip of eight times the length."""
    if size == 0:
        return 0, 0
    if rows == 1:
        return 1, min(columns, 8 * size)
    return min(rows, size), min(columns, size)


def cell_starts(cells: int, length: int) -> npt.NDArray[np.int64]:
    """Give where each of some cells starts, and the end of the last.

    Cell k has the elements from ``k * length // cells`` to ``(k + 1) * length // cells``.
    """
    return np.arange(cells + 1, dtype=np.int64) * length // max(cells, 1)


class Pool:
    """Smallest and largest element under each cell of a thumbnail, gathered block by block.

    Parameters
    ----------
    rows, columns
        Of the matrix.
    size
        Side of the thumbnail; 0 for none.
    """

    def __init__(self, rows: int, columns: int, size: int) -> None:
        self.height, self.width = thumbnail_size(rows, columns, size)
        self._rows = cell_starts(self.height, rows).tolist()
        self._columns = cell_starts(self.width, columns)
        self._spans: dict[tuple[int, int], tuple[int, int, npt.NDArray[np.int64]]] = {}
        self.low = np.full((self.height, self.width), np.inf)
        self.high = np.full((self.height, self.width), -np.inf)

    def row_cuts(self, top: int, height: int) -> list[tuple[int, int]]:
        """Cut a block's rows where cells end: (first, end) within the block."""
        first = bisect_right(self._rows, top)
        end = bisect_left(self._rows, top + height)
        return list(pairwise([0, *(start - top for start in self._rows[first:end]), height]))

    def add(self, low: Array, high: Array, top: int, left: int) -> None:
        """Take in a block.

        Parameters
        ----------
        low, high
            Smallest and largest element of each column for each stretch of `row_cuts`. NaN stays NaN.
        top, left
            First row and column of the block.
        """
        row = bisect_right(self._rows, top) - 1
        first, end, starts = self._span(left, low.shape[1])
        if len(starts) < low.shape[1]:
            low = np.minimum.reduceat(low, starts, 1)
            high = np.maximum.reduceat(high, starts, 1)
        lows, highs = self.low[row : row + len(low), first:end], self.high[row : row + len(low), first:end]
        np.minimum(lows, low, out=lows)
        np.maximum(highs, high, out=highs)

    def _span(self, left: int, width: int) -> tuple[int, int, npt.NDArray[np.int64]]:
        """Cells under some columns: the first, the end, and where each starts among the columns."""
        span = self._spans.get((left, width))
        if span is None:
            first = int(np.searchsorted(self._columns, left, "right")) - 1
            end = int(np.searchsorted(self._columns, left + width, "left"))
            span = first, end, np.maximum(self._columns[first:end] - left, 0)
            if len(self._spans) < 64:  # bands of rows have the same blocks; those of a long vector never come again
                self._spans[left, width] = span
        return span


def pool(matrix: Array, size: int) -> Array | None:
    """Thumbnail of a matrix in memory."""
    height, width = thumbnail_size(matrix.shape[0], matrix.shape[1], size)
    return compact(shrink(matrix, height, width)) if height * width else None


def shrink(matrix: Array, height: int, width: int) -> Array:
    """Make a matrix smaller; each cell is the element of largest magnitude under it, with its sign, NaN before all."""
    low = high = matrix
    for axis, cells in ((0, height), (1, width)):
        if cells < matrix.shape[axis]:
            starts = cell_starts(cells, matrix.shape[axis])[:-1]
            low = np.minimum.reduceat(low, starts, axis)
            high = np.maximum.reduceat(high, starts, axis)
    return matrix if low is matrix else np.where(-low > high, low, high)


def compact(values: Array) -> Array:
    """Give the values as float32 if that has room for all of them, else as float64."""
    if values.dtype == np.float32 or values.size == 0:
        return values.astype(np.float32, copy=False)
    if values.min() >= _LEAST and values.max() <= _MOST:  # norms, as a rule
        return values.astype(np.float32)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # a signalling NaN is one, too
        single = values.astype(np.float32)
    tiny = np.abs(single) < _LEAST
    if ((np.isinf(single) & np.isfinite(values)) | (tiny & (single != values))).any():
        return values.astype(np.float64)
    return single
