"""A part of a tensor: a window of the matrix that it is drawn as, read without the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from weightwidget.detail.matrix import DrawnAxes, Matrix, check_window
from weightwidget.sources.base import TensorRef


class Region:
    """Rows and columns of a drawn matrix, for what counts elements whatever their order.

    Parameters
    ----------
    ref
        The tensor.
    axes, index
        The matrix: see `Matrix`.
    rows, cols
        First and last, the end exclusive.

    Attributes
    ----------
    rows, cols
        As given, as tuples.

    Raises
    ------
    ValueError
        If axes or index do not fit the tensor, or the region is empty or reaches beyond the matrix.
    """

    def __init__(
        self,
        ref: TensorRef,
        axes: DrawnAxes | Mapping[str, object] | None,
        index: Sequence[int] | None,
        rows: Sequence[int],
        cols: Sequence[int],
    ) -> None:
        matrix = Matrix(ref, axes, index)
        row0, row1, col0, col1 = check_window(matrix, [*rows, *cols])
        self.rows, self.cols = (row0, row1), (col0, col1)
        # Read along memory: the order of what is counted does not matter.
        self._matrix = matrix.transposed if matrix.runs_along_columns else matrix
        self._window = (col0, col1, row0, row1) if matrix.runs_along_columns else (row0, row1, col0, col1)

    @property
    def numel(self) -> int:
        """Number of elements."""
        return (self.rows[1] - self.rows[0]) * (self.cols[1] - self.cols[0])

    def spans(self, cancelled: Callable[[], bool] | None = None) -> Iterator[torch.Tensor]:
        """Yield all elements once, in parts of at most `weightwidget.detail.matrix.BAND`.

        Float32 where that holds the stored values exactly, else float64. Not to be written to.
        """
        for _, _, band in self._matrix.bands(self._window, (1, 1), cancelled):
            yield band
