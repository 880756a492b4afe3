"""The heads of attention layers: one layer after the other, then one head in detail."""

from __future__ import annotations

from typing import Literal, TypedDict

HeadPart = Literal["query", "key", "value", "output", "qk", "ov"]
"""A projection, or a circuit of two."""


class HeadsRequest(TypedDict):
    """Measures of all heads of an attention layer, by its path.

    ``what`` "norms" gives the Frobenius norms of the projections, which takes a look at each weight; "circuits" what is
    read from the QK and OV circuits, which takes some seconds for a layer of thousands of channels.
    """

    id: str
    kind: Literal["heads"]
    layer: str
    what: Literal["norms", "circuits"]


class HeadsReply(TypedDict):
    """Buffer: float64 (measures, heads), NaN where a projection is not there or a weight is not finite.

    ``measures`` names them. Keys and values that several query heads share are told for each of them.
    """

    id: str
    kind: Literal["heads"]
    measures: list[str]
    heads: int


class HeadSimilarityRequest(TypedDict):
    """How much the heads of a layer are alike: cosines of a projection, or of a circuit."""

    id: str
    kind: Literal["head_similarity"]
    layer: str
    part: HeadPart


class HeadSimilarityReply(TypedDict):
    """Buffer: float64 (n, n) cosines, NaN for heads that are all zero or not finite.

    ``heads`` is n: of "key" and "value" the number of key and value heads.
    """

    id: str
    kind: Literal["head_similarity"]
    heads: int


class HeadRequest(TypedDict):
    """One head: pictures of its projections, and the spectra of its circuits.

    ``width`` and ``height`` are the largest size of a picture, in pixels.
    """

    id: str
    kind: Literal["head"]
    layer: str
    head: int
    width: int
    height: int


class HeadReply(TypedDict):
    """Buffers: float32 pictures (height, width) of query, key, value and output, largest weight of a pixel.

    All lie with the head's own channels along the rows and those of the model along the columns; the output
    projection is transposed for that. Then float64: singular values of QK, of OV, real and imaginary parts of OV's
    eigenvalues (2, n), and all measures (norms, then circuits). A part that is not there has an empty buffer.
    ``pictures`` holds the sizes, [0, 0] for none; ``shapes`` those of the weights, (head size, width).
    ``square`` is false where the head writes to another stream than it reads, so that OV has no eigenvalues;
    ``finite`` where NaN or infinities among the weights leave no circuits.
    """

    id: str
    kind: Literal["head"]
    pictures: list[list[int]]
    shapes: list[list[int]]
    measures: list[str]
    square: bool
    finite: bool


class SetHeadsRequest(TypedDict):
    """Set the number of heads by hand, where neither file nor module tells, as `Anatomy.set_heads` does.

    ``path`` is a module, whose attention layers all get it; ``""`` is the whole model. ``kv_heads`` null: heads of keys
    are as large as those of queries. The overview follows.
    """

    id: str
    kind: Literal["set_heads"]
    path: str
    heads: int
    kv_heads: int | None


class SetHeadsReply(TypedDict):
    """No buffers. ``layers`` is the number of attention layers that there are now."""

    id: str
    kind: Literal["set_heads"]
    layers: int
