"""The explorer in a real JupyterLab: what is done in the view reaches Python, and the other way round."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.lab

MODEL = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential()
model.add_module("conv", nn.Conv2d(3, 16, 5))
model.add_module("fc1", nn.Linear(300, 200))
model.add_module("fc2", nn.Linear(200, 10))
from weightwidget import WeightExplorer
explorer = WeightExplorer(model, selected="fc1.weight")
explorer
"""


def ready(notebook):
    notebook.run_all()
    root = notebook.page.locator(".weightwidget").first
    expect(root.locator("[role=treeitem][data-path='fc1.weight']")).to_be_visible(timeout=60_000)
    return root


def test_view_and_kernel_are_in_step(open_notebook):
    notebook = open_notebook(MODEL)
    root = ready(notebook)

    # A click on a row sets `selected`.
    root.locator("[role=treeitem][data-path='fc2.weight']").click()
    notebook.wait_python("out = explorer.selected", lambda value: value == "fc2.weight")
    expect(root.locator(".ww-path-last")).to_have_text("weight")
    expect(root.locator(".ww-facts")).to_contain_text("10 × 200")

    # Setting `selected` moves the view.
    notebook.python("explorer.selected = 'fc1.weight'; out = 1")
    expect(root.locator(".ww-facts")).to_contain_text("200 × 300")
    expect(root.locator("[role=treeitem][data-path='fc1.weight']")).to_have_attribute("aria-selected", "true")

    # Typing a query changes `visible`.
    search = root.get_by_label("filter layers")
    search.fill("kind:Linear role:weight")
    notebook.wait_python("out = explorer.visible", lambda value: value == ["fc1.weight", "fc2.weight"])
    expect(root.locator("[role=treeitem][data-path='conv.weight']")).to_have_count(0)
    expect(root.locator(".ww-hits")).to_have_text("2 / 6")
    search.fill("")
    notebook.wait_python("out = len(explorer.visible)", lambda value: value == 6)


def test_brushing_the_histogram_sets_the_value_range(open_notebook):
    notebook = open_notebook(MODEL)
    root = ready(notebook)
    plot = root.locator(".ww-hist-pad").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    mouse = notebook.page.mouse
    mouse.move(box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2, steps=5)
    mouse.up()
    low, high = notebook.wait_python("out = explorer.value_range", lambda value: value is not None)
    assert -0.06 < low < high < 0.06
    count = notebook.python(
        "low, high = explorer.value_range; out = int(((model.fc1.weight >= low) & (model.fc1.weight <= high)).sum())"
    )
    assert notebook.python("out = len(explorer.selection.values)") == count
    expect(root.locator(".ww-histogram")).to_contain_text(f"{count:,}".replace(",", "\u2009"))


def test_zooming_fetches_tiles_and_sets_the_window(open_notebook):
    # Large enough that the whole of it is drawn coarsely.
    notebook = open_notebook(MODEL.replace("nn.Linear(300, 200)", "nn.Linear(2300, 1700)"))
    root = ready(notebook)
    notebook.python(
        """
asked = []
answer_before = explorer._handlers.receive
def watch(content):
    if isinstance(content, dict) and content.get("kind") == "tile":
        asked.append(content["tile"])
    answer_before(content)
explorer._handlers.receive = watch
out = 1"""
    )
    canvas = root.locator("canvas.ww-hm-canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    notebook.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(12):
        notebook.page.mouse.wheel(0, -240)
    window = notebook.wait_python("out = explorer.window", lambda value: value is not None)
    notebook.wait_python("out = [t for t in asked if t[:2] == [0, 0]]", lambda value: len(value) > 0)
    row0, row1, col0, col1 = window
    assert 0 <= row0 < row1 <= 1700
    assert 0 <= col0 < col1 <= 2300
    assert col1 - col0 < 500

    notebook.python("explorer.window = (10, 20, 30, 50); out = 1")
    notebook.wait_python("out = explorer.window", lambda value: value is not None)
    notebook.python("explorer.window = None; out = 1")


def test_the_sidebar_opens_and_stays_in_step(open_notebook):
    notebook = open_notebook(MODEL, "panel = explorer.sidebar()")
    notebook.run_all()
    page = notebook.page
    side = page.locator("#jp-right-stack .weightwidget")
    expect(side.locator("[role=treeitem][data-path='fc2.weight']")).to_be_visible(timeout=60_000)
    side.locator("[role=treeitem][data-path='fc2.weight']").click()
    notebook.wait_python("out = explorer.selected", lambda value: value == "fc2.weight")
    expect(page.locator(".jp-Notebook .weightwidget .ww-facts").first).to_contain_text("10 × 200")
    assert side.evaluate("el => el.scrollWidth <= el.clientWidth + 1")
    notebook.screenshot("lab-sidebar")
    notebook.python("panel.close(); out = 1")
    expect(side).to_have_count(0)


def test_the_trend_chart_is_linked(open_notebook):
    notebook = open_notebook(MODEL, "chart = explorer.charts.trend('std', roles=None)\nchart")
    ready(notebook)
    page = notebook.page
    marks = page.locator(".bqplot .mark .element, .bqplot .dot").first
    expect(marks).to_be_visible(timeout=60_000)
    notebook.python("explorer.selected = 'conv.bias'; out = 1")
    notebook.wait_python("out = list(map(str, chart.marks[2].names))", lambda value: value == ["conv.bias"])
    notebook.screenshot("lab-chart")


def test_dark_theme(open_notebook):
    notebook = open_notebook(MODEL, dark=True)
    root = ready(notebook)
    expect(root).to_have_attribute("data-theme", "dark")
    notebook.screenshot("lab-dark")
