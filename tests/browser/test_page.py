"""Saved files and snapshots: alive without kernel and network, and without rights over the page around them."""

from __future__ import annotations

import re

import pytest
import torch
from playwright.sync_api import expect
from torch import nn

from tests.browser.standalone import RESULTS, View
from weightwidget import WeightExplorer

pytestmark = pytest.mark.browser


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("stem", nn.Conv2d(3, 16, 5))
    model.add_module("middle", nn.Linear(48, 30))
    model.add_module("head", nn.Linear(1500, 700))
    with torch.no_grad():
        model.head.weight[699, 3] = -7.5
    return model


def drawn(view: View) -> None:
    canvas = view.root.locator("canvas.ww-hm-canvas").first
    expect(canvas).to_be_visible()


def test_a_saved_file_is_alive(opened, net, tmp_path):
    explorer = WeightExplorer(net, selected="middle.weight").wait()
    page = opened(explorer.save_html(tmp_path / "report.html").path)
    view = View(page.page)
    expect(page.page).to_have_title("Sequential")
    expect(view.row("middle.weight")).to_have_attribute("aria-selected", "true")
    expect(view.root.locator(".ww-kernel")).to_have_text("saved copy")

    # The whole of a small tensor is there: exact histogram, exact count, single weights.
    view.select("middle.bias")
    expect(view.root.locator(".ww-facts")).to_contain_text("30")
    view.select("middle.weight")
    histogram = view.panel("histogram")
    expect(histogram).to_contain_text("exact")
    view.brush(0.55, 0.85)
    told = histogram.locator(".ww-hist-count-text")
    expect(told).not_to_contain_text("≈")  # counted, no longer an estimate
    low, high = (
        number(box.input_value())
        for box in histogram.get_by_role("spinbutton")
        .or_(histogram.locator("input[type=text], input:not([type])"))
        .all()[:2]
    )
    weight = net.middle.weight.detach()
    count = int(((weight >= low) & (weight <= high)).sum())
    found = int(re.search(r"[\d\u2009]+", told.inner_text())[0].replace("\u2009", ""))
    assert abs(found - count) <= 2  # the ends are shown rounded
    drawn(view)

    # Filters by text and by statistic.
    view.root.get_by_label("filter layers").fill("kind:Linear role:weight")
    expect(view.root.locator(".ww-hits")).to_have_text("2 / 6")
    view.root.get_by_label("filter layers").fill("")
    expect(view.root.locator(".ww-hits")).to_have_text("6 / 6")

    # Filters of the convolution, exactly.
    view.select("stem.weight")
    view.root.get_by_role("tab", name="Filters").click()
    expect(view.panel("filters").locator(".ww-cf-canvas, canvas").first).to_be_visible()
    page.page.screenshot(path=RESULTS / "page-filters.png")
    view.root.get_by_role("tab", name="Spectrum").click()
    expect(view.panel("spectrum")).to_contain_text("kernel")


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").replace("\u2009", ""))


def test_a_large_matrix_is_there_at_its_level(opened, net, tmp_path):
    explorer = WeightExplorer(net, selected="head.weight").wait()
    page = opened(explorer.save_html(tmp_path / "report.html", detail=1).path)
    view = View(page.page)
    heatmap = view.panel("heatmap")
    # 700 × 1 500 in 128 cells a side: 8 × 16 weights a cell.
    expect(heatmap).to_contain_text("8 × 16 weights")
    expect(heatmap).to_contain_text("a running kernel shows each")
    expect(heatmap).to_contain_text("[699, 3]")
    canvas = heatmap.locator("canvas.ww-hm-canvas").first
    box = canvas.bounding_box()
    page.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    expect(heatmap).to_contain_text("largest |w| of 8 × 16")
    for _ in range(6):
        page.page.mouse.wheel(0, -240)
    drawn(view)


def test_a_frame_in_a_page_is_alive_and_has_no_rights(opened, net, tmp_path):
    explorer = WeightExplorer(net, selected="middle.weight").wait()
    html = explorer.snapshot()._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><title>page</title><script>secret = 1</script>{html}")
    page = opened(path)
    frame = page.page.frame_locator("iframe")
    view = View(frame)
    view.select("stem.bias")
    expect(view.root.locator(".ww-facts")).to_contain_text("16")
    view.select("middle.weight")
    view.brush(0.2, 0.6)
    expect(view.panel("histogram").locator(".ww-hist-count-text")).not_to_be_empty()
    inner = next(each for each in page.page.frames if each is not page.page.main_frame)
    assert inner.evaluate("() => self.origin") == "null"
    reached = inner.evaluate(
        """() => {
            const tries = [() => parent.secret, () => parent.document.title, () => localStorage.length,
                           () => document.cookie];
            return tries.map((attempt) => { try { return attempt(); } catch (error) { return error.name; } });
        }"""
    )
    assert reached == ["SecurityError"] * 4
    page.page.screenshot(path=RESULTS / "snapshot.png")


def test_scripts_that_are_not_the_page_s_own_do_not_run(browser, net, tmp_path):
    """Also a check that the tests for hostile names would see something."""
    saved = WeightExplorer(net).wait().save_html(tmp_path / "report.html")
    text = saved.path.read_text("utf-8")
    extra = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
    saved.path.write_text(text.replace("</body>", f"{extra}</body>"), "utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    refused: list[str] = []
    page.on(
        "console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else None
    )
    page.goto(saved.path.as_uri())
    expect(page.locator("[role=treeitem]").first).to_be_visible()
    assert page.evaluate("() => window.ran") is None
    assert len(refused) >= 2
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_how_it_looks(opened, net, tmp_path, scheme, width):
    saved = WeightExplorer(net, selected="stem.weight").wait().save_html(tmp_path / "report.html")
    page = opened(saved.path, viewport={"width": width, "height": 900}, color_scheme=scheme)
    view = View(page.page)
    expect(view.root).to_have_attribute("data-theme", scheme)
    expect(view.root.locator("[role=treeitem]").first).to_be_visible()
    assert page.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.page.screenshot(path=RESULTS / f"page-{scheme}-{width}.png")
