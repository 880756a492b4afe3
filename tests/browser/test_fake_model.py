"""The panels and how they are linked, on fake models whose fake kernel answers at once."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

OUTLIER = "encoder.layer.0.output.dense.weight"


def test_a_click_in_the_tree_changes_all_panels(open_dev):
    page = open_dev("cnn")
    heading = page.root.locator(".ww-header")
    expect(heading).to_contain_text("64 × 512")
    before = page.panel("statistics").inner_text()
    page.row("conv1.weight").click()
    assert page.wait_trait("selected", "value === 'conv1.weight'")
    expect(page.row("conv1.weight")).to_have_attribute("aria-selected", "true")
    expect(page.row("fc1.weight")).to_have_attribute("aria-selected", "false")
    expect(heading).to_contain_text("16 × 1 × 7 × 7")
    expect(page.panel("statistics")).not_to_have_text(before)
    page.wait_sent("tile", "m => m.tensor === 'conv1.weight'")
    page.wait_sent("histogram", "m => m.path === 'conv1.weight'")


def test_the_kernel_moves_the_view(open_dev):
    page = open_dev("cnn")
    page.set_traits(selected="fc2.weight")
    expect(page.row("fc2.weight")).to_have_attribute("aria-selected", "true")
    expect(page.root.locator(".ww-header")).to_contain_text("10 × 64")
    page.set_traits(query="conv")
    expect(page.search).to_have_value("conv")
    expect(page.root.locator(".ww-hits")).to_have_text("4 / 13")


def test_the_tree_is_driven_by_keys(open_dev):
    page = open_dev("cnn", selected="conv1.weight")
    tree = page.root.get_by_role("tree")
    tree.focus()
    tree.press("ArrowDown")
    page.wait_trait("selected", "value === 'conv1.bias'")
    tree.press("ArrowLeft")
    page.wait_trait("selected", "value === 'conv1'")
    expect(page.row("conv1.bias")).to_be_visible()
    tree.press("ArrowLeft")
    expect(page.row("conv1.bias")).to_have_count(0)
    expect(page.row("conv1")).to_have_attribute("aria-expanded", "false")
    tree.press("ArrowRight")
    expect(page.row("conv1.bias")).to_be_visible()
    tree.press("End")
    page.wait_trait("selected", "value === 'fc2.bias'")
    tree.press("Home")
    page.wait_trait("selected", "value === '' || value === 'conv1'")
    tree.press_sequentially("fc2")
    page.wait_trait("selected", "value === 'fc2'")


def test_typing_a_query_filters_the_tree(open_dev):
    page = open_dev("cnn")
    page.search.fill("kind:Conv2d role:weight")
    expect(page.root.locator(".ww-hits")).to_have_text("2 / 13")
    page.wait_trait("query", "value === 'kind:Conv2d role:weight'")
    expect(page.row("conv2.weight")).to_be_visible()
    for hidden in ("conv2.bias", "fc1.weight", "fc1"):
        expect(page.row(hidden)).to_have_count(0)
    page.search.press("Escape")
    expect(page.root.locator(".ww-hits")).to_have_text("13 / 13")
    expect(page.row("fc1.weight")).to_be_visible()


def test_a_faulty_query_says_what_is_wrong(open_dev):
    page = open_dev("cnn")
    fault = page.root.locator(".ww-fault")
    expect(fault).to_be_hidden()
    page.search.fill("std>much")
    expect(fault).to_be_visible()
    expect(fault).to_contain_text("much")
    # The faulty term does not filter.
    expect(page.root.locator(".ww-hits")).to_have_text("13 / 13")
    page.search.fill("std>0.1")
    expect(fault).to_be_hidden()


def test_nothing_that_passes_is_said_and_can_be_cleared(open_dev):
    page = open_dev("cnn")
    page.search.fill("no such layer")
    expect(page.root.locator(".ww-hits")).to_have_text("0 / 13")
    page.panel("layers").get_by_role("button", name="Clear the filter").click()
    expect(page.root.locator(".ww-hits")).to_have_text("13 / 13")


def test_the_statistic_of_the_tree_is_chosen_and_sorted(open_dev):
    page = open_dev("cnn")
    page.panel("layers").get_by_role("combobox").select_option("max")
    page.panel("layers").get_by_role("button", name="sort by max").click()
    tensors = page.root.locator("[role=treeitem][data-kind=tensor]")
    expect(tensors.first).to_have_attribute("data-path", "bn.num_batches_tracked")


def test_crumbs_lead_upwards(open_dev):
    page = open_dev("transformer")
    page.root.locator(".ww-path").get_by_role("button", name="encoder", exact=True).click()
    page.wait_trait("selected", "value === 'encoder'")
    expect(page.root.locator(".ww-facts")).to_contain_text("BertEncoder")
