"""Moments up to the fourth: from sums around a shift or from counted values, and how they merge.

Central sums are merged by the formulas of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for
computing sample variances", 1979), which Pébay carries on to higher powers ("Formulas for robust, one-pass parallel
computation of covariances and arbitrary-order statistical moments", SAND2008-6212, 2008).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import numpy.typing as npt

_RESOLUTION = 1e-15
"""Spread relative to the mean below which a float64 variance is rounding: the bound that SciPy uses."""


@dataclass(frozen=True)
class Moments:
    """Sums over finite weights x, from which every moment statistic follows.

    Attributes
    ----------
    n
        Number of finite weights.
    mean
        Arithmetic mean; NaN if there are none.
    m2, m3, m4
        Sums of ``(scale * (x - mean)) ** k``.
    l1
        Sum of magnitudes.
    scale
        Power of two that keeps the fourth powers of very large and very small weights within float64; 1 as a
        rule.
    """

    n: int = 0
    mean: float = math.nan
    m2: float = 0.0
    m3: float = 0.0
    m4: float = 0.0
    l1: float = 0.0
    scale: float = 1.0

    @classmethod
    def of_value(cls, value: float, n: int) -> Moments:
        """Moments of `n` weights that all have the same value: the variance is exactly zero."""
        return cls(n, value, l1=n * abs(value))

    @classmethod
    def from_sums(
        cls, n: int, sums: tuple[float, float, float, float], l1: float, shift: float, scale: float
    ) -> Moments:
        """Moments from power sums around a shift.

        Parameters
        ----------
        n
            Number of weights.
        sums
            Sums of ``d``, ``d ** 2``, ``d ** 3`` and ``d ** 4`` where ``d = (x - shift) * scale``. The shift
            must be within some thirty standard deviations of the mean, else too many digits cancel.
        l1
            Sum of magnitudes of x itself.
        shift, scale
            See `sums`.
        """
        if n == 0:
            return cls()
        s1, s2, s3, s4 = sums
        at = s1 / n
        m2 = max(0.0, s2 - s1 * at)
        m3 = s3 - 3 * at * s2 + 2 * at * at * s1
        m4 = s4 - 4 * at * s3 + 6 * at * at * s2 - 3 * at * at * at * s1
        return cls(n, shift + at / scale, m2, m3, max(0.0, m4), l1, scale)

    @classmethod
    def from_values(cls, values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64] | None = None) -> Moments:
        """Moments of values in memory, in two passes.

        Parameters
        ----------
        values
            Finite, one-dimensional.
        counts
            How often each occurs; once if not given.
        """
        n = len(values) if counts is None else int(counts.sum())
        if n == 0:
            return cls()
        low, high = float(values.min()), float(values.max())
        if low == high:
            return cls.of_value(low, n)
        scale = scale_for(max(abs(low), abs(high)))
        if scale != 1.0:
            values = values * scale

        def total(terms: npt.NDArray[np.float64]) -> float:
            return float(terms.sum() if counts is None else (terms * counts).sum())

        at = total(values) / n
        d = values - at
        # What rounding left in the mean: half of the digits of a mean far from zero would be lost without it.
        rest = total(d) / n
        at += rest
        d -= rest
        d2 = d * d
        l1 = total(np.abs(values)) / scale
        return cls(n, at / scale, total(d2), total(d2 * d), total(d2 * d2), l1, scale)

    @property
    def var(self) -> float:
        """Population variance (ddof = 0); beyond float64 for weights beyond 1e154: use `std`."""
        return self.std * self.std

    @property
    def std(self) -> float:
        """Population standard deviation (ddof = 0)."""
        return math.sqrt(self.m2 / self.n) / self.scale if self.n else math.nan

    @property
    def skewness(self) -> float:
        """Third standardised moment, biased; NaN for constants, as SciPy has it."""
        if self._constant:
            return math.nan
        spread = math.sqrt(self.m2 / self.n)
        return self.m3 / self.n / spread / spread / spread

    @property
    def kurtosis(self) -> float:
        """Excess kurtosis (Fisher, biased): 0 for a normal distribution; NaN for constants, as in SciPy."""
        if self._constant:
            return math.nan
        spread = self.m2 / self.n
        return self.m4 / self.n / spread / spread - 3.0

    @property
    def rms(self) -> float:
        """Root of the mean square."""
        return math.hypot(self.mean, self.std)

    @property
    def l2(self) -> float:
        """Euclidean norm; 0 if there are no finite weights."""
        return math.sqrt(self.n) * self.rms if self.n else 0.0

    @property
    def _constant(self) -> bool:
        return self.n == 0 or not self.std > _RESOLUTION * abs(self.mean)

    def __add__(self, other: Moments) -> Moments:
        """Moments of both sets of weights together (Chan et al. 1979, Pébay 2008)."""
        if self.n == 0:
            return other
        if other.n == 0:
            return self
        scale = _common_scale(self, other)
        a, b = self._scaled(scale), other._scaled(scale)
        n = a.n + b.n
        delta = b.mean * scale - a.mean * scale
        step = delta / n
        product = float(a.n) * float(b.n)
        m2 = a.m2 + b.m2 + delta * step * product
        m3 = a.m3 + b.m3 + delta * step * step * product * (a.n - b.n) + 3 * step * (a.n * b.m2 - b.n * a.m2)
        m4 = (
            a.m4
            + b.m4
            + delta * step * step * step * product * (float(a.n) * a.n - product + float(b.n) * b.n)
            + 6 * step * step * (float(a.n) * a.n * b.m2 + float(b.n) * b.n * a.m2)
            + 4 * step * (a.n * b.m3 - b.n * a.m3)
        )
        mean = a.mean if a.mean == b.mean else a.mean * (a.n / n) + b.mean * (b.n / n)
        return Moments(n, mean, m2, m3, m4, a.l1 + b.l1, scale)

    def _scaled(self, scale: float) -> Moments:
        f = scale / self.scale
        if f == 1.0:
            return self
        return Moments(self.n, self.mean, self.m2 * f * f, self.m3 * f * f * f, self.m4 * f * f * f * f, self.l1, scale)


_IN_ORDER = attrgetter("n", "mean", "m2", "m3", "m4", "l1", "scale")


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """Moments of several sets of weights together: the same to the last bit whatever the order of the parts."""
    total = Moments()
    for part in sorted((part for part in parts if part.n), key=_IN_ORDER):
        total = total + part
    return total


def _common_scale(a: Moments, b: Moments) -> float:
    """Scale for the larger weights: what it makes vanish would not have counted beside them.

    The scale of weights that are all the same says nothing, for they have no spread: how far they lie from the
    others does.
    """
    scales = [part.scale for part in (a, b) if part.m2]
    apart = abs(a.mean / 2 - b.mean / 2)  # halves, for the distance itself may be beyond float64
    if apart:
        scales.append(scale_for(apart))
    return min(scales, default=1.0)


def scale_for(magnitude: float) -> float:
    """Power of two that brings a magnitude near 1; 1 unless its fourth power would leave float64.

    Parameters
    ----------
    magnitude
        The largest of some weights; finite, not negative.
    """
    if magnitude == 0.0 or 2.0**-80 <= magnitude <= 2.0**80:
        return 1.0
    # 2**1000 at most: the factor itself must be a number, and a denormal cannot be brought to 1 in one step.
    return 2.0 ** min(1000, -math.frexp(magnitude)[1])
