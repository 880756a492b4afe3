"""The spectra to compare with: the law of Marchenko and Pastur, shuffled weights, fresh weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from tests.summary.stub import ref_of
from tests.threads import one_thread  # noqa: F401 - a fixture for all tests here
from weightwidget.detail.marchenko import expected, median, unit_law
from weightwidget.detail.matrix import Matrix
from weightwidget.detail.nulls import can_shuffle, initial_values, shuffled_values


def textbook(x: float, beta: float) -> float:
    low, high = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    return math.sqrt(max(0.0, (high - x) * (x - low))) / (2 * math.pi * beta * x)


@pytest.mark.parametrize("beta", [0.05, 0.3, 0.9, 1.0])
def test_the_law_is_that_of_the_textbook(beta):
    law = unit_law(beta, 256)
    low = (1 - math.sqrt(beta)) ** 2
    for at in (20, 100, 200, 250):
        x = law.x[at]
        assert law.density[at] == pytest.approx(textbook(x, beta), rel=1e-9)
        assert law.below[at] == pytest.approx(quad(textbook, low, x, (beta,))[0], abs=2e-4)
        assert law.density_of_log[at] == pytest.approx(textbook(x, beta) * x * math.log(10), rel=1e-9)
    half = quad(textbook, low, median(beta), (beta,))[0]
    assert half == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("shape", [(300, 300), (150, 600), (500, 120)])
@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_a_fresh_matrix_has_the_expected_singular_values(shape, law):
    rng = np.random.default_rng(1)
    drawn = rng.normal(0, 0.2, shape) if law == "normal" else rng.uniform(-0.2, 0.2, shape)
    std = 0.2 if law == "normal" else 0.2 / math.sqrt(3)
    s = np.linalg.svd(drawn, compute_uv=False)
    ranks, values = initial_values(law, 0.2, std, *shape)
    assert ranks[0] == pytest.approx(0)
    assert ranks[-1] == min(shape)
    assert (np.diff(ranks) > 0).all()
    assert (np.diff(values) < 0).all()
    at = np.interp(np.arange(min(shape)) + 0.5, ranks, values)
    np.testing.assert_allclose(at, s, atol=0.02 * s[0])
    assert np.array_equal(expected(std, *shape)[1], values)


def test_of_few_rows_the_mean_of_random_matrices_is_taken():
    ranks, values = initial_values("uniform", 0.5, 0.5 / math.sqrt(3), 3, 400)
    assert ranks.tolist() == [0.5, 1.5, 2.5]
    rng = np.random.default_rng(7)
    many = np.linalg.svd(rng.uniform(-0.5, 0.5, (500, 3, 400)), compute_uv=False).mean(0)
    np.testing.assert_allclose(values, many, rtol=0.02)
    again = initial_values("uniform", 0.5, 0.5 / math.sqrt(3), 400, 3)[1]
    assert np.array_equal(values, again)


def test_an_orthogonal_matrix_has_equal_singular_values():
    ranks, values = initial_values("orthogonal", 1.0, math.nan, 30, 120)
    assert ranks.tolist() == [0, 30]
    assert values.tolist() == [1, 1]


def test_shuffled_weights_are_the_same_weights_without_their_order():
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(60, 8, generator=generator) @ torch.randn(8, 90, generator=generator)
    found = shuffled_values(Matrix(ref_of(weights)))
    s = np.linalg.svd(weights.double().numpy(), compute_uv=False)
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(s))
    assert found[0] < 0.5 * s[0]
    assert found[-1] > 1e-2 * found[0]  # no low rank any more
    assert np.array_equal(found, shuffled_values(Matrix(ref_of(weights))))


def test_what_is_too_large_is_not_shuffled():
    assert can_shuffle(1536, 384)
    assert not can_shuffle(30522, 384)
    with pytest.raises(ValueError, match="not shuffled"):
        shuffled_values(Matrix(ref_of(torch.zeros(1).expand(3000, 3000))))
