"""Cuts a box of a tensor's default matrix into blocks that fit a core's cache, without copying it as a whole."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.sources.base import Index, StreamReader, TensorRef, torch_dtype
from weightwidget.summary.parts import Box, matrix_shape

BLOCK = 1 << 17
"""Elements of a tensor beside which the start of a thread counts."""

LARGE_BLOCK = 1 << 21
"""Bytes of a block on the CPU, and elements at most: counting them takes a fresh table each time, which must not count
beside it."""

SMALL_BLOCK = 32704
"""Elements of one where torch may start threads, which it does from 32,768 elements on: they would slow each other
down and take cores that were not meant for this."""

SPAN = 1 << 20
"""Elements that are read at once where reading copies and nothing can be streamed."""

STREAMED = 1 << 20
"""Bytes that are read at once from a file whose elements lie in order: what was read is still in the cache when it is
looked at."""

PILOT = 1024
"""Values of the sample from which the grid of a tensor is chosen."""


class _Buffer(threading.local):
    """Memory of a thread, made when it is first needed."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def of(self, size: int) -> npt.NDArray[np.uint8]:
        if len(self._bytes) < size:
            self._bytes = np.empty(size, np.uint8)
        return self._bytes


_buffer = _Buffer()


class Blocks:
    """The blocks of a box of one tensor.

    Parameters
    ----------
    ref
        The tensor.
    whole
        All of it, if reading that copies nothing; else it is read in runs.
    size
        Most elements of a block; by default what suits torch on the CPU.
    box
        Whole rows, or a part of one; by default everything.
    values
        The box itself, two-dimensional, where nobody has the whole tensor.

    Attributes
    ----------
    matrix
        A view of all of the tensor as its default matrix; None if there is none.
    """

    def __init__(
        self,
        ref: TensorRef,
        whole: torch.Tensor | None = None,
        size: int | None = None,
        box: Box | None = None,
        values: torch.Tensor | None = None,
    ) -> None:
        self.shape = ref.shape
        self.rows, self.columns = matrix_shape(ref.shape)
        held = whole if values is None else values
        self.device = torch.device("cpu") if held is None else held.device
        self._values = values
        self._dtype = torch_dtype(ref.dtype)
        self.size = size or SMALL_BLOCK
        if size is None and torch.get_num_threads() == 1:
            self.size = min(LARGE_BLOCK // self._dtype.itemsize, LARGE_BLOCK // 2)
        self._stream = ref.stream if whole is None else None
        self.box = box or Box(0, 0, self.rows, self.columns)
        self._read: Callable[[Index], torch.Tensor] = ref.read if whole is None else whole.__getitem__
        # A layout without such a view is copied block by block; a file is read in longer runs.
        self._run = SPAN if whole is None else min(SPAN, self.size)
        self.matrix: torch.Tensor | None = None
        if whole is not None and not whole.is_neg():
            with suppress(RuntimeError):
                self.matrix = whole.view(self.rows, self.columns)

    @property
    def lasting(self) -> bool:
        """Whether blocks are parts of what is in memory anyhow."""
        return self._values is not None or self.matrix is not None

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int, int]]:
        """Yield (block of shape (r, c), its first row, its first column), in reading order.

        A block is whole rows, or a part of one. It is good until the next one; as long as the tensor, if blocks are
        `lasting`.
        """
        box = self.box
        if self._values is not None:
            yield from self._pieces(self._values, box.top, box.left)
            return
        if self.matrix is not None:
            part = self.matrix[box.top : box.top + box.height, box.left : box.left + box.width]
            yield from self._pieces(part, box.top, box.left)
            return
        first = box.top * self.columns + box.left
        if self._stream is not None:
            yield from self._streamed(self._stream, first)
            return
        for start, _, index in runs(self.shape, first, first + box.size, self._run):
            part = self._read(index).resolve_neg().to(self.device)
            row, column = divmod(start, self.columns)
            yield from self._pieces(part.reshape(-1, min(self.columns, part.numel())), row, column)

    def _streamed(self, reader: StreamReader, first: int) -> Iterator[tuple[torch.Tensor, int, int]]:
        """Read the box into one buffer, run by run: a block is good until the next one."""
        box, size = self.box, self._dtype.itemsize
        memory = _buffer.of(min(STREAMED, box.size * size))
        with reader.stream(first, box.size) as fill:
            for start, count, _ in runs((self.rows, self.columns), first, first + box.size, STREAMED // size):
                part = memory[: count * size]
                fill(part.data)
                row, column = divmod(start, self.columns)
                values = torch.from_numpy(part).view(self._dtype).view(-1, min(self.columns, count))
                yield from self._pieces(values, row, column)

    def _pieces(self, matrix: torch.Tensor, row: int, column: int) -> Iterator[tuple[torch.Tensor, int, int]]:
        rows, columns = matrix.shape
        # Of about equal size: the last one would not be worth the start. Parts of rows are whole vector registers wide.
        pieces = max(1, -(-columns // self.size))
        width = min(columns, -(-columns // pieces // 16) * 16, self.size) or 1
        height = max(1, self.size // width)
        height = -(-rows // -(-rows // height)) if rows else 1
        for top in range(0, rows, height):
            for left in range(0, columns, width):
                yield matrix[top : top + height, left : left + width], row + top, column + left

    def pilot(self) -> torch.Tensor:
        """Give some `PILOT` values from all over the tensor, one-dimensional, in the stored type on the CPU."""
        if self.matrix is not None:
            down, right = pilot_steps(self.rows, self.columns)
            return self.matrix[::down, ::right].reshape(-1).cpu()
        count = self.rows * self.columns
        runs = [self._read(_run_at(self.shape, count * k // 16, PILOT // 16)) for k in range(16)]
        return torch.cat([run.resolve_neg().reshape(-1)[: PILOT // 16].cpu() for run in runs])


def pilot_steps(rows: int, columns: int) -> tuple[int, int]:
    """Every how many rows and columns of a matrix a value belongs to its pilot."""
    height = min(rows, max(64, -(-PILOT // columns)))
    width = -(-PILOT // height)
    return -(-rows // height), -(-columns // width)


def runs(
    shape: tuple[int, ...], start: int, end: int, size: int, base: int = 0
) -> Iterator[tuple[int, int, tuple[int | slice, ...]]]:
    """Cut a range of an array's elements, in row-major order, into runs of at most `size` that slices can name.

    A run is whole rows, or lies within one.

    Yields
    ------
    tuple
        Flat position of the first element, plus `base`; number of elements; index of the run.
    """
    if not shape:
        yield base, 1, ()
        return
    inner = math.prod(shape[1:])
    while start < end:
        at, offset = divmod(start, inner)
        if offset == 0 and inner <= min(size, end - start):
            count = min(end - start, size) // inner
            yield base + start, count * inner, (slice(at, at + count),)
            start += count * inner
            continue
        stop = min(end, (at + 1) * inner)
        for position, count, index in runs(shape[1:], offset, stop - at * inner, size, base + at * inner):
            yield position, count, (at, *index)
        start = stop


def _run_at(shape: tuple[int, ...], position: int, length: int) -> tuple[int | slice, ...]:
    """Index of a short run of elements around a flat position."""
    if not shape:
        return ()
    inner = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    axis = next(axis for axis, count in enumerate(inner) if count <= length)
    at = np.unravel_index(position, shape)
    low = int(at[axis])
    return (*(int(i) for i in at[:axis]), slice(low, low + -(-length // inner[axis])))
