"""Parts of tensors: every element of the part once, and none of the rest read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detail.test_matrix import as_matrix, drawings, reference
from weightwidget.detail.histogram import count, histogram
from weightwidget.detail.region import Region
from weightwidget.sources.base import TensorRef


@given(data=st.data(), drawing=drawings())
@settings(deadline=None)
def test_counts_agree_with_numpy(data: st.DataObject, drawing: Any) -> None:
    shape, axes, index = drawing
    values = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    matrix = as_matrix(values.numpy(), axes, index)
    row, col = (data.draw(st.integers(0, size - 1)) for size in matrix.shape)
    row_end = data.draw(st.integers(row + 1, matrix.shape[0]))
    col_end = data.draw(st.integers(col + 1, matrix.shape[1]))
    part = matrix[row:row_end, col:col_end].astype(np.float64)
    region = Region(reference(values), axes, index, (row, row_end), (col, col_end))
    assert region.numel == part.size
    found = histogram(region, 7, "value", (-1, 1))
    np.testing.assert_array_equal(found.counts, np.histogram(part, 7, (-1, 1))[0])
    assert count(region, (-0.5, 2)) == (((part >= -0.5) & (part <= 2)).sum(), part.size)


@pytest.mark.parametrize("axes", [{"rows": [0], "cols": [1]}, {"rows": [1], "cols": [0]}])
def test_only_the_region_is_read(axes: dict[str, list[int]]) -> None:
    values, read = torch.randn(3000, 2000), []

    def reader(index: Any) -> torch.Tensor:
        part = values[index]
        read.append(part.numel())
        return part

    ref = TensorRef("w", (3000, 2000), "float32", "weight", reader)
    region = Region(ref, axes, [0, 0], (100, 101), (0, 1500))
    histogram(region, 10, "magnitude", (-3, 1))
    assert sum(read) == region.numel == 1500


def test_a_region_of_a_complex_tensor_is_refused() -> None:
    with pytest.raises(ValueError, match="complex"):
        Region(reference(torch.zeros(3, 4, dtype=torch.complex64)), None, None, (0, 1), (0, 1))
