"""WeightExplorer without a front end: traits, life cycle, what it refuses."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import threading
import time
import weakref
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


def test_counters_do_not_drown_the_weights_of_their_module():
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5))
    net[1].num_batches_tracked += 4000
    explorer = WeightExplorer(net)
    assert explorer.summary["1.num_batches_tracked"].max == 4000
    assert explorer.summary.modules["1"].max == 1
    assert explorer.summary.modules[""].count == 6 * 5 + 5 + 4 * 5
    assert "55 weights" in repr(explorer)
    explorer.close()


def test_selecting_forgets_what_belonged_to_the_tensor_before(explorer):
    explorer.window = (0, 2, 0, 3)
    explorer.index = (0, 1, 0, 0)
    explorer.drawn_axes = {"rows": [2], "cols": [3]}
    explorer.selected = "fc1.weight"
    assert explorer.window is None
    assert explorer.index == ()
    assert explorer.drawn_axes is None


def test_a_view_selects_and_says_where_to_look_at_once(explorer):
    explorer.window = (1, 3, 0, 5)
    explorer.set_state({"selected": "fc1.weight", "window": [4, 9, 2, 20]})
    assert explorer.selected == "fc1.weight"
    assert explorer.window == (4, 9, 2, 20)
    explorer.set_state({"selected": "fc2.weight"})
    assert explorer.window is None


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


def test_a_long_scan_goes_on_in_the_background_and_can_be_cancelled(held_scan: threading.Event):
    many = {f"layer.{k}.weight": torch.randn(70, 110) for k in range(24)}
    explorer = WeightExplorer(many, patience=0)
    assert explorer.status == "scanning"
    explorer.cancel()
    explorer.wait(10)
    assert explorer.status == "cancelled"
    assert explorer.progress < 1
    held_scan.set()
    explorer.refresh()
    explorer.wait(60)
    assert explorer.status == "ready"
    explorer.close()


def test_the_view_can_cancel_the_scan(held_scan: threading.Event):
    many = {f"layer.{k}.weight": torch.randn(70, 110) for k in range(24)}
    explorer = WeightExplorer(many, patience=0)
    explorer._on_message(explorer, {"cancel": "scan"}, [])
    explorer.wait(10)
    assert explorer.status == "cancelled"
    explorer.close()


def test_wait_times_out_with_the_progress(held_scan: threading.Event):
    many = {f"layer.{k}.weight": torch.randn(90, 110) for k in range(24)}
    explorer = WeightExplorer(many, patience=0)
    with pytest.raises(TimeoutError, match="still goes on"):
        explorer.wait(0.001)
    explorer.close()


def test_closing_ends_the_threads(net):
    before = set(threading.enumerate())
    explorer = WeightExplorer(net).wait()
    explorer.close()
    await_end_of(before)


def test_a_trait_that_there_is_not_is_refused(net):
    with pytest.raises(TypeError, match="colour_map"):
        WeightExplorer(net, colour_map="grey")


def test_a_constructor_that_fails_or_is_interrupted_leaves_nothing_running(monkeypatch):
    many = {f"layer.{k}.weight": torch.randn(700, 1100) for k in range(24)}
    before = set(threading.enumerate())
    with pytest.raises(TraitError):
        WeightExplorer(many, selected="nowhere")

    def interrupted(*_given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("weightwidget.exploring.scanning.wait_if_soon", interrupted)
    with pytest.raises(KeyboardInterrupt):
        WeightExplorer(many)
    await_end_of(before)


@pytest.mark.parametrize("given", [3, None, ("a", "b"), (1, 2, 3), (2, 1), (math.nan, 1)])
def test_facets_are_pairs_in_order(explorer, given: object):
    with pytest.raises(TraitError, match="facets: 'std'"):
        explorer.facets = {"std": given}
    assert explorer.facets == {}


@pytest.mark.parametrize("given", [(1, 2), (8, 0, 0, 0), (-1, 0, 0, 0), ("a", 0, 0, 0), (0.5, 0, 0, 0)])
def test_an_index_that_does_not_fit_is_refused(explorer, given: tuple[object, ...]):
    with pytest.raises(TraitError, match="index"):
        explorer.index = given
    explorer.index = (7, 2, 4, 4)
    assert explorer.index == (7, 2, 4, 4)


@pytest.mark.parametrize("given", [(-5, 2, 0, 3), (0, 0, 0, 1), (3, 1, 0, 3)])
def test_a_window_that_shows_nothing_is_refused(explorer, given: tuple[int, ...]):
    with pytest.raises(TraitError, match="window"):
        explorer.window = given


def test_an_observer_may_use_the_summary_and_refresh(explorer):
    seen = []

    def look(change) -> None:
        if change["new"] == "ready" and len(seen) < 2:
            seen.append(len(explorer.summary))
            explorer.refresh()

    explorer.observe(look, "status")
    explorer.refresh()
    explorer.wait(20)
    assert seen == [6, 6]
    assert explorer.status == "ready"


def test_an_observer_that_raises_does_not_end_the_scan(explorer):
    def fail(_change: object) -> None:
        raise ZeroDivisionError

    explorer.observe(fail, "progress")
    with pytest.raises(ZeroDivisionError):
        explorer.refresh()
    explorer.wait(20)
    assert explorer.status == "ready"
    assert explorer.progress == 1.0


def test_refreshing_from_several_threads():
    explorer = WeightExplorer({f"layer.{k}.weight": torch.randn(300, 500) for k in range(12)}, patience=0)
    threads = [threading.Thread(target=explorer.refresh) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    explorer.wait(30)
    assert explorer.status == "ready"
    assert len(explorer.summary) == 12
    explorer.close()


def test_refresh_sees_layers_that_were_converted_exchanged_and_removed(explorer, net):
    net.half()
    net.fc1 = nn.Linear(5, 3)
    explorer.selected = "fc2.weight"
    with pytest.raises(ValueError, match=r"float32.*float16"):
        explorer.source.tensors["fc2.weight"].read()
    explorer.refresh()
    assert explorer.selected == "fc2.weight"
    assert explorer.summary["fc2.weight"].dtype == "float16"
    assert explorer.summary["fc1.weight"].shape == (3, 5)
    del net.fc2
    explorer.refresh()
    assert explorer.selected == "conv.weight"
    assert "fc2.weight" not in explorer.visible


def test_refresh_reads_a_file_that_was_written_again(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    save_file({"w": torch.ones(30, 50)}, path)
    explorer = WeightExplorer(path)
    save_file({"w": torch.zeros(30, 50)}, path)
    assert explorer.refresh().summary["w"].max == 0.0
    path.unlink()
    with pytest.raises(FileNotFoundError):
        explorer.refresh()
    assert explorer.summary["w"].max == 0.0
    explorer.close()


def test_a_source_that_was_given_stays_open_and_keeps_its_name(net):
    source = weightwidget.open_weights(net)
    first, second = WeightExplorer(source, name="first"), WeightExplorer(source)
    assert (first.source.name, second.source.name, source.name) == ("first", "Net", "Net")
    first.close()
    second.value_range = (-1, 1)
    assert len(second.selection.values) == 600
    second.close()
    assert source.tensors["fc1.weight"].read().shape == (12, 24)


def test_after_closing(net):
    explorer = WeightExplorer(net)
    summary = explorer.summary
    explorer.close()
    explorer.close()
    assert explorer.wait(1).summary is summary
    explorer._on_message(explorer, {"id": "1", "kind": "cell"}, [])
    with pytest.raises(RuntimeError, match="closed"):
        explorer.refresh()


def test_closing_during_the_scan_keeps_what_was_found(held_scan: threading.Event):
    many = {f"layer.{k}.weight": torch.randn(70, 110) for k in range(24)}
    explorer = WeightExplorer(many, patience=0)
    explorer.close()
    explorer.wait(10)
    assert explorer.status == "cancelled"
    assert not explorer.summary.errors


def test_a_closed_explorer_is_collected(net):
    explorer = WeightExplorer(net).wait()
    chart = explorer.charts.trend()
    chart.close()
    chart.close()
    gone = weakref.ref(explorer)
    before = set(threading.enumerate()) - {explorer._follower}
    explorer.close()
    del explorer, chart
    await_end_of(before)
    gc.collect()
    assert gone() is None


def test_values_at_the_end_of_float64_are_shown():
    top = torch.full((30, 50), 1.7e308, dtype=torch.float64)
    explorer = WeightExplorer({"same": top, "both": torch.cat([top, -top])})
    assert explorer.status == "ready"
    low, high = explorer.summary["same"].robust_range()
    assert low < 1.7e308 < high < math.inf
    explorer.close()


def test_importing_brings_no_data_frames_along():
    code = "import sys, weightwidget; print({'pandas', 'bqplot', 'sidecar', 'scipy', 'transformers'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def await_end_of(before: set[threading.Thread]) -> None:
    """Wait until there are no threads but those."""
    end = time.monotonic() + 10
    while time.monotonic() < end and set(threading.enumerate()) - before:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


def test_a_closed_explorer_keeps_no_model_alive():
    model = nn.Linear(3, 2)
    explorer = WeightExplorer(model).wait()
    gone = weakref.ref(model)
    explorer.close()
    del model
    gc.collect()
    assert gone() is None
    assert not explorer.anatomy.traceable
