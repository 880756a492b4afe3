"""What an explorer shows at one moment, for everything that is made without a front end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from weightwidget.anatomy.axes import SEPARATOR
from weightwidget.outputs import numbers
from weightwidget.outputs.names import shorten, visible
from weightwidget.outputs.rows import Known, Row, choose_rows
from weightwidget.sources.base import WeightSource, in_totals, torch_dtype
from weightwidget.sources.saved import has_weights
from weightwidget.summary.record import TensorSummary


@dataclass(frozen=True)
class StaticView:
    """An explorer at one moment.

    Attributes
    ----------
    source
        The weights. Only names, shapes and types are read: it may be closed.
    status, progress
        Of the scan: ``"scanning"``, ``"ready"``, ``"cancelled"`` or ``"failed"``, and the share that is done.
    tensors
        Records by tensor name; those still missing are not there.
    modules
        Merged records by module path; empty while they are not there yet.
    selected
        Path of the selected tensor or module; ``""`` is the whole model.
    block
        Record of what is selected if that is a block of a tensor.
    failure
        Why the scan failed.
    """

    source: WeightSource
    status: str
    progress: float
    tensors: Mapping[str, TensorSummary]
    modules: Mapping[str, TensorSummary] = field(default_factory=dict)
    selected: str = ""
    block: TensorSummary | None = None
    failure: str = ""

    @property
    def shown(self) -> TensorSummary | None:
        """The record of what is selected; None while it is not summarised."""
        if self.block is not None:
            return self.block
        return self.tensors.get(self.selected) or self.modules.get(self.selected)

    @property
    def selected_tensor(self) -> str:
        """Name of the tensor that is selected, or that holds the selected block; a module's path otherwise."""
        return self.selected.partition(SEPARATOR)[0] if self.block is not None else self.selected

    @cached_property
    def name(self) -> str:
        """What a person calls the model, fit for display."""
        return shorten(visible(self.source.name), 200, "both")

    @cached_property
    def names(self) -> list[str]:
        """Of all tensors, in the model's order."""
        return list(self.source.tensors)

    def rows(self, selected: str, limit: int) -> list[Row]:
        """Rows of the layer tree, so many at most: see `choose_rows`."""
        return choose_rows(self.names, selected, limit, self._known_rows)

    @cached_property
    def _known_rows(self) -> Known:
        return {}

    @cached_property
    def _sums(self) -> tuple[int, int, dict[str, int]]:
        """Weights, bytes and elements by type, in one pass: it is all that takes time for very many tensors."""
        weights = nbytes = 0
        dtypes: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for ref in self.source.tensors.values():
            numel, dtype = ref.numel, ref.dtype
            dtypes[dtype] = dtypes.get(dtype, 0) + numel
            if not has_weights(ref):  # of a type that this version of torch may not know
                own = ref.nbytes
            else:
                if dtype not in sizes:
                    sizes[dtype] = torch_dtype(dtype).itemsize
                own = numel * sizes[dtype]
            if ref.shared_with is None:
                nbytes += own
                weights += numel if in_totals(ref) else 0
        return weights, nbytes, dtypes

    @property
    def weights(self) -> int:
        """Number of weights; tied ones count once, counters not at all."""
        return self._sums[0]

    @property
    def nbytes(self) -> int:
        """Stored size of all tensors; tied ones count once."""
        return self._sums[1]

    @property
    def dtypes(self) -> list[str]:
        """Stored types, the one of the most weights first."""
        found = self._sums[2]
        return sorted(found, key=lambda dtype: -found[dtype])

    def weights_of(self, row: Row) -> int:
        """Number of weights in a row of the tree, known without a scan."""
        refs = self.source.tensors
        if row.is_tensor:
            return refs[row.path].numel
        if (record := self.modules.get(row.path)) is not None:
            return record.count
        return sum(refs[name].numel for name in row.names if in_totals(refs[name]))

    @cached_property
    def totals(self) -> list[str]:
        """Number of tensors and weights, stored size, types."""
        tensors = len(self.source.tensors)
        few, more = self.dtypes[:4], len(self.dtypes) - 4
        return [
            f"{numbers.count(tensors)} tensor{'s' * (tensors != 1)}",
            f"{numbers.short(self.weights)} weights",
            numbers.size(self.nbytes),
            ", ".join(few) + (f" and {more} more" if more > 0 else ""),
        ]

    @property
    def state(self) -> str:
        """State of the scan in words."""
        if self.status == "ready":
            return "scan complete"
        if self.status == "failed":
            return shorten(visible(self.failure), 200, "start") or "the scan failed"
        if self.status == "scanning":
            return f"scanning, {self.progress:.0%} done"
        return f"scan cancelled at {self.progress:.0%}"

    @cached_property
    def unreadable(self) -> dict[str, str]:
        """Why tensors could not be summarised, by name."""
        return {name: record.error for name, record in self.tensors.items() if record.error}

    @cached_property
    def not_finite(self) -> list[str]:
        """Names of the tensors that hold NaN or infinities, those with most of them first."""
        found = {
            name: record.nan + record.posinf + record.neginf
            for name, record in self.tensors.items()
            if record.nan or record.posinf or record.neginf
        }
        return sorted(found, key=lambda name: -found[name])

    @property
    def warnings(self) -> list[str]:
        """What a reader must not miss, a sentence each."""
        found = []
        if self.unreadable:
            found.append(_listed(list(self.unreadable), "could not be read"))
        if self.not_finite:
            many = "hold" if len(self.not_finite) > 1 else "holds"
            found.append(_listed(self.not_finite, f"{many} NaN or infinities"))
        if self.source.skipped:
            found.append(f"{len(self.source.skipped):,} entries of the source were left out")
        return found


def _listed(names: list[str], what: str) -> str:
    first = ", ".join(shorten(visible(name), 60) for name in names[:2])
    rest = f" and {len(names) - 2:,} more" if len(names) > 2 else ""
    return f"{len(names):,} tensor{'s' * (len(names) != 1)} {what}: {first}{rest}"
