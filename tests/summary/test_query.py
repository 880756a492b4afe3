"""The filter language: the cases that the front end reads too, and properties of any text and any names."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightwidget.summary.glob import compile_glob, fold
from weightwidget.summary.query import TensorTable, compile_query, quote, within_facets
from weightwidget.summary.table import STATISTICS
from weightwidget.summary.tree import ancestors

DATA = json.loads((Path(__file__).parents[1] / "protocol" / "query.json").read_text("utf-8"))

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
# fmt: off
WORDS = st.sampled_from([
    "std", "count", "foo", "name", "kind", "shape", "ndim", ">", "<=", "!=", ":", "..", "|", "-", "!",
    "[", "]", "*", "?", "0.1", "50%", "1M", "x", "8x*", "weight", '"', "\\", " ", "\t", "\0", "é",
    "\U0001f9e0", "İ", "Σ",
])
# fmt: on
QUERIES = ANY_TEXT | st.lists(WORDS, max_size=12).map("".join)


def table(names: list[str]) -> TensorTable:
    n = len(names)
    return TensorTable(names, [["Net"]] * n, ["weight"] * n, ["float32"] * n, [(2, 3)] * n, {"std": np.ones(n)})


@pytest.fixture(scope="module")
def shared() -> TensorTable:
    tensors = DATA["tensors"]
    return TensorTable(
        names=[tensor["name"] for tensor in tensors],
        kinds=[[DATA["modules"].get(path, "") for path in ancestors(tensor["name"])] for tensor in tensors],
        roles=[tensor["role"] for tensor in tensors],
        dtypes=[tensor["dtype"] for tensor in tensors],
        shapes=[tensor["shape"] for tensor in tensors],
        columns={
            key: np.array([np.nan if value is None else value for value in values], float)
            for key, values in DATA["columns"].items()
        },
    )


@pytest.mark.parametrize("case", DATA["cases"], ids=lambda case: f"{case['query']!r}"[:60])
def test_shared_case(case: dict[str, Any], shared: TensorTable) -> None:
    query = compile_query(case["query"])
    passes = query.matches(shared) & within_facets(shared, case.get("facets", {}))
    assert np.flatnonzero(passes).tolist() == case["passes"]
    assert query.error == case.get("error", "")


@given(QUERIES, st.lists(ANY_TEXT, max_size=5))
def test_never_raises(text: str, names: list[str]) -> None:
    query = compile_query(text)
    passes = query.matches(table(names))
    assert passes.dtype == bool
    assert passes.shape == (len(names),)


@given(ANY_TEXT)
def test_a_quoted_name_finds_its_tensor(name: str) -> None:
    for text in (quote(name), f"name:{quote(name)}" if name else '""'):
        query = compile_query(text)
        assert query.error == ""
        assert query.matches(table([name])).all()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10), ANY_TEXT)
def test_quoted_text_is_literal(part: str, name: str) -> None:
    found = compile_query(quote(part)).matches(table([name])).item()
    assert found == (fold(part) in fold(name))


@given(QUERIES, st.lists(ANY_TEXT, max_size=5))
def test_terms_are_joined_by_and(text: str, names: list[str]) -> None:
    query = compile_query(text)
    if '"' in text or query.error:
        return
    both = compile_query(f"{text} net")
    expected = query.matches(table(names)) & compile_query("net").matches(table(names))
    assert np.array_equal(both.matches(table(names)), expected)


@given(st.text("ab[]!-*?.", max_size=10), st.text("ab[]!-.\n", max_size=12))
def test_globs_are_those_of_fnmatch(pattern: str, name: str) -> None:
    glob = compile_glob(pattern, pattern, whole=True)
    if "--" in pattern or pattern.count("-") > 1:
        return  # fnmatch reads several dashes in one class in a way of its own
    assert glob.matches(name) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.timeout(60)  # going back and forth would take longer than the universe is old
def test_no_pattern_takes_forever() -> None:
    assert not compile_query("*a" * 40 + "*b").matches(table(["a" * 3000])).any()


def test_unknown_statistics_fail_every_comparison_but_unequal() -> None:
    tensors = TensorTable(["w"], [[]], ["weight"], ["float32"], [(2,)], {"std": np.array([np.nan])})
    for operator in ("<", "<=", ">", ">=", "="):
        assert not compile_query(f"std{operator}0").matches(tensors).any()
    assert compile_query("std!=0").matches(tensors).all()
    assert not within_facets(tensors, {"std": (-np.inf, np.inf)}).any()


def test_every_statistic_can_be_asked_for() -> None:
    for key in STATISTICS:
        assert compile_query(f"{key}>0 {key}:0..1").error == ""


def test_float32_columns_agree_with_float64_ones() -> None:
    values = np.random.default_rng(0).normal(size=200)
    wide = TensorTable([""] * 200, [[]] * 200, [""] * 200, [""] * 200, [()] * 200, {"std": values})
    narrow = TensorTable([""] * 200, [[]] * 200, [""] * 200, [""] * 200, [()] * 200, {"std": np.float32(values)})
    for value in values:
        for operator in ("<", "<=", ">", ">=", "=", "!="):
            query = compile_query(f"std{operator}{value!r}")
            assert np.array_equal(query.matches(wide), query.matches(narrow))
        facet = {"std": (float(value), float(np.float32(value)) + 0.5)}
        assert np.array_equal(within_facets(wide, facet), within_facets(narrow, facet))
