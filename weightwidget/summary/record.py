"""The record of a tensor or a module: small, mergeable, portable."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from weightwidget.summary.moments import Moments, merge_moments
from weightwidget.summary.sketch import Distribution, Sketch

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
"""The quantiles that overview and table hold."""

_TAIL = 0.0005
"""Share of the weights that the robust range leaves out on either side, if they lie far out."""


@dataclass(frozen=True, eq=False)
class TensorSummary:
    """What one pass over a tensor found, or several such records together (a module).

    Non-finite weights are counted apart and enter no statistic. Statistics of no weights are NaN.

    Attributes
    ----------
    name
        Full name; of a module, its path.
    shape
        Of the tensor; empty for modules.
    dtype
        Stored type; of a module, that of its tensors, or ``"mixed"``.
    kind
        Class of the module, or of the module that owns the tensor; empty if unknown.
    role
        ``"weight"``, ``"bias"``, ...; empty for modules.
    count
        Number of elements, finite or not.
    nbytes
        Stored size.
    nan, posinf, neginf, zeros
        Counts. Zeros of both signs are zeros.
    min, max
        Smallest and largest finite weight.
    argmin, argmax
        Where they are: the first place in row-major order; None for modules and where nothing is finite.
    moments
        Of the finite weights.
    sketch
        Their distribution.
    row_norms, column_norms
        Euclidean norms of the finite weights of each row and column of the default matrix (axis 0 against all
        others), float32 (float64 where that has no room for them); None for vectors, scalars and modules, and where
        nobody asked for norms.
    thumbnail
        The default matrix made small, float32 (or float64, likewise): each cell is the weight of largest
        magnitude under it, with its sign; NaN where there is one. None for modules.
    shared_with
        First name of a tied tensor, for its further names.
    error
        Why there is nothing but the description; empty if all is well.
    part
        What the numbers are of: ``"magnitude"`` for complex tensors, whose statistics, sketch, norms and thumbnail
        are those of |w|; empty for all others. Of a module, ``"mixed"`` if it has both.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    kind: str = ""
    role: str = ""
    count: int = 0
    nbytes: int = 0
    nan: int = 0
    posinf: int = 0
    neginf: int = 0
    zeros: int = 0
    min: float = math.nan
    max: float = math.nan
    argmin: tuple[int, ...] | None = None
    argmax: tuple[int, ...] | None = None
    moments: Moments = field(default_factory=Moments)
    sketch: Sketch = field(default_factory=Sketch)
    row_norms: Array | None = None
    column_norms: Array | None = None
    thumbnail: Array | None = None
    shared_with: str | None = None
    error: str = ""
    part: str = ""

    @property
    def finite(self) -> int:
        """Number of finite weights: what the statistics are of."""
        return self.moments.n

    @property
    def sparsity(self) -> float:
        """Share of weights that are exactly zero."""
        return self.zeros / self.count if self.count and not self.error else math.nan

    @property
    def mean(self) -> float:
        """Arithmetic mean."""
        return self.moments.mean

    @property
    def var(self) -> float:
        """Population variance (ddof = 0)."""
        return self.moments.var

    @property
    def std(self) -> float:
        """Population standard deviation (ddof = 0)."""
        return self.moments.std

    @property
    def skewness(self) -> float:
        """Third standardised moment, biased; NaN for constants."""
        return self.moments.skewness

    @property
    def kurtosis(self) -> float:
        """Excess kurtosis, biased; NaN for constants."""
        return self.moments.kurtosis

    @property
    def rms(self) -> float:
        """Root of the mean square."""
        return self.moments.rms

    @property
    def l1(self) -> float:
        """Sum of magnitudes."""
        return self.moments.l1 if self.finite else math.nan

    @property
    def l2(self) -> float:
        """Euclidean (Frobenius) norm."""
        return self.moments.l2 if self.finite else math.nan

    def quantile(self, q: npt.ArrayLike) -> float | Floats:
        """Quantiles of the finite weights by NumPy's linear definition.

        Parameters
        ----------
        q
            Shares from 0 to 1; ask for several at once, that costs no more than one.

        Returns
        -------
        float or numpy.ndarray
            Exact if ``sketch.exact``, else within ``sketch.relative_error``.
        """
        return self.sketch.quantile(q)

    @cached_property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles of `QUANTILES`."""
        return self._usual[:-2]

    @cached_property
    def _usual(self) -> tuple[float, ...]:
        return tuple(self.sketch.distribution().quantile((*QUANTILES, _TAIL, 1 - _TAIL)).tolist())

    def robust_range(self) -> tuple[float, float]:
        """Range worth drawing: nearly all weights, without the far outliers.

        Returns
        -------
        tuple of float
            Lower and upper end, the first the smaller; (-1, 1) if there are no finite weights.
        """
        if self.finite == 0:
            return -1.0, 1.0
        if self.min == self.max:
            return _around(self.min)
        low, high = self._usual[-2:]
        width = high - low
        # Halves, for the width itself may be beyond float64.
        if not 0 < width < math.inf or not self.max / 2 - self.min / 2 >= width:
            return self.min, self.max
        return max(self.min, low - 0.05 * width), min(self.max, high + 0.05 * width)

    def histogram(
        self,
        bins: int | Sequence[float] | Floats,
        range: tuple[float, float] | None = None,  # noqa: A002 - as NumPy
    ) -> tuple[Floats, Floats]:
        """Histogram of the finite weights, of any binning.

        Parameters
        ----------
        bins
            Number of bins of equal width, or ascending edges.
        range
            First and last edge; smallest to largest weight if not given. Weights outside are not counted.

        Returns
        -------
        counts : numpy.ndarray
            float64, not whole where a bin of the sketch is cut. The last bin includes its upper edge.
        edges : numpy.ndarray
            float64, one more than counts.

        Raises
        ------
        ValueError
            If there are no bins, or the range is empty or not finite.
        """
        edges = _edges(bins, range, (self.min, self.max) if self.finite else (0.0, 1.0))
        return self.sketch.histogram(edges), edges

    def log_magnitude_histogram(
        self,
        bins: int = 64,
        range: tuple[float, float] | None = None,  # noqa: A002 - as NumPy
    ) -> tuple[Floats, Floats]:
        """Histogram of log10 of the magnitudes of the finite weights that are not zero.

        Parameters
        ----------
        bins
            Number of bins.
        range
            First and last edge as log10; smallest to largest magnitude if not given.

        Returns
        -------
        counts, edges : numpy.ndarray
            As of `histogram`; the edges are logarithms.
        """
        spread = self.sketch.distribution()
        edges = _edges(bins, range, self._log_range(spread) if range is None else (0.0, 1.0))
        with np.errstate(over="ignore"):
            magnitudes = 10.0**edges
        # A power of a logarithm is off by some last digits: what lies on the ends belongs in.
        magnitudes[0] *= 1 - 1e-13
        magnitudes[-1] *= 1 + 1e-13
        return spread.magnitude_histogram(magnitudes), edges

    def _log_range(self, spread: Distribution) -> tuple[float, float]:
        low = spread.smallest_magnitude()
        if math.isnan(low):
            return 0.0, 1.0
        high = max(abs(self.min), abs(self.max))
        return math.log10(min(low, high)), math.log10(high)

    def merge(self, *others: TensorSummary, name: str = "", kind: str = "") -> TensorSummary:
        """Record of several sets of weights together, as for a module.

        Neither order nor grouping makes a difference: counts, extremes and sketch come out the same to the last bit,
        moments to their last digits. A record of no weights changes nothing.

        Parameters
        ----------
        *others
            Records of other weights. Those with an error add nothing. The record of a tied tensor is that of the same
            weights again: leave it out.
        name, kind
            Of the result.

        Returns
        -------
        TensorSummary
            Without what only a single tensor has: shape, role, places of the extremes, norms and thumbnail. The dtype
            is ``"mixed"`` where the parts have several.
        """
        return merge_records([self, *others], name, kind)


def merge_records(records: Sequence[TensorSummary], name: str = "", kind: str = "") -> TensorSummary:
    """Record of several sets of weights together; see `TensorSummary.merge`."""
    parts = [record for record in records if not record.error]
    dtypes = {record.dtype for record in parts if record.dtype}
    measured = {record.part for record in parts if record.count}
    finite = [record for record in parts if record.finite]
    return TensorSummary(
        name=name,
        dtype=dtypes.pop() if len(dtypes) == 1 else "mixed" if dtypes else "",
        kind=kind,
        count=sum(record.count for record in parts),
        nbytes=sum(record.nbytes for record in parts),
        nan=sum(record.nan for record in parts),
        posinf=sum(record.posinf for record in parts),
        neginf=sum(record.neginf for record in parts),
        zeros=sum(record.zeros for record in parts),
        # One zero, whatever its sign: else the first of two that compare equal would win.
        min=min((record.min for record in finite), default=math.nan) + 0.0,
        max=max((record.max for record in finite), default=math.nan) + 0.0,
        moments=merge_moments(record.moments for record in finite),
        sketch=Sketch.merge(record.sketch for record in finite),
        part=measured.pop() if len(measured) == 1 else "mixed" if measured else "",
    )


def with_name(record: TensorSummary, name: str, kind: str, role: str, first: str) -> TensorSummary:
    """Give the record of a tied tensor under a further name."""
    return replace(record, name=name, kind=kind, role=role, shared_with=first)


def _around(value: float) -> tuple[float, float]:
    """Give a small range around a value that all weights have."""
    reach = 0.1 * abs(value) or 1.0
    return max(value - reach, -sys.float_info.max), min(value + reach, sys.float_info.max)


def _edges(
    bins: int | Sequence[float] | Floats, given: tuple[float, float] | None, default: tuple[float, float]
) -> Floats:
    if not isinstance(bins, (int, np.integer)):
        edges = np.asarray(bins, np.float64)
        if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) >= 0).all():
            raise ValueError("edges of a histogram are two or more ascending numbers")
        return edges
    low, high = (float(end) for end in (default if given is None else given))
    if bins < 1:
        raise ValueError(f"a histogram needs at least one bin, not {bins}")
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"the range of a histogram is two finite ascending numbers, not ({low}, {high})")
    if low == high:
        low, high = (low - 0.5, high + 0.5) if abs(low) < 2**40 else _around(low)
    if not math.isfinite(high - low):
        # The width itself is beyond float64: halve before the steps and double after.
        return 2 * np.linspace(low / 2, high / 2, int(bins) + 1)
    return np.linspace(low, high, int(bins) + 1)
