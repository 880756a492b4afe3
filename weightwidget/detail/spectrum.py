"""Singular values of a weight matrix, and what is commonly read from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail import marchenko
from weightwidget.detail.blocks import check
from weightwidget.detail.matrix import DrawnAxes, Matrix, default_axes
from weightwidget.detail.powerlaw import LEAST_EIGENVALUE, PowerLaw, fit_power_law
from weightwidget.detail.singular import Method, singular_values
from weightwidget.sources.base import TensorRef, dtype_name, torch_dtype

__all__ = ["LEAST_EIGENVALUE", "PowerLaw", "Spectrum", "fit_power_law", "spectrum"]

Floats = npt.NDArray[np.float64]

CONV_NORMALISATION = 0.5
"""WeightWatcher scales the squared singular values of convolutions by this."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Singular values of a matrix and what follows from them.

    Of a tensor with more than two axes the matrix is the first axis against all others, unless others are chosen. The
    spectral norm of such a reshaped convolution kernel is not the operator norm of the convolution.

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
        convolution those of the matrix at each place of the kernel, pooled and halved as WeightWatcher does.
    places
        Places of the kernel that are pooled; 1 where `eigenvalues` are those of the matrix.
    method
        How the singular values were computed, see `weightwidget.detail.singular.Method`. ``"svd"`` and ``"qr"`` are
        as exact as float64 allows.
    resolution
        Singular values up to here are not told from zero: about 8e-8 times the largest for ``"gram"``, else 0.
    """

    singular_values: Floats
    shape: tuple[int, int]
    epsilon: float
    eigenvalues: Floats
    places: int = 1
    method: Method = "svd"
    resolution: float = 0.0

    @property
    def spectral_norm(self) -> float:
        """Largest singular value; 0 for an empty matrix."""
        return float(self.singular_values[0]) if len(self.singular_values) else 0.0

    @property
    def frobenius_norm(self) -> float:
        """Euclidean norm of all elements."""
        largest = self.spectral_norm
        return largest * float(np.linalg.norm(self.singular_values / largest)) if largest else 0.0

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
        sizes = self.singular_values / self.spectral_norm
        shares = sizes[sizes > 0] / sizes.sum()
        return float(np.exp(-(shares * np.log(shares)).sum()))

    @property
    def rank_limit(self) -> float:
        """Singular values up to here do not count for the numerical rank.

        That is the largest times the larger side times the epsilon of the stored type, as in
        ``torch.linalg.matrix_rank``; or `resolution` if that is larger.
        """
        return max(self.spectral_norm * max(self.shape, default=0) * self.epsilon, self.resolution)

    @property
    def numerical_rank(self) -> int:
        """Number of singular values above `rank_limit`."""
        return int((self.singular_values > self.rank_limit).sum())

    @property
    def rank_is_limited(self) -> bool:
        """Whether `resolution`, not the stored type, decides what counts for the numerical rank."""
        return 0 < self.resolution >= self.rank_limit

    @property
    def condition_number(self) -> float:
        """Largest over smallest singular value; infinite if that is zero, NaN for a zero or empty matrix.

        Where the smallest is not told from zero (see `condition_is_limited`) this is a lower bound.
        """
        if not self.spectral_norm:
            return math.nan
        least = max(float(self.singular_values[-1]), self.resolution)
        return self.spectral_norm / least if least else math.inf

    @property
    def condition_is_limited(self) -> bool:
        """Whether `condition_number` is only a lower bound."""
        return bool(self.resolution and self.singular_values[-1] <= self.resolution)

    @cached_property
    def noise(self) -> float:
        """Standard deviation of the elements' noise, from the median singular value; NaN below 10 rows or columns.

        Gavish and Donoho, "The optimal hard threshold for singular values is 4/sqrt(3)" (2014).
        """
        return marchenko.noise_of(self.singular_values, *self.shape)

    @property
    def mp_edge(self) -> float:
        """Where the singular values of pure noise of that strength end (Marchenko-Pastur); NaN for small matrices."""
        return marchenko.edge(self.noise, *self.shape)

    @property
    def spike_limit(self) -> float:
        """Singular values beyond this stand out of the noise; a little more than `mp_edge`. NaN for small matrices.

        Never less than `rank_limit`: of a matrix of low rank the noise is that of rounding.
        """
        if math.isnan(self.noise):
            return math.nan
        return max(marchenko.spike_limit(self.noise, *self.shape), self.rank_limit)

    @property
    def spikes(self) -> int:
        """Singular values beyond the edge by more than noise makes likely; 0 for small matrices.

        The margin is 1.5 times the scale of the Tracy-Widom fluctuation of the largest one (Johnstone, 2001).
        """
        return int((self.singular_values > self.spike_limit).sum())

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


def spectrum(
    matrix: TensorRef | torch.Tensor | npt.NDArray[Any],
    axes: DrawnAxes | Mapping[str, object] | None = None,
    index: Sequence[int] | None = None,
    *,
    spatial: Sequence[int] | None = None,
    method: Method | None = None,
    progress: Callable[[float], None] = lambda _share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Spectrum:
    """Compute all singular values of a matrix, in float64.

    Takes O(rows * columns * min(rows, columns)) time. Beyond 4 million elements the matrix is read block by block, and
    memory is bounded by the square of the smaller side and a block.

    Parameters
    ----------
    matrix
        A tensor or array of any real type with two or more axes, or a reference to one:
        ``open_weights(model).tensors[name]``, or ``explorer.ref(path)``, which takes the path of a block too
        (``"h.0.attn.c_attn.weight › q › head 5"``).
    axes
        ``{"rows": [axes], "cols": [axes]}``: which axes make the matrix. None takes the first against all others.
    index
        Position on every axis; the entries of the axes that make the matrix do not matter. None is the beginning.
    spatial
        Axes of a convolution's kernel window, whose places are pooled for the power law. None takes the last two of
        four axes, and none otherwise. Only with the default `axes`.
    method
        How to compute; None chooses by size. See `weightwidget.detail.singular.Method`.
    progress
        Takes the share that is done, 0 to 1.
    cancelled
        Asked now and then.

    Returns
    -------
    Spectrum

    Raises
    ------
    ValueError
        If there are fewer than two axes or no elements, weights are not finite, axes or index do not fit, or the
        matrix is too large on both sides.
    TypeError
        If the weights have no order (complex) or their type is not known.
    Cancelled
        When `cancelled` says so.

    Examples
    --------
    >>> s = spectrum(torch.nn.Linear(512, 64).weight)
    >>> s.stable_rank, s.spikes, s.alpha
    """
    ref = matrix if isinstance(matrix, TensorRef) else _ref_of(matrix)
    if len(ref.shape) < 2:
        raise ValueError(f"a spectrum is that of a matrix; this tensor has shape {list(ref.shape)}")
    drawn = Matrix(ref, axes, index)
    pooled = _pooled_axes(ref.shape, drawn.axes, spatial)
    # Convolutions are computed once more, place by place; that is a small share of the work.
    share = 0.9 if pooled else 1.0
    found = singular_values(drawn, method=method, cancelled=cancelled, progress=lambda done: progress(share * done))
    eigenvalues, places = _squared(found.values), 1
    if pooled:
        eigenvalues, places = _pooled(ref, pooled, cancelled), math.prod(ref.shape[axis] for axis in pooled)
    dtype = torch_dtype(ref.dtype)
    epsilon = torch.finfo(dtype).eps if dtype.is_floating_point else torch.finfo(torch.float64).eps
    size = (drawn.height, drawn.width)
    return Spectrum(found.values, size, epsilon, np.sort(eigenvalues), places, found.method, found.resolution)


def _squared(values: Floats) -> Floats:
    with np.errstate(over="ignore"):  # of weights beyond 1e154: the fit leaves infinite ones out
        return values**2


def _ref_of(given: torch.Tensor | npt.NDArray[Any]) -> TensorRef:
    tensor = torch.as_tensor(given).detach()
    check(tensor)
    shape, device = tuple(tensor.shape), str(tensor.device)
    return TensorRef("the tensor", shape, dtype_name(tensor.dtype), "weight", tensor.__getitem__, device=device)


def _pooled_axes(shape: tuple[int, ...], axes: DrawnAxes, spatial: Sequence[int] | None) -> tuple[int, ...]:
    if axes != default_axes(shape):
        return ()
    if spatial is None:
        return (2, 3) if len(shape) == 4 else ()
    return tuple(spatial) if len(shape) - len(spatial) == 2 else ()


def _pooled(ref: TensorRef, spatial: tuple[int, ...], cancelled: Callable[[], bool]) -> Floats:
    """Squared singular values of the matrices at all places of a kernel, halved."""
    rows, cols = (axis for axis in range(len(ref.shape)) if axis not in spatial)
    found: list[Floats] = []
    for place in np.ndindex(*(ref.shape[axis] for axis in spatial)):
        index = [0] * len(ref.shape)
        for axis, at in zip(spatial, place, strict=True):
            index[axis] = at
        part = Matrix(ref, {"rows": [rows], "cols": [cols]}, index)
        values = singular_values(part, cancelled=cancelled).values
        found.append(CONV_NORMALISATION * _squared(values))
    return np.concatenate(found)
