"""Tiles, profiles and extremes against NumPy; what they read and how they end."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detail.test_matrix import as_matrix, drawings, reference
from weightwidget.detail import reduction
from weightwidget.detail.pixels import Aggregate
from weightwidget.detail.tiles import PROFILE_SIZE, TILE_SIZE, extreme, profile, tile
from weightwidget.sources import open_weights
from weightwidget.summary.cancel import Cancelled

FLOAT32_MAX = float(np.finfo(np.float32).max)
NUMBERS = st.one_of(
    st.floats(-4, 4, width=32),
    st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e30, -1e30, 1e-30, -1e-45, 7.9148]),
)


@contextmanager
def kernels(how: str) -> Iterator[None]:
    """Tiles by the compiled kernels, or by torch alone, whichever is loaded."""
    module = None
    if how == "compiled":
        pytest.importorskip("numba")
        module = importlib.import_module(reduction.KERNELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduction, "compiled", lambda _name: module)
        yield


BOTH = pytest.mark.parametrize("how", ["compiled", "torch"])


def pixel(cells: np.ndarray, aggregate: str) -> float:
    """What one pixel shows, by the letter of the protocol."""
    if np.isnan(cells).any():
        return math.nan
    if np.isinf(cells).any():
        low, high = cells.min(), cells.max()
        first, second = (low, high) if aggregate == "min" else (high, low)
        return float(first if np.isinf(first) else second)
    if aggregate == "absmax":
        low, high = cells.min(), cells.max()
        return float(low if -low > high else high)
    wide = cells.astype(np.float64)
    return float(getattr(wide, aggregate)())


def slow_tile(
    matrix: np.ndarray, place: tuple[int, int, int, int], aggregate: str, limits: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    row_level, col_level, row, col = place
    high, wide = 1 << row_level, 1 << col_level
    part = matrix[row * TILE_SIZE * high :, col * TILE_SIZE * wide :]
    part = part[: TILE_SIZE * high, : TILE_SIZE * wide]
    shape = -(-part.shape[0] // high), -(-part.shape[1] // wide)
    values, shares = np.zeros(shape), np.zeros(shape, np.uint8)
    for r, c in np.ndindex(shape):
        cells = part[r * high : (r + 1) * high, c * wide : (c + 1) * wide]
        values[r, c] = pixel(cells, aggregate)
        inside = (cells.astype(np.float64) >= limits[0]) & (cells.astype(np.float64) <= limits[1])
        shares[r, c] = math.ceil(255 * inside.sum() / cells.size)
    return values, shares


@BOTH
@given(data=st.data(), drawing=drawings(), aggregate=st.sampled_from(get_args(Aggregate)))
@settings(deadline=None)
def test_tiles_agree_with_numpy(how: str, data: st.DataObject, drawing: Any, aggregate: Aggregate) -> None:
    shape, axes, index = drawing
    count = math.prod(shape)
    flat = data.draw(st.lists(NUMBERS, min_size=count, max_size=count) if count <= 64 else st.none())
    if flat is None:
        flat = np.random.default_rng(count).standard_normal(count)
    values = torch.tensor(np.array(flat), dtype=torch.float32).reshape(shape)
    levels = data.draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    limits = (0.1, 1.7)
    with kernels(how):
        found = tile(reference(values), axes, index, (*levels, 0, 0), aggregate, limits)
    expected, shares = slow_tile(as_matrix(values.numpy(), axes, index), (*levels, 0, 0), aggregate, limits)
    assert found.values.dtype == np.float32
    assert found.shares is not None
    np.testing.assert_array_equal(found.shares, shares)
    if aggregate in ("mean", "std"):
        # Values of 1e30 beside values of 1 leave the small ones no digits in any float64 sum.
        size = np.abs(values[values.isfinite()].numpy().astype(np.float64)).max(initial=0)
        least = float(np.finfo(np.float32).smallest_subnormal)  # what is less than half of it is zero
        np.testing.assert_allclose(found.values, expected, rtol=1e-6, atol=1e-7 * size + least)
    else:
        np.testing.assert_array_equal(found.values, expected.astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ((700, 900), (1, 1, 0, 1)),
        ((700, 900), (0, 1, 2, 0)),
        ((1500, 1100), (2, 2, 0, 0)),
        ((1, 300_000), (0, 10, 0, 0)),
        ((1, 300_000), (0, 5, 0, 3)),
        ((300_000, 1), (10, 0, 0, 0)),
        ((70_000, 3), (8, 0, 0, 0)),
        ((5, 40_000), (3, 9, 0, 0)),
    ],
)
@pytest.mark.parametrize("aggregate", get_args(Aggregate))
@BOTH
def test_large_tiles_agree_with_numpy(
    shape: tuple[int, int], place: tuple[int, int, int, int], aggregate: Aggregate, how: str
) -> None:
    """Tiles of several bands, edges that fill no pixel, pixels larger than a block."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 0.1 + 10
    limits = (9.97, 10.1)
    expected, shares = slow_tile(values.numpy(), place, aggregate, limits)
    for data, axes, turn in (
        (values, {"rows": [0], "cols": [1]}, False),
        (values.T.contiguous(), {"rows": [1], "cols": [0]}, False),
        (values, {"rows": [1], "cols": [0]}, True),
    ):
        where = (place[1], place[0], place[3], place[2]) if turn else place
        with kernels(how):
            found = tile(reference(data), axes, [0, 0], where, aggregate, limits)
        got, got_shares = (found.values.T, found.shares.T) if turn else (found.values, found.shares)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(got_shares, shares)
        assert found.values.flags.c_contiguous


@pytest.mark.parametrize("level", range(13))
def test_one_outlier_is_kept_at_every_level(level: int) -> None:
    values = torch.randn(3000, 2500, generator=torch.Generator().manual_seed(2))
    values[2999, 2499] = -99.5
    place = (level, level, 2999 >> (8 + level), 2499 >> (8 + level))
    found = tile(reference(values), None, None, place).values
    assert found[(2999 >> level) % 256, (2499 >> level) % 256] == -99.5


@pytest.mark.parametrize(
    "dtype",
    [
        "float64",
        "float16",
        "bfloat16",
        "float8_e4m3fn",
        "float8_e5m2",
        "int64",
        "int8",
        "uint8",
        "uint16",
        "bool",
    ],
)
@BOTH
def test_every_type(dtype: str, how: str) -> None:
    values = (torch.rand(300, 280, generator=torch.Generator().manual_seed(3)) * 90).to(getattr(torch, dtype))
    wide = values.to(torch.float64).numpy()
    for place in ((0, 0, 1, 0), (2, 1, 0, 0)):
        with kernels(how):
            found = tile(reference(values), None, None, place, "absmax", (5, 40))
        expected, shares = slow_tile(wide, place, "absmax", (5, 40))
        np.testing.assert_array_equal(found.values, expected.astype(np.float32))
        np.testing.assert_array_equal(found.shares, shares)


def test_level_0_is_exact_and_finite_values_never_become_infinite() -> None:
    values = torch.tensor([[1e300, -1e300, math.inf], [0.1, 1e-300, math.nan]], dtype=torch.float64)
    for aggregate in ("absmax", "mean", "min", "max"):
        found = tile(reference(values), None, None, (0, 0, 0, 0), aggregate).values
        expected = np.float32([[FLOAT32_MAX, -FLOAT32_MAX, np.inf], [0.1, 0, np.nan]])
        np.testing.assert_array_equal(found, expected)
    mean = tile(reference(torch.full((2, 2), 1.7e308, dtype=torch.float64)), None, None, (1, 1, 0, 0), "mean")
    assert mean.values[0, 0] == np.float32(FLOAT32_MAX)


def test_the_range_is_compared_with_the_stored_values() -> None:
    """float32(0.1) is larger than 0.1, and so not in a range that ends at 0.1."""
    stored = float(np.float32(0.1))
    ref = reference(torch.full((2, 2), 0.1))
    for limits, inside in (
        ((0, 0.1), False),
        ((0, stored), True),
        ((0.1, 1), True),
        ((stored, stored), True),
    ):
        shares = tile(ref, None, None, (0, 0, 0, 0), "absmax", limits).shares
        assert shares is not None
        assert (shares == (255 if inside else 0)).all()


def test_one_element_of_many_still_has_a_share() -> None:
    values = torch.zeros(4096, 4096)
    values[17, 4000] = 3
    shares = tile(reference(values), None, None, (4, 12, 0, 0), "absmax", (2, 4)).shares
    assert shares is not None
    assert shares[1, 0] == 1
    assert shares.sum() == 1


@pytest.mark.parametrize(
    ("place", "message"),
    [((0, 0, 1, 0), "outside"), ((0, 0, 0), "tile"), ((-1, 0, 0, 0), "tile"), ((60, 0, 0, 0), "levels")],
)
def test_tiles_that_do_not_exist_are_refused(place: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tile(reference(torch.zeros(200, 200)), None, None, place)


def test_other_wrong_arguments_are_refused() -> None:
    ref = reference(torch.zeros(2, 2))
    with pytest.raises(ValueError, match="absmax, mean"):
        tile(ref, None, None, (0, 0, 0, 0), "median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="range"):
        tile(ref, None, None, (0, 0, 0, 0), "absmax", (2, 1))
    with pytest.raises(ValueError, match="outside"):
        tile(reference(torch.zeros(0, 3)), None, None, (0, 0, 0, 0))


def test_work_that_is_not_wanted_ends() -> None:
    ref = reference(torch.zeros(1, 1).expand(5000, 5000))
    with pytest.raises(Cancelled):
        tile(ref, None, None, (5, 5, 0, 0), cancelled=lambda: True)
    with pytest.raises(Cancelled):
        profile(ref, None, None, cancelled=lambda: True)
    with pytest.raises(Cancelled):
        extreme(ref, None, None, (0, 5000, 0, 5000), cancelled=lambda: True)


@BOTH
@given(data=st.data(), drawing=drawings())
@settings(deadline=None)
def test_profiles_agree_with_numpy(how: str, data: st.DataObject, drawing: Any) -> None:
    shape, axes, index = drawing
    values = torch.randn(shape, generator=torch.Generator().manual_seed(math.prod(shape)))
    if data.draw(st.booleans()) and values.numel() > 1:
        values.view(-1)[0] = math.nan
        values.view(-1)[-1] = -math.inf
    matrix = np.nan_to_num(as_matrix(values.numpy(), axes, index).astype(np.float64), posinf=0, neginf=0)
    with kernels(how):
        found = profile(reference(values), axes, index)
    np.testing.assert_allclose(found.rows, np.sqrt((matrix**2).sum(1)), rtol=1e-6)
    np.testing.assert_allclose(found.cols, np.sqrt((matrix**2).sum(0)), rtol=1e-6)
    assert (found.row_step, found.col_step) == (1, 1)


@BOTH
def test_long_profiles_keep_the_largest_norm_of_a_step(how: str) -> None:
    values = torch.rand(3 * PROFILE_SIZE - 5, 2)
    with kernels(how):
        found = profile(reference(values), None, None)
    norms = values.norm(dim=1).numpy()
    assert found.row_step == 3
    assert len(found.rows) <= PROFILE_SIZE
    expected = [norms[start : start + 3].max() for start in range(0, len(norms), 3)]
    np.testing.assert_allclose(found.rows, expected, rtol=1e-6)
    turned = profile(reference(values), {"rows": [1], "cols": [0]}, [0, 0])
    np.testing.assert_array_equal(turned.cols, found.rows)
    assert turned.col_step == 3


@BOTH
def test_profiles_neither_overflow_nor_vanish(how: str) -> None:
    with kernels(how):
        found = profile(reference(torch.tensor([[3e30, 4e30], [3e-30, 4e-30]])), None, None)
    np.testing.assert_allclose(found.rows, [5e30, 5e-30], rtol=1e-6)
    assert len(profile(reference(torch.zeros(0, 3)), None, None).rows) == 0


@given(st.data(), drawings())
@settings(deadline=None)
def test_extremes_agree_with_numpy(data: st.DataObject, drawing: Any) -> None:
    shape, axes, index = drawing
    count = math.prod(shape)
    few = st.sampled_from([0.0, 1.0, -1.0, 2.0, -2.0, math.nan, math.inf, -math.inf])
    flat = data.draw(st.lists(few, min_size=count, max_size=count) if count <= 32 else st.none())
    if flat is None:
        flat = np.random.default_rng(count).standard_normal(count)
    values = torch.tensor(np.array(flat), dtype=torch.float32).reshape(shape)
    matrix = as_matrix(values.numpy(), axes, index)
    row0 = data.draw(st.integers(0, matrix.shape[0] - 1))
    col0 = data.draw(st.integers(0, matrix.shape[1] - 1))
    found = extreme(reference(values), axes, index, (row0, matrix.shape[0], col0, matrix.shape[1]))
    part = np.abs(matrix[row0:, col0:])
    down, right = np.unravel_index(np.argmax(part), part.shape)
    assert (found.row, found.col) == (row0 + down, col0 + right)
    np.testing.assert_array_equal(np.float32(found.value), matrix[found.row, found.col])
    np.testing.assert_array_equal(values.numpy()[found.position], matrix[found.row, found.col])


def test_the_extreme_of_many_blocks_is_the_first_in_reading_order() -> None:
    values = torch.zeros(900, 9000)
    values[700, 10] = values[500, 8999] = -5
    assert extreme(reference(values), None, None, (0, 900, 0, 9000)).position == (500, 8999)


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (7.914801, torch.float32, "7.914801"),
        (0.1, torch.float64, "0.1"),
        (0.1, torch.bfloat16, "0.100097656"),
        (-0.5, torch.float8_e4m3fn, "-0.5"),
        (2**62 + 1, torch.int64, "4611686018427387905"),
        (1, torch.bool, "True"),
        (math.nan, torch.float16, "NaN"),
        (-math.inf, torch.float32, "-Inf"),
    ],
)
def test_values_are_named_with_all_their_digits(value: float, dtype: torch.dtype, text: str) -> None:
    cell = extreme(reference(torch.full((1,), value, dtype=dtype)), None, None, (0, 1, 0, 1))
    assert cell.value == text


THREADS = """
import os, torch
from weightwidget.summary import compiling
from weightwidget.detail.tiles import extreme, profile, tile
from weightwidget.sources.base import TensorRef

torch.set_num_threads(4)
if not os.environ["WEIGHTWIDGET_NO_NUMBA"]:
    from weightwidget.detail import reduction
    assert compiling.load(reduction.KERNELS)
    loader = compiling._threads[reduction.KERNELS].native_id
    while os.path.exists(f"/proc/self/task/{loader}"):  # it has ended for Python a little earlier
        pass
before = len(os.listdir("/proc/self/task"))
for dtype in ("float32", "bfloat16", "int64"):
    # One element in memory: filling a matrix would start the threads that are looked for.
    data = torch.ones(1, 1, dtype=getattr(torch, dtype)).expand(3000, 3000)
    ref = TensorRef("w", (3000, 3000), dtype, "weight", lambda index: data[index])
    for aggregate in ("absmax", "mean", "std", "min", "max"):
        for place in ((0, 0, 1, 1), (3, 3, 0, 0), (0, 4, 2, 0), (9, 0, 0, 0)):
            tile(ref, None, None, place, aggregate, (0, 1))
    profile(ref, None, None)
    extreme(ref, None, None, (0, 3000, 0, 3000))
after = len(os.listdir("/proc/self/task"))
assert after == before, (before, after)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux does")
@BOTH
def test_torch_starts_no_threads_of_its_own(how: str) -> None:
    """On a busy machine they wait for each other a hundred times longer than they work."""
    if how == "compiled":
        pytest.importorskip("numba")
    environment = {**os.environ, "WEIGHTWIDGET_NO_NUMBA": "" if how == "compiled" else "1"}
    done = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, check=False, env=environment, timeout=100
    )
    assert done.returncode == 0, done.stderr


def test_lazily_negated_tensor():
    values = torch.randn(20, 30, dtype=torch.complex64)
    negated = values.conj().imag
    assert negated.is_neg()
    source = open_weights({"w": negated})
    drawn = tile(source.tensors["w"], None, [0, 0], [0, 0, 0, 0])
    assert np.array_equal(drawn.values, -values.imag.numpy())
