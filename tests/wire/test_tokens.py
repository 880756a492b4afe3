"""The requests of the view of tokens, answered by a real explorer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from weightwidget import WeightExplorer
from weightwidget.wire.handlers import HANDLERS, SLOW, answer


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(40, 12, padding_idx=2)
        self.positions = nn.Embedding(9, 12)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return Model()


@pytest.fixture
def explorer(model: Model) -> Iterator[WeightExplorer]:
    explorer = WeightExplorer(model, tokenizer=[f"tok{number}" for number in range(40)]).wait()
    yield explorer
    explorer.close()


def ask(explorer: WeightExplorer, kind: str, tensor: str = "tokens.weight", **fields):
    reply, buffers = answer(explorer, {"id": "1", "kind": kind, "tensor": tensor, "axis": 0, **fields})
    json.dumps(reply, allow_nan=False)
    return reply, buffers


def test_norms_and_strings(explorer, model):
    reply, (norms,) = ask(explorer, "tokens.norms")
    expected = model.tokens.weight.detach().double().norm(dim=1).numpy()
    np.testing.assert_allclose(np.frombuffer(norms, np.float32), expected, rtol=1e-6)
    assert reply == {
        "kind": "tokens.norms",
        "count": 40,
        "size": 12,
        "strings": "the list given",
        "known": 40,
        "problem": "",
    }


def test_the_map_of_neighbours(explorer, model):
    assert "tokens.map" in SLOW
    reply, buffers = ask(explorer, "tokens.map")
    entries, nearest, cosine, second, second_cosine = (
        np.frombuffer(buffer, dtype) for buffer, dtype in zip(buffers, ["i4", "i4", "f4", "i4", "f4"], strict=True)
    )
    assert entries.tolist() == list(range(40))
    assert reply["search_error"] == 0
    units = nn.functional.normalize(model.tokens.weight.detach().double(), dim=1)
    all_cosines = (units @ units.T).fill_diagonal_(-2)
    best, which = all_cosines.topk(2, dim=1)
    known = np.arange(40) != 2
    np.testing.assert_allclose(cosine[known], best[known, 0], atol=1e-6)
    np.testing.assert_allclose(second_cosine[known], best[known, 1], atol=1e-6)
    assert nearest[known].tolist() == which[known, 0].tolist()
    # The padding row is zero: it has no direction.
    assert (nearest[2], second[2], np.isnan(cosine[2])) == (-1, -1, True)
    _, buffers = ask(explorer, "tokens.map", limit=10)
    assert len(np.frombuffer(buffers[0], "i4")) == 10


def test_the_nearest_tokens_of_one(explorer, model):
    reply, (values,) = ask(explorer, "tokens.near", entry=7, measure="dot", count=3)
    dots = (model.tokens.weight @ model.tokens.weight[7]).detach().double()
    dots[7] = -torch.inf
    best = dots.topk(3)
    assert reply["entries"] == best.indices.tolist()
    assert reply["texts"] == [f"tok{entry}" for entry in reply["entries"]]
    np.testing.assert_allclose(np.frombuffer(values, np.float64), best.values, rtol=1e-5)


def test_strings_and_finding(explorer):
    assert ask(explorer, "tokens.texts", entries=[3, 39])[0]["texts"] == ["tok3", "tok39"]
    reply, _ = ask(explorer, "tokens.find", text="tok1", limit=3)
    assert reply["entries"] == [1, 10, 11]
    assert reply["total"] == 11
    # A number is an entry, too.
    assert ask(explorer, "tokens.find", text="#17", limit=3)[0]["entries"] == [17]
    assert ask(explorer, "tokens.find", text="7", limit=2)[0]["entries"] == [7, 17]
    with pytest.raises(ValueError, match="2,000"):
        ask(explorer, "tokens.texts", entries=[0] * 2001)
    with pytest.raises(IndexError, match="no entry 40"):
        ask(explorer, "tokens.texts", entries=[40])


def test_against_known_unused_tokens(explorer, model):
    _, (entries, cosine, distance) = ask(explorer, "tokens.reference", text="tok3?, 5")
    assert np.frombuffer(entries, "i4").tolist() == [5, *range(30, 40)]
    vectors = model.tokens.weight.detach().double()
    mean = vectors[[5, *range(30, 40)]].mean(dim=0)
    np.testing.assert_allclose(np.frombuffer(distance, "f4"), (vectors - mean).norm(dim=1), rtol=1e-6)
    found = np.frombuffer(cosine, "f4")
    assert np.isnan(found[2])
    assert found[5] == pytest.approx(float(torch.cosine_similarity(vectors[5], mean, dim=0)), abs=1e-6)


def test_clusters_and_cosines(explorer, model):
    with torch.no_grad():
        model.tokens.weight[[4, 9, 30]] = model.tokens.weight[4] * torch.tensor([[1.0], [2.0], [3.0]])
    assert ask(explorer, "tokens.groups", entries=[3, 4, 9, 30], threshold=0.99)[0]["groups"] == [0, 1, 1, 1]
    reply, (values,) = ask(explorer, "tokens.cosines", "positions.weight", centred=False)
    assert (reply["size"], reply["step"]) == (9, 1)
    units = nn.functional.normalize(model.positions.weight.detach().double(), dim=1)
    np.testing.assert_allclose(np.frombuffer(values, "f4").reshape(9, 9), units @ units.T, atol=1e-6)


def test_strings_that_are_for_another_table(model):
    explorer = WeightExplorer(model, tokenizer=[str(number) for number in range(5000)]).wait()
    reply, _ = ask(explorer, "tokens.norms")
    assert reply["strings"] == ""
    assert "5,000 strings" in reply["problem"]
    assert ask(explorer, "tokens.texts", entries=[1])[0]["texts"] == [""]
    explorer.close()


def test_a_tokenizer_can_be_given_later(model):
    explorer = WeightExplorer(model).wait()
    assert explorer.tokenizer is None
    assert ask(explorer, "tokens.norms")[0]["strings"] == ""
    version = explorer._strings_version
    explorer.tokenizer = {"cat": 0}
    assert explorer.tokenizer == {"cat": 0}
    assert explorer._strings_version == version + 1
    assert ask(explorer, "tokens.texts", entries=[0, 1])[0]["texts"] == ["cat", ""]
    with pytest.raises(TypeError, match="no tokenizer"):
        explorer.tokenizer = object()
    assert explorer.tokenizer == {"cat": 0}
    explorer.close()


def test_what_is_wrong_is_told(explorer):
    for kind in (kind for kind in HANDLERS if kind.startswith("tokens.")):
        with pytest.raises(KeyError, match="there is no tensor"):
            answer(explorer, {"id": "1", "kind": kind, "tensor": "nowhere", "axis": 0})
        with pytest.raises(ValueError, match="lacks the field"):
            answer(explorer, {"id": "1", "kind": kind, "tensor": "tokens.weight"})
