"""The views of layers in a real JupyterLab: what is clicked reaches Python, and the other way round."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.lab

MODEL = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential()
model.add_module("conv", nn.Conv2d(3, 12, 5))
model.add_module("lstm", nn.LSTM(20, 15))
model.add_module("attn", nn.MultiheadAttention(24, 3))
model.add_module("tokens", nn.Embedding(40, 24))
with torch.no_grad():
    model.conv.weight[4] *= 0.01
from weightwidget import WeightExplorer, spectrum
explorer = WeightExplorer(model, selected="conv.weight")
explorer
"""


@pytest.fixture
def shown(open_notebook):
    notebook = open_notebook(MODEL)
    notebook.run_all()
    root = notebook.page.locator(".weightwidget").first
    expect(root.locator("[role=treeitem][data-path='conv.weight']")).to_be_visible(timeout=60_000)
    return notebook, root


def test_filters_and_their_tab(shown):
    notebook, root = shown
    root.get_by_role("tab", name="Filters").click()
    notebook.wait_python("out = explorer.view", lambda value: value == "filters")
    view = root.get_by_role("region", name="filters", exact=True)
    filters = view.get_by_role("listbox", name="filters", exact=True).get_by_role("option")
    expect(filters).to_have_count(12)
    expect(view).to_contain_text("1 of 12 filters is under 5 % of the strongest")
    view.locator(".ww-cf-cell[data-filter='7']").click()
    notebook.wait_python("out = list(explorer.index)", lambda value: value[:1] == [7])
    notebook.screenshot("lab-filters")


def test_a_block_is_unfolded_and_selected(shown):
    notebook, root = shown
    notebook.python("explorer.selected = 'lstm.weight_hh_l0'; out = 1")
    root.locator("[role=treeitem][data-path='lstm.weight_hh_l0'] .ww-tree-twisty").click()
    root.locator("[role=treeitem][data-path='lstm.weight_hh_l0 › f']").click()
    notebook.wait_python("out = explorer.selected", lambda value: value == "lstm.weight_hh_l0 › f")
    norm = notebook.python("out = float(model.lstm.weight_hh_l0[15:30].detach().double().norm())")
    expect(root.get_by_role("region", name="statistics")).to_contain_text(f"{norm:.4g}"[:5])
    notebook.python("explorer.selected = 'attn › head 1 › key'; out = 1")
    expect(root.locator("[role=treeitem][data-path='attn › head 1 › key']")).to_have_attribute("aria-selected", "true")
    expect(root.locator(".ww-facts")).to_contain_text("8 × 24")


@pytest.mark.parametrize(
    ("selected", "view", "says"),
    [
        ("lstm.weight_hh_l0", "gates", "forget"),
        ("attn.in_proj_weight", "heads", "copying"),
        ("tokens.weight", "tokens", "nearest"),
        ("attn.out_proj.weight", "channel", "attn"),
    ],
)
def test_a_view_chosen_in_python_is_drawn(shown, selected, view, says):
    notebook, root = shown
    notebook.python(f"explorer.selected = {selected!r}; explorer.view = {view!r}; out = 1")
    region = root.locator(f".ww-place-{view}")
    expect(region).to_contain_text(says, timeout=20_000, ignore_case=True)
    notebook.screenshot(f"lab-{view}")


def test_the_spectrum_says_what_python_says(shown):
    notebook, root = shown
    notebook.python("explorer.selected = 'attn.in_proj_weight › q › head 2'; explorer.view = 'spectrum'; out = 1")
    rank = notebook.python("out = spectrum(model.attn.in_proj_weight[16:24]).stable_rank")
    region = root.get_by_role("region", name="spectrum", exact=True)
    expect(region).to_contain_text(f"{rank:.4g}", timeout=20_000)
