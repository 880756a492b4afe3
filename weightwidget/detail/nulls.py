"""Spectra to compare with: of the same elements in random order, and of a freshly drawn matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail import marchenko
from weightwidget.detail.matrix import Matrix
from weightwidget.detail.singular import AT_ONCE, row_blocks

Floats = npt.NDArray[np.float64]

SEED = 21
"""Of generators of their own, so that a program's random numbers stay what they are."""

DRAWS = 16
"""Random matrices that are averaged where there is no law for so few rows."""


def can_shuffle(rows: int, columns: int) -> bool:
    """Whether a matrix of that size is shuffled: not one that is too large to be taken at once."""
    return 0 < rows * columns <= AT_ONCE


def shuffled_values(matrix: Matrix, cancelled: Callable[[], bool] = lambda: False) -> Floats:
    """Singular values of the same elements in random order: what the values alone make, without their arrangement.

    Parameters
    ----------
    matrix
        With finite elements, and few enough for `can_shuffle`.
    cancelled
        Asked now and then.

    Returns
    -------
    numpy.ndarray
        float64, descending. The order is always the same for matrices of the same shape.

    Raises
    ------
    ValueError
        If the matrix is too large.
    Cancelled
        When `cancelled` says so.
    """
    if not can_shuffle(matrix.height, matrix.width):
        raise ValueError(
            f"a {matrix.height} × {matrix.width} matrix is not shuffled: that is done up to {AT_ONCE} weights"
        )
    elements = torch.cat([block for _, block in row_blocks(matrix, 1.0, cancelled=cancelled)])
    order = torch.randperm(elements.numel(), generator=torch.Generator().manual_seed(SEED))
    mixed = elements.reshape(-1)[order].view(elements.shape)
    values: Floats = torch.linalg.svdvals(mixed).numpy()
    return values


def initial_values(
    law: Literal["uniform", "normal", "orthogonal"], size: float, std: float, rows: int, columns: int
) -> tuple[Floats, Floats]:
    """The singular values to be expected of a freshly initialised matrix.

    Parameters
    ----------
    law, size, std
        As of `weightwidget.anatomy.initialiser.Initialiser`.
    rows, columns
        Of the matrix.

    Returns
    -------
    tuple of numpy.ndarray
        Ranks, from 0 up to the number of singular values, and the singular value at each, descending. By the law of
        Marchenko and Pastur; of matrices with fewer than 10 rows or columns the mean of some random ones, at the
        ranks 0.5, 1.5, ...; empty if that would take long.
    """
    small, large = sorted((rows, columns))
    if law == "orthogonal":
        return np.array([0.0, small]), np.array([size, size])
    if small >= marchenko.LEAST_SIDE:
        return marchenko.expected(std, rows, columns)
    if DRAWS * small * large > AT_ONCE:
        return np.zeros(0), np.zeros(0)
    rng = np.random.default_rng(SEED)
    shape = (DRAWS, small, large)
    drawn = rng.uniform(-size, size, shape) if law == "uniform" else rng.normal(0, size, shape)
    values: Floats = np.asarray(np.linalg.svd(drawn, compute_uv=False).mean(0), np.float64)
    return np.arange(small, dtype=np.float64) + 0.5, values
