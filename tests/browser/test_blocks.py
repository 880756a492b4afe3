"""Blocks on the screen: unfolded in the tree, selected, drawn, brushed; the numbers are those of the slice."""

from __future__ import annotations

import re

import pytest
import torch
from playwright.sync_api import expect
from torch import nn

from tests.browser.test_linked import RECORD_TEXT, box_of, drag
from weightwidget import WeightExplorer
from weightwidget.anatomy.axes import Axes, equal_split

pytestmark = pytest.mark.browser

F = "lstm.weight_ih_l0 › f"
KEY = "attn › head 1 › key"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.lstm = nn.LSTM(20, 15)
        self.attn = nn.MultiheadAttention(24, 3)
        self.conv = nn.Conv2d(3, 8, 5)


@pytest.fixture
def net() -> Net:
    return Net()


def twisty(page, path, kind=None):
    return page.row(path, kind).locator(".ww-tree-twisty")


def shown(value: float, digits: int = 4) -> str:
    """A number as the statistics have it."""
    text = f"{value:#.{digits}g}"
    return text.replace("-", "−").rstrip(".")


def test_a_gate_is_unfolded_selected_and_drawn(open_explorer, net):
    page, kernel = open_explorer(net, selected="lstm.weight_ih_l0")
    assert page.row(F).count() == 0
    assert not [request for request in kernel.requests if request["kind"] == "records"]
    twisty(page, "lstm.weight_ih_l0").click()
    row = page.row(F)
    expect(row).to_have_attribute("data-kind", "block")
    expect(row).to_have_attribute("aria-level", "4")
    gate = net.lstm.weight_ih_l0.detach()[15:30].double()
    expect(row.locator(".ww-tree-stat")).to_have_text(re.compile(re.escape(shown(gate.std(correction=0).item(), 3))))
    row.click()
    page.wait_saved("selected", F)
    assert kernel.explorer.selected == F
    assert kernel.explorer.view == "heatmap"
    expect(page.root.locator(".ww-facts")).to_have_text("15 × 20 · float32 · LSTM · hidden × in")
    statistics = page.panel("statistics")
    expect(statistics).to_contain_text(F)
    expect(statistics).to_contain_text(shown(gate.norm().item()))
    expect(statistics).to_contain_text(shown(gate.max().item()))
    at = divmod(int(gate.argmax()), 20)
    expect(statistics).to_contain_text(f"[{at[0]}, {at[1]}]")
    expect(page.panel("histogram")).to_contain_text("exact")
    asked = page.wait_sent("histogram", f"m => m.path === '{F}'")
    assert asked["path"] == F
    page.wait_sent("tile", f"m => m.tensor === '{F}'")
    expect(page.panel("heatmap").locator(".ww-hm-canvas").first).to_have_attribute(
        "aria-label", f"heatmap of {F}, 15 rows, 20 columns"
    )
    assert not kernel.failures


def test_a_brush_holds_the_weights_of_the_block(open_explorer, net):
    page, kernel = open_explorer(net, selected=F)
    expect(page.panel("histogram")).to_contain_text("exact")
    drag(page, page.panel("histogram").locator(".ww-hist-pad"), 0.55, 0.8)
    low, high = page.wait_trait("value_range", "value !== null && value[0] < value[1]")
    page.wait_sent("count", f"m => m.path === '{F}' && m.range[0] === {low}")
    page.wait_saved("value_range", [low, high])
    gate = net.lstm.weight_ih_l0.detach()[15:30]
    inside = (gate.double() >= low) & (gate.double() <= high)
    expect(page.panel("histogram").locator(".ww-hist-count-text")).to_contain_text(f": {int(inside.sum())} (")
    assert torch.equal(kernel.explorer.selection.values, gate[inside])


def test_a_block_selected_in_python_is_revealed(open_explorer, net):
    page, kernel = open_explorer(net, selected="conv.weight")
    kernel.explorer.selected = "attn › head 1 › key"
    kernel.push()
    expect(page.row(KEY)).to_have_attribute("aria-selected", "true")
    key = net.attn.in_proj_weight.detach()[32:40].double()
    expect(page.panel("statistics")).to_contain_text(shown(key.norm().item()))
    crumbs = page.root.locator(".ww-path").get_by_role("button")
    assert crumbs.all_inner_texts() == ["Net", "attn", "head 1"]
    crumbs.last.click()
    page.wait_saved("selected", "attn › head 1")
    expect(page.root.locator(".ww-facts")).to_contain_text("768 weights · head of MultiheadAttention")
    cards = page.panel("heatmap").locator(".ww-hm-card")
    expect(cards).to_have_count(4)
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('.ww-hm-card canvas')].every(c => c.width === 24)"
        " || [...document.querySelectorAll('.ww-hm-card canvas')].some(c => c.height === 24)"
    )
    cards.nth(3).click()
    page.wait_saved("selected", "attn › head 1 › output")
    expect(page.root.locator(".ww-facts")).to_contain_text("24 × 8 · float32")
    twisty(page, "attn › head 1").click()
    expect(page.row(KEY)).to_have_count(0)


def test_parts_are_named_beside_the_matrix_and_under_the_pointer(open_explorer, net):
    explorer = WeightExplorer(net, selected="attn.in_proj_weight").wait()
    try:
        page, _ = open_explorer(explorer)
        page.page.evaluate(f"() => {{ {RECORD_TEXT} }}")
        page.root.get_by_role("button", name="zoom in (+)").click()
        page.page.wait_for_function("() => ['q', 'k', 'v'].some(name => window.drawnText.has(name))")
        page.root.get_by_role("button", name="show the whole matrix").click()
        names = "['q', 'k', 'v', '(qkv head head_dim) 72', 'in 24']"
        page.page.wait_for_function(f"() => {names}.every(name => window.drawnText.has(name))")
        box = box_of(page.panel("heatmap").locator(".ww-hm-plot"))
        page.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
        readout = page.panel("heatmap").locator(".ww-hm-readout")
        expect(readout.locator(".ww-hm-part").first).to_have_text(re.compile(r"^[qkv] · head [0-2] · \d$"))
        row, col = (int(at) for at in re.findall(r"\d+", readout.locator(".ww-hm-where").inner_text()))
        projection, head, unit = readout.locator(".ww-hm-part").first.inner_text().split(" · ")
        assert "qkv".index(projection) * 24 + int(head.removeprefix("head ")) * 8 + int(unit) == row
        expect(readout.locator(".ww-hm-part").last).to_have_text(f"in {col}")
    finally:
        explorer.close()


def test_stacked_experts_are_stepped_through(open_explorer):
    tensors = {"experts.w": torch.randn(6, 10, 14, generator=torch.Generator().manual_seed(1))}
    explorer = WeightExplorer(tensors).wait()
    labels = tuple(f"expert {number}" for number in range(6))
    explorer.anatomy["experts.w"] = Axes(
        ("expert", "out", "in"), "expert", False, "set in a test", 1, 2, splits=(equal_split(0, "expert", labels, 6),)
    )
    try:
        page, kernel = open_explorer(explorer)
        heatmap = page.panel("heatmap")
        expect(heatmap.locator(".ww-hm-axes")).to_contain_text("expert (6)")
        expect(page.root.locator(".ww-facts")).to_contain_text("expert × out × in")
        heatmap.get_by_label("position on axis 0, as a number").fill("4")
        expect(heatmap.locator(".ww-hm-place").first).to_have_text("expert 4")
        tile = page.wait_sent("tile", "m => m.index[0] === 4")
        assert tile["axes"] == {"rows": [1], "cols": [2]}
        twisty(page, "experts.w", "tensor").click()
        page.row("experts.w › expert 4").click()
        page.wait_saved("selected", "experts.w › expert 4")
        expect(page.root.locator(".ww-facts")).to_contain_text("10 × 14")
        expect(page.panel("statistics")).to_contain_text(shown(tensors["experts.w"][4].double().norm().item()))
        assert not kernel.failures
    finally:
        explorer.close()


def test_hundreds_of_blocks_scroll_and_sort(open_explorer):
    weight = torch.randn(300, 6, 4, generator=torch.Generator().manual_seed(2))
    weight *= torch.linspace(1, 2, 300)[torch.randperm(300, generator=torch.Generator().manual_seed(3)), None, None]
    explorer = WeightExplorer({"experts.w": weight, "head.w": torch.ones(2, 2)}).wait()
    labels = tuple(f"expert {number}" for number in range(300))
    explorer.anatomy["experts.w"] = Axes(
        ("expert", "out", "in"), "expert", splits=(equal_split(0, "expert", labels, 300),)
    )
    try:
        page, kernel = open_explorer(explorer, selected="experts.w")
        twisty(page, "experts.w", "tensor").click()
        expect(page.row("experts.w › expert 0").locator(".ww-tree-stat")).not_to_be_empty()
        assert page.row("experts.w › expert 299").count() == 0
        rows = page.root.get_by_role("tree")
        rows.evaluate("rows => { rows.scrollTop = 200 * 24; }")
        expect(page.row("experts.w › expert 200").locator(".ww-tree-stat")).not_to_be_empty()
        # That statistics came did not lead back to what is selected.
        assert rows.evaluate("rows => rows.scrollTop") == 200 * 24
        asked = [path for request in kernel.requests if request["kind"] == "records" for path in request["paths"]]
        assert len(asked) == len(set(asked)) < 150
        page.root.locator(".ww-tree-by-stat").click()
        rows.evaluate("rows => { rows.scrollTop = 0; }")
        std = weight.double().flatten(1).std(1, correction=0)
        expect(page.root.locator("[data-kind=block]").first).to_have_attribute(
            "data-path", f"experts.w › expert {int(std.argmax())}"
        )
    finally:
        explorer.close()


def test_changed_weights_show_in_blocks(open_explorer, net):
    page, kernel = open_explorer(net, selected=F)
    page.panel("statistics").get_by_text("hidden × in").wait_for()
    with torch.no_grad():
        net.lstm.weight_ih_l0.fill_(0.5)
    kernel.explorer.refresh().wait()
    kernel.push()
    expect(page.panel("statistics")).to_contain_text("0.5000")
    expect(page.row(F).locator(".ww-tree-stat")).to_have_text("0")


def test_axes_set_by_hand_change_the_tree(open_explorer, net):
    page, kernel = open_explorer(net, selected=F)
    expect(page.row(F)).to_be_visible()
    rest = Axes(("(part rest)", "in"), "other", splits=(equal_split(0, "part", ("first", "second"), 60),))
    kernel.explorer.anatomy["lstm.weight_ih_l0"] = rest
    kernel.push()
    expect(page.row("lstm.weight_ih_l0 › second")).to_be_visible()
    expect(page.row(F)).to_have_count(0)
    expect(page.row("lstm.weight_ih_l0")).to_have_attribute("aria-selected", "true")


def test_without_a_kernel_blocks_that_are_not_kept_say_what_is_missing(open_explorer):
    net = nn.Module()
    net.lstm = nn.LSTM(200, 150)
    page, _ = open_explorer(net, selected="lstm.weight_ih_l0")
    expect(page.panel("histogram")).to_contain_text("exact")
    # From here on nothing is answered.
    page.page.evaluate("() => { window.dev.model.onSend = () => { throw new Error('no comm'); }; }")
    twisty(page, "lstm.weight_ih_l0").click()
    expect(page.row(F)).to_contain_text("150 × 200 · needs a kernel")
    page.row(F).click()
    expect(page.root.locator(".ww-facts")).to_contain_text("150 × 200 · float32")
    expect(page.panel("heatmap").locator(".ww-hm-status")).to_contain_text("need a running kernel")
    expect(page.panel("histogram")).to_contain_text("a running kernel")
