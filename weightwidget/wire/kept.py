"""Weights that an overview keeps: small tensors whole, so that all of them can be seen without a kernel.

What does not fit is kept at a level of detail, when somebody asks for that: as the tiles of the heatmap that are drawn
when the whole matrix is in sight, and some finer ones. `js/src/local/` answers from both what a kernel would answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from weightwidget.detail.matrix import default_axes, matrix_size
from weightwidget.detail.tiles import TILE_SIZE, tile
from weightwidget.sources.base import TensorRef, torch_dtype
from weightwidget.sources.saved import has_weights
from weightwidget.summary.cancel import Cancelled

OVERHEAD = 110
"""Bytes that an entry costs besides its weights: its line in the header, its place in the index."""

_AS_THEY_ARE = frozenset(
    {"float64", "float32", "float16", "bfloat16", "uint8", "int8", "int16", "uint16", "int32", "uint32"}
)

# Types that the front end does not read, and one that holds all their values.
_HELD_BY = {
    "float8_e4m3fn": "bfloat16",
    "float8_e5m2": "bfloat16",
    "float8_e4m3fnuz": "bfloat16",
    "float8_e5m2fnuz": "bfloat16",
    "bool": "uint8",
}


@dataclass(frozen=True)
class Grid:
    """The default matrix of a tensor, whole or at a level of detail.

    Attributes
    ----------
    row
        Number of the tensor.
    levels
        Row level, column level: a cell stands for 2**level elements on each axis, and is the one of largest magnitude
        among them. (0, 0): every weight, in a type that holds its value.
    values
        Shape (rows, columns) of the cells.
    """

    row: int
    levels: tuple[int, int]
    values: torch.Tensor


def kept_size(ref: TensorRef) -> int:
    """Bytes that keeping all weights of a tensor takes; -1 if its type cannot be kept, or its weights are not there."""
    if not has_weights(ref):
        return -1
    held = _held_by(ref.dtype)
    return ref.numel * torch_dtype(held).itemsize + OVERHEAD if held and ref.numel else -1


def choose_whole(refs: Sequence[TensorRef], budget: int) -> list[int]:
    """Choose the tensors that are kept whole: convolutions in the model's order, then the others, small ones first.

    Of a convolution, the overview's picture does not show the filters; of a matrix it shows much.

    Parameters
    ----------
    refs
        All tensors.
    budget
        Bytes for all of them together.

    Returns
    -------
    list of int
        Numbers of tensors, in the model's order.
    """
    sizes = [kept_size(ref) for ref in refs]
    candidates = [row for row, ref in enumerate(refs) if sizes[row] > 0 and ref.shared_with is None]
    candidates.sort(key=lambda row: (False, row) if len(refs[row].shape) > 2 else (True, sizes[row]))
    chosen = []
    for row in candidates:
        if sizes[row] <= budget:
            budget -= sizes[row]
            chosen.append(row)
    return sorted(chosen)


def whole(row: int, ref: TensorRef) -> Grid:
    """All weights of a tensor.

    Parameters
    ----------
    row
        Its number.
    ref
        The tensor; `kept_size` must be positive.
    """
    held = _held_by(ref.dtype)
    assert held is not None  # see kept_size
    values = ref.read().to("cpu").to(torch_dtype(held))
    return Grid(
        row,
        (0, 0),
        values.reshape(matrix_size(ref.shape, default_axes(ref.shape))).clone(memory_format=torch.contiguous_format),
    )


def levels_for(ref: TensorRef, side: int) -> tuple[int, int]:
    """Levels at which the default matrix of a tensor has at most `side` cells along each axis, a vector 16 times."""
    rows, cols = matrix_size(ref.shape, default_axes(ref.shape))
    return _level(rows, side), _level(cols, 16 * side if rows == 1 else side)


def level_size(ref: TensorRef, side: int) -> int:
    """Bytes that a tensor takes at the levels of `levels_for`."""
    row_level, col_level = levels_for(ref, side)
    rows, cols = matrix_size(ref.shape, default_axes(ref.shape))
    return 2 * -(-rows // (1 << row_level)) * -(-cols // (1 << col_level)) + OVERHEAD


def at_level(row: int, ref: TensorRef, side: int, cancelled: Callable[[], bool] = lambda: False) -> Grid:
    """A tensor at a level of detail, in bfloat16: two or three digits of each cell.

    Parameters
    ----------
    row
        Its number.
    ref
        The tensor.
    side
        Most cells along each axis.
    cancelled
        Asked now and then.

    Raises
    ------
    Cancelled
        When `cancelled` says so.
    """
    row_level, col_level = levels_for(ref, side)
    rows, cols = matrix_size(ref.shape, default_axes(ref.shape))
    bands = []
    for down in range(-(-rows // (TILE_SIZE << row_level))):
        across = range(-(-cols // (TILE_SIZE << col_level)))
        places = [(row_level, col_level, down, number) for number in across]
        if cancelled():
            raise Cancelled
        bands.append(np.hstack([tile(ref, None, None, place, cancelled=cancelled).values for place in places]))
    cells = torch.from_numpy(np.vstack(bands))
    return Grid(row, (row_level, col_level), to_bfloat16(cells))


def to_bfloat16(values: torch.Tensor) -> torch.Tensor:
    """Round to bfloat16; finite values that it cannot hold become its largest, for they are not infinite."""
    top = torch.finfo(torch.bfloat16).max
    return torch.where(values.isfinite(), values.clamp(-top, top), values).to(torch.bfloat16)


def as_arrays(grids: Iterable[Grid]) -> Iterator[tuple[str, torch.Tensor, list[int]]]:
    """Name in the blob, values, and entry of the index (row, row level, column level) of each grid."""
    for grid in grids:
        yield f"kept.{grid.row}", grid.values, [grid.row, *grid.levels]


def _held_by(dtype: str) -> str | None:
    held = _HELD_BY.get(dtype, dtype)
    return held if held in _AS_THEY_ARE else None


def _level(length: int, side: int) -> int:
    level = 0
    while -(-length // (1 << level)) > side:
        level += 1
    return level
