"""Views of saved files: filters of large convolutions, and blocks, from the overview alone."""

from __future__ import annotations

import re

import pytest
import torch
from playwright.sync_api import expect
from torch import nn

from tests.browser.standalone import RESULTS, View
from weightwidget import WeightExplorer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def filters_file(tmp_path_factory):
    """Convolutions of which the first alone is kept whole."""
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module("stem", nn.Conv2d(3, 600, (3, 5)))
    net.add_module("large", nn.Conv2d(96, 160, (3, 5)))
    net.add_module("paint", nn.ConvTranspose2d(450, 3, (6, 7)))
    with torch.no_grad():
        net.large.weight[7] = 0
        net.large.weight[11] *= 3
        net.large.weight[11, 42] *= 3
    explorer = WeightExplorer(net, selected="large.weight", view="filters").wait()
    path = tmp_path_factory.mktemp("saved") / "filters.html"
    yield net, explorer.save_html(path, detail=0).path
    explorer.close()


def test_filters_of_a_large_convolution_are_drawn(opened, filters_file):
    net, path = filters_file
    page = opened(path)
    view = View(page.page)
    panel = view.panel("filters")
    expect(panel.get_by_label("what a picture shows")).to_have_value("largest")
    expect(panel.locator(".ww-cf-cell[data-waiting=false]").first).to_be_visible()
    expect(panel.locator(".ww-cf-cell[data-waiting=true]:visible")).to_have_count(0)
    # The strongest first, with its channel; the dead one is told, though it is out of sight.
    expect(panel).to_contain_text("Filter 11")
    expect(panel).to_contain_text("input channel 42, the strongest of 96")
    expect(panel).to_contain_text("1 of 160 filters is all zero")
    norm = f"{float(net.large.weight[11].detach().norm()):.3g}"
    expect(panel).to_contain_text(f"norm {norm}")
    # What a kernel would add is said in place.
    expect(panel).to_contain_text("three digits, from the overview: a running kernel adds")
    assert panel.locator("option[value=mean]").is_disabled()
    canvas = panel.locator("canvas.ww-cf-large")
    canvas.hover()
    value = float(net.large.weight[11, 42, 1, 2].detach())
    tip = panel.locator(".ww-cf-tip")
    expect(tip).to_contain_text("[11, 42, 1, 2]")
    told = float(tip.inner_text().split()[0].replace("\u2212", "-"))
    assert told == pytest.approx(value, rel=0.01)
    panel.get_by_role("button", name="its 96 input channels").click()
    expect(panel).to_contain_text("a running kernel draws the input channels")
    page.page.screenshot(path=RESULTS / "page-large-filters.png")


def test_a_layer_that_is_kept_in_three_digits_has_all_its_pictures(opened, filters_file):
    _, path = filters_file
    view = View(opened(path).page)
    view.select("paint.weight")
    panel = view.panel("filters")
    show = panel.get_by_label("what a picture shows")
    expect(show).to_have_value("rgb")
    expect(panel.locator(".ww-cf-cell[data-waiting=true]:visible")).to_have_count(0)
    show.select_option("mean")
    expect(panel).to_contain_text("mean over 3 output channels")
    expect(panel.locator("canvas.ww-cf-large")).to_be_visible()
    # Exact weights need no digits.
    view.select("stem.weight")
    expect(panel).to_contain_text("a running kernel adds spatial frequencies")
    expect(panel).not_to_contain_text("digits")


@pytest.fixture(scope="module")
def blocks_file(tmp_path_factory):
    """Gates and heads that are kept whole, and a layer that is not."""
    torch.manual_seed(0)
    net = nn.Module()
    net.lstm = nn.LSTM(20, 28)
    net.attention = nn.MultiheadAttention(24, 3)
    net.large = nn.LSTM(200, 300)
    explorer = WeightExplorer(net, selected="lstm.weight_ih_l0 › f").wait()
    path = tmp_path_factory.mktemp("saved") / "blocks.html"
    yield net, explorer.save_html(path, detail=0).path
    explorer.close()


def test_blocks_of_a_kept_tensor_are_whole(opened, blocks_file):
    net, path = blocks_file
    page = opened(path)
    view = View(page.page)
    forget = net.lstm.weight_ih_l0[28:56].detach().double()
    facts = view.root.locator(".ww-statistics")
    expect(facts).to_contain_text(f"{float(forget.std(correction=0)):.4g}")
    expect(view.panel("heatmap")).to_contain_text("each cell is one weight")
    row, col = divmod(int(forget.abs().argmax()), 20)
    expect(view.panel("heatmap")).to_contain_text(f"at [{row}, {col}]")
    histogram = view.panel("histogram")
    expect(histogram).to_contain_text("exact")
    view.brush(0.2, 0.8)
    low, high = (float(end.input_value().replace("\u2212", "-")) for end in histogram.locator("input").all()[:2])
    told = histogram.locator(".ww-hist-count-text")
    expect(told).to_have_text(re.compile(r"^: \d"))  # counted, not estimated
    count = int(((forget >= low) & (forget <= high)).sum())
    assert abs(int(told.inner_text().split()[1]) - count) <= 2  # the ends are shown rounded
    page.page.screenshot(path=RESULTS / "page-block.png")

    view.root.get_by_role("tab", name="Gates").click()
    card = view.panel("gates").locator('.ww-gates-card[data-gate="f"]')
    expect(card).to_contain_text(f"‖w‖ {float(forget.norm()):.3g}")
    page.page.screenshot(path=RESULTS / "page-gates.png")


def test_blocks_of_other_tensors_say_what_they_need(opened, blocks_file):
    _, path = blocks_file
    view = View(opened(path).page)
    weight = view.row("large.weight_ih_l0")
    weight.click()
    weight.press("ArrowRight")
    view.select("large.weight_ih_l0 › g")
    expect(view.panel("histogram")).to_contain_text("a block's weights need a running kernel")
    expect(view.root.locator(".ww-statistics")).to_contain_text("a running kernel tells them")
    # They are in nobody's way.
    view.select("lstm.weight_ih_l0 › o")
    expect(view.panel("histogram")).to_contain_text("exact")
    expect(view.root.locator(".ww-statistics")).not_to_contain_text("kernel")


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1200, "light")])
def test_how_it_looks(opened, blocks_file, filters_file, width, scheme):
    for name, (_, path) in {"block": blocks_file, "filters": filters_file}.items():
        page = opened(path, viewport={"width": width, "height": 900}, color_scheme=scheme)
        view = View(page.page)
        expect(view.root).to_have_attribute("data-theme", scheme)
        expect(view.root.locator(".ww-cf-cell, canvas.ww-hm-canvas").first).to_be_attached()
        assert page.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        page.page.screenshot(path=RESULTS / f"page-{name}-{scheme}-{width}.png")
