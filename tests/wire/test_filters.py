"""Requests for filters: layouts from axes, replies in the form that the front end reads."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from weightwidget import WeightExplorer
from weightwidget.anatomy.axes import Axes
from weightwidget.sources import open_weights
from weightwidget.wire.answers.filters import layout_of
from weightwidget.wire.handlers import answer

CASES = json.loads((Path(__file__).parents[1] / "protocol" / "filters.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_layouts_of_the_protocol(case):
    """The same cases are read by js/test/convfilters.test.ts."""
    own = case["axes"]
    axes = Axes(
        tuple(own["names"]), own["what"], True, "", own["output"], own["input"], tuple(own["spatial"]), own["groups"]
    )
    shape = tuple(case["shape"])
    layout = layout_of(axes, shape)
    if case["layout"] is None:
        assert layout is None
        return
    assert layout is not None
    # Each weight is its own place in the tensor.
    ref = open_weights({"w": torch.arange(math.prod(shape)).reshape(shape)}).tensors["w"]
    for side, found in (("layout", layout), ("by_input", layout.by_input)):
        expected = case[side]
        assert (found.filters, found.channels, list(found.kernel)) == (
            expected["filters"],
            expected["channels"],
            expected["kernel"],
        )
        whole = found.read(ref, 0, found.filters)
        for place in expected["places"]:
            flat = int(whole[(place["filter"], place["channel"], *place["at"])])
            assert list(np.unravel_index(flat, shape)) == place["position"]


@pytest.fixture
def explorer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, (3, 5)), nn.ConvTranspose2d(8, 6, 4, groups=2, bias=False), nn.Linear(4, 5))
    explorer = WeightExplorer(model).wait()
    yield explorer
    explorer.close()


def numbers(buffer: bytes, dtype: str = "f8") -> np.ndarray:
    return np.frombuffer(buffer, f"<{dtype}")


def ask(explorer: WeightExplorer, kind: str, tensor: str = "0.weight", by: str = "output", **fields: object):
    return answer(explorer, {"kind": kind, "tensor": tensor, "by": by, **fields})


def test_pictures(explorer):
    weight = explorer.source.tensors["0.weight"].read().numpy()
    reply, (buffer,) = ask(explorer, "filters", mode="all", filters=[5, 2], channels=[0, 3])
    assert reply["shape"] == [2, 3, 3, 5]
    np.testing.assert_array_equal(numbers(buffer, "f4").reshape(2, 3, 3, 5), weight[[5, 2]])
    reply, (values, channels) = ask(explorer, "filters", mode="largest", filters=[5, 2], channels=[0, 1])
    at = np.linalg.norm(weight[[5, 2]].reshape(2, 3, -1), axis=2).argmax(1)
    np.testing.assert_array_equal(numbers(channels, "i4"), at)
    np.testing.assert_array_equal(numbers(values, "f4").reshape(2, 3, 5), weight[[5, 2], at])
    reply, (buffer,) = ask(explorer, "filters", by="input", mode="channel", filters=[1], channels=[6, 7])
    np.testing.assert_array_equal(numbers(buffer, "f4").reshape(3, 5), weight[6, 1])


def test_norms_and_biases(explorer):
    weight = explorer.source.tensors["0.weight"].read().double().numpy()
    _, (norms, absmax, nonfinite, biases, limits) = ask(explorer, "filter_norms")
    np.testing.assert_allclose(numbers(norms), np.linalg.norm(weight.reshape(8, -1), axis=1), rtol=1e-12)
    np.testing.assert_allclose(numbers(absmax), np.abs(weight).max((1, 2, 3)))
    assert numbers(nonfinite).tolist() == [0] * 8
    np.testing.assert_array_equal(numbers(biases), explorer.source.tensors["0.bias"].read().double())
    expected = np.abs(weight.mean(1)).max(), np.linalg.norm(weight, axis=1).max()
    np.testing.assert_allclose(numbers(limits), expected, rtol=1e-12)
    # Inputs have no biases, nor has a layer without them.
    assert ask(explorer, "filter_norms", by="input")[1][3] == b""
    _, (norms, _, _, biases, _) = ask(explorer, "filter_norms", tensor="1.weight")
    assert biases == b""
    transposed = explorer.source.tensors["1.weight"].read().double().numpy()
    by_hand = [np.linalg.norm(transposed[out // 3 * 4 : out // 3 * 4 + 4, out % 3]) for out in range(6)]
    np.testing.assert_allclose(numbers(norms), by_hand, rtol=1e-12)


def test_one_filter_and_all(explorer):
    weight = explorer.source.tensors["0.weight"].read().double().numpy()
    _, (channels, alike) = ask(explorer, "filter", filter=3)
    np.testing.assert_allclose(numbers(channels), np.linalg.norm(weight[3].reshape(3, -1), axis=1), rtol=1e-12)
    rows = weight.reshape(8, -1)
    expected = rows @ rows[3] / np.linalg.norm(rows, axis=1) / np.linalg.norm(rows[3])
    np.testing.assert_allclose(numbers(alike), expected, rtol=1e-10)
    _, (copy_of, cosine, order) = ask(explorer, "filter_similarity")
    assert numbers(copy_of, "i4").tolist() == [-1] * 8
    assert np.isnan(numbers(cosine, "f4")).all()
    assert sorted(numbers(order, "i4")) == list(range(8))
    _, arrays = ask(explorer, "filter_frequencies")
    assert [len(numbers(array)) for array in arrays] == [8, 8, 8, 1]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"tensor": "2.weight"}, "not known as a convolution"),
        ({"tensor": "9.weight"}, "no tensor"),
        ({"by": "colour"}, "by output and by input"),
    ],
)
def test_wrong_requests_say_what_is_wrong(explorer, fields, what):
    with pytest.raises((ValueError, KeyError), match=what):
        ask(explorer, "filter_norms", **fields)
