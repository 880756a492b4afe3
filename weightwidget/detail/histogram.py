"""Exact histograms and counts from all elements of a tensor, in one pass."""

from __future__ import annotations

import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.blocks import Block, numbers, spans, split
from weightwidget.detail.region import Region
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled

Scale = Literal["value", "magnitude"]
Range = tuple[float, float]
T = TypeVar("T")

PARALLEL_FROM = 4_000_000
"""Elements from which on several threads pay."""

MAX_THREADS = 4


@dataclass(frozen=True)
class Histogram:
    """Counts of the weights of one tensor.

    Every element is in exactly one of: a bin, `below`, `above`, `nan`, `posinf`, `neginf` and, on the
    magnitude scale, `zeros`.

    Attributes
    ----------
    counts
        Float64 (bins,). Bins hold low <= x < high, the last one both its ends, as in `numpy.histogram`.
    range
        First and last edge: of w, or of log10 |w| on the magnitude scale.
    below, above
        Finite weights outside the range; zeros are not among them on the magnitude scale.
    zeros
        Weights that are exactly zero (on the value scale they are in the bins, too).
    nan, posinf, neginf
        Weights that are not finite.
    """

    counts: npt.NDArray[np.float64]
    range: Range
    below: int
    above: int
    zeros: int
    nan: int
    posinf: int
    neginf: int

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """Edges of the bins (bins + 1,), as `numpy.histogram_bin_edges` gives them."""
        return np.linspace(*self.range, len(self.counts) + 1)


def histogram(
    weights: TensorRef | torch.Tensor | Region,
    bins: int,
    scale: Scale = "value",
    range: Range = (-1.0, 1.0),  # noqa: A002 - numpy.histogram's name for it
    cancelled: Callable[[], bool] = lambda: False,
) -> Histogram:
    """Count every element, exactly.

    Agrees with ``numpy.histogram(w, bins, range)`` on float64, and on the magnitude scale with
    ``numpy.histogram(numpy.log10(abs(w)), bins, range)`` for the finite weights that are not zero.

    Parameters
    ----------
    weights
        A tensor of any real type, a reference to one, or a part of one: then nothing but that is read.
    bins
        Number of bins, all of the same width.
    scale
        "value" bins w, "magnitude" bins log10 |w|.
    range
        First and last edge, in units of the scale. Two equal edges are moved apart, as NumPy does.
    cancelled
        Asked every million elements or so.

    Returns
    -------
    Histogram

    Raises
    ------
    ValueError
        If there are no bins, the scale is unknown, or the range is not finite or upside down.
    TypeError
        If the weights have no order (complex) or their type is not known.
    Cancelled
        Once `cancelled` says so.
    """
    if bins < 1:
        raise ValueError(f"a histogram has at least one bin, not {bins}")
    if scale not in ("value", "magnitude"):
        raise ValueError(f"the scale of a histogram is 'value' or 'magnitude', not {scale!r}")
    low, high = checked_range(range, finite=True)
    if low == high:
        # NumPy takes 0.5 whatever the size of the value; where float64 cannot resolve that, a wider step.
        half = max(0.5, abs(low) * 2.0**-40)
        low, high = max(low - half, -sys.float_info.max), min(high + half, sys.float_info.max)
    binning = _Binning(bins, low, high, magnitude=scale == "magnitude")

    total = _Tally(bins)
    for part in _over_spans(weights, lambda span: _tally(span, binning), cancelled):
        total.add(part)
    return Histogram(
        counts=total.slots[1:-1].astype(np.float64),
        range=(low, high),
        below=int(total.slots[0]),
        above=int(total.slots[-1]),
        zeros=total.zeros,
        nan=total.nan,
        posinf=total.posinf,
        neginf=total.neginf,
    )


def count(
    weights: TensorRef | torch.Tensor | Region,
    range: Range,  # noqa: A002 - numpy.histogram's name for it
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[int, int]:
    """Count the weights with low <= w <= high, compared exactly in float64; NaN is never among them.

    Parameters
    ----------
    weights
        A tensor of any real type, a reference to one, or a part of one: then nothing but that is read.
    range
        Lowest and highest value, both included; infinite ends are allowed.
    cancelled
        Asked every million elements or so.

    Returns
    -------
    tuple of int
        The weights in the range, and all elements, non-finite ones too.

    Raises
    ------
    ValueError
        If the range is upside down or NaN.
    TypeError
        If the weights have no order (complex) or their type is not known.
    Cancelled
        Once `cancelled` says so.
    """
    low, high = checked_range(range)

    def counted(span: torch.Tensor) -> tuple[int, int]:
        found = sum(int(np.count_nonzero(within(numbers(piece), low, high))) for piece in split(span))
        return found, span.numel()

    parts = list(_over_spans(weights, counted, cancelled))
    return sum(found for found, _ in parts), sum(size for _, size in parts)


def within(block: Block, low: float, high: float) -> npt.NDArray[np.bool_]:
    """Whether low <= w <= high in float64, with no rounding of either side."""
    if block.dtype == np.float32:
        # Comparing in float32 is twice as fast. Ends moved inwards to the next float32 change no answer.
        with np.errstate(over="ignore"):
            low32, high32 = np.float32(low), np.float32(high)
        if float(low32) < low:
            low32 = np.nextafter(low32, np.float32(np.inf))
        if float(high32) > high:
            high32 = np.nextafter(high32, np.float32(-np.inf))
        return (block >= low32) & (block <= high32)
    return (block >= low) & (block <= high)


def checked_range(given: Range, *, finite: bool = False) -> Range:
    """Give both ends as floats.

    Raises
    ------
    ValueError
        If they are upside down or NaN, or not finite where they must be.
    """
    low, high = (float(end) for end in given)
    if not low <= high:
        raise ValueError(f"the range ({low}, {high}) is upside down or NaN")
    if finite and not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"the range of a histogram is finite, not ({low}, {high})")
    return low, high


class _Tally:
    """What one pass counts: slot 0 is below the range, the last one above it."""

    def __init__(self, bins: int) -> None:
        self.slots = np.zeros(bins + 2, np.int64)
        self.zeros = self.nan = self.posinf = self.neginf = 0

    def add(self, other: _Tally) -> None:
        self.slots += other.slots
        self.zeros += other.zeros
        self.nan += other.nan
        self.posinf += other.posinf
        self.neginf += other.neginf


class _Binning:
    """Finds the slot of each weight: by multiplication, and against the edges where rounding might decide."""

    def __init__(self, bins: int, low: float, high: float, *, magnitude: bool) -> None:
        self.bins, self.low, self.magnitude = bins, low, magnitude
        with np.errstate(over="ignore", invalid="ignore"):
            self.edges = np.linspace(low, high, bins + 1)
        if not math.isfinite(high - low):  # linspace overflows
            t = np.arange(bins + 1) / bins
            self.edges = low * (1 - t) + high * t
        self.per_unit = bins / (high - low) if high - low > bins / 1e300 else math.inf
        self.reach = max(abs(low), abs(high))

    def _doubt(self, kind: type[np.floating]) -> float:
        """Bound how far off, in bins, the quick estimate in that type may be: 8 units in the last place."""
        tame = 1e-30 < self.per_unit < 1e30 and self.reach < 1e30
        if not tame and (kind is np.float32 or not math.isfinite(self.per_unit)):
            return math.inf
        return 8 * float(np.finfo(kind).eps) * (self.bins + self.reach * self.per_unit)

    def slots(self, block: Block) -> npt.NDArray[np.int32]:
        """Slots of finite weights: 0 below, 1 … bins, bins + 1 above."""
        kind = block.dtype.type
        doubt = self._doubt(kind)
        if doubt > 0.02 and kind is np.float32:
            kind = np.float64
            block, doubt = block.astype(kind), self._doubt(kind)
        if doubt > 0.2:
            return self._exact(block).astype(np.int32)
        keys = np.log10(np.abs(block)) if self.magnitude else block
        at = np.subtract(keys, kind(self.low))
        at *= kind(self.per_unit)
        off = np.rint(at)
        off -= at
        np.abs(off, out=off)
        np.clip(at, -1, self.bins, out=at)
        at += 1  # now truncation rounds down everywhere
        slots = at.astype(np.int32)
        doubtful = np.flatnonzero(~(off > doubt))  # NaN, too, where it overflowed
        slots[doubtful] = self._exact(block[doubtful])
        return slots

    def _exact(self, weights: Block) -> npt.NDArray[np.intp]:
        keys = weights.astype(np.float64)
        if self.magnitude:
            keys = np.log10(np.abs(keys))
        slots = np.searchsorted(self.edges, keys, side="right")
        slots[keys == self.edges[-1]] = self.bins  # the last bin holds its upper edge
        return slots


def _tally(span: torch.Tensor, binning: _Binning) -> _Tally:
    tally = _Tally(binning.bins)
    with np.errstate(over="ignore", invalid="ignore"):
        for piece in split(span):
            block = numbers(piece)
            finite = np.isfinite(block)
            if not finite.all():
                tally.nan += int(np.count_nonzero(np.isnan(block)))
                tally.posinf += int(np.count_nonzero(block == np.inf))
                tally.neginf += int(np.count_nonzero(block == -np.inf))
                block = block[finite]
            zeros = int(np.count_nonzero(block == 0))
            tally.zeros += zeros
            if binning.magnitude and zeros:
                block = block[block != 0]
            slots = torch.from_numpy(binning.slots(block))
            # Torch counts int32, and without Python's lock; NumPy does neither.
            tally.slots += torch.bincount(slots, minlength=binning.bins + 2).numpy()
    return tally


def _over_spans(
    weights: TensorRef | torch.Tensor | Region, work: Callable[[torch.Tensor], T], cancelled: Callable[[], bool]
) -> Iterator[T]:
    """Results of `work` for every span, from several threads where that pays."""

    def one(span: torch.Tensor) -> T:
        if cancelled():
            raise Cancelled
        return work(span)

    parts = weights.spans() if isinstance(weights, Region) else (span for _, span in spans(weights, ordered=False))
    size = weights.numel() if isinstance(weights, torch.Tensor) else weights.numel
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    if size < PARALLEL_FROM or threads == 1:
        yield from map(one, parts)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="weightwidget-histogram") as pool:
        # A window of a few spans: what is read from a file does not pile up.
        waiting: deque[Future[T]] = deque()
        for span in parts:
            waiting.append(pool.submit(one, span))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
