"""What an explorer knows of its weights, by path."""

from __future__ import annotations

from typing import Any

from weightwidget.detail.selection import Selection, select
from weightwidget.exploring.state import State
from weightwidget.sources.base import TensorRef
from weightwidget.sources.parts import shown
from weightwidget.sources.tokenizers import TokenStrings
from weightwidget.summary.record import TensorSummary


class Known(State):
    """Tensors, modules and blocks by their paths, and what is known of them by now."""

    def ref(self, path: str) -> TensorRef | None:
        """The tensor of that name, or block of that path; None if there is none. Of complex ones the magnitudes."""
        ref = self.source.tensors.get(path) or self._blocks.ref(path)
        return None if ref is None else shown(ref)

    def record(self, path: str) -> TensorSummary | None:
        """The record of the tensor, module or block of that path; None while it is not summarised.

        Blocks are summarised when they are asked for.
        """
        summary, scan = self._summary, self._scan  # a refresh in another thread may exchange them
        if summary is not None:
            known = summary.tensors.get(path) or summary.modules.get(path)
        else:
            known = scan.results.get(path) if scan else None
        return known or self._blocks.record(path)

    @property
    def selection(self) -> Selection:
        """The brushed weights of the selected tensor.

        Returns
        -------
        Selection
            ``indices``, int64 of shape (k, number of axes), and ``values``, shape (k,) in the stored dtype: the
            weights within `value_range`, ends included, in row-major order. On the CPU. Of complex weights, the
            magnitudes.

        Raises
        ------
        ValueError
            If no tensor is selected, or nothing is brushed.
        """
        ref = self.ref(self.selected)
        if ref is None:
            raise ValueError("no tensor is selected: set explorer.selected to a tensor's name first")
        if self.value_range is None:
            raise ValueError("nothing is brushed: drag over the histogram or set explorer.value_range = (low, high)")
        return select(ref, self.value_range)

    @property
    def query_error(self) -> str:
        """What is wrong with `query`; empty if nothing is. A faulty term does not filter."""
        return self._filter.error(self.query)

    @property
    def tokenizer(self) -> Any:
        """What gives tokens their strings, None if nothing was given. Can be set at any time."""
        return self.strings.given

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        self.strings = TokenStrings(self._obj, tokenizer)
        self._strings_version += 1

    def _records(self) -> dict[str, TensorSummary]:
        """The records of tensors that are there by now."""
        summary, scan = self._summary, self._scan  # a refresh in another thread may exchange them
        return summary.tensors if summary is not None else scan.results if scan is not None else {}

    def _path_of(self, path: str) -> str | None:
        """The path as it is kept: heads by the path of their layer. None if it names nothing."""
        if path in self.source.tensors or path in self._packer.modules:
            return path
        block = self._blocks.find(path)
        return block.path if block is not None else None

    def _passing(self) -> list[str]:
        return self._filter.visible(self.query, self.facets, self._records())

    def _first_matrix(self) -> str:
        refs = self.source.tensors.values()
        first = next((ref for ref in refs if len(ref.shape) > 1), None) or next(iter(refs))
        return first.name
