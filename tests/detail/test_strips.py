"""The compiled kernel of tiles against float64 NumPy, and how a matrix comes to it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detail.test_matrix import reference
from tests.detail.test_tiles import kernels, slow_tile
from weightwidget.detail import matrix as matrix_module
from weightwidget.detail.reduction import flat_memory
from weightwidget.detail.tiles import tile

numba = pytest.importorskip("numba")

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


def reduced(values: torch.Tensor, levels: tuple[int, int], shift: float, squares: bool) -> tuple[Any, list[Any]]:
    """What the kernel returns, and its planes, which hold rubbish before, within larger ones."""
    from weightwidget.detail import compiled_tiles

    memory = flat_memory(values)
    assert memory is not None
    high, wide = (-(-size >> level) for size, level in zip(values.shape, levels, strict=True))
    planes = [np.full((high + 2, wide + 3), -777.5, kind) for kind in (np.float32, np.float32, float, float)]
    flat = [plane.reshape(-1) for plane in planes]
    if not squares:
        flat[3] = None  # type: ignore[call-overload]
    found = compiled_tiles.reduce(*memory, *levels, shift, *flat, (wide + 3) + 2, wide + 3)
    for plane in planes:
        inside = plane[1 : 1 + high, 2 : 2 + wide].copy()
        plane[1 : 1 + high, 2 : 2 + wide] = -777.5
        assert (plane == -777.5).all()  # nothing else was written to
        plane[1 : 1 + high, 2 : 2 + wide] = inside
    return found, [plane[1 : 1 + high, 2 : 2 + wide] for plane in planes]


def pixels(values: np.ndarray, levels: tuple[int, int], fold: np.ufunc) -> np.ndarray:
    rows, cols = (np.arange(0, size, 1 << level) for size, level in zip(values.shape, levels, strict=True))
    return fold.reduceat(fold.reduceat(values, rows, 0), cols, 1)


@DTYPES
@pytest.mark.parametrize("width", [1, 3, 15, 16, 63, 64, 65, 128, 200, 449])
def test_every_level_agrees_with_float64(dtype: torch.dtype, width: int) -> None:
    """Narrow and wide, last rows and columns that fill no pixel, pixels wider than a strip, taller than a reading."""
    values = torch.randn(77, width + 5, generator=torch.Generator().manual_seed(width)).to(dtype)[:, 2 : 2 + width]
    wide = values.to(torch.float64).numpy()
    for levels in itertools.product((0, 1, 3, 4, 6), (0, 1, 2, 3, 4, 5, 6, 7, 9)):
        found, (low, high, total, square) = reduced(values, levels, 0.25, True)
        np.testing.assert_allclose(found, wide.sum(), atol=1e-9)
        np.testing.assert_array_equal(low, pixels(wide, levels, np.minimum))
        np.testing.assert_array_equal(high, pixels(wide, levels, np.maximum))
        np.testing.assert_allclose(total, pixels(wide - 0.25, levels, np.add), rtol=1e-12, atol=1e-10)
        np.testing.assert_allclose(square, pixels((wide - 0.25) ** 2, levels, np.add), rtol=1e-12)
        _, (same_low, same_high, same_total, _) = reduced(values, levels, 0.25, False)
        for one, other in ((same_low, low), (same_high, high), (same_total, total)):
            np.testing.assert_array_equal(one, other)  # to the last bit


@DTYPES
@pytest.mark.parametrize("width", [1, 15, 64, 133, 449])
def test_counts_at_every_level(dtype: torch.dtype, width: int) -> None:
    """Both ends of the range count, NaN never does."""
    from weightwidget.detail import compiled_tiles

    values = torch.randn(77, width + 5, generator=torch.Generator().manual_seed(width)).to(dtype)[:, 2 : 2 + width]
    values[::3, ::2], values[1, width // 2], values[40, -1] = 0.5, float("nan"), float("inf")
    wide = values.to(torch.float64).numpy()
    inside = ((wide >= 0.25) & (wide <= 0.5)).astype(np.float64)
    assert 0 < inside.sum() < inside.size
    memory = flat_memory(values)
    assert memory is not None
    for levels in itertools.product((0, 1, 4, 6, 8), (0, 1, 2, 3, 4, 5, 6, 7, 9)):
        expected = pixels(inside, levels, np.add)
        found = np.full(expected.shape, -777.5, np.float32)
        compiled_tiles.count(*memory, *levels, 0.25, 0.5, found)
        np.testing.assert_array_equal(found, expected)


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 300)),
    levels=st.tuples(st.integers(0, 6), st.integers(0, 9)),
    mean=st.sampled_from([0.0, -3.0, 1e6, 1e-20, -1e30]),
)
@settings(deadline=None, max_examples=40)
def test_sums_far_from_zero_keep_their_digits(shape: tuple[int, int], levels: tuple[int, int], mean: float) -> None:
    rng = np.random.default_rng(shape[0] * 1000 + shape[1])
    values = np.float32(mean * (1 + 1e-6 * rng.standard_normal(shape)))
    shift = float(values[0, 0])
    wide = values.astype(np.float64) - shift
    _, (_, _, total, square) = reduced(torch.from_numpy(values), levels, shift, True)
    count = pixels(np.ones(shape), levels, np.add)
    # Of float32's digits, of which 1e-7 is the last, more than a thousandth.
    np.testing.assert_allclose(total / count, pixels(wide, levels, np.add) / count, rtol=0, atol=1e-11 * abs(mean))
    np.testing.assert_allclose(square, pixels(wide**2, levels, np.add), rtol=1e-12)


@DTYPES
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (12, 63), (76, 64), (30, 132)])
def test_what_is_not_finite_shows_in_the_sum(dtype: torch.dtype, odd: float, place: tuple[int, int]) -> None:
    """In strips and in the columns beside them, also where infinities meet."""
    for others in ([], [np.inf], [-np.inf]):
        values = torch.zeros(77, 133, dtype=dtype)
        values[place] = odd
        for k, other in enumerate(others):
            values[5 + k, 7] = other
        for levels in ((0, 1), (3, 4), (7, 8)):
            assert not np.isfinite(reduced(values, levels, 0.0, False)[0])


@pytest.mark.parametrize("levels", [(0, 4), (4, 1), (3, 3), (5, 2), (6, 7)])
@pytest.mark.parametrize("view", [1 << 7, 1 << 9, 1 << 12])
@given(odd=st.lists(st.tuples(st.integers(0, 136), st.integers(0, 210), st.sampled_from([np.nan, np.inf, -np.inf, 9]))))
@settings(deadline=None, max_examples=4)
def test_bands_of_any_size(levels: tuple[int, int], view: int, odd: list[tuple[int, int, float]]) -> None:
    """Bands that are whole pixels, and such that tear them, with and without what is not finite."""
    values = torch.randn(137, 211, generator=torch.Generator().manual_seed(8)) + 2
    for row, col, value in odd:
        values[row, col] = value
    for aggregate in ("absmax", "min", "max", "mean", "std"):
        expected, _ = slow_tile(values.numpy(), (*levels, 0, 0), aggregate, (0, 1))
        with kernels("compiled"), pytest.MonkeyPatch.context() as patch:
            patch.setattr(matrix_module, "VIEW", view)
            found = tile(reference(values), None, None, (*levels, 0, 0), aggregate)  # type: ignore[arg-type]
        np.testing.assert_allclose(found.values, expected, rtol=1e-6, atol=1e-7)
