"""The view of a convolution's filters, before a real explorer."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from playwright.sync_api import Locator, expect
from torch import nn

from weightwidget import WeightExplorer

pytestmark = pytest.mark.browser

WEAK, DEAD, COPIES = 3, 5, (2, 9)


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("rgb", nn.Conv2d(3, 12, 5))
    model.add_module("grouped", nn.Conv2d(12, 8, 3, groups=4))
    model.add_module("point", nn.Conv2d(8, 6, 1))
    model.add_module("many", nn.Conv2d(16, 1500, 3))
    model.add_module("up", nn.ConvTranspose2d(16, 3, 4))
    model.add_module("head", nn.Linear(7, 5))
    with torch.no_grad():
        weight = model.rgb.weight
        weight[WEAK] *= 0.01
        weight[DEAD] = 0
        weight[COPIES[1]] = -weight[COPIES[0]]
    return model


def cells(page: Any) -> Locator:
    return page.panel("filters").get_by_role("listbox", name="filters", exact=True).get_by_role("option")


def cell(page: Any, number: int) -> Locator:
    return page.panel("filters").locator(f".ww-cf-cell[data-filter='{number}']:not([hidden])")


def choose(page: Any, title: str, value: str) -> None:
    page.panel("filters").get_by_label(title, exact=True).select_option(value)


def colour(locator: Locator, x: int, y: int) -> list[int]:
    """Colour of a pixel of a picture, that is of a weight."""
    read = "(cell, [x, y]) => [...cell.querySelector('canvas').getContext('2d').getImageData(x, y, 1, 1).data]"
    found: list[int] = locator.evaluate(read, [x, y])
    return found[:3]


def wait_drawn(page: Any, number: int) -> Locator:
    found = cell(page, number)
    expect(found).to_have_attribute("data-waiting", "false")
    return found


def test_only_convolutions_have_the_view(open_explorer, net):
    page, kernel = open_explorer(net, selected="rgb.weight", view="filters")
    expect(cells(page)).to_have_count(12)
    page.row("rgb").click()
    expect(cells(page)).to_have_count(12)
    page.row("head.weight").click()
    expect(page.root.get_by_role("tab", name="Filters")).to_be_hidden()
    expect(page.panel("heatmap")).to_be_visible()
    assert not kernel.failures


def test_weak_dead_and_copied_filters_are_marked_and_counted(open_explorer, net):
    page, kernel = open_explorer(net, selected="rgb.weight", view="filters")
    view = page.panel("filters")
    expect(view.locator(".ww-cf-counts")).to_have_text(
        "1 of 12 filters is all zero, 1 is under 5 % of the strongest, 2 are copies of one another"
    )
    expect(cell(page, WEAK)).to_contain_text("weak")
    expect(cell(page, DEAD)).to_contain_text("dead")
    for number in COPIES:
        expect(cell(page, number)).to_contain_text("copy")
    cell(page, COPIES[1]).click()
    expect(view.locator(".ww-cf-marked")).to_have_text(re.compile("copy of 2 with the sign turned"))
    norms = net.rgb.weight.detach().double().flatten(1).norm(dim=1)
    rank = 1 + int((norms > norms[COPIES[1]]).sum())
    title = view.locator(".ww-cf-title")
    expect(title).to_contain_text("Filter 9")
    expect(title).to_contain_text(f"norm {norms[COPIES[1]]:.3g}")
    expect(title).to_have_text(re.compile(f"rank ({rank}|{rank + 1}) of 12"))
    expect(title).to_contain_text(f"bias {float(net.rgb.bias.detach()[9]):.3g}".replace("-", "−"))
    expect(view.locator(".ww-cf-similar")).to_contain_text("2 −1.00")
    assert not kernel.failures


def test_colours_are_those_of_the_weights(open_explorer, net):
    page, _ = open_explorer(net, selected="rgb.weight", view="filters")
    weight = net.rgb.weight.detach()
    limit = float(weight.abs().max())
    found = wait_drawn(page, 7)
    expect(page.panel("filters").get_by_label("what a picture shows")).to_have_value("rgb")
    for x, y in ((0, 0), (4, 1), (2, 3)):
        expected = [round(255 * (float(weight[7, c, y, x]) / (2 * limit) + 0.5)) for c in range(3)]
        assert colour(found, x, y) == pytest.approx(expected, abs=1)
    assert colour(wait_drawn(page, DEAD), 2, 2) == [128, 128, 128]


def test_one_channel_is_stepped_through(open_explorer, net):
    page, kernel = open_explorer(net, selected="rgb.weight", view="filters", index=(4, 0, 0, 0))
    choose(page, "what a picture shows", "channel")
    page.panel("filters").get_by_label("next channel").click()
    page.wait_saved("index", [4, 1, 0, 0])
    assert kernel.explorer.index == (4, 1, 0, 0)
    picture = page.panel("filters").locator(".ww-cf-large")
    picture.hover(position={"x": 2, "y": 2})
    tip = page.root.locator(".ww-cf-tip")
    expect(tip).to_contain_text("[4, 1, 0, 0]")
    shown = tip.locator("div").first.inner_text().replace("−", "-")
    assert float(shown) == pytest.approx(float(net.rgb.weight.detach()[4, 1, 0, 0]), rel=1e-6)


def test_python_chooses_the_filter(open_explorer, net):
    page, kernel = open_explorer(net, selected="many.weight", view="filters")
    expect(cells(page).first).to_be_visible()
    choose(page, "order of the filters", "stored")
    kernel.explorer.index = (1234, 0, 0, 0)
    kernel.push()
    expect(page.panel("filters").locator(".ww-cf-title")).to_contain_text("Filter 1234")
    expect(cell(page, 1234)).to_have_attribute("aria-selected", "true")
    wait_drawn(page, 1234)


def test_thousands_of_filters_are_drawn_as_they_come_into_view(open_explorer, net):
    page, kernel = open_explorer(net, selected="many.weight", view="filters")
    choose(page, "order of the filters", "stored")
    wait_drawn(page, 0)
    assert page.root.locator(".ww-cf-cell").count() < 200
    grid = page.panel("filters").get_by_role("listbox", name="filters", exact=True)
    grid.evaluate("grid => { grid.scrollTop = grid.scrollHeight; }")
    wait_drawn(page, 1499)
    assert page.root.locator(".ww-cf-cell").count() < 200
    asked = {number for request in kernel.requests if request["kind"] == "filters" for number in request["filters"]}
    assert 1499 in asked
    assert len(asked) < 1000
    assert not kernel.failures


def test_orders(open_explorer, net):
    page, _ = open_explorer(net, selected="rgb.weight", view="filters")
    norms = net.rgb.weight.detach().double().flatten(1).norm(dim=1)
    strongest = int(norms.argmax())
    expect(cells(page).first).to_have_attribute("data-filter", str(strongest))
    choose(page, "order of the filters", "stored")
    expect(cells(page).first).to_have_attribute("data-filter", "0")
    choose(page, "order of the filters", "similarity")
    expect(cells(page).last).to_have_attribute("data-filter", str(DEAD))
    order = [int(found.get_attribute("data-filter") or -1) for found in cells(page).all()]
    assert abs(order.index(COPIES[0]) - order.index(COPIES[1])) == 1
    choose(page, "order of the filters", "frequency")
    expect(cells(page).last).to_have_attribute("data-filter", str(DEAD))


def test_keys_move_open_and_go_back(open_explorer, net):
    page, _ = open_explorer(net, selected="rgb.weight", view="filters")
    choose(page, "order of the filters", "stored")
    expect(cells(page).first).to_have_attribute("data-filter", "0")
    grid = page.panel("filters").get_by_role("listbox", name="filters", exact=True)
    grid.focus()
    page.page.keyboard.press("ArrowRight")
    page.wait_saved("index", [1, 0, 0, 0])
    page.page.keyboard.press("End")
    page.wait_saved("index", [11, 0, 0, 0])
    expect(cell(page, 11)).to_have_attribute("aria-selected", "true")
    page.page.keyboard.press("Enter")
    channels = page.panel("filters").get_by_role("listbox", name="input channels of the filter")
    expect(channels.get_by_role("option")).to_have_count(3)
    page.page.keyboard.press("ArrowRight")
    expect(page.panel("filters").get_by_label("what a picture shows")).to_have_value("channel")
    page.page.keyboard.press("Escape")
    expect(cells(page)).to_have_count(12)
    expect(grid).to_be_focused()


def test_grouped_filters_name_the_channels_that_they_read(open_explorer, net):
    page, _ = open_explorer(net, selected="grouped.weight", view="filters", index=(5, 1, 0, 0))
    view = page.panel("filters")
    expect(view.locator(".ww-cf-lines")).to_contain_text("4 groups: each filter reads 3 of 12 inputs")
    choose(page, "what a picture shows", "channel")
    expect(view.locator(".ww-cf-caption")).to_have_text("input channel 7 of 12, group 2")


def test_single_weights_point_to_the_heatmap(open_explorer, net):
    page, _ = open_explorer(net, selected="point.weight", view="filters")
    expect(page.panel("filters")).to_contain_text("6 × 8 matrix")
    page.panel("filters").get_by_role("button", name="the heatmap", exact=True).click()
    page.wait_saved("view", "heatmap")


def test_decoders_are_read_by_what_each_input_paints(open_explorer, net):
    page, kernel = open_explorer(net, selected="up.weight", view="filters")
    expect(page.panel("filters").locator(".ww-cf-counts")).to_have_text("16 inputs")
    expect(page.panel("filters").get_by_label("what a picture shows")).to_have_value("rgb")
    weight = net.up.weight.detach()
    limit = float(weight.abs().max())
    expected = [round(255 * (float(weight[6, c, 1, 2]) / (2 * limit) + 0.5)) for c in range(3)]
    assert colour(wait_drawn(page, 6), 2, 1) == pytest.approx(expected, abs=1)
    by = page.panel("filters").get_by_label(re.compile("a filter for each output"))
    by.select_option("output")
    expect(cells(page)).to_have_count(3)
    assert not kernel.failures


def test_a_filter_is_shown_in_the_heatmap(open_explorer, net):
    page, _ = open_explorer(net, selected="rgb.weight", view="filters", index=(4, 0, 0, 0))
    page.panel("filters").get_by_role("button", name="in the heatmap").click()
    page.wait_saved("view", "heatmap")
    top, bottom, left, right = page.wait_trait("window", "value !== null")
    assert (top, bottom) == (4, 5)
    assert (left, right) == (0, 75)


def test_changed_weights_are_drawn_anew(open_explorer, net):
    page, kernel = open_explorer(net, selected="rgb.weight", view="filters")
    wait_drawn(page, 7)
    before = cell(page, 7).locator(".ww-cf-note").inner_text()
    with torch.no_grad():
        net.rgb.weight[7] *= 5
    kernel.explorer.refresh().wait()
    kernel.push()
    expect(cell(page, 7).locator(".ww-cf-note")).not_to_have_text(before)
    norm = float(net.rgb.weight[7].detach().double().norm())
    expect(cell(page, 7)).to_have_attribute("aria-label", re.compile(f"norm {norm:.3g}"))


def test_guesses_are_called_guesses(open_explorer, net):
    page, _ = open_explorer(dict(net.state_dict()), selected="rgb.weight", view="filters")
    expect(page.panel("filters").locator(".ww-cf-guess")).to_have_text("guessed from its name and shape")


def silence(page: Any) -> None:
    """No kernel: sending throws, as it does where there is no comm."""
    page.page.evaluate("() => { window.dev.model.send = () => { throw new Error('no comm'); }; }")


def test_without_a_kernel_small_layers_are_drawn_all_the_same(open_explorer, net):
    model = nn.Sequential(nn.Conv2d(1, 8, 5), nn.Conv2d(800, 100, 1))
    with torch.no_grad():
        model[0].weight[2] *= 0.01
    page, kernel = open_explorer(model, selected="0.bias")
    silence(page)
    asked = len(kernel.requests)
    page.set_traits(selected="0.weight", view="filters")
    expect(cells(page)).to_have_count(8)
    wait_drawn(page, 5)
    view = page.panel("filters")
    expect(view.locator(".ww-cf-counts")).to_have_text("1 of 8 filters is under 5 % of the strongest")
    expect(view).to_contain_text("a running kernel adds spatial frequencies")
    expect(view).to_contain_text("a running kernel tells it")
    page.set_traits(selected="1.weight")
    expect(view).to_contain_text("norms only: a running kernel draws the filters")
    norms = model[1].weight.detach().double().flatten(1).norm(dim=1)
    expect(cells(page).first).to_have_attribute("data-filter", str(int(norms.argmax())))
    assert len(kernel.requests) == asked


@pytest.mark.parametrize("width", [320, 700])
def test_it_fits_into_a_sidebar(open_explorer, net, width):
    page, _ = open_explorer(net, size=(width, 900), selected="rgb.weight", view="filters")
    wait_drawn(page, 7)
    wide = page.root.evaluate(
        "root => [...root.querySelectorAll('.ww-cf, .ww-cf *')].filter(e => !e.hidden && "
        "e.getBoundingClientRect().right > root.getBoundingClientRect().right + 1).map(e => e.className)"
    )
    assert wide == []
    box = page.panel("filters").get_by_role("listbox", name="filters", exact=True).bounding_box()
    assert box is not None
    assert box["height"] > 250


def test_hostile_names(open_explorer):
    name = "<img src=x onerror=alert(1)>.weight"
    explorer = WeightExplorer({name: torch.randn(4, 3, 3, 3)}, selected=name, view="filters").wait()
    try:
        page, _ = open_explorer(explorer)
        expect(cells(page)).to_have_count(4)
        assert page.root.locator("img").count() == 0
    finally:
        explorer.close()
