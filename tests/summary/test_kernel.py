"""The kernel against float64 references of NumPy and SciPy."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.summary.stub import counts_of, ref_of
from weightwidget.summary import blocks as blocks_module
from weightwidget.summary import device, fused, summed
from weightwidget.summary.blocks import Blocks
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.counted import CountedPass
from weightwidget.summary.kernel import summarize_tensor
from weightwidget.summary.parts import Measured, Total, cut
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.sketch import SMALL
from weightwidget.summary.streaming import Rounds, plan_of
from weightwidget.summary.summed import SummedPass

pytestmark = pytest.mark.usefixtures("kernel")  # all kernels must pass everything

FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz]
INTEGERS = [
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.uint16,
    torch.int32,
    torch.uint32,
    torch.int64,
    torch.uint64,
]


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    torch.manual_seed(7)


def measured(ref, kernel: str, whole=None, size=None, thumbnail=64, piece=1 << 40) -> Measured:
    """Measure a tensor in boxes of `piece` elements and blocks of `size`."""
    rounds, boxes = Rounds(plan_of(ref, thumbnail, whole)), list(cut(ref.shape, piece))
    found = None
    while found is None:
        total = Total(rounds.plan)
        for box in boxes:
            blocks = Blocks(ref, whole, size, box)
            if kernel == "device" and whole is not None:
                part = device.DevicePass(blocks, rounds.plan).run(lambda: False, lambda n: None)
            elif fused.is_ready(rounds.plan):
                part = fused.run(blocks, rounds.plan, lambda: False, lambda n: None)
            else:
                kind = CountedPass if rounds.plan.counted else SummedPass
                part = kind(blocks, rounds.plan).run(lambda: False, lambda n: None).part()
            total.add(part)
        found = rounds.judge(total.part)
    return found


def normal(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64).to(dtype)


def check(tensor: torch.Tensor, record: TensorSummary | None = None, rel: float = 1e-6) -> TensorSummary:
    """Compare everything in a record with a reference computed from the whole tensor in float64."""
    record = summarize_tensor(ref_of(tensor)) if record is None else record
    assert record.error == ""
    # The reference is scaled to 1, where NumPy and SciPy neither overflow nor vanish.
    everything = tensor.detach().to(torch.float64).contiguous().numpy().reshape(-1)
    finite = np.isfinite(everything)
    assert counts_of(record) == {
        "count": everything.size,
        "nan": np.isnan(everything).sum(),
        "posinf": (everything == np.inf).sum(),
        "neginf": (everything == -np.inf).sum(),
        "zeros": (everything == 0).sum(),
    }
    assert record.finite == record.sketch.n == finite.sum()
    values = everything[finite]
    assert record.shape == tuple(tensor.shape)
    if not finite.any():
        for key in ("min", "max", "mean", "var", "std", "skewness", "kurtosis", "rms", "l1", "l2"):
            assert math.isnan(getattr(record, key)), key
        assert record.argmin is None
        assert record.argmax is None
        return record
    low, high = values.min(), values.max()
    assert (record.min, record.max) == (low, high)
    first = np.unravel_index([np.argmax(everything == low), np.argmax(everything == high)], tuple(tensor.shape) or (1,))
    where = list(zip(*first, strict=True)) if tensor.ndim else [(), ()]
    assert [record.argmin, record.argmax] == where

    unit = 2.0 ** min(1000, -math.frexp(np.abs(values).max())[1]) if np.abs(values).max() > 0 else 1.0
    scaled = values * unit
    assert record.mean * unit == pytest.approx(scaled.mean(), rel=rel, abs=1e-14)
    spread = 0.0 if low == high else scaled.std()
    assert record.std * unit == pytest.approx(spread, rel=rel)
    assert record.rms * unit == pytest.approx(math.sqrt((scaled**2).mean()), rel=rel)
    assert record.l1 * unit == pytest.approx(np.abs(scaled).sum(), rel=rel)
    assert record.l2 * unit == pytest.approx(np.linalg.norm(scaled), rel=rel)
    if low == high:
        assert record.std == 0.0
        assert math.isnan(record.skewness)
        assert math.isnan(record.kurtosis)
    elif scaled.std() > 1e-12 * abs(scaled.mean()):
        centred = (scaled - scaled.mean()) / scaled.std()  # better conditioned for SciPy, the same by definition
        # Near zero they are differences of what the error is relative to.
        error = rel * (np.abs(centred) ** 3).mean()
        assert record.skewness == pytest.approx(scipy.stats.skew(centred), rel=0, abs=error)
        assert record.kurtosis + 3 == pytest.approx(scipy.stats.kurtosis(centred) + 3, rel=rel)
    if tensor.ndim > 1:
        matrix = np.where(finite, everything, 0.0).reshape(tensor.shape[0], -1) * unit
        for norms, axis in ((record.row_norms, 1), (record.column_norms, 0)):
            assert norms is not None
            np.testing.assert_allclose(
                norms.astype(np.float64) * unit, np.sqrt((matrix**2).sum(axis)), rtol=rel, atol=0
            )
    else:
        assert record.row_norms is None
        assert record.column_norms is None
    check_quantiles(record, values)
    check_thumbnail(record, everything)
    return record


def check_quantiles(record: TensorSummary, values: np.ndarray) -> None:
    shares = np.array([0, 0.001, 0.01, 0.25, 0.5, 0.75, 0.99, 0.999, 1])
    unit = np.abs(values).max() or 1.0
    expected = np.quantile(values / unit, shares)
    found = record.quantile(shares) / unit
    if record.sketch.exact:
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)
        return
    # A quantile lies in the bins of its neighbours in rank, as wide as is stated.
    shifts = {part.shift for part in record.sketch.components}
    shift = shifts.pop() / unit
    ordered = np.sort(values / unit)
    rank = shares * (len(ordered) - 1)
    below, above = ordered[np.floor(rank).astype(int)], ordered[np.ceil(rank).astype(int)]
    reach = record.sketch.relative_error * np.maximum(np.abs(below - shift), np.abs(above - shift)) + 1e-37
    assert (found >= below - reach).all()
    assert (found <= above + reach).all()
    assert found[0] == expected[0]
    assert found[-1] == expected[-1]


def check_thumbnail(record: TensorSummary, everything: np.ndarray, size: int = 64) -> None:
    rows, columns = (record.shape[0], math.prod(record.shape[1:])) if len(record.shape) > 1 else (1, everything.size)
    height, width = (1, min(columns, 8 * size)) if rows == 1 else (min(rows, size), min(columns, size))
    if height * width == 0:
        assert record.thumbnail is None
        return
    assert record.thumbnail is not None
    assert record.thumbnail.shape == (height, width)
    matrix = everything.reshape(rows, columns)
    rng = np.random.default_rng(1)
    cells = [(0, 0), (height - 1, width - 1)]
    cells += [(int(rng.integers(height)), int(rng.integers(width))) for _ in range(20)]
    for i, j in cells:
        part = matrix[i * rows // height : (i + 1) * rows // height, j * columns // width : (j + 1) * columns // width]
        cell = record.thumbnail[i, j]
        if np.isnan(part).any():
            assert np.isnan(cell)
        else:
            assert np.abs(cell) == pytest.approx(np.abs(part).max(), rel=1e-7)
            assert (part.astype(np.float64) == pytest.approx(float(cell), rel=1e-7)) or np.isclose(
                part, cell, rtol=1e-6, atol=0
            ).any()


@pytest.mark.parametrize("shape", [(3, 5), (37, 61), (7, 9, 3, 5), (250, 333), (33, 5000), (3, 40000), (40000, 3)])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floating_types_and_shapes(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    check(normal(*shape, dtype=dtype))


@pytest.mark.parametrize("shape", [(11, 13), (90, 111)])
@pytest.mark.parametrize("dtype", FLOAT8, ids=str)
def test_eight_bit_floats(dtype: torch.dtype, shape: tuple[int, int]) -> None:
    record = check(normal(*shape).to(dtype))
    assert record.sketch.exact


@pytest.mark.parametrize("shape", [(11, 13), (90, 111)])
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers(dtype: torch.dtype, shape: tuple[int, int]) -> None:
    low = 0 if dtype.is_signed is False else -100
    record = check(torch.randint(low, 120, shape).to(dtype))
    assert record.sketch.exact or dtype.itemsize > 2


def test_large_integers() -> None:
    check(torch.randint(-(2**62), 2**62, (100, 90)))


@pytest.mark.parametrize("shape", [(), (1,), (70,), (9, 7), (200, 111)])
def test_bool(shape: tuple[int, ...]) -> None:
    check(torch.rand(shape) > 0.3)


@pytest.mark.parametrize("shape", [(20, 30), (150, 333), (40000,)])
@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-20, 1e20, 1e37])
def test_scales_of_float32(scale: float, shape: tuple[int, ...]) -> None:
    check((normal(*shape, dtype=torch.float64) * scale).float())


@pytest.mark.parametrize("shape", [(20, 30), (150, 333), (40000,)])
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-50, 1e50, 1e154, 1e300])
def test_scales_of_float64(scale: float, shape: tuple[int, ...]) -> None:
    check(normal(*shape, dtype=torch.float64) * scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("mean", [1.0, 10.0, -3e4])
@pytest.mark.parametrize("shape", [(20, 30), (150, 333)])
def test_mean_far_from_zero(dtype: torch.dtype, mean: float, shape: tuple[int, int]) -> None:
    check((normal(*shape, dtype=torch.float64) * 0.01 * abs(mean) + mean).to(dtype))


def test_mean_and_deviation_of_a_hundred_thousand() -> None:
    check(normal(150, 333, dtype=torch.float64).mul_(1e5).add_(1e5).float())
    check(normal(150, 333, dtype=torch.float64).add_(1e5).float())


def test_one_outlier_of_a_million() -> None:
    weights = normal(150, 333)
    weights[99, 3] = 1e6
    record = check(weights)
    assert record.argmax == (99, 3)
    assert record.robust_range()[1] < 10


@pytest.mark.parametrize("magnitude", [1e30, 1e100, 1e300])
def test_outlier_that_the_sample_misses(magnitude: float) -> None:
    weights = normal(301, 333, dtype=torch.float64) * 1e-3
    weights[1, 1] = magnitude
    record = summarize_tensor(ref_of(weights))
    assert record.max == magnitude
    assert record.std == pytest.approx(magnitude * math.sqrt((1 - 1 / weights.numel()) / weights.numel()))
    assert record.quantile(0.75) == pytest.approx(float(weights.quantile(0.75)), rel=0.01)


def test_sample_that_misleads() -> None:
    # Every place that a strided sample sees is zero; the rest is a narrow distribution far from zero.
    weights = normal(256, 256, dtype=torch.float64) * 1e-4 + 100
    weights[::4, ::4] = 0
    check(weights)
    check(weights.float())
    tiny = normal(256, 256, dtype=torch.float64) * 1e-200
    tiny[::4, ::4] = 0
    check(tiny)


def test_denormals() -> None:
    check(torch.randint(-1000, 1000, (150, 333)).double().mul_(2.0**-149).float())
    check(torch.randint(-1000, 1000, (150, 333)).double().mul_(2.0**-1060))
    check(torch.randint(-3, 3, (150, 333)).mul(2.0**-24).half())


@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, -3.3, 1e30, 1e-30])
@pytest.mark.parametrize("shape", [(), (1,), (30, 40), (150, 333)])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_constants(dtype: torch.dtype, shape: tuple[int, ...], value: float) -> None:
    weights = torch.full(shape, value, dtype=torch.float64).to(dtype)
    if torch.isfinite(weights).all():
        record = check(weights)
        assert record.var == 0.0
        low, high = record.robust_range()
        assert low < record.min < high


@pytest.mark.parametrize("shape", [(12, 10), (150, 333), (40000,)])
@pytest.mark.parametrize("dtype", [*FLOATS, torch.float8_e5m2], ids=str)
def test_non_finite(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    weights = normal(*shape)
    flat = weights.view(-1)
    flat[::17], flat[3::29], flat[5::31], flat[7::11] = math.nan, math.inf, -math.inf, 0.0
    check(weights.to(dtype))
    lone = normal(*shape)
    lone.view(-1)[-1] = math.nan
    check(lone.to(dtype))


def test_non_finite_with_a_shift() -> None:
    weights = normal(150, 333) * 0.01 + 5
    weights[3, 7], weights[140, 300], weights[9, 9] = math.nan, -math.inf, 0.0
    check(weights)


def test_nan_of_every_pattern() -> None:
    bits = torch.tensor([0x7F800001, 0x7FFFFFFF, -0x7FFFFF, -1, 0x7F800000, -0x800000] * 1000, dtype=torch.int32)
    record = check(bits.view(torch.float32))
    assert (record.nan, record.posinf, record.neginf) == (4000, 1000, 1000)
    check(torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.bfloat16))
    check(torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.float16))


@pytest.mark.parametrize("shape", [(), (5,), (30, 4), (150, 333)])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_nan_only(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    record = check(torch.full(shape, math.nan, dtype=dtype))
    assert np.isnan(record.thumbnail).all()
    assert record.robust_range() == (-1.0, 1.0)
    assert math.isnan(record.quantile(0.5))
    assert record.histogram(4)[0].tolist() == [0, 0, 0, 0]
    assert record.log_magnitude_histogram(4)[0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (3, 0, 4)])
def test_empty(shape: tuple[int, ...]) -> None:
    record = check(torch.empty(shape))
    assert record.count == 0
    assert record.thumbnail is None


@pytest.mark.parametrize("value", [3.5, -0.0, math.nan, math.inf])
def test_scalar(value: float) -> None:
    record = check(torch.tensor(value))
    assert record.shape == ()
    assert record.thumbnail is not None
    assert record.thumbnail.shape == (1, 1)


def layouts() -> dict[str, torch.Tensor]:
    base = torch.randn(40, 30, 6, 7)
    return {
        "transposed": torch.randn(333, 150).t(),
        "wide transposed": torch.randn(9001, 31).t(),
        "channels_last": base.to(memory_format=torch.channels_last),
        "permuted": base.permute(2, 0, 3, 1),
        "permuted bfloat16": base.bfloat16().permute(2, 0, 3, 1),
        "steps": torch.randn(400, 500)[::3, 1::2],
        "expanded rows": torch.randn(1, 333).expand(150, 333),
        "expanded columns": torch.randn(150, 1).expand(150, 333),
        "expanded vector": torch.randn(1).expand(50000),
        "negative": torch.randn(150, 333, dtype=torch.complex64).conj().imag,
        "offset": torch.randn(150 * 333 + 1)[1:].view(150, 333),
    }


@pytest.mark.parametrize("layout", layouts())
def test_layouts(layout: str) -> None:
    weights = layouts()[layout]
    record = check(weights)
    if layout == "negative":
        assert weights.is_neg()
        assert record.min == weights.min()


def test_first_position_among_equal_ones() -> None:
    # The blocks of a wide matrix lie side by side: the first in reading order is in a later block.
    weights = torch.zeros(64, 9000)
    weights[5, 20] = weights[2, 8000] = weights[40, 1] = 1.0
    weights[5, 21] = weights[2, 8001] = weights[40, 2] = -1.0
    check(weights)
    check(weights.to(torch.int8))
    check(weights.double())


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_extremes_in_later_blocks(kernel: str, dtype: torch.dtype, sign: float) -> None:
    # At first all of one sign, but not so much alike that float32 would not do for them.
    sizes = normal(60, 701, dtype=torch.float64).mul_(1.5).exp_()
    weights = (sign * torch.cat([-sizes[:30], sizes[30:]])).to(dtype)
    found = measured(ref_of(weights), kernel, weights, 4096)
    assert (found.low, found.high) == (weights.min(), weights.max())
    flat = weights.double().numpy().reshape(-1)
    assert (found.argmin, found.argmax) == (flat.argmin(), flat.argmax())


@pytest.mark.parametrize("shape", [(123, 700), (7, 50, 11, 13), (90000,), (2, 3, 40000)])
def test_file(shape: tuple[int, ...]) -> None:
    weights, read = torch.randn(shape), []
    ref = ref_of(weights, device="file", before_read=read.append)
    check(weights, summarize_tensor(ref))
    assert read
    assert ... not in read


def test_file_is_read_in_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "SPAN", 1000)
    for shape in ((123, 70), (7, 50, 11, 13), (9000,), (2, 3, 4000)):
        weights, indices = torch.randn(shape), []
        check(weights, summarize_tensor(ref_of(weights, device="file", before_read=indices.append)))
        assert max(weights[index].numel() for index in indices) <= 1000


def test_memory_mapped(tmp_path) -> None:
    weights = torch.randn(300, 401)
    torch.save(weights, tmp_path / "w.pt")
    check(torch.load(tmp_path / "w.pt", mmap=True, weights_only=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dtype=st.sampled_from([*FLOATS, torch.float8_e4m3fn, torch.int8, torch.int64, torch.bool]),
    shape=st.lists(st.integers(1, 9), min_size=0, max_size=4),
    order=st.randoms(use_true_random=False),
    size=st.integers(1, 300),
    piece=st.integers(1, 3000),
    seed=st.integers(0, 10**6),
)
def test_any_cut_gives_the_same(kernel, dtype, shape, order, size, piece, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = (torch.randn(shape, generator=generator, dtype=torch.float64) * 10).to(dtype)
    axes = list(range(len(shape)))
    order.shuffle(axes)
    weights = weights.permute(axes)
    if weights.ndim:
        weights = weights[:: 1 + seed % 2]
    ref = ref_of(weights)
    for whole in (weights, None):
        # On an accelerator a part is never that small: it has tables of its own.
        found = measured(ref, kernel, whole, size, 4, max(piece, 1000) if kernel == "device" else piece)
        other = summarize_tensor(ref, thumbnail=4)
        assert (found.low, found.high) == (other.min, other.max)
        assert (found.nan, found.zeros) == (other.nan, other.zeros)
        assert found.moments.mean == pytest.approx(other.mean, rel=1e-9, abs=1e-12)
        assert found.moments.std == pytest.approx(other.std, rel=1e-6, abs=1e-12)
        assert found.moments.l1 == pytest.approx(other.l1, rel=1e-6)
        where = np.unravel_index(found.argmin, tuple(weights.shape)) if weights.ndim else ()
        assert tuple(where) == other.argmin
        np.testing.assert_array_equal(found.thumbnail, other.thumbnail)
        if weights.ndim > 1:
            np.testing.assert_allclose(found.row_norms, other.row_norms, rtol=1e-6)
            np.testing.assert_allclose(found.column_norms, other.column_norms, rtol=1e-6)


@pytest.mark.parametrize("size", [0, 1, 7, 64, 100])
@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (129, 257), (64, 64), (3, 4)])
def test_thumbnail_sizes(shape: tuple[int, int], size: int) -> None:
    weights = torch.randn(shape)
    weights[-1, -1] = -50.0
    record = summarize_tensor(ref_of(weights), thumbnail=size)
    check_thumbnail(record, weights.double().numpy().reshape(-1), size)
    if size:
        assert record.thumbnail[-1, -1] == -50.0


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", [(30, 41), (150, 333), (1, 70000)])
@pytest.mark.parametrize("thumbnail", [0, 64])
@pytest.mark.parametrize("freaks", [(), (math.nan, math.inf, -math.inf, math.inf)], ids=["finite", "not all finite"])
def test_norms_may_be_left_out(
    dtype: torch.dtype, shape: tuple[int, int], thumbnail: int, freaks: tuple[float, ...]
) -> None:
    weights = normal(*shape, dtype=dtype)
    places = (0.8 * weights.numel() * torch.rand(len(freaks))).long()
    weights.view(-1)[places] = torch.tensor(freaks, dtype=dtype)
    weights[-1, -5:] = torch.tensor([9.0, -0.0, 0.0, -9.0, 9.0])
    record, other = (summarize_tensor(ref_of(weights), "", thumbnail, norms=norms) for norms in (False, True))
    assert other.row_norms is not None
    assert record.row_norms is None
    assert record.column_norms is None
    assert counts_of(record) == counts_of(other)
    for key in ("min", "max", "argmin", "argmax", "std", "l1", "kurtosis", "finite"):
        assert getattr(record, key) == pytest.approx(getattr(other, key), rel=1e-6), key
    if thumbnail:
        np.testing.assert_array_equal(record.thumbnail, other.thumbnail)
    assert record.quantile(0.3) == other.quantile(0.3)


def test_what_has_no_numbers() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.quantize_per_tensor(torch.randn(100, 100), 0.1, 0, torch.qint8)
    cases = {
        "meta": torch.empty(90, 90, device="meta"),
        "to_dense": torch.eye(90).to_sparse(),
        "dequantize": quantised,
    }
    for remedy, weights in cases.items():
        for part in (weights, weights[:3] if remedy != "to_dense" else torch.eye(3).to_sparse()):
            record = summarize_tensor(ref_of(part))
            assert remedy in record.error
            assert record.count == part.numel()
            assert math.isnan(record.mean)


def test_cancel_between_blocks() -> None:
    weights = torch.randn(4 * fused.FUSED_BLOCK // 1000, 1000)
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    with pytest.raises(Cancelled):
        summarize_tensor(ref_of(weights), cancelled=cancelled)
    assert asked == 3


def test_model_and_threads_are_left_alone() -> None:
    model = torch.nn.Linear(900, 800)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    versions = [parameter._version for parameter in model.parameters()]
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for parameter in model.parameters():
            summarize_tensor(ref_of(parameter))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert [parameter._version for parameter in model.parameters()] == versions
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_blocks_as_large_as_on_an_accelerator(kernel: str, dtype: torch.dtype) -> None:
    weights = normal(1000, 701, dtype=dtype)
    ref = ref_of(weights)
    found = measured(ref, kernel, weights, 1 << 22)
    other = check(weights)
    assert found.moments.kurtosis + 3 == pytest.approx(other.kurtosis + 3, rel=1e-6)
    assert found.moments.l1 == pytest.approx(other.l1, rel=1e-6)
    assert found.sketch.n == other.sketch.n
    assert found.sketch.quantile([0.1, 0.5]) == pytest.approx(other.quantile([0.1, 0.5]), rel=1e-9)
    np.testing.assert_array_equal(found.thumbnail, other.thumbnail)
    np.testing.assert_allclose(found.row_norms, other.row_norms, rtol=1e-6)
    np.testing.assert_allclose(found.column_norms, other.column_norms, rtol=1e-6)


def test_constants_of_compiled_kernels_agree() -> None:
    from weightwidget.summary import compiled_add, compiled_batch  # imported in the background as a rule

    assert fused.SCRATCH >= compiled_add.SCRATCH
    assert (compiled_batch.SMALL, compiled_batch.USUAL) == (SMALL, summed.USUAL)
