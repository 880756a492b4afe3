"""Blocks in the explorer: selected, read and summarised like tensors."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest
import torch
import traitlets as t
from torch import nn

from weightwidget import WeightExplorer
from weightwidget.anatomy.axes import Axes, equal_split


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.lstm = nn.LSTM(5, 7)
        self.attn = nn.MultiheadAttention(12, 3)


@pytest.fixture
def model() -> Attends:
    return Attends()


@pytest.fixture
def explorer(model):
    made = WeightExplorer(model).wait()
    yield made
    made.close()


F = "lstm.weight_ih_l0 › f"
KEY = "attn › head 1 › key"


def index_of(explorer: WeightExplorer) -> dict:
    """The JSON part of the overview."""
    blob = explorer._overview
    size = struct.unpack("<Q", blob[:8])[0]
    start, end = json.loads(blob[8 : 8 + size])["index"]["data_offsets"]
    return json.loads(blob[8 + size + start : 8 + size + end])


def test_a_gate_is_selected_like_a_tensor(explorer, model):
    gate = model.lstm.weight_ih_l0.detach()[7:14]
    explorer.selected = F
    assert torch.equal(explorer.ref(F).read(), gate)
    record = explorer.record(F)
    assert record.kind == "LSTM"
    assert record.mean == pytest.approx(gate.double().mean().item(), rel=1e-9)
    assert explorer.record(F) is record
    explorer.value_range = (0.1, 1.0)
    found = explorer.selection
    assert torch.equal(found.values, gate[gate >= 0.1])
    assert torch.equal(gate[tuple(found.indices.T)], found.values)
    explorer.index = (6, 4)
    explorer.drawn_axes = {"rows": [1], "cols": [0]}
    explorer.window = (0, 5, 0, 7)
    with pytest.raises(t.TraitError, match="no position"):
        explorer.index = (7, 0)
    with pytest.raises(t.TraitError, match="no axis 2"):
        explorer.drawn_axes = {"rows": [2], "cols": [0]}
    explorer.selected = "lstm.weight_ih_l0"
    assert (explorer.index, explorer.drawn_axes, explorer.window) == ((), None, None)


def test_a_head_is_named_by_its_layer_or_around_it(explorer, model):
    explorer.selected = "attn › head 1 › key"
    assert explorer.selected == KEY
    assert torch.equal(explorer.ref(KEY).read(), model.attn.in_proj_weight.detach()[16:20])
    assert torch.equal(explorer.ref("attn › head 1 › output").read(), model.attn.out_proj.weight.detach()[:, 4:8])
    explorer.selected = " › head 2"
    assert explorer.selected == "attn › head 2"
    assert explorer.ref("attn › head 2") is None
    assert explorer.record("attn › head 2").count == 4 * 4 * 12
    with pytest.raises(ValueError, match="no tensor is selected"):
        _ = explorer.selection


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("lstm.weight_ih_l0 › x", "there are 'i', 'f', 'g', 'o'"),
        ("attn › head 3", "it has heads 0 to 2"),
        ("lstm.weight_ih_l1 › f", "did you mean 'lstm.weight_ih_l0'"),
    ],
)
def test_a_wrong_path_is_refused_with_what_is_there(explorer, path, hint):
    with pytest.raises(t.TraitError, match=hint):
        explorer.selected = path


def test_blocks_can_be_selected_from_the_start(model):
    explorer = WeightExplorer(model, selected=KEY, value_range=(-0.1, 0.1)).wait()
    assert explorer.selected == KEY
    assert explorer.selection.indices.shape[1] == 2
    explorer.close()


def test_reading_again_drops_what_was_known_of_blocks(explorer, model):
    before = explorer.record(F)
    explorer.selected = F
    with torch.no_grad():
        model.lstm.weight_ih_l0.fill_(2.0)
    explorer.refresh().wait()
    assert explorer.selected == F
    assert before.mean != 2.0
    assert explorer.record(F).mean == 2.0


def test_a_block_that_is_gone_is_no_longer_selected(explorer, model):
    explorer.selected = F
    model.lstm = nn.LSTM(3, 5, bidirectional=True)
    explorer.refresh().wait()
    assert explorer.selected == F
    assert explorer.ref(F).shape == (5, 3)
    model.lstm = nn.Linear(3, 5)
    explorer.refresh().wait()
    assert explorer.selected in explorer.source.tensors


def test_axes_set_by_hand_show_at_once(explorer):
    name = "lstm.weight_ih_l0"
    thirds = Axes(("(part rest)", "in"), "other", splits=(equal_split(0, "part", ("a", "b"), 28),))
    explorer.selected = F
    before = explorer._overview
    explorer.anatomy[name] = thirds
    assert explorer._overview != before
    labels = [split["labels"] for split in index_of(explorer)["anatomy"]["splits"]]
    assert ["a", "b"] in labels
    # What was selected is no block any more.
    assert explorer.selected == name
    explorer.selected = f"{name} › b"
    assert explorer.ref(explorer.selected).shape == (14, 5)
    explorer.refresh().wait()
    assert explorer.anatomy[name].splits == thirds.splits
    assert explorer.selected == f"{name} › b"


def test_the_scan_comes_first_to_the_tensor_of_a_selected_block(model, monkeypatch):
    from weightwidget.summary.scan import Scan

    asked: list[str] = []
    real = Scan.prioritise
    monkeypatch.setattr(Scan, "prioritise", lambda self, *paths: asked.extend(paths) or real(self, *paths))
    explorer = WeightExplorer(model, selected=KEY).wait()
    assert asked == ["attn.in_proj_weight"]
    explorer.selected = "attn › head 0"
    assert set(asked) == {"attn.in_proj_weight", "attn.out_proj.weight"}
    explorer.close()


def test_selecting_blocks_changes_nothing_about_filters(explorer):
    explorer.query = "lstm"
    before = list(explorer.visible)
    explorer.selected = F
    assert explorer.visible == before
    assert all(" › " not in name for name in before)


def test_a_block_has_what_its_tensor_has(explorer):
    base, block = explorer.ref("lstm.bias_ih_l0"), explorer.ref("lstm.bias_ih_l0 › o")
    assert block == replace(base, name="lstm.bias_ih_l0 › o", shape=(7,))
