"""Weights of a mapping: a state dict, a checkpoint, arrays by name; nested as people nest them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from weightwidget.sources.base import ModuleInfo, role_of
from weightwidget.sources.memory import Entry, list_entries
from weightwidget.sources.module import walk_module
from weightwidget.sources.names import visible
from weightwidget.sources.source import ListedSource

_DEEPEST = 64
"""Levels of nesting that are followed: far beyond any checkpoint, far below Python's recursion limit."""


def open_state_dict(mapping: Mapping[Any, Any], name: str | None = None) -> ListedSource:
    """Open a mapping of tensors.

    Parameters
    ----------
    mapping
        Tensors, NumPy arrays, modules, or dictionaries, lists and tuples of them. Keys are joined by dots.
        The tensors are shared, not copied.
    name
        What to call it.

    Raises
    ------
    ValueError
        If there is no tensor in it, or if two names fall together.
    """
    name = name or "state dict"
    tree = Flattened(mapping)
    listing = list_entries(tree.entries)
    skipped = {**tree.skipped, **listing.skipped}
    if not listing.refs:
        raise ValueError(f"{visible(name)} has no weights to show: {no_tensors(skipped)}.")
    return ListedSource(name, listing.refs, tree.modules, skipped, listing.release)


class Flattened:
    """Tensors of nested mappings and sequences, under names joined by dots.

    Parameters
    ----------
    tree
        Mapping, list, tuple, tensor, array or module, nested at will.

    Attributes
    ----------
    entries
        The tensors, in order.
    modules
        The modules of models found in it.
    skipped
        What is no tensor, by name, with the reason; a container without any tensor is one entry.
    """

    def __init__(self, tree: Any) -> None:
        self.entries: list[Entry] = []
        self.modules: dict[str, ModuleInfo] = {}
        self.skipped: dict[str, str] = {}
        self._visit(tree, (), ())

    def _visit(self, value: Any, path: tuple[str, ...], above: tuple[int, ...]) -> None:
        name = ".".join(path) or "tensor"
        if isinstance(value, torch.Tensor | np.ndarray):
            self.entries.append(Entry(name, value, role_of(name, _rank(value))))
        elif isinstance(value, nn.Module):
            walk = walk_module(value, ".".join(path))
            self.entries += walk.entries
            self.modules |= walk.modules
            self.skipped |= walk.skipped
        elif isinstance(value, Mapping):
            self._visit_items(((str(key), item) for key, item in value.items()), value, path, above)
        elif isinstance(value, list | tuple):
            self._visit_items(((str(key), item) for key, item in enumerate(value)), value, path, above)
        else:
            self.skipped[name] = f"{_kind(value)}, not a tensor"

    def _visit_items(
        self, items: Iterable[tuple[str, Any]], container: Any, path: tuple[str, ...], above: tuple[int, ...]
    ) -> None:
        name = ".".join(path)
        if id(container) in above:
            self.skipped[name] = "contains itself"
            return
        if len(path) >= _DEEPEST:
            self.skipped[name] = f"nested more than {_DEEPEST} levels deep"
            return
        tensors, outer_skipped = len(self.entries), self.skipped
        self.skipped = {}
        for key, item in items:
            self._visit(item, (*path, key or "(unnamed)"), (*above, id(container)))
        inner_skipped, self.skipped = self.skipped, outer_skipped
        if path and len(self.entries) == tensors and _harmless(inner_skipped):
            # The parameter groups of an optimizer hold thousands of numbers: one line says it.
            self.skipped[name] = f"{_kind(container)} without tensors"
        else:
            self.skipped |= inner_skipped


def no_tensors(skipped: Mapping[str, str]) -> str:
    """Says that nothing but the skipped was found."""
    if not skipped:
        return "it is empty"
    shown = [visible(f"{key}: {reason}") for key, reason in list(skipped.items())[:5]]
    more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return "it holds no tensors (" + "; ".join(shown) + more + ")"


def _harmless(skipped: Mapping[str, str]) -> bool:
    """Whether all that was skipped are values that nobody would look for among the weights."""
    return all(reason.endswith(("not a tensor", "without tensors")) for reason in skipped.values())


def _rank(value: torch.Tensor | np.ndarray[Any, Any]) -> int:
    return 0 if isinstance(value, torch.Tensor) and nn.parameter.is_lazy(value) else value.ndim


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__
