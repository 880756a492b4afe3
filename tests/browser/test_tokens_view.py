"""The view of embeddings before a real explorer: numbers, lists, strings, and what it says where it cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, expect
from torch import nn

from tests.browser.page import WidgetPage

pytestmark = pytest.mark.browser

COUNT, SIZE, PADDING = 120, 24, 4
UNUSED = tuple(range(60, 75))
HOSTILE = "<img src=x onerror=alert(1)>\u202e\x00"


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(COUNT, SIZE, padding_idx=PADDING)
        self.position_embeddings = nn.Embedding(16, SIZE)
        self.head = nn.Linear(SIZE, COUNT, bias=False)
        self.head.weight = self.tokens.weight


@pytest.fixture
def net() -> Model:
    torch.manual_seed(0)
    model = Model()
    with torch.no_grad():
        model.tokens.weight[list(UNUSED)] = torch.randn(SIZE) + 0.01 * torch.randn(len(UNUSED), SIZE)
    return model


@pytest.fixture
def strings() -> list[str]:
    names = [f"tok{number}" for number in range(COUNT)]
    for number in UNUSED:
        names[number] = f"[unused{number - UNUSED[0]}]"
    names[7] = HOSTILE
    return names


def vectors(net: Model) -> np.ndarray:
    return net.tokens.weight.detach().double().numpy()


def cosines(net: Model) -> np.ndarray:
    table = vectors(net)
    with np.errstate(invalid="ignore"):
        units = table / np.linalg.norm(table, axis=1, keepdims=True)
    found = units @ units.T
    np.fill_diagonal(found, np.nan)
    return found


def view(page: WidgetPage) -> Locator:
    return page.panel("tokens")


def rows(page: WidgetPage) -> Locator:
    return view(page).locator(".ww-tok-rows [role=option]")


def wait_neighbours(page: WidgetPage) -> None:
    expect(rows(page).first.locator(".ww-number").nth(1)).not_to_have_text("–")


def copied(page: WidgetPage) -> list[list[str]]:
    """What the list copies, without its head."""
    page.page.evaluate(
        "() => { window.copied = null; Object.defineProperty(navigator, 'clipboard',"
        " { configurable: true, value: { writeText: async text => { window.copied = text; } } }); }"
    )
    view(page).get_by_role("button", name="copy").click()
    page.page.wait_for_function("() => window.copied !== null")
    return [line.split("\t") for line in page.page.evaluate("() => window.copied").rstrip("\n").split("\n")[1:]]


def show(page: WidgetPage, name: str) -> None:
    view(page).locator(f"[data-list={name}]").click()


def test_norms_neighbours_and_strings(open_explorer, net, strings):
    page, kernel = open_explorer(net, tokenizer=strings, view="tokens", selected="tokens.weight")
    wait_neighbours(page)
    found = copied(page)
    assert [int(line[0]) for line in found] == list(range(COUNT))
    assert [line[1] for line in found[:3]] == ["tok0", "tok1", "tok2"]
    np.testing.assert_allclose([float(line[2]) for line in found], np.linalg.norm(vectors(net), axis=1), rtol=1e-6)
    expected = cosines(net)
    known = [entry for entry in range(COUNT) if entry != PADDING]
    np.testing.assert_allclose(
        [float(found[entry][3]) for entry in known], [np.nanmax(expected[entry]) for entry in known], atol=1e-6
    )
    assert [int(found[entry][4]) for entry in known] == [int(np.nanargmax(expected[entry])) for entry in known]
    assert found[PADDING][3] == "nan"
    expect(view(page)).to_contain_text(f"{COUNT} tokens × {SIZE} · strings: the list given")
    expect(view(page)).not_to_contain_text("guess")
    expect(rows(page).nth(PADDING)).to_contain_text("padding")
    assert not kernel.failures


def test_strings_are_plain_text(open_explorer, net, strings):
    page, _ = open_explorer(net, tokenizer=strings, view="tokens", selected="tokens.weight")
    expect(rows(page).nth(7)).to_contain_text("<img src=x onerror=alert(1)>\\u202e\\x00")
    assert view(page).locator("img").count() == 0


def test_clusters_of_untrained_tokens(open_explorer, net, strings):
    page, _ = open_explorer(net, tokenizer=strings, view="tokens", selected="tokens.weight")
    button = view(page).locator("[data-list=clusters]")
    expect(button).to_have_text(f"clusters {len(UNUSED)}")
    button.click()
    expect(rows(page).first).to_contain_text("cluster 1")
    assert [int(line[0]) for line in copied(page)] == list(UNUSED)
    expect(view(page)).to_contain_text("some may be missed")
    threshold = view(page).get_by_label("least cosine in a cluster")
    threshold.fill("0.99999")
    threshold.press("Tab")
    expect(button).to_have_text("clusters")
    expect(view(page)).to_contain_text("No token has two others this near")


def test_known_unused_tokens(open_explorer, net, strings):
    page, _ = open_explorer(net, tokenizer=strings, view="tokens", selected="tokens.weight")
    wait_neighbours(page)
    show(page, "unused")
    field = view(page).get_by_label("known unused tokens")
    field.fill("[unused1*], 61")
    field.press("Enter")
    named = [61, *range(70, 75)]
    expect(view(page)).to_contain_text(f"{len(named)} known")
    expect(rows(page)).not_to_have_count(0)
    found = copied(page)
    table = vectors(net)
    mean = table[named].mean(axis=0)
    with np.errstate(invalid="ignore"):
        expected = table @ mean / np.linalg.norm(table, axis=1) / np.linalg.norm(mean)
    order = [int(line[0]) for line in found]
    assert set(order[: len(UNUSED)]) == set(UNUSED)
    assert order[-1] == PADDING
    np.testing.assert_allclose([float(line[5]) for line in found[:-1]], expected[order[:-1]], atol=1e-6)
    field.fill("nowhere")
    field.press("Enter")
    expect(view(page)).to_contain_text("no token matches 'nowhere'")


def test_finding_and_choosing_a_token(open_explorer, net, strings):
    page, _ = open_explorer(net, tokenizer=strings, view="tokens", selected="tokens.weight")
    search = view(page).get_by_label("find a token")
    search.fill("tok11")
    matches = view(page).get_by_role("listbox", name="matching tokens")
    expect(matches.get_by_role("option")).to_have_count(11)  # tok11, tok110 to tok119
    search.press("Enter")
    near = view(page).get_by_role("region", name="nearest tokens")
    expect(near).to_contain_text("tok11")
    expected = np.argsort(-np.where(np.isnan(cosines(net)[11]), -2, cosines(net)[11]))[:40]
    buttons = near.locator(".ww-tok-near-row")
    expect(buttons).to_have_count(40)
    ids = [int(entry) for entry in buttons.evaluate_all("all => all.map(one => one.dataset.entry)")]
    assert ids == expected.tolist()
    near.get_by_role("button", name="distance").click()
    away = np.linalg.norm(vectors(net) - vectors(net)[11], axis=1)
    away[11] = np.inf
    expect(buttons.first).to_have_attribute("data-entry", str(np.argmin(away)))
    buttons.first.click()
    expect(near.locator(".ww-tok-chosen")).to_contain_text(strings[int(np.argmin(away))])


def test_brushing_the_scatter_lists_what_is_inside(open_explorer, net, strings):
    page, _ = open_explorer(net, tokenizer=strings, view="tokens", selected="tokens.weight")
    wait_neighbours(page)
    page.frames()
    plot = view(page).locator(".ww-tok-plot")
    box = plot.bounding_box()
    assert box
    # In the histogram an interval of norms is brushed: here all of them.
    page.page.mouse.move(box["x"] + 48, box["y"] + 40)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 44, steps=3)
    page.page.mouse.up()
    brushed = view(page).locator("[data-list=brushed]")
    expect(brushed).to_have_text(f"brushed {COUNT}")
    # In the scatter a rectangle: the upper fifth has all of the cluster.
    page.page.mouse.move(box["x"] + 48, box["y"] + box["height"] * 0.32)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] * 0.19, steps=3)
    page.page.mouse.up()
    expect(brushed).not_to_have_text(f"brushed {COUNT}")
    listed = copied(page)
    highest = float(min(float(line[3]) for line in listed))
    best = np.nanmax(np.where(np.isnan(cosines(net)), -2, cosines(net)), axis=1)
    assert {int(line[0]) for line in listed} == {entry for entry in range(COUNT) if best[entry] >= highest - 1e-6}
    assert set(UNUSED) <= {int(line[0]) for line in listed}
    plot.press("Escape")
    expect(brushed).to_have_text("brushed")


def test_the_tied_head_is_the_same_table(open_explorer, net, strings):
    page, _ = open_explorer(net, tokenizer=strings, view="tokens", selected="head.weight")
    wait_neighbours(page)
    expect(view(page)).to_contain_text("tied")


def test_a_tokenizer_given_later(open_explorer, net):
    page, kernel = open_explorer(net, view="tokens", selected="tokens.weight")
    expect(view(page)).to_contain_text("no strings")
    expect(rows(page).first).to_contain_text("0")
    kernel.explorer.tokenizer = [f"later{number}" for number in range(COUNT)]
    kernel.push()
    expect(rows(page).nth(3)).to_contain_text("later3")


def test_changed_weights_are_shown(open_explorer, net):
    page, kernel = open_explorer(net, view="tokens", selected="tokens.weight")
    wait_neighbours(page)
    with torch.no_grad():
        net.tokens.weight[0] = 100 * net.tokens.weight[1]
    kernel.explorer.refresh().wait()
    kernel.push()
    expect(rows(page).first.locator(".ww-number").first).to_have_text(f"{np.linalg.norm(vectors(net)[0]):.1f}")
    expect(rows(page).first.locator(".ww-number").nth(1)).to_have_text("1")


def test_positions_have_all_cosines(open_explorer, net):
    page, kernel = open_explorer(net, view="tokens", selected="position_embeddings.weight")
    plot = view(page).locator(".ww-tok-cosines")
    expect(plot).to_be_visible()
    page.wait_sent("tokens.cosines")
    box = plot.bounding_box()
    assert box
    page.page.mouse.move(box["x"] + 120, box["y"] + 260)
    readout = view(page).locator(".ww-tok-readout")
    expect(readout).to_contain_text("cosine")
    words = readout.inner_text().replace("−", "-").split()
    row, col, value = int(words[1]), int(words[words.index("·") + 2]), float(words[-1])
    table = net.position_embeddings.weight.detach().double().numpy()
    expected = table[row] @ table[col] / np.linalg.norm(table[row]) / np.linalg.norm(table[col])
    assert value == pytest.approx(expected, abs=1e-4)
    view(page).get_by_role("button", name="minus the mean").click()
    page.wait_sent("tokens.cosines", "m => m.centred")
    assert not kernel.failures


def test_without_a_kernel(open_explorer, net):
    page, _ = open_explorer(net, view="heatmap", selected="tokens.weight")
    page.page.evaluate("() => { window.dev.model.onSend = () => { throw new Error('no comm'); }; }")
    page.set_traits(view="tokens")
    expect(view(page)).to_contain_text("no kernel answers: norms of the overview")
    norms = np.linalg.norm(vectors(net), axis=1)
    np.testing.assert_allclose([float(line[2]) for line in copied(page)], norms, rtol=4e-3)
    expect(view(page).get_by_label("find a token")).to_be_disabled()
    show(page, "clusters")
    expect(view(page)).to_contain_text("No kernel answers: with one, untrained tokens are looked for here.")
    page.set_traits(selected="position_embeddings.weight")
    expect(view(page).locator(".ww-tok-cosines")).to_be_visible()


def test_other_tensors_have_no_such_view(open_explorer, net):
    page, _ = open_explorer({"a.weight": torch.randn(8, 8)}, selected="a.weight")
    expect(page.root.get_by_role("tab", name="Tokens")).to_be_hidden()
