"""Records of blocks as they are sent: equal to what NumPy finds in the slice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.axes import Axes, equal_split, numbered
from weightwidget.anatomy.blocks import Blocks
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import AttentionLayer, HeadBlocks
from weightwidget.sources import open_weights
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.summarize import summarize
from weightwidget.summary.table import STATISTICS
from weightwidget.wire.answers.base import Job
from weightwidget.wire.handlers import answer


def heads_of(tensor: str) -> HeadBlocks:
    return HeadBlocks(tensor, 0, 0, 4, 4, 3)


class Weights:
    """A model with gates, experts and an attention layer."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(8)
        shapes = {"lstm.w": (36, 70), "moe.w": (6, 9, 11), "attn.q": (12, 5), "attn.k": (12, 5), "odd": (4, 6)}
        self.tensors = {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}
        self.tensors["odd"][1, 2], self.tensors["odd"][1, 3], self.tensors["odd"][0, 0] = torch.nan, -torch.inf, 0
        self.tensors["unread"] = torch.empty(4, 2, device="meta")
        self.source = open_weights(self.tensors)
        self.summary = summarize(self.source)
        halves = equal_split(0, "half", ("a", "b"), 4)
        self.anatomy = Anatomy(self.source)
        self.anatomy._found = Found(
            axes={
                "lstm.w": Axes(("(gate hidden)", "in"), splits=(equal_split(0, "gate", ("i", "f", "g", "o"), 36),)),
                "moe.w": Axes(("expert", "out", "in"), splits=(equal_split(0, "expert", numbered("expert", 6), 6),)),
                "odd": Axes(("out", "in"), splits=(halves,)),
                "unread": Axes(("out", "in"), splits=(halves,)),
            },
            attention=[
                AttentionLayer(
                    "attn",
                    3,
                    3,
                    4,
                    HeadBlocks("attn.q", 0, 0, 4, 4, 3),
                    HeadBlocks("attn.k", 0, 0, 4, 4, 3),
                    None,
                    None,
                )
            ],
        )
        self.blocks = Blocks(self.source, self.anatomy)

    def ref(self, path: str) -> Any:
        return self.source.tensors.get(path) or self.blocks.ref(path)

    def record(self, path: str) -> Any:
        return self.summary.tensors.get(path) or self.summary.modules.get(path) or self.blocks.record(path)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights()


def ask(weights: Weights, *paths: str, **more: Any) -> tuple[dict[str, Any], list[bytes], dict[str, dict[str, float]]]:
    reply, buffers = answer(weights, {"kind": "records", "paths": list(paths), **more})
    table = np.frombuffer(buffers[0], "<f8").reshape(len(paths), len(reply["columns"]))
    rows = {
        path: dict(zip(reply["columns"], row.tolist(), strict=True)) for path, row in zip(paths, table, strict=True)
    }
    return reply, buffers, rows


def test_the_statistics_are_those_of_the_slice(weights):
    slices = {
        "lstm.w › f": weights.tensors["lstm.w"][9:18],
        "moe.w › expert 4": weights.tensors["moe.w"][4],
        "attn › head 2 › key": weights.tensors["attn.k"][8:12],
        "lstm.w": weights.tensors["lstm.w"],
    }
    reply, buffers, rows = ask(weights, *slices)
    assert len(buffers) == 1
    assert set(STATISTICS) < set(reply["columns"])
    assert reply["shapes"] == [list(one.shape) for one in slices.values()]
    assert reply["errors"] == {}
    for path, part in slices.items():
        values = part.double().numpy().ravel()
        found = rows[path]
        expected = {
            "count": values.size,
            "bytes": 4 * values.size,
            "mean": values.mean(),
            "std": values.std(),
            "min": values.min(),
            "max": values.max(),
            "absmax": np.abs(values).max(),
            "rms": np.sqrt((values**2).mean()),
            "l1": np.abs(values).sum(),
            "l2": np.linalg.norm(values),
            "skewness": scipy.stats.skew(values),
            "kurtosis": scipy.stats.kurtosis(values),
            "sparsity": 0,
            "zeros": 0,
            "nan": 0,
            "inf": 0,
            "argmin": values.argmin(),
            "argmax": values.argmax(),
        }
        for key, value in expected.items():
            assert found[key] == pytest.approx(value, rel=2e-6, abs=1e-8), (path, key)
        assert found["median"] == pytest.approx(np.median(values), rel=0.01, abs=0.01)


def test_what_is_not_finite_is_counted_apart(weights):
    _, _, rows = ask(weights, "odd › a", "odd › b")
    assert {key: rows["odd › a"][key] for key in ("count", "nan", "neginf", "inf", "zeros")} == {
        "count": 12,
        "nan": 1,
        "neginf": 1,
        "inf": 1,
        "zeros": 1,
    }
    assert rows["odd › b"]["nan"] == 0
    finite = weights.tensors["odd"][:2][weights.tensors["odd"][:2].isfinite()].double()
    assert rows["odd › a"]["mean"] == pytest.approx(finite.mean().item(), rel=1e-6)


def test_a_head_is_told_with_its_projections_together(weights):
    reply, _, rows = ask(weights, "attn › head 1")
    both = torch.cat([weights.tensors[name][4:8].flatten() for name in ("attn.q", "attn.k")]).double()
    assert reply["shapes"] == [[]]
    assert rows["attn › head 1"]["count"] == 40
    assert rows["attn › head 1"]["std"] == pytest.approx(both.std(correction=0).item(), rel=1e-6)
    assert np.isnan(rows["attn › head 1"]["argmax"])


def test_each_path_has_its_own_error(weights):
    reply, buffers, rows = ask(weights, "lstm.w › f", "lstm.w › x", "nothing", "unread › a", detail="all")
    assert set(reply["errors"]) == {"1", "2", "3"}
    assert "no block 'lstm.w › x'" in reply["errors"]["1"]
    assert "not summarised yet" in reply["errors"]["2"]
    assert "meta device" in reply["errors"]["3"]
    assert np.isnan(list(rows["lstm.w › x"].values())).all()
    assert rows["lstm.w › f"]["count"] == 630
    assert np.isnan(np.frombuffer(buffers[1], "<f8").reshape(4, -1)[1:, reply["bins"] :]).all()
    assert reply["thumbnails"][1:] == [[0, 0]] * 3


def test_histograms_hold_every_weight(weights):
    paths = ["lstm.w › i", "moe.w › expert 0", "odd › a", "attn › head 0"]
    reply, buffers, rows = ask(weights, *paths, detail="histograms")
    assert len(buffers) == 3
    for buffer, bins, scale in ((buffers[1], reply["bins"], "value"), (buffers[2], reply["log_bins"], "magnitude")):
        table = np.frombuffer(buffer, "<f8").reshape(len(paths), bins + 4)
        for path, row in zip(paths, table, strict=True):
            found = rows[path]
            finite = found["count"] - found["nan"] - found["inf"]
            expected = finite if scale == "value" else finite - found["zeros"]
            assert row[:bins].sum() + row[bins + 2 :].sum() == pytest.approx(expected), (path, scale)
            assert row[bins] < row[bins + 1]
    part = weights.tensors["moe.w"][0].double().numpy()
    row = np.frombuffer(buffers[1], "<f8").reshape(len(paths), -1)[1]
    low, high = row[reply["bins"] : reply["bins"] + 2]
    np.testing.assert_allclose(row[: reply["bins"]], np.histogram(part, reply["bins"], (low, high))[0], atol=1e-9)


def test_pictures_and_norms_are_those_of_the_block(weights):
    reply, buffers, _ = ask(weights, "moe.w › expert 2", "attn › head 1", "lstm.w › o", detail="all")
    assert reply["thumbnails"] == [[9, 11], [0, 0], [9, 64]]
    assert reply["profiles"] == [[9, 11], [0, 0], [9, 70]]
    cells, norms = (np.frombuffer(buffer, "<f4") for buffer in buffers[3:])
    expert, gate = weights.tensors["moe.w"][2], weights.tensors["lstm.w"][27:]
    np.testing.assert_array_equal(cells[:99].reshape(9, 11), expert.numpy())
    np.testing.assert_allclose(norms[:9], expert.double().norm(dim=1).numpy(), rtol=1e-6)
    np.testing.assert_allclose(norms[9:20], expert.double().norm(dim=0).numpy(), rtol=1e-6)
    np.testing.assert_allclose(norms[20:29], gate.double().norm(dim=1).numpy(), rtol=1e-6)
    np.testing.assert_allclose(norms[29:], gate.double().norm(dim=0).numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "lacks the field 'paths'"),
        ({"paths": "lstm.w"}, "takes a list"),
        ({"paths": ["a"] * 2000}, "at most"),
        ({"paths": ["lstm.w"], "detail": "some"}, "numbers, histograms, all"),
    ],
)
def test_wrong_requests_are_refused(weights, request_, message):
    with pytest.raises(ValueError, match=message):
        answer(weights, {"kind": "records", **request_})


def test_nothing_asked_for_is_answered(weights):
    reply, buffers, rows = ask(weights, detail="all")
    assert reply["shapes"] == []
    assert [len(buffer) for buffer in buffers] == [0] * 5
    assert rows == {}


def test_withdrawn_requests_end(weights):
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    paths = [f"moe.w › expert {expert}" for expert in range(6)]
    with pytest.raises(Cancelled):
        answer(weights, {"kind": "records", "paths": paths}, Job(cancelled))
    assert asked == 3
