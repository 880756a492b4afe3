"""The sketch of a distribution: mergeable counts from which quantiles and histograms of any binning follow.

A sketch holds either the distinct values themselves with how often each occurs (types of 16 bits and fewer,
and small tensors), or the counts of bins: the upper 16 bits (sign, exponent, 7 bits of mantissa) of the
float32 ``(x - shift) * scale``. A bin is as wide as 1/128 of its distance from the shift, its weights are
taken as spread evenly over it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

SMALL = 4096
"""Distinct values that are kept as such whatever their type."""

BIN_WIDTH = 2.0**-7
"""Width of a bin relative to its distance from the shift."""

_NARROW_LIMIT = 65536
"""The same of types of 16 bits and fewer: all that there can be of one type."""

ASCENDING = np.concatenate([np.arange(0xFFFF, 0x7FFF, -1), np.arange(0x8000)]).astype(np.uint16)
"""The bins by the value that they hold, from minus to plus infinity."""

_PLUS_ZERO = 0x8000
"""Place of the bin at the shift among the ascending ones; before it is its twin, of negative zeros."""

_RANK = np.empty(65536, np.uint16)
_RANK[ASCENDING] = np.arange(65536)


@dataclass(frozen=True, eq=False)
class Component:
    """Counts on one grid.

    Attributes
    ----------
    exact
        Whether `keys` are values; else they are bins.
    shift, scale
        Of the bins; 0 and 1 for values.
    narrow
        Whether the values come from a type of 16 bits or fewer, of which all distinct values are kept.
    keys
        Values, or codes of bins (uint16); ascending in value.
    counts
        How many weights there are of each; positive.
    """

    exact: bool
    shift: float
    scale: float
    narrow: bool
    keys: Array
    counts: Array

    def intervals(self) -> tuple[Floats, Floats]:
        """Lower and upper end of each key's interval; the same for values."""
        if self.exact:
            values = self.keys.astype(np.float64)
            return values, values
        negative = self.keys >= 0x8000
        magnitude = (self.keys & 0x7FFF).astype(np.uint32)
        beyond = magnitude >= 0x7F80  # more than float32 holds
        magnitude[beyond] = 0
        inner = (magnitude << 16).view(np.float32).astype(np.float64)
        outer = ((magnitude + 1) << 16).view(np.float32).astype(np.float64)
        # The innermost bin holds what is exactly at the shift, zeros above all (and all within 1e-40 of it).
        outer[magnitude == 0] = 0.0
        inner[beyond] = np.finfo(np.float32).max
        outer[beyond] = np.inf
        low = np.where(negative, -outer, inner) / self.scale + self.shift
        high = np.where(negative, -inner, outer) / self.scale + self.shift
        return low, high


class Distribution:
    """A sketch made ready to be asked: cumulative counts at the ends of its intervals."""

    def __init__(self, sketch: Sketch) -> None:
        self.n = sketch.n
        self.low, self.high = sketch.low, sketch.high
        self.exact = sketch.exact
        self._steps: list[tuple[Floats, Floats]] = []
        for part in sketch.components:
            low, high = part.intervals()
            upper = np.cumsum(part.counts, dtype=np.float64)
            if part.exact:
                self._steps.append((low, upper))
                continue
            knots = np.empty(2 * len(low))
            np.clip(low, self.low, self.high, out=knots[::2])
            np.clip(high, self.low, self.high, out=knots[1::2])
            totals = np.empty(2 * len(low))
            totals[1::2] = upper
            totals[2::2] = upper[:-1]
            totals[0] = 0.0
            self._steps.append((knots, totals))

    def up_to(self, values: npt.ArrayLike, closed: bool = True) -> Floats:
        """Count the weights that are at most (`closed`) or less than each value."""
        at = np.asarray(values, np.float64)
        if self.exact:
            if not self._steps:
                return np.zeros(at.shape)
            known, upper = self._steps[0]
            place = np.searchsorted(known, at, "right" if closed else "left")
            return np.where(place > 0, upper[place - 1], 0.0)
        if not closed:
            at = np.nextafter(at, -np.inf)
        total = np.zeros(at.shape)
        for knots, totals in self._steps:
            total += _interpolated(at, knots, totals)
        return total

    def quantile(self, q: npt.ArrayLike) -> Floats:
        """Quantiles; see `Sketch.quantile`."""
        share = np.asarray(q, np.float64)
        if not ((share >= 0) & (share <= 1)).all():
            raise ValueError(f"quantiles are asked for by shares from 0 to 1, not {share.tolist()}")
        if self.n == 0:
            return np.full(share.shape, np.nan)
        rank = share * (self.n - 1)
        if self.exact:
            return self._between_values(rank)
        found = self._inverse(rank + 0.5)
        found = np.where(rank <= 0, self.low, np.where(rank >= self.n - 1, self.high, found))
        return np.clip(found, self.low, self.high)

    def _between_values(self, rank: Floats) -> Floats:
        known, upper = self._steps[0]
        below = np.floor(rank)
        last = len(known) - 1
        a = known[np.minimum(np.searchsorted(upper, below, "right"), last)]
        b = known[np.minimum(np.searchsorted(upper, below + 1, "right"), last)]
        part = rank - below
        with np.errstate(over="ignore"):
            gap = b - a
        if np.isfinite(gap).all():
            return np.where(part < 0.5, a + gap * part, b - gap * (1 - part))
        return a * (1 - part) + b * part

    def _inverse(self, target: Floats) -> Floats:
        if len(self._steps) == 1:
            knots, totals = self._steps[0]
            return np.interp(target, totals, knots)
        # The sum of several grids has no table of its own: halve the range until float64 ends.
        low = np.full(target.shape, self.low)
        high = np.full(target.shape, self.high)
        for _ in range(200):
            middle = low / 2 + high / 2
            if ((middle == low) | (middle == high)).all():
                break
            enough = self.up_to(middle) >= target
            high = np.where(enough, middle, high)
            low = np.where(enough, low, middle)
        return high

    def histogram(self, edges: npt.ArrayLike) -> Floats:
        """Count between edges; see `Sketch.histogram`."""
        at = np.asarray(edges, np.float64)
        upper = self.up_to(at, closed=False)
        upper[-1] = self.up_to(at[-1])
        return np.diff(upper)

    def magnitude_histogram(self, edges: npt.ArrayLike) -> Floats:
        """Count the weights whose magnitude lies between positive edges, the last one included."""
        at = np.asarray(edges, np.float64)
        positive = self.up_to(at, closed=False)
        positive[-1] = self.up_to(at[-1])
        negative = self.up_to(-at)
        negative[-1] = self.up_to(-at[-1], closed=False)
        return np.diff(positive) - np.diff(negative)

    def smallest_magnitude(self) -> float:
        """Magnitude of the weight next to zero, zeros aside (to a bin's width); NaN if there is none."""
        found = math.inf
        for knots, _ in self._steps:
            ends = np.abs(knots)
            if not self.exact:
                low, high = ends[::2], ends[1::2]
                nearer = np.minimum(low, high)
                across = (knots[::2] < 0) & (knots[1::2] > 0)
                ends = np.where(across | (nearer == 0), np.maximum(low, high), nearer)
            ends = ends[ends > 0]
            if len(ends):
                found = min(found, float(ends.min()))
        return found if math.isfinite(found) else math.nan


@dataclass(frozen=True, eq=False)
class Sketch:
    """A distribution of finite weights in a few kilobytes.

    Attributes
    ----------
    components
        Counts, one entry a grid.
    low, high
        Smallest and largest weight; NaN if there is none.
    """

    components: tuple[Component, ...] = ()
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def of_values(cls, values: Array, counts: Array | None = None, *, narrow: bool = False) -> Sketch:
        """Sketch that keeps every value.

        Parameters
        ----------
        values
            Finite; with `counts`: distinct and ascending.
        counts
            How often each value occurs. Counted here if not given.
        narrow
            Whether they come from a type of 16 bits or fewer.
        """
        if len(values) == 0:
            return cls()
        values = values + values.dtype.type(0)  # one zero, whatever its sign
        if counts is None:
            values.sort()
            new = np.empty(len(values), bool)
            new[0] = True
            np.not_equal(values[1:], values[:-1], out=new[1:])
            starts = np.flatnonzero(new)
            counts = np.empty(len(starts), np.int64)
            np.subtract(starts[1:], starts[:-1], out=counts[:-1])
            counts[-1] = len(values) - starts[-1]
            values = values[starts]
        part = Component(True, 0.0, 1.0, narrow, values, compact_counts(counts))
        return cls((part,), float(values[0]), float(values[-1]))

    @classmethod
    def of_codes(cls, codes: Array, counts: Array, shift: float, scale: float, low: float, high: float) -> Sketch:
        """Sketch of binned weights, of the bins that occur.

        Parameters
        ----------
        codes
            uint16, ascending in value.
        counts
            How many weights there are in each.
        shift, scale
            Of the grid.
        low, high
            Smallest and largest weight.
        """
        if len(codes) == 0:
            return cls()
        place = int(np.count_nonzero(codes >= 0x8000)) - 1
        if place >= 0 and codes[place] == 0x8000:  # one zero, whatever its sign
            codes, counts = codes.copy(), counts.copy()
            codes[place] = 0
            if place + 1 < len(codes) and codes[place + 1] == 0:
                counts[place] += counts[place + 1]
                codes, counts = np.delete(codes, place + 1), np.delete(counts, place + 1)
        return cls((Component(False, shift, scale, False, codes, compact_counts(counts)),), low + 0.0, high + 0.0)

    @property
    def n(self) -> int:
        """Number of weights."""
        return sum(int(part.counts.sum(dtype=np.int64)) for part in self.components)

    @property
    def exact(self) -> bool:
        """Whether quantiles and histograms are exact."""
        return all(part.exact for part in self.components)

    @property
    def relative_error(self) -> float:
        """Bound on the error of a quantile relative to its distance from the shift; 0 if exact."""
        return 0.0 if self.exact else BIN_WIDTH

    def distribution(self) -> Distribution:
        """Give the sketch ready to be asked several questions."""
        return Distribution(self)

    def quantile(self, q: npt.ArrayLike) -> float | Floats:
        """Quantiles by NumPy's linear definition.

        Parameters
        ----------
        q
            Shares from 0 to 1.

        Returns
        -------
        float or numpy.ndarray
            As many as asked for; NaN if there are no weights. See `relative_error`.

        Raises
        ------
        ValueError
            If a share is outside 0 to 1.
        """
        found = self.distribution().quantile(q)
        return float(found) if found.ndim == 0 else found

    def count_between(self, low: float, high: float) -> float:
        """Count the weights in an interval, both ends included; not whole where bins are cut."""
        if not low <= high:
            return 0.0
        spread = self.distribution()
        return float(spread.up_to(high) - spread.up_to(low, closed=False))

    def histogram(self, edges: npt.ArrayLike) -> Floats:
        """Count the weights between edges.

        Parameters
        ----------
        edges
            Ascending, at least two. The last bin includes its upper edge, as in NumPy.

        Returns
        -------
        numpy.ndarray
            float64, one fewer than edges; not whole where a bin of the sketch is cut.
        """
        return self.distribution().histogram(edges)

    @staticmethod
    def merge(sketches: Iterable[Sketch]) -> Sketch:
        """Sketch of several sets of weights together. The order and the grouping make no difference.

        Values are kept as such while all parts keep them and they are few, or all of types of 16 bits or
        fewer; otherwise all go into bins.
        """
        parts = [sketch for sketch in sketches if sketch.components]
        if not parts:
            return Sketch()
        low, high = min(part.low for part in parts), max(part.high for part in parts)
        components = [component for part in parts for component in part.components]
        if len(components) == 1:
            return Sketch((components[0],), low, high)
        if all(part.exact for part in parts):
            together = _merge_values(components)
            if len(together.keys) <= (_NARROW_LIMIT if together.narrow else SMALL):
                return Sketch((together,), low, high)
        grids: dict[tuple[float, float], list[Component]] = {}
        for part in components:
            for binned in _into_bins(part) if part.exact else [part]:
                grids.setdefault((binned.shift, binned.scale), []).append(binned)
        merged = tuple(_merge_bins(grids[grid]) for grid in sorted(grids))
        return Sketch(merged, low, high)


def ascending(part: Component) -> bool:
    """Whether the keys are in order, each there once."""
    order = part.keys if part.exact else _RANK[part.keys]
    return bool((order[1:] > order[:-1]).all())


def _merge_values(parts: Sequence[Component]) -> Component:
    keys = np.concatenate([part.keys for part in parts])
    counts = np.concatenate([part.counts.astype(np.int64) for part in parts])
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    totals = np.add.reduceat(counts, starts)
    return Component(True, 0.0, 1.0, all(part.narrow for part in parts), keys[starts], compact_counts(totals))


def _into_bins(part: Component) -> list[Component]:
    """Bin values. Each one's grid follows from the value alone, so that grouping makes no difference.

    Nearly all go on the grid of scale 1. Those beyond float32 (which has half the digits below its normal numbers)
    have grids a factor of 2**126 apart.
    """
    _, exponents = np.frexp(part.keys.astype(np.float64))
    ordinary = (part.keys == 0) | ((exponents >= -125) & (exponents <= 127))
    steps = np.where(ordinary, 0, np.clip(np.round(exponents / 126), -8, 8)).astype(np.int64)
    found = []
    for step in np.unique(steps).tolist():
        here = steps == step
        scaled = np.ldexp(part.keys[here].astype(np.float64), -126 * step).astype(np.float32)
        codes = (scaled.view(np.uint32) >> 16).astype(np.uint16)
        codes[codes == 0x8000] = 0
        found.append(_merge_bins([Component(False, 0.0, 2.0 ** (-126 * step), False, codes, part.counts[here])]))
    return found


def _merge_bins(parts: Sequence[Component]) -> Component:
    rank = np.concatenate([_RANK[part.keys] for part in parts])
    counts = np.concatenate([part.counts.astype(np.int64) for part in parts])
    order = np.argsort(rank, kind="stable")
    rank, counts = rank[order], counts[order]
    starts = np.flatnonzero(np.concatenate([[True], rank[1:] != rank[:-1]]))
    totals = np.add.reduceat(counts, starts)
    first = parts[0]
    return Component(False, first.shift, first.scale, False, ASCENDING[rank[starts]], compact_counts(totals))


def _interpolated(at: Floats, knots: Floats, totals: Floats) -> Floats:
    """Totals between knots, which may follow each other so closely that a slope is beyond float64; 0 before all."""
    found = np.interp(at, knots, totals, left=0.0)
    if np.isfinite(found).all():
        return found
    place = np.clip(np.searchsorted(knots, at, "right"), 1, len(knots) - 1)
    begin, width = knots[place - 1], knots[place] - knots[place - 1]
    share = np.clip(np.divide(at - begin, width, out=np.ones(at.shape), where=width > 0), 0.0, 1.0)
    between = totals[place - 1] + share * (totals[place] - totals[place - 1])
    return np.where(np.isfinite(found), found, between)


def compact_counts(counts: Array) -> Array:
    """Give the counts in the smallest unsigned type that holds them."""
    largest = int(counts.max()) if len(counts) else 0
    return counts.astype(np.min_scalar_type(largest), copy=False)
