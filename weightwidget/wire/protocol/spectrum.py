"""Singular values of a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired

    from weightwidget.detail.matrix import DrawnAxes

NUMBERS = (
    "spectral_norm",
    "frobenius_norm",
    "stable_rank",
    "effective_rank",
    "condition_number",
    "rank_limit",
    "resolution",
    "noise",
    "mp_edge",
    "spike_limit",
    "alpha",
    "alpha_error",
    "alpha_distance",
    "xmin",
)
"""What the second buffer of `SpectrumReply` holds, in that order."""


class SpectrumTopRequest(TypedDict):
    """The largest singular values of the matrix that is drawn, at once, and their vectors.

    ``tensor`` is a path as `TensorRef` or a block has it; ``axes`` and ``index`` are those of a tile.
    """

    id: str
    kind: Literal["spectrum.top"]
    tensor: str
    axes: NotRequired[DrawnAxes | None]
    index: NotRequired[list[int] | None]


class SpectrumInit(TypedDict):
    """What the weights were drawn from before training. `std` is null for orthogonal matrices."""

    text: str
    certain: bool
    std: float | None


class SpectrumTopReply(TypedDict):
    """Leading singular values and vectors.

    Buffers, for k vectors, r and c steps along rows and columns, n of the largest elements:
    float64 values (k), float64 errors (k), float64 participation (2, k) along rows and columns;
    float32 left vectors, lowest and highest element of each step (2, k, r), right ones (2, k, c);
    int32 places of the largest elements (k, n) along the rows and along the columns, and float32 those elements;
    float64 ranks and singular values to be expected of the initialiser, empty if ``init`` is null.

    Step i of r stands for elements i * rows // r on. ``seconds`` is about how long `spectrum` will take,
    null where it is refused for its size; ``shuffles`` says whether `spectrum.shuffled` is to be had.
    """

    id: str
    kind: Literal["spectrum.top"]
    rows: int
    cols: int
    frobenius: float
    steps: list[int]
    seconds: float | None
    why_not: str
    shuffles: bool
    init: SpectrumInit | None


class SpectrumRequest(TypedDict):
    """All singular values. Takes its time: it reports progress."""

    id: str
    kind: Literal["spectrum"]
    tensor: str
    axes: NotRequired[DrawnAxes | None]
    index: NotRequired[list[int] | None]


class SpectrumReply(TypedDict):
    """All singular values and what is read from them.

    Buffers: float64 singular values, descending; float64 `NUMBERS`; of a convolution whose places are pooled for the
    power law float64 pooled eigenvalues, ascending, else empty; float64 the law of noise of variance 1, for
    x = (singular value)**2 / larger side: places x, density per decade, share below, (3, n), empty for small matrices.

    ``method`` is one of `weightwidget.detail.singular.Method`.
    """

    id: str
    kind: Literal["spectrum"]
    rows: int
    cols: int
    method: str
    places: int
    rank: int
    rank_is_limited: bool
    condition_is_limited: bool
    spikes: int
    tail: int


class SpectrumShuffledRequest(TypedDict):
    """The singular values of the same elements in random order, always the same one."""

    id: str
    kind: Literal["spectrum.shuffled"]
    tensor: str
    axes: NotRequired[DrawnAxes | None]
    index: NotRequired[list[int] | None]


class SpectrumShuffledReply(TypedDict):
    """Buffer: float64 singular values, descending."""

    id: str
    kind: Literal["spectrum.shuffled"]
