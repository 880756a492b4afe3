"""Complex weights in the widget: magnitudes, and real and imaginary part in the tree."""

from __future__ import annotations

import pytest
import torch
from playwright.sync_api import expect

from tests.browser.standalone import View
from weightwidget import WeightExplorer

pytestmark = pytest.mark.browser


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    weights = torch.randn(70, 90, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    weights[3, 5] = complex(-31.5, 42.0)
    return {"net.weight": weights, "net.bias": torch.zeros(70, dtype=torch.complex64)}


@pytest.mark.parametrize("width", [1200, 320])
def test_magnitudes_and_parts(open_explorer, state, width):
    page, kernel = open_explorer(state, selected="net.weight", size=(width, 900))
    expect(page.root.locator(".ww-facts")).to_contain_text("70 × 90 · |w| of complex64")
    expect(page.panel("statistics")).to_contain_text("52.5")
    expect(page.panel("statistics")).to_contain_text("[3, 5]")
    expect(page.panel("histogram")).to_contain_text("exact")
    page.row("net.weight").locator(".ww-tree-twisty").click()
    expect(page.row("net.weight › real")).to_be_visible()
    page.row("net.weight › imaginary").click()
    expect(page.root.locator(".ww-facts")).to_contain_text("70 × 90 · float32")
    expect(page.panel("statistics")).to_contain_text("42")
    assert kernel.explorer.selected == "net.weight › imaginary"
    assert not page.page.evaluate("document.body.scrollWidth > document.body.clientWidth")
    page.screenshot(f"complex_{width}")
    assert not kernel.failures


def test_a_stored_page(opened, state, tmp_path):
    explorer = WeightExplorer(state, selected="net.weight")
    explorer.save_html(tmp_path / "x.html")
    explorer.close()
    page = View(opened(tmp_path / "x.html").page)
    expect(page.panel("statistics")).to_contain_text("52.5")
    page.row("net.weight").locator(".ww-tree-twisty").click()
    page.select("net.weight › real")
    # The page has the magnitudes, and what is no part of them says so.
    expect(page.panel("histogram")).to_contain_text("a block's weights need a running kernel")
