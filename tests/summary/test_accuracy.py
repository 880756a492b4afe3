"""Whatever the distribution, the type, the shape, the cut and the kernel: as NumPy and SciPy have it in float64.

Moments are good to 1e-6, counts and extremes exact, quantiles and histograms within the bins that the sketch states.
A skewness near zero is a difference of large numbers: its error is measured against the mean of the magnitudes of the
terms that make it up, ``E |z|**3``; a kurtosis near zero against ``E z**4``, which is three more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.summary.stub import ref_of
from tests.summary.test_kernel import check_quantiles, measured
from weightwidget.summary import device, fused
from weightwidget.summary.blocks import Blocks
from weightwidget.summary.compiling import SWITCH
from weightwidget.summary.kernel import record_of
from weightwidget.summary.parts import Part, Total, cut
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.sketch import SMALL
from weightwidget.summary.streaming import plan_of
from weightwidget.summary.streaming import measure as measure_box

Make = Callable[[np.random.Generator, int], np.ndarray]

BITS = {torch.float64: torch.int64, torch.float32: torch.int32, torch.float16: torch.int16, torch.bfloat16: torch.int16}


def outlier(rng: np.random.Generator, count: int) -> np.ndarray:
    values = rng.normal(size=count)
    values[rng.integers(count)] = 1e6
    return values


DISTRIBUTIONS: dict[str, Make] = {
    "normal": lambda rng, count: rng.normal(size=count),
    "lognormal": lambda rng, count: rng.lognormal(sigma=2.0, size=count),
    "student t3": lambda rng, count: rng.standard_t(3, size=count),
    "outlier": outlier,
    "mean of 1e5": lambda rng, count: 1e5 + rng.normal(size=count),
    "mean of 1e5 deviations": lambda rng, count: 1.0 + 1e-5 * rng.normal(size=count),
    "scale of 1e-30": lambda rng, count: 1e-30 * rng.normal(size=count),
    "scale of 1e30": lambda rng, count: 1e30 * rng.normal(size=count),
    "sparse": lambda rng, count: rng.normal(size=count) * (rng.random(count) > 0.9),
    "constant": lambda rng, count: np.full(count, rng.normal()),
}


def with_nan(weights: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """The weights, some of them NaN of every payload and sign, some infinite."""
    bits = BITS[weights.dtype]
    places = torch.from_numpy(rng.choice(weights.numel(), weights.numel() // 50, replace=False))
    payloads = torch.from_numpy(rng.integers(-(2**63), 2**63, len(places))).to(bits)
    exponent = torch.tensor([math.inf], dtype=weights.dtype).view(bits)
    payloads |= exponent
    payloads[::3] = exponent
    weights.view(bits)[places] = payloads
    return weights


def denormal(dtype: torch.dtype, rng: np.random.Generator, count: int) -> torch.Tensor:
    """Weights of both signs below the smallest normal number of their type."""
    bits = BITS[dtype]
    width = {torch.float64: 52, torch.float32: 23, torch.float16: 10, torch.bfloat16: 7}[dtype]
    magnitudes = torch.from_numpy(rng.integers(0, 2**width, count)).to(bits)
    signs = torch.from_numpy(rng.choice([1.0, -1.0], count)).to(dtype)
    return magnitudes.view(dtype) * signs


def make(name: str, dtype: torch.dtype, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    rng, count = np.random.default_rng(seed), math.prod(shape)
    if name == "denormals":
        return denormal(dtype, rng, count).view(shape)
    source = "normal" if name == "NaN payloads" else name
    weights = torch.from_numpy(DISTRIBUTIONS[source](rng, count)).to(dtype)
    return (with_nan(weights, rng) if name == "NaN payloads" else weights).view(shape)


def more_than_small(shape: tuple[int, ...]) -> bool:
    """Whether the kernels measure it; smaller ones are kept value by value."""
    return math.prod(shape) > SMALL


names = st.sampled_from([*DISTRIBUTIONS, "NaN payloads", "denormals"])
dtypes = st.sampled_from(list(BITS))
shapes = st.one_of(
    st.tuples(st.integers(2, 150), st.integers(50, 250)),
    st.tuples(st.integers(SMALL + 1, 30_000)),
    st.tuples(st.integers(1000, 5000), st.integers(1, 15)),  # narrower than a vector register
    st.tuples(st.integers(2, 5), st.integers(3000, 9000)),
    st.tuples(st.integers(20, 40), st.integers(9, 25), st.integers(3, 5), st.integers(1, 7)),
).filter(more_than_small)
pieces = st.one_of(st.just(1 << 40), st.integers(700, 20_000))
blocks = st.sampled_from([None, 1000, 4096])
seeds = st.integers(0, 10**6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=names, dtype=dtypes, shape=shapes, piece=pieces, size=blocks, seed=seeds)
def test_statistics(kernel: str, name: str, dtype: torch.dtype, shape: tuple[int, ...], piece, size, seed) -> None:
    weights = make(name, dtype, shape, seed)
    ref = ref_of(weights)
    record = record_of(ref, "", measured(ref, kernel, weights, size, piece=piece))
    everything = weights.to(torch.float64).numpy().reshape(-1)
    values = everything[np.isfinite(everything)]
    check_counts_and_extremes(record, everything, values)
    if len(values):
        check_moments(record, values)
        check_quantiles(record, values)
        check_histograms(record, values, seed)


def check_counts_and_extremes(record: TensorSummary, everything: np.ndarray, values: np.ndarray) -> None:
    assert (record.count, record.finite, record.sketch.n) == (everything.size, len(values), len(values))
    assert record.nan == np.isnan(everything).sum()
    assert (record.posinf, record.neginf) == ((everything == np.inf).sum(), (everything == -np.inf).sum())
    assert record.zeros == (everything == 0).sum()
    if not len(values):
        assert math.isnan(record.min)
        return
    assert (record.min, record.max) == (values.min(), values.max())
    for end, place in ((record.min, record.argmin), (record.max, record.argmax)):
        assert np.ravel_multi_index(place, record.shape) == np.argmax(everything == end)


def check_moments(record: TensorSummary, values: np.ndarray) -> None:
    # Scaled to 1 by a power of two, where nothing overflows nor vanishes.
    unit = 2.0 ** min(1000, -math.frexp(np.abs(values).max() or 1.0)[1])
    scaled = values * unit
    # Small numbers at which sums of float64 themselves end.
    assert record.mean * unit == pytest.approx(scaled.mean(), rel=1e-6, abs=1e-12 * np.abs(scaled).mean())
    assert record.rms * unit == pytest.approx(math.sqrt((scaled**2).mean()), rel=1e-6)
    assert record.l1 * unit == pytest.approx(np.abs(scaled).sum(), rel=1e-6)
    assert record.l2 * unit == pytest.approx(np.linalg.norm(scaled), rel=1e-6)
    if values.min() == values.max():
        assert record.std == 0.0
        assert math.isnan(record.skewness)
        assert math.isnan(record.kurtosis)
        return
    assert record.std * unit == pytest.approx(scaled.std(), rel=1e-6)
    z = (scaled - scaled.mean()) / scaled.std()
    assert record.skewness == pytest.approx((z**3).mean(), rel=0, abs=1e-6 * (np.abs(z) ** 3).mean())
    assert record.kurtosis + 3 == pytest.approx((z**4).mean(), rel=1e-6)


def check_histograms(record: TensorSummary, values: np.ndarray, seed: int) -> None:
    """Of edges of any kind, no mass is misplaced but that of the bins of the sketch which they cut."""
    rng = np.random.default_rng(seed)
    inner = np.unique([*np.linspace(record.min, record.max, 9), *rng.choice(values, 5), 0.0])
    edges = np.array([record.min, *inner[(inner > record.min) & (inner < record.max)], record.max])
    counts, _ = record.histogram(edges)
    if record.sketch.exact:
        assert counts.tolist() == np.histogram(values, edges)[0].tolist()
        return
    assert counts.min() >= 0
    assert counts.sum() == pytest.approx(len(values))
    ordered = np.sort(values)
    found, expected = np.cumsum(counts)[:-1], np.searchsorted(ordered, edges[1:-1])
    assert (np.abs(found - expected) <= cut_mass(record, values, edges[1:-1]) + 1e-6).all()

    logs, ends = record.log_magnitude_histogram(12)
    magnitudes = np.sort(np.abs(values[values != 0]))
    assert logs.sum() == pytest.approx(len(magnitudes), abs=0.01 * len(magnitudes) + 1)
    tens = 10.0 ** ends[1:-1]
    expected = np.searchsorted(magnitudes, tens)
    mass = cut_mass(record, values, tens) + cut_mass(record, values, -tens)
    below = cut_mass(record, values, np.array([10.0 ** ends[0]])) + cut_mass(record, values, -np.array([10.0 ** ends[0]]))
    assert (np.abs(np.cumsum(logs)[:-1] - expected) <= mass + below + 1e-6).all()


def cut_mass(record: TensorSummary, values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many weights may lie in the same bin of the sketch as each edge."""
    (shift,) = {part.shift for part in record.sketch.components}
    width = record.sketch.relative_error * (1 + 1e-6)
    away = np.abs(values - shift)
    reach = [width * np.maximum(away, abs(edge - shift)) for edge in edges]
    return np.array([np.sum(np.abs(values - edge) <= wide) for edge, wide in zip(edges, reach, strict=True)])
