"""Singular values of a weight matrix, and what is commonly read from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.blocks import check
from weightwidget.detail.matrix import default_axes, matrix_size
from weightwidget.sources.base import TensorRef

Floats = npt.NDArray[np.float64]

LEAST_EIGENVALUE = 1e-5
"""Squared singular values up to here do not enter the power-law fit, as in WeightWatcher 0.7.7."""

SMALL_FIT = 20
"""Fewer values than this are fitted with the small-sample estimate and a tail of at least `SMALL_TAIL`."""

SMALL_TAIL = 8

LEAST_SIDE = 10
"""Smaller side from which on a matrix is compared with the Marchenko-Pastur law."""

CONV_NORMALISATION = 0.5
"""WeightWatcher scales the squared singular values of convolutions by this."""


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


NO_FIT = PowerLaw(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Singular values of a matrix and what follows from them.

    Of a tensor with more than two axes the matrix is the first axis against all others. The spectral norm of such a
    reshaped convolution kernel is not the operator norm of the convolution.

    Attributes
    ----------
    singular_values
        float64 (min(rows, columns),), in descending order.
    shape
        Rows and columns of the matrix.
    epsilon
        Distance from 1 to the next number of the stored type.
    eigenvalues
        Squared singular values that the power law is fitted to, ascending: those of the matrix, and of a
        convolution those of the matrix at each place of the kernel, pooled.
    """

    singular_values: Floats
    shape: tuple[int, int]
    epsilon: float
    eigenvalues: Floats

    @property
    def spectral_norm(self) -> float:
        """Largest singular value; 0 for an empty matrix."""
        return float(self.singular_values[0]) if len(self.singular_values) else 0.0

    @property
    def frobenius_norm(self) -> float:
        """Euclidean norm of all elements."""
        return float(np.linalg.norm(self.singular_values))

    @property
    def stable_rank(self) -> float:
        """Squared Frobenius norm over squared spectral norm; NaN for a zero matrix."""
        return (self.frobenius_norm / self.spectral_norm) ** 2 if self.spectral_norm else math.nan

    @property
    def effective_rank(self) -> float:
        """Exp of the entropy (in nats) of the singular values as shares of their sum; NaN for a zero matrix.

        Roy and Vetterli, "The effective rank: a measure of effective dimensionality" (EUSIPCO 2007).
        """
        if not self.spectral_norm:
            return math.nan
        shares = self.singular_values[self.singular_values > 0] / self.singular_values.sum()
        return float(np.exp(-(shares * np.log(shares)).sum()))

    @property
    def numerical_rank(self) -> int:
        """Singular values above the largest times the larger side times the epsilon of the stored type."""
        limit = self.spectral_norm * max(self.shape, default=0) * self.epsilon
        return int((self.singular_values > limit).sum())

    @property
    def condition_number(self) -> float:
        """Largest over smallest singular value; infinite if that is zero, NaN for a zero or empty matrix."""
        if not self.spectral_norm:
            return math.nan
        least = float(self.singular_values[-1])
        return self.spectral_norm / least if least else math.inf

    @cached_property
    def noise(self) -> float:
        """Standard deviation of the elements' noise, from the median singular value; NaN below 10 rows or columns.

        Gavish and Donoho, "The optimal hard threshold for singular values is 4/sqrt(3)" (2014).
        """
        small, large = sorted(self.shape)
        if small < LEAST_SIDE:
            return math.nan
        return float(np.median(self.singular_values) / math.sqrt(large * _marchenko_pastur_median(small / large)))

    @property
    def mp_edge(self) -> float:
        """Where the singular values of pure noise of that strength end (Marchenko-Pastur); NaN for small matrices."""
        rows, columns = self.shape
        return self.noise * (math.sqrt(rows) + math.sqrt(columns))

    @property
    def spikes(self) -> int:
        """Singular values beyond the edge by more than noise makes likely; 0 for small matrices.

        The margin is 1.5 times the scale of the Tracy-Widom fluctuation of the largest one (Johnstone, 2001).
        """
        rows, columns = self.shape
        if math.isnan(self.noise) or not rows or not columns:
            return 0
        margin = 1.5 * self.noise * (1 / math.sqrt(rows) + 1 / math.sqrt(columns)) ** (1 / 3)
        return int((self.singular_values > self.mp_edge + margin).sum())

    @cached_property
    def power_law(self) -> PowerLaw:
        """Power law fitted to the tail of the squared singular values by WeightWatcher 0.7.7's recipe.

        A description, no verdict: on matrices this small, thresholds on the exponent do not tell good from bad.
        """
        return fit_power_law(self.eigenvalues)

    @property
    def alpha(self) -> float:
        """Exponent of `power_law`; NaN where there are too few values."""
        return self.power_law.alpha

    @property
    def alpha_distance(self) -> float:
        """Kolmogorov-Smirnov distance of `power_law`."""
        return self.power_law.distance

    @property
    def alpha_tail(self) -> int:
        """Number of squared singular values in the tail of `power_law`."""
        return self.power_law.tail


def spectrum(matrix: TensorRef | torch.Tensor | npt.NDArray[Any]) -> Spectrum:
    """Compute all singular values of a matrix, in float64.

    Takes O(rows * columns * min(rows, columns)) time, and memory for a float64 copy.

    Parameters
    ----------
    matrix
        A tensor or array of any real type with two or more axes, or a reference to one
        (``open_weights(model).tensors[name]``). Of more than two axes the first makes the rows.

    Returns
    -------
    Spectrum

    Raises
    ------
    ValueError
        If there are fewer than two axes, or weights are not finite.
    TypeError
        If the weights have no order (complex) or their type is not known.
    """
    tensor = matrix.read() if isinstance(matrix, TensorRef) else torch.as_tensor(matrix).detach()
    check(tensor)
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ValueError(f"a spectrum is that of a matrix; this tensor has shape {list(shape)}")
    epsilon = torch.finfo(tensor.dtype).eps if tensor.dtype.is_floating_point else torch.finfo(torch.float64).eps
    wide = tensor.cpu().to(torch.float64)
    if not bool(wide.isfinite().all()):
        raise ValueError("a spectrum needs finite weights; this tensor has NaN or infinite ones")
    rows, columns = matrix_size(shape, default_axes(shape))
    values = torch.linalg.svdvals(wide.reshape(rows, columns)).numpy()
    if len(shape) == 4:
        places = wide.permute(2, 3, 0, 1).reshape(-1, shape[0], shape[1])
        eigenvalues = CONV_NORMALISATION * torch.linalg.svdvals(places).square().flatten().numpy()
    else:
        eigenvalues = values**2
    return Spectrum(values, (rows, columns), epsilon, np.sort(eigenvalues))


def fit_power_law(values: npt.ArrayLike) -> PowerLaw:
    """Fit a power law to the upper tail of some positive values, the beginning of the tail included.

    Every value is tried as the beginning; the one whose law is nearest to the values above it (Kolmogorov-Smirnov)
    is taken. Clauset, Shalizi and Newman, "Power-law distributions in empirical data" (2009), in the variant of
    WeightWatcher 0.7.7: no correction for few values, and for fewer than 20 values (n - 1) in place of n and a tail
    of at least 8.

    Parameters
    ----------
    values
        Those up to `LEAST_EIGENVALUE` are left out.
    """
    x = np.sort(np.asarray(values, np.float64))
    x = x[x > LEAST_EIGENVALUE]
    few = len(x) < SMALL_FIT
    best = NO_FIT
    if len(x) < SMALL_TAIL:
        return best
    logs = np.log(x)
    above = np.cumsum(logs[::-1])[::-1]
    for first in range(len(x) - (SMALL_TAIL - 1 if few else 1)):
        n = len(x) - first
        spread = above[first] - n * logs[first]
        if x[-1] == x[first]:
            break  # equal values have no slope
        alpha = 1 + (n - 1 if few else n) / spread
        law = 1 - (x[first:] / x[first]) ** (1 - alpha)
        distance = float(np.abs(law - np.arange(n) / n).max())
        if not best.tail or distance < best.distance:
            best = PowerLaw(float(alpha), float(x[first]), distance, n)
    return best


@cache
def _marchenko_pastur_median(beta: float) -> float:
    """Median of the Marchenko-Pastur law of unit variance for sides in the ratio beta <= 1."""
    low, high = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    # With x = middle - half * cos(t) the density times dx is smooth at both ends, where it is not in x.
    middle, half = (low + high) / 2, (high - low) / 2
    t = np.linspace(0, math.pi, 20_001)
    x = middle - half * np.cos(t)
    weight = np.divide((half * np.sin(t)) ** 2, x, out=np.zeros_like(x), where=x > 0)
    mass = np.concatenate([[0.0], np.cumsum((weight[1:] + weight[:-1]) / 2)])
    return float(np.interp(mass[-1] / 2, mass, x))
