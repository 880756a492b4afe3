"""The widget before a saved summary: what it shows, and what it says where weights would be needed."""

from __future__ import annotations

import re

import pytest
import torch
from playwright.sync_api import expect
from torch import nn

from tests.browser.standalone import View
from weightwidget import ModelSummary, WeightExplorer, summarize

pytestmark = pytest.mark.browser


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 32, 3)
        self.lstm = nn.LSTM(24, 40)
        self.attn = nn.MultiheadAttention(64, 8)
        self.embed = nn.Embedding(3000, 64)
        self.lin = nn.Linear(300, 500)


@pytest.fixture(scope="module")
def summary() -> ModelSummary:
    torch.manual_seed(0)
    return summarize(Net())


@pytest.mark.parametrize("width", [1200, 320])
def test_a_tensor(open_explorer, summary, width):
    page, kernel = open_explorer(summary, size=(width, 900), selected="lin.weight")
    expect(page.root.locator(".ww-kernel")).to_have_text("summary only")
    expect(page.panel("histogram")).to_contain_text("from the sketch, ±0.781")
    record = summary["lin.weight"]
    expect(page.panel("statistics")).to_contain_text(f"[{record.argmax[0]}, {record.argmax[1]}]")
    status = page.panel("heatmap").locator(".ww-hm-status")
    expect(status).to_have_attribute("title", "largest |w| of 8 × 5 weights; opening the weights shows each")
    kernel.explorer.value_range = (0.0, 1.0)
    kernel.push()
    page.wait_sent("count")
    assert not page.page.evaluate("document.body.scrollWidth > document.body.clientWidth")
    assert {request["kind"] for request in kernel.requests} == {"histogram", "count"}
    assert not kernel.failures


@pytest.mark.parametrize(
    ("path", "view", "said"),
    [
        ("conv.weight", "filters", "norms only: opening the weights draws the filters"),
        ("lstm", "gates", "Only the summary was opened. Pictures are cut from the overview's thumbnails"),
        ("attn.in_proj_weight", "heads", "Only the summary was opened: norms are at most these"),
        ("embed.weight", "tokens", "Only the summary was opened: with the weights themselves, every token is listed"),
        ("lin.weight", "channel", "Following a channel through the network takes the weights themselves."),
        ("lin.weight", "spectrum", "Only the summary was opened: with the weights themselves, all singular values"),
        ("lstm.weight_ih_l0 › f", "heatmap", "a block's weights need opening: only the summary is here"),
        ("attn › head 2", "heatmap", "a block's weights need opening: only the summary is here"),
    ],
)
def test_what_a_view_says(open_explorer, summary, path, view, said):
    page, kernel = open_explorer(summary, selected=path, view=view)
    expect(page.root).to_contain_text(said)
    expect(page.root).not_to_contain_text(re.compile("(No|a|running) kernel|the kernel"))
    assert not kernel.failures


def test_a_stored_page(opened, summary, tmp_path):
    explorer = WeightExplorer(summary, selected="lin.weight")
    explorer.save_html(tmp_path / "x.html")
    explorer.close()
    page = View(opened(tmp_path / "x.html").page)
    expect(page.root.locator(".ww-kernel")).to_have_text("summary only")
    expect(page.panel("histogram")).to_contain_text("from the overview")
