"""Views of saved files: filters of large convolutions, and blocks, from the overview alone."""

from __future__ import annotations

import pytest
import torch
from playwright.sync_api import expect
from torch import nn

from tests.browser.standalone import RESULTS, Standalone, View
from weightwidget import WeightExplorer

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(browser):
    pages: list[Standalone] = []

    def open_(path, **context) -> Standalone:
        pages.append(Standalone(browser, path, **context))
        return pages[-1]

    yield open_
    for page in pages:
        page.close()


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
