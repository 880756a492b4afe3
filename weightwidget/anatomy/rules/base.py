"""What a rule sees of a module, and the register of rules by class name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from weightwidget.anatomy.found import Found
from weightwidget.sources.base import TensorRef, WeightSource


@dataclass(frozen=True)
class ModuleView:
    """A module as rules see it.

    Attributes
    ----------
    path, kind, hyper
        As of `weightwidget.sources.base.ModuleInfo`.
    tensors
        Its own tensors by the last part of their names: ``{"weight": ref, "bias": ref}``.
    source
        The whole model, for rules that look around.
    """

    path: str
    kind: str
    hyper: Mapping[str, Any]
    tensors: Mapping[str, TensorRef]
    source: WeightSource


Rule: TypeAlias = Callable[[ModuleView, Found], None]
"""Adds to what is found. Raises nothing: a module that is not as expected is left alone."""

RULES: dict[str, Rule] = {}
"""Rules by class name of the module."""


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Register a rule for modules of these classes.

    Parameters
    ----------
    kinds
        Class names, without the package.
    """

    def register(function: Rule) -> Rule:
        for kind in kinds:
            RULES[kind] = function
        return function

    return register
