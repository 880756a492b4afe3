"""Circuits of heads by small products, against the explicit matrices of width x width."""

from __future__ import annotations

import numpy as np
import pytest

from weightwidget.detail.circuits import (
    copying_score,
    cosines,
    product_eigenvalues,
    product_singular_values,
    stable_rank,
)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(("size", "width", "other"), [(4, 24, 24), (4, 24, 17), (8, 5, 9), (6, 6, 6), (1, 12, 3)])
def test_singular_values_are_those_of_the_explicit_product(size, width, other):
    q, k = normal(size, width), normal(size, other, seed=1)
    found = product_singular_values(q, k)
    explicit = np.linalg.svd(q.T @ k, compute_uv=False)
    assert len(found) == min(size, width, other)
    np.testing.assert_allclose(found, explicit[: len(found)], rtol=1e-10)
    assert explicit[len(found) :].max(initial=0) < 1e-12 * explicit[0]


def test_a_bad_condition_is_not_squared():
    """Gram matrices would lose all below the square root of the machine's precision."""
    scales = np.logspace(0, -11, 12)
    left, _ = np.linalg.qr(normal(40, 12))
    right, _ = np.linalg.qr(normal(30, 12, seed=1))
    found = product_singular_values((left * scales).T, right.T)
    np.testing.assert_allclose(found, scales, rtol=1e-3)


@pytest.mark.parametrize(("width", "size"), [(24, 4), (5, 8), (6, 6)])
def test_eigenvalues_are_those_of_the_explicit_product(width, size):
    o, v = normal(width, size), normal(size, width, seed=1)
    found = product_eigenvalues(o, v)
    explicit = np.linalg.eigvals(o @ v)
    explicit = explicit[np.argsort(-np.abs(explicit))][: len(found)]
    assert len(found) == min(width, size)
    np.testing.assert_allclose(np.abs(found), np.abs(explicit), rtol=1e-9)
    for value in explicit:
        assert np.abs(found - value).min() < 1e-9 * np.abs(explicit).max()
    # The sum of all eigenvalues is the trace.
    assert found.sum() == pytest.approx(np.trace(o @ v))
    assert copying_score(found) == pytest.approx(np.trace(o @ v) / np.abs(np.linalg.eigvals(o @ v)).sum())


def test_pairs_of_eigenvalues_have_the_upper_one_first():
    turn = np.array([[0.0, -2.0], [2.0, 0.0]])
    np.testing.assert_allclose(product_eigenvalues(turn, np.eye(2)), [2j, -2j])


@pytest.mark.parametrize(("factor", "score"), [(1.0, 1.0), (-1.0, -1.0)])
def test_a_head_that_copies_and_one_that_takes_away(factor, score):
    v, _ = np.linalg.qr(normal(20, 5))
    assert copying_score(product_eigenvalues(factor * v, v.T)) == pytest.approx(score)


def test_a_rotation_copies_nothing():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    assert copying_score(product_eigenvalues(turn, np.eye(2))) == pytest.approx(0)


def test_what_cannot_be_said_is_nan_and_what_does_not_fit_is_refused():
    broken = normal(3, 8)
    broken[1, 2] = np.inf
    assert np.isnan(product_singular_values(broken, normal(3, 8))).all()
    assert np.isnan(product_eigenvalues(normal(8, 3), broken)).all()
    assert np.isnan(copying_score(np.zeros(4, complex)))
    assert np.isnan(stable_rank(np.zeros(3)))
    with pytest.raises(ValueError, match="heads of size 3 and 4"):
        product_singular_values(normal(3, 8), normal(4, 8))
    with pytest.raises(ValueError, match="another stream"):
        product_eigenvalues(normal(8, 3), normal(3, 9))


def test_cosines_have_no_value_for_zeros():
    found = cosines(np.array([[4.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(found[:2, :2], [[1, 0.5], [0.5, 1]])
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 2]).all()
