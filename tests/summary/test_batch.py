"""Tensors that are measured together have the records that they have alone."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.summary.conftest import KERNEL_NAMES, OTHERS
from tests.summary.stub import ref_of
from tests.summary.test_many_machines import assert_same
from weightwidget import open_weights
from weightwidget.summary import fused
from weightwidget.summary.batch import Batch, suits
from weightwidget.summary.compiling import SWITCH
from weightwidget.summary.kernel import summarize_tensor
from weightwidget.summary.scan import Scan

Fill = Callable[[tuple[int, ...]], torch.Tensor]

FILLS: dict[str, Fill] = {
    "normal": lambda shape: 0.05 * torch.randn(shape),
    "pruned": lambda shape: torch.relu(torch.randn(shape)),
    "zeros of both signs": lambda shape: -torch.relu(torch.randn(shape)) * (torch.rand(shape) > 0.5),
    "zeros": torch.zeros,
    "constant": lambda shape: torch.full(shape, 0.3),
    "far from zero": lambda shape: torch.randn(shape) + 100,
    "outlier": lambda shape: torch.where(torch.arange(math.prod(shape)).view(shape) == 0, -1e6, torch.randn(shape)),
    "tiny": lambda shape: 1e-30 * torch.randn(shape),
    "denormal": lambda shape: 1e-40 * torch.randn(shape),
    "huge": lambda shape: 1e30 * torch.randn(shape),
    "few values": lambda shape: torch.randint(-2, 3, shape).float(),
    "NaN": lambda shape: torch.where(torch.rand(shape) > 0.99, torch.nan, torch.randn(shape)),
    "infinite": lambda shape: torch.where(torch.rand(shape) > 0.9, -torch.inf, torch.randn(shape)),
    "nothing finite": lambda shape: torch.full(shape, torch.nan),
}


@pytest.fixture(autouse=True, scope="module")
def _compiled() -> None:
    assert fused.KERNELS.load((*fused.ENDS, *OTHERS, *KERNEL_NAMES))


shapes = st.one_of(
    st.tuples(st.integers(1, 9000)),
    st.tuples(st.integers(1, 300), st.integers(1, 90)),
    st.tuples(st.integers(1, 40), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)),
    st.just(()),
)


@settings(deadline=None, max_examples=60)
@given(
    tensors=st.lists(st.tuples(st.sampled_from(sorted(FILLS)), shapes), min_size=1, max_size=6),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    thumbnail=st.sampled_from([0, 5, 64]),
    norms=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_together_as_alone(
    tensors: list[tuple[str, tuple[int, ...]]], dtype: torch.dtype, thumbnail: int, norms: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    source = open_weights({f"{k}.{fill}": FILLS[fill](shape).to(dtype) for k, (fill, shape) in enumerate(tensors)})
    batch = Batch(str(dtype)[6:], thumbnail, norms)
    refs = list(source.tensors.values())
    for ref in refs:
        assert suits(ref)
        assert batch.add(ref)
    batch.measure()
    records = batch.records(["Linear"] * len(refs))
    together = {ref.name: record for ref, record in zip(refs, records, strict=True) if record is not None}
    alone = {ref.name: summarize_tensor(ref, "Linear", thumbnail, norms=norms) for ref in refs if ref.name in together}
    assert_same(together, alone, absolute=1e-9)
    for record, other in ((together[name], alone[name]) for name in together):
        assert (repr(record.min), repr(record.max)) == (repr(other.min), repr(other.max))
        assert record.thumbnail is None or record.thumbnail.dtype == np.float32
    for ref in refs:
        if ref.name.partition(".")[2] in ("normal", "pruned"):
            assert ref.name in together, "only what needs another pass is done alone"
    assert not fused.scratch()[0].any(), "tables are left clean"


def test_what_needs_more_is_done_alone() -> None:
    """Another shift or scale, wider norms, small tensors that are not finite."""
    weights = {
        "far": torch.randn(200, 90) + 100,
        "tiny": 1e-30 * torch.randn(200, 90),
        "usual": torch.randn(200, 90),
        "NaN": torch.full((9, 4), torch.nan),
        "outliers": torch.cat([torch.randn(6000), torch.full((6000,), 1e30)]),
    }
    batch = Batch("float32", 64)
    for ref in open_weights(weights).tensors.values():
        batch.add(ref)
    batch.measure()
    assert [record is not None for record in batch.records([""] * 5)] == [False, False, True, False, False]


def scanned(weights: dict[str, torch.Tensor], workers: int = 2) -> dict[str, object]:
    scan = Scan(open_weights(weights), workers=workers).start()
    assert scan.wait(60)
    assert scan.status == "ready"
    assert scan.progress == 1.0
    assert scan.done_bytes == scan.total_bytes
    return scan.results


def test_a_scan_is_the_same_with_batches_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    shared = torch.randn(50, 30)
    weights = {
        "a.tied": shared,
        "b.tied": shared,
        **{f"{k}.{fill}": make((70, 80 + k)) for k, (fill, make) in enumerate(FILLS.items())},
        "half": torch.randn(30, 200).bfloat16(),
        "double": torch.randn(30, 20).double(),
        "transposed": torch.randn(200, 90).T,
        "part": torch.randn(200, 90)[:, 3:50],
        "counter": torch.tensor(3),
        "empty": torch.zeros(0, 4),
        "large": torch.randn(3000, 3000),
    }
    measured: list[int] = []
    measure = Batch.measure

    def noted(self: Batch) -> None:
        measured.append(len(self._refs))
        measure(self)

    monkeypatch.setattr(Batch, "measure", noted)
    together = scanned(weights)
    assert sum(measured) == len(FILLS) + 2  # one of the tied ones, and that of another type
    monkeypatch.setattr(fused, "batch_kernel", lambda _dtype: None)
    assert_same(together, {name: scanned(weights)[name] for name in together}, absolute=1e-9)


def test_what_is_asked_for_comes_into_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    reached, gate = threading.Event(), threading.Event()
    order: list[list[str]] = []
    measure = Batch.measure

    def held(self: Batch) -> None:
        order.append([ref.name for ref in self._refs])
        reached.set()
        assert gate.wait(20)
        measure(self)

    monkeypatch.setattr(Batch, "measure", held)
    weights = {f"layers.{k}.weight": torch.randn(200, 300 + k) for k in range(60)}
    scan = Scan(open_weights(weights), workers=1).start()
    assert reached.wait(20)
    scan.prioritise("layers.57", "layers.58")
    gate.set()
    assert scan.wait(60)
    assert len(order[0]) < 30, "a batch leaves room for wishes"
    assert order[1][:2] == ["layers.57.weight", "layers.58.weight"]


def test_a_failing_tensor_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    add = Batch.add

    def failing(self: Batch, ref: object) -> bool:
        if ref.name == "b":
            raise ValueError("no such device")
        return add(self, ref)

    monkeypatch.setattr(Batch, "add", failing)
    results = scanned({name: torch.randn(90, 60) for name in "abc"})
    assert [results[name].error for name in "abc"] == ["", "", ""], "it is read again, alone"


def test_what_cannot_be_measured_together_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Batch) -> None:
        raise MemoryError

    monkeypatch.setattr(Batch, "measure", failing)
    assert {record.error for record in scanned({name: torch.randn(90, 60) for name in "abc"}).values()} == {""}


def test_memory_that_was_let_go_of() -> None:
    """Torch crashes where it reads such a tensor."""
    weights = {"kept": torch.randn(90, 60), "freed": torch.randn(90, 60)}
    weights["freed"].untyped_storage().resize_(0)
    results = scanned(weights)
    assert results["kept"].error == ""
    assert "gather the weights first" in results["freed"].error


def test_who_is_not_in_a_batch() -> None:
    refs = open_weights({"a": torch.randn(3, 4), "b": torch.randn(3, 4).double(), "c": torch.zeros(0, 3)}).tensors
    assert [suits(ref) for ref in refs.values()] == [True, False, False]
    assert not suits(ref_of(torch.randn(3, 4))), "its reader may hold others up"


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "1")


@pytest.mark.usefixtures("without")
def test_none_without_numba() -> None:
    assert not suits(open_weights({"a": torch.randn(3, 4)}).tensors["a"])
