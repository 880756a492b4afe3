"""Rules: from module classes, hyperparameters, names and shapes to the meaning of axes.

Importing a module of rules registers them. Users' rules come first, then those by class, then those that look at
several modules at once (attention, experts), at last guesses by name and shape for what is still unknown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace

from weightwidget.anatomy.axes import Axes
from weightwidget.anatomy.check import check_axes
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import ExpertWeights
from weightwidget.anatomy.rules import attention, dense, norm  # noqa: F401 - registers the rules
from weightwidget.anatomy.rules.base import LIBRARIES, RULES, ModuleView
from weightwidget.anatomy.rules.convolution import finish_convolutions, guess_kernel
from weightwidget.anatomy.rules.custom import CUSTOM, apply_custom
from weightwidget.anatomy.rules.dense import gated_halves
from weightwidget.anatomy.rules.experts import mixtures_of_experts
from weightwidget.anatomy.rules.fused import fused_projections
from weightwidget.anatomy.rules.guesses import guess_layers
from weightwidget.anatomy.rules.latent import latent_attention
from weightwidget.anatomy.rules.model import Model
from weightwidget.anatomy.rules.norm import layer_scale, norm_by_class_name
from weightwidget.anatomy.rules.parameters import name_parameters, state_spaces
from weightwidget.anatomy.rules.projections import separate_projections
from weightwidget.anatomy.rules.recurrent import recurrent_layers
from weightwidget.anatomy.rules.variants import name_adapters, name_companions
from weightwidget.sources.base import WeightSource

log = logging.getLogger(__name__)


def find(source: WeightSource, heads: Mapping[str, tuple[int, int | None]] | None = None) -> Found:
    """Apply all rules to a source. Names, shapes, classes and hyperparameters are looked at; nothing is read.

    Parameters
    ----------
    source
        The weights.
    heads
        Heads, and key and value heads, that were set by hand, by path of a module; ``""`` for all.
    """
    model, found = Model(source, heads), Found()
    if CUSTOM:
        apply_custom(_custom_views(model), found)
    own = dict(found.axes)
    by_class(model, found)
    recurrent_layers(source, found)
    name_parameters(model, found)
    guess_layers(model, found)
    latent_attention(model, found)
    separate_projections(model, found)
    fused_projections(model, found)
    gated_halves(model, found)
    state_spaces(model, found)
    mixtures_of_experts(model, found)
    finish_convolutions(source, found)
    _parametrized_kernels(model, found)
    name_companions(model, found)
    name_adapters(model, found)
    found.axes.update(own)
    _drop_misfits(source, found)
    _sort(source, found)
    return found


def by_class(model: Model, found: Found) -> None:
    """Apply the rules by class name; of a class derived from one of PyTorch's, the rule of that."""
    for path, info in model.source.modules.items():
        if info.library in LIBRARIES and info.kind in RULES:
            RULES[info.kind](_view(model, path, info.kind), found)
            continue
        base = next((base for base in info.bases if base in RULES), None)
        if base is not None:
            RULES[base](_view(model, path, base), found)
        elif info.library in LIBRARIES and info.kind:
            norm_by_class_name(_view(model, path, info.kind), found)
            layer_scale(_view(model, path, info.kind), found)


def _view(model: Model, path: str, kind: str) -> ModuleView:
    info = model.info(path)
    return ModuleView(path, kind, info.hyper, model.own.get(path, {}), model.source, info.library)


def _parametrized_kernels(model: Model, found: Found) -> None:
    """Guess kernels that are stored under the names of parametrizations."""
    for path, leaves in model.own.items():
        ref = leaves.get("weight")
        if ref is not None and len(ref.shape) > 2 and ref.name not in found.axes and not ref.name.endswith(".weight"):
            axes = guess_kernel(replace(ref, name=f"{path}.weight"), leaves, False)
            if axes is not None:
                found.axes[ref.name] = axes


def _custom_views(model: Model) -> Iterator[tuple[str, ModuleView]]:
    for path, info in model.source.modules.items():
        for key in dict.fromkeys((info.kind, info.hyper.get("model_type"))):
            if isinstance(key, str) and key in CUSTOM:
                yield key, _view(model, path, info.kind)


def _drop_misfits(source: WeightSource, found: Found) -> None:
    """Axes that do not fit their tensor would break every view of it: such a tensor is unknown, and it is logged."""
    checked: set[tuple[Axes, tuple[int, ...]]] = set()
    for name, axes in list(found.axes.items()):
        ref = source.tensors.get(name)
        if ref is None:
            del found.axes[name]
        elif (axes, ref.shape) not in checked:
            try:
                check_axes(axes, name, ref.shape)
                checked.add((axes, ref.shape))
            except ValueError as error:
                log.warning("a rule is wrong, and is not followed: %s", error)
                del found.axes[name]


def _first(weight: ExpertWeights) -> str:
    """Name of the tensor of the first expert."""
    return weight.path(0) if weight.stacked is None else weight.pattern


def _sort(source: WeightSource, found: Found) -> None:
    """Bring layers into the model's order, which is that of their first tensors."""
    place = {name: number for number, name in enumerate(source.tensors)}
    last = len(place)
    found.attention.sort(
        key=lambda layer: min(
            (place.get(blocks.tensor, last) for blocks in (layer.query, layer.key, layer.value) if blocks), default=last
        )
    )
    found.experts.sort(key=lambda layer: min((place.get(_first(one), last) for one in layer.weights), default=last))
    found.embeddings.sort(key=lambda table: place.get(table.tensor, last))
