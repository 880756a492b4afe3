"""A power law fitted to the tail of some positive values, as WeightWatcher does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weightwidget.summary.cancel import Cancelled

LEAST_EIGENVALUE = 1e-5
"""Squared singular values up to here do not enter the power-law fit, as in WeightWatcher 0.7.7."""

SMALL_FIT = 20
"""Fewer values than this are fitted with the small-sample estimate and a tail of at least `SMALL_TAIL`."""

SMALL_TAIL = 8


@dataclass(frozen=True)
class PowerLaw:
    """A power law fitted to the tail of a distribution.

    Attributes
    ----------
    alpha
        Exponent of the density x**-alpha.
    xmin
        Where the tail begins.
    distance
        Kolmogorov-Smirnov distance between the tail and the law.
    tail
        Number of values in the tail.
    """

    alpha: float
    xmin: float
    distance: float
    tail: int

    @property
    def error(self) -> float:
        """Standard error of `alpha`, (alpha - 1) / sqrt(tail): what chance alone makes of it if the law holds."""
        return (self.alpha - 1) / math.sqrt(self.tail) if self.tail else math.nan


NO_FIT = PowerLaw(math.nan, math.nan, math.nan, 0)


def fit_power_law(values: npt.ArrayLike, cancelled: Callable[[], bool] | None = None) -> PowerLaw:
    """Fit a power law to the upper tail of some positive values, the beginning of the tail included.

    Every value is tried as the beginning; the one whose law is nearest to the values above it (Kolmogorov-Smirnov)
    is taken. Clauset, Shalizi and Newman, "Power-law distributions in empirical data" (2009), in the variant of
    WeightWatcher 0.7.7: no correction for few values, and for fewer than 20 values (n - 1) in place of n and a tail
    of at least 8. Takes time that grows with the square of their number.

    Parameters
    ----------
    values
        Those up to `LEAST_EIGENVALUE`, and infinite ones, are left out.
    cancelled
        Asked now and then.

    Raises
    ------
    Cancelled
        When `cancelled` says so.
    """
    x = np.sort(np.asarray(values, np.float64))
    x = x[(x > LEAST_EIGENVALUE) & np.isfinite(x)]
    few = len(x) < SMALL_FIT
    best = NO_FIT
    if len(x) < SMALL_TAIL:
        return best
    logs = np.log(x)
    above = np.cumsum(logs[::-1])[::-1]
    places = np.arange(len(x), dtype=np.float64)
    for first in range(len(x) - (SMALL_TAIL - 1 if few else 1)):
        if cancelled is not None and first % 256 == 0 and cancelled():
            raise Cancelled
        n = len(x) - first
        spread = above[first] - n * logs[first]
        if x[-1] == x[first]:
            break  # equal values have no slope
        alpha = 1 + (n - 1 if few else n) / spread
        law = 1 - np.exp((1 - alpha) * (logs[first:] - logs[first]))
        distance = float(np.abs(law - places[:n] / n).max())
        if not best.tail or distance < best.distance:
            best = PowerLaw(float(alpha), float(x[first]), distance, n)
    return best
