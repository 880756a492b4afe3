"""What the singular values of pure noise look like: the law of Marchenko and Pastur (1967)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_SIDE = 10
"""Smaller side from which on a matrix is compared with the law, which is that of large matrices."""

STEPS = 20_000


@dataclass(frozen=True, eq=False)
class UnitLaw:
    """The law for elements of variance 1: of x = (singular value)**2 / larger side.

    Attributes
    ----------
    x
        Places from the lower to the upper edge, ascending.
    density
        Density at each place, per unit of x.
    below
        Share of the values below each place, 0 to 1.
    """

    x: Floats
    density: Floats
    below: Floats

    @property
    def density_of_log(self) -> Floats:
        """Density at each place per decade of x: of log10 x."""
        return self.x * self.density * math.log(10)


def unit_law(beta: float, steps: int = STEPS) -> UnitLaw:
    """Tabulate the law.

    Parameters
    ----------
    beta
        Smaller over larger side, 0 < beta <= 1.
    steps
        Intervals between the places; these are denser towards both edges.
    """
    half = 2 * math.sqrt(beta)
    # With x = 1 + beta - half * cos(t) the density times dx is smooth at both ends, where it is not in x.
    t = np.linspace(0, math.pi, steps + 1)
    x = 1 + beta - half * np.cos(t)
    rise = half * np.sin(t) / (2 * math.pi * beta)
    density = np.divide(rise, x, out=np.zeros_like(x), where=x > 0)
    weight = density * half * np.sin(t)
    if beta == 1:  # of a square matrix the density has no bound at zero, but its share has
        weight[0] = half**2 / (2 * math.pi)
    below = np.concatenate([[0.0], np.cumsum((weight[1:] + weight[:-1]) / 2)])
    return UnitLaw(x, density, below / below[-1])


@cache
def median(beta: float) -> float:
    """Median of the law for sides in the ratio `beta`."""
    law = unit_law(beta)
    return float(np.interp(0.5, law.below, law.x))


def noise_of(singular_values: Floats, rows: int, columns: int) -> float:
    """Standard deviation of the elements' noise, from the median singular value; NaN below `LEAST_SIDE`.

    Gavish and Donoho, "The optimal hard threshold for singular values is 4/sqrt(3)" (2014).

    Parameters
    ----------
    singular_values
        All of them.
    rows, columns
        Of the matrix.
    """
    small, large = sorted((rows, columns))
    if small < LEAST_SIDE:
        return math.nan
    return float(np.median(singular_values) / math.sqrt(large * median(small / large)))


def edge(noise: float, rows: int, columns: int) -> float:
    """Where the singular values of noise of that strength end."""
    return noise * (math.sqrt(rows) + math.sqrt(columns))


def spike_limit(noise: float, rows: int, columns: int) -> float:
    """Beyond this a singular value is larger than noise makes likely.

    The margin beyond the edge is 1.5 times the scale of the Tracy-Widom fluctuation of the largest one (Johnstone,
    "On the distribution of the largest eigenvalue in principal components analysis", 2001). Of noise alone about one
    matrix in a hundred has a value beyond.
    """
    fluctuation = noise * math.pow(1 / math.sqrt(rows) + 1 / math.sqrt(columns), 1 / 3)
    return edge(noise, rows, columns) + 1.5 * fluctuation


def expected(std: float, rows: int, columns: int, points: int = 128) -> tuple[Floats, Floats]:
    """The singular values to be expected of a matrix of independent elements of mean 0.

    Parameters
    ----------
    std
        Standard deviation of the elements. Their distribution does not matter for large matrices.
    rows, columns
        Of the matrix, each at least `LEAST_SIDE` for the law to be near.
    points
        How many places to tabulate.

    Returns
    -------
    tuple of numpy.ndarray
        Ranks, from 0 up to the number of singular values, and the singular value at each, descending.
    """
    small, large = sorted((rows, columns))
    law = unit_law(small / large)
    at = np.linspace(0, STEPS, points).round().astype(int)[::-1]
    return small * (1 - law.below[at]), std * np.sqrt(large * law.x[at])
