"""The largest singular values and their vectors against NumPy's decomposition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.summary.stub import ref_of
from tests.threads import one_thread  # noqa: F401 - a fixture for all tests here
from weightwidget.detail.matrix import Matrix
from weightwidget.detail.topvalues import TopValues, profile_of, top_values
from weightwidget.summary.cancel import Cancelled


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(seed))


def top_of(weights: torch.Tensor, count: int = 6) -> TopValues:
    return top_values(Matrix(ref_of(weights)), count)


def check(weights: torch.Tensor, found: TopValues, tolerance: float) -> None:
    w = weights.double().numpy()
    left, s, right = np.linalg.svd(w, full_matrices=False)
    count = len(found.values)
    np.testing.assert_allclose(found.values, s[:count], rtol=tolerance)
    distance = np.abs(found.values[:, None] - s[None, :]).min(1)
    assert (distance <= found.errors + 1e-12 * s[0]).all()
    assert found.frobenius_norm == pytest.approx(np.linalg.norm(w))
    assert found.shape == w.shape
    np.testing.assert_allclose(found.left.T @ found.left, np.eye(count), atol=1e-6)
    np.testing.assert_allclose(found.right.T @ found.right, np.eye(count), atol=1e-6)
    signs = np.sign((left[:, 0] * found.left[:, 0]).sum())
    np.testing.assert_allclose(found.left[:, 0], signs * left[:, 0], atol=100 * tolerance)
    np.testing.assert_allclose(found.right[:, 0], signs * right[0], atol=100 * tolerance)


@pytest.mark.parametrize("shape", [(600, 90), (90, 600), (200, 200)])
def test_of_values_that_stand_out(shape):
    spikes = noise(shape[0], 4, seed=1) @ torch.diag(torch.tensor([9.0, 6, 4, 3])) @ noise(4, shape[1], seed=2)
    weights = noise(*shape) + spikes
    check(weights, top_of(weights, 4), 1e-9)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (3, 40), (40, 48), (300, 2)])
def test_of_small_matrices(shape):
    found = top_of(noise(*shape))
    assert len(found.values) == min(6, *shape)
    check(noise(*shape), found, 1e-9)


def test_values_that_lie_close_have_errors_that_say_so(monkeypatch):
    monkeypatch.setattr("weightwidget.detail.topvalues.WORK", 0)
    weights = noise(700, 500)
    found = top_of(weights)
    s = np.linalg.svd(weights.double().numpy(), compute_uv=False)
    assert found.errors.max() > 1e-3 * s[0]
    assert (np.abs(found.values[:, None] - s[None]).min(1) <= found.errors).all()
    assert (found.values <= s[:6] * (1 + 1e-12)).all()  # from a subspace, never too large


def test_read_in_blocks_it_is_the_same(monkeypatch):
    weights = noise(130, 75)
    whole = top_of(weights)
    monkeypatch.setattr("weightwidget.detail.singular.BLOCK", 1000)
    np.testing.assert_allclose(top_of(weights).values, whole.values, rtol=1e-12)
    np.testing.assert_allclose(
        top_of(weights.T).left, whole.right * np.sign((whole.right * top_of(weights.T).left).sum(0)), atol=1e-4
    )


def test_a_low_rank_is_found_whole():
    weights = noise(150, 2, seed=1).double() @ noise(2, 220, seed=2).double()
    found = top_of(weights)
    assert len(found.values) == 2
    check(weights, found, 1e-9)


def test_of_zeros_there_are_no_vectors():
    found = top_of(torch.zeros(12, 7))
    assert found.values.tolist() == [0]
    assert found.left.shape == (12, 0)
    assert found.frobenius_norm == 0


def test_signs_are_always_the_same():
    found, turned = top_of(noise(80, 60)), top_of(-noise(80, 60))
    np.testing.assert_allclose(found.left, turned.left, atol=1e-6)
    largest = np.take_along_axis(found.left, np.abs(found.left).argmax(0)[None], 0)
    assert (largest > 0).all()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_scale_does_not_matter(scale):
    plain = noise(60, 70).double()
    np.testing.assert_allclose(top_of(plain * scale).values, top_of(plain).values * scale, rtol=1e-9)


def test_random_numbers_of_the_program_stay_what_they_are():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the state that programs still use
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    top_of(noise(100, 120))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()  # noqa: NPY002


def test_it_stops_when_nobody_waits():
    with pytest.raises(Cancelled):
        top_values(Matrix(ref_of(noise(60, 60))), cancelled=lambda: True)


def test_a_long_vector_is_told_in_steps():
    vector = np.sin(np.arange(1000.0))
    vector /= np.linalg.norm(vector)
    vector[417] = 0.9
    found = profile_of(vector, steps=64)
    starts = [i * 1000 // 64 for i in range(65)]
    for step in range(64):
        part = vector[starts[step] : starts[step + 1]]
        assert (found.low[step], found.high[step]) == (part.min(), part.max())
    assert found.places[0] == 417
    assert found.elements[0] == 0.9


def test_a_short_vector_is_told_whole():
    vector = np.array([0.6, -0.8, 0.0])
    found = profile_of(vector)
    assert found.low.tolist() == found.high.tolist() == vector.tolist()
    assert found.places.tolist() == [1, 0, 2]
    assert found.participation == pytest.approx(1 / (0.6**4 + 0.8**4))
    assert profile_of(np.full(16, 0.25)).participation == pytest.approx(16)
