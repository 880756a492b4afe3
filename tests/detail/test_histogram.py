"""Histograms and counts against NumPy, on every type, layout and kind of range."""

import importlib
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightwidget.detail import histogram as module
from weightwidget.detail.blocks import blocks, spans, split
from weightwidget.detail.histogram import count, histogram
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz]
INTEGERS = [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32]


def as_float64(tensor: torch.Tensor) -> np.ndarray:
    """A reference that shares nothing with the code under test."""
    return np.array(tensor.reshape(-1).to(torch.float64).tolist(), np.float64)


def sample(dtype: torch.dtype, n: int = 70_001, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    if dtype is torch.bool:
        return torch.rand(n) > 0.3
    if dtype in INTEGERS:
        low = 0 if "uint" in str(dtype) else -100
        return torch.randint(low, 100, (n,)).to(dtype)
    return (torch.randn(n, dtype=torch.float64) * 0.05).to(dtype)


@pytest.fixture(scope="module", autouse=True, params=["numpy", "patterns", "compiled"])
def how(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every way of counting: element by element, by bit patterns where types are narrow, and both compiled."""
    kernels = None
    if request.param == "compiled":
        pytest.importorskip("numba")
        kernels = importlib.import_module(module.KERNELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "compiled", lambda _name: kernels)
        patch.setattr(module, "PATTERNS_FROM", 1 << 19 if request.param == "numpy" else 1)
        yield request.param


def assert_complete(found: module.Histogram, size: int, *, zeros_apart: bool) -> None:
    parts = found.below + found.above + found.nan + found.posinf + found.neginf
    assert found.counts.sum() + parts + (found.zeros if zeros_apart else 0) == size


@pytest.mark.parametrize("dtype", [*FLOATS, *FLOAT8, *INTEGERS, torch.bool], ids=str)
def test_every_type_agrees_with_numpy(dtype: torch.dtype) -> None:
    weights = sample(dtype)
    reference = as_float64(weights)
    low, high = float(np.quantile(reference, 0.1)), float(reference.max())
    found = histogram(weights, 57, "value", (low, high))
    expected, edges = np.histogram(reference, 57, found.range)
    np.testing.assert_array_equal(found.counts, expected)
    np.testing.assert_array_equal(found.edges, edges)
    assert found.below == np.count_nonzero(reference < found.range[0])
    assert found.above == np.count_nonzero(reference > found.range[1])
    assert found.zeros == np.count_nonzero(reference == 0)
    assert_complete(found, len(reference), zeros_apart=False)


@pytest.mark.parametrize("dtype", [*FLOATS, *FLOAT8, torch.int32], ids=str)
def test_magnitudes_agree_with_numpy(dtype: torch.dtype) -> None:
    weights = sample(dtype)
    weights[::50] = torch.zeros(len(weights[::50])).to(dtype)
    magnitudes = np.abs(as_float64(weights))
    logs = np.log10(magnitudes[magnitudes > 0])
    low, high = float(np.quantile(logs, 0.2)), float(np.quantile(logs, 0.99))
    found = histogram(weights, 41, "magnitude", (low, high))
    np.testing.assert_array_equal(found.counts, np.histogram(logs, 41, found.range)[0])
    assert found.below == np.count_nonzero(logs < low)
    assert found.above == np.count_nonzero(logs > high)
    assert found.zeros == np.count_nonzero(magnitudes == 0)
    assert_complete(found, len(magnitudes), zeros_apart=True)


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    values=st.lists(st.floats(width=64), max_size=60),
    ends=st.tuples(finite, finite).map(sorted),
    bins=st.integers(1, 50),
)
@settings(max_examples=300, deadline=None)
def test_any_float64_falls_into_exactly_one_place(values: list[float], ends: list[float], bins: int) -> None:
    weights = torch.tensor(values, dtype=torch.float64)
    low, high = ends
    for scale in ("value", "magnitude"):
        found = histogram(weights, bins, scale, (low, high))
        assert_complete(found, len(values), zeros_apart=scale == "magnitude")
        assert found.nan == sum(math.isnan(v) for v in values)
        assert found.posinf == values.count(math.inf)
        assert found.neginf == values.count(-math.inf)
        assert found.zeros == values.count(0.0)


@given(
    values=st.lists(st.floats(-1e6, 1e6, width=64) | st.integers(-20, 20).map(lambda k: k / 10), max_size=60),
    ends=st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).map(lambda e: (e[0], e[0] + e[1])),
    bins=st.integers(1, 200),
)
@settings(max_examples=300, deadline=None)
def test_float64_agrees_with_numpy_exactly(values: list[float], ends: tuple[float, float], bins: int) -> None:
    array = np.array(values, np.float64)
    found = histogram(torch.from_numpy(array), bins, "value", ends)
    np.testing.assert_array_equal(found.counts, np.histogram(array, bins, ends)[0])


@given(
    values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=60),
    bins=st.integers(1, 200),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=300, deadline=None)
def test_float32_is_compared_with_float64_edges(values: list[float], bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = float(rng.normal())
    high = low + float(10 ** rng.uniform(-6, 3))
    edges = np.linspace(low, high, bins + 1)
    # Values at the edges, as near as float32 comes to them, are where a quick estimate goes wrong.
    near = edges.astype(np.float32)
    array = np.concatenate(
        [
            np.array(values, np.float32),
            near,
            np.nextafter(near, np.float32(np.inf)),
            np.nextafter(near, -np.inf),
        ]
    ).astype(np.float32)
    found = histogram(torch.from_numpy(array), bins, "value", (low, high))
    slots = np.searchsorted(edges, array.astype(np.float64), side="right")
    slots[array.astype(np.float64) == edges[-1]] = bins
    np.testing.assert_array_equal(found.counts, np.bincount(slots, minlength=bins + 2)[1:-1])


def test_values_on_the_edges_go_up_and_the_last_edge_is_closed() -> None:
    found = histogram(torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], dtype=torch.float64), 5, "value", (0.0, 0.5))
    np.testing.assert_array_equal(found.counts, np.histogram([0, 0.1, 0.2, 0.3, 0.4, 0.5], 5, (0, 0.5))[0])
    assert found.counts[-1] == 2


def test_zoomed_in_beyond_the_resolution_of_the_type() -> None:
    weights = torch.full((1000,), 1.0)
    found = histogram(weights, 100, "value", (1.0 - 1e-15, 1.0 + 1e-15))
    assert found.counts.sum() == 1000
    assert histogram(weights.double() * 1e20, 10, "value", (1e20, 1e20)).counts.sum() == 1000


def test_equal_ends_are_moved_apart_as_numpy_does() -> None:
    found = histogram(torch.full((3, 5), 2.0), 4, "value", (2.0, 2.0))
    assert found.range == (1.5, 2.5)
    np.testing.assert_array_equal(found.counts, np.histogram(np.full(15, 2.0), 4)[0])


def test_nothing_but_nan_and_infinities() -> None:
    weights = torch.tensor([[math.nan, math.inf], [-math.inf, math.nan], [math.nan, math.inf]])
    found = histogram(weights, 8, "value", (-1.0, 1.0))
    assert (found.nan, found.posinf, found.neginf) == (3, 2, 1)
    assert found.counts.sum() == found.below == found.above == 0
    assert count(weights, (-math.inf, math.inf)) == (3, 6)


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2)])
def test_empty(shape: tuple[int, ...]) -> None:
    assert histogram(torch.empty(shape), 4, "value", (0.0, 1.0)).counts.tolist() == [0, 0, 0, 0]
    assert count(torch.empty(shape), (0.0, 1.0)) == (0, 0)


def test_a_scalar_is_one_element() -> None:
    assert histogram(torch.tensor(0.3), 2, "value", (0.0, 1.0)).counts.tolist() == [1, 0]


def layouts() -> dict[str, torch.Tensor]:
    base = torch.arange(5 * 7 * 11, dtype=torch.float32).reshape(5, 7, 11)
    return {
        "contiguous": base,
        "transposed": base.permute(2, 0, 1),
        "every other": base[:, ::2, 1::3],
        "expanded": base[:, :1, :].expand(5, 4, 11),
        "negated lazily": torch.complex(base, base).conj().imag,
        "scalar view": base[2, 3, 4],
        "one long row": base.reshape(1, -1)[:, ::2],
    }


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("size", [1, 3, 10, 32768])
def test_blocks_come_in_row_major_order(layout: str, size: int) -> None:
    tensor = layouts()[layout]
    pieces = list(blocks(tensor, size))
    assert all(len(piece) <= size and piece.dtype == np.float64 for piece in pieces)
    np.testing.assert_array_equal(np.concatenate(pieces), as_float64(tensor))
    shuffled = [as_float64(span) for _, span in spans(tensor, size, ordered=False)]
    np.testing.assert_array_equal(np.sort(np.concatenate(shuffled)), np.sort(as_float64(tensor)))
    starts = [start for start, _ in spans(tensor, size)]
    sizes = [span.numel() for _, span in spans(tensor, size)]
    assert starts == np.cumsum([0, *sizes])[:-1].tolist()


def test_memory_is_not_copied() -> None:
    weights = torch.randn(300, 500)
    inside = range(weights.data_ptr(), weights.data_ptr() + weights.nbytes)
    assert all(piece.data_ptr() in inside for _, span in spans(weights) for piece in split(span))
    assert all(span.data_ptr() in inside for _, span in spans(weights.T))


def test_a_file_is_read_in_parts() -> None:
    base = torch.randn(1000, 30)
    sizes = []

    def read(index: object) -> torch.Tensor:
        part = base[index]
        sizes.append(part.numel())
        return part

    ref = TensorRef("w", (1000, 30), "float32", "weight", reader=read, device="file")
    parts = [span for _, span in spans(ref, 1000)]
    assert max(sizes) <= 1000
    assert torch.equal(torch.cat([part.reshape(-1) for part in parts]), base.reshape(-1))
    assert count(ref, (0.0, math.inf)) == (int((base >= 0).sum()), 30_000)


def test_several_threads_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARALLEL_FROM", 1)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 3)
    weights = torch.randn(2111, 1501)
    found = histogram(weights, 100, "value", (-2.0, 2.0))
    np.testing.assert_array_equal(found.counts, np.histogram(as_float64(weights), 100, (-2, 2))[0])
    assert count(weights, (0.5, 1.0))[0] == int(((weights >= 0.5) & (weights <= 1)).sum())


@given(low=finite, width=st.floats(0, 1e300), kind=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=200, deadline=None)
def test_counts_compare_in_float64(low: float, width: float, kind: type) -> None:
    high = low + width
    with np.errstate(over="ignore", invalid="ignore"):
        ends = np.array([low, high]).astype(kind)
        above, below = (np.nextafter(ends, kind(way)) for way in (np.inf, -np.inf))
    values = np.concatenate([ends, above, below, [np.nan]]).astype(kind)
    exact = values.astype(np.float64)
    expected = int(((exact >= low) & (exact <= high)).sum())
    assert count(torch.from_numpy(values), (low, high)) == (expected, len(values))


def test_cancelled() -> None:
    for call in (
        lambda: histogram(torch.ones(5), 3, cancelled=lambda: True),
        lambda: count(torch.ones(5), (0, 1), cancelled=lambda: True),
    ):
        with pytest.raises(Cancelled):
            call()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: histogram(torch.ones(3), 0), ValueError, "at least one bin"),
        (lambda: histogram(torch.ones(3), 3, "square"), ValueError, "'value' or 'magnitude'"),
        (lambda: histogram(torch.ones(3), 3, "value", (1.0, 0.0)), ValueError, "upside down"),
        (lambda: histogram(torch.ones(3), 3, "value", (0.0, math.inf)), ValueError, "finite"),
        (lambda: count(torch.ones(3), (math.nan, 1.0)), ValueError, "NaN"),
        (lambda: histogram(torch.ones(3, dtype=torch.complex64), 3), TypeError, r"\.abs\(\)"),
        (lambda: histogram(torch.eye(3).to_sparse(), 3), TypeError, "to_dense"),
        (lambda: histogram(torch.empty(3, device="meta"), 3), TypeError, "no values"),
    ],
)
def test_errors_say_what_to_do(call: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int8], ids=str)
def test_large_tensors_agree_with_numpy(dtype: torch.dtype) -> None:
    """Several spans, ranges far inside and far outside, NaN, infinities and zeros of both signs."""
    weights = (torch.randn(1_300, 1_009, generator=torch.Generator().manual_seed(7)) * 20).to(dtype)
    if dtype.is_floating_point:
        weights[3, 4:9] = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0], dtype=dtype)
    reference = weights.to(torch.float64).flatten().numpy()
    finite = reference[np.isfinite(reference)]
    with np.errstate(divide="ignore"):
        logs = np.log10(np.abs(finite[finite != 0]))
    ranges = {"value": [(-60, 60), (1.5, 1.75), (500, 501)], "magnitude": [(-3, 2), (0.5, 0.51), (-300, -200)]}
    for scale, keys in (("value", finite), ("magnitude", logs)):
        for low, high in ranges[scale]:
            for bins in (3, 400):
                found = histogram(weights, bins, scale, (low, high))
                np.testing.assert_array_equal(found.counts, np.histogram(keys, bins, (low, high))[0])
                assert (found.below, found.above) == ((keys < low).sum(), (keys > high).sum())
                assert_complete(found, weights.numel(), zeros_apart=scale == "magnitude")
    assert (found.nan, found.posinf, found.neginf) == ((1, 1, 1) if dtype.is_floating_point else (0, 0, 0))
