"""What a heatmap draws of a matrix: tiles at a level of detail, norms along the edges, a window's extreme."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.matrix import DrawnAxes, Matrix, check_window
from weightwidget.detail.norms import squares
from weightwidget.detail.pixels import FLOAT32_MAX, Aggregate, Count, Extremes, Moments
from weightwidget.detail.pyramid import LARGE, Pyramid, cell_levels, coarse_pixels, first_mean
from weightwidget.detail.reduction import KERNELS, IsCancelled, Window, grains, reduce
from weightwidget.sources.base import TensorRef
from weightwidget.summary.compiling import want

TILE_SIZE = 256
"""Rows and columns of a full tile, in pixels."""

PROFILE_SIZE = 8192
"""Largest number of row norms, and of column norms, in a profile."""

_TOP_LEVEL = 48  # no axis of a tensor that fits any machine is longer than 256 * 2**48

Axes = DrawnAxes | Mapping[str, object] | None


@dataclass(frozen=True)
class Tile:
    """A tile of the drawn matrix.

    Attributes
    ----------
    values
        float32, shape (height, width): what each pixel shows. NaN under a pixel makes it NaN; without NaN an
        infinity makes it infinite. Finite values beyond float32 are drawn as its largest ones, never as
        infinities.
    shares
        uint8, same shape: 0 where no element under the pixel is in the value range, else 1 to 255 (rounded
        up, so that a single element still shows). None if no range was asked for.
    """

    values: npt.NDArray[np.float32]
    shares: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Profile:
    """L2 norms of the rows and the columns of the drawn matrix; non-finite elements are left out.

    Attributes
    ----------
    rows, cols
        float32, at most `PROFILE_SIZE` of each: entry k is the largest norm of rows k * row_step to
        (k + 1) * row_step - 1.
    row_step, col_step
        Rows and columns that an entry covers.
    """

    rows: npt.NDArray[np.float32]
    cols: npt.NDArray[np.float32]
    row_step: int
    col_step: int


@dataclass(frozen=True)
class Cell:
    """An element of the drawn matrix.

    Attributes
    ----------
    value
        As text, with the digits that tell it apart from its neighbours in float32 (float64 for wider types).
    row, col
        Where it is drawn.
    position
        Where it is in the tensor.
    """

    value: str
    row: int
    col: int
    position: tuple[int, ...]


def tile(
    ref: TensorRef,
    axes: Axes,
    index: Sequence[int] | None,
    tile: Sequence[int],
    aggregate: Aggregate = "absmax",
    value_range: Sequence[float] | None = None,
    cancelled: IsCancelled = None,
    pyramid: Pyramid | None = None,
) -> Tile:
    """Compute one tile of the matrix that a tensor is drawn as.

    Parameters
    ----------
    ref
        The tensor.
    axes, index
        The matrix: see `Matrix`.
    tile
        Row level, column level, row number, column number. A pixel covers 2**level elements on each axis;
        tile number t starts at element t * 256 * 2**level. Tiles at the far edges are smaller, and so are
        what their last pixels cover.
    aggregate
        What a pixel shows.
    value_range
        low, high (both inclusive): asks for the share of elements in it as well.
    cancelled
        Asked between bands of the tensor.
    pyramid
        Where coarse levels are looked up and kept. The tile is the same without.

    Raises
    ------
    ValueError
        If an argument does not fit the tensor.
    Cancelled
        When `cancelled` says so.
    """
    matrix = Matrix(ref, axes, index)
    if aggregate not in get_args(Aggregate):
        raise ValueError(f"a pixel cannot show {aggregate!r}: choose one of {', '.join(get_args(Aggregate))}")
    levels, window = _place(matrix, tile)
    limits = None if value_range is None else _limits(value_range, matrix.dtype)
    flipped = matrix.runs_along_columns
    if flipped:
        matrix, levels = matrix.transposed, (levels[1], levels[0])
        window = (window[2], window[3], window[0], window[1])
    pixels, counts = _pixels(matrix, window, levels, aggregate, limits, pyramid, cancelled)
    values, shares = pixels.result(aggregate), None if counts is None else counts.shares()
    if flipped:
        values, shares = (
            np.ascontiguousarray(values.T),
            None if shares is None else np.ascontiguousarray(shares.T),
        )
    return Tile(values, shares)


def _pixels(
    matrix: Matrix,
    window: Window,
    levels: tuple[int, int],
    aggregate: Aggregate,
    limits: tuple[float, float] | None,
    pyramid: Pyramid | None,
    cancelled: IsCancelled,
) -> tuple[Extremes | Moments, Count | None]:
    """Reduce a window to pixels, and count what is in the range under each."""
    counts = None if limits is None else Count(window, levels, limits)
    parts: list[Extremes | Moments | Count] = [] if counts is None else [counts]
    base = cell_levels(matrix)
    pixels: Extremes | Moments
    if base is not None:
        want(KERNELS)  # small matrices do not need them
    if base is not None and levels[0] >= base[0] and levels[1] >= base[1]:
        pixels = coarse_pixels(matrix, window, levels, base, aggregate, pyramid, cancelled)
    else:
        if aggregate in ("mean", "std"):
            shift = first_mean(matrix, window[0], window[2])
            pixels = Moments(window, levels, matrix.dtype, shift, squares=aggregate == "std")
        else:
            pixels = Extremes(window, levels, matrix.dtype)
        parts.append(pixels)
    if parts:
        reduce(matrix, window, levels, parts, cancelled)
    return pixels, counts


def profile(ref: TensorRef, axes: Axes, index: Sequence[int] | None, cancelled: IsCancelled = None) -> Profile:
    """Norms of the rows and the columns of the matrix that a tensor is drawn as, in one pass.

    Parameters
    ----------
    ref, axes, index
        The matrix: see `Matrix`.
    cancelled
        Asked between bands of the tensor.

    Raises
    ------
    ValueError
        If axes or index do not fit the tensor.
    Cancelled
        When `cancelled` says so.
    """
    matrix = Matrix(ref, axes, index)
    flipped = matrix.runs_along_columns
    if flipped:
        matrix = matrix.transposed
    if matrix.height * matrix.width >= LARGE:
        want(KERNELS)
    (row_norms, row_step), (col_norms, col_step) = (
        _largest_per_step(np.sqrt(sums)) for sums in squares(matrix, cancelled)
    )
    if flipped:
        return Profile(col_norms, row_norms, col_step, row_step)
    return Profile(row_norms, col_norms, row_step, col_step)


def extreme(
    ref: TensorRef,
    axes: Axes,
    index: Sequence[int] | None,
    window: Sequence[int],
    cancelled: IsCancelled = None,
) -> Cell:
    """Find the element of largest magnitude inside a window of the matrix that a tensor is drawn as.

    NaN comes before infinity, infinity before every finite value; of equals the first in reading order is
    named.

    Parameters
    ----------
    ref, axes, index
        The matrix: see `Matrix`.
    window
        row0, row1, col0, col1; ends exclusive.
    cancelled
        Asked between bands of the tensor.

    Raises
    ------
    ValueError
        If an argument does not fit the tensor.
    Cancelled
        When `cancelled` says so.
    """
    matrix = Matrix(ref, axes, index)
    bounds = check_window(matrix, window)
    best: tuple[tuple[bool, float], int, int] | None = None
    for row, col, block in _grains(matrix, bounds, (0, 0), cancelled):
        # argmax takes the first NaN, as it is to be
        at = int(block.abs().argmax())
        down, right = divmod(at, block.shape[1])
        size = abs(float(block[down, right]))
        row, col = row + down, col + right
        rank = (math.isnan(size), 0.0 if math.isnan(size) else size)
        if best is None or rank > best[0] or (rank == best[0] and (row, col) < best[1:]):
            best = rank, row, col
    assert best is not None  # check_window refuses empty windows
    row, col = bounds[0] + best[1], bounds[2] + best[2]
    position = matrix.position(row, col)
    return Cell(_text(ref.read(position)), row, col, position)


def _text(element: torch.Tensor) -> str:
    """Write a 0-d tensor's value with all its digits."""
    if not element.dtype.is_floating_point:
        return str(element.item())
    value = element.to(torch.float64).item()
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value) if element.dtype == torch.float64 else str(np.float32(value))


def _place(matrix: Matrix, tile: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Find levels and window of a tile, checked."""
    if len(tile) != 4 or not all(isinstance(part, int) and part >= 0 for part in tile):
        raise ValueError(f"a tile is row level, column level, row number, column number: {list(tile)}")
    row_level, col_level, row, col = tile
    if max(row_level, col_level) > _TOP_LEVEL:
        raise ValueError(f"levels of detail end at {_TOP_LEVEL}: {list(tile)}")
    row0, col0 = (row * TILE_SIZE) << row_level, (col * TILE_SIZE) << col_level
    if row0 >= matrix.height or col0 >= matrix.width:
        raise ValueError(
            f"tile {list(tile)} is outside the {matrix.height} x {matrix.width} matrix of {matrix.ref.name!r}"
        )
    row1 = min(matrix.height, row0 + (TILE_SIZE << row_level))
    col1 = min(matrix.width, col0 + (TILE_SIZE << col_level))
    return (row_level, col_level), (row0, row1, col0, col1)


def _limits(value_range: Sequence[float], dtype: torch.dtype) -> tuple[float, float]:
    """Round the range inwards to the type that is compared in: comparing would round it to nearest."""
    low, high = value_range
    if not low <= high:
        raise ValueError(f"the value range must be low, high: {list(value_range)}")
    if dtype == torch.float32:
        near_low, near_high = np.float32(low), np.float32(high)
        if float(near_low) < low:
            near_low = np.nextafter(near_low, np.float32(np.inf))
        if float(near_high) > high:
            near_high = np.nextafter(near_high, np.float32(-np.inf))
        return float(near_low), float(near_high)
    return float(low), float(high)


def _grains(
    matrix: Matrix, window: Window, levels: tuple[int, int], cancelled: IsCancelled
) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Cut a window into blocks of at most `GRAIN` elements: offset within the window, values."""
    for row, col, band in matrix.bands(window, (1 << levels[0], 1 << levels[1]), cancelled):
        yield from grains(row, col, band, levels)


def _largest_per_step(norms: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float32], int]:
    step = max(1, -(-len(norms) // PROFILE_SIZE))
    if step > 1:
        norms = np.maximum.reduceat(norms, np.arange(0, len(norms), step))
    return norms.clip(max=FLOAT32_MAX).astype(np.float32), step
