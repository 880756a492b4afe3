"""Compiled kernel that measures many tensors in one call, without Python's lock. Imported by `compiled` only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic, overload

from weightwidget.summary.compiled_add import (
    ARGMAX,
    ARGMIN,
    FINITE,
    HIGH,
    LOW,
    NAN,
    NEGINF,
    POSINF,
    ZEROS,
    add,
    keeps_sums,
)
from weightwidget.summary.compiled_bare import add_bare, count_infinite
from weightwidget.summary.compiled_ends import is_usual, take_counts, take_norms, take_picture

BUILT_ON = "66eff47f291868d9"
"""Stamp of the files that code is taken from, see `tests/kernel_stamps.py`."""

(
    ADDRESS,
    ROWS,
    COLUMNS,
    DOWN,
    RIGHT,
    CELL_ROWS,
    CELL_COLUMNS,
    HEIGHT,
    WIDTH,
    ROW_NORMS,
    COLUMN_NORMS,
    PICTURE,
) = range(12)
"""Places in a job: where the tensor lies, its default matrix, the steps of its pilot, where the starts of its cells are
in `cells`, how many cells there are, and where in `out` its norms and its thumbnail go (-1 for no norms)."""

JOB = 12


MEAN, M2, M3, M4, L1 = range(5)
"""Places in `totals` of what is kept as values: moments about the mean. Extremes follow, as elsewhere."""

SMALL = 4096
"""Elements up to which float32 is kept as values; see `sketch.SMALL`."""

USUAL = 2.0**-80, 2.0**80
"""Magnitudes that need no scale; see `summed.USUAL`."""

_LOOSE: Any = {"nogil": True, "cache": True, "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
_EXACT: Any = {"nogil": True, "cache": True}


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(_typing: Any, address: Any, like: Any) -> Any:
    """Make a pointer to numbers of the type of those of an array."""

    def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
        return b.inttoptr(args[0], context.get_value_type(like.dtype).as_pointer())

    return types.CPointer(like.dtype)(address, like), generate


@njit(**_LOOSE)  # type: ignore[untyped-decorator]
def measure_batch(
    like: Any, jobs: Any, cells: Any, totals: Any, counts: Any, marks: Any, out: Any, keys: Any, numbers: Any,
    tables: Any, order: Any, area: Any, scratch: Any,
) -> None:  # fmt: skip
    """Measure tensors one after the other.

    Parameters
    ----------
    like
        Empty, of the type of the weights: float32, or uint16 for the patterns of bfloat16.
    jobs
        What to measure, int64 (jobs, JOB), see there. The tensors lie in C order.
    cells
        Where cells of thumbnails start and the last ends, int64, for all jobs.
    totals, counts
        Get what `add` gives, float64 (jobs, 7) and int64 (jobs, 7); of values, `MEAN` to `L1` and the extremes.
    marks
        Gets for each job how many keys it has, or a negative number if it must be done alone; int64 (jobs,).
    out
        Gets norms and thumbnails, float32.
    keys, numbers
        Get one after the other the codes of the bins or patterns, or the bits of the values, that occur, ascending in
        value, and how often; uint32. Zeros of both signs are one.
    tables, order, scratch
        See `add` and `take_counts`.
    area
        float64, for the sums of squares and the cells of the largest job.
    """
    at = 0
    for k in range(len(jobs)):
        job = jobs[k]
        rows, columns = job[ROWS], job[COLUMNS]
        x = carray(_pointer(job[ADDRESS], like), (rows, columns))
        wide = keeps_sums(like)  # and so small ones are kept as values: of patterns, counts say as much
        count = rows * columns
        normed = job[ROW_NORMS] >= 0
        picture = out[job[PICTURE] : job[PICTURE] + job[HEIGHT] * job[WIDTH]].reshape((job[HEIGHT], job[WIDTH]))
        cell_rows = cells[job[CELL_ROWS] : job[CELL_ROWS] + job[HEIGHT] + 1]
        cell_columns = cells[job[CELL_COLUMNS] : job[CELL_COLUMNS] + job[WIDTH] + 1]
        row_norms = out[job[ROW_NORMS] : job[ROW_NORMS] + (rows if normed else 0)]
        column_norms = out[job[COLUMN_NORMS] : job[COLUMN_NORMS] + (columns if normed else 0)]
        if wide and count <= SMALL:
            # The other types do not get here, but must compile.
            found = _measure_values(as_wide(x), cell_rows, cell_columns, picture, row_norms, column_norms, totals[k],
                                    counts[k], keys[at:], numbers[at:], area)  # fmt: skip
            marks[k] = found
            at += max(found, 0)
            continue
        if wide and not is_usual(x, job[DOWN], job[RIGHT], USUAL[0], USUAL[1]):
            marks[k] = -1
            continue
        total, number = totals[k], counts[k]
        total[:], number[:] = 0.0, 0
        total[LOW], total[HIGH], number[ARGMIN], number[ARGMAX] = np.inf, -np.inf, -1, -1
        rows2, rest = area[:rows], area[rows:]
        columns2, rest = rest[: columns if normed else 0], rest[columns:]
        size = job[HEIGHT] * job[WIDTH]
        lows, highs = rest[:size].reshape(picture.shape), rest[size : 2 * size].reshape(picture.shape)
        rows2[:], columns2[:] = 0.0, 0.0
        lows[:], highs[:] = np.inf, -np.inf
        bare = not normed and size == 0
        if bare:
            add_bare(x.reshape(count), 0, tables, total, number)
        else:
            add(x, 0, 0, columns, None, None, tables, rows2, columns2, cell_rows, cell_columns, lows, highs, total,
                number, scratch)  # fmt: skip
        found = take_counts(tables, order, keys[at:], numbers[at:])
        if bare and not wide:
            count_infinite(tables, number)
            number[FINITE] = count - number[NAN] - number[POSINF] - number[NEGINF]
        elif number[NAN] or number[POSINF] or number[NEGINF]:
            tables[:] = 0  # what is not finite has codes that nobody asks for
        fits = True
        if normed:
            fits = take_norms(rows2, 1.0, row_norms) and take_norms(columns2, 1.0, column_norms)
        take_picture(lows, highs, picture)
        found = _one_zero(keys[at:], numbers[at:], found)
        if not wide:
            fits &= _pattern_moments(keys[at : at + found], numbers[at : at + found], total, number)
        marks[k] = found if fits else -1
        at += found if fits else 0


def as_wide(x: Any) -> Any:
    """See an array as float32."""
    raise NotImplementedError("compiled code only")


@overload(as_wide, strict=False)  # type: ignore[untyped-decorator]
def _as_wide(x: Any) -> Any:
    if x.dtype == types.float32:
        return lambda x: x
    return lambda x: np.empty((0, 0), np.float32)  # noqa: ARG005


@njit(**_EXACT)  # type: ignore[untyped-decorator]
def _one_zero(keys: Any, numbers: Any, found: Any) -> Any:
    """Count zeros of both signs as one, under the code 0; give how many codes there are."""
    for place in range(found):
        if keys[place] == 0x8000:
            keys[place] = 0
            if place + 1 < found and keys[place + 1] == 0:
                numbers[place] += numbers[place + 1]
                for k in range(place + 1, found - 1):
                    keys[k], numbers[k] = keys[k + 1], numbers[k + 1]
                return found - 1
            return found
        if keys[place] < 0x8000:
            return found
    return found


@njit(**_EXACT)  # type: ignore[untyped-decorator]
def _value(key: Any) -> Any:
    """What a pattern of bfloat16 stands for."""
    return np.float64(np.uint32(key << np.uint32(16)).view(np.float32))


@njit(**_LOOSE)  # type: ignore[untyped-decorator]
def _pattern_moments(keys: Any, numbers: Any, total: Any, number: Any) -> Any:
    """Moments of counted patterns, as `Moments.from_values`; False if these are to be taken, for their scale."""
    low, high = total[LOW], total[HIGH]
    n = number[FINITE]
    number[ZEROS] = 0
    total[MEAN] = total[M2] = total[M3] = total[M4] = total[L1] = 0.0
    if n == 0 or low == high:
        if low == 0.0 == high:
            number[ZEROS] = n
        return True
    if not USUAL[0] <= max(abs(low), abs(high)) <= USUAL[1]:
        return False
    s = l1 = 0.0
    zeros = 0
    for k in range(len(keys)):
        v = _value(keys[k])
        s += v * numbers[k]
        l1 += abs(v) * numbers[k]
        zeros += numbers[k] if keys[k] == 0 else 0
    number[ZEROS] = zeros
    at = s / n
    rest = 0.0
    for k in range(len(keys)):
        rest += (_value(keys[k]) - at) * numbers[k]
    rest /= n
    m2 = m3 = m4 = 0.0
    for k in range(len(keys)):
        d = _value(keys[k]) - at - rest
        d2 = d * d
        m2 += d2 * numbers[k]
        m3 += d2 * d * numbers[k]
        m4 += d2 * d2 * numbers[k]
    total[MEAN], total[M2], total[M3], total[M4], total[L1] = at + rest, m2, m3, m4, l1
    return True


@njit(**_LOOSE)  # type: ignore[untyped-decorator]
def _measure_values(
    x: Any, cell_rows: Any, cell_columns: Any, picture: Any, row_norms: Any, column_norms: Any, total: Any, number: Any,
    keys: Any, numbers: Any, area: Any,
) -> Any:  # fmt: skip
    """Measure a small float32 tensor, of which all values are kept; see `small.measure_small`.

    Gives how many distinct values there are; -1 if some are not finite, or so large or small that they want a scale.
    """
    rows, columns = x.shape
    n = rows * columns
    flat = x.reshape(n)
    low, high = np.float32(np.inf), np.float32(-np.inf)
    bad = 0
    s = l1 = 0.0
    zeros = 0
    for i in range(n):
        v = flat[i]
        bad += not math.isfinite(v)
        low, high = min(low, v), max(high, v)
        s += v
        l1 += abs(np.float64(v))
        zeros += v == 0
    largest = max(abs(low), abs(high))
    if bad or not (largest == 0.0 or USUAL[0] <= largest <= USUAL[1]):
        return -1
    argmin = argmax = -1
    for i in range(n):
        if argmin < 0 and flat[i] == low:
            argmin = i
        if argmax < 0 and flat[i] == high:
            argmax = i
    total[:], number[:] = 0.0, 0
    total[LOW], total[HIGH] = flat[argmin], flat[argmax]
    number[ARGMIN], number[ARGMAX], number[ZEROS], number[FINITE] = argmin, argmax, zeros, n
    if low != high:
        at = s / n
        rest = 0.0
        for i in range(n):
            rest += np.float64(flat[i]) - at
        at += rest / n
        m2 = m3 = m4 = 0.0
        for i in range(n):
            d = np.float64(flat[i]) - at
            d2 = d * d
            m2 += d2
            m3 += d2 * d
            m4 += d2 * d2
        total[MEAN], total[M2], total[M3], total[M4], total[L1] = at, m2, m3, m4, l1
    if len(row_norms):
        squares = area[:columns]
        squares[:] = 0.0
        for i in range(rows):
            row = 0.0
            for j in range(columns):
                square = np.float64(x[i, j]) * np.float64(x[i, j])
                squares[j] += square
                row += square
            area[columns] = row
            if not take_norms(area[columns : columns + 1], 1.0, row_norms[i : i + 1]):
                return -1
        if not take_norms(squares, 1.0, column_norms):
            return -1
    for a in range(picture.shape[0]):
        for b in range(picture.shape[1]):
            least, most = np.float32(np.inf), np.float32(-np.inf)
            for i in range(cell_rows[a], cell_rows[a + 1]):
                for j in range(cell_columns[b], cell_columns[b + 1]):
                    least, most = min(least, x[i, j]), max(most, x[i, j])
            picture[a, b] = least if -least > most else most
    return _distinct(flat, keys, numbers)


@njit(**_EXACT)  # type: ignore[untyped-decorator]
def _distinct(values: Any, keys: Any, numbers: Any) -> Any:
    """Bits of the distinct values, ascending, and how often each occurs: sorted by one byte after the other."""
    n = len(values)
    sorted_, other = np.empty(n, np.uint32), np.empty(n, np.uint32)
    tables = np.zeros((4, 256), np.int64)
    for i in range(n):
        # One zero, whatever its sign; then bits whose order is that of the values.
        bits = np.float32(values[i]).view(np.uint32) if values[i] != 0 else np.uint32(0)
        bits ^= np.uint32(0xFFFFFFFF) if bits >> np.uint32(31) else np.uint32(0x80000000)
        sorted_[i] = bits
        for k in range(4):
            tables[k, (bits >> np.uint32(8 * k)) & np.uint32(255)] += 1
    for k in range(4):
        table, start = tables[k], 0
        for digit in range(256):
            table[digit], start = start, start + table[digit]
        for i in range(n):
            digit = (sorted_[i] >> np.uint32(8 * k)) & np.uint32(255)
            other[table[digit]] = sorted_[i]
            table[digit] += 1
        sorted_, other = other, sorted_
    found = 0
    for i in range(n):
        bits = sorted_[i]
        if i and bits == sorted_[i - 1]:
            numbers[found - 1] += np.uint32(1)
            continue
        keys[found] = bits ^ (np.uint32(0x80000000) if bits >> np.uint32(31) else np.uint32(0xFFFFFFFF))
        numbers[found] = 1
        found += 1
    return found
