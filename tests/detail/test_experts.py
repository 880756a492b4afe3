"""Experts compared with each other and with noise, against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.summary.stub import ref_of
from weightwidget import WeightExplorer
from weightwidget.detail import experts
from weightwidget.sources import open_weights
from weightwidget.summary.cancel import Cancelled
from weightwidget.wire.handlers import SLOW, answer


def refs_of(tensors: list[torch.Tensor]):
    source = open_weights({str(number): tensor for number, tensor in enumerate(tensors)})
    return [source.tensors[str(number)] for number in range(len(tensors))]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(31, 17), (5, 4, 3), (23,)])
@pytest.mark.parametrize("band", [1 << 19, 8], ids=["one block", "many blocks"])
def test_similarity_is_the_cosine_of_all_weights(monkeypatch, shape, band):
    monkeypatch.setattr(experts, "BAND", band)
    tensors = [random(*shape, seed=seed) + 0.2 for seed in range(5)]
    tensors.append(tensors[1] * -3)
    flat = torch.stack([tensor.reshape(-1).double() for tensor in tensors]).numpy()
    units = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    shares: list[float] = []
    found = experts.similarity(refs_of(tensors), report=shares.append)
    np.testing.assert_allclose(found, units @ units.T, atol=1e-12)
    assert found[1, 5] == pytest.approx(-1)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_experts_without_a_direction():
    tensors = [random(4, 6, seed=seed) for seed in range(4)]
    tensors[1].zero_()
    tensors[2][1, 1] = torch.inf
    found = experts.similarity(refs_of(tensors))
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 2]).all()
    assert np.isfinite(found[0, 3])


def test_experts_of_different_shapes():
    with pytest.raises(ValueError, match="different shapes"):
        experts.similarity(refs_of([random(3, 4), random(4, 3)]))


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (12, 5, 7)])
@pytest.mark.parametrize("dense", [512, 1], ids=["Gram matrix", "Lanczos"])
@pytest.mark.parametrize("held", [1 << 22, 0], ids=["held", "read again"])
def test_noise_ratio_by_its_definition(monkeypatch, shape, dense, held):
    monkeypatch.setattr(experts, "DENSE", dense)
    monkeypatch.setattr(experts, "HELD", held)
    tensor = random(*shape) + 0.1
    flat = tensor.double().numpy().reshape(shape[0], -1)
    n, m = flat.shape
    largest = np.linalg.norm(flat, 2)
    expected = largest / (np.sqrt((flat**2).mean()) * (math.sqrt(n) + math.sqrt(m)))
    (ref,) = refs_of([tensor])
    assert experts.noise_ratio(ref) == pytest.approx(expected, rel=1e-9 if dense > 1 else 1e-3)


def test_fresh_weights_are_noise_and_learned_ones_are_not():
    uniform = torch.nn.Linear(300, 120)
    fresh = uniform.weight.detach().clone()
    learned = fresh + 0.05 * random(120, 1) @ random(1, 300, seed=1)
    ratios = [experts.noise_ratio(ref) for ref in refs_of([fresh, random(120, 300), learned])]
    assert ratios[0] == pytest.approx(1, abs=0.04)
    assert ratios[1] == pytest.approx(1, abs=0.04)
    assert ratios[2] > 2


def test_what_has_no_noise_ratio():
    broken = random(5, 6)
    broken[0, 0] = torch.nan
    for tensor in (torch.zeros(5, 6), broken, random(7), random(1, 9)):
        (ref,) = refs_of([tensor])
        assert math.isnan(experts.noise_ratio(ref))


def test_lanczos_ends_where_there_are_no_more_directions():
    vector = random(50).double()
    matrix = torch.outer(vector, vector)
    assert experts.largest_eigenvalue(lambda x: matrix @ x, 50) == pytest.approx(float(vector @ vector), rel=1e-9)
    assert experts.largest_eigenvalue(lambda x: 3 * x, 50) == pytest.approx(3)
    assert experts.largest_eigenvalue(lambda x: 0 * x, 50) == 0


def test_cancelling():
    refs = refs_of([random(6, 7), random(6, 7)])
    with pytest.raises(Cancelled):
        experts.similarity(refs, cancelled=lambda: True)
    with pytest.raises(Cancelled):
        experts.noise_ratio(refs[0], cancelled=lambda: True)


def test_requests():
    tensors = {"router.weight": random(3, 9), **{f"experts.{n}.w1.weight": random(8, 9, seed=n) for n in range(3)}}
    explorer = WeightExplorer(tensors).wait()
    try:
        request = {"id": "1", "kind": "experts.router", "tensor": "router.weight", "axis": 0}
        reply, (norms, cosines) = answer(explorer, request)
        router = tensors["router.weight"].double()
        assert reply["experts"] == 3
        np.testing.assert_allclose(np.frombuffer(norms), router.norm(dim=1), rtol=1e-12)
        units = torch.nn.functional.normalize(router, dim=1)
        np.testing.assert_allclose(np.frombuffer(cosines).reshape(3, 3), units @ units.T, atol=1e-12)

        paths = [f"experts.{n}.w1.weight" for n in range(3)]
        reply, (cosines,) = answer(explorer, {"id": "1", "kind": "experts.similarity", "paths": paths})
        flat = torch.stack([tensors[path].reshape(-1).double() for path in paths])
        units = torch.nn.functional.normalize(flat, dim=1)
        np.testing.assert_allclose(np.frombuffer(cosines).reshape(3, 3), units @ units.T, atol=1e-12)

        reply, (ratios,) = answer(explorer, {"id": "1", "kind": "experts.noise", "paths": paths[:2]})
        assert np.frombuffer(ratios).shape == (2,)
        assert {"experts.similarity", "experts.noise"} <= SLOW
        with pytest.raises(KeyError, match="there is no tensor"):
            answer(explorer, {"id": "1", "kind": "experts.noise", "paths": ["nowhere"]})
        with pytest.raises(ValueError, match="1,024"):
            answer(explorer, {"id": "1", "kind": "experts.noise", "paths": ["x"] * 2000})
    finally:
        explorer.close()


def test_many_wide_experts_are_read_a_few_bands_at_a_time(monkeypatch):
    monkeypatch.setattr(experts, "BAND", 64)
    weights = torch.randn(8, 1, 200)
    sizes = []
    block = experts.Matrix.block

    def counted(matrix, *box):
        found = block(matrix, *box)
        sizes.append(found.numel())
        return found

    monkeypatch.setattr(experts.Matrix, "block", counted)
    found = experts.similarity([ref_of(part) for part in weights])
    wide = weights.reshape(8, -1).double()
    unit = wide / wide.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(found, (unit @ unit.T).numpy(), atol=1e-12)
    assert max(sizes) * 8 <= 4 * 64
