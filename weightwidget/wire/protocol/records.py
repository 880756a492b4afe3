"""Records of blocks: statistics, histograms and pictures of parts of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired

RecordDetail: TypeAlias = Literal["numbers", "histograms", "all"]


class RecordsRequest(TypedDict):
    """Statistics of some tensors, modules, blocks or heads, by path.

    ``detail`` "histograms" asks for histograms too, "all" also for thumbnails and norms; "numbers" is the default.
    """

    id: str
    kind: Literal["records"]
    paths: list[str]
    detail: NotRequired[RecordDetail]


class RecordsReply(TypedDict):
    """Buffers, for n paths: float64 statistics (n, columns), NaN where unknown.

    With histograms: float64 (n, bins + 4) of w and float64 (n, log_bins + 4) of log10 |w|, each row the counts, the
    first and last edge, and the finite weights below and above; NaN where there is none.

    With all: float32 thumbnails one behind the other, as large as ``thumbnails`` says, and float32 norms of rows, then
    of columns, of each path, as many as ``profiles`` says: entry k of m is the largest norm of the rows from
    k * rows // m on.

    ``columns`` names the statistics; ``argmin`` and ``argmax`` are flat positions in the tensor or block. ``errors``
    holds the reason by place in ``paths`` for what could not be summarised. ``shapes`` are empty for heads and modules.
    """

    id: str
    kind: Literal["records"]
    columns: list[str]
    shapes: list[list[int]]
    errors: dict[str, str]
    bins: NotRequired[int]
    log_bins: NotRequired[int]
    thumbnails: NotRequired[list[list[int]]]
    profiles: NotRequired[list[list[int]]]
