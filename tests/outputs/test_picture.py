"""The picture: what its pixels say."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from PIL import Image

from tests.fixtures import small_cnn, small_lstm
from tests.summary.stub import ref_of
from weightwidget import WeightExplorer
from weightwidget.outputs.drawing import colours
from weightwidget.outputs.drawing.canvas import Canvas, drawable, fit, width
from weightwidget.outputs.drawing.heatmap import heatmap
from weightwidget.outputs.drawing.histogram import heights, sparkline, ticks
from weightwidget.outputs.picture import HEIGHT, WIDTH, picture
from weightwidget.summary.kernel import summarize_tensor


def pixels(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert image.size == (WIDTH, HEIGHT)
    return np.asarray(image.convert("RGB"))


def shown(obj: object, **traits: object) -> np.ndarray:
    explorer = WeightExplorer(obj, **traits).wait()
    png = picture(explorer._static_view())
    explorer.close()
    assert len(png) < 150_000
    return pixels(png)


def is_colour(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (image == colour).all(-1)


def test_colours_are_those_of_the_live_view():
    lut = colours.lut()
    assert lut.shape == (256, 3)
    assert tuple(lut[0]) == (0x21, 0x66, 0xAC)
    assert tuple(lut[-1]) == (0xB2, 0x18, 0x2B)
    assert np.abs(lut[127].astype(int) - 0xF7).max() <= 2
    painted = colours.paint(np.array([1.0, -1.0, 1.1, -1.1, np.nan, np.inf, -np.inf]), 1.0)
    expected = [lut[-1], lut[0], colours.ABOVE, colours.BELOW, colours.NAN, colours.POSINF, colours.NEGINF]
    assert [tuple(colour) for colour in painted] == [tuple(colour) for colour in expected]


def test_the_heatmap_is_not_transposed():
    weights = torch.zeros(3, 7)
    weights[2, 1] = 5.0
    weights[0, 6] = -5.0
    image = shown({"w": weights})
    red = np.argwhere(is_colour(image, tuple(colours.lut()[-1].tolist())))
    blue = np.argwhere(is_colour(image, tuple(colours.lut()[0].tolist())))
    red, blue = (found[found[:, 1] < 900] for found in (red, blue))  # the legend is further right
    assert len(red) == len(blue) == 24 * 24  # one cell each
    assert (blue.min(0) - red.min(0)).tolist() == [-2 * 24, 5 * 24]


def test_an_outlier_of_a_large_matrix_has_the_extreme_colour():
    weights = torch.linspace(-1, 1, 400 * 900).reshape(400, 900) * 0.01
    weights[100, 700] = 9.0
    image = shown({"w": weights})[:, :900]
    found = np.argwhere(is_colour(image, colours.ABOVE))
    assert len(found) > 0
    (top, left), (bottom, right) = found.min(0), found.max(0) + 1
    assert (bottom - top) * (right - left) == len(found)  # a single cell


def test_what_is_not_finite_has_colours_of_its_own():
    weights = torch.randn(5, 6)
    weights[1, 2], weights[3, 4], weights[4, 5] = float("nan"), float("inf"), -float("inf")
    image = shown({"w": weights})[:, 390:900]
    assert [int(is_colour(image, c).sum()) for c in (colours.NAN, colours.POSINF, colours.NEGINF)] == [24 * 24] * 3


def test_sparklines_have_the_heights_of_the_distribution():
    weights = torch.tensor([0.0] * 8 + [1.0] * 4 + [2.0] * 2)
    canvas = Canvas(60, 20)
    sparkline(canvas, 0, 0, (58, 16), summarize_tensor(ref_of(weights)), colours.MARK)
    columns = is_colour(np.asarray(canvas.image), colours.MARK).sum(0)
    assert columns[columns > 0].tolist() == [16, 8, 4]
    assert heights(np.array([0.0, 1e-9, 1.0]), 5.0, 0.0, 10) == ([0, 1, 10], 10, 0)


def test_heatmaps_fit_their_room_whatever_the_shape():
    for shape in [(1, 1), (1, 5000), (5000, 1), (700, 300), (3, 4, 5, 6), (2, 900), (9,), ()]:
        record = summarize_tensor(ref_of(torch.randn(shape)), thumbnail=512)
        canvas = Canvas(600, 500)
        bottom = heatmap(canvas, 10, 10, (520, 420), record, record.thumbnail)
        assert bottom <= 430
        assert not (np.asarray(canvas.image)[:, 535:] != 255).any()


def test_axis_ticks_are_round():
    assert ticks(-1, 1, 6) == pytest.approx([-1, -0.5, 0, 0.5, 1])
    assert ticks(1.0, 1.0, 5) == [1.0]
    for low, high in [(-1e308, 1e308), (0, 5e-324), (1e17, 1e17 + 64)]:
        assert 1 <= len(ticks(low, high, 6)) < 20


def test_text_shows_everything_and_fits():
    assert drawable("a\x1b[0m\n中×−1") == r"a\x1b[0m\n\u4e2dx−1"
    for keep in ("start", "end"):
        cut = fit(drawable("encoder." * 500, keep), 100, 12, False, keep)
        assert width(cut) <= 100
        assert "…" in cut


HARD: Mapping[str, object] = {
    "<script>alert(1)</script>": torch.full((7, 5), float("nan")),
    "中文.重み": torch.randn(40, 90),
    "\x1b[31mred\x07": torch.randn(3),
    "x" * 5000: torch.randn(4, 6),
    "\u202eevil": torch.tensor(3.5),
    "empty": torch.zeros(0, 4),
    "int.deep.er": torch.arange(30).reshape(5, 6),
    "huge": torch.tensor([[1e300, -1e308]], dtype=torch.float64),
    "tiny": torch.tensor([[1e-40, -1e-45]]),
    "complex": torch.randn(3, 4, dtype=torch.complex64),
    "zeros": torch.zeros(6, 2),
    "flag": torch.tensor([True, False]),
}


@pytest.mark.parametrize("selected", [*HARD, "int.deep", ""], ids=repr)
def test_hard_tensors_and_names_are_drawn(selected: str):
    explorer = WeightExplorer(HARD, name="<b>ä\n模型</b>" * 50, selected=selected).wait()
    pixels(picture(explorer._static_view()))


def test_blocks_are_drawn_and_not_read_from_closed_explorers():
    explorer = WeightExplorer(small_lstm(), selected="lstm.weight_ih_l0 › f").wait()
    view = explorer._static_view()
    assert view.shown is not None
    assert view.shown.shape == (5, 7)
    assert view.selected_tensor == "lstm.weight_ih_l0"
    pixels(picture(view))
    explorer.close()
    view = explorer._static_view()
    assert view.shown is not None
    assert view.shown.shape == (20, 7)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("scanning", "scanning, 40% done"),
        ("cancelled", "scan cancelled at 40%"),
        ("failed", "it broke"),
        ("ready", "scan complete"),
    ],
)
def test_every_state_is_drawn_with_nothing_summarised(status: str, words: str):
    from dataclasses import replace

    explorer = WeightExplorer(small_cnn()).wait()
    view = replace(explorer._static_view(), status=status, progress=0.4, failure="it broke", tensors={}, modules={})
    assert view.state == words
    pixels(picture(view))
