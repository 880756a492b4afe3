"""Recurrent layers: what is found, and gate splits checked by a step by hand against the real cell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from weightwidget import axes
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.axes import Place
from weightwidget.anatomy.layers import RecurrentLayer
from weightwidget.sources.base import ModuleInfo
from weightwidget.sources.memory import Entry, list_entries
from weightwidget.sources.source import ListedSource

Arrays = Mapping[str, np.ndarray]


def source_of(arrays: Arrays, modules: Mapping[str, str | ModuleInfo] = {}) -> ListedSource:
    """A source of arrays by name, with the classes of modules by path."""
    listing = list_entries([Entry(name, array, "weight") for name, array in arrays.items()])
    infos = {path: info if isinstance(info, ModuleInfo) else ModuleInfo(path, info) for path, info in modules.items()}
    return ListedSource("by hand", listing.refs, infos)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class Parts:
    """The gates of a layer, as the blocks of its tensors give them.

    Parameters
    ----------
    anatomy
        What is known of the model.
    layer
        One of its recurrent layers.
    arrays
        Its tensors in float64.
    """

    def __init__(self, anatomy: Anatomy, layer: RecurrentLayer, arrays: Arrays) -> None:
        self.anatomy, self.layer, self.arrays = anatomy, layer, arrays

    def block(self, name: str, label: str) -> np.ndarray:
        place: Place = self.anatomy[name].blocks[label]
        return self.arrays[name][place]

    def _part(self, name: str, gate: str) -> np.ndarray:
        return self.arrays[name] if len(self.layer.gates) == 1 else self.block(name, gate)

    def reads(self, x: np.ndarray, h: np.ndarray, gate: str) -> tuple[np.ndarray, np.ndarray]:
        """What the gate gets of input and state, without biases."""
        w, u = (self._part(name, gate) for name in (self.layer.input, self.layer.recurrent))
        return (w @ x, u @ h) if self.layer.layout == "torch" else (x @ w, h @ u)

    def biases(self, gate: str) -> tuple[np.ndarray | float, np.ndarray | float]:
        layer = self.layer
        if layer.input_bias is not None and layer.input_bias == layer.recurrent_bias:
            return tuple(self.block(layer.input_bias, f"{side} › {gate}")[0] for side in ("input", "recurrent"))
        given = (layer.input_bias, layer.recurrent_bias)
        return tuple(0.0 if name is None else self._part(name, gate) for name in given)

    def total(self, x: np.ndarray, h: np.ndarray, gate: str) -> np.ndarray:
        return sum(self.reads(x, h, gate)) + sum(self.biases(gate))

    def lstm(self, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        candidate = "g" if self.layer.layout == "torch" else "c"
        i, f, o = (sigmoid(self.total(x, h, gate)) for gate in "ifo")
        c = f * c + i * np.tanh(self.total(x, h, candidate))
        h = o * np.tanh(c)
        if self.layer.projection is not None:
            h = self.arrays[self.layer.projection] @ h
        return h, c

    def gru(self, x: np.ndarray, h: np.ndarray) -> np.ndarray:
        new = "n" if self.layer.layout == "torch" else "h"
        r, z = (sigmoid(self.total(x, h, gate)) for gate in "rz")
        (inputs, state), (input_bias, state_bias) = self.reads(x, h, new), self.biases(new)
        if self.layer.recurrent_bias is not None:
            candidate = np.tanh(inputs + input_bias + r * (state + state_bias))
        else:  # Keras with reset_after=False: the state is scaled before it is read
            candidate = np.tanh(inputs + input_bias + self.reads(x, r * h, new)[1])
        return (1 - z) * candidate + z * h

    def rnn(self, x: np.ndarray, h: np.ndarray) -> np.ndarray:
        return np.tanh(self.total(x, h, "h"))

    def run(self, xs: np.ndarray) -> np.ndarray:
        """Outputs for a sequence (steps, inputs), in the order of the inputs."""
        layer = self.layer
        size = self.arrays[layer.projection].shape[0] if layer.projection else layer.hidden
        h, c, outputs = np.zeros(size), np.zeros(layer.hidden), []
        for x in xs[::-1] if layer.reverse else xs:
            if layer.kind == "LSTM":
                h, c = self.lstm(x, h, c)
            else:
                h = self.gru(x, h) if layer.kind == "GRU" else self.rnn(x, h)
            outputs.append(h)
        return np.array(outputs[::-1] if layer.reverse else outputs)


def by_hand(anatomy: Anatomy, arrays: Arrays, xs: np.ndarray) -> np.ndarray:
    """Outputs of all layers and directions, one after the other."""
    for number in sorted({layer.layer for layer in anatomy.recurrent}):
        directions = sorted(
            (layer for layer in anatomy.recurrent if layer.layer == number), key=lambda layer: layer.reverse
        )
        xs = np.concatenate([Parts(anatomy, layer, arrays).run(xs) for layer in directions], axis=1)
    return xs


def arrays_of(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().double().numpy() for name, tensor in model.state_dict().items()}


TORCH = {
    "LSTM": lambda: nn.LSTM(7, 5),
    "LSTM without biases": lambda: nn.LSTM(7, 5, bias=False),
    "LSTM with a projection": lambda: nn.LSTM(7, 5, 2, proj_size=3),
    "LSTM of two layers and directions": lambda: nn.LSTM(7, 5, 2, bidirectional=True),
    "LSTM, all of it": lambda: nn.LSTM(7, 5, 2, bidirectional=True, proj_size=2),
    "GRU": lambda: nn.GRU(7, 5),
    "GRU of two layers and directions": lambda: nn.GRU(7, 5, 2, bidirectional=True),
    "RNN": lambda: nn.RNN(7, 5),
    "RNN of three layers": lambda: nn.RNN(7, 5, 3),
}


@pytest.mark.parametrize("make", TORCH.values(), ids=TORCH.keys())
@pytest.mark.parametrize("bare", [False, True], ids=["model", "state dict"])
def test_a_step_by_hand_with_pytorchs_blocks(make, bare):
    torch.manual_seed(0)
    model = make().double()
    with torch.no_grad():  # large enough that a wrong gate shows
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    anatomy = axes(model.state_dict() if bare else model)
    xs = torch.randn(6, 7, dtype=torch.float64)
    with torch.no_grad():
        expected = model(xs)[0].numpy()
    np.testing.assert_allclose(by_hand(anatomy, arrays_of(model), xs.numpy()), expected, atol=1e-12)
    assert all(layer.certain is not bare for layer in anatomy.recurrent)
    assert all(anatomy[name].certain is not bare for name in anatomy)
    assert [layer.kind for layer in anatomy.recurrent] == [type(model).__name__] * len(anatomy.recurrent)


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_single_cells(cell):
    torch.manual_seed(1)
    model = nn.ModuleDict({"cell": cell(4, 3)}).double()
    anatomy = axes(model)
    (layer,) = anatomy.recurrent
    assert (layer.path, layer.hidden, layer.inputs, layer.certain) == ("cell", 3, 4, True)
    assert layer.why == f"torch.nn.{cell.__name__}"
    x = torch.randn(4, dtype=torch.float64)
    with torch.no_grad():
        expected = model.cell(x)
    expected = expected[0] if isinstance(expected, tuple) else expected
    found = Parts(anatomy, layer, arrays_of(model)).run(x.numpy()[None])[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-12)


def test_names_of_axes_and_blocks():
    model = nn.LSTM(7, 5, bidirectional=True, proj_size=2)
    found = axes(model)
    assert found["weight_ih_l0"].names == ("(gate hidden)", "in")
    assert found["weight_hh_l0"].names == ("(gate hidden)", "projected")
    assert found["weight_hr_l0"].names == ("projected", "hidden")
    assert found["bias_ih_l0_reverse"].names == ("(gate hidden)",)
    assert found["weight_ih_l0"].blocks == {
        "i": slice(0, 5),
        "f": slice(5, 10),
        "g": slice(10, 15),
        "o": slice(15, 20),
    }
    assert (found["weight_ih_l0"].output, found["weight_ih_l0"].input) == (0, 1)
    assert [(layer.layer, layer.reverse, layer.inputs) for layer in found.recurrent] == [(0, False, 7), (0, True, 7)]
    assert found.recurrent[1].projection == "weight_hr_l0_reverse"
    assert axes(nn.GRU(3, 4))["weight_hh_l0"].names == ("(gate hidden)", "hidden")
    plain = axes(nn.RNN(3, 4))
    assert plain["weight_hh_l0"].names == ("hidden", "hidden")
    assert not plain["weight_hh_l0"].blocks
    assert plain.recurrent[0].gates == ("h",)


def test_layers_stand_in_the_models_order():
    model = nn.Sequential(nn.GRU(3, 4, 2), nn.LSTM(4, 2, bidirectional=True), nn.RNN(4, 3))
    layers = [(layer.path, layer.layer, layer.reverse) for layer in axes(model).recurrent]
    assert layers == [("0", 0, False), ("0", 1, False), ("1", 0, False), ("1", 0, True), ("2", 0, False)]
    assert [layer.kind for layer in axes(model.state_dict()).recurrent] == ["GRU", "GRU", "LSTM", "LSTM", "RNN"]


def test_a_class_of_ones_own_is_known_by_its_mode():
    class Kept(nn.GRU):
        pass

    (layer,) = axes(Kept(3, 4)).recurrent
    assert (layer.kind, layer.certain) == ("GRU", True)
    assert "Kept" in layer.why


def test_an_unknown_class_is_a_guess_that_says_so():
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight_ih = nn.Parameter(torch.randn(12, 3))
            self.weight_hh = nn.Parameter(torch.randn(12, 4))

    found = axes(Cell())
    (layer,) = found.recurrent
    assert (layer.kind, layer.certain) == ("GRU", False)
    assert "guessed" in layer.why
    assert "3 gates" in layer.why
    assert not found["weight_ih"].certain


@pytest.mark.parametrize(
    "shapes",
    [
        {"weight_ih_l0": (12, 3)},  # no recurrent weights
        {"weight_ih_l0": (10, 3), "weight_hh_l0": (10, 4)},  # no whole number of gates
        {"weight_ih_l0": (8, 3), "weight_hh_l0": (8, 4)},  # two gates
        {"weight_ih_l0": (12, 3), "weight_hh_l0": (16, 4)},
        {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 2), "weight_hr_l0": (3, 4)},
        {"weight_ih_l0": (16, 3, 2), "weight_hh_l0": (16, 4)},
        {"weight_ih_l0": (0, 3), "weight_hh_l0": (0, 0)},
        {"kernel": (3, 8), "recurrent_kernel": (4, 8)},
        {"recurrent_kernel": (4, 16)},
        {"kernel": (3, 16), "recurrent_kernel": (4, 12)},
    ],
    ids=str,
)
def test_what_does_not_fit_is_left_alone(shapes):
    found = axes(source_of({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}))
    assert not found.recurrent
    assert all("gate" not in "".join(found[name].names) for name in shapes)


def test_a_bias_that_does_not_fit_is_not_the_layers():
    shapes = {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "bias_ih_l0": (12,), "bias_hh_l0": (16,)}
    (layer,) = axes(source_of({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})).recurrent
    assert (layer.input_bias, layer.recurrent_bias) == (None, "bias_hh_l0")


def test_masked_and_parametrized_weights():
    model = nn.ModuleDict({"pruned": nn.LSTM(3, 4), "normed": nn.GRU(3, 4)})
    prune.l1_unstructured(model.pruned, "weight_hh_l0", 0.5)
    parametrizations.weight_norm(model.normed, "weight_hh_l0")
    found = axes(model)
    pruned, normed = found.recurrent
    assert pruned.recurrent == "pruned.weight_hh_l0_orig"
    assert normed.recurrent == "normed.parametrizations.weight_hh_l0.original1"
    for layer in (pruned, normed):
        assert layer.certain
        assert "before their mask or parametrization" in layer.why
    assert list(found["pruned.weight_hh_l0_mask"].blocks) == ["i", "f", "g", "o"]
    assert list(found["normed.parametrizations.weight_hh_l0.original1"].blocks) == ["r", "z", "n"]
    assert normed.why.startswith("torch.nn.GRU")


# -- Keras --------------------------------------------------------------------------------------------------------


def keras_arrays(kind: str, gates: int, *, bias: tuple[int, ...] | None, path: str = "layer") -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = {"kernel": (3, gates * 4), "recurrent_kernel": (4, gates * 4)} | ({"bias": bias} if bias else {})
    return {f"{path}.{name}": generator.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("kind", "gates", "bias"),
    [("LSTM", "ifco", (16,)), ("GRU", "zrh", (12,)), ("GRU", "zrh", (2, 12)), ("GRU", "zrh", None)],
)
def test_keras_blocks_lie_along_the_columns(kind, gates, bias):
    arrays = keras_arrays(kind, len(gates), bias=bias)
    for modules in ({"layer": kind}, {}):
        found = axes(source_of(arrays, modules))
        (layer,) = found.recurrent
        assert (layer.kind, layer.gates, layer.layout) == (kind, tuple(gates), "keras")
        assert layer.certain is bool(modules)
        assert ("guessed" in layer.why) is not bool(modules)
        assert (layer.hidden, layer.inputs) == (4, 3)
        assert found["layer.kernel"].names == ("in", "(gate hidden)")
        assert found["layer.recurrent_kernel"].names == ("hidden", "(gate hidden)")
        assert found["layer.kernel"].blocks[gates[1]] == (slice(None), slice(4, 8))
        if bias is not None and len(bias) == 2:
            assert layer.input_bias == layer.recurrent_bias == "layer.bias"
            assert found["layer.bias"].blocks[f"recurrent › {gates[0]}"] == (slice(1, 2), slice(0, 4))
        else:
            assert (layer.input_bias, layer.recurrent_bias) == ("layer.bias" if bias else None, None)


@pytest.mark.parametrize(
    ("modules", "prefix", "path", "reverse"),
    [
        ({"": "Sequential", "lstm": "LSTM", "lstm.lstm_cell": "LSTMCell"}, "lstm.lstm_cell", "lstm", False),
        ({"lstm": "LSTM"}, "lstm.cell", "lstm", False),
        ({"": "Functional", "lstm_cell": "LSTMCell"}, "lstm_cell", "lstm_cell", False),
        ({"bi": "Bidirectional", "bi.forward_lstm": "LSTM"}, "bi.forward_lstm.lstm_cell", "bi", False),
        ({"bi": "Bidirectional", "bi.backward_lstm": "LSTM"}, "bi.backward_lstm.lstm_cell", "bi", True),
        ({"bi": "Bidirectional", "bi.backward_layer": "LSTM"}, "bi.backward_layer", "bi", True),
        ({"lstm": ModuleInfo("lstm", "LSTM", {"go_backwards": True})}, "lstm.lstm_cell", "lstm", True),
        ({}, "lstm", "lstm", False),
    ],
)
def test_the_layer_around_keras_cells_and_directions(modules, prefix, path, reverse):
    (layer,) = axes(source_of(keras_arrays("LSTM", 4, bias=(16,), path=prefix), modules)).recurrent
    assert (layer.path, layer.reverse, layer.certain) == (path, reverse, bool(modules))


def test_conv_lstm_has_gates_but_is_no_layer_of_matrices():
    shapes = {"kernel": (3, 5, 2, 24), "recurrent_kernel": (3, 5, 6, 24), "bias": (24,)}
    arrays = {f"cl.{name}": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    found = axes(source_of(arrays, {"cl": "ConvLSTM2D"}))
    assert not found.recurrent
    assert found["cl.kernel"].names == ("kh", "kw", "in", "(gate filter)")
    assert found["cl.recurrent_kernel"].blocks["c"] == (*[slice(None)] * 3, slice(12, 18))
    assert found["cl.bias"].blocks["o"] == slice(18, 24)
    assert found["cl.kernel"].certain


KERAS = Path(__file__).with_name("keras_layers.py")


@pytest.fixture(scope="module")
def keras_cases(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """Weights, inputs and outputs of live Keras layers. Keras runs in a process of its own: its backend, once chosen,
    holds for the whole process, and other tests must not depend on it.
    """
    out = tmp_path_factory.mktemp("keras") / "cases.npz"
    home = {"KERAS_HOME": str(out.parent), "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, str(KERAS), str(out)], env={**os.environ, **home}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    cases: dict[str, dict[str, np.ndarray]] = {}
    with np.load(out) as stored:
        for key in stored.files:
            case, _, name = key.partition("/")
            cases.setdefault(case, {})[name] = stored[key]
    return cases


KERAS_CASES = [
    "LSTM",
    "LSTM without bias",
    "GRU reset_after",
    "GRU reset before",
    "SimpleRNN",
    "Bidirectional LSTM",
    "Bidirectional GRU",
]


@pytest.mark.parametrize("case", KERAS_CASES)
@pytest.mark.parametrize("bare", [False, True], ids=["classes", "names only"])
def test_a_step_by_hand_with_keras_blocks(keras_cases, case, bare):
    stored = keras_cases[case]
    modules = {} if bare else json.loads(str(stored["modules"]))
    weights = {name.removeprefix("weight:"): array for name, array in stored.items() if name.startswith("weight:")}
    found = axes(source_of(weights, modules))
    assert all(layer.certain is not bare for layer in found.recurrent)
    assert len(found.recurrent) == (2 if case.startswith("Bidirectional") else 1)
    assert len({layer.path for layer in found.recurrent}) == 1
    wide = {name: array.astype(np.float64) for name, array in weights.items()}
    np.testing.assert_allclose(by_hand(found, wide, stored["inputs"]), stored["outputs"], atol=2e-6)
