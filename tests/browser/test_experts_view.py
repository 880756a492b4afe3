"""The view of mixtures of experts before a real explorer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, expect
from torch import nn

from tests.browser.page import WidgetPage

pytestmark = pytest.mark.browser

LAYERS, EXPERTS, WIDTH, HIDDEN = 3, 6, 20, 60


class Expert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up_proj = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down_proj = nn.Linear(HIDDEN, WIDTH, bias=False)


class Mixture(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = nn.ModuleList(Expert() for _ in range(EXPERTS))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Mixture() for _ in range(LAYERS))


@pytest.fixture
def net() -> Model:
    torch.manual_seed(0)
    model = Model()
    with torch.no_grad():
        for layer in model.layers:
            for expert in layer.experts:
                for weights in expert.parameters():
                    weights += 0.3 * torch.randn(weights.shape[0], 1) @ torch.randn(1, weights.shape[1])
        nn.init.normal_(model.layers[1].experts[4].up_proj.weight, std=0.3)
        model.layers[2].experts[5].up_proj.weight.copy_(model.layers[2].experts[0].up_proj.weight)
        model.layers[0].experts[3].up_proj.weight.zero_()
    return model


def stacked() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "moe.router.weight": torch.randn(4, 16),
        "moe.experts.w1": torch.randn(4, 16, 16),
        "moe.experts.w2": torch.randn(4, 16, 16),
    }


def view(page: WidgetPage) -> Locator:
    return page.panel("experts")


def grid(page: WidgetPage) -> Locator:
    return view(page).locator(".ww-grid").first


def table(page: WidgetPage, of: Locator) -> np.ndarray:
    """What a grid copies."""
    page.page.evaluate(
        "() => { window.copied = null; Object.defineProperty(navigator, 'clipboard',"
        " { configurable: true, value: { writeText: async text => { window.copied = text; } } }); }"
    )
    of.get_by_role("button", name="copy").click()
    page.page.wait_for_function("() => window.copied !== null")
    lines = page.page.evaluate("() => window.copied").rstrip("\n").split("\n")[1:]
    return np.array([[float(cell or "nan") for cell in line.split("\t")[1:]] for line in lines])


def choose(page: WidgetPage, statistic: str) -> None:
    grid(page).get_by_label("statistic of the grid").select_option(statistic)


def test_the_grid_has_the_statistics_of_every_expert(open_explorer, net):
    page, kernel = open_explorer(net, view="experts", selected="layers.1")
    expect(view(page)).to_contain_text(f"{LAYERS} layers × {EXPERTS} experts")
    expected = [[expert.up_proj.weight.std(correction=0).item() for expert in layer.experts] for layer in net.layers]
    np.testing.assert_allclose(table(page, grid(page)), expected, rtol=1e-5)
    choose(page, "rel:std")
    with np.errstate(divide="ignore"):
        relative = np.log2(np.array(expected) / np.median(expected, axis=1, keepdims=True))
    np.testing.assert_allclose(table(page, grid(page)), relative, atol=1e-5)
    view(page).locator("[data-role=down_proj]").click()
    choose(page, "l2")
    expected = [[expert.down_proj.weight.norm().item() for expert in layer.experts] for layer in net.layers]
    np.testing.assert_allclose(table(page, grid(page)), expected, rtol=1e-5)
    expect(view(page)).to_contain_text("cannot be had from weights")
    assert not kernel.failures


def test_comparison_with_noise(open_explorer, net):
    page, _ = open_explorer(net, view="experts", selected="layers.0.experts.0.down_proj.weight")
    choose(page, "noise")
    expect(grid(page).locator(".ww-grid-unknown")).to_be_hidden()
    expected = []
    for layer in net.layers:
        weights = [expert.down_proj.weight.detach().double().numpy() for expert in layer.experts]
        edges = [np.sqrt((w**2).mean()) * (WIDTH**0.5 + HIDDEN**0.5) for w in weights]
        expected.append([np.linalg.norm(w, 2) / edge for w, edge in zip(weights, edges, strict=True)])
    np.testing.assert_allclose(table(page, grid(page)), expected, rtol=1e-9)


def test_what_stands_out(open_explorer, net):
    page, _ = open_explorer(net, view="experts", selected="layers.0.experts.0.up_proj.weight")
    items = view(page).locator(".ww-exp-item")
    expect(items.filter(has_text="layer 0 · expert 3")).to_contain_text("all zero")
    expect(items.filter(has_text="layer 1 · expert 4")).to_contain_text("like noise")
    expect(items.filter(has_text="layer 2 · expert 5")).to_contain_text("a copy of expert 0")
    items.filter(has_text="layer 2 · expert 5").click()
    page.wait_saved("selected", "layers.2.experts.5.up_proj.weight")
    card = view(page).get_by_role("region", name="expert", exact=True)
    expect(card).to_contain_text("Expert 5 of layer 2")
    card.get_by_role("button", name="down_proj").click()
    page.wait_saved("selected", "layers.2.experts.5.down_proj.weight")
    assert page.trait("view") == "heatmap"


def test_router_rows(open_explorer, net):
    page, _ = open_explorer(net, view="experts", selected="layers.2.gate.weight")
    view(page).locator("[data-role=router]").click()
    expect(grid(page).locator(".ww-grid-unknown")).to_be_hidden()
    expected = [layer.gate.weight.detach().double().norm(dim=1).numpy() for layer in net.layers]
    np.testing.assert_allclose(table(page, grid(page)), expected, rtol=1e-9)
    alike = view(page).get_by_role("region", name="similarity of experts")
    expect(alike.locator(".ww-grid-canvas")).to_be_visible()
    units = nn.functional.normalize(net.layers[2].gate.weight.detach().double(), dim=1)
    found = table(page, alike.locator(".ww-grid"))
    off = ~np.eye(EXPERTS, dtype=bool)
    np.testing.assert_allclose(found[off], (units @ units.T).numpy()[off], atol=1e-9)


def test_experts_in_one_tensor(open_explorer):
    tensors = stacked()
    page, kernel = open_explorer(tensors, view="experts", selected="moe.experts.w1 › expert 2")
    expect(grid(page).locator(".ww-grid-unknown")).to_be_hidden()
    expected = [tensors["moe.experts.w1"][n].std(correction=0).item() for n in range(4)]
    np.testing.assert_allclose(table(page, grid(page)), [expected], rtol=1e-5)
    # Nothing but the sizes could tell which axis is that of the inputs, and they are alike.
    stored = view(page).locator(".ww-exp-stored").first
    expect(stored).to_contain_text("guess")
    stored.get_by_role("button", name="flip").click()
    page.wait_saved("drawn_axes", {"rows": [2], "cols": [1]})
    assert kernel.explorer.selected == "moe.experts.w1"
    assert kernel.explorer.index == (2, 0, 0)
    assert not kernel.failures


def test_the_line_for_python_turns_the_axes(open_explorer):
    page, kernel = open_explorer(stored := stacked(), view="experts", selected="moe.experts.w1")
    page.page.evaluate(
        "() => Object.defineProperty(navigator, 'clipboard',"
        " { configurable: true, value: { writeText: async text => { window.copied = text; } } })"
    )
    before = kernel.explorer.anatomy["moe.experts.w1"].names
    view(page).get_by_role("button", name="Python").first.click()
    page.page.wait_for_function("() => window.copied !== undefined")
    exec(page.page.evaluate("() => window.copied"), {"explorer": kernel.explorer})
    axes = kernel.explorer.anatomy["moe.experts.w1"]
    assert axes.names == ("expert", before[2], before[1])
    assert axes.certain
    part = stored["moe.experts.w1"][axes.blocks["expert 3"]]
    assert torch.equal(part.squeeze(0), stored["moe.experts.w1"][3])


def test_without_a_kernel(open_explorer, net):
    page, _ = open_explorer(net, view="heatmap", selected="layers.1")
    page.page.evaluate("() => { window.dev.model.onSend = () => { throw new Error('no comm'); }; }")
    page.set_traits(view="experts")
    # Experts that are modules have their statistics in the overview.
    expected = [[expert.up_proj.weight.std(correction=0).item() for expert in layer.experts] for layer in net.layers]
    np.testing.assert_allclose(table(page, grid(page)), expected, rtol=1e-5)
    expect(view(page)).to_contain_text("No kernel answers")


def test_experts_that_cannot_be_read_are_not_waited_for(open_explorer):
    with torch.device("meta"):
        model = Model()
    page, _ = open_explorer(model, view="experts")
    standouts = page.root.get_by_label("what stands out")
    expect(standouts).to_contain_text("meta device")
    expect(standouts).not_to_contain_text("unlike the others")
    expect(page.root.locator(".ww-exp-progress")).to_be_hidden()
    page.check()
