"""Tiles, norms and cells of the drawn matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from weightwidget.detail.matrix import DrawnAxes
from weightwidget.detail.pixels import Aggregate

if TYPE_CHECKING:
    from typing_extensions import NotRequired


class TileRequest(TypedDict):
    """One tile of the drawn matrix at a level of detail.

    ``tile`` is (row level, column level, row number, column number): a pixel covers 2**level elements on each axis,
    and tile number t starts at element t * 256 * 2**level. ``index`` has one entry for each axis of the tensor; the
    entries of drawn axes are ignored. ``range`` asks for the share of elements within [low, high] as well.
    """

    id: str
    kind: Literal["tile"]
    tensor: str
    axes: DrawnAxes
    index: list[int]
    tile: list[int]
    aggregate: Aggregate
    range: NotRequired[list[float] | None]


class TileReply(TypedDict):
    """Buffers: float32 values (height, width); with a range also uint8 shares (height, width).

    NaN under a pixel makes it NaN; without NaN an infinity makes it infinite. A share is 0 where no element is in
    the range, else 1 to 255 (rounded up, so that a single element still shows).
    """

    id: str
    kind: Literal["tile"]
    height: int
    width: int


class ProfileRequest(TypedDict):
    """L2 norms of the rows and the columns of the drawn matrix."""

    id: str
    kind: Literal["profile"]
    tensor: str
    axes: DrawnAxes
    index: list[int]


class ProfileReply(TypedDict):
    """Buffers: float32 row norms, float32 column norms.

    At most 8192 of each: with more rows, entry k is the largest norm of rows k * row_step to (k + 1) * row_step - 1.
    """

    id: str
    kind: Literal["profile"]
    row_step: int
    col_step: int


class CellRequest(TypedDict):
    """The element of largest magnitude inside a window (row0, row1, col0, col1; ends exclusive) of the matrix."""

    id: str
    kind: Literal["cell"]
    tensor: str
    axes: DrawnAxes
    index: list[int]
    window: list[int]


class CellReply(TypedDict):
    """``value`` as text with all its digits; ``row`` and ``col`` in the drawn matrix; ``position`` in the tensor."""

    id: str
    kind: Literal["cell"]
    value: str
    row: int
    col: int
    position: list[int]
