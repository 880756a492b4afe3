"""Compiled kernels of exact histograms: one pass over float32, or over the bits of narrower types.

Imported in the background only. The slots of a tally: below the range, the bins, above it, then NaN, +Inf, -Inf.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

CHUNK = 4096

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}  # exact: no fast mathematics

_WEIGHTS = types.Array(types.float32, 1, "C")
_THRESHOLDS = types.Array(types.float32, 1, "C")
_STARTS = types.Array(types.int32, 1, "C")
_TALLY = types.Array(types.int64, 1, "C")


@njit(**_OPTIONS)
def _add(slots, n, tables, tally):  # type: ignore[no-untyped-def]
    """Count slots, in turn in four tables: the same slot twice in a row would wait for itself."""
    whole = n // 4 * 4
    for i in range(0, whole, 4):
        tables[0, slots[i]] += 1
        tables[1, slots[i + 1]] += 1
        tables[2, slots[i + 2]] += 1
        tables[3, slots[i + 3]] += 1
    for i in range(whole, n):
        tally[slots[i]] += 1


@njit(**_OPTIONS)
def _sum_up(tables, tally):  # type: ignore[no-untyped-def]
    for table in range(4):
        for slot in range(len(tally)):
            tally[slot] += tables[table, slot]


@njit(**_OPTIONS)
def _estimate(piece, slots, doubtful, low, per_unit, doubt, most):  # type: ignore[no-untyped-def]
    """Slots by multiplication, and where rounding might decide. No branches: several weights at a time."""
    half, one = np.float32(0.5), np.float32(1)
    for i in range(len(piece)):
        w = piece[i]
        at = (w - low) * per_unit + one
        at = at if at > half else half  # NaN, too
        at = at if at < most else most
        slot = np.int32(at)
        part = at - np.float32(slot)
        off = min(part, one - part)
        slots[i] = slot
        doubtful[i] = np.uint8((off <= doubt) | (w - w != 0))


@njit(**_OPTIONS)
def _decide(piece, slots, doubtful, thresholds):  # type: ignore[no-untyped-def]
    """Compare with the thresholds where that is needed."""
    odd = len(thresholds) - 1
    for start in range(0, len(piece), 64):
        end = min(start + 64, len(piece))
        any_of = np.uint8(0)
        for i in range(start, end):
            any_of |= doubtful[i]
        if any_of == 0:
            continue
        for i in range(start, end):
            if doubtful[i] == 0:
                continue
            w = piece[i]
            slot = slots[i]
            if w - w != 0:
                slot = odd if w != w else (odd + 1 if w > 0 else odd + 2)
            else:
                while w < thresholds[slot]:
                    slot -= 1
                while w >= thresholds[slot + 1]:
                    slot += 1
            slots[i] = slot


def _by_value(weights, thresholds, low, per_unit, doubt, tally):  # type: ignore[no-untyped-def]
    """Bin weights between edges at equal distances; returns the number of zeros.

    `thresholds` holds the smallest weight of each slot, from -Inf for what is below to +Inf after what is above.
    `doubt` bounds, in bins, how far off an estimate by multiplication may be.
    """
    slots, doubtful = np.empty(CHUNK, np.int32), np.empty(CHUNK, np.uint8)
    tables = np.zeros((4, len(tally)), np.int64)
    most = np.float32(len(thresholds) - 1.5)
    zeros = 0
    for start in range(0, len(weights), CHUNK):
        piece = weights[start : start + CHUNK]
        _estimate(piece, slots, doubtful, low, per_unit, doubt, most)
        _decide(piece, slots, doubtful, thresholds)
        for i in range(len(piece)):
            zeros += piece[i] == 0
        _add(slots, len(piece), tables, tally)
    _sum_up(tables, tally)
    return zeros


def _by_size(weights, thresholds, starts, steps, tally):  # type: ignore[no-untyped-def]
    """Bin magnitudes by the smallest of each bin, and the smallest beyond the last; returns the number of zeros.

    `starts` holds the bin of the smallest magnitude with each upper half of the bits; from there `steps` halvings find
    the bin.
    """
    bins = len(thresholds) - 1
    first, last = thresholds[0], thresholds[bins]
    after, odd = np.int32(bins + 1), np.int32(bins + 2)
    slots, tables = np.empty(CHUNK, np.int32), np.zeros((4, bins + 5), np.int64)
    ends, sizes = np.empty(CHUNK, np.int32), np.empty(CHUNK, np.float32)
    zeros = above = below = 0
    for start in range(0, len(weights), CHUNK):
        piece = weights[start : start + CHUNK]
        bits = piece.view(np.uint32)
        n = len(piece)
        for i in range(n):
            upper = (bits[i] >> np.uint32(16)) & np.uint32(0x7FFF)
            sizes[i] = abs(piece[i])
            slots[i] = starts[upper]
            ends[i] = starts[upper + np.uint32(1)]
        for _ in range(steps):
            for i in range(n):
                middle = (slots[i] + ends[i] + np.int32(1)) >> np.int32(1)
                reached = sizes[i] >= thresholds[np.uint32(middle)]
                slots[i] = middle if reached else slots[i]
                ends[i] = ends[i] if reached else max(middle - np.int32(1), np.int32(0))
        for i in range(n):
            slot = np.int32(slots[i] + 1)
            slot = np.int32(0) if sizes[i] < first else slot
            slot = after if sizes[i] >= last else slot
            slots[i] = slot if sizes[i] == sizes[i] else odd
        for i in range(n):
            zeros += piece[i] == 0
        for i in range(n):
            above += piece[i] == np.inf
        for i in range(n):
            below += piece[i] == -np.inf
        _add(slots, n, tables, tally)
    _sum_up(tables, tally)
    # Zeros were below every bin, infinities beyond: they are told apart.
    tally[0] -= zeros
    tally[bins + 1] -= above + below
    tally[bins + 3], tally[bins + 4] = above, below
    return zeros


def _patterns(codes, tally):  # type: ignore[no-untyped-def]
    """Count bit patterns."""
    second = np.zeros(len(tally), np.int64)
    whole = len(codes) // 2 * 2
    for i in range(0, whole, 2):
        tally[codes[i]] += 1
        second[codes[i + 1]] += 1
    if whole < len(codes):
        tally[codes[whole]] += 1
    for pattern in range(len(tally)):
        tally[pattern] += second[pattern]


by_value = njit(types.int64(_WEIGHTS, _THRESHOLDS, *[types.float32] * 3, _TALLY), **_OPTIONS)(_by_value)
by_size = njit(types.int64(_WEIGHTS, _THRESHOLDS, _STARTS, types.int64, _TALLY), **_OPTIONS)(_by_size)
patterns = njit([types.void(types.Array(code, 1, "C"), _TALLY) for code in (types.uint8, types.uint16)], **_OPTIONS)(
    _patterns
)
