"""Weights that an overview keeps. That the front end answers from them: js/test/local.test.ts, from the same case."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load

from tests.protocol.make_local import CASE, make
from weightwidget.sources import open_weights
from weightwidget.summary.summarize import summarize
from weightwidget.wire.kept import at_level, choose_whole, kept_size, level_size, levels_for, whole
from weightwidget.wire.overview import BUDGET, KEPT_BUDGET, OverviewPacker


def refs_of(state):
    return list(open_weights(state).tensors.values())


def kept_names(blob: bytes, source) -> list[str]:
    index = json.loads(bytes(load(blob)["index"].numpy()))
    names = list(source.tensors)
    return [names[row] for row, *_ in index["kept"]]


def overview(state):
    source = open_weights(state)
    summary = summarize(source)
    return source, OverviewPacker(source).pack(summary.tensors, summary.modules)


def test_the_stored_case_is_what_python_answers():
    stored, made = json.loads(CASE.read_text()), make()
    assert [case["request"] for case in stored["cases"]] == [case["request"] for case in made["cases"]]
    for before, now in zip(stored["cases"], made["cases"], strict=True):
        assert set(before["reply"]) == set(now["reply"])
        for key, value in before["reply"].items():
            is_text = isinstance(value, str | bool)
            assert now["reply"][key] == (value if is_text else pytest.approx(value, rel=1e-6)), before["request"]
        assert [len(data) for data in before["buffers"]] == [len(data) for data in now["buffers"]]
    before, now = (load(base64.b64decode(case["blob"])) for case in (stored, made))
    assert set(before) == set(now), "run python -m tests.protocol.make_local"
    for name in before:
        if name.startswith("kept."):
            assert before[name].dtype == now[name].dtype
            torch.testing.assert_close(before[name], now[name], rtol=0, atol=0, equal_nan=True, msg=name)


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32),
    ],
    ids=str,
)
def test_every_value_of_a_type_is_kept(dtype):
    values = (torch.arange(256).to(torch.uint8).view(torch.int8).to(torch.float32) / 4).reshape(8, 32).to(dtype)
    (ref,) = refs_of({"w": values})
    grid = whole(0, ref)
    assert grid.levels == (0, 0)
    assert torch.equal(grid.values.to(torch.float64), values.to(torch.float64))
    assert kept_size(ref) >= grid.values.numel() * grid.values.element_size()


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64], ids=str)
def test_types_that_the_front_end_cannot_hold_are_left_out(dtype):
    (ref,) = refs_of({"w": torch.ones(2, 3, dtype=dtype)})
    assert kept_size(ref) == -1
    assert choose_whole([ref], 10**9) == []


def test_what_is_kept_is_a_copy():
    flat = torch.arange(12.0)
    state = {"a": flat[:6].reshape(2, 3), "b": flat[3:9].reshape(3, 2)}  # they share memory
    source, blob = overview(state)
    before = bytes(blob)
    flat.fill_(-1)
    assert bytes(blob) == before
    assert kept_names(blob, source) == ["a", "b"]


def test_convolutions_come_first_then_small_tensors():
    state = {
        "head.weight": torch.zeros(100, 100),
        "bias": torch.zeros(10),
        "conv2.weight": torch.zeros(64, 16, 3, 3),
        "conv1.weight": torch.zeros(16, 3, 5, 5),
    }
    refs = refs_of(state)
    budget = sum(kept_size(ref) for ref in refs[1:])
    assert choose_whole(refs, budget) == [1, 2, 3]
    assert choose_whole(refs, kept_size(refs[2])) == [1, 2] or choose_whole(refs, kept_size(refs[2])) == [2]
    assert choose_whole(refs, kept_size(refs[3])) == [3]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=8), st.integers(0, 5000))
def test_the_budget_is_kept(sizes, budget):
    refs = refs_of({f"t{number}": torch.zeros(size) for number, size in enumerate(sizes)})
    chosen = choose_whole(refs, budget)
    assert sum(kept_size(refs[row]) for row in chosen) <= budget
    if len(chosen) < len(refs):
        smallest = min(kept_size(refs[row]) for row in range(len(refs)) if row not in chosen)
        assert sum(kept_size(refs[row]) for row in chosen) + smallest > budget


def test_an_overview_keeps_small_tensors_and_stays_within_its_budget():
    state = {f"layer.{number}.weight": torch.randn(40, 50) for number in range(100)}
    source, blob = overview(state)
    kept = kept_names(blob, source)
    assert 20 <= len(kept) <= KEPT_BUDGET // 8000
    many = {f"model.{number}.weight": torch.randn(16, 16) for number in range(20_000)}
    assert len(overview(many)[1]) <= BUDGET


def test_nothing_is_kept_while_the_scan_goes_on():
    source = open_weights({"w": torch.ones(3, 4)})
    summary = summarize(source)
    packer = OverviewPacker(source)
    assert kept_names(packer.pack(summary.tensors), source) == []
    assert kept_names(packer.pack(summary.tensors, summary.modules), source) == ["w"]


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([8, 16, 64]))
def test_levels_fit_their_side(rows, cols, side):
    (ref,) = refs_of({"w": torch.zeros(rows, cols)})
    row_level, col_level = levels_for(ref, side)
    assert -(-rows // 2**row_level) <= side
    assert row_level == 0 or -(-rows // 2 ** (row_level - 1)) > side
    assert -(-cols // 2**col_level) <= (side if rows > 1 else 16 * side)


def test_a_level_keeps_the_largest_of_each_block():
    torch.manual_seed(0)
    values = torch.randint(-128, 129, (1061, 83)).float()
    values[77, 5], values[900, 80] = float("nan"), float("-inf")
    (ref,) = refs_of({"w": values})
    grid = at_level(0, ref, 40)
    assert grid.levels == (5, 2)
    assert grid.values.dtype == torch.bfloat16
    assert level_size(ref, 40) >= 2 * grid.values.numel()
    found = grid.values.float().numpy()
    for row in range(34):
        for col in range(21):
            block = values[32 * row : 32 * row + 32, 4 * col : 4 * col + 4].numpy().ravel()
            expected = np.nan if np.isnan(block).any() else block[np.abs(block).argmax()]
            assert np.isnan(expected) == np.isnan(found[row, col])
            assert np.isnan(expected) or abs(found[row, col]) == abs(expected)
