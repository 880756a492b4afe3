"""Rules: from module classes, hyperparameters, names and shapes to the meaning of axes.

Importing a module of rules registers them. Rules by class come first, then those that look at several modules at
once, then guesses by name and shape for what is still unknown.
"""

from __future__ import annotations

from weightwidget.anatomy.found import Found
from weightwidget.anatomy.rules import convolution, dense, norm, recurrent  # noqa: F401 - registers the rules
from weightwidget.anatomy.rules.attention import attention_by_names, finish_multihead
from weightwidget.anatomy.rules.base import RULES, ModuleView
from weightwidget.sources.base import TensorRef, WeightSource


def find(source: WeightSource) -> Found:
    """Apply all rules to a source."""
    found = Found()
    own: dict[str, dict[str, TensorRef]] = {}
    for ref in source.tensors.values():
        own.setdefault(ref.module, {})[ref.name.rpartition(".")[2]] = ref
    for path, info in source.modules.items():
        rule = RULES.get(info.kind)
        if rule is not None:
            rule(ModuleView(path, info.kind, info.hyper, own.get(path, {}), source), found)
    finish_multihead(found)
    attention_by_names(source, found)
    return found
