"""Numbers of tables of vectors against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weightwidget.detail import embeddings, nearest, vectors
from weightwidget.sources import open_weights
from weightwidget.summary.cancel import Cancelled


def ref_of(tensor: torch.Tensor):
    return open_weights({"table": tensor}).tensors["table"]


def table(count: int = 61, size: int = 13, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)) + 0.3


def cosine_matrix(tensor: torch.Tensor) -> np.ndarray:
    """All cosines by the definition; the diagonal is NaN."""
    vectors = tensor.double().numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        units = vectors / np.sqrt((vectors**2).sum(1, keepdims=True))
    found = units @ units.T
    np.fill_diagonal(found, np.nan)
    return found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_norms(dtype):
    tensor = table().to(dtype)
    expected = np.linalg.norm(tensor.double().numpy(), axis=1)
    np.testing.assert_allclose(embeddings.norms(ref_of(tensor)), expected, rtol=1e-12)


def test_entries_along_another_axis():
    tensor = table(7, 30).reshape(7, 5, 6)
    expected = [np.linalg.norm(tensor[:, entry].double().numpy()) for entry in range(5)]
    np.testing.assert_allclose(embeddings.norms(ref_of(tensor), axis=1), expected, rtol=1e-12)
    found = nearest.nearest(ref_of(tensor), axis=1)
    flat = tensor.permute(1, 0, 2).reshape(5, -1)
    np.testing.assert_allclose(found.nearest_cosine, np.nanmax(cosine_matrix(flat), axis=1), atol=1e-12)


@pytest.mark.parametrize("exact", [10_000, 10], ids=["float64", "float32 search"])
@pytest.mark.parametrize("pairs", [64 * 64, 1 << 22], ids=["many blocks", "one block"])
def test_nearest_neighbours(monkeypatch, exact, pairs):
    monkeypatch.setattr(nearest, "EXACT", exact)
    monkeypatch.setattr(nearest, "PAIRS", pairs)
    tensor = table(203, 17)
    cosines = cosine_matrix(tensor)
    best = np.sort(np.where(np.isnan(cosines), -np.inf, cosines), axis=1)[:, ::-1]
    shares = []
    found = nearest.nearest(ref_of(tensor), report=shares.append)
    assert found.entries.tolist() == list(range(203))
    np.testing.assert_allclose(found.nearest_cosine, best[:, 0], atol=1e-12)
    np.testing.assert_allclose(found.second_cosine, best[:, 1], atol=1e-12)
    assert found.nearest.tolist() == np.nanargmax(cosines, axis=1).tolist()
    assert all(second != first for first, second in zip(found.nearest, found.second, strict=True))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert (found.error == 0) == (exact > 203)


def test_a_sample_is_compared_with_all(monkeypatch):
    monkeypatch.setattr(nearest, "PAIRS", 64 * 64)
    tensor = table(201, 9)
    cosines = cosine_matrix(tensor)
    found = nearest.nearest(ref_of(tensor), limit=40)
    assert len(found.entries) == 40
    assert np.diff(found.entries).max() <= 6
    np.testing.assert_allclose(found.nearest_cosine, np.nanmax(cosines, axis=1)[found.entries], atol=1e-12)
    assert found.nearest.tolist() == np.nanargmax(cosines, axis=1)[found.entries].tolist()


def test_vectors_without_a_direction_are_nobodys_neighbours():
    tensor = table(12, 5)
    tensor[3] = 0
    tensor[7, 2] = torch.nan
    tensor[8, 0] = torch.inf
    found = nearest.nearest(ref_of(tensor))
    for entry in (3, 7, 8):
        assert found.nearest[entry] == found.second[entry] == -1
        assert np.isnan(found.nearest_cosine[entry])
        assert entry not in found.nearest
        assert entry not in found.second
    rest = [entry for entry in range(12) if entry not in (3, 7, 8)]
    expected = np.nanmax(cosine_matrix(tensor[rest]), axis=1)
    np.testing.assert_allclose(found.nearest_cosine[rest], expected, atol=1e-12)
    assert len(embeddings.neighbours_of(ref_of(tensor), 3).entries) == 0


@pytest.mark.parametrize("count", [1, 2])
def test_tables_with_too_few_entries(count):
    found = nearest.nearest(ref_of(table(count, 4)))
    assert found.second.tolist() == [-1] * count
    assert found.nearest.tolist() == [-1] if count == 1 else [1, 0]


def test_searching_can_be_cancelled():
    with pytest.raises(Cancelled):
        nearest.nearest(ref_of(table()), cancelled=lambda: True)
    with pytest.raises(Cancelled):
        embeddings.norms(ref_of(table()), cancelled=lambda: True)


def test_neighbours_of_one_entry():
    tensor = table(90, 11)
    vectors = tensor.double().numpy()
    values = {
        "cosine": cosine_matrix(tensor)[5],
        "dot": vectors @ vectors[5],
        "distance": np.linalg.norm(vectors - vectors[5], axis=1),
    }
    for measure, expected in values.items():
        expected[5] = np.nan
        order = np.argsort(expected if measure == "distance" else -expected, kind="stable")[:8]
        found = embeddings.neighbours_of(ref_of(tensor), 5, measure, 8)
        assert found.entries.tolist() == order.tolist()
        np.testing.assert_allclose(found.values, expected[order], rtol=1e-12)
    assert len(embeddings.neighbours_of(ref_of(tensor), 5, count=1000).entries) == 89


def test_against_the_mean_of_some(monkeypatch):
    monkeypatch.setattr(embeddings, "BAND", 40)
    monkeypatch.setattr(vectors, "BAND", 40)
    tensor = table(50, 7)
    rows = tensor.double().numpy()
    known = [3, 4, 20, 41]
    mean = rows[known].mean(axis=0)
    found = embeddings.against_mean(ref_of(tensor), known)
    expected = rows @ mean / np.linalg.norm(rows, axis=1) / np.linalg.norm(mean)
    np.testing.assert_allclose(found.cosine, expected, rtol=1e-12)
    np.testing.assert_allclose(found.distance, np.linalg.norm(rows - mean, axis=1), rtol=1e-12)
    assert found.norm == pytest.approx(np.linalg.norm(mean), rel=1e-12)


def test_clusters_are_chains_of_cosines():
    angles = torch.tensor([0.0, 0.1, 0.2, 1.5, 1.55, 3.0])
    tensor = torch.stack([angles.cos(), angles.sin(), torch.zeros(6)], dim=1)
    ref = ref_of(tensor * torch.arange(1, 7)[:, None])
    # 0.1 apart is a cosine of .995: the ends of a chain are less alike than its links.
    assert embeddings.clusters(ref, range(6), 0.99).tolist() == [0, 0, 0, 1, 1, 2]
    assert embeddings.clusters(ref, [5, 3, 0, 4], 0.99).tolist() == [0, 1, 2, 1]
    assert embeddings.clusters(ref, range(6), 0.996).tolist() == [0, 1, 2, 3, 3, 4]


def test_tokens_that_share_one_vector_are_found():
    generator = torch.Generator().manual_seed(1)
    tensor = torch.randn(300, 24, generator=generator)
    unused = sorted(torch.randperm(300, generator=generator)[:40].tolist())
    shared = torch.randn(24, generator=generator) * 3
    tensor[unused] = shared + 0.02 * torch.randn(40, 24, generator=generator)
    found = nearest.nearest(ref_of(tensor))
    assert np.flatnonzero(found.second_cosine > 0.98).tolist() == unused


def test_cosines_of_all_pairs():
    tensor = table(23, 6)
    expected = cosine_matrix(tensor)
    np.fill_diagonal(expected, 1)
    found = embeddings.cosines(ref_of(tensor))
    assert found.step == 1
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    found = embeddings.cosines(ref_of(tensor), most=10)
    assert found.step == 3
    np.testing.assert_allclose(found.values, expected[::3, ::3], atol=1e-12)


def test_cosines_without_the_mean():
    tensor = table(23, 6)
    centred = tensor.double() - tensor.double().mean(dim=0)
    expected = cosine_matrix(centred)
    np.fill_diagonal(expected, 1)
    # The mean is that of all entries, also where only some are compared.
    for most, step in ((768, 1), (8, 3)):
        found = embeddings.cosines(ref_of(tensor), most=most, centred=True)
        np.testing.assert_allclose(found.values, expected[::step, ::step], atol=1e-12)


def test_what_is_no_table_is_refused():
    with pytest.raises(ValueError, match="fewer than two axes"):
        embeddings.norms(ref_of(torch.zeros(5)))
    with pytest.raises(ValueError, match="there is no axis 2"):
        embeddings.norms(ref_of(table()), axis=2)
    with pytest.raises(IndexError, match="there is no entry 61"):
        embeddings.neighbours_of(ref_of(table()), 61)
    with pytest.raises(ValueError, match="no measure"):
        embeddings.neighbours_of(ref_of(table()), 0, "taste")
    with pytest.raises(ValueError, match="no entries"):
        embeddings.against_mean(ref_of(table()), [])
    with pytest.raises(ValueError, match="too many to group"):
        embeddings.clusters(ref_of(torch.ones(1, 1).expand(5000, 2)), range(5000), 0.9)


def test_weights_are_not_changed():
    tensor = table()
    before = tensor.clone()
    nearest.nearest(ref_of(tensor))
    embeddings.cosines(ref_of(tensor), centred=True)
    embeddings.neighbours_of(ref_of(tensor), 1)
    assert torch.equal(tensor, before)
