"""Exact histograms and counts from all elements of a tensor, in one pass."""

from __future__ import annotations

import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.binning import Binning, Tally
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
    binning = Binning(bins, low, high, magnitude=scale == "magnitude")

    size = weights.numel() if isinstance(weights, torch.Tensor) else weights.numel
    if size >= PARALLEL_FROM:
        want(KERNELS)  # smaller tensors take a few milliseconds without
    total = Tally(bins)
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


def _tally(span: torch.Tensor, binning: Binning) -> Tally:
    kernels = compiled(KERNELS)
    if kernels is not None and span.dtype == torch.float32 and span.is_contiguous() and binning.compiles:
        return _tally_compiled(kernels, span, binning)
    tally = Tally(binning.bins)
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


def _tally_compiled(kernels: ModuleType, span: torch.Tensor, binning: Binning) -> Tally:
    tally, bins = Tally(binning.bins), binning.bins
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


def _of_patterns(weights: TensorRef | torch.Tensor, binning: Binning, cancelled: Callable[[], bool]) -> Tally:
    """Bin the bit patterns, as often as each occurs: every weight with one pattern falls into one slot."""
    dtype = torch_dtype(weights.dtype) if isinstance(weights, TensorRef) else weights.dtype
    patterns = np.zeros(1 << 8 * dtype.itemsize, np.int64)
    for part in _over_spans(weights, _patterns, cancelled):
        patterns += part
    code = torch.uint8 if dtype.itemsize == 1 else torch.int16
    found = np.flatnonzero(patterns)
    values = numbers(torch.from_numpy(found).to(code).view(dtype))
    times = patterns[found]
    tally = Tally(binning.bins)
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
