"""The answers to the spectrum view, as the front end reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from torch import nn

from tests.threads import one_thread  # noqa: F401 - a fixture for all tests here
from weightwidget import WeightExplorer, spectrum
from weightwidget.summary.cancel import Cancelled
from weightwidget.wire.answers.base import Job
from weightwidget.wire.handlers import SLOW, answer
from weightwidget.wire.protocol.spectrum import NUMBERS


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 12, (3, 2))
        self.fc = nn.Linear(120, 48)
        self.few = nn.Linear(90, 4)
        self.rnn = nn.GRU(14, 22)
        self.broken = nn.Linear(5, 4)
        with torch.no_grad():
            self.fc.weight += 0.02 * torch.outer(torch.randn(48), torch.randn(120))
            self.broken.weight[1, 2] = math.nan


@pytest.fixture(scope="module")
def explorer() -> Iterator[WeightExplorer]:
    torch.manual_seed(1)
    made = WeightExplorer(Net()).wait()
    yield made
    made.close()


def ask(explorer: WeightExplorer, kind: str, tensor: str, **more: Any) -> tuple[dict[str, Any], list[bytes]]:
    return answer(explorer, {"kind": kind, "tensor": tensor, **more})


def floats(buffer: bytes, dtype: Any = np.float64) -> np.ndarray:
    return np.frombuffer(buffer, dtype)


def test_the_slow_ones_have_a_thread_of_their_own():
    assert {"spectrum", "spectrum.shuffled"} <= SLOW
    assert "spectrum.top" not in SLOW


def test_all_numbers_are_those_of_the_public_function(explorer):
    reply, buffers = ask(explorer, "spectrum", "fc.weight")
    expected = spectrum(explorer.ref("fc.weight"))
    assert np.array_equal(floats(buffers[0]), expected.singular_values)
    told = dict(zip(NUMBERS, floats(buffers[1]), strict=True))
    for name in set(NUMBERS) - {"alpha_error", "xmin"}:
        assert told[name] == pytest.approx(getattr(expected, name)), name
    assert (told["xmin"], told["alpha_error"]) == (expected.power_law.xmin, expected.power_law.error)
    assert (reply["rows"], reply["cols"], reply["method"], reply["places"]) == (48, 120, "svd", 1)
    counts = reply["rank"], reply["spikes"], reply["tail"]
    assert counts == (expected.numerical_rank, expected.spikes, expected.alpha_tail)
    assert len(buffers[2]) == 0
    x, density, below = floats(buffers[3]).reshape(3, -1)
    assert below[0] == 0
    assert below[-1] == 1
    # Per decade: its integral over log10 x is one.
    inner = x > 0
    assert trapezoid(density[inner], np.log10(x[inner])) == pytest.approx(1, abs=0.01)


def test_of_a_convolution_the_slices_come_too(explorer):
    reply, buffers = ask(explorer, "spectrum", "conv.weight")
    expected = spectrum(explorer.ref("conv.weight"))
    assert reply["places"] == 6
    assert np.array_equal(floats(buffers[2]), expected.eigenvalues)
    assert len(floats(buffers[2])) == 36
    other, buffers = ask(explorer, "spectrum", "conv.weight", axes={"rows": [1], "cols": [0, 2, 3]}, index=[0] * 4)
    assert (other["rows"], other["cols"], other["places"]) == (6, 72, 1)


def test_small_matrices_have_no_law_of_noise(explorer):
    _, buffers = ask(explorer, "spectrum", "few.weight")
    assert len(buffers[3]) == 0


def test_a_block_is_a_matrix_like_others(explorer):
    _, buffers = ask(explorer, "spectrum", "rnn.weight_hh_l0 › z")
    weights = explorer.source.tensors["rnn.weight_hh_l0"].read()[22:44].double()
    np.testing.assert_allclose(floats(buffers[0]), np.linalg.svd(weights, compute_uv=False), rtol=1e-9)
    reply, _ = ask(explorer, "spectrum.top", "rnn.weight_hh_l0 › z")
    assert reply["init"]["text"] == "PyTorch's default initialisation, U(±0.213)"


def test_the_top_comes_with_vectors(explorer):
    reply, buffers = ask(explorer, "spectrum.top", "fc.weight")
    weights = explorer.source.tensors["fc.weight"].read().double().numpy()
    left, s, right = np.linalg.svd(weights, full_matrices=False)
    np.testing.assert_allclose(floats(buffers[0]), s[:6], rtol=1e-9)
    assert reply["frobenius"] == pytest.approx(np.linalg.norm(weights))
    assert reply["steps"] == [48, 120]
    participation = floats(buffers[2]).reshape(2, 6)
    np.testing.assert_allclose(participation[0], 1 / (left[:, :6] ** 4).sum(0), rtol=1e-5)
    np.testing.assert_allclose(participation[1], 1 / (right[:6] ** 4).sum(1), rtol=1e-5)
    low, high = floats(buffers[3], np.float32).reshape(2, 6, 48)
    assert np.array_equal(low, high)
    sign = np.sign((low[0] * left[:, 0]).sum())
    np.testing.assert_allclose(low[0], sign * left[:, 0], atol=1e-5)
    columns = floats(buffers[4], np.float32).reshape(2, 6, 120)[0]
    np.testing.assert_allclose(columns[0], sign * right[0], atol=1e-5)
    places = floats(buffers[5], np.int32).reshape(6, -1)
    assert places[0, 0] == np.abs(left[:, 0]).argmax()
    assert floats(buffers[8], np.float32).reshape(6, -1)[0, 0] == pytest.approx(columns[0][np.abs(right[0]).argmax()])


def test_the_initialiser_comes_with_its_spectrum(explorer):
    reply, buffers = ask(explorer, "spectrum.top", "fc.weight")
    assert reply["init"]["certain"]
    assert reply["init"]["std"] == pytest.approx(1 / math.sqrt(3 * 120))
    ranks, values = floats(buffers[9]), floats(buffers[10])
    assert (ranks[0], ranks[-1]) == (0, 48)
    fresh = np.linalg.svd(nn.Linear(120, 48).weight.detach().double(), compute_uv=False)
    np.testing.assert_allclose(np.interp(np.arange(48) + 0.5, ranks, values), fresh, atol=0.08 * fresh[0])


def test_shuffled_weights(explorer):
    reply, buffers = ask(explorer, "spectrum.shuffled", "fc.weight")
    assert reply == {"kind": "spectrum.shuffled"}
    norm = np.linalg.norm(explorer.source.tensors["fc.weight"].read().double())
    assert np.linalg.norm(floats(buffers[0])) == pytest.approx(norm)
    assert ask(explorer, "spectrum.top", "fc.weight")[0]["shuffles"] is True


@pytest.mark.parametrize("kind", ["spectrum", "spectrum.top"])
def test_what_has_none_says_why(explorer, kind):
    with pytest.raises(ValueError, match="1 NaN: a spectrum needs finite weights"):
        ask(explorer, kind, "broken.weight")
    with pytest.raises(ValueError, match=r"fc.bias has shape \[48\]"):
        ask(explorer, kind, "fc.bias")
    with pytest.raises(KeyError, match="there is no tensor 'nothing'"):
        ask(explorer, kind, "nothing")


@pytest.mark.parametrize("kind", ["spectrum", "spectrum.top", "spectrum.shuffled"])
def test_it_stops_when_nobody_waits(explorer, kind):
    with pytest.raises(Cancelled):
        answer(explorer, {"kind": kind, "tensor": "fc.weight"}, Job(cancelled=lambda: True))


def test_what_takes_long_is_told_before_it_is_begun(explorer, monkeypatch):
    monkeypatch.setattr("weightwidget.wire.answers.spectrum.seconds", lambda rows, cols: 30.0)
    assert ask(explorer, "spectrum.top", "fc.weight")[0]["seconds"] == 30
    monkeypatch.setattr("weightwidget.wire.answers.spectrum.GRAM_SIDE", 40)
    reply, _ = ask(explorer, "spectrum.top", "fc.weight")
    assert reply["seconds"] is None
    assert "up to 40" in reply["why_not"]


def test_progress_is_reported(explorer, monkeypatch):
    monkeypatch.setattr("weightwidget.detail.singular.AT_ONCE", 100)
    monkeypatch.setattr("weightwidget.detail.singular.BLOCK", 480)
    monkeypatch.setattr("weightwidget.wire.answers.spectrum.PAUSE", 0)
    shares: list[float] = []
    answer(explorer, {"kind": "spectrum", "tensor": "fc.weight"}, Job(report=shares.append))
    assert len(shares) > 1
    assert shares == sorted(shares)
