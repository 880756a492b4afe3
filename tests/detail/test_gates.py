"""Eigenvalues of recurrent weights and time scales of biases, against NumPy and the definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.summary.stub import ref_of
from weightwidget.detail import gates
from weightwidget.detail.gates import bias_time_scales, eigenvalues


def matrix(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def in_order(values: np.ndarray) -> np.ndarray:
    """By magnitude and angle, so that equal sets of numbers are equal arrays."""
    return values[np.lexsort((np.round(np.angle(values), 6), -np.round(abs(values), 9)))]


def test_eigenvalues_are_numpys_largest_first():
    weights = matrix(17, 17)
    found = eigenvalues(weights)
    expected = np.linalg.eigvals(weights.double().numpy())
    np.testing.assert_allclose(in_order(found.values), in_order(expected), atol=1e-9)
    sizes = abs(found.values)
    assert (np.diff(sizes) <= 1e-9).all()
    assert found.radius == pytest.approx(sizes.max())
    assert found.zeros == 0


def test_conjugates_stand_together_the_upper_one_first():
    found = eigenvalues(matrix(30, 30)).values
    at = 0
    while at < len(found):
        if found[at].imag == 0:
            at += 1
        else:
            assert found[at].imag > 0
            assert found[at + 1] == found[at].conj()
            at += 2


def test_rotation_and_scale():
    angle, size = 0.3, 1.7
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = eigenvalues(turn)
    np.testing.assert_allclose(abs(found.values), [size, size])
    np.testing.assert_allclose(np.angle(found.values), [angle, -angle])


def test_a_transposed_block_has_the_same_eigenvalues():
    weights = matrix(12, 12)
    np.testing.assert_allclose(
        in_order(eigenvalues(weights).values), in_order(eigenvalues(weights.T).values), atol=1e-9
    )


def test_with_a_projection_they_are_those_of_the_whole_product():
    block, projection = matrix(11, 4), matrix(4, 11, seed=1)
    found = eigenvalues(block, projection)
    whole = np.linalg.eigvals(block.double().numpy() @ projection.double().numpy())
    assert len(found.values) + found.zeros == 11
    assert found.zeros == 7
    nonzero = whole[abs(whole) > 1e-9]
    np.testing.assert_allclose(in_order(found.values), in_order(nonzero), atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_references_and_stored_types(dtype):
    weights = matrix(9, 9).to(dtype)
    expected = np.linalg.eigvals(weights.double().numpy())
    np.testing.assert_allclose(in_order(eigenvalues(ref_of(weights)).values), in_order(expected), atol=1e-9)


def test_an_empty_block_has_radius_zero():
    assert eigenvalues(torch.zeros(0, 0)).radius == 0
    assert eigenvalues(torch.zeros(3, 3)).radius == 0


def test_what_has_no_eigenvalues_says_why(monkeypatch):
    with pytest.raises(ValueError, match=r"square matrix.*\[4, 5\]"):
        eigenvalues(torch.zeros(4, 5))
    with pytest.raises(ValueError, match="matrix"):
        eigenvalues(torch.zeros(4))
    with pytest.raises(ValueError, match="projection"):
        eigenvalues(torch.zeros(4, 3), torch.zeros(2, 4))
    bad = torch.zeros(3, 3)
    bad[0, 1], bad[2, 2] = torch.nan, torch.inf
    with pytest.raises(ValueError, match=r"2 weights .* NaN or infinite"):
        eigenvalues(bad)
    monkeypatch.setattr(gates, "LARGEST", 10)
    with pytest.raises(ValueError, match="11 units would take too long"):
        eigenvalues(torch.zeros(11, 11))


@given(st.floats(-30, 30))
def test_time_scales_by_their_definition(bias):
    forget = 1 / (1 + np.exp(np.longdouble(-bias)))
    assert bias_time_scales(bias) == pytest.approx(float(-1 / np.log(forget)), rel=1e-5)


def test_time_scales_a_state_really_has():
    bias = np.array([-1.0, 0.0, 1.46, 4.0])
    steps = bias_time_scales(bias)
    np.testing.assert_allclose((1 / (1 + np.exp(-bias))) ** steps, np.exp(-1))
    assert bias_time_scales(0.0) == pytest.approx(1.442695)


def test_time_scales_of_extreme_biases():
    found = bias_time_scales([-1e4, -8, 40, 1e4, np.nan])
    assert found[0] == pytest.approx(1e-4)
    assert found[1] == pytest.approx(0.12499476)
    assert found[2] == pytest.approx(np.exp(40), rel=1e-6)
    assert found[3] == np.inf
    assert np.isnan(found[4])


def test_tiny_eigenvalues_are_sorted_too():
    matrix = np.diag([1e-15, -4e-15, 2e-15])
    found = eigenvalues(matrix)
    assert found.radius == pytest.approx(4e-15)
    np.testing.assert_allclose(found.values.real, [-4e-15, 2e-15, 1e-15])
