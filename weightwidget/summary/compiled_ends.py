"""Compiled kernels for what comes before and after the blocks of a tensor. Imported by `compiled` only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from weightwidget.summary.vectors import LANES, any_counts

BUILT_ON = "425dc8904b6f8cb5"
"""Stamp of the files that code is taken from, see `tests/kernel_stamps.py`."""

_LEAST, _MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def is_usual(x: Any, down: Any, right: Any, least: Any, most: Any) -> Any:
    """Tell from some weights whether a tensor needs neither shift nor scale; see `summed.grid_from_pilot`.

    Parameters
    ----------
    x
        float32 or float64, (rows, columns).
    down, right
        Every how many rows and columns a weight is looked at.
    least, most
        Magnitudes that need no scale.
    """
    count = usual = others = 0
    s1 = s2 = 0.0
    for i in range(0, x.shape[0], down):
        for j in range(0, x.shape[1], right):
            v = np.float64(x[i, j])
            if not math.isfinite(v):
                return False
            count += 1
            usual += least <= abs(v) <= most
            others += v != 0.0
            s1 += v
            s2 += v * v
    # The mean is less than a standard deviation away from zero.
    return 2 * usual > others and 2 * s1 * s1 < s2 * count


@njit(cache=True)  # type: ignore[untyped-decorator]
def take_counts(tables: Any, order: Any, codes: Any, counts: Any) -> Any:
    """Move the counts that are not zero out of the tables. So short that Python's lock is not let go for it.

    Parameters
    ----------
    tables
        Two, uint32 of shape (2, n). All zero afterwards.
    order
        All codes in the order in which they are wanted, uint16 (m,). Where the first and the last of sixteen are
        fifteen apart, those between lie between them.
    codes, counts
        Get what is found, (m,).

    Returns
    -------
    int
        How many there are.
    """
    found = 0
    first, second = tables[0], tables[1]
    for start in range(0, len(order), LANES):
        end = min(start + LANES, len(order))
        low = min(order[start], order[end - 1])
        if max(order[start], order[end - 1]) - low == LANES - 1 and not any_counts(tables, low):
            continue
        for code in order[start:end]:
            count = np.int64(first[code]) + np.int64(second[code])
            if count:
                codes[found], counts[found] = code, count
                found += 1
                first[code] = second[code] = 0
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]
def take_norms(squares: Any, scale: Any, norms: Any) -> Any:
    """Turn sums of squares into norms; False if float32 has no room for one.

    Parameters
    ----------
    squares
        Of weights times the scale, float64.
    scale
        A power of two.
    norms
        Gets them, float32.
    """
    fits = True
    for k in range(len(squares)):
        norm = math.sqrt(squares[k]) / scale
        norms[k] = norm
        fits &= _LEAST <= norm <= _MOST or norm == 0.0
    return fits


@njit(cache=True)  # type: ignore[untyped-decorator]
def take_picture(lows: Any, highs: Any, picture: Any) -> None:
    """Give the weight of largest magnitude under each cell, with its sign.

    Parameters
    ----------
    lows, highs
        Smallest and largest, float64 (rows, columns).
    picture
        Gets it, float32 of the same shape.
    """
    for i in range(lows.shape[0]):
        for j in range(lows.shape[1]):
            picture[i, j] = lows[i, j] if -lows[i, j] > highs[i, j] else highs[i, j]
