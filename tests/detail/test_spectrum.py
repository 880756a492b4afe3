"""Singular values and what is read from them, against NumPy and against what WeightWatcher 0.7.7 gave."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.summary.stub import ref_of
from tests.threads import one_thread  # noqa: F401 - a fixture for all tests here
from weightwidget import WeightExplorer, spectrum
from weightwidget.detail.singular import NonFiniteError, method_for, seconds
from weightwidget.detail.spectrum import LEAST_EIGENVALUE, fit_power_law
from weightwidget.summary.cancel import Cancelled


def matrix(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(30, 70), (70, 30), (24, 6, 5), (12, 8, 3, 5)])
def test_norms_and_ranks_by_their_definitions(shape):
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = spectrum(weights)
    flat = weights.double().numpy().reshape(shape[0], -1)
    s = np.linalg.svd(flat, compute_uv=False)
    np.testing.assert_allclose(found.singular_values, s, rtol=1e-9)
    assert found.shape == flat.shape
    assert found.spectral_norm == pytest.approx(np.linalg.norm(flat, 2))
    assert found.frobenius_norm == pytest.approx(np.linalg.norm(flat))
    assert found.stable_rank == pytest.approx((flat**2).sum() / s[0] ** 2)
    p = s / s.sum()
    assert found.effective_rank == pytest.approx(math.exp(-(p * np.log(p)).sum()))
    assert found.condition_number == pytest.approx(np.linalg.cond(flat))
    assert found.numerical_rank == torch.linalg.matrix_rank(weights.reshape(shape[0], -1)).item()


def test_a_reference_an_array_and_a_tensor_are_the_same():
    weights = matrix(20, 33)
    expected = spectrum(weights).singular_values
    np.testing.assert_array_equal(spectrum(weights.numpy()).singular_values, expected)
    np.testing.assert_array_equal(spectrum(ref_of(weights, "w")).singular_values, expected)


def test_the_rank_of_a_product_shows():
    low = matrix(60, 4) @ matrix(4, 90, 1)
    found = spectrum(low)
    assert found.numerical_rank == 4
    assert found.effective_rank < 4.01


def test_the_stored_type_decides_what_counts_as_zero():
    weights = torch.diag(torch.tensor([1.0, 1e-3, 1e-3]))
    assert spectrum(weights).numerical_rank == 3
    assert spectrum(weights.bfloat16()).numerical_rank == 1


def test_of_zeros_nothing_is_claimed():
    found = spectrum(torch.zeros(12, 15))
    assert found.spectral_norm == 0
    assert math.isnan(found.stable_rank)
    assert math.isnan(found.effective_rank)
    assert math.isnan(found.condition_number)
    assert math.isnan(found.alpha)
    assert found.numerical_rank == found.spikes == found.alpha_tail == 0


def test_a_singular_matrix_has_an_infinite_condition_number():
    assert spectrum(torch.diag(torch.tensor([2.0, 1.0, 0.0]))).condition_number == math.inf


@pytest.mark.parametrize("shape", [(200, 200), (120, 480), (480, 60)])
def test_the_edge_of_noise_is_that_of_marchenko_and_pastur(shape):
    noise = 0.3 * matrix(*shape)
    found = spectrum(noise)
    assert found.noise == pytest.approx(0.3, rel=0.05)
    assert found.mp_edge == pytest.approx(0.3 * (math.sqrt(shape[0]) + math.sqrt(shape[1])), rel=0.05)
    assert found.spikes == 0


def test_what_stands_out_of_the_noise_is_counted():
    noise = matrix(150, 400)
    left, right = torch.linalg.qr(matrix(150, 5, 1)).Q, torch.linalg.qr(matrix(400, 5, 2)).Q
    assert spectrum(noise + 60 * left @ right.T).spikes == 5


def test_small_matrices_are_not_compared_with_noise():
    found = spectrum(matrix(9, 400))
    assert math.isnan(found.mp_edge)
    assert found.spikes == 0


def naive_fit(values: np.ndarray) -> tuple[float, float, int]:
    """WeightWatcher's recipe, step by step."""
    x = sorted(value for value in values.tolist() if value > LEAST_EIGENVALUE)
    few = len(x) < 20
    best = (math.nan, math.inf, 0)
    for first in range(len(x) - (7 if few else 1)):
        tail = x[first:]
        n = len(tail)
        spread = sum(math.log(value / tail[0]) for value in tail)
        if spread <= 0:
            continue
        alpha = 1 + (n - 1 if few else n) / spread
        distance = max(abs(1 - (value / tail[0]) ** (1 - alpha) - place / n) for place, value in enumerate(tail))
        if distance < best[1]:
            best = (alpha, distance, n)
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 60), st.integers(0, 10_000), st.sampled_from(["pareto", "lognormal"]))
def test_the_power_law_is_found_by_the_recipe(count, seed, kind):
    rng = np.random.default_rng(seed)
    values = rng.pareto(2.5, count) + 1 if kind == "pareto" else rng.lognormal(0, 1, count)
    found = fit_power_law(values)
    alpha, distance, tail = naive_fit(values)
    assert found.alpha == pytest.approx(alpha, rel=1e-6)
    assert found.distance == pytest.approx(distance, rel=1e-6)
    assert found.tail == tail


def test_a_true_power_law_gives_its_exponent():
    values = np.random.default_rng(0).pareto(1.7, 4000) + 1
    assert fit_power_law(values).alpha == pytest.approx(2.7, abs=0.15)


@pytest.mark.parametrize("values", [[], [1.0] * 7, [3.0] * 40, [1e-9] * 50])
def test_too_few_or_equal_values_have_no_power_law(values):
    found = fit_power_law(values)
    assert math.isnan(found.alpha)
    assert found.tail == 0


def test_a_convolution_pools_the_places_of_its_kernel():
    weights = torch.randn(14, 11, 3, 2, generator=torch.Generator().manual_seed(5))
    slices = [
        0.5 * np.linalg.svd(weights[:, :, i, j].double().numpy(), compute_uv=False) ** 2
        for i in range(3)
        for j in range(2)
    ]
    np.testing.assert_allclose(spectrum(weights).eigenvalues, np.sort(np.concatenate(slices)), rtol=1e-9)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (torch.ones(5), ValueError, r"shape \[5\]"),
        (torch.tensor([[1.0, math.nan]]), ValueError, "finite weights"),
        (torch.ones(2, 3, dtype=torch.complex64), TypeError, "no order"),
    ],
)
def test_what_has_no_spectrum_says_why(weights, error, message):
    with pytest.raises(error, match=message):
        spectrum(weights)


@pytest.mark.parametrize("shape", [(230, 61), (61, 230), (120, 120), (1, 40), (40, 1)])
@pytest.mark.parametrize("method", ["svd", "qr", "gram"])
def test_all_ways_give_the_same(shape, method, monkeypatch):
    monkeypatch.setattr("weightwidget.detail.singular.BLOCK", 700)
    weights = matrix(*shape)
    found = spectrum(weights, method=method)
    s = np.linalg.svd(weights.double().numpy(), compute_uv=False)
    assert found.method == method
    np.testing.assert_allclose(found.singular_values, s, rtol=1e-9)


def test_the_size_chooses_the_way():
    assert method_for(1536, 384) == "svd"
    assert method_for(30522, 384) == "qr"
    assert method_for(8192, 4096) == "gram"


def with_values(rows: int, columns: int, values: np.ndarray) -> torch.Tensor:
    """A float64 matrix with these singular values."""
    left = torch.linalg.qr(torch.randn(rows, len(values), dtype=torch.float64, generator=seeded(1))).Q
    right = torch.linalg.qr(torch.randn(columns, len(values), dtype=torch.float64, generator=seeded(2))).Q
    return left * torch.from_numpy(values) @ right.T


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("method", ["svd", "qr"])
def test_small_singular_values_are_resolved(method):
    values = np.logspace(0, -12, 40)
    found = spectrum(with_values(90, 40, values), method=method)
    np.testing.assert_allclose(found.singular_values, values, rtol=1e-3)
    assert found.condition_number == pytest.approx(1e12, rel=1e-3)
    assert not found.condition_is_limited
    assert not found.rank_is_limited


def test_what_a_gram_matrix_loses_is_said():
    weights = with_values(90, 40, np.logspace(0, -12, 40))
    found = spectrum(weights, method="gram")
    s = np.linalg.svd(weights.numpy(), compute_uv=False)
    kept = s > found.resolution
    np.testing.assert_allclose(found.singular_values[kept], s[kept], atol=0.2 * found.resolution)
    assert found.resolution == pytest.approx(8.4e-8, rel=0.01)
    assert found.numerical_rank == kept.sum() == 23
    assert found.rank_is_limited
    assert found.condition_is_limited
    assert found.condition_number == pytest.approx(1 / found.resolution)
    assert found.condition_number < np.linalg.cond(weights.numpy())
    # What float32 stores is coarser than what is lost.
    stored = spectrum(weights.float(), method="gram")
    assert not stored.rank_is_limited
    assert stored.numerical_rank == torch.linalg.matrix_rank(weights.float()).item()


def test_a_resolution_holds_back_what_rounding_made():
    product = matrix(300, 5).double() @ matrix(5, 200, 1).double()
    found = spectrum(product, method="gram")
    assert (found.singular_values > found.resolution).sum() == 5
    assert found.numerical_rank == 5


@pytest.mark.parametrize("scale", [1e-307, 1e-200, 1e200, 1e306])
@pytest.mark.parametrize("method", ["svd", "qr", "gram"])
def test_the_scale_of_the_weights_does_not_matter(scale, method):
    plain = matrix(40, 25).double()
    found, expected = spectrum(plain * scale, method=method), spectrum(plain, method=method)
    np.testing.assert_allclose(found.singular_values, expected.singular_values * scale, rtol=1e-9)
    assert found.frobenius_norm == pytest.approx(expected.frobenius_norm * scale)
    for name in ("stable_rank", "effective_rank", "condition_number"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name))


@pytest.mark.parametrize("dtype", [torch.int8, torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.bool])
def test_any_real_type_is_taken_as_the_numbers_that_it_holds(dtype):
    weights = (20 * matrix(31, 24)).clamp(-100, 100).to(dtype)
    s = np.linalg.svd(weights.to(torch.float64).numpy(), compute_uv=False)
    np.testing.assert_allclose(spectrum(weights).singular_values, s, rtol=1e-9, atol=1e-9)


def test_axes_and_index_choose_the_matrix():
    stacked = torch.randn(3, 12, 17, generator=seeded(4))
    found = spectrum(stacked, {"rows": [2], "cols": [1]}, [1, 0, 0])
    assert found.shape == (17, 12)
    np.testing.assert_allclose(found.singular_values, np.linalg.svd(stacked[1].double(), compute_uv=False), rtol=1e-9)
    kernel = torch.randn(6, 5, 3, 3, generator=seeded(5))
    turned = spectrum(kernel, {"rows": [1], "cols": [0, 2, 3]})
    flat = kernel.permute(1, 0, 2, 3).reshape(5, -1).double()
    np.testing.assert_allclose(turned.singular_values, np.linalg.svd(flat, compute_uv=False), rtol=1e-9)
    assert turned.places == 1
    with pytest.raises(ValueError, match="no axis 5"):
        spectrum(stacked, {"rows": [0], "cols": [5]})


def test_the_window_of_a_kernel_can_be_named():
    keras = torch.randn(3, 2, 11, 14, generator=seeded(6))
    torch_layout = keras.permute(3, 2, 0, 1).contiguous()
    np.testing.assert_allclose(
        spectrum(keras, spatial=(0, 1)).eigenvalues, spectrum(torch_layout).eigenvalues, rtol=1e-9
    )
    assert spectrum(keras, spatial=(0, 1)).places == 6


def test_a_block_has_a_spectrum_of_its_own():
    lstm = torch.nn.LSTM(12, 20)
    explorer = WeightExplorer(lstm)
    ref = explorer.ref("weight_ih_l0 › f")
    assert ref is not None
    forget = lstm.weight_ih_l0.detach()[20:40].double()
    np.testing.assert_allclose(spectrum(ref).singular_values, np.linalg.svd(forget, compute_uv=False), rtol=1e-9)
    explorer.close()


def test_a_value_that_rounding_made_is_no_spike():
    # The median singular value of a matrix of low rank is rounding, and so would be the edge of its noise.
    found = spectrum(matrix(80, 3) @ matrix(3, 100, 1))
    assert found.spikes == found.numerical_rank == 3


def test_weights_that_are_not_finite_are_counted():
    weights = matrix(20, 30)
    weights[3, 4] = weights[5, 6] = weights[0, 0] = math.nan
    weights[7, 7] = -math.inf
    with pytest.raises(NonFiniteError, match=r"^3 NaN and 1 infinite weight: a spectrum needs finite weights"):
        spectrum(weights)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_of_no_weights_there_is_no_spectrum(shape):
    with pytest.raises(ValueError, match="no singular values"):
        spectrum(torch.zeros(shape))


def test_on_the_meta_device_there_are_no_values():
    with pytest.raises(ValueError, match="meta device"):
        spectrum(ref_of(torch.empty(4, 5, device="meta"), "w"))


@pytest.mark.parametrize("method", ["qr", "gram"])
def test_progress_grows_and_work_stops_when_nobody_waits(method, monkeypatch):
    monkeypatch.setattr("weightwidget.detail.singular.BLOCK", 2000)
    weights, shares = matrix(500, 40), []
    spectrum(weights, method=method, progress=shares.append)
    assert len(shares) > 5
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1
    told: list[float] = []
    with pytest.raises(Cancelled):
        spectrum(weights, method=method, progress=told.append, cancelled=lambda: len(told) >= 3)
    assert len(told) == 3


def test_the_last_step_can_be_left(monkeypatch):
    monkeypatch.setattr("weightwidget.detail.singular.seconds", lambda *_: 100.0)
    monkeypatch.setattr("weightwidget.detail.singular.TICK", 0.01)
    entered, left = threading.Event(), threading.Event()

    def decompose(_: torch.Tensor) -> torch.Tensor:
        entered.set()
        left.wait(20)
        return torch.ones(3)

    monkeypatch.setattr(torch.linalg, "svdvals", decompose)
    shares: list[float] = []
    with pytest.raises(Cancelled):
        spectrum(matrix(5, 3), progress=shares.append, cancelled=lambda: entered.is_set() and len(shares) > 2)
    left.set()
    assert shares == sorted(shares)


def test_a_matrix_that_is_too_large_is_refused_with_its_size():
    large = torch.empty(1, 1).expand(20_000, 20_000)
    with pytest.raises(ValueError, match=r"20000 × 20000 matrix would need 3 GB"):
        spectrum(large)


def test_longer_work_is_expected_to_take_longer():
    assert 0 < seconds(64, 64) < seconds(1024, 512) < seconds(30522, 768) < seconds(32000, 4096)
    assert seconds(300, 2000) == seconds(2000, 300)


def test_the_fit_stops_when_nobody_waits():
    with pytest.raises(Cancelled):
        fit_power_law(np.linspace(1, 9, 50), cancelled=lambda: True)


def test_the_exponent_has_a_standard_error():
    law = fit_power_law(np.random.default_rng(1).pareto(1.7, 500) + 1)
    assert law.error == pytest.approx((law.alpha - 1) / math.sqrt(law.tail))
    assert math.isnan(fit_power_law([]).error)
