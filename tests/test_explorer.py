"""WeightExplorer without a front end: traits, life cycle, what it refuses."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from traitlets import TraitError

import weightwidget
from weightwidget import WeightExplorer, WeightFileError


class Net(nn.Module):
    """Non-square throughout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 5)
        self.fc1 = nn.Linear(24, 12)
        self.fc2 = nn.Linear(12, 7)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(1)
    return Net()


@pytest.fixture
def explorer(net: Net):
    made = WeightExplorer(net)
    yield made
    made.close()


def test_public_names():
    for name in weightwidget.__all__:
        assert getattr(weightwidget, name) is not None


def test_small_model_is_complete_when_the_constructor_returns(explorer):
    assert explorer.status == "ready"
    assert explorer.progress == 1.0
    assert explorer.visible == list(explorer.source.tensors)


def test_the_first_matrix_is_selected(explorer):
    assert explorer.selected == "conv.weight"


def test_summary_agrees_with_the_module(explorer, net):
    record = explorer.summary["fc1.weight"]
    weight = net.fc1.weight.detach().double().numpy()
    assert record.std == pytest.approx(weight.std(), rel=1e-6)
    assert record.argmax == np.unravel_index(weight.argmax(), weight.shape)
    total = explorer.summary.modules[""]
    everything = np.concatenate([p.detach().double().numpy().ravel() for p in net.parameters()])
    assert total.count == everything.size
    assert total.mean == pytest.approx(everything.mean(), rel=1e-6)
    assert total.std == pytest.approx(everything.std(), rel=1e-6)


def test_selecting_forgets_what_belonged_to_the_tensor_before(explorer):
    explorer.window = (0, 2, 0, 3)
    explorer.index = (0, 1, 0, 0)
    explorer.drawn_axes = {"rows": [2], "cols": [3]}
    explorer.selected = "fc1.weight"
    assert explorer.window is None
    assert explorer.index == ()
    assert explorer.drawn_axes is None


def test_modules_can_be_selected(explorer):
    explorer.selected = "fc1"
    explorer.selected = ""
    assert explorer.selected == ""


def test_an_unknown_path_is_refused_with_a_near_miss(explorer):
    with pytest.raises(TraitError, match=r"did you mean 'fc1\.weight'"):
        explorer.selected = "fc1.wieght"
    assert explorer.selected == "conv.weight"


def test_query_and_facets_change_visible(explorer):
    seen = []
    explorer.observe(lambda change: seen.append(change["new"]), "visible")
    explorer.query = "kind:Linear role:weight"
    assert explorer.visible == ["fc1.weight", "fc2.weight"]
    explorer.facets = {"count": (200, math.inf)}
    assert explorer.visible == ["fc1.weight"]
    explorer.query = ""
    assert explorer.visible == ["conv.weight", "fc1.weight"]
    assert len(seen) == 3


def test_a_faulty_query_says_what_is_wrong_and_hides_nothing(explorer):
    explorer.query = "stdd>1"
    assert "std" in explorer.query_error
    assert explorer.visible == list(explorer.source.tensors)
    explorer.query = "fc1"
    assert explorer.query_error == ""


def test_facets_of_an_unknown_statistic_are_refused(explorer):
    with pytest.raises(TraitError, match="no statistic 'sdt'"):
        explorer.facets = {"sdt": (0, 1)}


def test_selection_gives_indices_and_values(explorer, net):
    explorer.selected = "fc1.weight"
    explorer.value_range = (0.1, 0.15)
    weight = net.fc1.weight.detach()
    expected = ((weight >= 0.1) & (weight <= 0.15)).nonzero()
    assert len(expected) > 3
    indices, values = explorer.selection
    assert torch.equal(indices, expected)
    assert torch.equal(values, weight[tuple(expected.T)])


def test_selection_without_a_brush_or_a_tensor_says_what_to_do(explorer):
    with pytest.raises(ValueError, match="nothing is brushed"):
        _ = explorer.selection
    explorer.selected = ""
    with pytest.raises(ValueError, match="no tensor is selected"):
        _ = explorer.selection


def test_value_range_is_checked_and_kept_finite(explorer):
    with pytest.raises(TraitError, match="lower to the higher"):
        explorer.value_range = (1.0, 0.5)
    explorer.value_range = (0.2, math.inf)
    assert math.isfinite(explorer.value_range[1])
    explorer.value_range = None
    assert explorer.value_range is None


def test_drawn_axes_are_checked(explorer):
    explorer.drawn_axes = {"rows": [1, 0], "cols": [3]}
    assert explorer.drawn_axes == {"rows": [1, 0], "cols": [3]}
    with pytest.raises(TraitError, match="drawn_axes"):
        explorer.drawn_axes = {"rows": [0], "cols": [0]}
    with pytest.raises(TraitError, match="drawn_axes"):
        explorer.drawn_axes = {"rows": [9], "cols": [0]}


def test_read_only_traits(explorer):
    for name, value in [("status", "ready"), ("progress", 0.5), ("visible", [])]:
        with pytest.raises(TraitError):
            setattr(explorer, name, value)


def test_initial_traits(net):
    explorer = WeightExplorer(net, selected="fc2.weight", query="fc", color_map="purple-green")
    assert explorer.selected == "fc2.weight"
    assert len(explorer.visible) == 4
    assert explorer.color_map == "purple-green"
    explorer.close()


def test_refresh_sees_new_values(explorer, net):
    before = explorer.summary["fc1.weight"].max
    with torch.no_grad():
        net.fc1.weight[3, 5] = 42.0
    assert explorer.refresh() is explorer
    assert before != explorer.summary["fc1.weight"].max == 42.0
    assert explorer.summary["fc1.weight"].argmax == (3, 5)


def test_inspection_changes_nothing(net):
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    flags = [p.requires_grad for p in net.parameters()]
    threads = torch.get_num_threads()
    explorer = WeightExplorer(net).wait()
    explorer.value_range = (0, 1)
    _ = explorer.selection
    explorer.close()
    assert net.training
    assert flags == [p.requires_grad for p in net.parameters()]
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert torch.get_num_threads() == threads


def test_repr_says_what_it_is(explorer):
    assert repr(explorer) == "WeightExplorer(Net: 6 tensors, 999 weights, ready)"


def test_text_in_hosts_without_widgets(explorer):
    bundle = explorer._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "Net: 6 tensors" in data["text/plain"]


def test_to_frame(explorer):
    frame = explorer.to_frame()
    assert list(frame.index) == list(explorer.source.tensors)
    assert frame.loc["fc2.weight", "count"] == 84


class TestBadInput:
    def test_not_a_model(self):
        with pytest.raises(TypeError, match=r"int.*(Module|state dict)"):
            WeightExplorer(42)

    def test_empty_model(self):
        with pytest.raises(ValueError, match=r"no (tensors|parameters|weights)"):
            WeightExplorer(nn.ReLU())

    def test_missing_path(self, tmp_path: Path):
        with pytest.raises(WeightFileError, match="nowhere"):
            WeightExplorer(tmp_path / "nowhere.safetensors")

    def test_truncated_file(self, tmp_path: Path):
        path = tmp_path / "cut.safetensors"
        save_file({"w": torch.randn(30, 50)}, path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(WeightFileError, match=r"cut\.safetensors"):
            WeightExplorer(path)

    def test_pickle_with_code_is_refused_and_not_run(self, tmp_path: Path):
        marker = tmp_path / "ran"
        torch.save({"w": torch.ones(2, 3), "x": Bomb(marker)}, tmp_path / "bomb.pt")
        with pytest.raises(WeightFileError, match=r"bomb\.pt"):
            WeightExplorer(tmp_path / "bomb.pt")
        assert not marker.exists()

    @pytest.mark.parametrize(
        ("name", "tensor"),
        [
            ("nan", torch.full((3, 4), math.nan)),
            ("empty", torch.empty(0, 5)),
            ("scalar", torch.tensor(3.5)),
            ("<img src=x onerror=alert(1)>", torch.randn(2, 3)),
            ("complex", torch.randn(2, 3, dtype=torch.complex64)),
            ("meta", torch.empty(2, 3, device="meta")),
        ],
    )
    def test_odd_tensors_are_shown(self, name: str, tensor: torch.Tensor):
        explorer = WeightExplorer({name: tensor, "usual": torch.randn(4, 6)})
        assert explorer.status == "ready"
        assert set(explorer.summary) == {name, "usual"}
        record = explorer.summary[name]
        assert record.count == tensor.numel()
        assert record.error or record.nan == int(torch.isnan(tensor).sum())
        explorer.close()


class Bomb:
    """Creates a file when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_a_long_scan_goes_on_in_the_background_and_can_be_cancelled():
    many = {f"layer.{k}.weight": torch.randn(700, 1100) for k in range(24)}
    explorer = WeightExplorer(many, patience=0)
    assert explorer.status == "scanning"
    explorer.cancel()
    explorer.wait(10)
    assert explorer.status == "cancelled"
    assert explorer.progress < 1
    explorer.refresh()
    explorer.wait(60)
    assert explorer.status == "ready"
    explorer.close()


def test_the_view_can_cancel_the_scan():
    many = {f"layer.{k}.weight": torch.randn(700, 1100) for k in range(24)}
    explorer = WeightExplorer(many, patience=0)
    explorer._on_message(explorer, {"cancel": "scan"}, [])
    explorer.wait(10)
    assert explorer.status == "cancelled"
    explorer.close()


def test_wait_times_out_with_the_progress():
    many = {f"layer.{k}.weight": torch.randn(900, 1100) for k in range(24)}
    explorer = WeightExplorer(many, patience=0)
    with pytest.raises(TimeoutError, match="still goes on"):
        explorer.wait(0.001)
    explorer.close()


def test_closing_ends_the_threads(net):
    import threading

    before = set(threading.enumerate())
    explorer = WeightExplorer(net).wait()
    explorer.close()
    end = time.monotonic() + 10
    while time.monotonic() < end and set(threading.enumerate()) - before:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before
