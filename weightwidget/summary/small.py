"""The kernel for small tensors, where calls are what costs: all in NumPy, values kept as they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.summary.moments import Moments
from weightwidget.summary.parts import Measured, matrix_shape
from weightwidget.summary.pooling import compact, pool
from weightwidget.summary.sketch import Sketch

Array = npt.NDArray[Any]


def measure_small(tensor: torch.Tensor, size: int, norms: bool = True) -> Measured:
    """Measure a tensor of a few thousand elements.

    Parameters
    ----------
    tensor
        Of any real type, on any device.
    size
        Side of the thumbnail.
    norms
        Whether those of rows and columns are wanted.
    """
    dtype = tensor.dtype
    array = tensor.cpu().to(torch.float64).resolve_neg().numpy()
    matrix = array.reshape(matrix_shape(array.shape))
    values = matrix.reshape(-1)
    # Float32 holds all of the narrower types, and pictures of others are what `compact` looks at.
    fits = (dtype.is_floating_point and dtype.itemsize <= 4) or dtype.itemsize <= 2
    thumbnail = pool(matrix.astype(np.float32) if fits else matrix, size)
    nan = posinf = neginf = 0
    argmin = argmax = None
    finite = np.isfinite(values)
    if not finite.all():
        nan = int(np.isnan(values).sum())
        posinf = int((values == np.inf).sum())
        neginf = len(values) - int(finite.sum()) - nan - posinf
        matrix = np.where(finite.reshape(matrix.shape), matrix, 0.0)
        if finite.any():
            argmin = int(np.where(finite, values, np.inf).argmin())
            argmax = int(np.where(finite, values, -np.inf).argmax())
        kept = values[finite]
    else:
        kept = values
        if len(values):
            argmin, argmax = int(values.argmin()), int(values.argmax())
    low = float(values[argmin]) if argmin is not None else math.nan
    high = float(values[argmax]) if argmax is not None else math.nan
    narrow = dtype.itemsize <= 2
    sketched = kept.astype(np.float32) if fits else kept
    rows = columns = None
    if norms and array.ndim > 1:
        rows, columns = _norms(matrix)
    return Measured(
        nan,
        posinf,
        neginf,
        len(kept) - int(np.count_nonzero(kept)),
        low,
        high,
        argmin,
        argmax,
        Moments.from_values(kept),
        Sketch.of_values(sketched, narrow=narrow),
        rows,
        columns,
        thumbnail,
    )


def _norms(matrix: npt.NDArray[np.float64]) -> tuple[Array, Array]:
    largest = max(-float(matrix.min(initial=0.0)), float(matrix.max(initial=0.0)))
    scale = 1.0 if 1e-100 < largest < 1e100 or largest == 0.0 else largest
    if scale != 1.0:
        matrix = matrix / scale
    squares = matrix * matrix
    rows, columns = np.sqrt(squares.sum(1)), np.sqrt(squares.sum(0))
    if scale != 1.0:
        with np.errstate(over="ignore"):
            rows, columns = rows * scale, columns * scale
    return compact(rows), compact(columns)
