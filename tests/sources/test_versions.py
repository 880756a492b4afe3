"""Marks of versions: every optimizer, and what torch's counter does not count."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from weightwidget import open_weights
from weightwidget.sources.base import WeightSource
from weightwidget.sources.versions import SMALL, lies_in, marking, stamp, stamps, storages

OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1),
    "SGD foreach": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, foreach=True),
    "SGD fused": lambda p: torch.optim.SGD(p, 0.1, fused=True),
    "AdamW": lambda p: torch.optim.AdamW(p, foreach=False),
    "AdamW foreach": lambda p: torch.optim.AdamW(p, foreach=True),
    "AdamW fused": lambda p: torch.optim.AdamW(p, fused=True),
    "Adagrad fused": lambda p: torch.optim.Adagrad(p, fused=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p),
}


class Net(nn.Module):
    """One layer that is too large to be looked at whole, and running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(900, 24)
        self.norm = nn.BatchNorm1d(24)
        self.head = nn.Linear(24, 5)
        self.frozen = nn.Linear(24, 7).requires_grad_(False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.table(tokens)))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(1)
    return Net()


def marks(source: WeightSource) -> dict[str, object]:
    return dict(stamps(source.tensors.values()))


def changed(net: nn.Module, act: Callable[[], object]) -> set[str]:
    """Names of the tensors whose mark an action changes."""
    source = open_weights(net)
    before = marks(source)
    act()
    after = marks(source)
    assert before.keys() == after.keys()
    assert None not in before.values()
    return {name for name in before if before[name] != after[name]}


def train(net: Net, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    net(torch.tensor([3, 500, 899])).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_of_an_optimizer_changes_what_it_writes_and_nothing_else(net: Net, name: str):
    assert net.table.weight.numel() > SMALL
    optimizer = OPTIMIZERS[name]([p for p in net.parameters() if p.requires_grad])
    found = changed(net, lambda: train(net, optimizer))
    # Of the running statistics torch counts nothing; of the table three rows are written.
    assert found == {
        *("table.weight", "norm.weight", "norm.bias", "head.weight", "head.bias"),
        *("norm.running_mean", "norm.running_var", "norm.num_batches_tracked"),
    }


def test_nothing_changes_the_mark_of_what_is_only_read(net: Net):
    def look() -> None:
        net.eval()
        net(torch.tensor([1, 2])).sum().backward()
        net.zero_grad()
        net.requires_grad_(False)
        open_weights(net).tensors["table.weight"].read()

    assert changed(net, look) == set()


@pytest.mark.parametrize(
    "write",
    [
        lambda w: w.data.clamp_(-0.1, 0.1),
        lambda w: w.detach().numpy().__setitem__(slice(100, 101), 1.0),
        lambda w: torch.from_dlpack(w.detach())[5:6].fill_(2.0),
        lambda w: w.detach()[:, 3].zero_(),
        lambda w: w.data[:, 3].zero_(),
        lambda w: nn.init.zeros_(w.data),
    ],
)
def test_writes_past_the_counter_are_seen_in_a_sample(net: Net, write: Callable[[torch.Tensor], object]):
    assert changed(net, lambda: write(net.table.weight)) == {"table.weight"}


def test_a_counted_write_to_one_element_is_seen(net: Net):
    def write() -> None:
        with torch.inference_mode():
            net.table.weight[371, 8] += 1.0

    assert changed(net, write) == {"table.weight"}


def test_small_tensors_are_looked_at_whole(net: Net):
    for name in ("head.weight", "head.bias", "norm.running_var"):
        tensor = net.get_parameter(name) if name.startswith("head") else net.norm.running_var

        def write(tensor: torch.Tensor = tensor) -> None:
            tensor.data.view(-1)[3] += 1e-6

        assert changed(net, write) == {name}


def test_what_is_exchanged_or_resized_has_another_mark(net: Net):
    source = open_weights(net)
    before = marks(source)
    net.head.weight = nn.Parameter(net.head.weight.detach().clone())
    net.head.bias.data = torch.zeros(6)
    net.frozen.half()
    after = marks(open_weights(net))
    assert {name for name in before if before[name] != after[name]} == {
        *("head.weight", "head.bias", "frozen.weight", "frozen.bias"),
    }


@pytest.mark.parametrize("shape", [(), (0, 3), (40_000,), (3, 20_000), (5, 70, 90)])
def test_any_shape_and_layout(shape: tuple[int, ...]):
    tensor = torch.zeros(shape, dtype=torch.bfloat16)
    transposed = torch.randn(*shape).movedim(0, -1) if len(shape) > 1 else tensor
    source = open_weights({"a": tensor, "b": transposed, "c": torch.zeros(shape, dtype=torch.bool)})
    before = marks(source)
    assert None not in before.values()
    assert marks(source) == before
    if tensor.numel():
        tensor.data.view(*shape[:1] or (1,), -1)[-1] = 3  # the last element of a vector, the last row of others
        assert stamp(source.tensors["a"]) != before["a"]


def test_what_has_no_counter_has_no_mark():
    with torch.inference_mode():
        inference = torch.ones(3, 4)
    source = open_weights({"inference": inference, "array": np.ones((3, 4)), "converted": np.ones((3, 4), ">f4")})
    assert marks(source) == {"inference": None, "array": None, "converted": None}
    # Without plain values, it cannot be read either.
    meta = open_weights({"sparse": torch.eye(3).to_sparse(), "fine": torch.ones(2, 3)})
    assert stamp(meta.tensors["sparse"]) is None
    assert stamp(meta.tensors["fine"]) is not None


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_files(tmp_path: Path, suffix: str):
    path = tmp_path / f"model.{suffix}"
    save = save_file if suffix == "safetensors" else torch.save
    save({"w": torch.ones(3, 5)}, path)
    # Written just now: another write could leave the same time.
    assert marks(open_weights(path)) == {"w": None}
    long_ago = path.stat().st_mtime_ns - 60_000_000_000
    os.utime(path, ns=(long_ago, long_ago))
    before = marks(open_weights(path))
    assert before["w"] is not None
    assert marks(open_weights(path)) == before
    os.utime(path, ns=(long_ago, long_ago + 1))
    assert marks(open_weights(path)) != before


def test_marks_are_made_before_the_first_read(net: Net):
    net.head.weight = net.frozen.weight
    made: dict[str, object] = {}
    source = marking(open_weights(net), made)
    assert made == {}
    values = source.tensors["head.weight"].read((0,)).clone()
    assert set(made) == {"head.weight", "frozen.weight"}
    first = dict(made)
    with torch.no_grad():
        net.frozen.weight += 1.0
    assert not torch.equal(source.tensors["frozen.weight"].read((0,)), values)
    assert made == first
    assert stamp(source.tensors["head.weight"]) is None  # the mark is of what lies below
    assert marks(open_weights(net))["head.weight"] != first["head.weight"]


def test_what_an_optimizer_may_write_is_known_by_its_memory(net: Net):
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    source = open_weights(net.state_dict())  # other objects on the same memory
    memory = storages(optimizer)
    assert {name for name, ref in source.tensors.items() if lies_in(ref, memory)} == {
        *("table.weight", "norm.weight", "norm.bias", "head.weight", "head.bias"),
    }
