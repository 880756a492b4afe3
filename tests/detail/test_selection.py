"""The brushed weights: which, where, and in the stored type."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from weightwidget.detail.selection import select
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled


@given(
    array=arrays(np.float32, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)),
    ends=st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)).map(sorted),
)
@settings(max_examples=300, deadline=None)
def test_agrees_with_numpy(array: np.ndarray, ends: list[float]) -> None:
    low, high = ends
    chosen = (array.astype(np.float64) >= low) & (array.astype(np.float64) <= high)
    found = select(torch.from_numpy(array), (low, high))
    np.testing.assert_array_equal(found.indices.numpy(), np.argwhere(chosen))
    np.testing.assert_array_equal(found.values.numpy(), array[chosen])


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.int64, torch.uint8, torch.bool],
    ids=str,
)
def test_values_keep_their_type(dtype: torch.dtype) -> None:
    weights = torch.tensor([[0, 1, 2], [1, 0, 4]]).to(dtype)
    found = select(weights, (1.0, 2.0))
    assert found.values.dtype == dtype
    expected = [[0, 1], [0, 2], [1, 0]] if dtype is not torch.bool else [[0, 1], [0, 2], [1, 0], [1, 2]]
    assert found.indices.tolist() == expected
    assert torch.equal(weights[tuple(found.indices.T)].float(), found.values.float())


def test_a_view_that_is_not_contiguous() -> None:
    base = torch.randn(40, 60)
    weights = base[::3, 5:50].T
    indices, values = select(weights, (0.5, math.inf))
    assert torch.equal(indices, (weights >= 0.5).nonzero())
    assert torch.equal(values, weights[weights >= 0.5])


def test_larger_than_a_span(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = torch.zeros(1700, 1300)
    weights[99, 856] = 7.9148
    weights[1699, 1299] = 5
    indices, values = select(weights, (5, 8))
    assert indices.tolist() == [[99, 856], [1699, 1299]]
    assert values.tolist() == weights[tuple(indices.T)].tolist()


def test_a_limit_keeps_the_first_in_row_major_order() -> None:
    weights = torch.arange(12.0).reshape(3, 4)
    assert select(weights, (2, 9), limit=3).values.tolist() == [2, 3, 4]
    assert select(weights, (2, 9), limit=0).indices.shape == (0, 2)


def test_nan_is_never_selected_and_infinities_are_where_the_range_says() -> None:
    weights = torch.tensor([math.nan, -math.inf, 0.0, math.inf])
    assert select(weights, (-math.inf, math.inf)).indices.tolist() == [[1], [2], [3]]
    assert select(weights, (-1e308, 1e308)).indices.tolist() == [[2]]


def test_a_reference_to_a_file() -> None:
    base = torch.randn(13, 7, 5)
    ref = TensorRef("w", (13, 7, 5), "float32", "weight", reader=lambda index: base[index], device="file")
    assert torch.equal(select(ref, (0, 1)).indices, ((base >= 0) & (base <= 1)).nonzero())


def test_nothing_is_written_to() -> None:
    weights = torch.nn.Parameter(torch.randn(50, 3))
    before, version = weights.detach().clone(), weights._version
    values = select(weights, (-1, 1)).values
    values.zero_()
    assert torch.equal(weights.detach(), before)
    assert weights._version == version
    assert weights.requires_grad
    assert not values.requires_grad


def test_errors() -> None:
    with pytest.raises(ValueError, match="upside down"):
        select(torch.ones(3), (1, 0))
    with pytest.raises(ValueError, match="limit"):
        select(torch.ones(3), (0, 1), limit=-1)
    with pytest.raises(TypeError, match="complex"):
        select(torch.ones(3, dtype=torch.complex64), (0, 1))
    with pytest.raises(Cancelled):
        select(torch.ones(3), (0, 1), cancelled=lambda: True)
