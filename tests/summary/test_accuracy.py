"""Whatever the distribution, the type, the shape, the cut and the kernel: as NumPy and SciPy have it in float64.

Moments are good to 1e-6, counts and extremes exact, quantiles and histograms within the bins that the sketch states.
A skewness near zero is a difference of large numbers: its error is measured against the mean of the magnitudes of the
terms that make it up, ``E |z|**3``; a kurtosis near zero against ``E z**4``, which is three more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.summary.conftest import KERNEL_NAMES
from tests.summary.stub import ref_of
from tests.summary.test_kernel import check_quantiles, measured
from weightwidget.summary import fused
from weightwidget.summary.blocks import Blocks
from weightwidget.summary.counted import CountedPass
from weightwidget.summary.device import DevicePass
from weightwidget.summary.kernel import record_of
from weightwidget.summary.parts import Part, Total, cut
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.streaming import plan_of
from weightwidget.summary.summed import SummedPass
from weightwidget.summary.threads import one_thread

Make = Callable[[np.random.Generator, int], np.ndarray]

BITS = {torch.float64: torch.int64, torch.float32: torch.int32, torch.float16: torch.int16, torch.bfloat16: torch.int16}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads of torch would share out what is not worth a start, and wait for each other."""
    with one_thread():
        yield


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
    "two values": lambda rng, count: rng.normal() * rng.choice([-1.0, 1.0], count),  # all products round the same way
    "uniform": lambda rng, count: rng.random(count),  # to one side of zero, but too near for a shift
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


each_kind = pytest.mark.parametrize("name", [*DISTRIBUTIONS, "NaN payloads", "denormals"])
each_type = pytest.mark.parametrize("dtype", BITS, ids=str)
# More than 4,096 weights: smaller tensors are kept value by value, and no kernel measures them.
shapes = st.one_of(
    st.tuples(st.integers(30, 150), st.integers(140, 250)),
    st.tuples(st.integers(4097, 30_000)),
    st.tuples(st.integers(4097, 6000), st.integers(1, 15)),  # narrower than a vector register
    st.tuples(st.integers(2, 5), st.integers(3000, 9000)),
    st.tuples(st.integers(30, 40), st.integers(16, 25), st.integers(3, 4), st.integers(3, 5)),
)
pieces = st.one_of(st.just(1 << 40), st.integers(5000, 20_000))
blocks = st.sampled_from([None, 4096, 10_000])
seeds = st.integers(0, 10**6)


@each_kind
@each_type
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=shapes, piece=pieces, size=blocks, seed=seeds)
def test_statistics(kernel: str, name: str, dtype: torch.dtype, shape: tuple[int, ...], piece, size, seed) -> None:
    weights = make(name, dtype, shape, seed)
    ref = ref_of(weights)
    record = record_of(ref, "", measured(ref, kernel, weights, size, thumbnail=16, piece=piece))
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
    tens = 10.0**ends
    # The first edge may lie within a bin, too, as the smallest magnitude is known to a bin's width only.
    mass = cut_mass(record, values, tens) + cut_mass(record, values, -tens)
    misplaced = np.abs(np.cumsum(logs) - np.searchsorted(magnitudes, tens[1:]))[:-1]
    assert (misplaced <= mass[1:-1] + mass[0] + 1e-6).all()


def cut_mass(record: TensorSummary, values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many weights may lie in the same bin of the sketch as each edge."""
    (shift,) = {part.shift for part in record.sketch.components}
    width = record.sketch.relative_error * (1 + 1e-6)
    away = np.abs(values - shift)
    reach = [width * np.maximum(away, abs(edge - shift)) for edge in edges]
    return np.array([np.sum(np.abs(values - edge) <= wide) for edge, wide in zip(edges, reach, strict=True)])


@each_kind
@each_type
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=shapes, piece=pieces, size=blocks, seed=seeds)
def test_kernels_find_the_same(name: str, dtype: torch.dtype, shape: tuple[int, ...], piece, size, seed) -> None:
    """Counts, codes, extremes and their places to the last bit; sums to their last digits."""
    assert fused.KERNELS.load((*fused.ENDS, *KERNEL_NAMES))
    first, *others = parts_of(make(name, dtype, shape, seed), piece, size)
    for other in others:
        for key in ("box", "finite", "nan", "posinf", "neginf", "low", "high", "argmin", "argmax"):
            assert getattr(first, key) == getattr(other, key), key
        for key in ("codes", "counts", "lows", "highs"):
            np.testing.assert_array_equal(getattr(first, key), getattr(other, key), err_msg=key)
        for key in ("row_squares", "column_squares"):
            np.testing.assert_allclose(getattr(first, key), getattr(other, key), rtol=1e-6, err_msg=key)


def parts_of(weights: torch.Tensor, piece: int, size: int | None) -> list[Part]:
    """What the kernels find in a tensor by the same plan: compiled, torch's, and that for accelerators."""
    ref = ref_of(weights)
    plan = plan_of(ref, 16, weights)
    totals = [Total(plan) for _ in range(3)]
    for box in cut(ref.shape, piece):
        with_torch = CountedPass if plan.counted else SummedPass
        found = (
            fused.run(Blocks(ref, weights, size, box), plan, lambda: False, lambda n: None),
            with_torch(Blocks(ref, weights, size, box), plan).run(lambda: False, lambda n: None).part(),
            DevicePass(Blocks(ref, weights, size, box), plan).run(lambda: False, lambda n: None),
        )
        for total, part in zip(totals, found, strict=True):
            total.add(part)
    return [total.part for total in totals]
