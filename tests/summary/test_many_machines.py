"""Several processes give what one gives: clusters by an executor, and models that are spread by torch.distributed."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import weightwidget
from tests.summary import ranks
from weightwidget.summary import kernel, remote
from weightwidget.summary.record import TensorSummary


def assert_same(
    found: Mapping[str, TensorSummary], expected: Mapping[str, TensorSummary], absolute: float = 1e-12
) -> None:
    """Counts byte by byte, everything else to what kernels promise."""
    assert list(found) == list(expected)
    for name, record in expected.items():
        other = found[name]
        assert (other.error, other.shape, other.dtype, other.kind) == (
            record.error,
            record.shape,
            record.dtype,
            record.kind,
        )
        for key in ("count", "nan", "posinf", "neginf", "zeros", "argmin", "argmax", "finite", "nbytes"):
            assert getattr(other, key) == getattr(record, key), (name, key)
        assert np.array_equal([other.min, other.max], [record.min, record.max], equal_nan=True)
        for a, b in zip(other.sketch.components, record.sketch.components, strict=True):
            assert (a.exact, a.shift, a.scale) == (b.exact, b.shift, b.scale), name
            assert a.keys.tobytes() == b.keys.tobytes(), name
            assert a.counts.tobytes() == b.counts.tobytes(), name
        for key in ("mean", "std", "skewness", "kurtosis", "l1", "l2"):
            # Skewness and kurtosis near zero are differences of what the error is relative to.
            near = 1e-6 if key in ("skewness", "kurtosis") else absolute
            assert getattr(other, key) == pytest.approx(getattr(record, key), rel=1e-6, abs=near, nan_ok=True)
        for key in ("row_norms", "column_norms", "thumbnail"):
            ours, theirs = getattr(other, key), getattr(record, key)
            assert (ours is None) == (theirs is None)
            if ours is not None:
                np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Dask cluster of two processes summarises a sharded checkpoint, large tensors box by box."""
    distributed = pytest.importorskip("distributed")
    torch.manual_seed(0)
    shards = [
        {"a.weight": torch.randn(2300, 2100), "a.bias": torch.randn(2300)},
        {"b.weight": torch.randn(3001, 3300).to(torch.bfloat16), "b.far": torch.randn(1500, 3000) + 50},
        {"c.weight": torch.randn(70, 40), "c.nan": torch.full((9, 4), torch.nan)},
    ]
    for number, shard in enumerate(shards):
        save_file(shard, tmp_path / f"model-{number + 1:05}-of-00003.safetensors")
    for module in (kernel, remote):
        monkeypatch.setattr(module, "PIECE", 1 << 23)
    sent: list[int] = []
    alone = weightwidget.summarize(tmp_path)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        submit = executor.submit

        def weigh(function, *args, **kwargs):
            sent.append(len(pickle.dumps((function, args, kwargs))))
            return submit(function, *args, **kwargs)

        monkeypatch.setattr(executor, "submit", weigh)
        shares: list[float] = []
        together = weightwidget.summarize(tmp_path, executor=executor, progress=shares.append)
    assert_same(together, alone)
    assert len(sent) > 3
    assert max(sent) < 4000, "names and ranges are sent, never weights"
    assert shares[-1] == 1.0
    assert shares == sorted(shares)


def test_ranks(tmp_path: Path) -> None:
    """Two processes with FSDP and tensor parallelism: each measures its shards, both have the summary of the whole."""
    commands = [
        [sys.executable, "-m", "tests.summary.ranks", str(rank), "2", str(tmp_path / "meeting"), str(tmp_path)]
        for rank in range(2)
    ]
    root = Path(__file__).parents[2]
    running = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) for command in commands]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    first, second = (pickle.loads((tmp_path / f"{rank}.pickle").read_bytes()) for rank in range(2))
    assert_same(first["fsdp"], second["fsdp"])
    expected = weightwidget.summarize(ranks.model())
    for name in expected.tensors:  # FSDP changes the classes of modules
        object.__setattr__(expected[name], "kind", first["fsdp"][name].kind)
    assert_same(first["fsdp"], expected)
    assert_same(second["tensor parallel"], weightwidget.summarize(ranks.tensors()))
    bare = weightwidget.summarize(ranks.tensors(), norms=False)
    assert {(record.row_norms, record.column_norms) for record in bare.tensors.values()} == {(None, None)}
    assert_same(first["without norms"], bare)
    assert first["fsdp"].modules[""].nan == 1
    assert "weightwidget.summarize(model) in each of them" in first["refusal"]


def test_an_executor_without_norms() -> None:
    torch.manual_seed(0)
    weights = {"large": torch.randn(2300, 2100), "small": torch.randn(70, 40), "vector": torch.randn(9001)}
    with ThreadPoolExecutor(2) as executor:
        found = weightwidget.summarize(weights, executor=executor, norms=False)
    assert {(record.row_norms, record.column_norms) for record in found.tensors.values()} == {(None, None)}
    assert_same(found, weightwidget.summarize(weights, norms=False))


def test_one_process_alone_says_what_is_missing() -> None:
    from weightwidget.summary.sharded import summarize_shards

    with pytest.raises(RuntimeError, match="init_process_group"):
        summarize_shards(weightwidget.open_weights({"w": torch.randn(3, 4)}), None)
