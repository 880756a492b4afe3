"""The overview's size and content. That the front end reads it: js/test/overview-case.test.ts, from the same case."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load

from tests.protocol.make_overview import CASE, make
from weightwidget.sources import open_weights
from weightwidget.summary.pooling import shrink
from weightwidget.summary.summarize import summarize
from weightwidget.wire.overview import BUDGET, OverviewPacker, pack_names, pool_largest


def overview(state):
    source = open_weights(state)
    summary = summarize(source)
    packer = OverviewPacker(source)
    return packer, packer.pack(summary.tensors, summary.modules)


def index_of(blob: bytes):
    return json.loads(bytes(load(blob)["index"].numpy()))


def test_the_stored_case_is_what_the_packer_makes():
    stored, made = json.loads(CASE.read_text()), make()
    before, now = (load(base64.b64decode(case["blob"])) for case in (stored, made))
    assert set(before) == set(now), "run python -m tests.protocol.make_overview"
    assert bytes(before.pop("index").numpy()) == bytes(now.pop("index").numpy())
    for name in before:
        torch.testing.assert_close(before[name], now[name], rtol=1e-6, atol=1e-6, equal_nan=True, msg=name)
    assert [row["name"] for row in stored["rows"]] == [row["name"] for row in made["rows"]]


@given(st.lists(st.text(alphabet="ab.é", max_size=12), unique=True))
def test_names_come_back(names):
    unpacked: list[str] = []
    before: list[str] = []
    for shared, rest in pack_names(names):
        name = ".".join([*before[:shared], rest])
        unpacked.append(name)
        before = name.split(".")
    assert unpacked == names


def test_twenty_thousand_tensors_stay_in_the_budget():
    state = {
        f"model.layers.{layer}.mlp.experts.{expert}.{part}_proj.weight": torch.randn(16, 16)
        for layer in range(26)
        for expert in range(257)
        for part in ("gate", "up", "down")
    }
    assert len(state) > 20_000
    packer, blob = overview(state)
    assert len(blob) <= BUDGET
    first = packer.pack({})
    assert len(first) <= BUDGET / 2


@pytest.mark.parametrize("tensors", [1, 60, 700, 3000])
def test_models_of_any_size_stay_in_the_budget(tensors):
    _, blob = overview({f"layer.{k}.weight": torch.randn(40, 300) for k in range(tensors)})
    assert len(blob) <= BUDGET


def test_more_detail_on_demand():
    source = open_weights({"w": torch.randn(500, 700)})
    assert OverviewPacker(source, detail=200).detail.thumbnail == 200


def test_before_the_scan_there_are_names_shapes_and_sizes():
    source = open_weights({"a.w": torch.randn(3, 5), "a.b": torch.randn(3)})
    arrays = load(OverviewPacker(source).pack({}))
    assert arrays["stat.count"][:2].tolist() == [15, 3]
    assert arrays["summarised"].tolist() == [0] * len(arrays["summarised"])
    assert "stat.std" not in arrays


def test_a_histogram_accounts_for_every_finite_weight():
    torch.manual_seed(2)
    state = {"w": torch.randn(60, 90) * torch.rand(60, 1) ** 4, "b": torch.randn(50) + 7}
    state["w"][3, 4] = 1e4
    _, blob = overview(state)
    arrays = load(blob)
    for row, tensor in enumerate(state.values()):
        total = arrays["hist"][row].sum() + arrays["hist.tails"][row].sum()
        assert total.item() == pytest.approx(tensor.numel(), rel=1e-5)
        total = arrays["loghist"][row].sum() + arrays["loghist.tails"][row].sum()
        assert total.item() == pytest.approx(int((tensor != 0).sum()), rel=1e-5)


def test_values_beyond_float32_keep_their_place():
    _, blob = overview({"w": torch.tensor([[1e300, -2e300, 5.0]], dtype=torch.float64)})
    arrays = load(blob)
    assert arrays["stat.max"][0].item() == 1e300
    assert np.isfinite(arrays["hist.range"].numpy()).all()
    assert arrays["thumb"].isfinite().all()


def test_surrogates_in_names_do_no_harm():
    state = {"odd\ud800name": torch.ones(2, 3)}
    _, blob = overview(state)
    assert index_of(blob)["tensors"] == 1


def test_a_module_of_a_counter_alone_holds_no_weights_here_either():
    packer, blob = overview({"a.w": torch.randn(3, 5), "b.position_ids": torch.arange(7)})
    arrays = load(blob)
    slot = arrays["slot"][packer.modules.index("b")]
    assert arrays["stat.count"][slot] == 0
    assert arrays["stat.count"][arrays["slot"][packer.modules.index("a")]] == 15


def test_what_was_left_out_is_listed():
    _, blob = overview({"w": torch.ones(2, 3), "epoch": 7})
    assert list(index_of(blob)["skipped"]) == ["epoch"]


def test_pooling_keeps_the_largest_magnitude_and_its_sign():
    cells = np.zeros((7, 5), np.float32)
    cells[6, 4], cells[0, 0], cells[3, 2] = -9, 4, np.nan
    small = shrink(cells, 3, 2)
    assert small.shape == (3, 2)
    assert small[2, 1] == -9
    assert small[0, 0] == 4
    assert np.isnan(small).sum() == 1
    assert pool_largest(np.arange(10.0), 3).tolist() == [2, 5, 9]
