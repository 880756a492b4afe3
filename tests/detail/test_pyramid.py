"""What is kept of large matrices: the tiles are the same with and without it, and it goes when it must."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detail.test_matrix import reference
from tests.detail.test_tiles import BOTH, kernels
from weightwidget.detail import pyramid as module
from weightwidget.detail.matrix import Matrix
from weightwidget.detail.pixels import Aggregate
from weightwidget.detail.pyramid import Pyramid, cell_levels
from weightwidget.detail.sharing import shared
from weightwidget.detail.tiles import tile
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled

NUMBERS = st.sampled_from([0.0, 1.5, -2.0, 1e30, -1e-30, float("nan"), float("inf"), float("-inf")])


def places(shape: tuple[int, int], levels: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    rows, cols = (range(-(-size // (256 << level))) for size, level in zip(shape, levels, strict=True))
    return [(*levels, row, col) for row in rows for col in cols]


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@given(odd=st.lists(st.tuples(st.integers(0, 599), st.integers(0, 899), NUMBERS), max_size=5), data=st.data())
@settings(deadline=None, max_examples=5)
def test_tiles_are_the_same_with_and_without(how: str, dtype: torch.dtype, odd: list[Any], data: st.DataObject) -> None:
    values = (torch.randn(600, 900, generator=torch.Generator().manual_seed(4)) * 0.1 + 3).to(dtype)
    for row, col, value in odd:
        values[row, col] = value
    ref, kept = reference(values), Pyramid()
    with kernels(how), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LARGE", 1000)
        patch.setattr(module, "PAGE", 16)
        base = cell_levels(Matrix(ref))
        assert base == (3, 3)
        levels = data.draw(st.tuples(st.integers(3, 6), st.integers(3, 7)))
        order = data.draw(st.permutations([(levels, name) for name in get_args(Aggregate)]))
        for _ in range(2):
            for at, aggregate in order:
                for place in places((600, 900), at):
                    found = tile(ref, None, None, place, aggregate, pyramid=kept).values
                    plain = tile(ref, None, None, place, aggregate).values
                    np.testing.assert_array_equal(found, plain)
    assert kept.nbytes > 0


@BOTH
def test_cells_agree_with_the_elements(how: str) -> None:
    """Against the tile that is computed with no cells at all."""
    values = torch.randn(700, 1100, generator=torch.Generator().manual_seed(5)) - 4
    values[3, 5], values[600, 1000] = float("nan"), float("-inf")
    for data, axes in ((values, None), (values.T.contiguous(), {"rows": [1], "cols": [0]})):
        for aggregate in get_args(Aggregate):
            for levels in ((3, 3), (4, 6), (10, 11)):
                with kernels(how), pytest.MonkeyPatch.context() as patch:
                    direct = tile(reference(data), axes, [0, 0], (*levels, 0, 0), aggregate).values
                    patch.setattr(module, "LARGE", 1000)
                    patch.setattr(module, "PAGE", 32)
                    found = tile(reference(data), axes, [0, 0], (*levels, 0, 0), aggregate, pyramid=Pyramid()).values
                np.testing.assert_allclose(found, direct, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tiles_are_the_same_by_one_thread_and_by_several(dtype: torch.dtype) -> None:
    values = (torch.randn(1500, 3000, generator=torch.Generator().manual_seed(7)) * 0.1 - 5).to(dtype)
    values[3, 5], values[1400, 2000] = float("inf"), float("nan")
    pages: list[int] = []

    def drawn(threads: int, *arguments: Any) -> np.ndarray:
        def noted(work: Any, items: Any, _threads: int | None) -> Any:
            pages.append(len(items))
            return shared(work, items, threads)

        patch.setattr(module, "shared", noted)
        return tile(reference(values), None, None, *arguments, pyramid=Pyramid()).values

    with kernels("compiled"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PAGE", 64)
        for levels, aggregate in itertools.product(((4, 4), (5, 7)), get_args(Aggregate)):
            alone, together = (drawn(threads, (*levels, 0, 0), aggregate) for threads in (1, 3))
            np.testing.assert_array_equal(alone, together)
        assert min(pages) > 3


def test_work_of_several_threads_that_is_not_wanted_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    values, kept = torch.zeros(1500, 3000), Pyramid()
    monkeypatch.setattr(module, "PAGE", 64)
    monkeypatch.setattr(module, "PARALLEL_FROM", 1)
    asked = itertools.count()
    with kernels("compiled"), pytest.raises(Cancelled):
        tile(reference(values), None, None, (4, 4, 0, 0), cancelled=lambda: next(asked) > 3, pyramid=kept)
    assert next(asked) < 12  # of 24 pages


def test_the_deviation_reads_what_the_mean_has_not_kept_and_leaves_the_mean_as_it_is() -> None:
    matrix, kept = Counted(), Pyramid()
    first = tile(matrix.ref, None, None, (4, 4, 0, 0), "mean", pyramid=kept).values
    for expected in (True, False):
        before = matrix.read
        found = tile(matrix.ref, None, None, (4, 4, 0, 0), "std", pyramid=kept).values
        assert (matrix.read - before > matrix.values.numel() / 2) == expected
        blocks = matrix.values.numpy().reshape(128, 16, 64, 16)
        np.testing.assert_allclose(found, blocks.astype(np.float64).std((1, 3)), rtol=1e-6)
    np.testing.assert_array_equal(tile(matrix.ref, None, None, (4, 4, 0, 0), "mean", pyramid=kept).values, first)


class Counted:
    """A large matrix that counts the elements that are read of it."""

    def __init__(self) -> None:
        self.values = torch.randn(2048, 1024, generator=torch.Generator().manual_seed(6))
        self.read = 0
        self.ref = TensorRef("w", (2048, 1024), "float32", "weight", self._read)

    def _read(self, index: Any) -> torch.Tensor:
        part = self.values[index]
        self.read += part.numel()
        return part


def test_what_is_kept_is_not_read_again() -> None:
    matrix, kept = Counted(), Pyramid()
    for aggregate in get_args(Aggregate):
        tile(matrix.ref, None, None, (4, 3, 0, 0), aggregate, pyramid=kept)
    before = matrix.read
    for aggregate in get_args(Aggregate):
        for place in ((4, 3, 0, 0), (4, 4, 0, 0), (6, 6, 0, 0)):
            tile(matrix.ref, None, None, place, aggregate, pyramid=kept)
    assert matrix.read - before < matrix.values.numel() / 10


def test_weights_that_change_are_read_again() -> None:
    matrix, kept = Counted(), Pyramid()
    tile(matrix.ref, None, None, (4, 4, 0, 0), "max", pyramid=kept)
    matrix.values[17, 33] = 50  # as an optimizer does
    assert tile(matrix.ref, None, None, (4, 4, 0, 0), "max", pyramid=kept).values[1, 2] == 50
    matrix.values.numpy()[17, 33] = 60  # torch does not see this one
    kept.forget()
    assert kept.nbytes == 0
    assert tile(matrix.ref, None, None, (4, 4, 0, 0), "max", pyramid=kept).values[1, 2] == 60


def test_a_tensor_of_the_same_name_is_another_one() -> None:
    first, second, kept = Counted(), Counted(), Pyramid()
    second.values[0, 0] = 70
    assert first.ref == second.ref
    tile(first.ref, None, None, (4, 4, 0, 0), "max", pyramid=kept)
    assert tile(second.ref, None, None, (4, 4, 0, 0), "max", pyramid=kept).values[0, 0] == 70


def test_the_budget_holds_and_the_oldest_goes_first() -> None:
    matrices, kept = [Counted() for _ in range(3)], Pyramid(budget=2_000_000)
    for matrix in matrices:
        for aggregate in ("absmax", "std"):
            tile(matrix.ref, None, None, (4, 4, 0, 0), aggregate, pyramid=kept)
        assert 0 < kept.nbytes <= kept.budget
    before = [matrix.read for matrix in matrices]
    for matrix in reversed(matrices):
        tile(matrix.ref, None, None, (4, 4, 0, 0), "std", pyramid=kept)
    again = [matrix.read - earlier > 1 << 20 for matrix, earlier in zip(matrices, before, strict=True)]
    assert again == [True, False, False]


def test_cancelled_work_keeps_nothing() -> None:
    matrix, kept = Counted(), Pyramid()
    with pytest.raises(Cancelled):
        tile(matrix.ref, None, None, (4, 4, 0, 0), "max", cancelled=lambda: True, pyramid=kept)
    assert kept.nbytes == 0


@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        ((700, 900), None),
        ((4096, 11008), (3, 4)),
        ((128_256, 4096), (7, 3)),
        ((1, 5_000_000), (0, 6)),
        ((3, 50_000_000), (0, 9)),
    ],
)
def test_cells_are_few_and_about_square(shape: tuple[int, int], levels: tuple[int, int] | None) -> None:
    values = torch.zeros(1, 1).expand(shape)
    found = cell_levels(Matrix(reference(values)))
    if levels is None:
        assert found is None
        return
    assert found is not None
    rows, cols = (-(-size >> level) for size, level in zip(shape, found, strict=True))
    assert rows * cols <= module.CELLS
    assert found == levels
