"""Norms of channels' slices and their standing, against float64 NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from weightwidget import open_weights, summarize
from weightwidget.detail.channel import (
    axis_squares,
    deviations,
    outlying,
    per_channel,
    pooled,
    recorded_squares,
    spread,
    standing,
    switched_off,
    values_at,
)
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int8]


def ref_of(tensor: torch.Tensor) -> TensorRef:
    return open_weights({"w": tensor}).tensors["w"]


def made(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(0)
    return (torch.randn(shape) * 20).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 5), (3, 4, 5), (6, 4, 3, 2), (1, 9), (9, 1)])
def test_squares_along_every_axis(shape, dtype):
    tensor = made(shape, dtype)
    values = tensor.double().numpy()
    for axis in range(len(shape)):
        others = tuple(other for other in range(len(shape)) if other != axis)
        np.testing.assert_allclose(axis_squares(ref_of(tensor), axis), (values**2).sum(others), rtol=1e-12)


def test_squares_of_what_is_larger_than_a_band_and_not_contiguous():
    tensor = made((1031, 777)).T
    values = tensor.double().numpy()
    for axis in (0, 1):
        np.testing.assert_allclose(axis_squares(ref_of(tensor), axis), (values**2).sum(1 - axis), rtol=1e-12)


@pytest.mark.parametrize(("axis", "across", "groups"), [(1, 0, 3), (0, 1, 2), (2, 0, 6), (1, 3, 5)])
def test_squares_in_groups(axis, across, groups):
    tensor = made((6, 4, 3, 5))
    values = tensor.double().numpy()
    expected = []
    for part in np.split(values, groups, axis=across):
        others = tuple(other for other in range(4) if other != axis)
        expected.append((part**2).sum(others))
    found = axis_squares(ref_of(tensor), axis, groups, across)
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-12)


def test_parts_that_an_axis_does_not_have_are_refused():
    with pytest.raises(ValueError, match="no 4 equal parts"):
        axis_squares(ref_of(made((6, 4))), 1, 4, 0)


def test_non_finite_elements_are_left_out():
    tensor = made((4, 6))
    tensor[1, 2], tensor[3, 0] = torch.nan, -torch.inf
    values = np.where(np.isfinite(tensor.numpy()), tensor.double().numpy(), 0)
    np.testing.assert_allclose(axis_squares(ref_of(tensor), 1), (values**2).sum(0), rtol=1e-12)


def test_large_and_tiny_elements_neither_overflow_nor_vanish():
    tensor = torch.tensor([[1e30, 3e30], [1e-30, 0.0]])
    np.testing.assert_allclose(np.sqrt(axis_squares(ref_of(tensor), 0)), [np.hypot(1e30, 3e30), 1e-30], rtol=1e-6)


@pytest.mark.parametrize("shape", [(7, 5), (6, 4, 3, 2)])
def test_a_record_gives_the_same(shape):
    tensor = made(shape)
    record = summarize({"w": tensor})["w"]
    for axis in range(len(shape)):
        found = recorded_squares(record, shape, axis)
        np.testing.assert_allclose(found, axis_squares(ref_of(tensor), axis), rtol=1e-6)
    assert recorded_squares(None, shape, 0) is None
    assert recorded_squares(summarize({"v": made((5,))})["v"], (5,), 0) is None


def test_cancelling_stops_between_bands():
    with pytest.raises(Cancelled):
        axis_squares(ref_of(made((9, 9))), 0, cancelled=lambda: True)


def test_numbers_of_channels_that_several_positions_carry():
    squares = np.array([1.0, 4.0, 9.0, 16.0, 25.0, 36.0])
    channels = np.array([0, 0, 2, -1, 2, 1], np.int32)
    np.testing.assert_allclose(per_channel(squares, channels, 4), [5**0.5, 6.0, 34**0.5, np.nan])


def test_single_elements_keep_their_sign():
    values = np.array([0.5, -2.0, 3.0])
    np.testing.assert_array_equal(per_channel(values**2, None, 3, values), values)
    twice = np.array([0, 0, 1], np.int32)
    np.testing.assert_allclose(per_channel(values**2, twice, 2, values), [4.25**0.5, 3.0])


def test_elements_of_vectors():
    vector = made((70001,), torch.bfloat16)
    np.testing.assert_array_equal(values_at(ref_of(vector)), vector.double().numpy())
    with pytest.raises(ValueError, match="no vector"):
        values_at(ref_of(made((2, 3))))


def test_spread_and_deviations():
    rng = np.random.default_rng(0)
    values = rng.gamma(3.0, 1.0, 501)
    found = spread(values)
    assert found.median == np.median(values)
    assert found.mad == pytest.approx(scipy.stats.median_abs_deviation(values), rel=1e-12)
    assert (found.q05, found.q95) == tuple(np.quantile(values, (0.05, 0.95)))
    expected = (values - np.median(values)) / scipy.stats.median_abs_deviation(values, scale="normal")
    np.testing.assert_allclose(deviations(values), expected, rtol=1e-6)


def test_deviations_where_most_values_are_equal():
    values = np.array([1.0] * 9 + [3.0])
    np.testing.assert_allclose(deviations(values), (values - 1) / values.std())
    np.testing.assert_array_equal(deviations(np.ones(4)), np.zeros(4))
    np.testing.assert_array_equal(np.isnan(deviations(np.array([1.0, np.nan, 2.0]))), [False, True, False])
    assert np.isnan(deviations(np.full(3, np.nan))).all()


def test_standing_among_all():
    values = np.array([3.0, 1.0, 4.0, 1.0, np.nan, 5.0])
    one = standing(values, 2)
    assert (one.value, one.rank, one.of, one.below) == (4.0, 2, 5, 0.75)
    tied = standing(values, 1)
    assert (tied.rank, tied.below) == (4, 0.125)
    assert standing(values, 4).rank == 0
    with pytest.raises(IndexError, match="no channel 6"):
        standing(values, 6)


def test_channels_that_are_off_and_far_out():
    gains = np.array([0.5, -0.4, 1e-9, 0.6, -4e-4, 0.0])
    np.testing.assert_array_equal(switched_off(gains), [2, 5])
    away = np.array([0.0, -9.0, 2.0, np.nan, 30.0])
    np.testing.assert_array_equal(outlying(away), [4, 1])


def test_pooling_keeps_the_extremes():
    values = np.random.default_rng(1).normal(size=1000)
    values[617], values[3] = 40.0, np.nan
    low, high, step = pooled(values, 64)
    assert step == 16
    assert len(low) == 63
    for at in range(63):
        part = values[at * step : (at + 1) * step]
        assert (low[at], high[at]) == (np.float32(np.nanmin(part)), np.float32(np.nanmax(part)))
    assert pooled(values, 1000)[2] == 1
