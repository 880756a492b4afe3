"""Experts against each other, and against noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.matrix import BAND, Matrix
from weightwidget.detail.singular import row_blocks
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled

Floats: TypeAlias = npt.NDArray[np.float64]

HELD = 1 << 22
"""Matrices of at most so many elements are held in float64 while their spectrum is looked at."""

DENSE = 512
"""Up to this smaller dimension the Gram matrix is made: that is quicker than Lanczos' method."""

TOLERANCE = 1e-4
"""Relative gain of the square of the largest singular value below which the search for it ends."""

STEPS = 80
"""Times that a large matrix is gone through at most."""


def similarity(
    parts: Sequence[TensorRef],
    cancelled: Callable[[], bool] = lambda: False,
    report: Callable[[float], None] = lambda _share: None,
) -> Floats:
    """Cosines between tensors of one shape, each taken as one long vector.

    Experts that compute the same with their hidden units in another order have no large cosine: compared is element
    by element.

    Parameters
    ----------
    parts
        The tensors. A few rows of each are in memory at a time.
    cancelled
        Asked before every few rows.
    report
        Takes the share that is done.

    Returns
    -------
    numpy.ndarray
        (n, n), computed in float64; 1 on the diagonal, NaN for what is zero, or holds NaN or infinities.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if len({ref.shape for ref in parts}) > 1:
        raise ValueError("experts of different shapes cannot be compared element by element")
    products = np.zeros((len(parts), len(parts)))
    matrices = [Matrix(ref) for ref in parts]
    height, width = (matrices[0].height, matrices[0].width) if matrices else (0, 0)
    # Of all together no more than a few bands, however many they are.
    across = max(1, min(width, 4 * BAND // max(1, len(parts))))
    down = max(1, 4 * BAND // (across * max(1, len(parts))))
    for top in range(0, height, down):
        for left in range(0, width, across):
            if cancelled():
                raise Cancelled
            bottom, right = min(top + down, height), min(left + across, width)
            rows = [matrix.block(top, bottom, left, right).reshape(-1).double() for matrix in matrices]
            together = torch.stack(rows)
            products += (together @ together.T).numpy()
        report(min(top + down, height) / height)
    lengths = np.sqrt(np.diag(products))
    lengths[~(np.isfinite(lengths) & (lengths > 0))] = np.nan
    found: Floats = np.clip(products / np.outer(lengths, lengths), -1.0, 1.0)
    return found


def noise_ratio(ref: TensorRef, cancelled: Callable[[], bool] = lambda: False) -> float:
    """Largest singular value against that of noise of the same size and mean square.

    For independent weights of mean square r² the largest singular value of an n x m matrix is about
    r (sqrt n + sqrt m), whatever their distribution. At 1 there is no structure beyond noise, as at initialisation;
    training adds directions that stand out. In small matrices noise alone gives .9 to 1.1.

    Parameters
    ----------
    ref
        A tensor; its first axis makes the rows.
    cancelled
        Asked now and then.

    Returns
    -------
    float
        NaN if a dimension is smaller than 2, all weights are zero, or some are not finite.
    """
    matrix = Matrix(ref)
    small, large = sorted((matrix.height, matrix.width))
    if small < 2:
        return float("nan")
    # What is small is held while its spectrum is looked at; the rest is read again for every step.
    held = [block for _, block in row_blocks(matrix, 1.0, cancelled=cancelled)] if small * large <= HELD else None

    def blocks() -> Iterable[torch.Tensor]:
        return held if held is not None else (block for _, block in row_blocks(matrix, 1.0, cancelled=cancelled))

    squares = sum(float((block**2).sum()) for block in blocks())
    if not math.isfinite(squares) or squares == 0:
        return float("nan")
    edge = math.sqrt(squares / (small * large)) * (math.sqrt(small) + math.sqrt(large))
    if small <= DENSE:
        gram = torch.zeros(small, small, dtype=torch.float64)
        for block in blocks():
            gram.addmm_(block.T, block)
        return math.sqrt(max(0.0, float(torch.linalg.eigvalsh(gram)[-1]))) / edge

    def apply(vector: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(small, dtype=torch.float64)
        for block in blocks():
            out += block.T @ (block @ vector)
        return out

    return math.sqrt(max(0.0, largest_eigenvalue(apply, small))) / edge


def largest_eigenvalue(apply: Callable[[torch.Tensor], torch.Tensor], size: int, steps: int = STEPS) -> float:
    """Largest eigenvalue of a symmetric matrix by Lanczos' method, from below.

    Parameters
    ----------
    apply
        Multiplies the matrix with a float64 vector.
    size
        Its side.
    steps
        Multiplications at most. It ends sooner, once three more steps have added less than `TOLERANCE` of it.

    Returns
    -------
    float
        Always from the same first vector.
    """
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(size, generator=generator, dtype=torch.float64)
    basis = (vector / vector.norm())[None]
    diagonal: list[float] = []
    beside: list[float] = []
    found: list[float] = []
    for _ in range(min(steps, size)):
        product = apply(basis[-1])
        diagonal.append(float(product @ basis[-1]))
        inner = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
        for place, value in enumerate(beside):
            inner[place, place + 1] = inner[place + 1, place] = value
        found.append(float(torch.linalg.eigvalsh(inner)[-1]))
        if len(found) > 3 and found[-1] - found[-4] <= TOLERANCE * abs(found[-1]):
            break
        # Twice, for rounding: the basis must stay orthogonal.
        for _ in range(2):
            product = product - basis.T @ (basis @ product)
        length = float(product.norm())
        if length <= 1e-14 * abs(found[-1]):
            break  # the matrix has no more directions than these
        beside.append(length)
        basis = torch.cat([basis, (product / length)[None]])
    return found[-1]
