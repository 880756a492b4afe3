"""The widget where things are not as one would like: no kernel, a slow one, odd weights and names, little room."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.page import WidgetPage

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"

EDGE_TENSORS = [
    "nonfinite.some",
    "nonfinite.nan_only",
    "nonfinite.inf_only",
    "constant.zero",
    "constant.one",
    "constant.scalar",
    "constant.nan_scalar",
    "empty.vector",
    "empty.matrix",
    "size.one",
    "size.row",
    "size.column",
    "size.vector",
    "size.five_axes",
    "size.huge_values",
    "size.tiny_values",
    "size.one_outlier",
    "type.step_counter",
    "type.mask",
    "tied.head.weight",
    "unreadable.weight",
    HOSTILE,
    f"{HOSTILE}.weight",
]


def settle(page: WidgetPage) -> None:
    """Wait until what was asked for is answered and two frames are drawn."""
    page.page.wait_for_function("() => window.dev.kernel.idle")
    page.frames()


# -- kernels -----------------------------------------------------------------------------------------------------------


def test_without_a_kernel_everything_local_works(open_dev):
    page = open_dev("cnn", kernel="off")
    note = page.root.locator(".ww-kernel")
    expect(note).to_be_visible()
    expect(note).to_contain_text("no kernel")
    assert "need a running kernel" in (note.get_attribute("title") or "")
    page.search.fill("conv")
    expect(page.root.locator(".ww-hits")).to_have_text("4 / 13")
    page.row("conv1.weight").click()
    expect(page.root.locator(".ww-header")).to_contain_text("16 × 1 × 7 × 7")
    expect(page.panel("statistics")).to_contain_text("784")
    expect(page.panel("histogram").locator("svg").first).to_be_visible()
    expect(page.panel("heatmap").locator("canvas").first).to_be_visible()


def test_without_a_kernel_another_tensor_is_shown_whole(open_dev):
    page = open_dev("cnn", kernel="off")
    page.set_traits(window=[10, 20, 100, 200], index=[0, 0], drawn_axes={"rows": [1], "cols": [0]})
    page.row("fc2.weight").click()
    page.wait_trait("window", "value === null")
    assert page.trait("drawn_axes") is None
    assert not any(page.trait("index"))


def test_a_slow_kernel_is_waited_for(open_dev):
    page = open_dev("cnn", kernel="slow")
    note = page.root.locator(".ww-kernel")
    expect(note).to_be_visible(timeout=10_000)
    expect(note).to_contain_text("waiting for the kernel")
    expect(note).to_be_hidden(timeout=15_000)
    page.wait_sent("histogram", "m => true")


def test_a_silent_kernel_is_named_and_its_return_is_seen(open_dev):
    page = open_dev("cnn", kernel="silent")
    note = page.root.locator(".ww-kernel")
    expect(note).to_contain_text("no kernel answers", timeout=20_000)
    page.page.evaluate("() => { window.dev.kernel.kind = 'on'; }")
    page.row("conv2.weight").click()
    expect(note).to_be_hidden()


def test_the_scan_is_shown_and_cancelled(open_dev):
    page = open_dev("cnn", scan="half")
    progress = page.root.locator(".ww-progress")
    expect(progress).to_be_visible()
    expect(progress).to_contain_text("50")
    # The first half is there, the other is marked as not known.
    expect(page.row("conv1.weight")).not_to_have_attribute("data-pending", "")
    expect(page.row("fc2.weight")).to_have_attribute("data-pending", "")
    page.row("fc2.weight").click()
    expect(page.panel("statistics")).to_be_visible()
    progress.get_by_role("button", name="cancel").click()
    page.page.wait_for_function("() => window.dev.model.sent.some(m => m.cancel === 'scan')")
    expect(progress).to_contain_text("cancelled")


# -- weights and names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["on", "off"])
def test_odd_tensors_have_sensible_views(open_dev, kernel):
    page = open_dev("edge", kernel=kernel)
    for name in EDGE_TENSORS:
        page.page.evaluate("name => window.dev.model.receive({selected: name})", name)
        expect(page.row(name, "tensor")).to_have_attribute("aria-selected", "true")
        settle(page)
        text = page.root.inner_text()
        for wrong in ("undefined", "[object", "Infinity"):
            assert wrong not in text, f"{name}: {wrong}"
        page.check()


def test_why_a_tensor_cannot_be_read_is_said(open_dev):
    page = open_dev("edge", selected="unreadable.weight")
    for panel in ("heatmap", "histogram", "statistics"):
        expect(page.panel(panel)).to_contain_text("sparse weights are summarised after .to_dense()")


def test_a_scalar_is_a_number(open_dev):
    page = open_dev("edge", selected="constant.scalar")
    expect(page.panel("heatmap")).to_contain_text("0.125")


def test_an_empty_tensor_says_so(open_dev):
    page = open_dev("edge", selected="empty.matrix")
    expect(page.panel("heatmap")).to_contain_text("there are no weights to draw")
    expect(page.root.locator(".ww-header")).to_contain_text("0 × 512")


def test_nan_only_is_said(open_dev):
    page = open_dev("edge", selected="nonfinite.nan_only")
    expect(page.panel("statistics")).to_contain_text("64")
    expect(page.panel("histogram")).to_contain_text("NaN")


@pytest.mark.parametrize(
    "name", ["nonfinite.nan_only", "constant.scalar", "unreadable.weight", "plain", "plain.weight"]
)
def test_what_is_hidden_does_not_show(open_dev, name):
    page = open_dev("edge", selected=name)
    settle(page)
    shown = page.root.evaluate(
        "root => [...root.querySelectorAll('[hidden]')].filter(e => e.checkVisibility()).map(e => e.className)"
    )
    assert not shown


def test_hostile_names_are_text(open_dev):
    page = open_dev("edge", selected=f"{HOSTILE}.weight")
    page.page.evaluate("() => { window.alert = (text) => console.error(`executed: ${text}`); }")
    expect(page.row(HOSTILE).first).to_contain_text(HOSTILE)
    expect(page.root.locator(".ww-header")).to_contain_text(HOSTILE)
    expect(page.root.locator(".ww-toolbar")).to_contain_text(HOSTILE)
    page.search.fill(HOSTILE)
    expect(page.row(f"{HOSTILE}.weight")).to_be_visible()
    settle(page)
    assert page.root.locator("img, script").count() == 0


def test_what_was_left_out_is_said(open_dev):
    page = open_dev("edge")
    page.root.locator(".ww-skipped > summary").click()
    listed = page.root.locator(".ww-left-out")
    expect(listed).to_contain_text(f"optimizer.{HOSTILE}")
    expect(listed).to_contain_text("an int, not a tensor")


def test_an_empty_model_says_so(open_dev):
    page = open_dev("empty")
    expect(page.root).to_contain_text("0 tensors")
    expect(page.panel("layers")).to_contain_text("There are no tensors")


# -- size and place ----------------------------------------------------------------------------------------------------


def test_20_000_tensors_keep_the_tree_small(open_dev):
    page = open_dev("moe")
    items = page.root.locator("[role=treeitem]")
    expect(items.first).to_be_visible()
    page.panel("layers").get_by_role("button", name="Open all").click()
    page.page.wait_for_function("() => document.querySelector('[role=tree]').scrollHeight > 20000 * 20", timeout=20_000)
    last = "model.layers.39.mlp.experts.499.gate_proj.weight"
    page.page.evaluate("() => { const t = document.querySelector('[role=tree]'); t.scrollTop = t.scrollHeight; }")
    expect(page.row(last)).to_be_visible()
    assert items.count() < 120
    page.row(last).click()
    page.wait_trait("selected", f"value === '{last}'")
    page.search.fill("layers.7.mlp.experts.13.")
    expect(page.root.locator(".ww-hits")).to_have_text("1 / 20 000")
    assert items.count() < 120


def test_the_theme_follows_the_page(open_dev):
    page = open_dev("cnn")
    expect(page.root).to_have_attribute("data-theme", "light")
    page.page.get_by_label("theme").select_option("dark")
    expect(page.root).to_have_attribute("data-theme", "dark")
    settle(page)
    background = page.root.evaluate("root => getComputedStyle(root).backgroundColor")
    assert sum(int(part) for part in background[4:-1].split(",")) < 120


# What reaches beyond the right edge and is cut off there, and what has a horizontal scroll bar.
TOO_WIDE = """root => {
    const [left, right] = [root.getBoundingClientRect().left - 1, root.getBoundingClientRect().right + 1];
    const overflow = e => getComputedStyle(e).overflowX;
    const clipper = e => { do e = e.parentElement; while (overflow(e) === "visible"); return e; };
    return [...root.querySelectorAll("*")].filter(e => e.checkVisibility()).filter(e => {
        const box = e.getBoundingClientRect();
        const scrolls = ["auto", "scroll"].includes(overflow(e)) && e.scrollWidth > e.clientWidth + 1;
        return scrolls || ((box.right > right || box.left < left) && clipper(e) === root);
    }).map(e => `${e.tagName} ${e.getAttribute("class")}`);
}"""


@pytest.mark.parametrize("width", [230, 320, 400, 760, 1200])
@pytest.mark.parametrize("model", ["transformer", "edge"])
def test_nothing_is_wider_than_its_place(open_dev, width, model):
    page = open_dev(model, width=width, size=(width + 60, 900))
    settle(page)
    assert page.root.evaluate("root => root.getBoundingClientRect().width") <= width
    assert not page.root.evaluate(TOO_WIDE)
    assert page.root.evaluate("root => root.scrollWidth <= root.clientWidth")
    # What opens over the rest has room, too.
    for summary in page.root.locator(".ww-toolbar details > summary").all():
        if summary.is_visible():
            summary.click()
            page.frames()
            assert not page.root.evaluate(TOO_WIDE)
            summary.click()


def test_two_views_stay_in_step(open_dev):
    page = open_dev("cnn", views=2)
    first, second = page.page.locator(".weightwidget").all()
    row = "[role=treeitem][data-path='fc2.weight']"
    first.locator(row).click()
    expect(second.locator(row)).to_have_attribute("aria-selected", "true")
    second.get_by_label("filter layers").fill("fc2")
    expect(first.get_by_label("filter layers")).to_have_value("fc2")
    expect(first.locator(".ww-hits")).to_have_text("2 / 13")


def test_a_closed_view_leaves_the_other_alone(open_dev):
    page = open_dev("cnn", views=2)
    page.page.evaluate("() => window.dev.mounted.views[0].destroy()")
    expect(page.page.locator(".weightwidget")).to_have_count(1)
    page.row("conv2.weight").click()
    page.wait_trait("selected", "value === 'conv2.weight'")
    expect(page.root.locator(".ww-header")).to_contain_text("32 × 16 × 3 × 3")


def test_nothing_is_left_behind(open_dev):
    page = open_dev("cnn", views=2, before=(Path(__file__).parent / "leaks.js").read_text())
    first = page.page.evaluate("() => window.kept()")
    assert all(first.values())  # the account is kept
    # Leave gestures, timers and requests under way.
    page.row("conv2.weight").click()
    page.search.press_sequentially("con", delay=0)
    page.page.evaluate("() => { window.dev.kernel.kind = 'silent'; window.dev.destroy(); }")
    assert page.page.evaluate("() => window.dev.model.listeners") == 0
    assert page.page.locator(".weightwidget").count() == 0
    # What runs out by itself may; what stays is a leak.
    page.page.wait_for_function("() => window.kept().timers === 0", timeout=3000)
    assert page.page.evaluate("() => window.kept()") == {"timers": 0, "listeners": [], "observers": []}
    # The model lives on without the widget: nothing answers to it.
    sent = len(page.sent())
    page.page.evaluate(
        """() => {
            const overview = window.dev.model.get("_overview");
            window.dev.model.receive({selected: "fc1.weight", _overview: new DataView(overview.buffer), query: "x"});
            document.body.dataset.theme = "dark";
            window.dispatchEvent(new Event("resize"));
            window.dispatchEvent(new PointerEvent("pointermove", {clientX: 200, clientY: 200}));
            window.dispatchEvent(new PointerEvent("pointerup"));
        }"""
    )
    page.frames()
    assert len(page.sent()) == sent


def test_a_destroyed_widget_comes_again(open_dev):
    page = open_dev("cnn", views=2)
    page.page.evaluate("() => window.dev.mounted.views[0].destroy()")
    page.page.evaluate("() => { window.dev.mounted.addView(document.querySelector('.dev-views')); }")
    expect(page.page.locator(".weightwidget")).to_have_count(2)
    for root in page.page.locator(".weightwidget").all():
        expect(root.locator("[role=treeitem]").first).to_be_visible()
