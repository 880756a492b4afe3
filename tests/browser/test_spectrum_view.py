"""The spectrum view before a real explorer: its numbers, its plots, what is asked of the kernel and when."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, expect
from torch import nn

from tests.browser.page import WidgetPage
from tests.threads import one_thread  # noqa: F401 - a fixture for all tests here
from weightwidget import WeightExplorer, spectrum

pytestmark = pytest.mark.browser

ROW, COLUMN = 37, 205
"""Where `Net.fc.weight` has one giant weight."""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 14, 3)
        self.fc = nn.Linear(320, 64)
        self.broken = nn.Linear(12, 11)
        self.zero = nn.Linear(20, 15)
        self.rnn = nn.LSTM(16, 24)
        self.stacked = nn.Parameter(torch.randn(3, 20, 28))


@pytest.fixture(scope="module")
def net() -> Net:
    torch.manual_seed(4)
    model = Net()
    with torch.no_grad():
        model.fc.weight += 0.06 * torch.randn(64, 5) @ torch.randn(5, 320)
        model.fc.weight[ROW, COLUMN] = 9.5
        model.broken.weight[2, 3] = math.nan
        model.broken.weight[1, 1] = math.inf
        model.zero.weight.zero_()
    return model


def view(page: WidgetPage) -> Locator:
    return page.root.locator(".ww-spectrum")


def number(page: WidgetPage, key: str) -> Locator:
    return view(page).locator(f"[data-number={key}] dd")


def plot(page: WidgetPage, name: str) -> Locator:
    return view(page).locator(f"[data-plot={name}]")


def dots(page: WidgetPage, kind: str) -> int:
    path = plot(page, "rank").locator(f"path.ww-sp-dots.ww-sp-{kind}").get_attribute("d") or ""
    return path.count("M")


def wait_for_all(page: WidgetPage) -> None:
    expect(view(page).locator(".ww-sp-told")).to_have_text(re.compile(r"^all \d[\d\u2009]* singular values$"))


def plain(text: str) -> str:
    return text.replace("\u2009", "").replace("\u2212", "-")


def test_the_numbers_are_those_of_the_weights(open_explorer, net):
    page, kernel = open_explorer(net, selected="fc.weight", view="spectrum")
    wait_for_all(page)
    found = spectrum(net.fc.weight)
    for key in ("spectral_norm", "frobenius_norm", "stable_rank", "effective_rank", "condition_number", "mp_edge"):
        assert float(plain(number(page, key).inner_text())) == pytest.approx(getattr(found, key), rel=1e-3), key
    expect(number(page, "numerical_rank")).to_have_text("64 of 64")
    expect(number(page, "spikes")).to_have_text(str(found.spikes))
    assert found.spikes >= 5
    expect(number(page, "tail")).to_have_text(f"{found.alpha_tail} of 64")
    alpha, error = plain(number(page, "alpha").inner_text()).split(" ± ")
    assert float(alpha) == pytest.approx(found.alpha, rel=1e-3)
    assert float(error) == pytest.approx(found.power_law.error, rel=0.06)
    assert (dots(page, "spikes"), dots(page, "bulk")) == (found.spikes, 64 - found.spikes)
    for key in ("stable_rank", "effective_rank", "alpha", "spikes"):
        title = view(page).locator(f"[data-number={key}] dt").get_attribute("title") or ""
        assert len(title) > 30, "every number has a tooltip that defines it"
    expect(view(page)).to_contain_text("Taken alone it does not tell well trained from badly trained")
    assert not kernel.failures


def test_each_part_is_asked_for_once(open_explorer, net):
    page, kernel = open_explorer(net, selected="fc.weight", view="heatmap")
    kinds = lambda: [one["kind"] for one in kernel.requests if one["kind"].startswith("spectrum")]  # noqa: E731
    page.frames()
    assert kinds() == []
    page.root.get_by_role("tab", name="Spectrum").click()
    wait_for_all(page)
    assert kinds() == ["spectrum.top", "spectrum"]
    page.root.get_by_role("tab", name="Heatmap").click()
    page.root.get_by_role("tab", name="Spectrum").click()
    page.row("conv.weight").click()
    expect(view(page).locator(".ww-sp-what")).to_have_text("14 × 54 matrix")
    wait_for_all(page)
    page.row("fc.weight").click()
    expect(view(page).locator(".ww-sp-what")).to_have_text("64 × 320 matrix")
    wait_for_all(page)
    assert kinds() == ["spectrum.top", "spectrum"] * 2


def test_the_pointer_and_the_keys_read_single_values(open_explorer, net):
    page, _ = open_explorer(net, selected="fc.weight", view="spectrum")
    wait_for_all(page)
    s = np.linalg.svd(net.fc.weight.detach().double().numpy(), compute_uv=False)
    pad = plot(page, "rank").get_by_role("group")
    pad.focus()
    page.page.keyboard.press("ArrowRight")
    tip = plot(page, "rank").locator(".ww-sp-tip")
    expect(tip).to_contain_text(f"rank 1 · σ {s[0]:.4g}"[:13])
    page.page.keyboard.press("ArrowRight")
    text = plain(tip.inner_text())
    share = (s[1] / np.linalg.norm(s)) ** 2
    held = (s[0] ** 2 + s[1] ** 2) / (s**2).sum()
    rank, value, square, own, together = map(
        float, re.search(r"rank (\d+) · σ ([\d.]+) · σ² ([\d.]+)\s+([\d.]+)% of the energy, ([\d.]+)%", text).groups()
    )
    assert rank == 2
    assert value == pytest.approx(s[1], rel=1e-3)
    assert square == pytest.approx(s[1] ** 2, rel=1e-3)
    assert own == pytest.approx(100 * share, rel=5e-3)
    assert together == pytest.approx(100 * held, rel=5e-3)
    page.page.keyboard.press("Enter")
    expect(view(page).locator(".ww-sp-vectors").get_by_role("button", name="2", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    box = pad.bounding_box()
    assert box
    page.page.mouse.move(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
    expect(tip).to_contain_text("rank 64")
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] + 200)
    expect(tip).to_be_hidden()


def test_a_vector_leads_to_its_place_in_the_heatmap(open_explorer, net):
    page, _ = open_explorer(net, selected="fc.weight", view="spectrum")
    wait_for_all(page)
    # One giant weight is a singular vector of its own: one row, one column.
    left, s, right = np.linalg.svd(net.fc.weight.detach().double().numpy(), full_matrices=False)
    rank = next(k for k in range(6) if np.abs(left[:, k]).argmax() == ROW and np.abs(right[k]).argmax() == COLUMN)
    view(page).locator(".ww-sp-vectors").get_by_role("button", name=str(rank + 1), exact=True).click()
    expect(view(page).locator(".ww-sp-about")).to_contain_text(f"σ {s[rank]:.4g}"[:6])
    view(page).get_by_title(f"show row {ROW} in the heatmap").click()
    page.wait_saved("view", "heatmap")
    row0, row1, col0, col1 = page.wait_trait("window", "value !== null")
    assert row0 <= ROW < row1
    assert col0 <= COLUMN < col1
    assert (row1 - row0, col1 - col0) == (16, 24)


def test_curves_to_compare_with_are_shown_and_hidden(open_explorer, net):
    page, kernel = open_explorer(net, selected="fc.weight", view="spectrum")
    wait_for_all(page)
    rank = plot(page, "rank")
    init = view(page).get_by_role("button", name="PyTorch's default initialisation, U(±0.0559)")
    expect(init).to_have_attribute("aria-pressed", "true")
    expect(rank.locator("path.ww-sp-init")).to_have_count(1)
    init.click()
    expect(rank.locator("path.ww-sp-init")).to_have_count(0)
    expect(rank.locator("path.ww-sp-shuffled")).to_have_count(0)
    view(page).get_by_role("button", name="shuffled").click()
    expect(rank.locator("path.ww-sp-shuffled")).to_have_count(1)
    assert [one["kind"] for one in kernel.requests].count("spectrum.shuffled") == 1
    view(page).get_by_role("button", name="log–log").click()
    view(page).get_by_role("button", name="energy").click()
    expect(rank.locator(".ww-sp-grid")).to_contain_text("100")


def test_of_a_convolution_it_is_said_what_is_measured(open_explorer, net):
    page, _ = open_explorer(net, selected="conv.weight", view="spectrum")
    wait_for_all(page)
    expect(view(page)).to_contain_text("the reshaped kernel: its norm is not that of the convolution")
    found = spectrum(net.conv.weight)
    expect(number(page, "tail")).to_have_text(f"{found.alpha_tail} of {9 * 6}")
    density = plot(page, "density")
    expect(density.locator("path.ww-sp-power")).to_have_count(0)
    view(page).get_by_role("button", name="slices").click()
    expect(density.locator("path.ww-sp-power")).to_have_count(1)


def test_other_axes_make_another_matrix(open_explorer, net):
    page, _ = open_explorer(net, selected="stacked", view="spectrum")
    wait_for_all(page)
    expect(view(page).locator(".ww-sp-what")).to_have_text("3 × 560 matrix")
    view(page).get_by_label("axis 0", exact=True).select_option("step")
    view(page).get_by_label("axis 1", exact=True).select_option("rows")
    expect(view(page).locator(".ww-sp-what")).to_have_text("20 × 28 matrix")
    wait_for_all(page)
    view(page).get_by_label("position on axis 0, as a number").fill("2")
    expected = spectrum(net.stacked.detach()[2]).spectral_norm
    page.page.wait_for_function(
        "norm => Math.abs(Number(document.querySelector('[data-number=spectral_norm] dd').textContent) - norm) < 2e-3",
        arg=expected,
    )


def test_a_block_is_a_matrix_like_others(open_explorer, net):
    page, _ = open_explorer(net, selected="rnn.weight_hh_l0 › f", view="spectrum")
    wait_for_all(page)
    forget = spectrum(net.rnn.weight_hh_l0[24:48])
    assert float(number(page, "spectral_norm").inner_text()) == pytest.approx(forget.spectral_norm, rel=1e-3)


def test_what_has_no_spectrum_says_why(open_explorer, net):
    page, _ = open_explorer(net, selected="broken.weight", view="spectrum")
    note = view(page).locator(".ww-sp-problem")
    expect(note).to_have_text(
        "1 NaN and 1 infinite weight: a spectrum needs finite weights; the heatmap shows where these are"
    )
    expect(view(page).locator(".ww-sp-body")).to_be_hidden()
    page.row("zero.weight").click()
    wait_for_all(page)
    expect(note).to_be_hidden()
    expect(view(page)).to_contain_text("all weights are zero")
    expect(number(page, "stable_rank")).to_have_text("–")
    page.row("fc.bias").click()
    expect(page.root.get_by_role("tab", name="Spectrum")).to_be_hidden()


def test_what_takes_long_waits_for_a_click(open_explorer, net, monkeypatch):
    monkeypatch.setattr("weightwidget.wire.answers.spectrum.seconds", lambda rows, cols: 31.0)
    page, kernel = open_explorer(net, selected="fc.weight", view="spectrum")
    compute = view(page).get_by_role("button", name="compute all (about 31 s)")
    expect(compute).to_be_visible()
    expect(view(page).locator(".ww-sp-told")).to_have_text("the largest 6 of 64")
    expect(number(page, "stable_rank")).not_to_have_text("…")
    expect(number(page, "effective_rank")).to_have_text("…")
    assert dots(page, "bulk") == 6
    assert "spectrum" not in [one["kind"] for one in kernel.requests]
    compute.click()
    wait_for_all(page)
    expect(compute).to_be_hidden()


HOLD_BACK = """() => {
    const send = window.dev.model.onSend;
    window.held = [];
    window.dev.model.onSend = content => content.kind === "spectrum" ? window.held.push(content) : send(content);
}"""


def test_progress_is_shown_and_cancelled(open_explorer, net):
    page, _ = open_explorer(net, selected="fc.weight", view="heatmap")
    page.page.evaluate(HOLD_BACK)
    page.root.get_by_role("tab", name="Spectrum").click()
    page.page.wait_for_function("() => window.held.length === 1")
    page.page.evaluate("() => window.dev.model.deliver({ id: window.held[0].id, progress: 0.37 }, [])")
    told = view(page).locator(".ww-sp-told")
    expect(told).to_contain_text("37 %")
    assert view(page).locator("progress").evaluate("bar => bar.value") == 0.37
    view(page).get_by_role("button", name="cancel").click()
    expect(told).to_have_text("the largest 6 of 64")
    page.page.wait_for_function("() => window.dev.model.sent.some(one => one.cancel === window.held[0].id)")
    view(page).get_by_role("button", name=re.compile("^compute all")).click()
    page.page.wait_for_function("() => window.held.length === 2")


def test_with_other_weights_it_is_computed_anew(open_explorer):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 30))
    explorer = WeightExplorer(model, selected="0.weight", view="spectrum").wait()
    page, kernel = open_explorer(explorer)
    wait_for_all(page)
    with torch.no_grad():
        model[0].weight *= 3
    explorer.refresh()
    explorer.wait()
    kernel.push()
    expected = spectrum(model[0].weight).spectral_norm
    page.page.wait_for_function(
        "norm => Math.abs(Number(document.querySelector('[data-number=spectral_norm] dd').textContent) - norm) < 2e-3",
        arg=expected,
    )
    explorer.close()


def test_numbers_are_copied_with_all_digits(open_explorer, net):
    page, _ = open_explorer(net, selected="fc.weight", view="spectrum")
    wait_for_all(page)
    page.page.evaluate("() => { navigator.clipboard.writeText = async text => { window.copied = text; }; }")
    view(page).locator(".ww-sp-numbers").get_by_role("button", name="copy").click()
    page.page.wait_for_function("() => window.copied !== undefined")
    lines = dict(line.split("\t") for line in page.page.evaluate("() => window.copied").strip().split("\n"))
    found = spectrum(net.fc.weight)
    assert lines["name"] == "fc.weight"
    assert float(lines["effective_rank"]) == found.effective_rank
    assert float(lines["alpha"]) == found.alpha
    assert int(lines["spikes"]) == found.spikes


def test_without_a_kernel_it_is_said_what_one_would_give(open_dev):
    page = open_dev("cnn", kernel="off", view="spectrum")
    page.set_traits(view="spectrum")
    page.row("fc2.weight").click()
    note = view(page).locator(".ww-sp-problem")
    expect(note).to_contain_text("No kernel answers: with one, all singular values")
    bounds = re.search(r"between ([\d.]+), the largest norm .* and ([\d.]+), the Frobenius norm", note.inner_text())
    assert bounds
    assert 0 < float(bounds[1]) <= float(bounds[2])
    expect(view(page).locator("progress")).to_be_hidden()
    expect(plot(page, "rank")).to_be_hidden()
    expect(number(page, "frobenius_norm")).not_to_have_text("–")


@pytest.mark.parametrize("width", [320, 700, 1200])
def test_nothing_is_cut_off(open_explorer, net, width):
    page, _ = open_explorer(net, size=(width, 1000), selected="fc.weight", view="spectrum")
    wait_for_all(page)
    page.frames()
    panel = view(page)
    assert panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth")
    wide = panel.bounding_box()
    assert wide
    for name in ("rank", "density", "left", "right"):
        plot(page, name).scroll_into_view_if_needed()
        box = plot(page, name).bounding_box()
        assert box
        assert box["width"] > 200
        assert box["x"] >= wide["x"]
        assert box["x"] + box["width"] <= wide["x"] + wide["width"] + 1


def test_a_tensor_without_values_says_why(open_explorer):
    page, _ = open_explorer(nn.Linear(30, 20, device="meta"), selected="weight", view="spectrum")
    expect(page.root.locator(".ww-sp-problem")).to_contain_text("meta device")
