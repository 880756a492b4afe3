"""Sums of squares along the rows and the columns of a matrix, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.matrix import Matrix
from weightwidget.detail.reduction import IsCancelled, flat_memory, grains, kernels

Sums = npt.NDArray[np.float64]


def squares(matrix: Matrix, cancelled: IsCancelled = None) -> tuple[Sums, Sums]:
    """Sum the squares of all finite elements, in float64, where those of float32 neither overflow nor vanish.

    Parameters
    ----------
    matrix
        The matrix; fastest where its rows run along memory.
    cancelled
        Asked between bands.

    Returns
    -------
    tuple of numpy.ndarray
        Of each row (height,) and of each column (width,).

    Raises
    ------
    Cancelled
        When `cancelled` says so.
    """
    rows, cols = np.zeros(matrix.height), np.zeros(matrix.width)
    if not (matrix.height and matrix.width):
        return rows, cols
    compiled = kernels() if matrix.dtype == torch.float32 else None
    whole = 0, matrix.height, 0, matrix.width
    for top, left, band in matrix.bands(whole, (1, 1), cancelled, stored=compiled is not None):
        memory = flat_memory(band) if compiled is not None else None
        if compiled is not None and memory is not None:
            in_rows, in_cols = np.zeros(band.shape[0]), np.zeros(band.shape[1])
            if np.isfinite(compiled.squares(*memory, in_rows, in_cols)):
                rows[top : top + band.shape[0]] += in_rows
                cols[left : left + band.shape[1]] += in_cols
                continue
        _add(band, top, left, rows, cols)
    return rows, cols


def _add(band: torch.Tensor, top: int, left: int, rows: Sums, cols: Sums) -> None:
    """Add a band block by block, leaving out what is not finite."""
    for row, col, block in grains(top, left, band, (0, 0)):
        square: Any = block.to(torch.float64, copy=True)
        square *= square
        if not np.isfinite(float(square.sum())):
            square = torch.where(block.isfinite(), block, 0.0).to(torch.float64).square()
        rows[row : row + block.shape[0]] += square.sum(1).numpy()
        cols[col : col + block.shape[1]] += square.sum(0).numpy()
