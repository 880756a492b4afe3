"""Summaries as sources of weights of which nothing else is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path

from weightwidget.sources.base import WeightFileError, displayable
from weightwidget.sources.hub import name_of_path
from weightwidget.sources.saved import DEVICE, OPENERS, NotSaved, SavedRef, SavedSource
from weightwidget.summary.loading import load_summary
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.storage import FORMAT


def as_source(summary: ModelSummary, name: str | None = None) -> SavedSource:
    """Give a summary as a source of weights: see `ModelSummary.as_source`.

    Raises
    ------
    ValueError
        If it has no tensors.
    """
    if not summary.tensors:
        raise ValueError("the summary has no tensors: there is nothing to show")
    summary = _presentable(summary)
    reader = NotSaved(name or summary.name)
    refs = [
        SavedRef(
            record.name,
            record.shape,
            record.dtype,
            record.role,
            reader,
            record.shared_with if record.shared_with in summary.tensors else None,
            DEVICE,
            record.nbytes,
        )
        for record in summary.values()
    ]
    return SavedSource(name or summary.name or "summary", refs, summary.infos, summary)


def _presentable(summary: ModelSummary) -> ModelSummary:
    """The summary with names that can be sent, as all sources have them."""
    fit = all(name == displayable(name) for name in chain(summary.tensors, summary.infos) if name)
    if fit and "" not in summary.tensors:
        return summary
    tensors = {}
    for record in summary.values():
        first = None if record.shared_with is None else displayable(record.shared_with)
        known = replace(record, name=displayable(record.name), shared_with=first)
        if known.name in tensors:
            raise ValueError(f"two tensors are called {known.name!r} once invalid characters are replaced. Rename one.")
        tensors[known.name] = known
    infos = {displayable(path) if path else path: info for path, info in summary.infos.items()}
    return ModelSummary(summary.name, tensors, infos)


def _open(path: Path, name: str | None) -> SavedSource:
    summary = load_summary(path)
    if not summary.tensors:
        raise WeightFileError(f"{path}: the summary has no tensors: there is nothing to show.")
    return as_source(summary, name or summary.name or name_of_path(path))


OPENERS[FORMAT] = _open
