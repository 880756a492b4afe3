"""The widget before explorers of hostile models: every tensor, every view, every list of names, every query."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.fake_kernel import ExplorerKernel
from tests.browser.page import WidgetPage
from tests.security import models
from tests.security.payloads import TEXTS
from tests.security.walk import TYPE, for_each, look
from weightwidget.explorer import VIEWS
from weightwidget.outputs.names import visible

pytestmark = pytest.mark.browser

SELECT = """(name, root) => {
    window.dev.model.receive({selected: name});
    (window.said ??= []).push(root.querySelector('.ww-path-last').textContent);
}"""
FAIL = "message => window.dev.model.receive({status: 'failed', _message: message})"


def settle(page: WidgetPage, kernel: ExplorerKernel) -> None:
    """Wait until every request was answered, and what came is drawn."""
    while True:
        page.frames()
        asked = page.page.evaluate("() => window.dev.model.sent.filter(message => message.kind).length")
        if asked == len(kernel.requests):
            break
    page.frames()


def hover(page: WidgetPage, what: Locator, most: int = 2) -> None:
    for one in what.all()[:most]:
        if one.is_visible():
            one.hover(force=True)
            page.frames()


def visit(page: WidgetPage, kernel: ExplorerKernel, path: str) -> set[str]:
    """Open every view that a tensor or module has, and point at what is drawn there."""
    page.set_traits(selected=path)
    page.frames()
    found = set()
    for tab in page.root.get_by_role("tab").all():
        if not tab.is_visible():
            continue
        tab.click()
        name = tab.inner_text().lower()
        found.add(name)
        place = page.root.locator(f"section.ww-place-{name}, section[aria-label='{name}']").first
        expect(place).to_be_visible()
        settle(page, kernel)
        hover(page, place.locator("canvas, svg"))
        look(page.page)
    return found


def test_every_tensor_of_a_state_dict_and_every_query(show):
    page, kernel = show(models.state_dict(), tokenizer=models.tokens())
    names = list(kernel.explorer.source.tensors)
    assert len(names) > len(TEXTS)
    for_each(page.page, names, SELECT)
    settle(page, kernel)
    said = page.page.evaluate("() => window.said")
    assert said == [visible(name.rpartition(".")[2]) for name in names]
    assert not kernel.failures

    # The whole tree, in rows that are made anew; and with the pointer.
    tree = page.root.get_by_role("tree")
    tree.evaluate("tree => { tree.scrollTop = 0; }")
    hover(page, page.root.get_by_role("treeitem"), 8)
    for _ in range(8):
        tree.evaluate("tree => { tree.scrollTop += tree.clientHeight; }")
        page.frames()
        look(page.page)
    row = page.root.get_by_role("treeitem").last
    path = row.get_attribute("data-path")
    row.click()
    page.wait_saved("selected", path)
    assert kernel.explorer.selected == path

    # What can be typed, and what Python sets.
    page.root.locator("summary[title='what can be typed']").click()
    look(page.page)
    page.page.keyboard.press("Escape")
    queries = [*TEXTS, *(f'"{text}"' for text in TEXTS[::12]), *(f"kind:{text}" for text in TEXTS[::12])]
    for_each(page.page, queries, TYPE)
    for text in TEXTS[::50]:
        page.search.fill(text)
        page.search.press("Enter")
        page.wait_saved("query", page.search.input_value())
        look(page.page)
    for text in TEXTS:
        kernel.explorer.query = text
        assert isinstance(kernel.explorer.query_error, str)
    kernel.push()
    look(page.page)
    for_each(page.page, TEXTS[::4], FAIL)


def test_every_view_of_a_model_with_such_modules_and_classes(show):
    page, kernel = show(models.module(), tokenizer=models.tokens())
    tensors = kernel.explorer.source.tensors
    wanted = ("weight_hh_l0", "in_proj_weight", "experts.1.up_proj.weight")
    paths = [next(name for name in tensors if name.endswith(end)) for end in wanted]
    paths += [next(name for name, ref in tensors.items() if ref.shape == shape) for shape in ((6, 3, 5, 5), (150, 12))]
    seen = set().union(*(visit(page, kernel, path) for path in paths))
    page.screenshot("security-views")
    assert seen == {"heatmap", "filters", "gates", "heads", "tokens", "experts", "channel", "spectrum"}
    assert len(seen) == len(VIEWS)
    # Modules, and heads and gates in them.
    for_each(page.page, [path for path in kernel.explorer._packer.modules if path][::12], SELECT)
    for row in page.root.get_by_role("treeitem").all()[:3]:
        row.press("ArrowRight")
    look(page.page)
    assert not kernel.failures


def test_reasons_classes_and_what_was_left_out(show):
    page, kernel = show(models.source())
    for_each(page.page, list(kernel.explorer.source.tensors)[:60:2], SELECT)
    page.root.locator("summary[title='what is not shown, and why']").click()
    expect(page.root.locator(".ww-left-out dt").first).to_be_visible()
    look(page.page)
    page.screenshot("security-reasons")
    page.page.keyboard.press("Escape")
    page.search.fill("kind:nothing")
    expect(page.root.locator(".ww-tree-empty")).to_contain_text("Classes here")
    look(page.page)
    # What the kernel answers where it fails.
    page.search.fill("")
    kernel.explorer.source.tensors[models.LATER].reader.tensor = None
    for view in ("channel", "heatmap", "spectrum"):
        page.set_traits(selected=models.LATER, view=view, value_range=[-0.1, 0.2])
        settle(page, kernel)
        look(page.page)
    expect(page.root.get_by_text(TEXTS[7]).filter(visible=True).first).to_be_visible()
    assert kernel.failures


def test_a_file_that_lies(show, tmp_path):
    path = models.safetensors_file(tmp_path)
    models.config_file(tmp_path)
    page, kernel = show(path)
    assert len(kernel.explorer.source.tensors) > 150
    for_each(page.page, list(kernel.explorer.source.tensors)[::5], SELECT)
    page.root.locator("summary[title='what is not shown, and why']").click()
    look(page.page)
    # Its name comes last in the path, and says what it is: no mark in it turns that round.
    expect(page.root.locator(".ww-name")).to_have_text(
        "<img src=x onerror=alert(7)>'\"&`{policy}\\u202e\\x1b[31m.safetensors"
    )
