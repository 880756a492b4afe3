"""Every view before a real explorer: that it shows something, without a kernel too, follows changes and cleans up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Locator, expect
from playwright.sync_api import TimeoutError as StillWaiting
from torch import nn

from tests.browser.fake_kernel import ExplorerKernel
from tests.browser.page import WidgetPage
from weightwidget import WeightExplorer

pytestmark = pytest.mark.browser

SELECTED = {
    "filters": "conv.weight",
    "gates": "lstm.weight_hh_l0",
    "heads": "attention.in_proj_weight",
    "tokens": "tokens.weight",
    "experts": "moe.experts.w1",
    "channel": "tokens.weight",
    "spectrum": "lstm.weight_hh_l0",
}
"""What is selected for each view."""

WITHOUT = {
    "filters": "a running kernel",
    "gates": "none answers",
    "heads": "A kernel would",
    "tokens": "No kernel answers: with one",
    "experts": "No kernel answers: with one",
    "channel": "takes the kernel",
    "spectrum": "No kernel answers: with one",
}
"""What each view says in place where there is no kernel."""

SILENCES = {
    "throws": "() => { window.dev.model.send = () => { throw new Error('no comm'); }; }",
    "silent": "() => { window.dev.model.onSend = () => {}; }",
}

WAITING = """view => [...view.querySelectorAll('*')].filter(e => {
    if (!e.checkVisibility({visibilityProperty: true})) return false;
    const own = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('').trim();
    return e.tagName === 'PROGRESS' || own === '…' || /^[a-z]+ing\\b.*…/i.test(own);
}).map(e => `${e.tagName} ${e.getAttribute('class')}: ${e.textContent}`)"""
"""The visible elements of a view that say that they wait."""


class Router(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(16, 4, bias=False)
        self.experts = nn.Module()
        self.experts.w1 = nn.Parameter(torch.randn(4, 16, 20))
        self.experts.w2 = nn.Parameter(torch.randn(4, 20, 16))


class Net(nn.Module):
    """A layer for each view."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 12, 5)
        self.lstm = nn.LSTM(20, 15)
        self.attention = nn.MultiheadAttention(24, 3)
        self.tokens = nn.Embedding(40, 24)
        self.moe = Router()


@pytest.fixture
def explorer() -> Iterator[WeightExplorer]:
    made = WeightExplorer(Net(), selected="conv.bias").wait()
    yield made
    made.close()


def show(page: WidgetPage, name: str) -> Locator:
    """Choose a view; its section, which must be seen."""
    page.set_traits(selected=SELECTED[name], view=name)
    found = page.root.locator(f".ww-place-{name}")
    expect(found).to_be_visible()
    return found


def wait_settled(page: WidgetPage, view: Locator) -> None:
    """Wait until no element of the view waits; say which do, where they stay."""
    try:
        page.page.wait_for_function(f"view => ({WAITING})(view).length === 0", arg=view.element_handle(), timeout=3000)
    except StillWaiting:
        pytest.fail(f"still waiting: {view.evaluate(WAITING)}")
    page.frames()


def drawn(view: Locator) -> bool:
    """Whether a view has words, and a canvas or an SVG that is not blank."""
    found: bool = view.evaluate(
        """view => view.innerText.trim().length > 40 && (
            [...view.querySelectorAll('svg')].some(e => e.checkVisibility() && e.querySelector('path, circle, rect')) ||
            [...view.querySelectorAll('canvas')].some(e => e.checkVisibility() && e.width * e.height > 0 &&
                new Set(new Uint32Array(
                    e.getContext('2d').getImageData(0, 0, e.width, e.height).data.buffer)).size > 1))"""
    )
    return found


@pytest.mark.parametrize("name", SELECTED)
def test_each_view_shows_something_and_stops_waiting(open_explorer, explorer, name):
    page, kernel = open_explorer(explorer)
    view = show(page, name)
    page.page.wait_for_function("() => window.dev.model.sent.length > 0")
    wait_settled(page, view)
    expect(view.locator("[data-waiting='true']:visible")).to_have_count(0)
    assert drawn(view)
    text = view.inner_text()
    for wrong in ("undefined", "[object", "Infinity"):
        assert wrong not in text, f"{wrong} in {text}"
    assert not kernel.failures


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", SELECTED)
def test_each_view_says_what_a_kernel_would_add(open_explorer, explorer, name, silence):
    page, _ = open_explorer(explorer)
    page.page.evaluate(SILENCES[silence])
    # Timers run as they do: only the time that the widget reads is moved.
    page.page.evaluate(
        "() => { const { now } = Date; window.later = 0; Date.now = () => now.call(Date) + window.later; }"
    )
    before = len(page.sent())
    view = show(page, name)
    if silence == "silent":
        page.page.wait_for_function("before => window.dev.model.sent.length > before", arg=before)
        page.page.evaluate("() => { window.later = 9000; }")
    expect(view).to_contain_text(WITHOUT[name], timeout=3000)
    wait_settled(page, view)
    text = view.inner_text()
    for wrong in ("undefined", "[object", "Infinity"):
        assert wrong not in text, f"{wrong} in {text}"


def test_views_leave_nothing_behind(new_page, origin, explorer):
    page = new_page()
    # The shipped module unpacks the widget, which then runs from the address of a blob.
    leaks = (Path(__file__).parent / "leaks.js").read_text()
    page.page.add_init_script(leaks.replace("/dist/main.js", "blob:"))
    page.page.goto(f"{origin}/dev/host.html")
    ExplorerKernel(page.page, explorer).show()
    for name in SELECTED:
        wait_settled(page, show(page, name))
    assert all(page.page.evaluate("() => window.kept()").values())  # the account is kept
    page.page.evaluate("() => window.dev.mounted.destroy()")
    assert page.page.evaluate("() => window.dev.model.listeners") == 0
    assert page.root.count() == 0
    # What runs out by itself may; what stays is a leak.
    page.page.wait_for_function("() => window.kept().timers === 0", timeout=3000)
    assert page.page.evaluate("() => window.kept()") == {"timers": 0, "listeners": [], "observers": []}


@pytest.mark.parametrize("name", ["filters", "spectrum"])
def test_changed_weights_change_the_numbers(open_explorer, explorer, name):
    page, kernel = open_explorer(explorer)
    view = show(page, name)
    wait_settled(page, view)
    net: Any = explorer._obj
    if name == "filters":
        number = view.locator(".ww-cf-cell[data-filter='7']:not([hidden]) .ww-cf-note")
        digits = lambda: f"{value():#.3g}".removeprefix("0")  # noqa: E731
        value = lambda: float(net.conv.weight[7].detach().double().norm())  # noqa: E731
    else:
        number = view.locator("[data-number=spectral_norm] dd")
        digits = lambda: f"{value():#.4g}"  # noqa: E731
        value = lambda: float(torch.linalg.matrix_norm(net.lstm.weight_hh_l0.detach().double(), 2))  # noqa: E731
    before = value()
    expect(number).to_have_text(digits())
    with torch.no_grad():
        net.conv.weight *= 3
        net.lstm.weight_hh_l0 *= 3
    explorer.refresh().wait()
    kernel.push()
    assert value() == pytest.approx(3 * before)
    expect(number).to_have_text(digits())
