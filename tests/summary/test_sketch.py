"""The sketch: exact or within its bound, and merging in any order gives the same to the last bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from weightwidget.summary.parts import take_codes
from weightwidget.summary.sketch import BIN_WIDTH, SMALL, Component, Sketch

RNG = np.random.default_rng(3)


def binned(values: np.ndarray, shift: float = 0.0, scale: float = 1.0) -> Sketch:
    codes = ((values.astype(np.float64) - shift) * scale).astype(np.float32).view(np.uint32) >> 16
    table = np.bincount(codes, minlength=65536)
    return Sketch.of_codes(*take_codes(table, "float32"), shift, scale, float(values.min()), float(values.max()))


def content(sketch: Sketch) -> object:
    parts = [
        (p.exact, p.shift, p.scale, p.narrow, p.keys.astype(np.float64).tolist(), p.counts.tolist())
        for p in sketch.components
    ]
    return parts, repr(sketch.low), repr(sketch.high)


values = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40)
sketches = st.builds(
    lambda xs, kind: {
        "exact": lambda a: Sketch.of_values(a),
        "narrow": lambda a: Sketch.of_values((a.view(np.uint32) & 0xFFFF0000).view(np.float32), narrow=True),
        "binned": lambda a: binned(a),
        "shifted": lambda a: binned(a, 3.0, 0.5),
        "empty": lambda a: Sketch(),
    }[kind](np.array(xs, np.float32)),
    values,
    st.sampled_from(["exact", "narrow", "binned", "shifted", "empty"]),
)


@settings(deadline=None)
@given(sketches, sketches, sketches)
def test_merge_is_associative_and_commutative(a: Sketch, b: Sketch, c: Sketch) -> None:
    together = content(Sketch.merge([a, b, c]))
    assert content(Sketch.merge([Sketch.merge([a, b]), c])) == together
    assert content(Sketch.merge([a, Sketch.merge([b, c])])) == together
    assert content(Sketch.merge([c, b, a])) == together
    assert Sketch.merge([a, b, c]).n == a.n + b.n + c.n


@settings(deadline=None)
@given(st.permutations(range(6)), st.integers(1, 5))
def test_values_give_way_to_bins_whatever_the_order(order: list[int], cut: int) -> None:
    rng = np.random.default_rng(0)
    parts = [Sketch.of_values(rng.normal(size=SMALL // 4).astype(np.float32)) for _ in range(6)]
    parts = [parts[i] for i in order]
    grouped = Sketch.merge([Sketch.merge(parts[:cut]), Sketch.merge(parts[cut:])])
    assert content(grouped) == content(Sketch.merge(parts))
    assert not grouped.exact


@settings(deadline=None)
@given(values, st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_exact_quantiles_are_numpys(xs: list[float], shares: list[float]) -> None:
    array = np.array(xs, np.float32)
    found = Sketch.of_values(array).quantile(shares)
    assert found == pytest.approx(np.quantile(array.astype(np.float64), shares), rel=1e-12, abs=1e-300)


@settings(deadline=None)
@given(values, st.integers(1, 20))
def test_exact_histograms_are_numpys(xs: list[float], bins: int) -> None:
    array = np.array(xs, np.float32).astype(np.float64)
    assume((np.ptp(array) == 0 and abs(array[0]) < 1e6) or np.ptp(array) > 1e-6 * np.abs(array).max())
    expected, edges = np.histogram(array, bins)
    assert Sketch.of_values(array).histogram(edges).tolist() == expected.tolist()


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.5, 1.0), (0.0, 2.0**100), (-3.0, 2.0**-50)])
def test_binned_bounds(shift: float, scale: float) -> None:
    weights = RNG.standard_t(3, size=200_000) / scale + shift
    sketch = binned(weights, shift, scale)
    assert sketch.n == len(weights)
    assert not sketch.exact
    assert sketch.relative_error == BIN_WIDTH
    shares = np.linspace(0, 1, 1001)
    expected = np.quantile(weights, shares)
    # A quantile lies in the bins of its neighbours in rank.
    rank = shares * (len(weights) - 1)
    ordered = np.sort(weights)
    below, above = ordered[np.floor(rank).astype(int)], ordered[np.ceil(rank).astype(int)]
    reach = BIN_WIDTH * np.maximum(np.abs(below - shift), np.abs(above - shift)) * (1 + 1e-6)
    found = sketch.quantile(shares)
    assert (found >= below - reach).all()
    assert (found <= above + reach).all()
    assert np.abs(sketch.quantile(shares[10:-10]) - expected[10:-10]).max() < 5e-3 * weights.std()
    edges = np.linspace(*np.quantile(weights, [0.001, 0.999]), 129)
    counts = sketch.histogram(edges)
    assert np.abs(counts - np.histogram(weights, edges)[0]).sum() / len(weights) < 0.02
    assert sketch.histogram([weights.min(), weights.max()])[0] == pytest.approx(len(weights))


def test_binned_counts_between() -> None:
    weights = RNG.normal(size=100_000)
    sketch = binned(weights)
    assert sketch.count_between(-1, 1) == pytest.approx(np.sum(np.abs(weights) <= 1), rel=1e-2)
    assert sketch.count_between(-np.inf, np.inf) == len(weights)
    assert sketch.count_between(2, 1) == 0
    assert sketch.count_between(weights.max() + 1, np.inf) == 0


def test_counts_between_include_both_ends() -> None:
    sketch = Sketch.of_values(np.array([1.0, 2.0, 2.0, 3.0]))
    assert sketch.count_between(2, 2) == 2
    assert sketch.count_between(1, 3) == 4
    assert sketch.count_between(1.5, 2.5) == 2


def test_zeros_stay_zeros() -> None:
    weights = np.concatenate([np.zeros(90_000), RNG.normal(size=10_000)])
    sketch = binned(weights)
    assert sketch.quantile(0.5) == 0.0
    assert sketch.count_between(0, 0) == 90_000
    assert sketch.histogram([-1e-30, 0, 1e-30]).tolist() == [0, 90_000]


def test_two_grids() -> None:
    near, far = RNG.normal(size=50_000), RNG.normal(size=50_000) * 0.01 + 5
    both = np.concatenate([near, far])
    sketch = Sketch.merge([binned(near), binned(far, 5.0)])
    assert len(sketch.components) == 2
    shares = np.array([0, 0.01, 0.3, 0.6, 0.9, 1])
    assert sketch.quantile(shares) == pytest.approx(np.quantile(both, shares), rel=0.01)
    edges = np.linspace(-3, 6, 50)
    assert np.abs(sketch.histogram(edges) - np.histogram(both, edges)[0]).sum() < 0.01 * len(both)


def test_magnitudes_beyond_float32() -> None:
    weights = np.array([1.0, -2.0, 1e300, -1e290] * 2000)
    with np.errstate(over="ignore"):
        sketch = binned(weights)
    assert sketch.n == len(weights)
    assert (sketch.quantile(0), sketch.quantile(1)) == (-1e290, 1e300)
    assert sketch.quantile(0.4) == pytest.approx(-2, rel=0.01)


def test_smallest_magnitude() -> None:
    assert Sketch.of_values(np.array([0.0, -0.25, 3.0])).distribution().smallest_magnitude() == 0.25
    assert math.isnan(Sketch.of_values(np.zeros(3)).distribution().smallest_magnitude())
    weights = np.concatenate([np.zeros(5), RNG.uniform(0.1, 1, 9000)])
    assert binned(weights).distribution().smallest_magnitude() == pytest.approx(0.1, rel=0.01)


def test_empty() -> None:
    empty = Sketch()
    assert empty.n == 0
    assert empty.exact
    assert empty.relative_error == 0.0
    assert math.isnan(empty.quantile(0.5))
    assert empty.histogram([0, 1, 2]).tolist() == [0, 0]
    assert empty.count_between(-1, 1) == 0


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_shares_out_of_range(share: float) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        Sketch.of_values(np.arange(3.0)).quantile(share)


def test_it_is_small() -> None:
    part: Component = binned(RNG.normal(size=1_000_000)).components[0]
    assert part.keys.nbytes + part.counts.nbytes < 32_000
