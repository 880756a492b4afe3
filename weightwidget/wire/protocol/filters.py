"""The filters of a convolution.

``by`` "output" has a filter for each output channel: what it reads. ``by`` "input" has one for each input channel: what
it writes, one kernel for each output channel that reads it; there, outputs are called channels. Filters are numbered
through all groups; channels are counted among those of the filter's group.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from weightwidget.detail.filters import Mode

By: TypeAlias = Literal["output", "input"]
"""What the filters of a layer are."""


class FiltersRequest(TypedDict):
    """Pictures of some filters.

    ``channels`` is the first channel that is drawn and the one after the last: of mode "all" the stretch, of mode
    "channel" the first of it counts, of the others it is ignored.
    """

    id: str
    kind: Literal["filters"]
    tensor: str
    by: By
    mode: Mode
    filters: list[int]
    channels: list[int]


class FiltersReply(TypedDict):
    """Buffers: float32 values of shape ``shape``; of mode "largest" also int32 channels (filters).

    ``shape`` is (filters, kernel axes), of mode "all" (filters, channels, kernel axes). Values beyond float32 are its
    largest.
    """

    id: str
    kind: Literal["filters"]
    shape: list[int]


class FilterNormsRequest(TypedDict):
    """Strength of all filters of a layer."""

    id: str
    kind: Literal["filter_norms"]
    tensor: str
    by: By


class FilterNormsReply(TypedDict):
    """Buffers: float64 norms, largest magnitudes and numbers of non-finite weights (filters), biases, limits (2).

    Biases are those of the outputs (filters), empty where there are none. The limits are the largest magnitude of a
    mean over the channels, and the largest norm over them, at any place of any kernel.
    """

    id: str
    kind: Literal["filter_norms"]


class FilterFrequenciesRequest(TypedDict):
    """Spatial frequencies of all filters of a layer."""

    id: str
    kind: Literal["filter_frequencies"]
    tensor: str
    by: By


class FilterFrequenciesReply(TypedDict):
    """Buffers: float64 frequencies, orientations and coherences (filters), correlation of neighbours (1).

    Frequencies are in cycles per pixel, orientations in degrees; NaN where there is none.
    """

    id: str
    kind: Literal["filter_frequencies"]


class FilterSimilarityRequest(TypedDict):
    """Copies among the filters of a layer, and an order in which similar ones lie side by side."""

    id: str
    kind: Literal["filter_similarity"]
    tensor: str
    by: By


class FilterSimilarityReply(TypedDict):
    """Buffers: int32 first of the copies of each filter (filters), float32 cosine with it (filters), int32 order.

    Filters without a copy have -1.
    """

    id: str
    kind: Literal["filter_similarity"]


class FilterRequest(TypedDict):
    """What is told of one filter."""

    id: str
    kind: Literal["filter"]
    tensor: str
    by: By
    filter: int


class FilterReply(TypedDict):
    """Buffers: float64 norms of the kernels of its channels (channels), cosines with all filters (filters)."""

    id: str
    kind: Literal["filter"]
