"""Compiled kernel for blocks of which neither norms nor thumbnail are wanted. Imported by `compiled` only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from weightwidget.summary.compiled_add import (
    FINITE,
    HIGH,
    L1,
    LOW,
    NAN,
    NEGINF,
    POSINF,
    S1,
    S2,
    S3,
    S4,
    ZEROS,
    element,
    find_ends,
    keeps_sums,
    locate,
    take_carefully,
)
from weightwidget.summary.vectors import LANES, RESULTS, stretch

BUILT_ON = "26e16f311c315a61"
"""Stamp of the files that code is taken from, see `tests/kernel_stamps.py`."""

STRETCH = 16384
"""Weights of which sums are kept until they enter the totals: then, at the latest, it is known what is not finite."""

_LEAST, _MOST = RESULTS.index("low"), RESULTS.index("high")
_LOOSE: Any = {"nogil": True, "cache": True, "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
_EXACT: Any = {"nogil": True, "cache": True}


@njit(**_LOOSE)  # type: ignore[untyped-decorator]
def add_bare(x: Any, first: Any, tables: Any, totals: Any, counts: Any) -> None:
    """Take in a block without shift and scale.

    Parameters
    ----------
    x
        float32, or uint16 for the patterns of bfloat16; (elements,), one after the other.
    first
        Position of the first weight in the tensor; those before it were taken in already.
    tables
        See `vectors.four_rows`. Of bfloat16, what is not finite stays in them, and is not counted otherwise.
    totals, counts
        See the constants of `compiled_add`.
    """
    size = len(x)
    found = np.empty(len(RESULTS))
    before = totals[LOW], totals[HIGH]
    pending = np.full(2, size)  # where new extremes are, at the earliest
    for start in range(0, size, STRETCH):
        end = min(start + STRETCH, size)
        chunks = (end - start) // LANES
        found[:] = 0.0
        found[_LEAST], found[_MOST] = np.inf, -np.inf
        stretch(x, start, chunks, tables, found)
        part = x[start:end].reshape((1, end - start))
        _add_rest(part, chunks * LANES, tables, found)
        if keeps_sums(x):
            if math.isfinite(found[S2]):
                for k in range(5):
                    totals[k] += found[k]
                counts[ZEROS] += np.int64(found[5])
                counts[FINITE] += end - start
            else:
                cells = np.empty(0)  # nobody asks for these, nor for the squares
                take_carefully(part, 0, None, None, tables, np.zeros(1), np.zeros(end - start), np.zeros(1, np.int64),
                               cells, cells, totals, counts)  # fmt: skip
        if math.isinf(found[_LEAST]) or math.isinf(found[_MOST]):
            find_ends(part, found)
        if found[_LEAST] < totals[LOW]:
            totals[LOW], pending[0] = found[_LEAST], start
        if found[_MOST] > totals[HIGH]:
            totals[HIGH], pending[1] = found[_MOST], start
    for k in range(2):
        if pending[k] < size:
            end = min(pending[k] + STRETCH, size)
            locate(x.reshape((1, size)), (0, pending[k], end), 0, first, 0, before[k], LOW + k, totals, counts)


@njit(**_LOOSE)  # type: ignore[untyped-decorator]
def _add_rest(x: Any, begin: Any, tables: Any, found: Any) -> None:
    """Gather what does not fill a vector."""
    for j in range(begin, x.shape[1]):
        v = element(x, 0, j)
        if v < found[_LEAST]:
            found[_LEAST] = v
        if v > found[_MOST]:
            found[_MOST] = v
        d = np.float64(v)
        found[S1] += d
        found[S2] += d * d
        found[S3] += d * d * d
        found[S4] += d * d * d * d
        found[L1] += abs(d)
        found[5] += v == 0.0
        tables[0, np.float32(v).view(np.uint32) >> np.uint32(16)] += np.uint32(1)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def count_infinite(tables: Any, counts: Any) -> None:
    """Count what is not finite among the patterns of bfloat16, and clear their counts."""
    for code in range(0x7F80, 0x10000):
        if code & 0x7F80 == 0x7F80:
            number = np.int64(tables[0, code]) + np.int64(tables[1, code])
            tables[0, code] = tables[1, code] = 0
            if code & 0x7F:
                counts[NAN] += number
            elif code < 0x8000:
                counts[POSINF] += number
            else:
                counts[NEGINF] += number
