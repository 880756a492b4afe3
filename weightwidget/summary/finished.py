"""The scan of what is summarised already: it has ended before it began."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from weightwidget.sources.base import WeightSource
from weightwidget.sources.saved import SavedSource
from weightwidget.sources.versions import marking
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.parts import matrix_shape
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.scan import Scan, Status


class FinishedScan:
    """Looks like `weightwidget.summary.scan.Scan` and has nothing to do.

    Parameters
    ----------
    summary
        What there is.
    """

    status: Status = "ready"
    progress = 1.0
    rate = 0.0
    remaining = 0.0

    def __init__(self, summary: ModelSummary) -> None:
        self._summary = summary

    def start(self) -> FinishedScan:
        """Do nothing."""
        return self

    @property
    def results(self) -> dict[str, TensorSummary]:
        """The records."""
        return dict(self._summary.tensors)

    def summary(self) -> ModelSummary:
        """The summary itself."""
        return self._summary

    def prioritise(self, *paths: str) -> None:
        """Do nothing."""

    def cancel(self) -> None:
        """Do nothing."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - as Scan
        """Say that it has ended."""
        return True


def scan_of(
    source: WeightSource,
    thumbnail: int,
    known: Mapping[str, TensorSummary] | None,
    marks: dict[str, Hashable | None],
) -> Scan | FinishedScan:
    """Scan of a source, not started; of a saved summary one that has ended.

    Parameters
    ----------
    source
        The weights.
    thumbnail
        Largest side of the tensors' pictures.
    known
        Records that are taken over.
    marks
        Filled while the tensors are read; see `weightwidget.sources.versions.marking`.
    """
    if isinstance(source, SavedSource):
        return FinishedScan(source.summary)
    return Scan(marking(source, marks), thumbnail=thumbnail, known=known)


def picture_side(source: WeightSource, wish: int) -> int:
    """Largest side of a picture that there can be of every tensor of a source, no more than wished for.

    Parameters
    ----------
    source
        The weights: any picture can be made of them. Of a saved summary there are the pictures in it.
    wish
        In cells.
    """
    if not isinstance(source, SavedSource):
        return wish
    return min((_side(record, wish) for record in source.summary.values()), default=wish)


def _side(record: TensorSummary, wish: int) -> int:
    rows, columns = matrix_shape(record.shape)
    if record.error or record.count == 0:
        return wish
    have: Sequence[int] = (0, 0) if record.thumbnail is None else record.thumbnail.shape
    if rows == 1:
        return wish if have[1] == columns else min(wish, have[1] // 8)
    return min([wish, *(cells for cells, size in zip(have, (rows, columns), strict=True) if cells < size)])
