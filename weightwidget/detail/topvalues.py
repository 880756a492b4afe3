"""The largest singular values of a matrix and their vectors, from a few passes over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.matrix import Matrix
from weightwidget.detail.singular import largest_element, row_blocks, scale_for

Floats = npt.NDArray[np.float64]

WIDTH = 12
"""Vectors that are multiplied at a time."""

MOST_STEPS = 10
LEAST_STEPS = 2

WORK = 6e9
"""Floating-point operations after which a large matrix is left at `LEAST_STEPS`."""

SEED = 20
"""Of the generator of the first vectors: its own, so that a program's random numbers stay what they are."""

GOOD = 1e-7
"""Errors, as shares of the largest singular value, that are small enough to stop."""

NOTHING = 1e-7
"""Singular values below this share of the largest have no vectors that mean anything."""


@dataclass(frozen=True, eq=False)
class TopValues:
    """The largest singular values of a matrix and their vectors.

    Attributes
    ----------
    values
        float64 (k,), descending; fewer than asked for where the others are zero.
    errors
        float64 (k,): for each there is a singular value of the matrix no further away than this. Usually the error
        is far smaller, for it goes with its square.
    left, right
        float64 (rows, k) and (columns, k): unit vectors. The largest element of each left one is positive.
    frobenius_norm
        Of the matrix.
    shape
        Rows and columns of the matrix.
    """

    values: Floats
    errors: Floats
    left: Floats
    right: Floats
    frobenius_norm: float
    shape: tuple[int, int]


def top_values(
    matrix: Matrix,
    count: int = 6,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Callable[[float], None] = lambda _share: None,
) -> TopValues:
    """Find the largest singular values by a block Krylov iteration.

    Musco and Musco, "Randomized block Krylov methods for stronger and faster approximate singular value
    decomposition" (2015), with a bound of the error from the residuals. Always gives the same for the same matrix.

    Parameters
    ----------
    matrix
        With at least one element.
    count
        How many, at most.
    cancelled
        Asked between blocks.
    progress
        Takes the share that is done, 0 to 1, at the least; often it is done sooner.

    Returns
    -------
    TopValues

    Raises
    ------
    NonFiniteError
        If there are NaN or infinite elements.
    ValueError
        If the matrix is empty.
    Cancelled
        When `cancelled` says so.
    """
    rows, columns = matrix.height, matrix.width
    if not rows or not columns:
        raise ValueError(f"a {rows} × {columns} matrix has no singular values")
    largest = largest_element(matrix, cancelled)
    scale = scale_for(largest)
    if largest == 0:
        return TopValues(np.zeros(1), np.zeros(1), np.zeros((rows, 0)), np.zeros((columns, 0)), 0.0, (rows, columns))
    small = min(rows, columns)
    generator = torch.Generator().manual_seed(SEED)
    steps = int(min(MOST_STEPS, max(LEAST_STEPS, WORK // (4 * rows * columns * WIDTH))))
    if small <= 4 * WIDTH:
        basis, steps = torch.eye(small, dtype=torch.float64), 1
    else:
        basis = torch.linalg.qr(torch.randn(small, WIDTH, generator=generator, dtype=torch.float64)).Q
    passes = steps + 1

    square = 0.0

    def gram_times(vectors: torch.Tensor, step: int) -> torch.Tensor:
        """The Gram matrix of the smaller side times some vectors."""
        nonlocal square
        product = torch.zeros_like(vectors)
        for done, block in row_blocks(matrix, scale, cancelled=cancelled):
            product.addmm_(block.T, block @ vectors)
            if step == 0:
                square += float(np.square(block.numpy()).sum())
            progress((step + done) / passes)
        return product

    newest, images = basis, torch.zeros(small, 0, dtype=torch.float64)
    for step in range(steps):
        image = gram_times(newest, step)
        images = torch.cat([images, image], 1)
        squares, coordinates = torch.linalg.eigh(basis.T @ images)
        order = squares.argsort(descending=True)[: min(count, small)]
        squares, coordinates = squares[order].clamp_min(0), coordinates[:, order]
        vectors = basis @ coordinates
        residuals = torch.linalg.vector_norm(images @ coordinates - vectors * squares, dim=0)
        values = squares.sqrt()
        errors = residuals / values.clamp_min(float(values[0]) * NOTHING)
        if float(errors.max()) <= GOOD * float(values[0]) or step + 1 == steps:
            break
        newest = _beyond(image, basis)
        if not newest.shape[1]:  # what there is has been found: the matrix has a low rank
            break
        basis = torch.cat([basis, newest], 1)

    kept = values > NOTHING * values[0]
    values, errors, vectors = values[kept], errors[kept], vectors[:, kept]
    parts = []
    for done, block in row_blocks(matrix, scale, cancelled=cancelled):
        parts.append(block @ vectors)
        progress((passes - 1 + done) / passes)
    others = torch.cat(parts) / values
    left, right = (others, vectors) if rows >= columns else (vectors, others)
    signs = left.gather(0, left.abs().argmax(0, keepdim=True)).sign()
    return TopValues(
        (values * scale).numpy(),
        (errors * scale).numpy(),
        (left * signs).numpy(),
        (right * signs).numpy(),
        float(np.sqrt(square)) * scale,
        (rows, columns),
    )


def _beyond(image: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """Unit vectors that span what of the images lies outside the basis; none if nothing does."""
    before = float(torch.linalg.vector_norm(image))
    for _ in range(2):  # once leaves rounding errors
        image = image - basis @ (basis.T @ image)
    found, triangle = torch.linalg.qr(image)
    sizes = triangle.diagonal().abs()
    found = found[:, sizes > 1e-13 * before]
    # A direction that is all but lost may have come back among the old ones.
    kept: torch.Tensor = found - basis @ (basis.T @ found)
    return torch.linalg.qr(kept).Q if kept.shape[1] else kept


@dataclass(frozen=True, eq=False)
class Profile:
    """A singular vector along its side of the matrix, in so few steps that it can be drawn.

    Attributes
    ----------
    low, high
        float64: smallest and largest element of each step; the elements themselves where there is a step for each.
        Step i of n takes the elements from i * length // n on.
    places, elements
        The elements of largest magnitude and where they are, largest first.
    participation
        1 / sum of u**4: over how many elements the vector is spread, 1 to their number.
    """

    low: Floats
    high: Floats
    places: npt.NDArray[np.int64]
    elements: Floats
    participation: float


def profile_of(vector: Floats, steps: int = 768, largest: int = 5) -> Profile:
    """A unit vector in few steps.

    Parameters
    ----------
    vector
        With at least one element.
    steps
        Most steps.
    largest
        Of how many elements to tell the place.
    """
    length = len(vector)
    steps = min(steps, length)
    starts = np.arange(steps) * length // steps
    places = np.argsort(-np.abs(vector), kind="stable")[:largest]
    return Profile(
        np.minimum.reduceat(vector, starts),
        np.maximum.reduceat(vector, starts),
        places.astype(np.int64),
        vector[places],
        float(1 / np.sum(vector**4)),
    )
