"""Scan and training in the toolbar, and what the kernel is told of what is in sight: on fake models."""

from __future__ import annotations

import pytest
import torch
from playwright.sync_api import expect
from torch import nn

pytestmark = pytest.mark.browser

WIDTHS = [(320, 900), (1200, 860)]


def looks(page) -> list[list[str]]:
    return [message["look"] for message in page.sent() if "look" in message]


def test_the_scan_says_how_fast_it_is_and_a_click_stops_it_at_once(open_dev):
    page = open_dev("cnn", scan="half")
    progress = page.root.locator(".ww-progress")
    button = progress.get_by_role("button", name="cancel")
    expect(progress).to_have_text("50\u2009% cancel", use_inner_text=True)
    places = []
    for pace in ({"rate": 2.1e9, "left": 4}, {"rate": 340e6, "left": 88}, {"rate": 14e9, "left": 1}):
        page.set_traits(_pace=pace)
        places.append(button.bounding_box())
    assert places[0] == places[1] == places[2]
    expect(progress).to_have_text("50\u2009% 14\u2009GB/s 1\u2009s left cancel", use_inner_text=True)
    # The click is answered before the kernel does.
    page.page.evaluate("() => { window.dev.kernel.kind = 'silent'; }")
    told = page.page.evaluate(
        """() => {
            const button = document.querySelector('.ww-progress button');
            button.click();
            return [button.textContent, button.disabled, window.dev.model.sent.at(-1).cancel];
        }"""
    )
    assert told == ["stopping…", True, "scan"]
    page.set_traits(status="cancelled", _pace={})
    expect(progress).to_have_text("scan cancelled at 50\u2009%", use_inner_text=True)


def test_what_is_in_sight_is_read_next_and_told_once(open_dev):
    # The first half is known, the rest is not: experts of layer 30 are in sight.
    expert = "model.layers.30.mlp.experts.{}.gate_proj.weight"
    page = open_dev("moe", scan="half", selected=expert.format(250))
    page.page.wait_for_function("() => window.dev.model.sent.some(m => m.look)")
    expect(page.row(expert.format(250))).to_be_visible()
    page.page.wait_for_function(
        "name => window.dev.model.sent.some(m => m.look?.includes(name))", arg=expert.format(250)
    )
    latest = looks(page)[-1]
    assert len(latest) <= 200
    assert not [name for name in latest if name.startswith("model.layers.1.")]
    count = len(looks(page))
    tree = page.root.get_by_role("tree")
    tree.evaluate("tree => { tree.scrollTop += 2 * tree.clientHeight; }")
    page.page.wait_for_function("count => window.dev.model.sent.filter(m => m.look).length > count", arg=count)
    assert expert.format(250) not in looks(page)[-1]
    # Once the scan has ended nothing is told, and the next one is told of what is in sight then.
    page.set_traits(status="ready")
    count = len(looks(page))
    tree.evaluate("tree => { tree.scrollTop -= 2 * tree.clientHeight; }")
    page.frames()
    page.set_traits(status="scanning")
    page.page.wait_for_function("count => window.dev.model.sent.filter(m => m.look).length > count", arg=count)
    assert expert.format(250) in looks(page)[-1]
    assert len(looks(page)) == count + 1


def test_nothing_is_told_where_no_kernel_is(open_dev):
    page = open_dev("transformer", scan="half", kernel="off")
    expect(page.root.locator(".ww-kernel")).to_be_visible()
    count = len(looks(page))
    page.root.get_by_role("tree").evaluate("tree => { tree.scrollTop = 1e6; }")
    page.page.wait_for_timeout(500)
    assert len(looks(page)) == count <= 1


def test_a_training_is_told_and_stopped(open_dev):
    page = open_dev("cnn")
    watch = page.root.get_by_role("group", name="training")
    expect(watch).to_be_hidden()
    page.set_traits(_watch={"step": 1200, "every": 100, "asked": 100, "share": 0.031})
    expect(watch).to_have_text("watching · step 1\u2009200 stop", use_inner_text=True)
    expect(watch.locator("span")).to_have_attribute(
        "title", "the weights are read every 100 steps; that takes 3.1\u2009% of the training's time"
    )
    page.set_traits(_watch={"step": 1600, "every": 400, "asked": 100, "share": 0.09})
    expect(watch).to_have_text("watching · step 1\u2009600 · every 400 steps stop", use_inner_text=True)
    watch.get_by_role("button", name="stop").click()
    expect(watch).to_be_hidden()
    assert page.sent()[-1] == {"stop": "watch"}
    page.set_traits(_watch={"error": "watching stopped: ValueError: <b>no</b>"})
    expect(watch).to_have_text("watching stopped: ValueError: <b>no</b>", use_inner_text=True)


def test_a_training_that_was_stored_is_not_told(open_dev):
    page = open_dev("cnn", kernel="off", before="window.addEventListener('DOMContentLoaded', () => {})")
    page.set_traits(_watch={"step": 3, "every": 1, "asked": 1})
    # Told now: it goes on, whatever the requests meet.
    expect(page.root.get_by_role("group", name="training")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", WIDTHS, ids=["320", "1200"])
def test_pictures_of_the_toolbar(open_dev, theme: str, size: tuple[int, int]):
    page = open_dev("cnn", scan="half", size=size, theme=theme, width=size[0] if size[0] < 400 else "")
    page.set_traits(_pace={"rate": 2.1e9, "left": 4}, _watch={"step": 1600, "every": 400, "asked": 100, "share": 0.09})
    page.frames()
    bar = page.root.locator(".ww-toolbar")
    assert bar.evaluate("bar => bar.scrollWidth <= bar.clientWidth")
    page.screenshot(f"training-{size[0]}-{theme}")


def test_what_is_looked_at_stays_while_the_weights_change(open_explorer):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(900, 700), nn.ReLU(), nn.Linear(700, 30))
    page, kernel = open_explorer(net, selected="0.weight", value_range=(0.01, 0.02), window=(100, 400, 200, 700))
    before = page.panel("statistics").inner_text()
    page.row("2").locator(".ww-tree-twisty").click()
    expect(page.row("2.weight")).to_have_count(0)
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    count = len(page.sent())
    with kernel.explorer.watch(optimizer, every=1):
        net(torch.randn(8, 900)).square().sum().backward()
        optimizer.step()
    kernel.explorer.wait()
    kernel.push()
    expect(page.panel("statistics")).not_to_have_text(before)
    page.wait_sent("tile", "m => m.tensor === '0.weight'", since=count)
    page.wait_sent("histogram", "m => m.path === '0.weight'", since=count)
    assert page.trait("window") == [100, 400, 200, 700]
    assert page.trait("value_range") == [0.01, 0.02]
    expect(page.row("2.weight")).to_have_count(0)
    expect(page.row("0.weight")).to_have_attribute("aria-selected", "true")
