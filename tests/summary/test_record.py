"""Records: histograms, ranges, module totals."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.summary.stub import StubSource, counts_of, ref_of
from weightwidget.summary.kernel import summarize_tensor
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.record import TensorSummary, merge_records
from weightwidget.summary.summarize import summarize


def record_of(weights: torch.Tensor, name: str = "w") -> TensorSummary:
    return summarize_tensor(ref_of(weights, name))


@pytest.fixture(scope="module", params=["small", "bfloat16", "binned"])
def pair(request: pytest.FixtureRequest) -> tuple[np.ndarray, TensorSummary]:
    weights = torch.randn(200, 301, generator=torch.Generator().manual_seed(1))
    if request.param == "small":
        weights = weights[:40, :50]
    if request.param == "bfloat16":
        weights = weights.bfloat16()
    return weights.double().numpy().reshape(-1), record_of(weights)


def alike(counts: np.ndarray, expected: np.ndarray, exact: bool) -> None:
    if exact:
        assert counts.tolist() == expected.tolist()
    else:
        assert np.abs(counts - expected).sum() < 0.02 * expected.sum() + 2


def test_histogram(pair: tuple[np.ndarray, TensorSummary]) -> None:
    values, record = pair
    counts, edges = record.histogram(100)
    expected, wanted = np.histogram(values, 100)
    assert edges == pytest.approx(wanted)
    alike(counts, expected, record.sketch.exact)
    assert counts.sum() == pytest.approx(len(values))


def test_histogram_of_a_range_leaves_out_the_rest(pair: tuple[np.ndarray, TensorSummary]) -> None:
    values, record = pair
    counts, edges = record.histogram(10, (-0.5, 1.0))
    alike(counts, np.histogram(values, 10, (-0.5, 1.0))[0], record.sketch.exact)
    given_edges, _ = record.histogram(edges)
    assert given_edges.tolist() == counts.tolist()
    assert record.histogram(5, (100, 200))[0].tolist() == [0] * 5


def test_log_magnitudes(pair: tuple[np.ndarray, TensorSummary]) -> None:
    values, record = pair
    counts, edges = record.log_magnitude_histogram(20)
    magnitudes = np.log10(np.abs(values[values != 0]))
    assert counts.sum() == pytest.approx(len(magnitudes))
    assert edges[-1] == pytest.approx(magnitudes.max())
    assert edges[0] == pytest.approx(magnitudes.min(), abs=0.01)
    alike(record.log_magnitude_histogram(7, (-2, 0))[0], np.histogram(magnitudes, 7, (-2, 0))[0], False)
    # What another call gave as its range holds everything, whatever the last digits of the logarithms.
    again, _ = record.log_magnitude_histogram(8, (edges[0], edges[-1]))
    assert again.sum() == pytest.approx(len(magnitudes))


def test_log_magnitudes_leave_out_zeros() -> None:
    weights = torch.randn(300, 301)
    weights[weights.abs() < 1] = 0
    record = record_of(weights)
    counts, edges = record.log_magnitude_histogram()
    assert counts.sum() == pytest.approx(record.count - record.zeros)
    assert edges[0] == pytest.approx(0, abs=0.01)
    assert record_of(torch.zeros(5)).log_magnitude_histogram(3)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", [0.0, 1.0, -3e-40, 1e30])
def test_histogram_of_a_constant(value: float) -> None:
    counts, edges = record_of(torch.full((70, 80), value)).histogram(9)
    assert counts.sum() == 5600
    assert (np.diff(edges) > 0).all()
    logs, edges = record_of(torch.full((70, 80), value)).log_magnitude_histogram(9)
    assert logs.sum() == (0 if value == 0 else 5600)


def test_histogram_over_all_of_float64() -> None:
    counts, edges = record_of(torch.tensor([-1.7e308, 0.0, 1.7e308], dtype=torch.float64)).histogram(3)
    assert counts.tolist() == [1, 1, 1]
    assert np.isfinite(edges).all()


@pytest.mark.parametrize(
    ("bins", "span", "said"),
    [
        (0, None, "at least one bin"),
        (4, (2, 1), "ascending"),
        (4, (0, math.nan), "finite"),
        ([1], None, "edges"),
    ],
)
def test_bad_histograms(bins, span, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        record_of(torch.randn(5)).histogram(bins, span)


def test_robust_range() -> None:
    weights = torch.randn(300, 301)
    low, high = record_of(weights).robust_range()
    assert (low, high) == (weights.min(), weights.max())
    weights[0, 0] = 1000.0
    low, high = record_of(weights).robust_range()
    assert low < -3
    assert 3 < high < 5
    # Nearly all weights the same: the rest is what there is to see.
    pruned = torch.zeros(300, 301)
    pruned[5, 5], pruned[6, 6] = 2.0, -1.0
    assert record_of(pruned).robust_range() == (-1.0, 2.0)
    assert record_of(torch.full((3, 4), 5.0)).robust_range() == (4.5, 5.5)
    assert record_of(torch.zeros(3)).robust_range() == (-1.0, 1.0)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 9000), min_size=1, max_size=4), st.integers(0, 100), st.booleans())
def test_merging_parts_is_measuring_the_whole(sizes: list[int], seed: int, half: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randn(size, generator=generator) * (k + 1) for k, size in enumerate(sizes)]
    if half:
        parts = [part.bfloat16() for part in parts]
    parts[0][::7] = math.nan
    parts[-1][1::5] = 0.0
    whole = record_of(torch.cat(parts))
    records = [record_of(part) for part in parts]
    for merged in (merge_records(records), merge_records(records[::-1]), records[0].merge(*records[1:])):
        assert counts_of(merged) == counts_of(whole)
        assert merged.argmin is None
        assert merged.thumbnail is None
        for key in ("min", "max", "mean", "std", "rms", "l1", "l2"):
            assert getattr(merged, key) == pytest.approx(getattr(whole, key), rel=1e-6, abs=1e-9, nan_ok=True), key
        if whole.finite:
            shares = [0, 0.2, 0.5, 0.9, 1]
            tolerance = 0.02 * whole.rms
            assert merged.quantile(shares) == pytest.approx(whole.quantile(shares), abs=tolerance)


def model() -> ModelSummary:
    first = torch.randn(60, 100)
    source = StubSource(
        [
            ref_of(first, "embed.weight"),
            ref_of(torch.randn(60), "block.0.bias"),
            ref_of(torch.randn(20, 30) + 3, "block.0.lin.weight"),
            ref_of(torch.randn(7).half(), "block.1.bias"),
            ref_of(torch.randn(5).to_sparse(), "block.1.odd"),
            ref_of(first, "head.weight", shared_with="embed.weight"),
            ref_of(torch.tensor(2.0), "scale"),
        ],
        {"": "Net", "block": "ModuleList", "block.0": "Block", "embed": "Embedding", "head": "Linear"},
    )
    return summarize(source)


def test_module_totals() -> None:
    summary = model()
    modules = summary.modules
    assert list(modules) == ["", "embed", "block", "block.0", "block.0.lin", "block.1", "head"]
    assert modules["head"].count == 0  # tied: counted where it has its first name
    assert modules["block.1"].count == 7
    assert modules["block.0"].count == 660
    assert modules["block"].count == 667
    assert modules[""].count == 6668
    assert [modules[path].kind for path in ("", "block.0", "block.1")] == ["Net", "Block", ""]
    assert modules["block"].dtype == "mixed"
    assert modules["embed"].dtype == "float32"
    assert modules[""].nbytes == 4 * 6661 + 2 * 7
    direct = merge_records([record for record in summary.values() if record.shared_with is None])
    for key in ("mean", "std", "skewness", "kurtosis", "l1", "min", "max"):
        assert getattr(modules[""], key) == pytest.approx(getattr(direct, key)), key
    assert modules[""].sketch.n == 6668


def test_model_summary_is_a_mapping() -> None:
    summary = model()
    assert len(summary) == 7
    assert next(iter(summary)) == "embed.weight"
    assert summary["head.weight"].shared_with == "embed.weight"
    assert summary["head.weight"].kind == "Linear"
    assert summary["head.weight"].std == summary["embed.weight"].std
    assert list(summary.errors) == ["block.1.odd"]
    assert "block" not in summary
    with pytest.raises(KeyError, match=r"\.modules"):
        summary["block"]
    assert "7 tensors, 6,668 weights" in repr(summary)


def test_frame() -> None:
    pytest.importorskip("pandas")
    summary = model()
    frame = summary.to_frame()
    assert list(frame.index) == list(summary)
    assert frame.index.name == "tensor"
    row = frame.loc["block.0.lin.weight"]
    record = summary["block.0.lin.weight"]
    for key in (
        "count",
        "nan",
        "zeros",
        "min",
        "max",
        "mean",
        "var",
        "std",
        "skewness",
        "kurtosis",
        "rms",
        "l1",
        "l2",
    ):
        assert row[key] == getattr(record, key), key
    assert row["shape"] == (20, 30)
    assert row["argmax"] == record.argmax
    assert row["q50"] == record.quantile(0.5)
    assert "to_dense" in frame.loc["block.1.odd", "error"]


def test_frame_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        model().to_frame()
