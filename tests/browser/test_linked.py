"""Histogram, heatmap, filter panel and statistics: what is done in one shows in the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import FloatRect, Locator, expect

from tests.browser.page import WidgetPage

pytestmark = pytest.mark.browser

OUTLIER = "encoder.layer.0.output.dense.weight"
"""384 × 1536, with 7.9148 at [99, 856]."""

RECORD_TEXT = """
    window.drawnText = new Set();
    const fillText = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
        window.drawnText.add(String(text));
        return fillText.call(this, text, ...rest);
    };
"""


def box_of(locator: Locator) -> FloatRect:
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    assert box
    return box


def drag(page: WidgetPage, over: Locator, start: float, end: float) -> None:
    """Drag from one share of the width of an element to another."""
    box = box_of(over)
    y = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + start * box["width"], y)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + (start + end) / 2 * box["width"], y, steps=3)
    page.page.mouse.move(box["x"] + end * box["width"], y, steps=3)
    page.page.mouse.up()


def heatmap(page: WidgetPage) -> Locator:
    return page.panel("heatmap").locator(".ww-hm-plot")


def readout(page: WidgetPage) -> Locator:
    return page.panel("heatmap").locator(".ww-hm-readout")


def point_at(page: WidgetPage, across: float, down: float) -> tuple[float, float]:
    """Move the pointer to a place of the heatmap, in shares of the plot; where that is on the page."""
    box = box_of(heatmap(page))
    x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
    page.page.mouse.move(x, y)
    return x, y


# -- histogram ---------------------------------------------------------------------------------------------------------


def test_brushing_the_histogram(open_dev):
    page = open_dev("cnn")
    panel = page.panel("histogram")
    expect(panel).to_contain_text("exact")
    drag(page, panel.locator(".ww-hist-pad"), 0.6, 0.8)
    low, high = page.wait_trait("value_range", "value !== null && value[0] < value[1]")
    assert 0 < low < high < 0.2
    # The readout counts exactly, and the heatmap fetches what is to be highlighted.
    page.wait_sent("count", f"m => m.range[0] === {low} && m.range[1] === {high}")
    expect(panel.locator(".ww-hist-count-text")).to_contain_text("%")
    expect(panel.locator(".ww-hist-count-text")).not_to_contain_text("≈")
    tile = page.wait_sent("tile", "m => m.range")
    assert tile["range"] == [low, high]
    expect(page.panel("heatmap").locator(".ww-hm-status")).to_contain_text("brushed ones highlighted")

    panel.get_by_role("button", name="clear the brush").click()
    page.wait_trait("value_range", "value === null")
    expect(panel).to_contain_text("drag to brush")


def test_the_brush_is_typed_and_undone(open_dev):
    page = open_dev("cnn")
    low = page.panel("histogram").get_by_label("lowest brushed value")
    high = page.panel("histogram").get_by_label("highest brushed value")
    low.fill("0.01")
    high.fill("0.05")
    high.press("Enter")
    assert page.wait_trait("value_range", "value !== null") == [0.01, 0.05]
    pad = page.panel("histogram").locator(".ww-hist-pad")
    pad.focus()
    pad.press("Control+z")
    page.wait_trait("value_range", "value === null")


def test_a_brush_of_the_kernel_is_shown(open_dev):
    page = open_dev("transformer")
    page.set_traits(value_range=[7.0, 8.0])
    expect(page.panel("histogram").locator(".ww-hist-count-text")).to_contain_text(": 1 ")


def test_axis_and_counts_of_the_histogram(open_dev):
    page = open_dev("cnn", selected="conv2.weight")
    page.wait_sent("histogram", "m => m.scale === 'value'")
    page.panel("histogram").get_by_role("button", name="log |w|").click()
    page.wait_sent("histogram", "m => m.scale === 'magnitude'")
    # 432 weights are exactly zero: they have no place on a logarithmic axis.
    expect(page.panel("histogram").locator(".ww-hist-svg")).to_contain_text("432")
    page.panel("histogram").get_by_role("button", name="log count").click()


def test_zooming_the_histogram_bins_anew(open_dev):
    page = open_dev("cnn")
    first = page.wait_sent("histogram", "m => m.range")
    before = len(page.sent())
    page.panel("histogram").get_by_role("button", name="zoom in").click()
    second = page.wait_sent("histogram", "m => m.range", since=before)
    assert second["range"][1] - second["range"][0] < first["range"][1] - first["range"][0]


def test_a_number_that_is_none_is_marked(open_dev):
    page = open_dev("cnn")
    low = page.panel("histogram").get_by_label("lowest brushed value")
    low.fill("abc")
    low.press("Enter")
    expect(low).to_have_attribute("aria-invalid", "true")
    low.fill("0.01")
    low.press("Enter")
    expect(low).not_to_have_attribute("aria-invalid", "true")


def test_non_finite_weights_have_bins(open_dev):
    page = open_dev("edge", selected="nonfinite.some")
    for label in ("NaN", "+Inf", "−Inf"):
        expect(page.panel("histogram").locator(".ww-hist-svg")).to_contain_text(label)
    expect(page.panel("heatmap")).to_contain_text("NaN 2")


# -- heatmap -----------------------------------------------------------------------------------------------------------


def test_pointing_at_the_heatmap(open_dev):
    page = open_dev("cnn", selected="fc2.weight")
    page.wait_sent("tile", "m => m.tensor === 'fc2.weight'")
    marker = page.panel("histogram").locator(".ww-hist-marker")
    expect(readout(page).locator(".ww-hm-value")).to_have_text("–")
    expect(marker.locator("*")).to_have_count(0)
    point_at(page, 0.4, 0.4)
    expect(readout(page).locator(".ww-hm-value")).not_to_have_text("–")
    expect(readout(page).locator(".ww-hm-where")).to_contain_text("[")
    expect(readout(page)).to_contain_text("σ from")
    expect(marker.locator("*").first).to_be_attached()
    page.page.mouse.move(2, 2)
    expect(readout(page).locator(".ww-hm-value")).to_have_text("–")
    expect(marker.locator("*")).to_have_count(0)


def places(width: float, height: float) -> Iterator[tuple[float, float]]:
    """Points around the outlier, in the whole matrix: some pixels to either side."""
    left, top, right, bottom = 41, 30, 55, 37  # room for indices and norms around the matrix
    x = left + (width - left - right) * 856.5 / 1536
    y = top + (height - top - bottom) * 99.5 / 384
    for reach in range(5):
        for dx in range(-reach, reach + 1):
            for dy in range(-reach, reach + 1):
                if max(abs(dx), abs(dy)) == reach:
                    yield x + dx, y + dy


def test_the_outlier_is_found_in_the_whole_and_close_up(open_dev):
    page = open_dev("transformer", before=RECORD_TEXT)
    page.wait_sent("tile", f"m => m.tensor === '{OUTLIER}'")
    page.page.wait_for_function("() => window.dev.kernel.idle")
    box = box_of(heatmap(page))
    value = readout(page).locator(".ww-hm-value")
    for x, y in places(box["width"], box["height"]):
        page.page.mouse.move(box["x"] + x, box["y"] + y)
        page.frames()
        if value.inner_text().startswith("7.9"):
            break
    expect(value).to_have_text("7.9148")
    # The pointer rests: the kernel says which of the pixel's weights it is.
    expect(readout(page).locator(".ww-hm-where")).to_have_text("[99, 856]")
    page.page.mouse.move(2, 2)

    page.panel("heatmap").get_by_role("button", name="7.9148 at [99, 856]").click()
    row0, row1, col0, col1 = page.wait_trait("window", "value !== null")
    assert row0 <= 99 < row1
    assert col0 <= 856 < col1
    page.page.wait_for_function("() => [...window.drawnText].some(text => text.startsWith('7.9'))")
    page.screenshot("heatmap-close-up")


def test_wheel_drag_and_fit(open_dev):
    page = open_dev("transformer", before=RECORD_TEXT)
    whole = page.wait_sent("tile", "m => true")
    assert max(whole["tile"][:2]) > 0
    status = page.panel("heatmap").locator(".ww-hm-status")
    expect(status).to_contain_text("largest |w|")
    x, y = point_at(page, 0.4, 0.4)
    # A page that is scrolled past is not caught: the wheel zooms after a click.
    page.page.mouse.wheel(0, -300)
    expect(page.panel("heatmap").locator(".ww-hm-hint")).to_be_visible()
    assert page.trait("window") is None
    page.page.mouse.click(x, y)
    for _ in range(16):
        page.page.mouse.wheel(0, -400)
    window = page.wait_trait("window", "value && value[1] - value[0] < 40")
    expect(status).to_contain_text("each cell is one weight")
    page.wait_sent("tile", "m => m.tile[0] === 0 && m.tile[1] === 0")
    # Numbers of three or four digits stand in the cells.
    page.page.wait_for_function(r"() => [...window.drawnText].some(text => /^[−+]?0?\.\d{2,}$/.test(text))")
    expect(page.panel("heatmap").locator(".ww-hm-minimap")).not_to_have_attribute("data-hidden", "")

    page.page.mouse.down()
    page.page.mouse.move(x - 120, y - 60, steps=4)
    page.page.mouse.up()
    page.wait_trait("window", f"value && value[2] > {window[2]} && value[0] > {window[0]}")

    page.panel("heatmap").get_by_role("button", name="show the whole matrix (0)").click()
    page.wait_trait("window", "value === null")
    page.page.mouse.move(x, y)
    page.page.mouse.dblclick(x, y)
    page.wait_trait("window", "value !== null")


def test_a_window_of_the_kernel_is_shown(open_dev):
    page = open_dev("cnn")
    page.set_traits(window=[10, 20, 100, 120])
    expect(page.panel("heatmap").locator(".ww-hm-minimap")).not_to_have_attribute("data-hidden", "")
    expect(page.panel("heatmap").get_by_role("button", name="show the whole matrix (0)")).to_be_enabled()


def test_the_heatmap_is_driven_by_keys(open_dev):
    page = open_dev("cnn")
    plot = heatmap(page)
    plot.focus()
    plot.press("+")
    first = page.wait_trait("window", "value !== null")
    plot.press("ArrowRight")
    page.wait_trait("window", f"value && value[2] > {first[2]}")
    plot.press("0")
    page.wait_trait("window", "value === null")


def test_axes_of_a_convolution_are_chosen_and_stepped_through(open_dev):
    page = open_dev("cnn", selected="conv2.weight")
    axes = page.panel("heatmap").get_by_role("group", name="drawn axes")
    axes.get_by_label("axis 1", exact=True).select_option("step")
    page.wait_trait("drawn_axes", "value && !value.cols.includes(1) && !value.rows.includes(1)")
    slider = axes.get_by_label("position on axis 1", exact=True)
    slider.focus()
    slider.press("ArrowRight")
    page.wait_trait("index", "value[1] === 1")
    page.wait_sent("tile", "m => m.index[1] === 1 && !m.axes.cols.includes(1)")


def test_a_position_outlasts_a_change_of_the_axes(open_dev):
    page = open_dev("cnn", selected="conv2.weight")
    axes = page.panel("heatmap").get_by_role("group", name="drawn axes")
    axes.get_by_label("axis 1", exact=True).select_option("step")
    number = axes.get_by_label("position on axis 1, as a number")
    number.fill("3")
    page.wait_trait("index", "value[1] === 3")
    axes.get_by_label("axis 2", exact=True).select_option("rows")
    page.wait_sent("tile", "m => m.index[1] === 3 && m.axes.rows.includes(2)")
    expect(number).to_have_value("3")
    assert page.trait("index")[1] == 3


def test_stepping_from_cell_to_cell_moves_the_window(open_dev):
    page = open_dev("cnn", selected="fc2.weight")
    page.wait_sent("tile", "m => m.tensor === 'fc2.weight'")
    plot = heatmap(page)
    plot.focus()
    plot.press("Shift+ArrowDown")
    for _ in range(4):
        plot.press("+")
    before = page.wait_trait("window", "value !== null && value[3] - value[2] < 30")
    assert before[2] > 0
    plot.press("Shift+ArrowDown")
    page.wait_trait("window", "value !== null && value[2] === 0")


def test_colours_and_aggregates_are_traits(open_dev):
    page = open_dev("transformer")
    panel = page.panel("heatmap")
    for trait, option in (("color_map", "grey"), ("color_scale", "full"), ("aggregate", "std")):
        panel.locator(f"select:has(option[value='{option}'])").first.select_option(option)
        page.wait_trait(trait, f"value === '{option}'")
    page.wait_sent("tile", "m => m.aggregate === 'std'")


def test_a_module_shows_what_it_holds(open_dev):
    page = open_dev("transformer", selected="encoder.layer.1")
    expect(page.panel("heatmap")).to_contain_text("query")
    expect(page.panel("statistics")).to_contain_text("std")
    page.wait_sent("histogram", "m => m.path === 'encoder.layer.1'")


# -- filter panel and statistics ---------------------------------------------------------------------------------------


def test_brushing_a_statistic_filters_the_tree(open_dev):
    page = open_dev("transformer")
    facet = page.root.get_by_role("group", name="filter by zeros %")
    drag(page, facet.locator("svg"), 0.1, 1.0)
    page.wait_trait("facets", "value.sparsity && value.sparsity[0] > 0")
    expect(page.root.locator(".ww-hits")).to_have_text("5 / 104")
    expect(page.row("encoder.layer.3.output.dense.weight")).to_be_attached()
    expect(page.row("encoder.layer.3.intermediate.dense.weight")).to_have_count(0)
    # A query narrows it further, and one button takes all away.
    page.search.fill("layer.3")
    expect(page.root.locator(".ww-hits")).to_have_text("1 / 104")
    page.root.get_by_role("button", name="clear all").click()
    expect(page.root.locator(".ww-hits")).to_have_text("104 / 104")
    assert page.trait("facets") == {}


def test_facets_of_the_kernel_are_shown(open_dev):
    page = open_dev("transformer")
    page.set_traits(facets={"absmax": [7, 8]})
    expect(page.root.locator(".ww-hits")).to_have_text("1 / 104")
    facet = page.root.get_by_role("group", name="filter by max |w|")
    expect(facet).to_contain_text("7 – 8")
    facet.get_by_role("button", name="Clear the range of max |w|").click()
    expect(page.root.locator(".ww-hits")).to_have_text("104 / 104")


def test_the_place_of_the_maximum_leads_there(open_dev):
    page = open_dev("transformer")
    page.panel("statistics").get_by_text("[99, 856]").click()
    row0, row1, col0, col1 = page.wait_trait("window", "value !== null")
    assert row0 <= 99 < row1
    assert col0 <= 856 < col1


def test_the_statistics_are_copied(open_dev):
    page = open_dev("transformer", options={"permissions": ["clipboard-read", "clipboard-write"]})
    page.panel("statistics").get_by_role("button", name="copy").click()
    page.page.wait_for_function(
        f"async () => (await navigator.clipboard.readText()).includes('{OUTLIER}')", timeout=5000
    )
    assert "7.9148" in page.page.evaluate("() => navigator.clipboard.readText()")
