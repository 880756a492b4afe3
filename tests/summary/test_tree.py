"""The layer tree: the cases that the front end reads too, and properties of any set of names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightwidget.summary.tree import MAX_DEPTH, Node, ancestors, build_tree, members

CASES = json.loads((Path(__file__).parents[1] / "protocol" / "tree.json").read_text("utf-8"))
NAMES = st.lists(st.text(alphabet="ab01.é", max_size=12), unique=True, max_size=30)


def as_json(node: Node) -> dict[str, Any]:
    if node.kind == "tensor":
        return {"path": node.path, "label": node.label, "kind": "tensor"}
    out: dict[str, Any] = {
        "path": node.path,
        "label": node.label,
        "children": [as_json(child) for child in node.children],
    }
    if node.groups:
        out["groups"] = [list(run) for run in node.groups]
    return out


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_shared_case(case: dict[str, Any]) -> None:
    tree = build_tree(case["names"], case.get("shapes"), case.get("kinds"))
    assert as_json(tree) == case["tree"]


@given(NAMES)
def test_every_tensor_is_in_the_tree_once_below_its_ancestors(names: list[str]) -> None:
    root = build_tree(names)
    found = [node.path for node in root.walk() if node.kind == "tensor"]
    assert sorted(found) == sorted(names)
    for node in root.walk():
        for child in node.children:
            assert node.path in ancestors(child.path)
            full = f"{node.path}.{child.label}" if node.path else child.label
            assert full == child.path


@given(NAMES)
def test_no_row_but_the_root_holds_only_one_module(names: list[str]) -> None:
    root = build_tree(names)
    for node in root.walk():
        if node is not root and len(node.children) == 1:
            assert node.children[0].kind == "tensor"


@given(NAMES)
def test_groups_are_disjoint_runs_of_numbers(names: list[str]) -> None:
    for node in build_tree(names).walk():
        last = 0
        for start, stop in node.groups:
            assert last <= start <= stop - 3
            assert stop <= len(node.children)
            assert all(child.label.split(".")[0].isdigit() for child in node.children[start:stop])
            last = stop


def test_ancestors() -> None:
    assert ancestors("") == ("",)
    assert ancestors("weight") == ("",)
    assert ancestors("a.b.weight") == ("", "a", "a.b")
    assert ancestors(".a.b") == ("", ".a")
    assert ancestors("a..b") == ("", "a", "a.")


def test_depth_is_bounded() -> None:
    assert len(ancestors("." * 100_000)) == MAX_DEPTH
    assert len(list(build_tree(["x." * 100_000]).walk())) == 3


def test_members() -> None:
    assert members(["a.b.w", "c", "a.w"]) == {
        "": ["a.b.w", "c", "a.w"],
        "a": ["a.b.w", "a.w"],
        "a.b": ["a.b.w"],
    }
