"""The gates of a recurrent layer: what each is made of, and the eigenvalues of its recurrent weights."""

from __future__ import annotations

from typing import Literal, TypedDict


class GatesRequest(TypedDict):
    """What each gate of a layer is made of. ``recurrent`` names the layer's recurrent weights."""

    id: str
    kind: Literal["gates"]
    recurrent: str


class GatesReply(TypedDict):
    """Buffers, with G gates of U units each; float64 but for the pictures.

    A block is a gate's part of a matrix: first those of the input weights in the order of the gates, then those of
    the recurrent weights.

    - statistics (2 G, 8): mean, std, Frobenius norm, smallest, largest, 1 % quantile, 99 % quantile, number of
      non-finite weights.
    - histograms (2 G, bins + 2): counts below ``-limit``, in ``bins`` equal bins from ``-limit`` to ``limit``, above.
    - norms (3, G, U): of what a unit's gate reads of the inputs, of what it reads of the state, and of what the gate
      reads of each unit (its column). With a projection the last is NaN.
    - biases (2, G, U): on the input's side and on the state's; NaN where there is none.
    - time scales (U): in steps, as the bias of the gate ``keeper`` implies; empty where no gate keeps the state.
    - projected (U): norm of what the projection reads of each unit; empty without one.
    - then 2 G pictures, float32: each pixel the weight of largest magnitude under it. Their sizes are ``pictures``,
      (height, width) of an input block and of a recurrent block.

    ``separate`` lists the gates whose two biases may not be added, for the reset gate stands between them.
    """

    id: str
    kind: Literal["gates"]
    gates: list[str]
    units: int
    bins: int
    limit: float
    pictures: list[list[int]]
    separate: list[str]
    keeper: str | None


class EigenvaluesRequest(TypedDict):
    """The eigenvalues of the recurrent weights of one gate. ``recurrent`` names the layer's recurrent weights."""

    id: str
    kind: Literal["eigenvalues"]
    recurrent: str
    gate: str


class EigenvaluesReply(TypedDict):
    """Buffer: float64 (n, 2), real and imaginary part, in order of falling magnitude.

    ``zeros`` more are exactly zero, because a projection makes the state smaller.
    """

    id: str
    kind: Literal["eigenvalues"]
    zeros: int
