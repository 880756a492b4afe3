"""Singular values and what is read from them, against NumPy and against what WeightWatcher 0.7.7 gave."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.summary.stub import ref_of
from weightwidget import spectrum
from weightwidget.detail.spectrum import LEAST_EIGENVALUE, fit_power_law


def matrix(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(30, 70), (70, 30), (24, 6, 5), (12, 8, 3, 5)])
def test_norms_and_ranks_by_their_definitions(shape):
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = spectrum(weights)
    flat = weights.double().numpy().reshape(shape[0], -1)
    s = np.linalg.svd(flat, compute_uv=False)
    np.testing.assert_allclose(found.singular_values, s, rtol=1e-9)
    assert found.shape == flat.shape
    assert found.spectral_norm == pytest.approx(np.linalg.norm(flat, 2))
    assert found.frobenius_norm == pytest.approx(np.linalg.norm(flat))
    assert found.stable_rank == pytest.approx((flat**2).sum() / s[0] ** 2)
    p = s / s.sum()
    assert found.effective_rank == pytest.approx(math.exp(-(p * np.log(p)).sum()))
    assert found.condition_number == pytest.approx(np.linalg.cond(flat))
    assert found.numerical_rank == torch.linalg.matrix_rank(weights.reshape(shape[0], -1)).item()


def test_a_reference_an_array_and_a_tensor_are_the_same():
    weights = matrix(20, 33)
    expected = spectrum(weights).singular_values
    np.testing.assert_array_equal(spectrum(weights.numpy()).singular_values, expected)
    np.testing.assert_array_equal(spectrum(ref_of(weights, "w")).singular_values, expected)


def test_the_rank_of_a_product_shows():
    low = matrix(60, 4) @ matrix(4, 90, 1)
    found = spectrum(low)
    assert found.numerical_rank == 4
    assert found.effective_rank < 4.01


def test_the_stored_type_decides_what_counts_as_zero():
    weights = torch.diag(torch.tensor([1.0, 1e-3, 1e-3]))
    assert spectrum(weights).numerical_rank == 3
    assert spectrum(weights.bfloat16()).numerical_rank == 1


def test_of_zeros_nothing_is_claimed():
    found = spectrum(torch.zeros(12, 15))
    assert found.spectral_norm == 0
    assert math.isnan(found.stable_rank)
    assert math.isnan(found.effective_rank)
    assert math.isnan(found.condition_number)
    assert math.isnan(found.alpha)
    assert found.numerical_rank == found.spikes == found.alpha_tail == 0


def test_a_singular_matrix_has_an_infinite_condition_number():
    assert spectrum(torch.diag(torch.tensor([2.0, 1.0, 0.0]))).condition_number == math.inf


@pytest.mark.parametrize("shape", [(200, 200), (120, 480), (480, 60)])
def test_the_edge_of_noise_is_that_of_marchenko_and_pastur(shape):
    noise = 0.3 * matrix(*shape)
    found = spectrum(noise)
    assert found.noise == pytest.approx(0.3, rel=0.05)
    assert found.mp_edge == pytest.approx(0.3 * (math.sqrt(shape[0]) + math.sqrt(shape[1])), rel=0.05)
    assert found.spikes == 0


def test_what_stands_out_of_the_noise_is_counted():
    noise = matrix(150, 400)
    left, right = torch.linalg.qr(matrix(150, 5, 1)).Q, torch.linalg.qr(matrix(400, 5, 2)).Q
    assert spectrum(noise + 60 * left @ right.T).spikes == 5


def test_small_matrices_are_not_compared_with_noise():
    found = spectrum(matrix(9, 400))
    assert math.isnan(found.mp_edge)
    assert found.spikes == 0


def naive_fit(values: np.ndarray) -> tuple[float, float, int]:
    """WeightWatcher's recipe, step by step."""
    x = sorted(value for value in values.tolist() if value > LEAST_EIGENVALUE)
    few = len(x) < 20
    best = (math.nan, math.inf, 0)
    for first in range(len(x) - (7 if few else 1)):
        tail = x[first:]
        n = len(tail)
        spread = sum(math.log(value / tail[0]) for value in tail)
        if spread <= 0:
            continue
        alpha = 1 + (n - 1 if few else n) / spread
        distance = max(abs(1 - (value / tail[0]) ** (1 - alpha) - place / n) for place, value in enumerate(tail))
        if distance < best[1]:
            best = (alpha, distance, n)
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 60), st.integers(0, 10_000), st.sampled_from(["pareto", "lognormal"]))
def test_the_power_law_is_found_by_the_recipe(count, seed, kind):
    rng = np.random.default_rng(seed)
    values = rng.pareto(2.5, count) + 1 if kind == "pareto" else rng.lognormal(0, 1, count)
    found = fit_power_law(values)
    alpha, distance, tail = naive_fit(values)
    assert found.alpha == pytest.approx(alpha, rel=1e-6)
    assert found.distance == pytest.approx(distance, rel=1e-6)
    assert found.tail == tail


def test_a_true_power_law_gives_its_exponent():
    values = np.random.default_rng(0).pareto(1.7, 4000) + 1
    assert fit_power_law(values).alpha == pytest.approx(2.7, abs=0.15)


@pytest.mark.parametrize("values", [[], [1.0] * 7, [3.0] * 40, [1e-9] * 50])
def test_too_few_or_equal_values_have_no_power_law(values):
    found = fit_power_law(values)
    assert math.isnan(found.alpha)
    assert found.tail == 0


def test_a_convolution_pools_the_places_of_its_kernel():
    weights = torch.randn(14, 11, 3, 2, generator=torch.Generator().manual_seed(5))
    slices = [
        0.5 * np.linalg.svd(weights[:, :, i, j].double().numpy(), compute_uv=False) ** 2
        for i in range(3)
        for j in range(2)
    ]
    np.testing.assert_allclose(spectrum(weights).eigenvalues, np.sort(np.concatenate(slices)), rtol=1e-9)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (torch.ones(5), ValueError, r"shape \[5\]"),
        (torch.tensor([[1.0, math.nan]]), ValueError, "finite weights"),
        (torch.ones(2, 3, dtype=torch.complex64), TypeError, "no order"),
    ],
)
def test_what_has_no_spectrum_says_why(weights, error, message):
    with pytest.raises(error, match=message):
        spectrum(weights)
