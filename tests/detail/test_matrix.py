"""Any tensor as a matrix, against NumPy."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weightwidget.detail.boxes import boxes
from weightwidget.detail.matrix import BAND, Matrix, check_axes, check_window, default_axes, matrix_size
from weightwidget.sources.base import Index, TensorRef, dtype_name
from weightwidget.summary.cancel import Cancelled

CASES = json.loads((Path(__file__).parents[1] / "protocol" / "axes.json").read_text())


def reference(data: torch.Tensor, log: list[Any] | None = None, **more: Any) -> TensorRef:
    def read(index: Index) -> torch.Tensor:
        if log is not None:
            log.append(data[index].numel())
        return data[index]

    return TensorRef("w", tuple(data.shape), dtype_name(data.dtype), "weight", read, **more)


def as_matrix(data: np.ndarray, axes: dict[str, list[int]], index: list[int]) -> np.ndarray:
    """The drawn matrix by NumPy alone."""
    drawn = axes["rows"] + axes["cols"]
    fixed = tuple(slice(None) if axis in drawn else index[axis] for axis in range(data.ndim))
    order = sorted(drawn)
    part = np.transpose(data[fixed], [order.index(axis) for axis in drawn])
    return part.reshape(math.prod(data.shape[a] for a in axes["rows"]), math.prod(data.shape[a] for a in axes["cols"]))


@st.composite
def drawings(draw: st.DrawFn, max_side: int = 7) -> tuple[tuple[int, ...], dict[str, list[int]], list[int]]:
    """A shape, a choice of drawn axes, and an index."""
    shape = tuple(draw(st.lists(st.integers(1, max_side), max_size=4)))
    homes = [draw(st.sampled_from(["rows", "cols", "fixed"])) for _ in shape]
    order = draw(st.permutations(range(len(shape))))
    axes = {name: [axis for axis in order if homes[axis] == name] for name in ("rows", "cols")}
    return shape, axes, [draw(st.integers(0, size - 1)) for size in shape]


@pytest.mark.parametrize("case", CASES["matrices"], ids=lambda case: f"{case['shape']} {case['axes']}")
def test_protocol_cases(case: dict[str, Any]) -> None:
    shape, drawn = case["shape"], case["drawn"]
    assert check_axes(shape, case["axes"]) == drawn
    if case["axes"] is None:
        assert default_axes(shape) == drawn
    assert list(matrix_size(shape, drawn)) == case["size"]
    matrix = Matrix(reference(torch.zeros(shape)), case["axes"], case["index"])
    assert [matrix.height, matrix.width] == case["size"]
    for entry in case["cells"]:
        assert list(matrix.position(*entry["cell"])) == entry["position"]


@pytest.mark.parametrize("case", CASES["refused"], ids=str)
def test_axes_that_do_not_fit_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"ax[ie]s"):
        check_axes(case["shape"], case["axes"])


@given(st.data(), drawings())
def test_blocks_agree_with_numpy(data: st.DataObject, drawing: Any) -> None:
    shape, axes, index = drawing
    values = torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape)
    expected = as_matrix(values.numpy(), axes, index)
    matrix = Matrix(reference(values), axes, index)
    assert (matrix.height, matrix.width) == expected.shape
    row0 = data.draw(st.integers(0, matrix.height - 1))
    row1 = data.draw(st.integers(row0 + 1, matrix.height))
    col0 = data.draw(st.integers(0, matrix.width - 1))
    col1 = data.draw(st.integers(col0 + 1, matrix.width))
    block = matrix.block(row0, row1, col0, col1)
    np.testing.assert_array_equal(block.numpy(), expected[row0:row1, col0:col1])
    assert values[matrix.position(row0, col0)] == block[0, 0]
    np.testing.assert_array_equal(matrix.transposed.block(col0, col1, row0, row1).numpy(), block.numpy().T)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.data())
def test_boxes_cover_a_run_once_and_in_order(sizes: list[int], data: st.DataObject) -> None:
    total = math.prod(sizes)
    start = data.draw(st.integers(0, total - 1))
    stop = data.draw(st.integers(start + 1, total))
    flat = np.arange(total).reshape(sizes)
    runs = boxes(sizes, start, stop)
    assert len(runs) <= 2 * len(sizes) - 1
    covered = np.concatenate([flat[run.slices].ravel() for run in runs])
    np.testing.assert_array_equal(covered, np.arange(start, stop))
    assert [run.start for run in runs] == [flat[run.slices].ravel()[0] for run in runs]


def test_a_float32_matrix_is_not_copied() -> None:
    data = torch.randn(64, 48)
    assert Matrix(reference(data)).block(3, 9, 5, 7).data_ptr() == data[3:, 5:].data_ptr()


def test_only_the_window_is_read() -> None:
    log: list[int] = []
    matrix = Matrix(reference(torch.zeros(40, 30, 3, 3), log), {"rows": [0], "cols": [1]}, [0, 0, 1, 2])
    matrix.block(10, 14, 5, 8)
    assert log == [12]


def test_bands_are_bounded_and_cover_the_window() -> None:
    log: list[int] = []
    matrix = Matrix(reference(torch.ones(1, 1).expand(3000, 5000), log))
    seen = np.zeros((2900, 4900), np.int8)
    for row, col, band in matrix.bands((100, 3000, 100, 5000), (8, 16)):
        assert row % 8 == 0
        assert col % 16 == 0
        seen[row : row + band.shape[0], col : col + band.shape[1]] += 1
    assert (seen == 1).all()
    assert max(log) <= BAND


def test_bands_can_be_cancelled() -> None:
    answers = iter([False, True])
    bands = Matrix(reference(torch.zeros(4000, 4000))).bands((0, 4000, 0, 4000), (1, 1), lambda: next(answers))
    next(bands)
    with pytest.raises(Cancelled):
        next(bands)


@pytest.mark.parametrize(
    ("dtype", "working"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float8_e4m3fn, torch.float32),
        (torch.float8_e5m2, torch.float32),
        (torch.bool, torch.float32),
        (torch.uint8, torch.float32),
        (torch.int16, torch.float32),
        (torch.int32, torch.float64),
        (torch.int64, torch.float64),
        (torch.float64, torch.float64),
    ],
)
def test_types(dtype: torch.dtype, working: torch.dtype) -> None:
    data = torch.tensor([[0.0, 1.0, 2.0], [3.0, 1.0, 0.0]]).to(dtype)
    block = Matrix(reference(data)).block(0, 2, 0, 3)
    assert block.dtype == working
    assert torch.equal(block, data.to(working))


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        (reference(torch.zeros(2, 2, dtype=torch.complex64)), "complex"),
        (reference(torch.zeros(2, 2, device="meta"), device="meta"), "no values"),
        (TensorRef("w", (2, 2), "float4_e2m1fn_x2", "weight", lambda _: torch.zeros(2, 2)), "float4"),
    ],
)
def test_what_cannot_be_drawn_says_why(ref: TensorRef, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Matrix(ref)


@pytest.mark.parametrize("index", [[0, 0], [0, 0, 5], [0, 0, -1], [0, 0, 0.0], [0, 0, True]])
def test_indices_that_do_not_fit_are_refused(index: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"index|position"):
        Matrix(reference(torch.zeros(4, 3, 5)), {"rows": [0], "cols": [1]}, index)


def test_the_index_of_drawn_axes_does_not_matter() -> None:
    matrix = Matrix(reference(torch.zeros(4, 3, 5)), {"rows": [0], "cols": [1]}, [99, -7, 2])
    assert matrix.position(1, 2) == (1, 2, 2)


@pytest.mark.parametrize("window", [[0, 0, 0, 1], [0, 5, 0, 1], [0, 1, -1, 1], [0, 1, 0], [0, 1.0, 0, 1]])
def test_windows_that_do_not_fit_are_refused(window: list[Any]) -> None:
    with pytest.raises(ValueError, match="window"):
        check_window(Matrix(reference(torch.zeros(4, 3))), window)
