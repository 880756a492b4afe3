"""The gates of a layer as they are sent, against the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from tests.anatomy.test_recurrent import keras_arrays, source_of
from weightwidget import WeightExplorer
from weightwidget.anatomy.layers import RecurrentLayer
from weightwidget.detail.gates import bias_time_scales
from weightwidget.wire.handlers import SLOW, answer


@pytest.fixture
def explore() -> Iterator:
    opened: list[WeightExplorer] = []

    def explore(obj) -> WeightExplorer:
        opened.append(WeightExplorer(obj).wait())
        return opened[-1]

    yield explore
    for explorer in opened:
        explorer.close()


class Sent:
    """An answer, unpacked."""

    def __init__(self, explorer: WeightExplorer, layer: RecurrentLayer) -> None:
        self.reply, buffers = answer(explorer, {"kind": "gates", "recurrent": layer.recurrent})
        count, units = len(self.reply["gates"]), self.reply["units"]
        wide = [np.frombuffer(buffer, "<f8") for buffer in buffers[:6]]
        self.statistics = wide[0].reshape(2, count, 8)
        self.histograms = wide[1].reshape(2, count, self.reply["bins"] + 2)
        self.norms = wide[2].reshape(3, count, units)
        self.biases = wide[3].reshape(2, count, units)
        self.scales, self.projected = wide[4], wide[5]
        sizes = [self.reply["pictures"][number // count] for number in range(2 * count)]
        self.pictures = [
            np.frombuffer(buffer, "<f4").reshape(size) for buffer, size in zip(buffers[6:], sizes, strict=True)
        ]


def blocks_of(layer: RecurrentLayer, weights: np.ndarray) -> list[np.ndarray]:
    return np.split(weights, len(layer.gates), axis=0 if layer.layout == "torch" else 1)


def check_blocks(sent: Sent, layer: RecurrentLayer, tensors: dict[str, np.ndarray]) -> None:
    units = 0 if layer.layout == "torch" else 1
    limit = sent.reply["limit"]
    for side, name in enumerate((layer.input, layer.recurrent)):
        for gate, block in enumerate(blocks_of(layer, tensors[name].astype(np.float64))):
            mean, std, norm, low, high, q01, q99, bad = sent.statistics[side, gate]
            np.testing.assert_allclose([mean, std], [block.mean(), block.std()], rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose([norm, low, high], [np.linalg.norm(block), block.min(), block.max()], rtol=1e-6)
            np.testing.assert_allclose([q01, q99], np.quantile(block, [0.01, 0.99]), rtol=0.02)
            assert bad == 0
            counts = sent.histograms[side, gate]
            assert counts.sum() == pytest.approx(block.size)
            assert counts[0] == pytest.approx((block < -limit).sum(), abs=1)
            assert counts[-1] == pytest.approx((block > limit).sum(), abs=1)
            np.testing.assert_allclose(
                sent.norms[side, gate], np.linalg.norm(block, axis=1 - units), rtol=1e-6, atol=1e-9
            )
            if side == 1 and layer.projection is None:
                np.testing.assert_allclose(sent.norms[2, gate], np.linalg.norm(block, axis=units), rtol=1e-6)
            np.testing.assert_array_equal(sent.pictures[side * len(layer.gates) + gate], block.astype(np.float32))


def numpy_of(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(
    ("model", "gates"),
    [
        (nn.LSTM(7, 5), "ifgo"),
        (nn.LSTM(7, 5, bidirectional=True, num_layers=2), "ifgo"),
        (nn.GRU(7, 5), "rzn"),
        (nn.RNN(7, 5), "h"),
    ],
    ids=["LSTM", "LSTM of two layers and directions", "GRU", "RNN"],
)
def test_blocks_biases_and_norms_of_pytorch_layers(explore, model, gates):
    explorer, tensors = explore(model), numpy_of(model)
    for layer in explorer.anatomy.recurrent:
        sent = Sent(explorer, layer)
        assert sent.reply["gates"] == list(gates)
        check_blocks(sent, layer, tensors)
        names = (layer.input_bias, layer.recurrent_bias)
        for side, name in enumerate(names):
            np.testing.assert_array_equal(sent.biases[side], tensors[name].reshape(len(gates), 5))
        assert sent.reply["separate"] == (["n"] if gates == "rzn" else [])
        if gates == "h":
            assert sent.reply["keeper"] is None
            assert sent.scales.size == 0
        else:
            assert sent.reply["keeper"] == gates[1]
            total = sum(tensors[name].astype(np.float64)[5:10] for name in names)
            np.testing.assert_allclose(sent.scales, bias_time_scales(total))
        assert sent.projected.size == 0


def test_a_projection(explore):
    model = nn.LSTM(7, 6, proj_size=4)
    explorer, tensors = explore(model), numpy_of(model)
    (layer,) = explorer.anatomy.recurrent
    sent = Sent(explorer, layer)
    check_blocks(sent, layer, tensors)
    assert np.isnan(sent.norms[2]).all()
    np.testing.assert_allclose(sent.projected, np.linalg.norm(tensors["weight_hr_l0"], axis=0), rtol=1e-6)
    reply, (buffer,) = answer(explorer, {"kind": "eigenvalues", "recurrent": "weight_hh_l0", "gate": "o"})
    pairs = np.frombuffer(buffer, "<f8").reshape(-1, 2)
    product = tensors["weight_hh_l0"][18:24].astype(np.float64) @ tensors["weight_hr_l0"].astype(np.float64)
    sizes = np.sort(abs(np.linalg.eigvals(product)))[::-1]
    assert reply["zeros"] == 2
    np.testing.assert_allclose(np.hypot(*pairs.T), sizes[:4], rtol=1e-6)


@pytest.mark.parametrize(("kind", "gates", "bias"), [("LSTM", "ifco", (16,)), ("GRU", "zrh", (2, 12))])
def test_keras_layers(explore, kind, gates, bias):
    arrays = keras_arrays(kind, len(gates), bias=bias)
    explorer = explore(source_of(arrays, {"": "Sequential", "layer": kind}))
    (layer,) = explorer.anatomy.recurrent
    sent = Sent(explorer, layer)
    check_blocks(sent, layer, arrays)
    given = arrays["layer.bias"].reshape(-1, len(gates), 4)
    np.testing.assert_array_equal(sent.biases[: len(given)], given)
    assert np.isnan(sent.biases[len(given) :]).all()
    keeper = gates.index("f" if kind == "LSTM" else "z")
    np.testing.assert_allclose(sent.scales, bias_time_scales(given.sum(axis=0)[keeper]))
    assert sent.reply["separate"] == (["h"] if kind == "GRU" else [])
    _, (buffer,) = answer(explorer, {"kind": "eigenvalues", "recurrent": layer.recurrent, "gate": gates[2]})
    block = arrays["layer.recurrent_kernel"][:, 8:12]
    radius = np.hypot(*np.frombuffer(buffer, "<f8")[:2])
    assert radius == pytest.approx(abs(np.linalg.eigvals(block)).max())


def test_without_biases_gates_stand_half_open(explore):
    explorer = explore(nn.LSTM(3, 4, bias=False))
    sent = Sent(explorer, explorer.anatomy.recurrent[0])
    assert np.isnan(sent.biases).all()
    np.testing.assert_allclose(sent.scales, 1 / np.log(2))


def test_missing_is_not_the_same_as_not_a_number(explore):
    model = nn.GRU(3, 4)
    with torch.no_grad():
        model.bias_hh_l0[5] = torch.nan  # update gate, unit 1
        model.weight_hh_l0[0, :2] = torch.tensor([torch.nan, torch.inf])
    explorer = explore(model)
    sent = Sent(explorer, explorer.anatomy.recurrent[0])
    assert np.isnan(sent.scales).tolist() == [False, True, False, False]
    assert sent.statistics[1, 0, 7] == 2
    assert np.isfinite(sent.statistics[:, :, :7]).all()
    assert np.isnan(sent.pictures[3][0, 0])
    with pytest.raises(ValueError, match="2 weights"):
        answer(explorer, {"kind": "eigenvalues", "recurrent": "weight_hh_l0", "gate": "r"})


def test_large_blocks_are_drawn_small_and_keep_outliers(explore):
    model = nn.RNN(300, 260)
    with torch.no_grad():
        model.weight_ih_l0[201, 299] = -7.0
    explorer = explore(model)
    sent = Sent(explorer, explorer.anatomy.recurrent[0])
    assert sent.reply["pictures"] == [[65, 75], [65, 65]]
    assert sent.pictures[0].min() == -7.0


def test_weights_that_are_all_zero_have_a_scale(explore):
    model = nn.GRU(3, 4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    explorer = explore(model)
    sent = Sent(explorer, explorer.anatomy.recurrent[0])
    assert sent.reply["limit"] == 1.0
    assert not sent.norms.any()


def test_what_there_is_not_says_so(explore):
    explorer = explore(nn.LSTM(3, 4))
    with pytest.raises(KeyError, match="no recurrent layer"):
        answer(explorer, {"kind": "gates", "recurrent": "weight_ih_l0"})
    with pytest.raises(KeyError, match=r"no gate 'z'.*i, f, g, o"):
        answer(explorer, {"kind": "eigenvalues", "recurrent": "weight_hh_l0", "gate": "z"})
    assert "eigenvalues" in SLOW
