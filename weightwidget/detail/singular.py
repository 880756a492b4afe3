"""All singular values of a matrix, however large, in bounded memory; with progress, and a way out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.matrix import Matrix
from weightwidget.summary.cancel import Cancelled

Floats = npt.NDArray[np.float64]

Method: TypeAlias = Literal["svd", "qr", "gram"]
"""``"svd"``: of the matrix in float64. ``"qr"``: the matrix is first reduced to a triangle, block by block; as exact.
``"gram"``: square roots of the eigenvalues of the smaller Gram matrix; small singular values are lost in rounding."""

AT_ONCE = 1 << 22
"""Elements up to which a matrix is taken as a whole: 32 MB in float64."""

QR_SIDE = 2048
"""Smaller side up to which larger matrices are reduced to a triangle. Beyond, the triangle itself takes long."""

GRAM_SIDE = 16384
"""Smaller side of the largest matrix that is taken: its Gram matrix has 2 GB."""

BLOCK = 1 << 20
"""Elements that are read at a time: 8 MB in float64."""

GRAM_RESOLUTION = math.sqrt(32 * float(np.finfo(np.float64).eps))
"""With a Gram matrix, singular values below this times the largest are not told from zero."""

TICK = 0.25
"""Seconds between two looks at whether somebody still waits."""


class NonFiniteError(ValueError):
    """Weights that are NaN or infinite, of which there is no spectrum."""


@dataclass(frozen=True)
class Singular:
    """The singular values of a matrix.

    Attributes
    ----------
    values
        float64, descending.
    method
        How they were computed.
    resolution
        Those up to here are not told from zero; 0 where all are as exact as float64 makes them.
    """

    values: Floats
    method: Method
    resolution: float


def method_for(rows: int, columns: int) -> Method:
    """How the singular values of a matrix of that size are computed."""
    if rows * columns <= AT_ONCE:
        return "svd"
    return "qr" if min(rows, columns) <= QR_SIDE else "gram"


def seconds(rows: int, columns: int) -> float:
    """About how long all singular values of a matrix of that size will take on this machine."""
    small, large = sorted((rows, columns))
    work = {
        "svd": 4.0 * large * small**2 + 8.0 * small**3,
        "qr": 4.0 * large * small**2 + 12.0 * small**3,
        "gram": 2.0 * large * small**2 + 6.0 * small**3,
    }
    return work[method_for(rows, columns)] / _speed()


def largest_element(matrix: Matrix, cancelled: Callable[[], bool] = lambda: False) -> float:
    """Largest magnitude of the elements.

    Raises
    ------
    NonFiniteError
        If there are NaN or infinite elements; says how many.
    """
    found, nan, infinite = 0.0, 0, 0
    for _, _, band in matrix.bands((0, matrix.height, 0, matrix.width), (1, 1), cancelled):
        elements = band.numpy()  # NumPy starts no threads, which would wait for each other longer than they work
        largest = float(max(elements.max(), -elements.min()))
        if math.isfinite(largest):
            found = max(found, largest)
        else:
            nan += int(np.isnan(elements).sum())
            infinite += int(np.isinf(elements).sum())
    if nan or infinite:
        parts = [f"{nan} NaN"] * bool(nan) + [f"{infinite} infinite weight{'s' * (infinite > 1)}"] * bool(infinite)
        raise NonFiniteError(
            f"{' and '.join(parts)}: a spectrum needs finite weights; the heatmap shows where these are"
        )
    return found


def singular_values(
    matrix: Matrix,
    *,
    method: Method | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Callable[[float], None] = lambda _share: None,
) -> Singular:
    """Compute all singular values.

    Parameters
    ----------
    matrix
        With at least one element.
    method
        None chooses by size.
    cancelled
        Asked between blocks, and while the last step goes on.
    progress
        Takes the share that is done, 0 to 1. That of the last step is estimated by its time.

    Returns
    -------
    Singular

    Raises
    ------
    NonFiniteError
        If there are NaN or infinite elements.
    ValueError
        If the matrix is empty, or too large on both sides.
    Cancelled
        When `cancelled` says so. A last step that was begun then ends by itself in the background.
    """
    if not matrix.height or not matrix.width:
        raise ValueError(f"a {matrix.height} × {matrix.width} matrix has no singular values")
    small, large = sorted((matrix.height, matrix.width))
    method = method or method_for(small, large)
    if method == "gram" and small > GRAM_SIDE:
        raise ValueError(
            f"all singular values of a {matrix.height} × {matrix.width} matrix would need {8 * small**2 / 1e9:.0f} GB "
            f"beside it; they are computed up to {GRAM_SIDE} on the smaller side"
        )
    largest = largest_element(matrix, cancelled)
    if largest == 0:
        return Singular(np.zeros(small), method, 0.0)
    scale = scale_for(largest)
    reduced = torch.zeros(0, small, dtype=torch.float64)
    if method == "svd":
        reduced = torch.cat([block for _, block in row_blocks(matrix, scale, cancelled=cancelled)])
        share = 0.0
    elif method == "qr":
        share = _share_of_blocks(4 * large, 12 * small)
        for done, block in row_blocks(matrix, scale, max(BLOCK // small, 2 * small), cancelled):
            reduced = torch.linalg.qr(torch.cat([reduced, block]), mode="r").R
            progress(share * done)
    else:
        share = _share_of_blocks(2 * large, 6 * small)
        reduced = torch.zeros(small, small, dtype=torch.float64)
        for done, block in row_blocks(matrix, scale, cancelled=cancelled):
            reduced.addmm_(block.T, block)
            progress(share * done)

    last = torch.linalg.eigvalsh if method == "gram" else torch.linalg.svdvals
    values = _meanwhile(
        lambda: np.asarray(last(reduced).numpy(), np.float64),
        (1 - share) * seconds(small, large),
        cancelled,
        lambda part: progress(share + (1 - share) * part),
    )
    if method == "gram":
        values = np.sqrt(np.maximum(values[::-1], 0))
    values = values * scale
    return Singular(values, method, GRAM_RESOLUTION * float(values[0]) if method == "gram" else 0.0)


def scale_for(largest: float) -> float:
    """What to divide elements by so that their squares neither over- nor underflow: a power of two, mostly 1."""
    return 1.0 if 1e-60 < largest < 1e60 else 2.0 ** (math.frexp(largest)[1] - 1)


def row_blocks(
    matrix: Matrix, scale: float, height: int | None = None, cancelled: Callable[[], bool] = lambda: False
) -> Iterator[tuple[float, torch.Tensor]]:
    """Read a matrix, turned so that it is not wider than high, in blocks of whole rows.

    Parameters
    ----------
    matrix
        The matrix.
    scale
        Its elements are divided by this.
    height
        Rows of a block; by default as many as `BLOCK` holds.
    cancelled
        Asked before every block.

    Yields
    ------
    tuple of float and torch.Tensor
        The share that has been read with this block, and the block: float64, as wide as the smaller side.
    """
    tall = matrix if matrix.height >= matrix.width else matrix.transposed
    height = height or max(1, BLOCK // tall.width)
    for top in range(0, tall.height, height):
        if cancelled():
            raise Cancelled
        end = min(top + height, tall.height)
        # Read as they lie: a turned matrix by its columns.
        block = (
            tall.block(top, end, 0, tall.width)
            if tall is matrix
            else matrix.block(0, matrix.height, top, end).transpose(0, 1)
        )
        wide = block.numpy().astype(np.float64)
        if scale != 1:
            wide /= scale
        yield end / tall.height, torch.from_numpy(wide)


def _share_of_blocks(blocks: float, last: float) -> float:
    return blocks / (blocks + last)


def _meanwhile(
    compute: Callable[[], Floats],
    expected: float,
    cancelled: Callable[[], bool],
    progress: Callable[[float], None],
) -> Floats:
    """Compute something that cannot be interrupted, and go on telling how far it may be."""
    if expected < TICK:
        return compute()
    started = time.monotonic()
    pool = ThreadPoolExecutor(1, thread_name_prefix="weightwidget-spectrum")
    try:
        future = pool.submit(compute)
        while not wait([future], timeout=TICK).done:
            if cancelled():
                raise Cancelled
            # Estimated times are exceeded now and then: the end is approached, not reached.
            elapsed = (time.monotonic() - started) / expected
            progress(min(0.9 * elapsed, 1 - 0.1 / max(elapsed, 1)))
        return future.result()
    finally:
        pool.shutdown(wait=False)


@cache
def _speed() -> float:
    """Floating-point operations a second of a product of matrices in float64: measured once, in some 50 ms."""
    side = 512
    some = torch.ones(side, side, dtype=torch.float64)
    best = math.inf
    for _ in range(8):
        started = time.perf_counter()
        some @ some
        best = min(best, time.perf_counter() - started)
    return 2.0 * side**3 / max(best, 1e-9)
