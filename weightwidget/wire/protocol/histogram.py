"""Histograms and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from weightwidget.detail.matrix import DrawnAxes

if TYPE_CHECKING:
    from typing_extensions import NotRequired


class Region(TypedDict):
    """Rows and columns of a drawn matrix: first and last of each, the end exclusive."""

    rows: list[int]
    cols: list[int]


class HistogramRequest(TypedDict):
    """An exact histogram from the full data of a tensor, or one from the merged sketches of a module.

    ``scale`` "value" bins w linearly; "magnitude" bins log10 |w| linearly, zeros counted apart, and ``range`` is then
    in log10 units. Without ``range`` a robust one is chosen (see the reply).

    ``region`` restricts it to a part of a tensor, in elements of the matrix that ``axes`` and ``index`` draw of it (as
    in `TileRequest`); only that part is read.
    """

    id: str
    kind: Literal["histogram"]
    path: str
    bins: int
    scale: Literal["value", "magnitude"]
    range: NotRequired[list[float] | None]
    region: NotRequired[Region | None]
    axes: NotRequired[DrawnAxes]
    index: NotRequired[list[int]]


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
    """How many weights of a tensor or module, or of a region as in `HistogramRequest`, lie within [low, high]."""

    id: str
    kind: Literal["count"]
    path: str
    range: list[float]
    region: NotRequired[Region | None]
    axes: NotRequired[DrawnAxes]
    index: NotRequired[list[int]]


class CountReply(TypedDict):
    """``total`` counts all elements (of the region), non-finite ones too.

    ``exact`` is false where a sketch answered (modules).
    """

    id: str
    kind: Literal["count"]
    count: int
    total: int
    exact: bool
