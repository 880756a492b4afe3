"""The view of attention heads before a real explorer: its numbers, its selection, what it says where it cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, expect
from torch import nn

from tests.browser.page import WidgetPage
from tests.fixtures import SmallTransformer, seeded
from weightwidget import WeightExplorer

pytestmark = pytest.mark.browser

HEADS, SIZE, WIDTH = 3, 4, 12


@pytest.fixture
def net() -> nn.Module:
    return seeded(SmallTransformer)


def explicit(net: nn.Module, block: int, head: int) -> dict[str, np.ndarray]:
    """The parts of a head, straight from the module's weights."""
    attn = net.blocks[block].attn
    rows = slice(head * SIZE, (head + 1) * SIZE)
    q, k, v = (part[rows] for part in attn.in_proj_weight.detach().double().numpy().reshape(3, WIDTH, WIDTH))
    return {"query": q, "key": k, "value": v, "output": attn.out_proj.weight.detach().double().numpy()[:, rows]}


def copying(net: nn.Module, block: int, head: int) -> float:
    parts = explicit(net, block, head)
    eigenvalues = np.linalg.eigvals(parts["output"] @ parts["value"])
    return float(eigenvalues.sum().real / np.abs(eigenvalues).sum())


def view(page: WidgetPage) -> Locator:
    return page.panel("heads")


def grid(page: WidgetPage, name: str = "statistic of each head") -> Locator:
    return view(page).locator(".ww-grid").filter(has=page.page.locator(f"[aria-label^='{name}']"))


def table(page: WidgetPage, of: Locator) -> dict[str, list[float]]:
    """What a grid copies: by name of the row."""
    page.page.evaluate(
        "() => Object.defineProperty(navigator, 'clipboard',"
        " { configurable: true, value: { writeText: async text => { window.copied = text; } } })"
    )
    of.get_by_role("button", name="copy").click()
    lines = page.page.evaluate("() => window.copied").rstrip("\n").split("\n")
    return {line.split("\t")[0]: [float(cell or "nan") for cell in line.split("\t")[1:]] for line in lines[1:]}


def wait_known(of: Locator) -> None:
    """Wait until every cell of a grid has its value."""
    expect(of.locator(".ww-grid-canvas")).to_be_visible()
    expect(of.locator(".ww-grid-unknown")).to_be_hidden()


def cell(page: WidgetPage, row: int, col: int, rows: int, cols: int) -> tuple[float, float]:
    """Middle of a cell of the grid of all heads on the page, found from the right and the lower edge."""
    plot = grid(page).locator(".ww-grid-canvas")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    # Cells of this little grid have their largest size: 58 × 24; below are 4 pixels, at the right 8.
    x = box["x"] + box["width"] - 8 - (cols - col - 0.5) * 58
    y = box["y"] + box["height"] - 4 - (rows - row - 0.5) * 24
    return x, y


def test_the_grid_has_the_numbers_of_explicit_products(open_explorer, net):
    page, _ = open_explorer(net, view="heads", selected="blocks")
    wait_known(grid(page))
    found = table(page, grid(page))
    assert list(found) == ["blocks.0.attn", "blocks.1.attn"]
    for block, row in enumerate(found.values()):
        assert row == pytest.approx([copying(net, block, head) for head in range(HEADS)], rel=1e-9)

    choice = view(page).get_by_label("statistic of the grid").first
    for key, of in {
        "qk_spectral": lambda part: np.linalg.norm(part["query"].T @ part["key"], 2),
        "ov_frobenius": lambda part: np.linalg.norm(part["output"] @ part["value"]),
        "key_norm": lambda part: np.linalg.norm(part["key"]),
        "weights:std": lambda part: np.concatenate([one.ravel() for one in part.values()]).std(),
    }.items():
        choice.select_option(key)
        wait_known(grid(page))
        for block, row in enumerate(table(page, grid(page)).values()):
            expected = [of(explicit(net, block, head)) for head in range(HEADS)]
            assert row == pytest.approx(expected, rel=1e-5), key


def test_clicks_and_arrow_keys_select_heads_and_their_parts(open_explorer, net):
    page, kernel = open_explorer(net, view="heads", selected="blocks")
    expect(view(page).locator(".ww-heads-hint")).to_contain_text("Choose a head")
    wait_known(grid(page))
    page.page.mouse.move(*cell(page, 1, 2, 2, HEADS))
    tip = grid(page).locator(".ww-grid-tip")
    expect(tip).to_contain_text("blocks.1.attn · head 2")
    page.page.mouse.down()
    page.page.mouse.up()
    page.wait_saved("selected", "blocks.1.attn › head 2")
    assert kernel.explorer.selected == "blocks.1.attn › head 2"
    expect(view(page).locator(".ww-heads-projection")).to_have_count(4)

    plot = grid(page).locator(".ww-grid-plot")
    plot.press("ArrowUp")
    page.wait_saved("selected", "blocks.0.attn › head 2")
    plot.press("ArrowLeft")
    page.wait_saved("selected", "blocks.0.attn › head 1")
    expect(grid(page).locator(".ww-grid-spoken")).to_contain_text("blocks.0.attn · head 1, OV copying score")
    expect(view(page).get_by_role("region", name="head", exact=True)).to_contain_text("Head 1of blocks.0.attn")
    facts = view(page).locator(".ww-heads-plot").nth(2)
    score = f"{abs(copying(net, 0, 1)):.3g}"
    expect(facts).to_contain_text(score)

    key = view(page).locator(".ww-heads-projection").nth(1)
    key.click()
    page.wait_saved("selected", "blocks.0.attn › head 1 › key")
    expect(key).to_have_attribute("aria-pressed", "true")
    # The heatmap follows.
    page.root.get_by_role("tab", name="Heatmap").click()
    expect(page.root.locator(".ww-facts")).to_contain_text("4 × 12")


def test_a_block_of_a_tensor_is_a_head_too(open_explorer, net):
    page, _ = open_explorer(net, view="heads", selected="blocks.1.attn.in_proj_weight › k › head 2")
    expect(view(page).get_by_role("region", name="head", exact=True)).to_contain_text("Head 2of blocks.1.attn")
    expect(view(page).locator(".ww-heads-projection").nth(1)).to_have_attribute("aria-pressed", "true")


def test_similarity_of_heads(open_explorer, net):
    page, _ = open_explorer(net, view="heads", selected="blocks.1.attn")
    alike = grid(page, "similarity of heads")
    wait_known(alike)
    products = [explicit(net, 1, head) for head in range(HEADS)]
    flat = [(one["query"].T @ one["key"]).ravel() for one in products]
    for head, row in enumerate(table(page, alike).values()):
        for other, value in enumerate(row):
            if head == other:
                assert np.isnan(value)
                continue
            cosine = flat[head] @ flat[other] / np.linalg.norm(flat[head]) / np.linalg.norm(flat[other])
            assert value == pytest.approx(cosine, abs=1e-9)
    alike.get_by_label("statistic of the grid").select_option("value")
    page.wait_sent("head_similarity", "m => m.part === 'value'")
    alike.get_by_label("order of the heads").select_option(label="by similarity")
    wait_known(alike)
    assert sorted(table(page, alike)) == ["head 0", "head 1", "head 2"]


def test_nothing_is_asked_while_another_view_is_shown(open_explorer, net):
    page, _ = open_explorer(net, selected="blocks.0.attn › head 1")
    expect(page.root.get_by_role("tab", name="Heads")).to_be_visible()
    page.frames()
    assert not any(page.sent(kind) for kind in ("heads", "head", "head_similarity"))
    page.root.get_by_role("tab", name="Heads").click()
    wait_known(grid(page))
    assert page.sent("heads")


def test_a_module_without_attention_has_no_such_view(open_explorer, net):
    page, kernel = open_explorer(net, selected="ln_f.weight", view="heads")
    expect(page.root.get_by_role("tab", name="Heads", include_hidden=True)).to_be_hidden()
    kernel.explorer.selected = "blocks.0"
    kernel.push()
    expect(page.root.get_by_role("tab", name="Heads")).to_be_visible()


def test_new_weights_are_measured_anew(open_explorer, net):
    page, kernel = open_explorer(net, view="heads", selected="blocks.0.attn › head 0")
    wait_known(grid(page))
    before = table(page, grid(page))["blocks.0.attn"][0]
    with torch.no_grad():
        net.blocks[0].attn.out_proj.weight.neg_()
    kernel.explorer.refresh().wait()
    kernel.push()
    expect(view(page).locator(".ww-heads-plot").nth(2)).to_contain_text(f"{abs(before):.3g}")
    page.page.wait_for_function("count => window.dev.model.sent.filter(m => m.kind === 'heads').length > count", arg=4)
    wait_known(grid(page))
    assert table(page, grid(page))["blocks.0.attn"][0] == pytest.approx(-before)


def grouped() -> nn.Module:
    """Attention with four query heads on two key and value heads, and two layers of unlike head counts."""
    from transformers import LlamaConfig, LlamaModel

    sizes = {"hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 2, "vocab_size": 10}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaModel(LlamaConfig(num_attention_heads=4, num_key_value_heads=2, **sizes))


def test_shared_keys_and_values_are_told(open_explorer):
    page, _ = open_explorer(grouped(), view="heads", selected="layers.1.self_attn › head 3")
    head = view(page).get_by_role("region", name="head", exact=True)
    expect(head).to_contain_text("reads key/value head 1, as heads 2 to 3 do")
    expect(head).to_contain_text("Positions rotate queries and keys here (RoPE)")
    layer = view(page).get_by_role("region", name="layer", exact=True)
    expect(layer).to_contain_text("4 heads of 4 on 2 key/value heads (grouped-query)")
    expect(layer.locator(".ww-bar")).to_have_count(4 + 2 + 2 + 4)
    expect(layer.locator(".ww-bar[data-own]")).to_have_count(4)


def bare() -> dict[str, torch.Tensor]:
    """Projections whose head count nobody tells."""
    generator = torch.Generator().manual_seed(0)
    return {
        f"blocks.{block}.{part}_proj.weight": torch.randn(40, 40, generator=generator)
        for block in range(2)
        for part in "qkvo"
    }


def test_an_unknown_number_of_heads_is_asked_for(open_explorer):
    page, kernel = open_explorer(bare(), view="heads", selected="blocks.0.q_proj.weight")
    expect(view(page)).to_contain_text("How many heads these 8 projections have")
    expect(view(page).locator(".ww-grid").first).to_be_hidden()
    number = view(page).get_by_label("number of heads", exact=True)
    number.fill("7")
    expect(view(page).locator("code")).to_have_text("explorer.anatomy.set_heads(7)")
    number.press("Enter")
    expect(view(page).get_by_role("alert")).to_contain_text("can be divided into 7 heads")
    kernel.failures.clear()
    number.fill("5")
    number.press("Enter")
    expect(view(page).get_by_role("alert")).to_have_text("")
    page.wait_sent("set_heads", "m => m.heads === 5")
    kernel.push()
    wait_known(grid(page))
    assert [len(row) for row in table(page, grid(page)).values()] == [5, 5]
    expect(view(page).get_by_role("region", name="layer", exact=True)).to_contain_text("5 heads of 8")
    # It can be changed again where it is told that it was set.
    expect(number).to_be_hidden()
    view(page).get_by_role("button", name="by hand").click()
    expect(number).to_be_visible()


def test_without_a_kernel_norms_are_told_and_what_is_missing(open_explorer, net):
    explorer = WeightExplorer(net, view="heads", selected="blocks.1.attn › head 1").wait()
    try:
        page, _ = open_explorer(explorer)
        wait_known(grid(page))
        page.page.evaluate(
            "() => { const { model } = window.dev; model.onSend = () => { throw new Error('no comm') }; }"
        )
        # A second view of the same model never had a kernel.
        page.page.evaluate("() => window.dev.mounted.addView(document.body)")
        other = page.page.locator(".weightwidget").nth(1)
        other.scroll_into_view_if_needed()
        heads = other.get_by_role("region", name="heads", exact=True)
        expect(heads).to_contain_text("No kernel answers")
        expect(heads).to_contain_text("A kernel would show this head")
        expect(heads).to_contain_text("a kernel would compare the heads")
        choice = heads.get_by_label("statistic of the grid").first
        expect(choice).to_have_value("query_norm")
        expect(heads.locator(".ww-grid-unknown").first).to_be_hidden()
        found = table(page, heads.locator(".ww-grid").first)
        for block, row in enumerate(found.values()):
            exact = [np.linalg.norm(explicit(net, block, head)["query"]) for head in range(HEADS)]
            assert row == pytest.approx(exact, rel=5e-3)  # norms of rows travel as bfloat16
        # What the kernel told before it went stays.
        assert grid(page).get_by_label("statistic of the grid").input_value() == "copying"
    finally:
        explorer.close()


def test_hostile_names_are_only_text(open_explorer):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("<img src=x onerror=alert(1)>", nn.MultiheadAttention(8, 2))

    page, kernel = open_explorer(Net(), view="heads")
    wait_known(grid(page))
    kernel.explorer.selected = "<img src=x onerror=alert(1)> › head 1"
    kernel.push()
    expect(view(page).locator(".ww-heads-name")).to_have_text("<img src=x onerror=alert(1)>")
    assert page.root.locator("img").count() == 0


@pytest.mark.parametrize("width", [320, 700])
def test_narrow_hosts_cut_nothing_off(open_explorer, net, width):
    page, _ = open_explorer(net, size=(width, 1200), view="heads", selected="blocks.1.attn › head 1")
    wait_known(grid(page))
    expect(view(page).locator(".ww-heads-projection")).to_have_count(4)
    page.frames()
    wide = page.page.evaluate(
        """() => {
            const room = document.querySelector('.weightwidget').getBoundingClientRect();
            return [...document.querySelectorAll('.ww-heads *')].filter(one => {
                const box = one.getBoundingClientRect();
                return box.width > 1 && (box.right > room.right + 1 || box.left < room.left - 1);
            }).map(one => one.outerHTML.slice(0, 200));
        }"""
    )
    assert wide == []
    height = view(page).bounding_box()
    assert height
    assert height["height"] > 700
