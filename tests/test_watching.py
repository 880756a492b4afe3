"""Refresh reads only what changed; a training that is watched."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from weightwidget import WeightExplorer
from weightwidget.sources.memory import HeldTensor
from weightwidget.watching import SHARE, Watch


class Net(nn.Module):
    """Trained, frozen and running tensors, and tied ones."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(24, 20)
        self.norm = nn.BatchNorm1d(20)
        self.frozen = nn.Linear(20, 900).requires_grad_(False)
        self.head = nn.Linear(900, 3, bias=False)
        self.again = nn.Linear(900, 3, bias=False)
        self.again.weight = self.head.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.frozen(self.norm(self.body(x))))


TRAINED = {"body.weight", "body.bias", "norm.weight", "norm.bias", "head.weight"}
RUNNING = {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}


@pytest.fixture
def net() -> Net:
    torch.manual_seed(1)
    return Net()


@pytest.fixture
def explorer(net: Net) -> Iterator[WeightExplorer]:
    made = WeightExplorer(net).wait()
    yield made
    made.close()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the tensors that are read from now on."""
    names: set[str] = set()
    read = HeldTensor.__call__

    def counted(self: HeldTensor, index: Any) -> torch.Tensor:
        names.add(self.name)
        return read(self, index)

    monkeypatch.setattr(HeldTensor, "__call__", counted)
    return names


def train(net: Net, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    net(torch.randn(8, 24)).square().sum().backward()
    optimizer.step()


def sgd(net: Net) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.01)


def fits(explorer: WeightExplorer, net: Net) -> None:
    """The records are those of the weights as they are now."""
    state = net.state_dict()
    summary = explorer.summary
    for name, tensor in state.items():
        values = tensor.double().numpy()
        assert summary[name].mean == pytest.approx(values.mean(), rel=1e-6, abs=1e-9), name
        assert summary[name].max == values.max(), name


class TestRefresh:
    def test_without_a_change_nothing_is_read_and_nothing_is_sent(self, explorer: WeightExplorer, reads: set[str]):
        before, overview = explorer.summary.tensors, explorer._overview
        sent = []
        explorer.observe(sent.append, "_overview")
        explorer.refresh().wait()
        assert reads == set()
        assert all(explorer.summary[name] is before[name] for name in before)
        assert explorer._overview == overview
        assert not sent
        assert (explorer.status, explorer.progress) == ("ready", 1.0)

    def test_only_what_changed_is_read(self, explorer: WeightExplorer, net: Net, reads: set[str]):
        frozen = explorer.summary["frozen.weight"]
        train(net, sgd(net))
        explorer.refresh().wait()
        assert reads == TRAINED | RUNNING
        assert explorer.summary["frozen.weight"] is frozen
        fits(explorer, net)
        reads.clear()
        with torch.no_grad():
            net.again.weight[1, 700] = 3.0
        explorer.refresh().wait()
        assert reads == {"head.weight"}
        assert explorer.summary["again.weight"].max == 3.0
        assert explorer.summary["again.weight"].shared_with == "head.weight"

    def test_everything_can_be_read(self, explorer: WeightExplorer, net: Net, reads: set[str]):
        net.frozen.weight.data[3, 9] = 70.0  # past the counter, beside the sample
        assert explorer.refresh().summary["frozen.weight"].max < 70
        assert explorer.refresh(everything=True).summary["frozen.weight"].max == 70.0
        assert reads == set(explorer.source.tensors) - {"again.weight"}

    def test_what_is_exchanged_resized_and_added(self, explorer: WeightExplorer, net: Net, reads: set[str]):
        net.frozen = nn.Linear(20, 900)
        net.body.weight.data = torch.ones(20, 31)
        net.extra = nn.Linear(5, 2)
        explorer.refresh().wait()
        assert reads >= {"frozen.weight", "frozen.bias", "body.weight", "extra.weight", "extra.bias"}
        assert "norm.weight" not in explorer.summary.errors
        fits(explorer, net)

    def test_a_change_during_the_scan_is_seen_the_next_time(self, net: Net, monkeypatch: pytest.MonkeyPatch):
        read = HeldTensor.__call__
        begun, go_on = threading.Event(), threading.Event()

        def held_up(self: HeldTensor, index: Any) -> torch.Tensor:
            values = read(self, index)
            if self.name == "frozen.weight" and not go_on.is_set():
                values = values.clone()
                begun.set()
                assert go_on.wait(20)
            return values

        monkeypatch.setattr(HeldTensor, "__call__", held_up)
        explorer = WeightExplorer(net, patience=0)
        assert begun.wait(20)
        with torch.no_grad():
            net.frozen.weight[5, 7] = 9.0
        go_on.set()
        assert explorer.wait(20).summary["frozen.weight"].max < 9
        assert explorer.refresh().summary["frozen.weight"].max == 9.0
        explorer.close()

    def test_after_a_cancelled_scan_the_rest_is_read(self, held_scan: threading.Event):
        state = {f"layer.{k}.weight": torch.randn(70, 110) for k in range(24)}
        explorer = WeightExplorer(state, patience=0)
        explorer.cancel()
        explorer.wait(10)
        assert explorer.status == "cancelled"
        found = dict(explorer.summary.tensors)
        held_scan.set()
        explorer.refresh().wait(60)
        assert explorer.status == "ready"
        assert all(explorer.summary[name] is record for name, record in found.items())
        explorer.close()

    def test_arrays_are_always_read(self):
        array = np.zeros((300, 200), np.float32)
        explorer = WeightExplorer({"w": array})
        array[17, 3] = 5.0
        assert explorer.refresh().summary["w"].max == 5.0
        explorer.close()


class TestWatch:
    def test_every_so_many_steps_what_changed_is_read(self, explorer: WeightExplorer, net: Net, reads: set[str]):
        optimizer = sgd(net)
        watch = explorer.watch(optimizer, every=3)
        for step in range(1, 8):
            train(net, optimizer)
            expected = step // 3
            explorer.wait(20)
            if watch.cost.refreshes < expected:  # what was read before had just been shown
                watch._explorer()._follower._rested_at = 0.0  # type: ignore[union-attr]
        assert watch.steps == 7
        assert watch.cost.refreshes >= 1
        assert reads == TRAINED | RUNNING
        watch.stop()

    def test_a_block_ends_with_what_the_last_steps_changed(self, explorer: WeightExplorer, net: Net):
        optimizer = sgd(net)
        with explorer.watch(optimizer, every=1000) as watch:
            for _ in range(3):
                train(net, optimizer)
            assert explorer._watch == {"step": 0, "every": 1000, "asked": 1000, "share": 0.0}
        assert watch.stopped
        assert explorer._watch == {}
        assert watch.cost.refreshes == 1
        assert watch.cost.seconds > 0
        fits(explorer, net)

    @pytest.mark.parametrize("make", [torch.optim.AdamW, torch.optim.SGD])
    def test_fused_steps_are_seen(self, explorer: WeightExplorer, net: Net, make: Callable[..., torch.optim.Optimizer]):
        optimizer = make([p for p in net.parameters() if p.requires_grad], lr=0.01, fused=True)
        with explorer.watch(optimizer, every=2):
            for _ in range(5):
                train(net, optimizer)
        fits(explorer, net)

    def test_a_loop_without_an_optimizer(self, explorer: WeightExplorer, net: Net, reads: set[str]):
        with explorer.watch(every=2) as watch:
            for _ in range(3):
                net.frozen.weight.data[3, 9] += 70.0
                watch.step()
        assert watch.steps == 3
        assert explorer.summary["frozen.weight"].max >= 209
        assert "frozen.weight" in reads

    def test_the_hook_reads_while_the_step_waits(self, explorer: WeightExplorer, net: Net):
        """What is shown is one state of the weights, however soon they change again."""
        optimizer = sgd(net)
        watch = explorer.watch(optimizer, every=1)
        explorer._follower._rested_at = 0.0
        train(net, optimizer)
        then = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.fill_(-1.0)
        assert watch.cost.refreshes == 1
        for name, tensor in then.items():
            assert explorer.summary[name].max == tensor.max(), name
        assert explorer._packer._whole
        for record, grid in explorer._packer._whole.values():
            assert grid.values.double().mean().item() == pytest.approx(record.mean, rel=1e-5, abs=1e-7)

    def test_watching_again_takes_the_place(self, explorer: WeightExplorer, net: Net):
        optimizer = sgd(net)
        first = explorer.watch(optimizer, every=5)
        second = explorer.watch(optimizer, every=7)
        other = explorer.watch(sgd(net), every=7)
        train(net, optimizer)
        assert (first.stopped, first.steps) == (True, 0)
        assert (second.stopped, second.steps) == (False, 1)
        assert explorer._watches == (second, other)

    def test_the_view_stops_it(self, explorer: WeightExplorer, net: Net):
        optimizer = sgd(net)
        watch = explorer.watch(optimizer, every=1000)
        assert explorer._watch["step"] == 0
        explorer._on_message(explorer, {"stop": "watch"}, [])
        assert watch.stopped
        assert explorer._watch == {}
        train(net, optimizer)
        assert watch.steps == 0

    def test_closing_stops_it(self, net: Net):
        explorer = WeightExplorer(net).wait()
        optimizer = sgd(net)
        watch = explorer.watch(optimizer, every=1)
        explorer.close()
        train(net, optimizer)
        assert watch.stopped
        assert (watch.steps, watch.error) == (0, "")
        with pytest.raises(RuntimeError, match="closed"):
            explorer.watch(optimizer)

    def test_neither_keeps_the_other_alive(self, net: Net):
        explorer = WeightExplorer(net).wait()
        optimizer = sgd(net)
        watch = explorer.watch(optimizer, every=1)
        gone = weakref.ref(explorer)
        explorer._follower.join()
        explorer.close()
        del explorer
        gc.collect()
        assert gone() is None
        train(net, optimizer)
        second = WeightExplorer(net).wait()
        second.watch(optimizer)
        dead = weakref.ref(optimizer)
        del optimizer
        gc.collect()
        assert dead() is None
        second.close()
        assert watch.stopped

    def test_an_error_ends_the_watching_and_not_the_training(
        self, explorer: WeightExplorer, net: Net, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ):
        def fail() -> None:
            raise ZeroDivisionError("no more weights")

        monkeypatch.setattr(explorer, "_open", fail)
        optimizer = sgd(net)
        watch = explorer.watch(optimizer, every=1)
        explorer._follower.join()
        explorer._follower._rested_at = 0.0
        with caplog.at_level(logging.CRITICAL, "weightwidget.watching"):
            train(net, optimizer)
            train(net, optimizer)
        assert watch.stopped
        assert watch.steps == 1
        assert watch.error == "watching stopped: ZeroDivisionError: no more weights"
        assert explorer._watch == {"error": watch.error}
        assert explorer._message == watch.error
        assert explorer.status == "ready"

    def test_reading_that_takes_long_is_done_more_rarely(self, net: Net):
        class Slow:
            def _read_changed(self, _written: object, patient: bool) -> bool:
                clock[0] += 4.5
                return not patient

            def _show_watch(self, _watch: object, state: dict[str, Any]) -> None:
                states.append(state)

        clock, states = [0.0], []
        slow = Slow()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("weightwidget.watching.time.perf_counter", lambda: clock[0])
            watch = Watch(slow, None, 10)
            for _ in range(200):
                clock[0] += 0.5
                watch.step()
        # 4.5 s a time are a tenth of 45 s, which are 81 steps and more of 0.5 s besides.
        assert (watch.asked, watch.every) == (10, 90)
        assert watch.cost.refreshes == 3
        assert watch.cost.seconds == pytest.approx(3 * 4.5)
        assert watch.cost.training == pytest.approx(199 * 0.5)
        assert watch.cost.per_refresh == pytest.approx(4.5)
        assert watch.cost.share < SHARE + 0.03
        assert states[-1]["every"] == 90
        assert "asked: 10" in repr(watch)

    def test_what_cannot_be_watched_is_refused(self, explorer: WeightExplorer, net: Net):
        with pytest.raises(TypeError, match=r"call step\(\)"):
            explorer.watch(net)
        with pytest.raises(ValueError, match="at least 1"):
            explorer.watch(sgd(net), every=0)

    def test_a_layer_exchanged_during_the_training(self, explorer: WeightExplorer, net: Net):
        explorer.selected = "head.weight"
        with explorer.watch(every=1) as watch:
            net.extra = nn.Linear(7, 2)
            explorer._follower._rested_at = 0.0
            watch.step()
        assert "extra.weight" in explorer.summary
        assert explorer.selected == "head.weight"


class TestLooking:
    def test_what_a_view_shows_comes_next_after_what_is_selected(self, net: Net):
        explorer = WeightExplorer(net).wait()
        asked: list[tuple[str, ...]] = []
        explorer._scan.prioritise = lambda *paths: asked.append(paths)  # type: ignore[method-assign]
        explorer.selected = "frozen.weight"
        explorer._on_message(explorer, {"look": ["head", "body.weight", "no such", 3, None]}, [])
        explorer._on_message(explorer, {"look": "head"}, [])
        assert asked == [("frozen.weight",), ("frozen.weight", "head", "body.weight")]
        explorer.selected = "norm.weight"
        assert asked[-1] == ("norm.weight", "head", "body.weight")
        explorer.close()

    def test_a_cancelled_scan_says_so_before_it_packs(
        self, held_scan: threading.Event, monkeypatch: pytest.MonkeyPatch
    ):
        state = {f"layer.{k}.weight": torch.randn(70, 110) for k in range(24)}
        explorer = WeightExplorer(state, patience=0)
        told, pack = [], explorer._pack
        monkeypatch.setattr(explorer, "_pack", lambda: (told.append(explorer.status), pack()))
        explorer._on_message(explorer, {"cancel": "scan"}, [])
        explorer.wait(10)
        assert told[-1] == "cancelled"
        explorer.close()

    def test_pace_is_told_while_scanning_and_gone_afterwards(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("weightwidget.following.FIRST_LOOK", 0.0)
        monkeypatch.setattr("weightwidget.following.PROGRESS_INTERVAL", 0.001)
        told: list[tuple[str, Any]] = []
        tell = WeightExplorer._tell

        def recorded(self: WeightExplorer, trait: str, value: object) -> None:
            told.append((trait, value))
            tell(self, trait, value)

        monkeypatch.setattr(WeightExplorer, "_tell", recorded)
        explorer = WeightExplorer({f"layer.{k}.weight": torch.randn(700, 1100) for k in range(12)}, patience=0)
        explorer.wait(60)
        paces = [value for trait, value in told if trait == "_pace"]
        assert paces[0].keys() == {"rate", "left"}
        assert paces[-1] == explorer._pace == {}
        explorer.close()
