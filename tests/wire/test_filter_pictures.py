"""Pictures of filters that an overview keeps. That the front end draws them: js/test/filterpictures.test.ts."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load
from torch import nn

from tests.protocol.make_filter_pictures import CASE, make
from weightwidget import WeightExplorer
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.detail.filters import filter_norms
from weightwidget.outputs.saved import FILE_BUDGET
from weightwidget.sources import open_weights
from weightwidget.summary.summarize import summarize
from weightwidget.wire import filter_pictures
from weightwidget.wire.filter_pictures import choose_layers, draw, plans
from weightwidget.wire.overview import BUDGET, FILTER_BUDGET, OverviewPacker


def conv(out: int, channels: int, *kernel: int) -> torch.Tensor:
    return torch.zeros(out, channels, *kernel)


def chosen(state: dict[str, torch.Tensor], budget: int, **options) -> list[tuple[str, str, str]]:
    source = open_weights({f"{name}.weight": tensor for name, tensor in state.items()})
    refs = list(source.tensors.values())
    found = choose_layers(refs, Anatomy(source), budget, **options)
    assert sum(plan.nbytes for plan in found) <= budget
    return [(refs[plan.row].name.partition(".")[0], plan.by, plan.shown) for plan in found]


def index_of(blob: bytes) -> dict:
    return json.loads(bytes(load(blob)["index"].numpy()))


def test_the_stored_case_is_what_python_answers():
    stored, made = json.loads(CASE.read_text()), make()
    assert [case["request"] for case in stored["cases"]] == [case["request"] for case in made["cases"]]
    for before, now in zip(stored["cases"], made["cases"], strict=True):
        assert before["reply"] == now["reply"]
        values = [np.frombuffer(base64.b64decode(case["buffers"][0]), "<f4") for case in (before, now)]
        np.testing.assert_allclose(*values, rtol=1e-6, atol=1e-9)
        assert before["buffers"][1:] == now["buffers"][1:]
    before, now = (load(base64.b64decode(case["blob"])) for case in (stored, made))
    assert set(before) == set(now), "run python -m tests.protocol.make_filter_pictures"
    assert index_of(base64.b64decode(stored["blob"]))["filters"] == index_of(base64.b64decode(made["blob"]))["filters"]
    for name in before:
        if name.startswith("filters."):
            assert before[name].dtype == now[name].dtype
            torch.testing.assert_close(
                before[name].float(), now[name].float(), rtol=1e-2, atol=1e-6, equal_nan=True, msg=name
            )


def test_layers_are_chosen_in_order_and_what_does_not_fit_is_skipped():
    state = {
        "whole": conv(40, 30, 3, 5),
        "large": conv(4000, 30, 3, 5),
        "point": conv(64, 32, 1, 1),
        "linear": torch.zeros(64, 32),
        "small": conv(70, 30, 3, 5),
    }
    assert chosen(state, 10_000, skip=[0]) == [("small", "output", "largest")]
    assert chosen(state, 10**6) == [(name, "output", "largest") for name in ("whole", "large", "small")]
    assert chosen(state, 100) == []


def test_the_first_look_of_the_view_is_what_is_kept():
    model = nn.Sequential(
        nn.Conv2d(3, 64, (5, 7)),
        nn.Conv2d(96, 96, (3, 5), groups=96),
        nn.Conv1d(12, 64, 5),
        nn.Conv1d(12, 64, 400),
        nn.Conv3d(3, 64, (2, 3, 5)),
        nn.Conv2d(12, 64, (3, 5)),
    )
    source = open_weights(model)
    found = choose_layers(list(source.tensors.values()), Anatomy(source), 10**6)
    assert [plan.shown for plan in found] == ["all", "all", "all", "largest", "largest", "largest"]
    # All channels take half of the room at most.
    assert chosen({"colour": conv(64, 3, 5, 7)}, 20_000) == [("colour", "output", "largest")]


def test_much_work_is_left_to_a_kernel(monkeypatch):
    monkeypatch.setattr(filter_pictures, "MOST_WEIGHTS", 30_000)
    state = {"first": conv(60, 30, 3, 5), "second": conv(20, 30, 3, 5), "third": conv(6, 30, 3, 5)}
    assert [name for name, *_ in chosen(state, 10**6)] == ["first", "third"]


def test_other_types_are_no_pictures():
    (complex_,) = open_weights({"w.weight": torch.zeros(4, 3, 2, 5, dtype=torch.complex64)}).tensors.values()
    axes = Anatomy(open_weights({"w.weight": conv(4, 3, 2, 5)}))["w.weight"]
    assert axes.what == "conv"
    assert plans(0, axes, complex_.shape, "complex64") == []
    assert plans(0, axes, (0, 3, 2, 5), "float32") == []


@given(st.integers(1, 9), st.integers(1, 7), st.integers(1, 4), st.integers(2, 5), st.booleans())
def test_bytes_are_foretold(out, channels, height, width, broken):
    weight = torch.randn(out, channels, height, width, dtype=torch.float64) * 1e300
    if broken:
        weight[0, 0, 0, 0] = float("nan")
    source = open_weights({"w.weight": weight})
    summary = summarize(source)
    (ref,) = source.tensors.values()
    for plan in plans(0, Anatomy(source)["w.weight"], ref.shape, ref.dtype):
        found = draw(plan, ref, summary.tensors["w.weight"])
        arrays = [array for _, array in filter_pictures.as_arrays([found])]
        assert sum(array.nbytes for array in arrays) <= plan.nbytes
        assert bool(found.values.isinf().any()) is False  # too large for the type, but not infinite
        if found.norms is not None:
            np.testing.assert_allclose(
                found.norms, filter_norms(ref, plan.layout).norms.clip(0, np.finfo("f4").max), rtol=1e-6
            )


def test_an_overview_has_all_filters_of_large_convolutions_and_stays_within_its_budget():
    torch.manual_seed(0)
    state = {f"layer.{number}.weight": torch.randn(130, 40, 3, 5) for number in range(60)}
    source = open_weights(state)
    summary = summarize(source)
    packer = OverviewPacker(source)
    assert "filters" not in index_of(packer.pack(summary.tensors)), "while the scan goes on"
    bare = packer.pack(summary.tensors, summary.modules, filters=False)
    blob = packer.pack(summary.tensors, summary.modules)
    index = index_of(blob)
    whole = {row for row, *_ in index["kept"]}
    drawn = [row for row, *_ in index["filters"]]
    assert drawn == [row for row in range(60) if row not in whole][: len(drawn)]
    assert len(drawn) >= 40
    assert len(blob) - len(bare) <= packer.most_filters <= FILTER_BUDGET
    assert len(blob) <= BUDGET
    # What was drawn once is not read again.
    assert packer.pack(summary.tensors, summary.modules) == blob


def test_axes_set_by_hand_are_followed():
    explorer = WeightExplorer({"w": torch.randn(40, 30, 3, 50)}).wait()
    try:
        assert tuple(load(explorer._overview)["filters.0"].shape) == (40, 3, 50)
        explorer.anatomy["w"] = "kh kw in out"
        blob = load(explorer._overview)
        assert tuple(blob["filters.0"].shape) == (50, 40, 30)
    finally:
        explorer.close()


@pytest.mark.parametrize("detail", [None, 0, 2])
def test_a_saved_file_has_each_convolution_whole_or_drawn(tmp_path, detail):
    torch.manual_seed(0)
    state = {f"layer.{number}.weight": torch.randn(30 + 40 * number, 40, 3, 5) for number in range(8)}
    explorer = WeightExplorer(state).wait()
    try:
        size = explorer.save_html(tmp_path / "report.html", detail=detail).size
        assert size <= FILE_BUDGET
    finally:
        explorer.close()
