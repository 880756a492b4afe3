"""The vectors of an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from weightwidget.detail.embeddings import Measure

if TYPE_CHECKING:
    from typing_extensions import NotRequired


class TokenNormsRequest(TypedDict):
    """Norms of all entries of a table, and what is known of their strings. ``axis``: along which the entries lie."""

    id: str
    kind: Literal["tokens.norms"]
    tensor: str
    axis: int


class TokenNormsReply(TypedDict):
    """Buffers: float32 norms (count,).

    ``strings``: where the strings come from, "" if there are none; there are ``known`` of them. ``problem`` says why
    strings that were found are not used.
    """

    id: str
    kind: Literal["tokens.norms"]
    count: int
    size: int
    strings: str
    known: int
    problem: str


class TokenMapRequest(TypedDict):
    """The two nearest neighbours by cosine of every entry; of ``limit`` of them, spread evenly, if one is given.

    Slow: progress is reported.
    """

    id: str
    kind: Literal["tokens.map"]
    tensor: str
    axis: int
    limit: NotRequired[int | None]


class TokenMapReply(TypedDict):
    """Buffers, of the m entries: int32 entries, int32 nearest, float32 its cosine, int32 second, float32 its cosine.

    -1 and NaN where there is no neighbour. ``search_error`` is the largest error of the cosines that were compared.
    """

    id: str
    kind: Literal["tokens.map"]
    search_error: float


class TokenNearRequest(TypedDict):
    """The entries most like one."""

    id: str
    kind: Literal["tokens.near"]
    tensor: str
    axis: int
    entry: int
    measure: Measure
    count: int


class TokenNearReply(TypedDict):
    """Buffers: float64 values, the most alike first."""

    id: str
    kind: Literal["tokens.near"]
    entries: list[int]
    texts: list[str]


class TokenTextsRequest(TypedDict):
    """Strings of some entries, 2,000 at most."""

    id: str
    kind: Literal["tokens.texts"]
    tensor: str
    axis: int
    entries: list[int]


class TokenTextsReply(TypedDict):
    """``texts``: as a person reads them, "" where there is none."""

    id: str
    kind: Literal["tokens.texts"]
    texts: list[str]


class TokenFindRequest(TypedDict):
    """Entries whose string holds a text, or whose number it is."""

    id: str
    kind: Literal["tokens.find"]
    tensor: str
    axis: int
    text: str
    limit: int


class TokenFindReply(TypedDict):
    """The best matches; there are ``total``."""

    id: str
    kind: Literal["tokens.find"]
    entries: list[int]
    texts: list[str]
    total: int


class TokenReferenceRequest(TypedDict):
    """All entries against the mean of some: ``text`` names them as ``[unused*], 73, 100-120``."""

    id: str
    kind: Literal["tokens.reference"]
    tensor: str
    axis: int
    text: str


class TokenReferenceReply(TypedDict):
    """Buffers: int32 the named entries, float32 cosines (count,) with their mean, float32 distances (count,) to it."""

    id: str
    kind: Literal["tokens.reference"]
    norm: float


class TokenGroupsRequest(TypedDict):
    """Clusters of some entries, 4,096 at most: chains of cosines above a threshold."""

    id: str
    kind: Literal["tokens.groups"]
    tensor: str
    axis: int
    entries: list[int]
    threshold: float


class TokenGroupsReply(TypedDict):
    """The number of each entry's cluster."""

    id: str
    kind: Literal["tokens.groups"]
    groups: list[int]


class TokenCosinesRequest(TypedDict):
    """Cosines of all pairs of entries; with ``centred`` after the mean of all is taken off."""

    id: str
    kind: Literal["tokens.cosines"]
    tensor: str
    axis: int
    centred: bool


class TokenCosinesReply(TypedDict):
    """Buffers: float32 (size, size), of entries 0, step, 2 * step, ...; NaN where there is no direction."""

    id: str
    kind: Literal["tokens.cosines"]
    size: int
    step: int
