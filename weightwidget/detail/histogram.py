"""Exact histograms and counts from all elements of a tensor, in one pass."""

from __future__ import annotations

import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.blocks import SPAN, Block, numbers, spans, split
from weightwidget.detail.region import Region
from weightwidget.sources.base import TensorRef, torch_dtype
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.compiling import compiled, want

Scale = Literal["value", "magnitude"]
Range = tuple[float, float]
T = TypeVar("T")

KERNELS = "weightwidget.detail.compiled_histogram"

PATTERNS_FROM = 1 << 19
"""Elements from which on it pays to count the bit patterns of types of 16 bits and fewer, and to bin those."""

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

    size = weights.numel() if isinstance(weights, torch.Tensor) else weights.numel
    if size >= PARALLEL_FROM:
        want(KERNELS)  # smaller tensors take a few milliseconds without
    total = _Tally(bins)
    if not isinstance(weights, Region) and _itemsize(weights) <= 2 and size >= PATTERNS_FROM:
        total.add(_of_patterns(weights, binning, cancelled))
    else:
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

    @property
    def compiles(self) -> bool:
        """Whether the compiled kernels bin this, and faster than NumPy does."""
        return self.sizes[2] <= 3 if self.magnitude else self._doubt(np.float32) <= 0.02

    @cached_property
    def values(self) -> npt.NDArray[np.float32]:
        """The smallest weight of each slot, float32 (bins + 3,): from -Inf below the range to +Inf after all."""
        smallest = np.concatenate([self.edges[:-1], self.edges[-1:]]).astype(np.float32)
        up = np.nextafter(smallest, np.float32(np.inf))
        short = smallest < self.edges
        short[-1] = smallest[-1] <= self.edges[-1]  # the last bin holds its upper edge
        return np.concatenate([[-np.inf], np.where(short, up, smallest), [np.inf]]).astype(np.float32)

    @cached_property
    def sizes(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], int]:
        """The smallest magnitude of each bin and the smallest beyond the last, and where to look for them.

        Float32 (bins + 1,); int32 (32769,): the bin of the smallest magnitude with each upper half of the bits; how
        often the bins between two of these are to be halved.
        """
        smallest = np.append(_smallest(self.edges[:-1]), _smallest(self.edges[-1:], beyond=True))
        upper = (np.arange(0x7F80, dtype=np.uint32) << 16).view(np.float32)
        starts: npt.NDArray[np.int32] = np.full((1 << 15) + 1, self.bins - 1, np.int32)
        starts[: len(upper)] = np.maximum(np.searchsorted(smallest[:-1], upper, side="right") - 1, 0)
        return smallest, starts, int(np.diff(starts).max()).bit_length()

    @property
    def doubt(self) -> float:
        """How far off, in bins, an estimate in float32 may be."""
        return self._doubt(np.float32)

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


def _smallest(edges: npt.NDArray[np.float64], *, beyond: bool = False) -> npt.NDArray[np.float32]:
    """The smallest positive float32 whose logarithm is at least each edge, or beyond it; +Inf if there is none."""
    # Bits of positive floats are in the order of their values.
    low, high = np.zeros(len(edges), np.int64), np.full(len(edges), 0x7F800000, np.int64)
    while (high - low > 1).any():
        middle = (low + high) // 2
        with np.errstate(divide="ignore"):
            logs = np.log10(middle.astype(np.uint32).view(np.float32).astype(np.float64))
        reached = logs > edges if beyond else logs >= edges
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    return high.astype(np.uint32).view(np.float32)


def _tally(span: torch.Tensor, binning: _Binning) -> _Tally:
    kernels = compiled(KERNELS)
    if kernels is not None and span.dtype == torch.float32 and span.is_contiguous() and binning.compiles:
        return _tally_compiled(kernels, span, binning)
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


def _tally_compiled(kernels: ModuleType, span: torch.Tensor, binning: _Binning) -> _Tally:
    tally, bins = _Tally(binning.bins), binning.bins
    weights = span.resolve_neg().view(-1).numpy()
    slots = np.zeros(bins + 5, np.int64)
    if binning.magnitude:
        tally.zeros = kernels.by_size(weights, *binning.sizes, slots)
    else:
        tally.zeros = kernels.by_value(weights, binning.values, binning.low, binning.per_unit, binning.doubt, slots)
    tally.slots[:] = slots[: bins + 2]
    tally.nan, tally.posinf, tally.neginf = (int(number) for number in slots[bins + 2 :])
    return tally


def _itemsize(weights: TensorRef | torch.Tensor) -> int:
    return (torch_dtype(weights.dtype) if isinstance(weights, TensorRef) else weights.dtype).itemsize


def _of_patterns(weights: TensorRef | torch.Tensor, binning: _Binning, cancelled: Callable[[], bool]) -> _Tally:
    """Bin the bit patterns, as often as each occurs: every weight with one pattern falls into one slot."""
    dtype = torch_dtype(weights.dtype) if isinstance(weights, TensorRef) else weights.dtype
    patterns = np.zeros(1 << 8 * dtype.itemsize, np.int64)
    for part in _over_spans(weights, _patterns, cancelled):
        patterns += part
    code = torch.uint8 if dtype.itemsize == 1 else torch.int16
    found = np.flatnonzero(patterns)
    values = numbers(torch.from_numpy(found).to(code).view(dtype))
    times = patterns[found]
    tally = _Tally(binning.bins)
    tally.nan, tally.posinf, tally.neginf, tally.zeros = (
        int(times[which].sum()) for which in (np.isnan(values), values == np.inf, values == -np.inf, values == 0)
    )
    binned = np.isfinite(values)
    if binning.magnitude:
        binned &= values != 0
    with np.errstate(over="ignore", invalid="ignore"):
        np.add.at(tally.slots, binning.slots(values[binned]), times[binned])
    return tally


def _patterns(span: torch.Tensor) -> npt.NDArray[np.int64]:
    """Count the bit patterns of a part of a tensor."""
    found = np.zeros(1 << 8 * span.dtype.itemsize, np.int64)
    kernels = compiled(KERNELS)
    narrow, code = (torch.uint8, np.uint8) if span.dtype.itemsize == 1 else (torch.int16, np.uint16)
    # Counting many at once pays: the result is as long as there are patterns. Numbers start no threads.
    for piece in split(span.resolve_neg(), SPAN if kernels else 1 << 17):
        bits = piece.view(narrow).numpy().view(code)
        if kernels is not None:
            kernels.patterns(bits, found)
        else:
            # Torch counts int32, and without Python's lock; NumPy does neither.
            found += torch.bincount(torch.from_numpy(bits.astype(np.int32)), minlength=len(found)).numpy()
    return found


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
