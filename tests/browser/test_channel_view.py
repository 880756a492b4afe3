"""A channel followed in the browser: found, picked, followed from tensor to tensor and back to the heatmap."""

from __future__ import annotations

import re

import pytest
import torch
from playwright.sync_api import expect
from torch import nn

from tests.anatomy.flow_models import FlattenedCNN
from weightwidget import WeightExplorer

pytestmark = pytest.mark.browser


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, 4, batch_first=True)
        self.ln2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 3 * width)
        self.down = nn.Linear(3 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.ln1(x)
        x = x + self.attn(h, h, h, need_weights=False)[0]
        return x + self.down(self.up(self.ln2(x)).relu())


class Net(nn.Module):
    """A transformer of width 48 with one giant weight, at [7, 100] of blocks.1.down, and a channel that is off: 23."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tok = nn.Embedding(30, 48)
        self.blocks = nn.ModuleList(Block(48) for _ in range(3))
        self.ln_f = nn.LayerNorm(48)
        self.head = nn.Linear(48, 30, bias=False)
        with torch.no_grad():
            for block in self.blocks:
                block.ln1.weight.uniform_(0.8, 1.2)
                block.ln2.weight[23] = 1e-12
            self.blocks[1].down.weight[7, 100] = 5.0

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tok(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_f(x))


def view(page):
    return page.root.get_by_role("region", name="channel", exact=True)


def row(page, tensor: str, role: str):
    return view(page).locator(f".ww-ch-row[data-tensor='{tensor}']:has([data-role='{role}'])")


def chip(page, group: str, channel: int):
    text = re.compile(rf"^{channel} ")
    return view(page).get_by_role("group", name=group).locator("button", has_text=text)


def test_unusual_channels_are_named_and_followed_through_all_layers(open_explorer):
    page, kernel = open_explorer(Net(), selected="blocks.1.down.weight", view="channel")
    shown = view(page)
    expect(chip(page, "unusual channels", 23)).to_have_text(re.compile("off in 3 norms"))
    expect(shown).to_contain_text("links guessed")
    chip(page, "unusual channels", 7).click()
    expect(row(page, "blocks.1.down.weight", "writes")).to_contain_text("#1")
    norm = kernel.explorer._obj.blocks[1].down.weight[7].norm().item()
    expect(row(page, "blocks.1.down.weight", "writes").locator(".ww-ch-value")).to_have_text(f"{norm:.4g}")
    page.wait_saved("channel", [0, 7])
    assert kernel.explorer.channel == (0, 7)

    chip(page, "unusual channels", 23).click()
    # What is looked for is brought into sight.
    gain = row(page, "blocks.0.ln2.weight", "scales")
    expect(gain.locator(".ww-ch-value")).to_have_text("1e−12")
    expect(gain).to_be_in_viewport()
    assert not kernel.failures


def test_onward_to_the_unit_that_the_weight_comes_from(open_explorer):
    page, kernel = open_explorer(Net(), selected="blocks.1.down.weight", view="channel", channel=(0, 7))
    expect(view(page).get_by_label("channel", exact=True)).to_have_value("7")
    best = view(page).get_by_role("group", name="strongest connections").locator("button").first
    expect(best).to_have_text(re.compile("^100 5"))
    best.click()
    expect(view(page).get_by_label("which channels of the tensor")).to_have_value(re.compile(r"\d+"))
    expect(view(page).get_by_label("channel", exact=True)).to_have_value("100")
    expect(row(page, "blocks.1.up.weight", "writes")).to_be_visible()
    page.wait_saved("channel", [1, 100])
    assert not kernel.failures


def test_the_number_field_and_the_arrows(open_explorer):
    page, _ = open_explorer(Net(), selected="blocks.0.ln1.weight", view="channel")
    field = view(page).get_by_label("channel", exact=True)
    expect(field).to_be_visible()
    field.fill("47")
    field.press("Enter")
    page.wait_saved("channel", [0, 47])
    view(page).get_by_label("the next channel").click()
    expect(field).to_have_value("0")
    view(page).get_by_label("the channel before").click()
    expect(field).to_have_value("47")
    field.fill("48")
    field.press("Enter")
    assert field.evaluate("element => element.validationMessage") == "a whole number from 0 to 47"
    view(page).get_by_label("follow no channel").click()
    expect(field).to_have_value("")
    page.wait_saved("channel", None)


def test_a_click_in_a_strip_picks_and_a_name_opens_the_heatmap_at_the_largest_weight(open_explorer):
    page, kernel = open_explorer(Net(), selected="tok.weight", view="channel")
    down = row(page, "blocks.1.down.weight", "writes")
    down.scroll_into_view_if_needed()
    strip = down.locator("canvas")
    box = strip.bounding_box()
    strip.hover(position={"x": box["width"] * 7.5 / 48, "y": 10})
    expect(view(page).locator(".ww-ch-readout")).to_contain_text("channel 7: ")
    strip.click(position={"x": box["width"] * 7.5 / 48, "y": 10})
    expect(view(page).get_by_label("channel", exact=True)).to_have_value("7")
    expect(down.locator(".ww-ch-rank")).to_have_text("#1")
    down.locator(".ww-ch-name").click()
    page.wait_saved("selected", "blocks.1.down.weight")
    page.wait_saved("view", "heatmap")
    window = page.wait_trait("window", "value !== null && value[2] <= 100 && value[3] > 100")
    assert window[0] <= 7 < window[1]
    assert kernel.explorer.channel == (0, 7)


def test_from_a_cell_of_the_heatmap_to_its_row_and_column(open_explorer):
    page, kernel = open_explorer(Net(), selected="blocks.1.down.weight", window=(4, 12, 96, 108))
    panel = page.panel("heatmap")
    panel.get_by_role("button", name=re.compile("^5.0000? at|^5 at|at \\[7, 100\\]")).first.click()
    plot = panel.locator(".ww-hm-room, .ww-hm-plot").first
    expect(plot).to_be_visible()
    page.page.wait_for_function("() => document.querySelector('.ww-ch-follow') !== null")
    links = panel.locator(".ww-ch-follow")
    if not links.is_visible():
        box = plot.bounding_box()
        page.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(links.get_by_role("button")).to_have_count(2)
    expect(links).to_contain_text("follow row")
    column = links.get_by_role("button", name=re.compile("follow column"))
    number = int(column.inner_text().split()[-1])
    column.click()
    expect(view(page).get_by_label("channel", exact=True)).to_have_value(str(number))
    page.wait_saved("channel", [1, number])
    assert kernel.explorer.view == "channel"
    expect(row(page, "blocks.1.up.weight", "writes")).to_be_visible()


def test_another_tensor_of_the_space_keeps_the_channel(open_explorer):
    page, kernel = open_explorer(Net(), selected="blocks.0.ln1.weight", view="channel", channel=(0, 9))
    field = view(page).get_by_label("channel", exact=True)
    expect(field).to_have_value("9")
    kernel.explorer.selected = "ln_f.bias"
    kernel.push()
    expect(row(page, "ln_f.bias", "shifts")).to_have_attribute("data-selected", "")
    expect(field).to_have_value("9")
    kernel.explorer.selected = "blocks.0.up.bias"
    kernel.push()
    expect(row(page, "blocks.0.up.bias", "shifts")).to_be_visible()
    expect(field).to_have_value("")


def test_tracing_makes_guesses_certain_and_keeps_the_channel(open_explorer):
    explorer = WeightExplorer(FlattenedCNN(), selected="fc1.weight", view="channel", channel=(1, 37)).wait()
    page, kernel = open_explorer(explorer)
    expect(view(page)).to_contain_text("2 of the links guessed")
    expect(row(page, "fc1.weight", "reads").locator(".ww-ch-guess")).to_have_attribute(
        "title", re.compile("12 positions of 6 channels")
    )
    view(page).get_by_role("button", name="trace forward").click()
    # Images of 8 by 6 are nothing that can be guessed: it says what to do.
    expect(view(page).locator(".ww-ch-trace")).to_contain_text("example=")
    assert len(kernel.failures) == 1
    explorer.anatomy.trace(example=torch.empty(1, 2, 8, 6))
    kernel.explorer.selected = "bn2.weight"
    kernel.push()
    expect(view(page)).to_contain_text("links seen in a run of forward")
    expect(view(page).get_by_label("channel", exact=True)).to_have_value("3")
    explorer.close()


def test_tracing_from_the_button(open_explorer):
    page, kernel = open_explorer(Net(), selected="blocks.1.down.weight", view="channel", channel=(0, 7))
    view(page).get_by_role("button", name="trace forward").click()
    expect(view(page)).to_contain_text("links seen in a run of forward")
    expect(view(page).get_by_label("channel", exact=True)).to_have_value("7")
    expect(view(page).get_by_role("button", name="trace forward")).to_be_hidden()
    expect(row(page, "blocks.1.down.weight", "writes").locator(".ww-ch-guess")).to_have_text("")
    assert not kernel.failures


def test_changed_weights_are_read_again(open_explorer):
    page, kernel = open_explorer(Net(), selected="blocks.0.ln1.weight", view="channel", channel=(0, 9))
    value = row(page, "blocks.0.ln1.weight", "scales").locator(".ww-ch-value")
    expect(value).to_have_text(re.compile(r"^[01]\.\d+"))
    with torch.no_grad():
        kernel.explorer._obj.blocks[0].ln1.weight[9] = 33.25
    kernel.explorer.refresh().wait()
    kernel.push()
    expect(value).to_have_text("33.25")
    expect(chip(page, "unusual channels", 9)).to_be_visible()


def test_without_a_kernel_it_says_what_is_missing(open_dev):
    page = open_dev("cnn", kernel="off")
    page.root.get_by_role("tab", name="Channel").click()
    shown = view(page)
    expect(shown).to_contain_text("takes the kernel", timeout=20_000)
    expect(shown.locator(".ww-ch-pooled")).to_contain_text("norms of")


def test_little_room(open_explorer):
    page, _ = open_explorer(Net(), size=(320, 1500), selected="blocks.1.down.weight", view="channel", channel=(0, 7))
    expect(row(page, "blocks.1.down.weight", "writes").locator("canvas")).to_be_visible()
    width = view(page).evaluate("element => [element.scrollWidth, element.clientWidth]")
    assert width[0] <= width[1]


def test_hostile_names_are_text(open_explorer):
    name = "<img src=x onerror=alert(1)>"
    page, _ = open_explorer({name: torch.randn(4, 3), "b": torch.randn(2, 4)}, selected=name, view="channel")
    expect(view(page).locator(".ww-ch-row").first).to_contain_text("<img")
    assert page.root.locator("img").count() == 0
