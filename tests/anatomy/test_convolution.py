"""Convolutions: axes by class, hyperparameters, name and shape."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from weightwidget.anatomy.anatomy import axes
from weightwidget.anatomy.axes import Axes
from weightwidget.sources import open_weights
from weightwidget.sources.base import ModuleInfo, TensorRef
from weightwidget.sources.source import ListedSource
from weightwidget.wire.answers.filters import layout_of


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_pytorch_layouts(ndim, groups, lazy, transposed):
    kind = f"Conv{'Transpose' if transposed else ''}{ndim}d"
    layer = getattr(nn, f"Lazy{kind}")(6, 3, groups=groups) if lazy else getattr(nn, kind)(4, 6, 3, groups=groups)
    if lazy:
        layer(torch.zeros(1, 4, *[8] * ndim))
    found = axes(layer)["weight"]
    kernel = {1: ("k",), 2: ("kh", "kw"), 3: ("kd", "kh", "kw")}[ndim]
    assert found.names == (*(("in", "out") if transposed else ("out", "in")), *kernel)
    assert (found.output, found.input) == ((1, 0) if transposed else (0, 1))
    assert found.what == "conv"
    assert found.certain
    assert found.groups == groups
    assert found.spatial == tuple(range(2, ndim + 2))
    assert found.why == f"torch.nn.{kind}"
    assert len(found.names) == layer.weight.ndim
    # Along the axis with the channels of all groups each group is a block.
    expected = {"group 0": slice(0, layer.weight.shape[0] // 2)} if groups == 2 else {}
    assert {name: found.blocks[name] for name in list(found.blocks)[:1]} == expected
    bias = axes(layer)["bias"]
    assert (bias.names, bias.what, bias.output, bias.certain) == (("out",), "bias", 0, True)


def test_a_group_reads_the_channels_of_its_block():
    layer = nn.Conv2d(6, 4, 3, groups=2, bias=False)
    with torch.no_grad():
        layer.weight[axes(layer)["weight"].blocks["group 1"]] = 0.0
    answer = layer(torch.randn(1, 6, 5, 5))
    assert answer[:, :2].abs().max() > 0
    assert answer[:, 2:].abs().max() == 0


def test_depthwise_has_no_block_for_each_channel():
    found = axes(nn.Conv2d(8, 8, 3, groups=8))["weight"]
    assert found.groups == 8
    assert not found.blocks


def test_subclasses_are_known():
    class Conv2dSame(nn.Conv2d):
        pass

    class StandardConvTranspose(nn.ConvTranspose1d):
        pass

    found = axes(nn.ModuleDict({"a": Conv2dSame(4, 6, 3, groups=2), "b": StandardConvTranspose(4, 6, 5)}))
    assert found["a.weight"].names == ("out", "in", "kh", "kw")
    assert found["a.weight"].groups == 2
    assert found["a.weight"].certain
    assert found["b.weight"].names == ("in", "out", "k")
    assert found["b.bias"].certain


def test_other_classes_are_known_by_their_hyperparameters():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_channels, self.out_channels, self.groups = 4, 6, 2
            self.kernel_size, self.transposed = (3, 5), True
            self.weight = nn.Parameter(torch.zeros(4, 3, 3, 5))

    found = axes(nn.ModuleDict({"x": Own()}))["x.weight"]
    assert found.names == ("in", "out", "kh", "kw")
    assert found.certain
    assert "Own" in found.why


def test_a_class_of_that_name_with_other_shapes_is_not_believed():
    class Conv2d(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_channels, self.out_channels, self.groups = 5, 7, 1
            self.weight = nn.Parameter(torch.zeros(3, 3, 5, 7))

    found = axes(nn.ModuleDict({"x": Conv2d()}))["x.weight"]
    assert not found.certain


def test_pruned_and_normalised_kernels():
    pruned = prune.identity(nn.Conv2d(3, 4, 3), "weight")
    found = axes(pruned)
    assert found["weight_orig"].names == found["weight_mask"].names == ("out", "in", "kh", "kw")
    normed = nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 6, 5))
    found = axes(nn.Sequential(normed))
    assert found["0.parametrizations.weight.original1"].names == ("out", "in", "k")
    assert found["0.parametrizations.weight.original1"].certain
    assert found["0.parametrizations.weight.original0"].what == "channel"
    assert found["0.bias"].what == "bias"


def keras(kind: str, kernels: dict[str, tuple[int, ...]], **hyper: int) -> dict[str, Axes]:
    refs = [TensorRef(f"layer.{leaf}", shape, "float32", "weight", torch.zeros) for leaf, shape in kernels.items()]
    modules = {"": ModuleInfo("", "Sequential"), "layer": ModuleInfo("layer", kind, hyper)}
    return dict(axes(ListedSource("model", refs, modules, {})))


@pytest.mark.parametrize(
    ("kind", "leaf", "shape", "names", "outputs", "inputs", "groups"),
    [
        ("Conv1D", "kernel", (5, 3, 8), ("k", "in", "out"), 2, 1, 1),
        ("Conv2D", "kernel", (3, 5, 4, 8), ("kh", "kw", "in", "out"), 3, 2, 1),
        ("Conv3D", "kernel", (3, 5, 2, 4, 8), ("kd", "kh", "kw", "in", "out"), 4, 3, 1),
        ("DepthwiseConv2D", "kernel", (3, 5, 4, 2), ("kh", "kw", "in", "multiplier"), 3, 2, 4),
        ("SeparableConv2D", "depthwise_kernel", (3, 5, 4, 2), ("kh", "kw", "in", "multiplier"), 3, 2, 4),
        ("SeparableConv2D", "pointwise_kernel", (1, 1, 8, 6), ("kh", "kw", "in", "out"), 3, 2, 1),
        ("Conv2DTranspose", "kernel", (3, 5, 8, 4), ("kh", "kw", "out", "in"), 2, 3, 1),
        ("Conv1DTranspose", "kernel", (5, 8, 4), ("k", "out", "in"), 1, 2, 1),
    ],
)
def test_keras_layouts(kind, leaf, shape, names, outputs, inputs, groups):
    found = keras(kind, {leaf: shape, "bias": (8,)})[f"layer.{leaf}"]
    assert found.names == names
    assert (found.output, found.input, found.groups) == (outputs, inputs, groups)
    assert found.certain
    assert "Keras" in found.why


KERAS_SCRIPT = Path(__file__).with_name("keras_convolutions.py")


@pytest.fixture(scope="module")
def live_keras(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """Kernels of live Keras layers, and what they answer to single pixels. Keras runs in a process of its own: its
    backend, once chosen, holds for the whole process.
    """
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    out = tmp_path_factory.mktemp("keras") / "convolutions.npz"
    environment = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(KERAS_SCRIPT), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(out) as arrays:
        for key in arrays.files:
            case, _, what = key.partition("/")
            found.setdefault(case, {})[what] = arrays[key]
    return found


@pytest.mark.parametrize(
    "case", ["Conv1D", "Conv2D", "Conv2D with groups", "Conv3D", "DepthwiseConv2D", "Conv2DTranspose"]
)
def test_keras_filters_are_what_the_live_layers_compute_with(live_keras, case):
    kernel, answers = live_keras[case]["kernel"], live_keras[case]["answers"]
    about = json.loads(str(live_keras[case]["about"]))
    shapes = {"kernel": kernel.shape, "bias": live_keras[case]["bias"].shape}
    layout = layout_of(keras(about["kind"], shapes, groups=about["groups"])["layer.kernel"], kernel.shape)
    assert layout is not None
    filters = layout.read(open_weights({"w": kernel}).tensors["w"], 0, layout.filters).numpy()
    ndim = len(layout.kernel)
    # The answer to a pixel is the kernel around it; mirrored, where each output looks at what lies around itself.
    middle = tuple(slice(4 - size // 2, 4 + size // 2 + 1) for size in layout.kernel)
    seen = answers[(slice(None), *middle)]
    if "Transpose" not in case:
        seen = np.flip(seen, tuple(range(1, ndim + 1)))
    for number in range(layout.filters):
        first = layout.group(number) * layout.channels
        for channel in range(4):
            inside = first <= channel < first + layout.channels
            expected = filters[number, channel - first] if inside else np.zeros(layout.kernel)
            np.testing.assert_allclose(seen[channel, ..., number], expected, atol=1e-5)


def guessed(**shapes: tuple[int, ...]) -> dict[str, Axes]:
    return dict(axes({name.replace("__", "."): torch.zeros(shape) for name, shape in shapes.items()}))


def test_bare_kernels_are_guessed():
    found = guessed(
        stem__weight=(16, 3, 7, 7),
        stem__bias=(16,),
        conv_dw__weight=(16, 1, 3, 3),
        body__weight=(24, 16, 1, 1),
        volume__weight=(8, 4, 3, 3, 3),
        sound__conv__weight=(12, 4, 5),
        flax__kernel=(3, 3, 16, 32),
        separable__depthwise_kernel=(3, 3, 16, 2),
    )
    assert found["stem.weight"].names == ("out", "in", "kh", "kw")
    assert found["stem.bias"].what == "bias"
    assert found["conv_dw.weight"].groups == 16
    assert found["volume.weight"].names == ("out", "in", "kd", "kh", "kw")
    assert found["sound.conv.weight"].names == ("out", "in", "k")
    assert found["flax.kernel"].names == ("kh", "kw", "in", "out")
    assert found["separable.depthwise_kernel"].names == ("kh", "kw", "in", "multiplier")
    for name, each in found.items():
        assert not each.certain, name
        assert each.why == "guessed from its name and shape", name


def test_the_bias_tells_a_transposed_kernel():
    found = guessed(dec__weight=(32, 3, 8, 8), dec__bias=(3,), enc__weight=(32, 3, 9, 9), enc__bias=(32,))
    assert found["dec.weight"].names == ("in", "out", "kh", "kw")
    assert (found["dec.weight"].output, found["dec.weight"].input) == (1, 0)
    assert found["enc.weight"].names == ("out", "in", "kh", "kw")


def test_a_first_layer_of_gray_pictures_is_not_depthwise():
    found = guessed(conv1__weight=(16, 1, 7, 7), conv2__weight=(32, 16, 3, 3), conv3__weight=(32, 1, 3, 3))
    assert [found[f"conv{n}.weight"].groups for n in (1, 2, 3)] == [1, 1, 32]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("experts.w1", (8, 64, 48)),
        ("experts.weight", (8, 64, 48)),
        ("pos_embed", (1, 196, 14, 14)),
        ("experts.weight", (2, 4, 64, 256)),
        ("attention.kernel", (64, 4, 16)),
        ("layer.weight", (64, 48)),
    ],
)
def test_what_only_has_many_axes_is_no_kernel(name, shape):
    assert axes({name: torch.zeros(shape)})[name].what != "conv"


def test_linear_layers_on_patches_are_guessed():
    model = nn.ModuleDict({"patch_embed": nn.Linear(3 * 16 * 16, 32), "other": nn.Linear(768, 32)})
    found = axes(model)
    assert found["patch_embed.weight"].names == ("out", "(kh kw in)")
    assert found["patch_embed.weight"].what == "conv"
    assert not found["patch_embed.weight"].certain
    assert found["other.weight"].what == "linear"
