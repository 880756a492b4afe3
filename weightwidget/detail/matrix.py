"""Any tensor seen as a matrix: some axes make the rows, some the columns, the others are fixed at an index.

Nothing here reads more of a tensor than a window asks for, or holds more than a band of it (`BAND` elements).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypedDict

import torch

from weightwidget.detail.boxes import Box, boxes, copy
from weightwidget.sources.base import TensorRef, torch_dtype
from weightwidget.summary.cancel import Cancelled

BAND = 1 << 19
"""Elements that are read at a time: 2 MB of float32."""

VIEW = 1 << 23
"""Elements that are looked at in place at a time: a millisecond or two of work for compiled kernels. So few are counted
exactly in float32."""

# Types whose values float32 holds exactly; all others are worked on in float64.
_FLOAT32_HOLDS = {
    "float32", "float16", "bfloat16", "bool", "uint8", "int8", "int16", "uint16",
    "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
}  # fmt: skip
_FLOAT64_HOLDS = {"float64", "int32", "uint32", "int64", "uint64"}


class DrawnAxes(TypedDict):
    """Which axes of a tensor make the rows and the columns of the drawn matrix.

    Axes listed together are flattened in that order; axes in neither list are fixed at an index.
    """

    rows: list[int]
    cols: list[int]


def default_axes(shape: Sequence[int]) -> DrawnAxes:
    """Axes that are drawn unless somebody chooses others.

    The first axis makes the rows, the others flattened the columns; a vector is one row, a scalar one cell.

    Parameters
    ----------
    shape
        Shape of the tensor.
    """
    every = list(range(len(shape)))
    return {"rows": [], "cols": every} if len(shape) < 2 else {"rows": [0], "cols": every[1:]}


def check_axes(shape: Sequence[int], axes: DrawnAxes | Mapping[str, object] | None) -> DrawnAxes:
    """Check axes against the shape of a tensor.

    Parameters
    ----------
    shape
        Shape of the tensor.
    axes
        What somebody chose; None for `default_axes`.

    Raises
    ------
    ValueError
        If they are not lists of axes of the tensor, or name one twice.
    """
    if axes is None:
        return default_axes(shape)
    if not isinstance(axes, Mapping) or set(axes) != {"rows", "cols"}:
        raise ValueError(f"the drawn axes are a mapping with the keys 'rows' and 'cols': {axes!r}")
    chosen = {name: _axis_numbers(name, axes[name]) for name in ("rows", "cols")}
    drawn = chosen["rows"] + chosen["cols"]
    for axis in drawn:
        if not 0 <= axis < len(shape):
            raise ValueError(f"the tensor has {len(shape)} axes, numbered from 0: there is no axis {axis}")
        if drawn.count(axis) > 1:
            raise ValueError(f"axis {axis} can be drawn only once: {chosen}")
    return {"rows": chosen["rows"], "cols": chosen["cols"]}


def matrix_size(shape: Sequence[int], axes: DrawnAxes) -> tuple[int, int]:
    """Rows and columns of the matrix that these axes draw.

    Parameters
    ----------
    shape
        Shape of the tensor.
    axes
        The drawn axes.
    """
    return math.prod(shape[axis] for axis in axes["rows"]), math.prod(shape[axis] for axis in axes["cols"])


class Matrix:
    """A tensor seen as a matrix.

    Parameters
    ----------
    ref
        The tensor.
    axes
        Its axes that make rows and columns; None for `default_axes`.
    index
        Position on every axis of the tensor, of which those on drawn axes do not matter; None for all zero.

    Attributes
    ----------
    height, width
        Rows and columns, in elements.
    dtype
        float32 where that holds the stored values exactly, else float64: what `block` gives.

    Raises
    ------
    ValueError
        If axes or index do not fit the tensor, or its type cannot be drawn.
    """

    def __init__(
        self,
        ref: TensorRef,
        axes: DrawnAxes | Mapping[str, object] | None = None,
        index: Sequence[int] | None = None,
    ) -> None:
        self.ref = ref
        self.axes = check_axes(ref.shape, axes)
        self.rows, self.cols = tuple(self.axes["rows"]), tuple(self.axes["cols"])
        self.index = _checked_index(ref, self.rows + self.cols, index)
        self.dtype = _working_dtype(ref)
        self.height, self.width = matrix_size(ref.shape, self.axes)

    @property
    def transposed(self) -> Matrix:
        """The same with rows and columns exchanged."""
        return Matrix(self.ref, {"rows": self.axes["cols"], "cols": self.axes["rows"]}, self.index)

    @property
    def runs_along_columns(self) -> bool:
        """Whether neighbours in the tensor's own order are neighbours in a column rather than in a row."""
        drawn = [axis for axis in self.rows + self.cols if self.ref.shape[axis] > 1]
        return bool(drawn) and max(drawn) in self.rows

    def position(self, row: int, col: int) -> tuple[int, ...]:
        """Position in the tensor of a cell.

        Parameters
        ----------
        row, col
            The cell.

        Returns
        -------
        tuple of int
            One entry for each axis of the tensor.
        """
        at = list(self.index)
        for axes, flat in ((self.rows, row), (self.cols, col)):
            for axis in reversed(axes):
                flat, at[axis] = divmod(flat, self.ref.shape[axis])
        return tuple(at)

    def block(self, row0: int, row1: int, col0: int, col1: int) -> torch.Tensor:
        """Read a window.

        Parameters
        ----------
        row0, row1, col0, col1
            The window, ends exclusive. It must not be empty. Memory is used for all of it: ask for `BAND`
            elements at most.

        Returns
        -------
        torch.Tensor
            Shape (row1 - row0, col1 - col0), of `dtype`, on the CPU. Not to be written to: it is a view of
            the tensor's memory where that is possible.
        """
        row_boxes = boxes([self.ref.shape[axis] for axis in self.rows], row0, row1)
        col_boxes = boxes([self.ref.shape[axis] for axis in self.cols], col0, col1)
        if len(self.rows) < 2 and len(self.cols) < 2:
            piece = self._piece(row_boxes[0], col_boxes[0])
            if piece.dtype == self.dtype and piece.device.type == "cpu":
                return piece.view(row1 - row0, col1 - col0)
        out = torch.empty(row1 - row0, col1 - col0, dtype=self.dtype)
        for rows in row_boxes:
            for cols in col_boxes:
                top, left = rows.start - row0, cols.start - col0
                part = out[top : top + rows.size, left : left + cols.size]
                # Splitting axes is always a view, so this writes into `out`.
                copy(part.view(rows.sizes + cols.sizes), self._piece(rows, cols))
        return out

    def bands(
        self,
        window: tuple[int, int, int, int],
        unit: tuple[int, int],
        cancelled: Callable[[], bool] | None = None,
        *,
        stored: bool = False,
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """Read a window in bands of at most `BAND` elements (`VIEW` in place).

        Parameters
        ----------
        window
            row0, row1, col0, col1; ends exclusive.
        unit
            Rows and columns, powers of two, that should not be torn apart where it can be avoided: a band
            holds a multiple of them, or a power of two that divides them.
        cancelled
            Asked before every band.
        stored
            Whether elements may come as they are stored: float32 and bfloat16 then do, wherever that needs no
            copy; all others come in `dtype`.

        Yields
        ------
        row, col, band
            Where the band starts within the window, and its values.

        Raises
        ------
        Cancelled
            When `cancelled` says so.
        """
        row0, row1, col0, col1 = window
        in_place = stored and self.in_place
        band = VIEW if in_place else BAND
        width = min(col1 - col0, max(unit[1], 1 << 13), band)
        height = max(1, band // width)
        height = height // unit[0] * unit[0] if height >= unit[0] else 1 << (height.bit_length() - 1)
        for top in range(row0, row1, height):
            for left in range(col0, col1, width):
                if cancelled is not None and cancelled():
                    raise Cancelled
                edges = top, min(top + height, row1), left, min(left + width, col1)
                yield top - row0, left - col0, self._view(*edges) if in_place else self.block(*edges)

    @property
    def in_place(self) -> bool:
        """Whether elements can be looked at where they are stored."""
        plain = len(self.rows) < 2 and len(self.cols) < 2
        return plain and self.ref.device in ("cpu", "file") and self.ref.dtype in ("float32", "bfloat16")

    def _view(self, row0: int, row1: int, col0: int, col1: int) -> torch.Tensor:
        """As `block`, of the stored type."""
        rows = boxes([self.ref.shape[axis] for axis in self.rows], row0, row1)
        cols = boxes([self.ref.shape[axis] for axis in self.cols], col0, col1)
        return self._piece(rows[0], cols[0]).view(row1 - row0, col1 - col0)

    def _piece(self, rows: Box, cols: Box) -> torch.Tensor:
        """Read a rectangle as it is stored, axes in the order rows, cols."""
        parts: list[int | slice] = list(self.index)
        drawn = self.rows + self.cols
        for axis, part in zip(drawn, rows.slices + cols.slices, strict=True):
            parts[axis] = part
        piece = self.ref.read(tuple(parts)).resolve_neg()  # NumPy knows no lazy minus sign
        order = sorted(drawn)
        return piece.permute([order.index(axis) for axis in drawn])


def check_window(matrix: Matrix, window: Sequence[int]) -> tuple[int, int, int, int]:
    """Check a window against the matrix.

    Parameters
    ----------
    matrix
        The matrix.
    window
        row0, row1, col0, col1; ends exclusive.

    Raises
    ------
    ValueError
        If it is empty or reaches beyond the matrix.
    """
    if len(window) == 4 and all(_is_int(edge) for edge in window):
        row0, row1, col0, col1 = window
        if 0 <= row0 < row1 <= matrix.height and 0 <= col0 < col1 <= matrix.width:
            return row0, row1, col0, col1
    raise ValueError(
        f"the window must be row0, row1, col0, col1 inside the {matrix.height} x {matrix.width} matrix of "
        f"{matrix.ref.name!r}, ends exclusive and not empty: {list(window)}"
    )


def _axis_numbers(name: str, part: object) -> list[int]:
    if not isinstance(part, (list, tuple)) or not all(_is_int(axis) for axis in part):
        raise ValueError(f"the drawn axes need a list of axis numbers as {name!r}: {part!r}")
    return list(part)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _checked_index(ref: TensorRef, drawn: tuple[int, ...], index: Sequence[int] | None) -> tuple[int, ...]:
    if index is None:
        return (0,) * len(ref.shape)
    if len(index) != len(ref.shape) or not all(_is_int(at) for at in index):
        raise ValueError(
            f"the index needs one whole number for each of the {len(ref.shape)} axes of {ref.name!r}: {list(index)}"
        )
    for axis, (at, size) in enumerate(zip(index, ref.shape, strict=True)):
        if axis not in drawn and not 0 <= at < size:
            raise ValueError(f"axis {axis} of {ref.name!r} has size {size}: there is no position {at}")
    return tuple(0 if axis in drawn else at for axis, at in enumerate(index))


def _working_dtype(ref: TensorRef) -> torch.dtype:
    if ref.device == "meta":
        raise ValueError(f"{ref.name!r} is on the meta device: it has a shape but no values")
    if ref.dtype in _FLOAT32_HOLDS:
        return torch.float32
    if ref.dtype in _FLOAT64_HOLDS:
        return torch.float64
    if torch_dtype(ref.dtype).is_complex:
        raise ValueError(f"{ref.name!r} is complex ({ref.dtype}): draw its real or imaginary part instead")
    raise ValueError(f"{ref.name!r} is of type {ref.dtype}, whose values cannot be drawn")
