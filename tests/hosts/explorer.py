"""What is done with an explorer in every host, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from playwright.sync_api import Locator, expect

MODEL = """
import torch
from torch import nn
model = nn.Sequential()
model.add_module("conv", nn.Conv2d(3, 16, 5))
model.add_module("fc1", nn.Linear(300, 200))
model.add_module("fc2", nn.Linear(200, 10))
with torch.no_grad():
    model.fc2.weight.copy_(torch.linspace(-0.07, 0.07, 2000).sin().reshape(10, 200))
from weightwidget import WeightExplorer
explorer = WeightExplorer(model, selected="fc1.weight")
"""
"""Not square, so that a transposition shows."""

TOLD = """
import json
from ipywidgets import Label
told = Label()
def tell(_=None):
    told.value = json.dumps({"selected": explorer.selected, "value_range": explorer.value_range})
explorer.observe(tell, ["selected", "value_range"])
tell()
told.add_class("told")
told
"""
"""A cell that shows what Python has, for hosts whose kernel cannot be asked."""


def exercise(root: Locator, wait_python: Callable[[str, Callable[[Any], bool]], Any]) -> None:
    """Select a row, zoom until tiles come, brush the histogram: view and Python must follow.

    Parameters
    ----------
    root
        The widget's root element.
    wait_python
        Waits until a trait in Python is as expected, and gives it.
    """
    row = root.locator("[role=treeitem][data-path='fc2.weight']")
    expect(row).to_be_visible(timeout=60_000)
    expect(root.locator(".ww-facts")).to_contain_text("200 × 300")
    row.click()
    expect(row).to_have_attribute("aria-selected", "true")
    expect(root.locator(".ww-facts")).to_contain_text("10 × 200")
    wait_python("selected", lambda value: value == "fc2.weight")
    settled(root)

    plot = root.locator(".ww-hist-pad").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    mouse = root.page.mouse
    mouse.move(box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2, steps=5)
    mouse.up()
    low, high = wait_python("value_range", lambda value: value is not None)
    assert -0.08 < low < high < 0.08
    settled(root)

    # A key of the tree: the focus is found, also under a shadow root.
    row.click()
    root.page.keyboard.press("ArrowUp")
    wait_python("selected", lambda value: value not in ("fc2.weight", "fc1.weight"))
    row.click()
    wait_python("selected", lambda value: value == "fc2.weight")
    root.page.keyboard.press("/")
    expect(root.get_by_label("filter layers")).to_be_focused()
    root.page.keyboard.type("fc2")
    expect(root.locator(".ww-hits")).to_have_text("2 / 6")


def settled(root: Locator) -> None:
    """Wait until all that was asked of the kernel has come: bytes beside messages, too."""
    expect(root.locator(".ww-kernel")).to_be_hidden()
    expect(root.locator("[data-waiting='true']:visible")).to_have_count(0)


def spectrum_comes(root: Locator) -> None:
    """Ask for what only the kernel can tell: the numbers of the view come as bytes."""
    weight = torch.linspace(-0.07, 0.07, 2000).sin().reshape(10, 200)
    norm = f"{torch.linalg.matrix_norm(weight.double(), 2):#.4g}"
    root.get_by_role("tab", name="Spectrum").click()
    expect(root.locator("[data-number=spectral_norm] dd")).to_have_text(norm, timeout=20_000)


def styled(root: Locator, theme: str = "light") -> None:
    """The style sheet has reached the widget, and so has the host's theme."""
    expect(root).to_have_attribute("data-theme", theme)
    assert root.locator(".ww-body").evaluate("el => getComputedStyle(el).display") in ("flex", "grid")
    # The host's own styles for lists do not come through: the name of a number stands in one line.
    for term in root.locator("dt:visible").all():
        box = term.bounding_box()
        assert box is None or box["height"] < 30, f"{term.inner_text()!r} is broken into lines"
