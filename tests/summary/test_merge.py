"""Merging: neither order nor grouping makes a difference, for tensors and for models."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, reduce

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.summary.stub import ref_of, source_of
from weightwidget.sources.base import ModuleInfo
from weightwidget.summary.kernel import summarize_tensor
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.moments import Moments
from weightwidget.summary.record import TensorSummary, merge_records
from weightwidget.summary.sketch import SMALL, Sketch
from weightwidget.summary.summarize import summarize

EXACT = ("count", "nbytes", "nan", "posinf", "neginf", "zeros", "dtype", "finite", "error", "shape", "role", "argmin")
LARGE = (90, 71)
"""Shape of a tensor whose values go into bins."""


def spoiled(weights: torch.Tensor) -> torch.Tensor:
    flat = weights.view(-1)
    flat[::7], flat[1::11], flat[2::13], flat[3::5] = math.nan, math.inf, -math.inf, 0.0
    return weights


MAKERS: dict[str, Callable[[torch.Generator], torch.Tensor]] = {
    "normal": lambda g: torch.randn(LARGE, generator=g),
    "shifted": lambda g: torch.randn(LARGE, generator=g) * 0.01 + 10,
    "shifted the other way": lambda g: torch.randn(LARGE, generator=g) * 0.25 - 3,
    "lognormal": lambda g: torch.randn(LARGE, generator=g).exp(),
    "spoiled": lambda g: spoiled(torch.randn(LARGE, generator=g)),
    "double": lambda g: torch.randn(LARGE, generator=g, dtype=torch.float64),
    "huge": lambda g: torch.randn(LARGE, generator=g, dtype=torch.float64) * 1e200,
    "tiny": lambda g: torch.randn(LARGE, generator=g, dtype=torch.float64) * 1e-150,
    "constant": lambda g: torch.full((3, 5), 0.1),
    "large constant": lambda g: torch.full(LARGE, -2.5),
    "huge constant": lambda g: torch.full((4, 3), 1e250, dtype=torch.float64),
    "tiny constant": lambda g: torch.full((4, 3), -1e-250, dtype=torch.float64),
    "zeros": lambda g: torch.zeros(5, 4),
    "minus zeros": lambda g: -torch.zeros(5, 4),
    "small": lambda g: torch.randn((40, 30), generator=g),
    "as many as are kept": lambda g: torch.randn(SMALL, generator=g),
    "small and spoiled": lambda g: spoiled(torch.randn((40, 3), generator=g)),
    "small double": lambda g: torch.randn((41, 3), generator=g, dtype=torch.float64) * 1e-45,
    "bfloat16": lambda g: torch.randn(LARGE, generator=g).bfloat16(),
    "half": lambda g: torch.randn(LARGE, generator=g).half(),
    "int8": lambda g: torch.randint(-128, 128, LARGE, generator=g, dtype=torch.int8),
    "int16": lambda g: torch.randint(-(2**15), 2**15, (300, 400), generator=g, dtype=torch.int16),
    "nothing finite": lambda g: torch.full((2, 3), math.nan),
    "no elements": lambda g: torch.empty(0, 3),
}


@cache
def record(kind: str, seed: int) -> TensorSummary:
    return summarize_tensor(ref_of(MAKERS[kind](torch.Generator().manual_seed(seed)), kind))


def other_records() -> dict[str, TensorSummary]:
    return {
        "nothing": TensorSummary(""),
        "not read": TensorSummary("w", (3, 4), "float32", count=12, error="the disk is gone"),
        "a module": merge_records([record("small", 0), record("half", 0)], "block", "Block"),
    }


records = st.one_of(
    st.builds(record, st.sampled_from(sorted(MAKERS)), st.integers(0, 1)),
    st.sampled_from(["nothing", "not read", "a module"]).map(lambda key: other_records()[key]),
)


def sketch_content(sketch: Sketch) -> object:
    parts = [
        (p.exact, p.shift, p.scale, p.narrow, p.keys.astype(np.float64).tolist(), p.counts.tolist())
        for p in sketch.components
    ]
    return parts, repr(sketch.low), repr(sketch.high)


def assert_same(a: TensorSummary, b: TensorSummary) -> None:
    """Counts, extremes and sketch to the last bit, moments to their last digits."""
    for key in EXACT:
        assert getattr(a, key) == getattr(b, key), key
    assert (repr(a.min), repr(a.max)) == (repr(b.min), repr(b.max))
    assert sketch_content(a.sketch) == sketch_content(b.sketch)
    if a.finite == 0:
        return
    # What a sum of deviations can be off by: in proportion to the spread, and to the size of what is summed.
    assert a.mean == pytest.approx(b.mean, rel=1e-12, abs=1e-12 * a.rms)
    assert a.std == pytest.approx(b.std, rel=1e-12, abs=1e-12 * min(abs(a.mean), 1e-3 * a.rms))
    assert a.rms == pytest.approx(b.rms, rel=1e-12)
    assert a.l1 == pytest.approx(b.l1, rel=1e-12)
    assert a.skewness == pytest.approx(b.skewness, rel=1e-12, abs=1e-10, nan_ok=True)
    assert a.kurtosis == pytest.approx(b.kurtosis, rel=1e-12, abs=1e-10, nan_ok=True)


@settings(deadline=None, max_examples=150)
@given(records, records, records)
def test_tensors_merge_in_any_order_and_grouping(a: TensorSummary, b: TensorSummary, c: TensorSummary) -> None:
    together = merge_records([a, b, c])
    assert_same(a.merge(b).merge(c), together)
    assert_same(a.merge(b.merge(c)), together)
    assert_same(c.merge(a, b), together)
    assert_same(b.merge(a), a.merge(b))
    # Several at once, in any order, are the same to the last bit.
    assert c.merge(b, a).moments == together.moments


@settings(deadline=None, max_examples=40)
@given(st.lists(records, min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_many_tensors_merge_in_any_tree(parts: list[TensorSummary], random) -> None:
    together = merge_records(parts)
    while len(parts) > 1:
        random.shuffle(parts)
        size = random.randint(2, len(parts))
        parts = [merge_records(parts[:size]), *parts[size:]]
    assert_same(merge_records(parts), together)


@settings(deadline=None, max_examples=40)
@given(records)
def test_a_record_of_nothing_is_neutral(a: TensorSummary) -> None:
    alone = a.merge()
    for merged in (a.merge(TensorSummary("")), TensorSummary("x").merge(a), merge_records([TensorSummary(""), a])):
        assert_same(merged, alone)
        assert merged.moments == alone.moments
    for key in ("count", "nan", "zeros", "dtype", "finite") if not a.error else ():
        assert getattr(alone, key) == getattr(a, key)


def test_what_a_merged_record_is_called_and_keeps() -> None:
    merged = record("small", 0).merge(record("bfloat16", 0), name="block", kind="Block")
    assert (merged.name, merged.kind, merged.role, merged.shape) == ("block", "Block", "", ())
    assert merged.dtype == "mixed"
    assert merged.merge(record("small", 1)).dtype == "mixed"
    assert record("small", 0).merge(record("normal", 0)).dtype == "float32"
    assert (merged.argmin, merged.argmax, merged.row_norms, merged.thumbnail) == (None, None, None, None)
    assert merged.error == ""
    assert other_records()["not read"].merge().count == 0


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_constants_beyond_the_fourth_powers_of_float64(size: float) -> None:
    both = Moments.of_value(size, 3) + Moments.of_value(3 * size, 5)
    expected = Moments.from_values(np.array([1.0] * 3 + [3.0] * 5))
    assert both.std / size == pytest.approx(expected.std, rel=1e-12)
    assert both.kurtosis == pytest.approx(expected.kurtosis, rel=1e-12)
    assert (Moments.of_value(0.0, 4) + Moments.of_value(size, 4)).std / size == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("size", [1e-300, 1e-45, 1e45, 1e300])
def test_bins_of_values_beyond_float32_keep_their_bound(size: float) -> None:
    values = np.random.default_rng(0).normal(size=SMALL) * size
    halves = [Sketch.of_values(values), Sketch.of_values(values * 1.5)]
    merged = Sketch.merge(halves)
    assert not merged.exact
    shares = np.linspace(0.01, 0.99, 33)
    expected = np.quantile(np.concatenate([values, values * 1.5]) / size, shares)
    assert merged.quantile(shares) / size == pytest.approx(expected, rel=2 * merged.relative_error, abs=1e-3)


# -- models -----------------------------------------------------------------------------------------------------------


def part(name: str, **tensors: torch.Tensor) -> ModelSummary:
    summary = summarize(source_of(**tensors))
    return ModelSummary(name, summary.tensors, {"": ModuleInfo("", name), "a": ModuleInfo("a", "")})


def three_parts() -> list[ModelSummary]:
    generator = torch.Generator().manual_seed(0)
    return [
        part("one", a__w=torch.randn(50, 3, generator=generator), b__w=torch.randn(4, generator=generator)),
        part("two", b__x=torch.randn(40, 120, generator=generator), c__w=torch.ones(2, 5)),
        part("three", a__x=torch.randn(61, 90, generator=generator) + 5),
    ]


def assert_same_model(a: ModelSummary, b: ModelSummary) -> None:
    """As mappings: the same records and modules by name."""
    assert set(a) == set(b)
    assert all(a[name] is b[name] for name in a)
    assert a.infos == b.infos
    assert set(a.modules) == set(b.modules)
    for path, record in a.modules.items():
        assert_same(record, b.modules[path])
        assert record.moments == b.modules[path].moments, "module totals come out the same to the last bit"


@settings(deadline=None, max_examples=12)
@given(st.permutations(range(3)))
def test_models_merge_in_any_order_and_grouping(order: list[int]) -> None:
    parts = three_parts()
    together = parts[0].merge(*parts[1:])
    assert list(together) == ["a.w", "b.w", "b.x", "c.w", "a.x"]
    a, b, c = (parts[place] for place in order)
    left, right = a.merge(b).merge(c), a.merge(b.merge(c))
    assert list(left) == list(right) == list(a.merge(b, c))
    assert left.name == right.name == a.name
    for merged in (left, right, reduce(ModelSummary.merge, [c, b, a])):
        assert_same_model(merged, together)
    assert_same_model(ModelSummary("", {}).merge(together), together)
    assert ModelSummary("", {}).merge(together).name == "one"


def test_a_tensor_that_was_summarised_twice_is_refused() -> None:
    one = part("one", a__w=torch.randn(5, 3))
    with pytest.raises(ValueError, match=r"'a\.w' was summarised in two of the parts and would count twice"):
        one.merge(part("two", a__w=torch.randn(5, 3)))
    with pytest.raises(ValueError, match="count twice"):
        one.merge(one)


def test_what_one_part_could_not_read_another_may_know() -> None:
    good = part("good", w=torch.randn(5, 3), v=torch.randn(7))
    bad = TensorSummary("w", (5, 3), "float32", count=15, error="no such device")
    worse = replace(bad, error="a worse error")
    first, second = ModelSummary("first", {"w": bad}), ModelSummary("second", {"w": worse})
    for merged in (first.merge(good, second), second.merge(first.merge(good)), good.merge(second, first)):
        assert merged["w"] is good["w"]
        assert set(merged) == {"w", "v"}
    assert first.merge(second)["w"] is second.merge(first)["w"] is worse
    with pytest.raises(ValueError, match="count twice"):
        first.merge(good).merge(second.merge(good))


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(4)))
def test_classes_of_modules_that_differ(order: list[int]) -> None:
    infos = [
        ModuleInfo("m", "", {"groups": 2}),
        ModuleInfo("m", "Linear"),
        ModuleInfo("m", "Linear", {"in_features": 3}, ("Linear",), "torch"),
        ModuleInfo("m", "Wrapped", {"in_features": 3}),
    ]
    parts = [ModelSummary("p", {}, {"m": infos[place]}) for place in order]
    assert parts[0].merge(*parts[1:]).infos["m"] is infos[2]
    assert parts[0].merge(parts[1].merge(parts[2].merge(parts[3]))).infos["m"] is infos[2]
