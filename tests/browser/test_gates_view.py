"""The gates of recurrent layers, drawn by the built widget before a real explorer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, expect
from torch import nn

from tests.anatomy.test_recurrent import keras_arrays, source_of
from tests.browser.page import WidgetPage

pytestmark = pytest.mark.browser


class Net(nn.Module):
    """A bidirectional LSTM of two layers, a GRU and a plain RNN."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(7, 12, 2, bidirectional=True)
        self.gru = nn.GRU(24, 10)
        self.rnn = nn.RNN(10, 16)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def gates_panel(page: WidgetPage) -> Locator:
    panel = page.panel("gates").first
    expect(panel.locator(".ww-gates-card").first).to_be_visible()
    return panel


def picture(panel: Locator, path: str) -> Locator:
    return panel.locator(f'.ww-gates-picture[data-block="{path}"]')


def shown(number: float, digits: int) -> str:
    return f"{number:#.{digits}g}".replace("-", "−")


def radius(block: torch.Tensor) -> str:
    return shown(abs(np.linalg.eigvals(block.detach().double().numpy())).max(), 4)


def test_cards_have_the_numbers_of_their_blocks(open_explorer, net):
    page, kernel = open_explorer(net, selected="lstm.weight_hh_l0", view="gates")
    panel = gates_panel(page)
    expect(panel.locator(".ww-gates-card")).to_have_count(4)
    expect(panel.locator(".ww-gates-header")).to_contain_text("LSTM · 7 inputs · 12 units · torch.nn.LSTM")
    for at, (gate, name) in enumerate([("i", "input"), ("f", "forget"), ("g", "cell candidate"), ("o", "output")]):
        card = panel.locator(f'.ww-gates-card[data-gate="{gate}"]')
        expect(card).to_contain_text(name)
        for which, weight in enumerate((net.lstm.weight_ih_l0, net.lstm.weight_hh_l0)):
            block = weight.detach().double()[12 * at : 12 * at + 12]
            numbers = card.locator(".ww-gates-block").nth(which).locator(".ww-gates-numbers")
            expect(numbers).to_contain_text(shown(block.std(correction=0).item(), 3))
            expect(numbers).to_contain_text(shown(block.norm().item(), 3))
        plane = panel.locator(f'.ww-gates-plane-card[data-gate="{gate}"]')
        expect(plane).to_contain_text(radius(net.lstm.weight_hh_l0[12 * at : 12 * at + 12]))
    assert not kernel.failures


def test_a_click_selects_the_block(open_explorer, net):
    page, kernel = open_explorer(net, selected="lstm", view="gates")
    panel = gates_panel(page)
    block = picture(panel, "lstm.weight_ih_l0 › f")
    block.click()
    page.wait_saved("selected", "lstm.weight_ih_l0 › f")
    expect(block).to_have_attribute("aria-pressed", "true")
    expect(page.root.locator(".ww-facts")).to_contain_text("12 × 7")
    std = net.lstm.weight_ih_l0.detach().double()[12:24].std(correction=0).item()
    expect(page.panel("statistics")).to_contain_text(shown(std, 4))
    page.root.get_by_role("tab", name="Heatmap").click()
    expect(page.panel("heatmap")).to_be_visible()
    assert kernel.explorer.selected == "lstm.weight_ih_l0 › f"


def test_layers_and_directions_are_chosen(open_explorer, net):
    page, kernel = open_explorer(net, selected="lstm", view="gates")
    panel = gates_panel(page)
    panel.get_by_role("button", name="backward").click()
    expect(picture(panel, "lstm.weight_hh_l0_reverse › o")).to_be_visible()
    assert kernel.explorer.selected == "lstm"

    chooser = panel.get_by_label("recurrent layer")
    chooser.select_option(label="lstm · layer 1")
    expect(picture(panel, "lstm.weight_hh_l1_reverse › o")).to_be_visible()
    expect(panel.locator(".ww-gates-header")).to_contain_text("24 inputs")

    picture(panel, "lstm.weight_hh_l1_reverse › o").click()
    panel.get_by_role("button", name="forward").click()
    page.wait_saved("selected", "lstm.weight_hh_l1 › o")
    expect(picture(panel, "lstm.weight_hh_l1 › o")).to_have_attribute("aria-pressed", "true")

    chooser.select_option(label="gru")
    page.wait_saved("selected", "gru.weight_hh_l0")
    expect(panel.locator(".ww-gates-card")).to_have_count(3)
    candidate = panel.locator('.ww-gates-card[data-gate="n"]')
    expect(candidate).to_contain_text("bias, inputs")
    expect(candidate).to_contain_text("bias, state")
    expect(panel.locator('.ww-gates-card[data-gate="z"]')).to_contain_text("bias (sum)")
    assert not kernel.failures


def test_only_what_has_recurrent_layers_has_the_view(open_explorer):
    model = nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 5))
    page, kernel = open_explorer(model, selected="0.weight", view="gates")
    tab = page.root.get_by_role("tab", name="Gates")
    expect(page.panel("heatmap")).to_be_visible()
    expect(tab).to_be_hidden()
    for path in ("1.bias_hh_l0 › g", "1", ""):
        kernel.explorer.selected = path
        kernel.push()
        expect(tab).to_be_visible()


def test_each_block_may_have_a_scale_of_its_own(open_explorer, net):
    with torch.no_grad():
        net.gru.weight_hh_l0[:10] *= 0.01
    page, _ = open_explorer(net, selected="gru", view="gates")
    panel = gates_panel(page)
    faint = panel.locator('.ww-gates-card[data-gate="r"] canvas').nth(1)
    spread = """canvas => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const reds = [...data].filter((_, i) => i % 4 === 0);
        return Math.max(...reds) - Math.min(...reds);
    }"""
    expect(panel.locator(".ww-gates-colourbar")).to_be_visible()
    assert faint.evaluate(spread) < 20
    panel.get_by_label("colour scale of the gates").select_option("own")
    expect(panel.locator(".ww-gates-colourbar")).to_be_hidden()
    assert faint.evaluate(spread) > 100
    largest = net.gru.weight_hh_l0[:10].abs().max().item()
    caption = panel.locator('.ww-gates-card[data-gate="r"] .ww-gates-caption').nth(1)
    expect(caption).to_contain_text(f"±{shown(largest, 3)}")


def test_saturated_gates_are_plain_to_see(open_explorer):
    model = nn.LSTM(6, 32)
    with torch.no_grad():
        model.bias_ih_l0[:32] = 12
        model.bias_ih_l0[32:64] = -8
        model.bias_hh_l0[64:] = 0
        model.bias_ih_l0[96:99] = 9
    page, _ = open_explorer(model, selected="weight_hh_l0", view="gates")
    panel = gates_panel(page)
    for gate, text in {"i": "all open", "f": "all shut", "o": "3 of 32 open"}.items():
        expect(panel.locator(f'.ww-gates-card[data-gate="{gate}"] .ww-gates-saturated-text')).to_have_text(text)
    expect(panel.locator('.ww-gates-card[data-gate="g"] .ww-gates-saturated-text')).to_have_count(0)
    memory = panel.locator(".ww-gates-memory")
    bias = (model.bias_ih_l0 + model.bias_hh_l0).detach().double().numpy()[32:64]
    scales = 1 / np.log1p(np.exp(-bias))
    expect(memory).to_contain_text(f"τ median {shown(np.median(scales), 3)}, max {shown(scales.max(), 3)} steps")
    expect(memory).to_contain_text("a short bias time scale does not prove a short memory")


def test_pointing_at_eigenvalues_and_units_tells_them(open_explorer, net):
    with torch.no_grad():
        net.rnn.weight_hh_l0.zero_()
        net.rnn.weight_hh_l0[0, 1], net.rnn.weight_hh_l0[1, 0] = -2.0, 2.0  # ±2i: a turn in four steps
    page, _ = open_explorer(net, size=(1200, 1000), selected="rnn", view="gates")
    panel = gates_panel(page)
    eigen = panel.locator(".ww-gates-eigen")
    expect(eigen).to_contain_text("radius 2")
    expect(eigen).to_contain_text("a guide and no verdict")
    box = eigen.locator("svg").bounding_box()
    reach = 1.06 * 2
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * (0.5 - 1 / reach))
    expect(eigen.locator(".ww-gates-readout")).to_have_text("h: 0 ± 2.00i · |λ| 2.000 · × e in 1.44 steps · period 4")
    expect(panel.locator(".ww-gates-memory")).to_contain_text("no gate that keeps its state")


def test_a_unit_is_told_and_leads_to_its_weights(open_explorer, net):
    page, kernel = open_explorer(net, selected="lstm.weight_hh_l0", view="gates")
    panel = gates_panel(page)
    dots = panel.locator(".ww-gates-scales-pad")
    expect(dots).to_be_visible()
    bias = (net.lstm.bias_ih_l0 + net.lstm.bias_hh_l0).detach().double().numpy()[12:24]
    longest = int(bias.argmax())
    dots.scroll_into_view_if_needed()
    dots.click(position={"x": 3, "y": 20})
    readout = panel.locator(".ww-gates-memory .ww-gates-readout")
    scale = 1 / np.log1p(np.exp(-bias[longest]))
    expect(readout).to_contain_text(f"unit {longest} · bias {shown(bias[longest], 3)}")
    expect(readout).to_contain_text(f"τ {shown(scale, 3)} steps")

    field = panel.get_by_label("unit", exact=True).locator("input")
    field.fill("7")
    field.press("Enter")
    rows = panel.locator(".ww-gates-table tr")
    weight = net.lstm.weight_hh_l0.detach().double()
    state = rows.filter(has_text="reads of the state").locator("td")
    expect(state.nth(2)).to_have_text(shown(weight[24 + 7].norm().item(), 3))
    read = rows.filter(has_text="is read by the gates").locator("td")
    expect(read.nth(3)).to_have_text(shown(weight[36:, 7].norm().item(), 3))
    expect(rows.filter(has_text="bias").locator("td").nth(1)).to_have_text(shown(bias[7], 3))

    read.nth(3).get_by_role("button").click()
    page.wait_saved("view", "heatmap")
    assert kernel.explorer.selected == "lstm.weight_hh_l0 › o"
    assert list(kernel.explorer.window) == [0, 12, 3, 12]


def test_keras_layers_and_guesses(open_explorer):
    arrays = keras_arrays("GRU", 3, bias=(2, 12))
    page, _ = open_explorer(source_of(arrays), selected="layer", view="gates")
    panel = gates_panel(page)
    expect(panel.locator(".ww-gates-guess")).to_contain_text("guessed")
    expect(panel.locator(".ww-gates-guess")).to_contain_text("3 gates")
    block = arrays["layer.recurrent_kernel"][:, 4:8]
    card = panel.locator('.ww-gates-plane-card[data-gate="r"]')
    expect(card).to_contain_text(shown(abs(np.linalg.eigvals(block)).max(), 4))
    picture(panel, "layer.kernel › h").click()
    expect(page.root.locator(".ww-facts")).to_contain_text("3 × 4")


def test_a_projection_says_what_is_shown(open_explorer):
    page, _ = open_explorer(nn.LSTM(7, 12, proj_size=5), selected="weight_hh_l0", view="gates")
    panel = gates_panel(page)
    expect(panel.locator(".ww-gates-header")).to_contain_text("12 units → 5")
    expect(panel.locator(".ww-gates-eigen")).to_contain_text("7 more are 0")


def test_eigenvalues_of_a_large_layer_wait_to_be_asked_for(open_explorer):
    model = nn.RNN(3, 800)
    page, kernel = open_explorer(model, selected="weight_hh_l0", view="gates")
    eigen = gates_panel(page).locator(".ww-gates-eigen")
    compute = eigen.get_by_role("button", name="compute (800 units: about 1 s a gate)")
    expect(compute).to_be_visible()
    assert not page.sent("eigenvalues")
    compute.click()
    expect(eigen).to_contain_text(radius(model.weight_hh_l0), timeout=60_000)
    expect(compute).to_be_hidden()
    assert not kernel.failures


def test_changed_weights_are_read_again(open_explorer, net):
    page, kernel = open_explorer(net, selected="rnn", view="gates")
    panel = gates_panel(page)
    expect(panel.locator(".ww-gates-eigen")).to_contain_text(radius(net.rnn.weight_hh_l0))
    with torch.no_grad():
        net.rnn.weight_hh_l0.mul_(5)
    kernel.explorer.refresh().wait()
    kernel.push()
    expect(panel.locator(".ww-gates-eigen")).to_contain_text(radius(net.rnn.weight_hh_l0))
    norm = net.rnn.weight_hh_l0.detach().double().norm().item()
    expect(panel.locator(".ww-gates-card")).to_contain_text(shown(norm, 3))


def test_weights_that_have_no_eigenvalues_say_so(open_explorer, net):
    with torch.no_grad():
        net.gru.weight_hh_l0[3, 4] = torch.nan
    page, kernel = open_explorer(net, selected="gru", view="gates")
    panel = gates_panel(page)
    expect(panel.locator('.ww-gates-plane-card[data-gate="r"]')).to_contain_text("NaN or infinite")
    expect(panel.locator('.ww-gates-plane-card[data-gate="n"]')).to_contain_text("radius")
    expect(panel.locator('.ww-gates-card[data-gate="r"]')).to_contain_text("1 NaN/Inf")
    assert all("eigenvalues" in failure for failure in kernel.failures)


def silent(page: Any) -> None:
    page.evaluate("() => { window.kernelMessage = async () => null }")


@pytest.mark.parametrize("hidden", [12, 128])
def test_without_a_kernel_the_overview_is_shown(new_page, origin, hidden):
    from tests.browser.fake_kernel import ExplorerKernel
    from weightwidget import WeightExplorer

    torch.manual_seed(0)
    net = nn.Module()
    net.lstm = nn.LSTM(7, hidden)
    explorer = WeightExplorer(net, selected="lstm", view="gates").wait()
    page = new_page()
    page.page.goto(f"{origin}/dev/host.html")
    kernel = ExplorerKernel(page.page, explorer)
    silent(page.page)
    kernel.show()
    panel = gates_panel(page)
    note = panel.locator(".ww-gates-cards .ww-note")
    if hidden == 12:
        # All weights are there, and so is all that needs no eigenvalues.
        norm = float(net.lstm.weight_ih_l0[hidden : 2 * hidden].detach().double().norm())
        card = panel.locator('.ww-gates-card[data-gate="f"]')
        expect(card).to_contain_text(f"‖w‖ {shown(norm, 3)}", timeout=20_000)
    else:
        expect(note).to_contain_text("cut from the overview", timeout=20_000)
    expect(panel.locator(".ww-gates-canvas")).to_have_count(8)
    expect(panel.locator(".ww-gates-eigen")).to_contain_text("none answers", timeout=20_000)
    bias = (net.lstm.bias_ih_l0 + net.lstm.bias_hh_l0).detach().double().numpy()[hidden : 2 * hidden]
    scales = 1 / np.log1p(np.exp(-bias))
    expect(panel.locator(".ww-gates-memory .ww-gates-readout")).to_contain_text("τ median 1.")
    told = panel.locator(".ww-gates-memory .ww-gates-readout").inner_text()
    assert float(told.split()[2].rstrip(",")) == pytest.approx(np.median(scales), rel=0.01)
    expect(note).to_be_visible(visible=hidden == 128)
    explorer.close()


@pytest.mark.parametrize("width", [320, 760, 1200])
def test_nothing_is_cut_off(open_explorer, net, width):
    page, _ = open_explorer(net, size=(width, 900), selected="lstm", view="gates")
    panel = gates_panel(page)
    expect(panel.locator(".ww-gates-plane-card").last).to_contain_text("radius")
    page.frames()
    wide = page.page.evaluate(
        """() => [...document.querySelectorAll('.ww-gates, .ww-gates *')]
            .filter(e => e.clientWidth > 0 && getComputedStyle(e).overflowX === 'visible')
            .filter(e => e.scrollWidth > e.clientWidth + 1 && !(e instanceof SVGElement)
                && getComputedStyle(e).display !== 'inline')
            .map(e => [e.className, e.scrollWidth, e.clientWidth])"""
    )
    assert wide == []
