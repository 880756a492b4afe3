"""The built widget before a real explorer: real overview, traits and answers, only Jupyter is left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from torch import nn

from weightwidget import WeightExplorer

pytestmark = pytest.mark.browser

OUTLIER = (99, 856, 7.9148)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(48, 48)
        self.dense = nn.Linear(1536, 384)
        self.norm = nn.LayerNorm(384)


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("stem", nn.Conv2d(3, 16, 5))
    model.add_module("block", Block())
    with torch.no_grad():
        model.block.dense.weight[OUTLIER[:2]] = OUTLIER[2]
    return model


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def test_view_and_explorer_are_in_step(open_explorer, net):
    page, kernel = open_explorer(net, selected="block.query.weight")
    expect(page.row("block.query.weight")).to_have_attribute("aria-selected", "true")
    page.row("block.dense.weight").click()
    page.wait_saved("selected", "block.dense.weight")
    assert kernel.explorer.selected == "block.dense.weight"
    expect(page.root.locator(".ww-facts")).to_contain_text("384 × 1 536 · float32 · Linear")

    kernel.explorer.selected = "stem.weight"
    kernel.push()
    expect(page.root.locator(".ww-facts")).to_contain_text("16 × 3 × 5 × 5 · float32 · Conv2d")

    page.search.fill("kind:Linear role:weight")
    expect(page.root.locator(".ww-hits")).to_have_text("2 / 8")
    page.wait_saved("query", "kind:Linear role:weight")
    assert kernel.explorer.visible == ["block.query.weight", "block.dense.weight"]


def test_the_numbers_are_those_of_the_weights(open_explorer, net):
    page, kernel = open_explorer(net, selected="block.dense.weight")
    weight = net.block.dense.weight.detach().double()
    page.page.wait_for_function("() => window.dev.model.sent.some(m => m.kind === 'histogram')")
    statistics = page.panel("statistics")
    expect(statistics).to_contain_text("7.915")
    expect(statistics).to_contain_text("[99, 856]")
    expect(statistics).to_contain_text(f"{weight.std(correction=0):.4g}".replace("-", "−"))
    kernel.explorer.value_range = (7.0, 8.0)
    kernel.push()
    expect(page.panel("histogram")).to_contain_text("1")
    indices, values = kernel.explorer.selection
    assert indices.tolist() == [[99, 856]]
    assert values.tolist() == [np.float32(OUTLIER[2])]


def test_every_kind_of_request_is_answered(open_explorer, net):
    page, kernel = open_explorer(net, selected="block.dense.weight")
    page.page.wait_for_function(
        "() => ['tile', 'profile', 'histogram'].every(k => window.dev.model.sent.some(m => m.kind === k))"
    )
    kernel.explorer.value_range = (0.0, 0.01)
    kernel.push()
    page.page.wait_for_function("() => window.dev.model.sent.some(m => m.kind === 'count')")
    expect(page.root.locator(".ww-kernel")).to_be_hidden()
    assert not kernel.failures


def test_reading_again_shows_changed_weights(open_explorer, net):
    page, kernel = open_explorer(net, selected="block.query.weight")
    with torch.no_grad():
        net.block.query.weight.fill_(0.5)
    kernel.explorer.refresh().wait()
    kernel.push()
    expect(page.panel("statistics")).to_contain_text("0.5")


def test_a_zoom_and_a_brush_outlast_changed_weights(open_explorer, net):
    page, kernel = open_explorer(net, selected="block.dense.weight", value_range=(0.01, 0.02))
    panel = page.panel("histogram")
    panel.get_by_role("button", name="zoom in").click()
    page.panel("heatmap").get_by_role("button", name="zoom in (+)").click()
    window = page.wait_trait("window", "value !== null")
    expect(panel.get_by_role("button", name="show the robust range again")).to_be_enabled()
    ends = panel.locator(".ww-hist-tails button")
    before = [text.split()[-2:] for text in ends.all_inner_texts()]
    with torch.no_grad():
        net.block.dense.weight.mul_(1.01)
    count = panel.locator(".ww-hist-count-text").inner_text()
    kernel.explorer.refresh().wait()
    kernel.push()
    expect(panel.locator(".ww-hist-count-text")).not_to_have_text(count)
    expect(panel.get_by_role("button", name="show the robust range again")).to_be_enabled()
    assert [text.split()[-2:] for text in ends.all_inner_texts()] == before
    assert page.trait("window") == window
    assert kernel.explorer.value_range == (0.01, 0.02)


def test_copying_what_tiles_round_says_so(open_explorer):
    page, kernel = open_explorer({"long": torch.tensor([[2**53 + 1, -7]]), "float": torch.ones(2, 2)}, selected="long")
    page.page.evaluate("() => Object.defineProperty(navigator, 'clipboard', { value: { writeText: async () => {} } })")
    panel = page.panel("heatmap")
    copy = panel.get_by_role("button", name="copy the visible weights")
    copy.click()
    expect(panel.locator(".ww-hm-status")).to_have_attribute("title", "copied 1 × 2 weights, rounded to float32")
    kernel.explorer.selected = "float"
    kernel.push()
    expect(page.root.locator(".ww-facts")).to_contain_text("2 × 2")
    copy.click()
    expect(panel.locator(".ww-hm-status")).to_have_attribute("title", "copied 2 × 2 weights")


def test_odd_tensors(open_explorer):
    odd = {
        "nan": torch.full((8, 8), torch.nan),
        "some": torch.tensor([[1.0, torch.nan], [torch.inf, -torch.inf]]),
        "zero": torch.zeros(12, 12),
        "scalar": torch.tensor(0.125),
        "empty": torch.zeros(0, 5),
        "complex": torch.zeros(4, 4, dtype=torch.complex64),
        "half": torch.randn(16, 16).half(),
        "bytes": torch.arange(256, dtype=torch.uint8).reshape(16, 16),
        "long": torch.arange(64).reshape(8, 8),
        "<img src=x onerror=alert(1)>": torch.randn(8, 8),
        "float8": torch.randn(8, 8).to(torch.float8_e4m3fn),
    }
    page, kernel = open_explorer(odd, selected="some")
    for name in odd:
        kernel.explorer.selected = name
        kernel.push()
        expect(page.row(name, "tensor")).to_have_attribute("aria-selected", "true")
        page.frames()
        page.check()
    assert page.root.locator("img").count() == 0


def test_20_000_tensors_in_four_megabytes(open_explorer):
    tensors = {
        f"model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight": torch.full((16, 16), 0.01 * layer)
        for layer in range(40)
        for expert in range(500)
    }
    explorer = WeightExplorer(tensors).wait()
    try:
        assert len(explorer._overview) <= 4_000_000
        page, _ = open_explorer(explorer)
        expect(page.root.locator(".ww-hits")).to_have_text("20 000 / 20 000")
        expect(page.root.locator("[role=treeitem]").first).to_be_visible()
    finally:
        explorer.close()
