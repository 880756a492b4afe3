"""Filters against NumPy and SciPy in float64, on every layout."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import linkage
from torch import nn
from torch.nn import functional

from weightwidget.detail import filters as module
from weightwidget.detail.filters import (
    FilterLayout,
    channel_norms,
    chunks,
    cosines,
    filter_norms,
    pictures,
)
from weightwidget.detail.frequency import GRID, frequencies
from weightwidget.detail.similarity import average_linkage, leaf_order, similarity
from weightwidget.sources import open_weights
from weightwidget.sources.base import TensorRef
from weightwidget.summary.cancel import Cancelled


def ref_of(weight: torch.Tensor) -> TensorRef:
    return open_weights({"w": weight}).tensors["w"]


def torch_layout(weight: torch.Tensor, groups: int = 1) -> FilterLayout:
    return FilterLayout(tuple(weight.shape), 0, 1, tuple(range(2, weight.ndim)), groups)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(3)


def responses(layer: nn.Module, channels: int, groups: int) -> np.ndarray:
    """The filters (out, in / groups, ...) as the layer itself shows them, by what single pixels give."""
    ndim = layer.weight.ndim - 2
    kernel = layer.kernel_size
    found = []
    for channel in range(channels):
        pixel = torch.zeros(1, channels, *[2 * size - 1 for size in kernel], dtype=torch.float64)
        pixel[(0, channel, *[size - 1 for size in kernel])] = 1.0
        with torch.no_grad():
            answer = layer(pixel)[0] - layer.bias[(slice(None), *[None] * ndim)]
        if isinstance(layer, nn.modules.conv._ConvTransposeNd):
            answer = answer[(slice(None), *[slice(size - 1, 2 * size - 1) for size in kernel])]
        else:
            answer = answer.flip(tuple(range(1, ndim + 1)))
        found.append(answer.numpy())
    every = np.stack(found, 1)  # (out, in, kernel)
    outputs = every.shape[0]
    each, reads = outputs // groups, channels // groups
    return np.stack([every[o, o // each * reads : (o // each + 1) * reads] for o in range(outputs)])


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kernel", [(5,), (3, 4), (2, 3, 4)])
def test_filters_are_what_the_layer_computes_with(groups, transposed, kernel):
    kind = getattr(nn, f"Conv{'Transpose' if transposed else ''}{len(kernel)}d")
    layer = kind(6, 12, kernel, groups=groups).double()
    outputs, inputs = (1, 0) if transposed else (0, 1)
    layout = FilterLayout(
        tuple(layer.weight.shape), outputs, inputs, tuple(range(2, len(kernel) + 2)), groups, all_inputs=transposed
    )
    expected = responses(layer, 6, groups)
    assert (layout.filters, layout.channels, layout.kernel) == (12, 6 // groups, kernel)
    ref = ref_of(layer.weight)
    np.testing.assert_allclose(layout.read(ref, 0, 12).detach().numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(layout.read(ref, 5, 8).detach().numpy(), expected[5:8], atol=1e-12)
    some = layout.read(ref, 4, 11, (0, 1)).detach().numpy()
    np.testing.assert_allclose(some, expected[4:11, :1], atol=1e-12)
    # The other way round: what each input writes, kernel by kernel.
    turned = layout.by_input
    assert (turned.filters, turned.channels) == (6, 12 // groups)
    whole = turned.read(ref, 0, 6).numpy()
    for channel in range(6):
        group = channel // (6 // groups)
        for place in range(12 // groups):
            out = group * (12 // groups) + place
            np.testing.assert_allclose(whole[channel, place], expected[out, channel % (6 // groups)], atol=1e-12)


def test_keras_layouts():
    kernel = torch.randn(3, 4, 5, 8)  # (kh, kw, in, out)
    layout = FilterLayout((3, 4, 5, 8), 3, 2, (0, 1))
    np.testing.assert_array_equal(layout.read(ref_of(kernel), 2, 7), kernel.permute(3, 2, 0, 1)[2:7])
    # Depthwise (kh, kw, in, multiplier): output c * m + j reads channel c with kernel [..., c, j].
    depthwise = FilterLayout((3, 4, 5, 2), 3, 2, (0, 1), groups=5, all_inputs=True)
    weight = torch.randn(3, 4, 5, 2)
    assert (depthwise.filters, depthwise.channels) == (10, 1)
    found = depthwise.read(ref_of(weight), 3, 8)
    for place, number in enumerate(range(3, 8)):
        np.testing.assert_array_equal(found[place, 0], weight[..., number // 2, number % 2])


def test_patches_are_unfolded():
    weight = torch.randn(7, 4 * 4 * 3)
    layout = FilterLayout((7, 4, 4, 3), 0, 3, (1, 2))
    expected = weight.reshape(7, 4, 4, 3).permute(0, 3, 1, 2)
    np.testing.assert_array_equal(layout.read(ref_of(weight), 2, 6), expected[2:6])
    np.testing.assert_array_equal(layout.read(ref_of(weight), 2, 6, (1, 2)), expected[2:6, 1:2])
    np.testing.assert_array_equal(layout.by_input.read(ref_of(weight), 1, 3), expected.transpose(0, 1)[1:3])


def test_wrong_layouts_are_refused():
    with pytest.raises(ValueError, match="each once"):
        FilterLayout((4, 3, 5, 5), 0, 0, (2, 3))
    with pytest.raises(ValueError, match="groups"):
        FilterLayout((4, 3, 5, 5), 0, 1, (2, 3), groups=3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("chunk", [20, 1 << 20])
def test_norms(monkeypatch, dtype, chunk):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    weight = torch.randn(9, 4, 3, 5).to(dtype)
    found = filter_norms(ref_of(weight), torch_layout(weight))
    wide = weight.double().numpy()
    np.testing.assert_allclose(found.norms, np.linalg.norm(wide.reshape(9, -1), axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.absmax, np.abs(wide).max((1, 2, 3)))
    assert found.mean_limit == pytest.approx(np.abs(wide.mean(1)).max(), rel=1e-12)
    assert found.norm_limit == pytest.approx(np.linalg.norm(wide, axis=1).max(), rel=1e-12)
    np.testing.assert_allclose(
        channel_norms(ref_of(weight), torch_layout(weight), 5),
        np.linalg.norm(wide[5].reshape(4, -1), axis=1),
        rtol=1e-12,
    )


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_norms_of_tiny_and_huge_weights(scale):
    weight = torch.randn(4, 2, 3, 3, dtype=torch.float64)
    found = filter_norms(ref_of(weight * scale), torch_layout(weight))
    np.testing.assert_allclose(found.norms / scale, np.linalg.norm(weight.reshape(4, -1), axis=1), rtol=1e-12)
    assert found.norm_limit / scale == pytest.approx(np.linalg.norm(weight.numpy(), axis=1).max(), rel=1e-12)


def test_non_finite_weights_are_counted_and_left_out():
    weight = torch.ones(3, 2, 2, 2)
    weight[1, 0, 0, 0], weight[1, 1, 1, 1] = math.nan, -math.inf
    found = filter_norms(ref_of(weight), torch_layout(weight))
    assert found.nonfinite.tolist() == [0, 2, 0]
    np.testing.assert_allclose(found.norms, np.sqrt([8, 6, 8]))
    alike = cosines(ref_of(weight), torch_layout(weight), 0)
    assert math.isnan(alike[1])
    assert alike[2] == pytest.approx(1.0)


def test_pictures():
    weight = torch.randn(11, 4, 3, 5)
    ref, layout, wide = ref_of(weight), torch_layout(weight), weight.double().numpy()
    numbers = [7, 2, 3, 4, 10, 0]
    one, none = pictures(ref, layout, "channel", numbers, (2, 3))
    np.testing.assert_array_equal(one, weight.numpy()[numbers, 2])
    assert none is None
    some, _ = pictures(ref, layout, "all", numbers, (1, 3))
    np.testing.assert_array_equal(some, weight.numpy()[numbers][:, 1:3])
    mean, _ = pictures(ref, layout, "mean", numbers)
    np.testing.assert_allclose(mean, wide[numbers].mean(1), rtol=1e-6)
    norm, _ = pictures(ref, layout, "norm", numbers)
    np.testing.assert_allclose(norm, np.linalg.norm(wide[numbers], axis=1), rtol=1e-6)
    largest, chosen = pictures(ref, layout, "largest", numbers)
    at = np.linalg.norm(wide[numbers].reshape(6, 4, -1), axis=2).argmax(1)
    assert chosen is not None
    np.testing.assert_array_equal(chosen, at)
    np.testing.assert_array_equal(largest, weight.numpy()[numbers, at])


def test_pictures_in_small_stretches_are_the_same(monkeypatch):
    weight = torch.randn(13, 2, 3, 3)
    numbers = list(range(1, 13))
    whole, _ = pictures(ref_of(weight), torch_layout(weight), "all", numbers, (0, 2))
    monkeypatch.setattr(module, "_CHUNK", 40)
    parts, _ = pictures(ref_of(weight), torch_layout(weight), "all", numbers, (0, 2))
    np.testing.assert_array_equal(whole, parts)


def test_pictures_beyond_float32_are_its_largest():
    weight = torch.full((1, 1, 1, 3), 1e300, dtype=torch.float64)
    weight[..., 1], weight[..., 2] = -math.inf, math.nan
    drawn, _ = pictures(ref_of(weight), torch_layout(weight), "channel", [0])
    assert drawn[0, 0, 0] == np.finfo(np.float32).max
    assert drawn[0, 0, 1] == -math.inf
    assert math.isnan(drawn[0, 0, 2])


@pytest.mark.parametrize(
    ("mode", "numbers", "channels", "what"),
    [
        ("channel", [9], (0, 1), "no filter 9"),
        ("channel", [-1], (0, 1), "no filter -1"),
        ("channel", [0], (2, 3), "no channels"),
        ("all", [0], (1, 1), "no channels"),
        ("colour", [0], (0, 1), "cannot be drawn"),
        ("all", [0] * 300_000, (0, 2), "too many"),
    ],
)
def test_wrong_requests_are_refused(mode, numbers, channels, what):
    weight = torch.randn(4, 2, 3, 3)
    with pytest.raises(ValueError, match=what):
        pictures(ref_of(weight), torch_layout(weight), mode, numbers, channels)


def test_cosines():
    weight = torch.randn(9, 3, 2, 4)
    weight[4] = 0
    found = cosines(ref_of(weight), torch_layout(weight), 2)
    for other in range(9):
        if other == 4:
            assert math.isnan(found[other])
        else:
            expected = functional.cosine_similarity(weight[2].double().ravel(), weight[other].double().ravel(), dim=0)
            assert found[other] == pytest.approx(float(expected), abs=1e-12)
    with pytest.raises(ValueError, match="no filter 9"):
        cosines(ref_of(weight), torch_layout(weight), 9)


def slow_frequency(kernels: np.ndarray) -> tuple[float, float, float]:
    """Of one filter (channels, height, width), by a padded transform of each channel."""
    centred = kernels - kernels.mean((1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(centred, (GRID, GRID))) ** 2).sum(0)
    down, right = np.meshgrid(np.fft.fftfreq(GRID), np.fft.fftfreq(GRID), indexing="ij")
    half = (right > 0) | ((right == 0) & (down > 0)) | (right == -0.5)
    at = np.unravel_index(np.where(half, power, -1).argmax(), power.shape)
    angle = np.arctan2(down, right)
    stripes = (90 - np.degrees(angle[at])) % 180
    return np.hypot(down, right)[at], stripes, np.abs((power * np.exp(2j * angle)).sum()) / power.sum()


@pytest.mark.parametrize("shape", [(7, 1, 7, 7), (6, 4, 3, 5), (5, 3, 9, 9), (3, 2, 40, 36)])
def test_frequencies(shape):
    weight = torch.randn(shape)
    found = frequencies(ref_of(weight), torch_layout(weight))
    for number, kernels in enumerate(weight.double().numpy()):
        frequency, stripes, coherence = slow_frequency(kernels)
        assert found.frequency[number] == pytest.approx(frequency)
        assert found.orientation[number] == pytest.approx(stripes)
        assert found.coherence[number] == pytest.approx(coherence, rel=1e-9)


@pytest.mark.parametrize(("angle", "expected"), [(0, 90), (45, 135), (90, 0), (135, 45)])
def test_direction_and_frequency_of_gratings(angle, expected):
    """A wave that runs to the right has vertical stripes; rows go down, angles up."""
    rows, columns = np.mgrid[:15, :15].astype(float)
    along = columns * np.cos(np.radians(angle)) + rows * np.sin(np.radians(angle))
    wave = np.cos(2 * np.pi * 0.2 * along) * np.exp(-((rows - 7) ** 2 + (columns - 7) ** 2) / 20)
    weight = torch.from_numpy(wave)[None, None]
    found = frequencies(ref_of(weight), torch_layout(weight))
    assert found.frequency[0] == pytest.approx(0.2, abs=0.02)
    # Along a wave of 45 degrees rows and columns grow together: its stripes rise to the right.
    assert found.orientation[0] == pytest.approx({0: 90, 45: 45, 90: 0, 135: 135}[angle], abs=3)
    assert found.coherence[0] > 0.9


def test_frequencies_in_one_and_three_dimensions():
    line = torch.cos(2 * math.pi * 0.25 * torch.arange(16.0))[None, None]
    found = frequencies(ref_of(line), torch_layout(line))
    assert found.frequency[0] == pytest.approx(0.25, abs=0.02)
    assert math.isnan(found.orientation[0])
    weight = torch.randn(4, 2, 3, 5, 5)
    found = frequencies(ref_of(weight), torch_layout(weight))
    slices = weight.reshape(4, 6, 5, 5)
    flat = frequencies(ref_of(slices), torch_layout(slices))
    np.testing.assert_array_equal(found.frequency, flat.frequency)
    np.testing.assert_array_equal(found.orientation, flat.orientation)


def test_no_frequency_without_a_pattern():
    weight = torch.randn(4, 2, 3, 3)
    weight[0] = 0.3
    weight[1] = 0
    weight[2, 0, 0, 0] = math.nan
    found = frequencies(ref_of(weight), torch_layout(weight))
    assert np.isnan(found.frequency).tolist() == [True, True, True, False]
    assert np.isnan(found.coherence).tolist() == [True, True, True, False]
    point = torch.randn(4, 2, 1, 1)
    assert np.isnan(frequencies(ref_of(point), torch_layout(point)).frequency).all()


@pytest.mark.parametrize("shape", [(9, 3, 5, 4), (300, 2, 3, 3)])
def test_correlation_of_neighbours(shape):
    weight = torch.randn(shape)
    weight[..., 1:] += 0.8 * weight[..., :-1]
    kernels = weight.double().numpy()
    kernels = kernels - kernels.mean((2, 3), keepdims=True)
    first = np.concatenate([kernels[..., :-1].ravel(), kernels[..., :-1, :].ravel()])
    second = np.concatenate([kernels[..., 1:].ravel(), kernels[..., 1:, :].ravel()])
    expected = (first @ second) / np.linalg.norm(first) / np.linalg.norm(second)
    found = frequencies(ref_of(weight), torch_layout(weight))
    assert found.neighbours == pytest.approx(expected, rel=1e-9)


def test_copies_and_their_signs():
    weight = torch.randn(12, 3, 3, 3)
    weight[5] = 2.5 * weight[2]
    weight[9] = -0.1 * weight[2]
    weight[7] = 0
    weight[11] = weight[4] + 1e-3 * torch.randn(3, 3, 3)
    found = similarity(ref_of(weight), torch_layout(weight))
    assert found.copy_of.tolist() == [-1, -1, 2, -1, 4, 2, -1, -1, -1, 2, -1, 4]
    np.testing.assert_allclose(found.copy_cosine[[2, 5, 9, 4]], [1, 1, -1, 1], atol=1e-6)
    assert found.copy_cosine[11] > 0.999
    assert sorted(found.order.tolist()) == list(range(12))
    assert found.order[-1] == 7
    order = found.order.tolist()
    places = sorted(order.index(number) for number in (2, 5, 9))
    assert places[2] - places[0] == 2


def test_copies_by_way_of_others_are_one_family():
    base = torch.randn(27, dtype=torch.float64)
    across = torch.randn(27, dtype=torch.float64)
    base = base / base.norm()
    across = across - (across @ base) * base
    across /= across.norm()
    angles = torch.tensor([0.0, 0.08, 0.04])  # the third joins the first two, which are no copies themselves
    weight = torch.stack([math.cos(a) * base + math.sin(a) * across for a in angles]).reshape(3, 3, 3, 3)
    assert similarity(ref_of(weight), torch_layout(weight)).copy_of.tolist() == [0, 0, 0]
    assert similarity(ref_of(weight[:2]), torch_layout(weight[:2])).copy_of.tolist() == [-1, -1]


def test_no_copies_among_small_filters_nor_across_groups():
    small = torch.randn(6, 2, 2, 2)
    small[3] = small[1]
    assert (similarity(ref_of(small), torch_layout(small)).copy_of == -1).all()
    grouped = torch.randn(6, 2, 3, 3)
    grouped[3] = grouped[0]
    grouped[5] = grouped[4]
    assert similarity(ref_of(grouped), torch_layout(grouped, 2)).copy_of.tolist() == [-1, -1, -1, -1, 4, 4]
    assert similarity(ref_of(grouped), torch_layout(grouped, 1)).copy_of.tolist() == [0, -1, -1, 0, 4, 4]


@pytest.mark.parametrize("count", [2, 3, 17, 60])
def test_average_linkage_is_that_of_scipy(count):
    points = np.random.default_rng(count).normal(size=(count, 4))
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(2))
    expected = linkage(distance[np.triu_indices(count, 1)], "average")
    members: dict[int, frozenset[int]] = {number: frozenset([number]) for number in range(count)}
    found = {
        members.setdefault(new, members[one] | members[other]) for one, other, new in average_linkage(distance.copy())
    }
    theirs: dict[int, frozenset[int]] = {number: frozenset([number]) for number in range(count)}
    for step, (one, other, _, _) in enumerate(expected):
        theirs[count + step] = theirs[int(one)] | theirs[int(other)]
    assert found == {theirs[count + step] for step in range(count - 1)}


def test_leaf_order_puts_similar_ones_side_by_side():
    angles = np.random.default_rng(0).permutation(np.linspace(0, 1.4, 40))
    table = np.cos(angles[:, None] - angles[None]).astype(np.float32)
    order = leaf_order(table)
    steps = np.abs(np.diff(angles[order]))
    assert sorted(order.tolist()) == list(range(40))
    # A path through points of a line that is not much longer than the line.
    assert steps.sum() < 2 * 1.4


def test_tables_in_stretches_are_the_same(monkeypatch):
    weight = torch.randn(20, 3, 3, 3)
    whole = similarity(ref_of(weight), torch_layout(weight))
    monkeypatch.setattr("weightwidget.detail.similarity._STRETCH", 100)
    shares: list[float] = []
    parts = similarity(ref_of(weight), torch_layout(weight), report=shares.append)
    np.testing.assert_array_equal(whole.order, parts.order)
    assert len(shares) > 5
    assert shares == sorted(shares)


def test_too_many_filters_are_refused(monkeypatch):
    monkeypatch.setattr("weightwidget.detail.similarity.MOST_COMPARED", 3)
    weight = torch.randn(4, 1, 3, 3)
    with pytest.raises(ValueError, match="too many"):
        similarity(ref_of(weight), torch_layout(weight))


@pytest.mark.parametrize(
    "run",
    [
        lambda ref, layout, stop: filter_norms(ref, layout, stop),
        lambda ref, layout, stop: frequencies(ref, layout, stop),
        lambda ref, layout, stop: similarity(ref, layout, stop),
        lambda ref, layout, stop: cosines(ref, layout, 0, stop),
        lambda ref, layout, stop: pictures(ref, layout, "mean", [0, 1], (0, 1), stop),
    ],
)
def test_what_nobody_waits_for_ends(run):
    weight = torch.randn(4, 2, 3, 3)
    with pytest.raises(Cancelled):
        run(ref_of(weight), torch_layout(weight), lambda: True)


def test_reading_keeps_to_what_is_asked_for():
    weight = torch.randn(64, 8, 3, 3)
    asked: list[torch.Size] = []

    def read(index: object) -> torch.Tensor:
        part = weight[index]
        asked.append(part.shape)
        return part

    ref = TensorRef("w", tuple(weight.shape), "float32", "weight", read)
    pictures(ref, torch_layout(weight), "channel", [5, 6, 40], (3, 4))
    assert asked == [(2, 1, 3, 3), (1, 1, 3, 3)]
    asked.clear()
    assert [stop - start for start, stop, _ in chunks(ref, torch_layout(weight), size=1000)] == [13, 13, 13, 13, 12]
