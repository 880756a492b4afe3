"""The summary of a whole model: the records of its tensors and, merged, of its modules."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from weightwidget.sources.base import ModuleInfo, in_totals
from weightwidget.summary.record import TensorSummary, merge_records
from weightwidget.summary.table import to_frame
from weightwidget.summary.tree import ancestors

if TYPE_CHECKING:
    import pandas as pd

    from weightwidget.sources.saved import SavedSource


class ModelSummary(Mapping[str, TensorSummary]):
    """The records of all tensors of a model by name, in the model's order.

    It can be saved, sent and opened without the weights: ``WeightExplorer(summary)``.

    Parameters
    ----------
    name
        What a person calls the model.
    tensors
        The records.
    infos
        Classes and hyperparameters of the modules by path, where known.

    Examples
    --------
    Summarise where the weights are, look at it anywhere:

    >>> summarize(model).save("model.summary.safetensors")
    >>> WeightExplorer("model.summary.safetensors")

    A model whose shards lie on several machines:

    >>> ModelSummary.merge(*(ModelSummary.load(path) for path in paths)).save("model.summary.safetensors")
    """

    def __init__(
        self, name: str, tensors: Mapping[str, TensorSummary], infos: Mapping[str, ModuleInfo] | None = None
    ) -> None:
        self.name = name
        self.tensors = dict(tensors)
        self.infos = dict(infos or {})

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
            info = self.infos.get(path)
            record = merge_records(parts[path], path, info.kind if info else "")
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

        Grouping makes no difference. Nor does order, to the records and modules by name: name and order of the tensors
        are those of the first part, then of the second, and so on.

        Parameters
        ----------
        *others
            Summaries of other tensors. A tensor that could not be read in one part, because its weights are on another
            machine say, may be in another part: the record with statistics counts. Of a module that has several
            classes, one with a class name goes before one without, and the first in the alphabet before the others.

        Raises
        ------
        ValueError
            If a tensor was summarised in two of them: it would count twice.
        """
        tensors, infos = dict(self.tensors), dict(self.infos)
        for other in others:
            for name, record in other.tensors.items():
                tensors[name] = _one_of(name, tensors[name], record) if name in tensors else record
            for path, info in other.infos.items():
                infos[path] = min(infos.get(path, info), info, key=_telling)
        return ModelSummary(next((part.name for part in (self, *others) if part.name), ""), tensors, infos)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the summary as one safetensors file, some kilobytes a tensor; no weights are in it.

        Parameters
        ----------
        path
            Where to, ``model.summary.safetensors`` say; ``~`` is expanded. What lies there is replaced once the new
            file is complete.

        Raises
        ------
        OSError
            If the file cannot be written. What was there before is then still there.

        Examples
        --------
        >>> summarize(model).save("model.summary.safetensors")
        """
        from weightwidget.summary.storage import save_summary  # it needs this class

        save_summary(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ModelSummary:
        """Read a summary that `save` wrote: the same to the last bit.

        Parameters
        ----------
        path
            Of the file; ``~`` is expanded.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged, from a newer version, or no summary.
        """
        from weightwidget.summary.loading import load_summary

        return load_summary(path)

    def as_source(self, name: str | None = None) -> SavedSource:
        """Give the summary as a source of weights of which nothing but this summary is known.

        Parameters
        ----------
        name
            What to call the model; by default as the summary is called.
        """
        from weightwidget.summary.opening import as_source

        return as_source(self, name)


def _one_of(name: str, first: TensorSummary, second: TensorSummary) -> TensorSummary:
    """The record of a tensor that is in two parts: the one with statistics, or else one of two reasons."""
    if first.error and second.error:
        return min(first, second, key=lambda one: (one.error, one.dtype, one.shape, one.kind, one.role))
    if first.error or second.error:
        return second if first.error else first
    raise ValueError(
        f"tensor {name!r} was summarised in two of the parts and would count twice: summarise every tensor in one "
        "part only"
    )


def _telling(info: ModuleInfo) -> tuple[object, ...]:
    """Sorting key of what is known of a module: what tells more comes first."""
    return not info.kind, not info.hyper, info.kind, info.library, info.bases, repr(sorted(info.hyper.items()))
