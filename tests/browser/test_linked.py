"""Histogram, heatmap, filter panel and statistics: what is done in one shows in the others."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.page import WidgetPage

pytestmark = pytest.mark.browser

OUTLIER = "encoder.layer.0.output.dense.weight"
ROWS, COLS = 384, 1536

# Room around the matrix in a plot of comfortable size: see js/src/panels/heatmap/geometry.ts.
RECORD_TEXT = """
    window.drawnText = new Set();
    const fillText = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
        window.drawnText.add(String(text));
        return fillText.call(this, text, ...rest);
    };
"""


def plot_of(page: WidgetPage):
    plot = page.panel("heatmap").locator(".ww-hm-plot")
    plot.scroll_into_view_if_needed()
    return plot, plot.bounding_box()


def point_at(page: WidgetPage, row: int, col: int, timeout: float = 20_000) -> None:
    """Move the pointer over the pixel of an element, found by what the readout says of where the pointer is."""
    plot, box = plot_of(page)
    where = page.panel("heatmap").locator(".ww-hm-where")

    def at(x: float, y: float) -> tuple[int, int, int, int] | None:
        page.page.mouse.move(box["x"] + x, box["y"] + y)
        hover = page.page.evaluate(
            """([root]) => new Promise(done => requestAnimationFrame(() => done(root.innerText)))""",
            [where.element_handle()],
        )
        return page.parse_where(hover)

    width, height = box["width"], box["height"]
    x, y = width / 2, height / 2
    for _ in range(40):
        found = at(x, y)
        assert found, "nothing under the pointer"
        row0, row1, col0, col1 = found
        if row0 <= row < row1 and col0 <= col < col1:
            return
        # A secant towards it: a pixel of the screen is about so many rows and columns.
        if not col0 <= col < col1:
            x += (col - (col0 + col1) / 2) * width / COLS / 1.35
        if not row0 <= row < row1:
            y += (row - (row0 + row1) / 2) * height / ROWS / 1.25
    raise AssertionError(f"({row}, {col}) was not found")
