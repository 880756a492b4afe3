"""Cuts a tensor into blocks of its default matrix that fit a core's cache, without copying it as a whole.

The default matrix has axis 0 as rows and all other axes flattened as columns; a vector is one row, a scalar
one cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import torch

from weightwidget.sources.base import Index, TensorRef

BLOCK = 1 << 16
"""Elements of a block on the CPU: what is computed of it stays near the core, and calls are few."""

SMALL_BLOCK = 32704
"""The same where torch may start threads, which it does from 32,768 elements on: they would slow each other
down and take cores that were not meant for this."""

DEVICE_BLOCK = 1 << 22
"""Elements of a block on an accelerator, where starting an operation is what costs."""

SPAN = 1 << 20
"""Elements that are read at once from a file, or fetched from a device without float64."""

_WIDTH = 2048
"""Columns of a block of a wide matrix. Some sixteen rows then fit: a column's reduction is worth its start,
and the cache lines of a transposed matrix are used whole."""

PILOT = 4096


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the default matrix."""
    if len(shape) < 2:
        return 1, math.prod(shape)
    return shape[0], math.prod(shape[1:])


class Blocks:
    """The blocks of one tensor.

    Parameters
    ----------
    ref
        The tensor.
    whole
        All of it, if reading that copies nothing; else it is read in runs.
    size
        Most elements of a block; by default what suits the device.
    """

    def __init__(self, ref: TensorRef, whole: torch.Tensor | None = None, size: int | None = None) -> None:
        self.shape = ref.shape
        self.rows, self.columns = matrix_shape(ref.shape)
        # What has no float64 (MPS) is fetched in runs too.
        if whole is not None and whole.device.type not in ("cpu", "cuda"):
            whole = None
        self.device = torch.device("cpu") if whole is None else whole.device
        if size is None:
            size = DEVICE_BLOCK
            if self.device.type == "cpu":
                size = BLOCK if torch.get_num_threads() == 1 else SMALL_BLOCK
        self.size = size
        self._read: Callable[[Index], torch.Tensor] = ref.read if whole is None else whole.__getitem__
        # A layout without such a view is copied block by block; a file is read in longer runs.
        self._run = SPAN if whole is None else self.size
        self._matrix: torch.Tensor | None = None
        if whole is not None and not whole.is_neg():
            with suppress(RuntimeError):
                self._matrix = whole.view(self.rows, self.columns)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int, int]]:
        """Yield (block of shape (r, c), its first row, its first column).

        Rows come in order; within a band of rows the columns do.
        """
        if self._matrix is not None:
            yield from _tiles(self._matrix, 0, 0, self.size)
            return
        for start, index in slabs(self.shape, self._run):
            part = self._read(index).resolve_neg().to(self.device)
            row, column = divmod(start, self.columns)
            yield from _tiles(part.reshape(-1, min(self.columns, part.numel())), row, column, self.size)

    def pilot(self) -> torch.Tensor:
        """Give some 4,096 values from all over the tensor, one-dimensional, in the stored type on the CPU."""
        if self._matrix is not None:
            height = min(self.rows, max(64, -(-PILOT // self.columns)))
            width = -(-PILOT // height)
            sample = self._matrix[:: -(-self.rows // height), :: -(-self.columns // width)]
            return sample.reshape(-1).cpu()
        count = self.rows * self.columns
        runs = [self._read(_run_at(self.shape, count * k // 16, PILOT // 16)) for k in range(16)]
        return torch.cat([run.resolve_neg().reshape(-1)[: PILOT // 16].cpu() for run in runs])


def _tiles(matrix: torch.Tensor, row: int, column: int, size: int) -> Iterator[tuple[torch.Tensor, int, int]]:
    rows, columns = matrix.shape
    # Tiles of equal width, whole vector registers wide.
    wish = max(min(_WIDTH, size), size // max(rows, 1) // 16 * 16)
    pieces = max(1, -(-columns // wish))
    width = min(columns, -(-columns // pieces // 16) * 16, size) or 1
    height = max(1, size // width)
    for top in range(0, rows, height):
        for left in range(0, columns, width):
            yield matrix[top : top + height, left : left + width], row + top, column + left


def slabs(shape: tuple[int, ...], size: int) -> Iterator[tuple[int, tuple[int | slice, ...]]]:
    """Cut an array into runs of at most `size` elements that are whole rows or lie within one.

    Yields
    ------
    tuple
        Flat position of the first element in row-major order, and the index of the run.
    """
    if 0 in shape:
        return
    if not shape:
        yield 0, ()
        return
    inner = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    axis = next(axis for axis, count in enumerate(inner) if count <= size)
    step = max(1, size // inner[axis])
    for outer in np.ndindex(*shape[:axis]):
        start = sum(at * count for at, count in zip(outer, inner, strict=False))
        for low in range(0, shape[axis], step):
            yield start + low * inner[axis], (*outer, slice(low, min(low + step, shape[axis])))


def _run_at(shape: tuple[int, ...], position: int, length: int) -> tuple[int | slice, ...]:
    """Index of a short run of elements around a flat position."""
    if not shape:
        return ()
    inner = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    axis = next(axis for axis, count in enumerate(inner) if count <= length)
    at = np.unravel_index(position, shape)
    low = int(at[axis])
    return (*(int(i) for i in at[:axis]), slice(low, low + -(-length // inner[axis])))
