"""Which rows of the tree are shown."""

from __future__ import annotations

import pytest

from weightwidget.outputs.rows import Row, choose_rows
from weightwidget.summary.tree import build_tree

BERT = ["embeddings.word.weight", "embeddings.norm.weight", "embeddings.norm.bias"] + [
    f"encoder.layer.{layer}.{part}" for layer in range(12) for part in ("q.weight", "q.bias", "k.weight", "k.bias")
]
EXPERTS = [f"model.layers.{k}.experts.{e}.weight" for k in range(30) for e in range(64)]


def tensors(rows: list[Row]) -> list[str]:
    return [row.path for row in rows if row.is_tensor]


def test_everything_is_shown_where_it_fits():
    rows = choose_rows(BERT, "", 500)
    assert tensors(rows) == BERT
    labels = [row.label for row in rows]
    assert labels[:4] == ["embeddings", "word.weight", "norm", "weight"]
    assert "encoder.layer" in labels  # a chain of modules is one row


def test_modules_open_level_by_level_while_they_fit():
    rows = choose_rows(BERT, "", 20)
    assert len(rows) <= 20
    assert [row.label for row in rows if row.depth == 0] == ["embeddings", "encoder.layer"]
    assert sum(row.depth == 1 and row.path.startswith("encoder") for row in rows) == 12


@pytest.mark.parametrize(
    "selected", [BERT[-1], EXPERTS[1000], "encoder.layer.7", "encoder", "embeddings.word", "t1500"]
)
@pytest.mark.parametrize("limit", [3, 10, 29])
def test_what_is_selected_is_there(selected: str, limit: int):
    names = BERT + EXPERTS + [f"t{k}" for k in range(3000)]
    rows = choose_rows(names, selected, limit)
    assert len(rows) <= limit
    assert sum(row.stands_for(selected) for row in rows) == 1


def test_rows_that_count_stand_for_the_others():
    rows = choose_rows([f"t{k}" for k in range(100)], "t50", 9)
    assert len(rows) == 9
    assert rows[0].left_out + rows[-1].left_out + len(tensors(rows)) == 100


def test_some_of_many_are_shown():
    rows = choose_rows(EXPERTS, "", 10)
    assert len(rows) == 10
    assert rows[-1].left_out == 30 - 8


@pytest.mark.parametrize(
    "names",
    [["", ".", "..", "a.", "a..b", ".a.b", "a"], ["a", "a.b", "a.b.c"], [".".join(map(str, range(300))), "0.1.x"]],
)
def test_odd_names_follow_the_tree(names: list[str]):
    rows = choose_rows(names, names[0], 200)
    in_tree = [node.path for node in build_tree(names).walk() if node.kind == "tensor"]
    assert sorted(tensors(rows)) == sorted(in_tree)
