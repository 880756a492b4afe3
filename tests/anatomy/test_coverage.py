"""What the rules know of many architectures does not become less, and files tell what live models tell."""

from __future__ import annotations

import json

import pytest
from torch import nn

from tests.anatomy.architectures import CONFIGS, PLAIN
from tests.anatomy.coverage import coverage, model_of
from weightwidget import Anatomy, Axes, open_weights
from weightwidget.anatomy.rules.model import KNOWN_FILES
from weightwidget.sources.base import ModuleInfo, TensorRef, role_of
from weightwidget.sources.module import plain_config
from weightwidget.sources.source import ListedSource

FLOORS = {"stacked experts": 0.03}
"""Least share of parameters with certain axes; of all others everything is certain."""

NO_ATTENTION = {"fnet", "mamba", "mamba2", "rwkv", "convnext", "resnet", "mobilenet_v2"}
WITHOUT_OUTPUT = {"convbert"}
"""ConvBERT's output projection reads heads and a convolution side by side."""


def never(_index: object) -> None:
    raise AssertionError("a rule read a tensor")


def as_file(model: nn.Module, with_config: bool) -> ListedSource:
    """The names and shapes of a model's state dict, as they are in a file; nothing can be read."""
    refs = [
        TensorRef(name, tuple(value.shape), "float32", role_of(name, value.ndim), never)
        for name, value in model.state_dict().items()
    ]
    modules = {}
    if with_config:
        config = json.loads(model.config.to_json_string(use_diff=False))
        modules[""] = ModuleInfo("", type(model).__name__, plain_config(config))
    return ListedSource("a file", refs, modules)


def test_the_sweep_is_wide() -> None:
    assert len(CONFIGS) >= 40


@pytest.mark.parametrize("name", [*CONFIGS, *PLAIN])
def test_share_of_parameters_with_certain_axes(name: str) -> None:
    found = coverage(model_of(name))
    assert found.unknown == 0, found.open
    assert found.certain >= FLOORS.get(name, 1.0), found.open


@pytest.mark.parametrize("name", CONFIGS)
def test_attention_layers_are_found_with_all_projections(name: str) -> None:
    anatomy = Anatomy(open_weights(model_of(name)))
    assert bool(anatomy.attention) == (name not in NO_ATTENTION)
    for layer in anatomy.attention:
        assert layer.certain
        assert layer.heads % layer.kv_heads == 0
        for part in ("query", "key", "value", *(() if name in WITHOUT_OUTPUT else ("output",))):
            blocks = layer.projection(part)
            assert blocks is not None, part
            assert blocks.tensor.startswith(layer.path), part
            assert blocks.count == (layer.kv_heads if part in ("key", "value") else layer.heads)
            assert blocks.tensor in anatomy
            shape = anatomy.source.tensors[blocks.tensor].shape
            assert 0 <= blocks.start(0) <= blocks.start(blocks.count - 1) <= shape[blocks.axis] - blocks.size
    paths = [layer.path for layer in anatomy.attention]
    assert len(set(paths)) == len(paths)
    assert not any(other.startswith(f"{path}.") for path in paths for other in paths), "a layer within a layer"


def meaning(axes: Axes) -> tuple[object, ...]:
    return axes.names, axes.output, axes.input, axes.splits


@pytest.mark.parametrize("name", CONFIGS)
def test_a_file_tells_nothing_for_certain_that_the_classes_deny(name: str) -> None:
    model = model_of(name)
    live, file, bare = (
        Anatomy(source) for source in (open_weights(model), as_file(model, True), as_file(model, False))
    )
    certain = [key for key in file if file[key].certain and file[key].names]
    assert bool(certain) == (name in KNOWN_FILES)
    for key in certain:
        assert meaning(file[key]) == meaning(live[key]), key
    sizes = {key: ref.numel for key, ref in bare.source.tensors.items()}
    assert not [key for key in bare if bare[key].certain and sizes[key] > 1], "names alone are never certain"
    if name in KNOWN_FILES:
        assert [layer.path for layer in file.attention] == [layer.path for layer in live.attention]
        assert [layer.path for layer in file.experts] == [layer.path for layer in live.experts]


# Fused layouts and latent attention that only the configuration tells, and names that mean something else here.
MISTAKEN = {
    "deberta": 0.25,
    "modernbert": 0.32,
    "codegen": 0.24,
    "falcon": 0.24,
    "ctrl": 0.17,
    "deepseek_v2": 0.28,
    "deepseek_v3": 0.28,
    "sam": 0.02,
    "nystromformer": 0.02,
    "convbert": 0.01,
    "wav2vec2": 0.01,
    "hubert": 0.01,
}
"""Share of parameters whose axes are guessed wrongly, or not named as they should be, from names alone."""

TURNED = {
    "ctrl": ["w.weight"],
    "sam": [
        *(f"prompt_encoder.point_embed.{number}.weight" for number in range(4)),
        *("mask_decoder.iou_token.weight", "mask_decoder.mask_tokens.weight"),
    ],
}
"""Tables of embeddings whose names do not tell that."""


@pytest.mark.parametrize("name", CONFIGS)
def test_guesses_from_names_alone_are_mostly_right(name: str) -> None:
    model = model_of(name)
    live, bare = Anatomy(open_weights(model)), Anatomy(as_file(model, False))
    weights = [key for key, ref in bare.source.tensors.items() if ref.role not in ("buffer", "mask")]
    sizes = {key: bare.source.tensors[key].numel for key in weights}
    wrong = sum(sizes[key] for key in weights if live[key].known and live[key].names != bare[key].names)
    turned = [key for key in weights if bare[key].output is not None and live[key].output != bare[key].output]
    assert wrong <= MISTAKEN.get(name, 0.0) * sum(sizes.values())
    assert turned == TURNED.get(name, [])
