"""Moments merge as Chan and Pébay say, in any order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from weightwidget.summary.moments import Moments, merge_moments, scale_for

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
parts = st.lists(st.lists(numbers, max_size=20), min_size=1, max_size=5)
FIELDS = ("mean", "std", "rms", "l1", "l2")


def of(values: list[float]) -> Moments:
    return Moments.from_values(np.array(values, np.float64))


def alike(a: Moments, b: Moments) -> None:
    assert a.n == b.n
    for key in FIELDS:
        assert getattr(a, key) == pytest.approx(getattr(b, key), rel=1e-9, abs=1e-6, nan_ok=True), key
    # Central sums, relative to the magnitudes that went into them.
    if a.n:
        size = abs(a.l1) + 1
        for power, (x, y) in enumerate(((a.m2, b.m2), (a.m3, b.m3), (a.m4, b.m4)), start=2):
            assert x == pytest.approx(y, rel=1e-9, abs=1e-12 * size**power)


@settings(deadline=None)
@given(parts)
def test_merging_is_measuring_together(lists: list[list[float]]) -> None:
    alike(merge_moments(map(of, lists)), of([x for part in lists for x in part]))


@settings(deadline=None)
@given(st.lists(numbers, max_size=9), st.lists(numbers, max_size=9), st.lists(numbers, max_size=9))
def test_order_and_grouping_do_not_matter(a: list[float], b: list[float], c: list[float]) -> None:
    x, y, z = of(a), of(b), of(c)
    alike(x + y, y + x)
    alike((x + y) + z, x + (y + z))


@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1.0, 1e100, 1e300])
def test_scales(scale: float) -> None:
    values = np.random.default_rng(0).gamma(2.0, size=1000)
    whole = Moments.from_values(values * scale)
    halves = Moments.from_values(values[:300] * scale) + Moments.from_values(values[300:] * scale)
    for found in (whole, halves):
        assert found.mean / scale == pytest.approx(values.mean())
        assert found.std / scale == pytest.approx(values.std())
        assert found.skewness == pytest.approx(scipy.stats.skew(values))
        assert found.kurtosis == pytest.approx(scipy.stats.kurtosis(values))


def test_very_different_scales() -> None:
    large, small = (
        Moments.from_values(np.array([1e200, -2e200])),
        Moments.from_values(np.array([1e-200, 3e-200])),
    )
    both = large + small
    expected = Moments.from_values(np.array([1.0, -2.0, 0.0, 0.0]))
    assert both.std / 1e200 == pytest.approx(expected.std)
    assert both.kurtosis == pytest.approx(expected.kurtosis)


def test_constants_stay_constant() -> None:
    parts = [Moments.of_value(0.1, n) for n in (1, 3, 1000)]
    whole = merge_moments(parts)
    assert (whole.mean, whole.var) == (0.1, 0.0)
    assert math.isnan(whole.skewness)
    assert math.isnan(whole.kurtosis)


def test_nothing() -> None:
    none = Moments()
    assert none.n == 0
    assert math.isnan(none.mean)
    assert math.isnan(none.std)
    assert math.isnan(none.kurtosis)
    some = of([1.0, 2.0])
    assert none + some is some
    assert some + none is some


@pytest.mark.parametrize("magnitude", [5e-324, 1e-300, 1e-20, 1.0, 1e20, 1e30, 1.7e308])
def test_scale_is_a_power_of_two_that_tames(magnitude: float) -> None:
    scale = scale_for(magnitude)
    assert math.frexp(scale)[0] == 0.5
    assert 1e-26 < magnitude * scale < 1e26
    assert scale == 1.0 or not 1e-24 < magnitude < 1e24
