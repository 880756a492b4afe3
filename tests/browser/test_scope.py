"""The histogram of a part of a tensor: what the heatmap shows, a row, a column, a marked region."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.page import WidgetPage
from tests.browser.test_linked import heatmap, point_at

pytestmark = pytest.mark.browser

WEIGHT = "encoder.layer.1.intermediate.dense.weight"


def scope(page: WidgetPage, kind: str) -> Locator:
    return page.panel("histogram").locator(f'[data-scope="{kind}"]')


def part(page: WidgetPage) -> Locator:
    return page.panel("histogram").locator(".ww-hist-part")


def drag_over(page: WidgetPage, start: tuple[float, float], end: tuple[float, float]) -> None:
    point_at(page, *start)
    page.page.mouse.down()
    x, y = point_at(page, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    point_at(page, *end)
    page.page.mouse.up()
    assert x > 0 < y


def test_a_region_is_dragged_over_counted_and_let_go(open_dev):
    page = open_dev("transformer", selected=WEIGHT)
    expect(part(page)).to_be_hidden()
    expect(scope(page, "region")).to_have_attribute("aria-disabled", "true")
    page.page.keyboard.down("Shift")
    drag_over(page, (0.3, 0.3), (0.6, 0.7))
    page.page.keyboard.up("Shift")
    asked = page.wait_sent("histogram", "m => m.region")
    rows, cols = asked["region"]["rows"], asked["region"]["cols"]
    size = (rows[1] - rows[0]) * (cols[1] - cols[0])
    assert rows[0] > 0 < cols[0]
    expect(scope(page, "region")).to_have_attribute("aria-pressed", "true")
    expect(part(page)).to_have_text(re.compile(rf"rows {rows[0]}–{rows[1] - 1} × columns {cols[0]}–{cols[1] - 1} · "))
    assert page.trait("window") is None  # the view did not move
    # Brushing counts within it.
    page.set_traits(value_range=[-10, 10])
    assert page.wait_sent("count", "m => m.region")["region"] == asked["region"]
    expect(page.panel("histogram").locator(".ww-hist-count-text")).to_contain_text(f"{size:,}".replace(",", "\u202f"))
    heatmap(page).focus()
    heatmap(page).press("Escape")
    expect(part(page)).to_be_hidden()
    expect(scope(page, "all")).to_have_attribute("aria-pressed", "true")
    # The same without a key held.
    page.panel("heatmap").get_by_role("button", name="drag over the heatmap").click()
    drag_over(page, (0.2, 0.2), (0.4, 0.4))
    expect(part(page)).to_have_text(re.compile(r"rows \d+–\d+ × columns"))


def test_a_region_is_marked_by_keys(open_dev):
    page = open_dev("cnn", selected="fc2.weight")
    plot = heatmap(page)
    point_at(page, 0.3, 0.4)
    plot.focus()
    plot.press("Enter")
    plot.press("r")
    expect(part(page)).to_have_text(re.compile(r"^row \d+ × column \d+ · 1 weight$"))
    plot.press("Shift+ArrowRight")
    plot.press("Shift+ArrowDown")
    expect(part(page)).to_have_text(re.compile(r"^rows \d+–\d+ × columns \d+–\d+ · 4 weights$"))


def test_row_column_and_window_follow_the_heatmap(open_dev):
    page = open_dev("cnn", selected="fc2.weight")
    scope(page, "row").click(force=True)  # there is none yet: it says how to get one
    expect(scope(page, "row")).to_have_attribute("aria-pressed", "false")
    expect(page.panel("histogram").get_by_text("click a cell of the heatmap")).to_be_visible()
    x, y = point_at(page, 0.3, 0.4)
    page.page.mouse.click(x, y)
    scope(page, "row").click()
    expect(part(page)).to_have_text(re.compile(r"^row \d+ of 10 · \d+ weights$"))
    scope(page, "column").click()
    expect(part(page)).to_have_text(re.compile(r"^column \d+ of \d+ · 10 weights$"))
    page.set_traits(window=[2, 6, 10, 30])
    scope(page, "window").click()
    expect(part(page)).to_have_text("rows 2–5 × columns 10–29 · 80 weights")
    page.set_traits(window=[2, 6, 11, 31])
    expect(part(page)).to_have_text("rows 2–5 × columns 11–30 · 80 weights")


def test_without_a_kernel_what_is_not_kept_says_so(open_dev):
    page = open_dev("transformer", selected=WEIGHT, kernel="off")
    expect(scope(page, "row")).to_have_attribute("title", re.compile("running kernel"))
