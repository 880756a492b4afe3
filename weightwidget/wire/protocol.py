"""The messages between the front end and the kernel, typed. `js/src/protocol.ts` mirrors this file.

A request is ``{"id", "kind", ...}``. It is answered by ``{"id", "kind", ...}`` and binary buffers, or by
``{"id", "error": {"type", "message"}}``. ``{"cancel": id}`` withdraws a request: it gets no answer, or the one that
was already on its way. Arrays travel as buffers, little-endian and row-major, in the order that the reply's
docstring gives.
"""

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


class HistogramRequest(TypedDict):
    """An exact histogram from the full data of a tensor, or one from the merged sketches of a module.

    ``scale`` "value" bins w linearly; "magnitude" bins log10 |w| linearly, zeros counted apart, and ``range`` is then
    in log10 units. Without ``range`` a robust one is chosen (see the reply).
    """

    id: str
    kind: Literal["histogram"]
    path: str
    bins: int
    scale: Literal["value", "magnitude"]
    range: NotRequired[list[float] | None]


class HistogramReply(TypedDict):
    """Buffer: float64 counts (bins).

    ``below`` and ``above`` count the finite weights outside ``range``. ``exact`` is false for sketches, whose values
    are known to within ``relative_error``.
    """

    id: str
    kind: Literal["histogram"]
    range: list[float]
    below: int
    above: int
    zeros: int
    nan: int
    posinf: int
    neginf: int
    exact: bool
    relative_error: float


class CountRequest(TypedDict):
    """How many weights of a tensor or module lie within [low, high]."""

    id: str
    kind: Literal["count"]
    path: str
    range: list[float]


class CountReply(TypedDict):
    """``total`` counts all elements, non-finite ones too. ``exact`` is false where a sketch answered (modules)."""

    id: str
    kind: Literal["count"]
    count: int
    total: int
    exact: bool


class Cancel(TypedDict):
    """Withdraws a request."""

    cancel: str


class ErrorBody(TypedDict):
    """What went wrong, worded for a practitioner."""

    type: str
    message: str


class ErrorReply(TypedDict):
    """Answers a request that failed."""

    id: str
    error: ErrorBody


Request = TileRequest | ProfileRequest | CellRequest | HistogramRequest | CountRequest
Reply = TileReply | ProfileReply | CellReply | HistogramReply | CountReply
