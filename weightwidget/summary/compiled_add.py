"""Compiled kernels for blocks of a tensor. Imported by `compiled` only.

A block is gone through in tiles that stay in a core's first cache. What is gathered of a tile enters the totals only
if its sums are finite; a tile that holds NaN or infinity is gone through again, element by element.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from weightwidget.summary.vectors import LANES, RESULTS, cell_ends, four_rows, one_row, two_rows

BUILT_ON = "425dc8904b6f8cb5"
"""Stamp of the files that code is taken from, see `tests/kernel_stamps.py`."""

TILE_ROWS, TILE_COLUMNS = 32, 1024

AHEAD = 8
"""Rows that memory is fetched ahead."""

SPAN = 8192
"""Columns of which smallest and largest are kept until a row of the thumbnail's cells is complete."""

S1, S2, S3, S4, L1, LOW, HIGH = range(7)
"""Places in `totals`: power sums of what was shifted and scaled, sum of magnitudes, extremes."""

ZEROS, NAN, POSINF, NEGINF, ARGMIN, ARGMAX, FINITE = range(7)
"""Places in `counts`; of the extremes, flat positions in the tensor."""

_LOOSE: Any = {"nogil": True, "cache": True, "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
_EXACT: Any = {"nogil": True, "cache": True}

SCRATCH = TILE_COLUMNS + 2 * (SPAN + LANES) + TILE_ROWS
"""Float64 numbers that a kernel wants beside its arguments."""

_LEAST, _MOST = RESULTS.index("low"), RESULTS.index("high")


def element(x: Any, i: Any, j: Any) -> Any:
    """A weight as float32 or float64."""
    raise NotImplementedError("compiled code only")


@overload(element, strict=False)  # type: ignore[untyped-decorator]
def _element(x: Any, i: Any, j: Any) -> Any:  # noqa: ARG001
    if x.dtype != types.uint16:
        return lambda x, i, j: x[i, j]
    return lambda x, i, j: np.uint32(np.uint32(x[i, j]) << np.uint32(16)).view(np.float32)


@njit(**_EXACT)  # type: ignore[untyped-decorator]
def _moved(v: Any, shift: Any, scale: Any) -> Any:
    if shift is None:
        return np.float64(v)
    return (np.float64(v) - shift) * scale


@njit(**_EXACT)  # type: ignore[untyped-decorator]
def _bin(v: Any, shift: Any, scale: Any) -> Any:
    """The upper half of a weight's float32. By way of float64, NaN would change."""
    if shift is None:
        return np.float32(v).view(np.uint32) >> np.uint32(16)
    return np.float32((np.float64(v) - shift) * scale).view(np.uint32) >> np.uint32(16)


@njit(**_EXACT)  # type: ignore[untyped-decorator]
def locate(
    x: Any, place: Any, top: Any, left: Any, columns: Any, known: Any, end: Any, totals: Any, counts: Any
) -> None:
    """Find where an extreme of a block is: the first weight that equals it, in row-major order.

    Parameters
    ----------
    x, top, left, columns
        The block, see `add`.
    place
        No row before the first number holds it. Of the rows of the tile that begins there, only columns from the second
        to the third do, and at least one.
    known
        The extreme before this block.
    end
        `LOW` or `HIGH`.
    totals, counts
        Of which the place is set.
    """
    argument = end - LOW + ARGMIN
    value = as_element(x, totals[end])
    for i in range(place[0], x.shape[0]):
        for start in range(place[1], place[2], TILE_COLUMNS):
            stop = min(start + TILE_COLUMNS, place[2])
            equal = 0
            for j in range(start, stop):  # to the end, and so in vectors
                equal += element(x, i, j) == value
            for j in range(start, stop if equal else start):
                if element(x, i, j) == value:
                    at = (top + i) * columns + left + j
                    if totals[end] != known or at < counts[argument]:
                        totals[end], counts[argument] = element(x, i, j), at
                    return


@njit(**_EXACT)  # type: ignore[untyped-decorator]
def find_ends(x: Any, found: Any) -> None:
    """Let `found` have the smallest and largest finite weight of a tile."""
    found[_LEAST], found[_MOST] = np.inf, -np.inf
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = np.float64(element(x, i, j))
            if math.isfinite(v):
                found[_LEAST], found[_MOST] = min(found[_LEAST], v), max(found[_MOST], v)


@njit(**_EXACT)  # type: ignore[untyped-decorator]
def take_carefully(
    x: Any, left: Any, shift: Any, scale: Any, tables: Any, rows2: Any, columns2: Any, cells: Any, lows: Any,
    highs: Any, totals: Any, counts: Any,
) -> None:  # fmt: skip
    """Take in a tile that is not all finite. Its bins are counted already: those of what is not are taken back."""
    in_vectors = x.shape[1] // LANES * LANES
    for i in range(x.shape[0]):
        cell = 0
        for j in range(x.shape[1]):
            v = element(x, i, j)
            d = _moved(v, shift, scale)
            if math.isfinite(v):
                y = np.float64(v) * (1.0 if scale is None else scale)
                rows2[i] += y * y
                columns2[j] += y * y
                counts[FINITE] += 1
                counts[ZEROS] += v == 0.0
                totals[L1] += abs(np.float64(v))
                totals[S1] += d
                totals[S2] += d * d
                totals[S3] += d * d * d
                totals[S4] += d * d * d * d
                continue
            if tables is not None:
                tables[j % 2 if j < in_vectors else 0, _bin(v, shift, scale)] -= np.uint32(1)
            if math.isnan(v):
                counts[NAN] += 1
                while cell < len(lows) and left + j >= cells[cell + 1]:
                    cell += 1
                if cell < len(lows):
                    lows[cell] = highs[cell] = np.nan
            elif v > 0:
                counts[POSINF] += 1
            else:
                counts[NEGINF] += 1


@njit(**_LOOSE)  # type: ignore[untyped-decorator]
def _gather(
    x: Any, after: Any, shift: Any, scale: Any, tables: Any, rows2: Any, squares: Any, low: Any, high: Any, found: Any
) -> None:
    """Gather a tile: `found` gets `RESULTS`. The next tile begins so many bytes `after` it."""
    height, width = x.shape
    stride = x.strides[0]
    chunks = width // LANES
    squares[:width] = 0.0
    rows2[:height] = 0.0
    found[:] = 0.0
    found[_LEAST], found[_MOST] = np.inf, -np.inf
    i = 0
    while chunks and i < height:
        ahead = AHEAD * stride if i + AHEAD < height else after + (AHEAD - height) * stride
        if i + 4 <= height:
            four_rows(x, i, chunks, ahead, shift, scale, tables, rows2, squares, low, high, found)
            i += 4
        elif i + 2 <= height:
            two_rows(x, i, chunks, ahead, shift, scale, tables, rows2, squares, low, high, found)
            i += 2
        else:
            one_row(x, i, chunks, ahead, shift, scale, tables, rows2, squares, low, high, found)
            i += 1
    for i in range(height):
        for j in range(chunks * LANES, width):
            v = element(x, i, j)
            y = np.float64(v) * (1.0 if scale is None else scale)
            rows2[i] += y * y
            squares[j] += y * y
            if v < low[j]:
                low[j] = v
            if v > high[j]:
                high[j] = v
            if v < found[_LEAST]:
                found[_LEAST] = v
            if v > found[_MOST]:
                found[_MOST] = v
            if tables is None:
                continue
            d = _moved(v, shift, scale)
            found[S1] += d
            found[S2] += d * d
            found[S3] += d * d * d
            found[S4] += d * d * d * d
            found[L1] += abs(np.float64(v))
            found[5] += v == 0.0
            tables[0, _bin(v, shift, scale)] += np.uint32(1)


@njit(**_LOOSE)  # type: ignore[untyped-decorator]
def add(
    x: Any, top: Any, left: Any, columns: Any, shift: Any, scale: Any, tables: Any, rows2: Any, columns2: Any,
    cell_rows: Any, cell_columns: Any, lows: Any, highs: Any, totals: Any, counts: Any, scratch: Any,
) -> None:  # fmt: skip
    """Take in a block.

    Parameters
    ----------
    x, shift, scale, tables
        See `four_rows`.
    top, left
        First row and column of the block in the tensor's default matrix.
    columns
        Of that matrix.
    rows2, columns2
        Sums of squares of the block's rows and columns, of weights times the scale; float64. Of a vector, columns have
        none: empty.
    cell_rows, cell_columns
        Where the cells of the thumbnail start, and the end of the last; int64.
    lows, highs
        Smallest and largest under each cell, float64 (cells, cells); NaN where there is one. Empty for no thumbnail.
    totals, counts
        See the constants of this module.
    scratch
        float64 (SCRATCH,).
    """
    squares, rest = scratch[:TILE_COLUMNS], scratch[TILE_COLUMNS:]
    tile_rows, rest = rest[:TILE_ROWS], rest[TILE_ROWS:]
    low, high = as_elements(x, rest[: SPAN + LANES]), as_elements(x, rest[SPAN + LANES :])
    found, ends = np.empty(len(RESULTS)), np.empty(2)
    height, width = x.shape
    pooled, normed = lows.size > 0, columns2.size > 0
    before = totals[LOW], totals[HIGH]
    pending = np.full((2, 3), height)  # where new extremes are, see `locate`
    cell_row = 0
    while pooled and cell_rows[cell_row + 1] <= top:
        cell_row += 1
    first = 0
    while first < height:
        end = height
        if pooled and cell_rows[cell_row + 1] - top < height:
            end = cell_rows[cell_row + 1] - top
        for start in range(0, width, SPAN):
            stop = start + SPAN if start + SPAN < width else width
            low[: stop - start] = np.inf
            high[: stop - start] = -np.inf
            for i in range(first, end, TILE_ROWS):
                i_end = i + TILE_ROWS if i + TILE_ROWS < end else end
                for j in range(start, stop, TILE_COLUMNS):
                    j_end = j + TILE_COLUMNS if j + TILE_COLUMNS < stop else stop
                    part = x[i:i_end, j:j_end]
                    after = (
                        (j_end - j) * x.strides[1]
                        if j_end < stop
                        else (i_end - i) * x.strides[0] + (start - j) * x.strides[1]
                    )
                    _gather(part, after, shift, scale, tables, tile_rows, squares, low[j - start :],
                            high[j - start :], found)  # fmt: skip
                    total = tile_rows[: i_end - i].sum()
                    if math.isfinite(total):
                        for k in range(i_end - i):
                            rows2[i + k] += tile_rows[k]
                        for k in range(j_end - j if normed else 0):
                            columns2[j + k] += squares[k]
                        if shift is None:
                            found[S2] = total
                        for k in range(5):
                            totals[k] += found[k]
                        counts[ZEROS] += np.int64(found[5])
                        counts[FINITE] += (i_end - i) * (j_end - j)
                    else:
                        cells = lows[cell_row] if pooled else scratch[:0]
                        tops = highs[cell_row] if pooled else scratch[:0]
                        own = columns2[j:] if normed else squares
                        take_carefully(part, left + j, shift, scale, tables, rows2[i:], own, cell_columns, cells,
                                        tops, totals, counts)  # fmt: skip
                    # Smallest and largest are running ones of the columns: infinities of rows above stay in them.
                    if math.isinf(found[_LEAST]) or math.isinf(found[_MOST]):
                        find_ends(part, found)
                    for k in range(2):
                        value, known, place = found[_LEAST + k], totals[LOW + k], pending[k]
                        if value < known if k == 0 else value > known:
                            totals[LOW + k] = value
                            place[0], place[1], place[2] = i, j, j_end
                        elif value == known and i == place[0]:
                            place[1], place[2] = min(j, place[1]), max(j_end, place[2])
                        elif (
                            value == known
                            and i < place[0]
                            and (place[0] < height or (top + i) * columns < counts[ARGMIN + k])
                        ):
                            place[0], place[1], place[2] = i, j, j_end
            if pooled:
                cell = 0
                while cell_columns[cell + 1] <= left + start:
                    cell += 1
                at = start
                while at < stop:
                    until = cell_columns[cell + 1] - left if cell_columns[cell + 1] - left < stop else stop
                    cell_ends(low, high, at - start, until - start, ends)
                    # A cell that holds NaN stays NaN, for no comparison with it says yes.
                    if ends[0] < lows[cell_row, cell]:
                        lows[cell_row, cell] = ends[0]
                    if ends[1] > highs[cell_row, cell]:
                        highs[cell_row, cell] = ends[1]
                    at, cell = until, cell + 1
        first, cell_row = end, cell_row + 1
    for k in range(2):
        if pending[k, 0] < height:
            locate(x, pending[k], top, left, columns, before[k], LOW + k, totals, counts)


def keeps_sums(x: Any) -> Any:
    """Whether sums are kept of a type; of patterns, they follow from the counts."""
    raise NotImplementedError("compiled code only")


@overload(keeps_sums, strict=False)  # type: ignore[untyped-decorator]
def _keeps_sums(x: Any) -> Any:
    if x.dtype == types.uint16:
        return lambda x: False  # noqa: ARG005
    return lambda x: True  # noqa: ARG005


def as_element(x: Any, value: Any) -> Any:
    """Convert a float64 to the type that weights are compared in."""
    raise NotImplementedError("compiled code only")


@overload(as_element, strict=False)  # type: ignore[untyped-decorator]
def _as_element(x: Any, value: Any) -> Any:  # noqa: ARG001
    if x.dtype == types.float64:
        return lambda x, value: value  # noqa: ARG005
    return lambda x, value: np.float32(value)  # noqa: ARG005


def as_elements(x: Any, scratch: Any) -> Any:
    """Scratch seen as numbers of the type that weights are compared in."""
    raise NotImplementedError("compiled code only")


@overload(as_elements, strict=False)  # type: ignore[untyped-decorator]
def _as_elements(x: Any, scratch: Any) -> Any:  # noqa: ARG001
    if x.dtype == types.float64:
        return lambda x, scratch: scratch  # noqa: ARG005
    return lambda x, scratch: scratch.view(np.float32)  # noqa: ARG005


@njit(**_LOOSE)  # type: ignore[untyped-decorator]
def add_patterns(
    x: Any, meaning: Any, top: Any, left: Any, columns: Any, tables: Any, rows2: Any, columns2: Any, cell_rows: Any,
    cell_columns: Any, lows: Any, highs: Any, totals: Any, counts: Any, scratch: Any,
) -> None:  # fmt: skip
    """Take in a block of bit patterns, uint8 or uint16; `meaning` gives the float32 that each stands for. See `add`."""
    plain = np.empty((TILE_ROWS, TILE_COLUMNS), np.float32)
    height, width = x.shape
    for i in range(0, height, TILE_ROWS):
        i_end = i + TILE_ROWS if i + TILE_ROWS < height else height
        for j in range(0, width, TILE_COLUMNS):
            j_end = j + TILE_COLUMNS if j + TILE_COLUMNS < width else width
            for k in range(i, i_end):
                for n in range(j, j_end - 1, 2):
                    a, b = x[k, n], x[k, n + 1]
                    plain[k - i, n - j], plain[k - i, n - j + 1] = meaning[a], meaning[b]
                    tables[0, a] += np.uint32(1)
                    tables[1, b] += np.uint32(1)
                if (j_end - j) % 2:
                    a = x[k, j_end - 1]
                    plain[k - i, j_end - 1 - j] = meaning[a]
                    tables[0, a] += np.uint32(1)
            add(plain[: i_end - i, : j_end - j], top + i, left + j, columns, None, None, None, rows2[i:], columns2[j:],
                cell_rows, cell_columns, lows, highs, totals, counts, scratch)  # fmt: skip
