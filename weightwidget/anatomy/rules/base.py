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
    path
        Full name; empty for the root.
    kind
        Its class name; of a class derived from one that a rule is for, the name of that one.
    hyper
        As of `weightwidget.sources.base.ModuleInfo`.
    tensors
        Its own tensors by the last part of their names: ``{"weight": ref, "bias": ref}``. Of masked and parametrized
        weights (``weight_orig``, ``parametrizations.weight.original``) what is stored stands for the weight.
    source
        The whole model, for rules that look around.
    library
        Package that defines the class: ``"torch"``, ``"transformers"``; empty if that is not known.
    """

    path: str
    kind: str
    hyper: Mapping[str, Any]
    tensors: Mapping[str, TensorRef]
    source: WeightSource
    library: str = ""

    def below(self, name: str) -> TensorRef | None:
        """The tensor ``"out_proj.weight"`` inside the module, None if there is none."""
        return self.source.tensors.get(f"{self.path}.{name}" if self.path else name)


Rule: TypeAlias = Callable[[ModuleView, Found], None]
"""Adds to what is found. Raises nothing: a module that is not as expected is left alone."""

RULES: dict[str, Rule] = {}
"""Rules by class name of the module."""

LIBRARIES = frozenset(
    {
        *("", "torch", "torchvision", "torchaudio", "transformers", "transformers_modules", "sentence_transformers"),
        *("diffusers", "timm", "peft", "keras", "flax"),
    }
)
"""Packages whose class names mean what the rules take them for; empty: the package is not known."""


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
