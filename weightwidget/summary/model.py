"""The summary of a whole model: the records of its tensors and, merged, of its modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from weightwidget.sources.base import in_totals
from weightwidget.summary.record import TensorSummary, merge_records
from weightwidget.summary.table import to_frame
from weightwidget.summary.tree import ancestors

if TYPE_CHECKING:
    import pandas as pd


class ModelSummary(Mapping[str, TensorSummary]):
    """The records of all tensors of a model by name, in the model's order.

    Parameters
    ----------
    name
        What a person calls the model.
    tensors
        The records.
    module_kinds
        Classes of the modules by path, where known.
    """

    def __init__(
        self, name: str, tensors: Mapping[str, TensorSummary], module_kinds: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.tensors = dict(tensors)
        self.module_kinds = dict(module_kinds or {})

    def __getitem__(self, name: str) -> TensorSummary:
        try:
            return self.tensors[name]
        except KeyError:
            raise KeyError(f"there is no tensor {name!r} in {self.name!r}; modules are in .modules") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def __repr__(self) -> str:
        total = self.modules[""]
        return f"<ModelSummary {self.name!r}: {len(self)} tensors, {total.count:,} weights>"

    @property
    def errors(self) -> dict[str, str]:
        """Why tensors could not be summarised, by name; empty if all were."""
        return {name: record.error for name, record in self.tensors.items() if record.error}

    @cached_property
    def modules(self) -> dict[str, TensorSummary]:
        """Merged record of every module by path; ``""`` is the whole model.

        Tied weights count once, in the module of their first name. Tensors with an error add nothing, nor do buffers
        of integers (step counters, tables of positions): their values are no weights.
        """
        parts: dict[str, list[TensorSummary]] = {"": []}
        for name, record in self.tensors.items():
            owners = ancestors(name)
            for path in owners:
                parts.setdefault(path, [])
            if in_totals(record):
                parts[owners[-1]].append(record)
        merged: dict[str, TensorSummary] = {}
        # Every module comes after the one around it: backwards, its content is complete when its turn comes.
        for path in reversed(parts):
            record = merge_records(parts[path], path, self.module_kinds.get(path, ""))
            merged[path] = record
            if path:
                parts[ancestors(path)[-1]].append(record)
        return {path: merged[path] for path in parts}

    def to_frame(self) -> pd.DataFrame:
        """Make a pandas table: one row a tensor, its name as index, its statistics as columns.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return to_frame(list(self.tensors.values()))

    def merge(self, *others: ModelSummary) -> ModelSummary:
        """Summary of the tensors of several parts of a model, such as shards summarised on several machines.

        Parameters
        ----------
        *others
            Summaries of other tensors.

        Raises
        ------
        ValueError
            If a tensor is in two of them: it would count twice.
        """
        tensors, kinds = dict(self.tensors), dict(self.module_kinds)
        for other in others:
            for name, record in other.tensors.items():
                if tensors.setdefault(name, record) is not record:
                    raise ValueError(
                        f"tensor {name!r} is in two of the summaries and would count twice: "
                        "summarise every tensor in one part only"
                    )
            kinds.update(other.module_kinds)
        return ModelSummary(self.name, tensors, kinds)
