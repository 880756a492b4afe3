"""An explorer's life in a real JupyterLab: cells that run again, what is saved, reload, restart, several views."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.lab.test_explorer import MODEL, ready

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]

STATE = "application/vnd.jupyter.widget-state+json"


@pytest.fixture
def saves_state(lab):
    """Turns «Save Widget State Automatically» on."""
    _, root = lab
    folder = root.parent / "settings" / "@jupyter-widgets" / "jupyterlab-manager"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "plugin.jupyterlab-settings"
    file.write_text(json.dumps({"saveState": True}))
    yield root
    file.unlink()


def run_cell(notebook, index: int) -> None:
    """Run one cell and wait until it has ended."""
    notebook.page.evaluate(
        """async (index) => {
            jupyterapp.shell.currentWidget.content.activeCellIndex = index;
            await jupyterapp.commands.execute('notebook:run-cell');
        }""",
        index,
    )


def saved(notebook, root: Path) -> dict:
    """The notebook's file after saving."""
    notebook.save()
    return json.loads((root / notebook.path).read_text())


def kept_models(file: dict) -> Counter[str]:
    return Counter(entry["model_name"] for entry in file["metadata"]["widgets"][STATE]["state"].values())


def test_a_notebook_does_not_grow_when_a_cell_runs_again(open_notebook, saves_state):
    notebook = open_notebook(MODEL, "explorer", "panel = explorer.sidebar()")
    ready(notebook)
    page = notebook.page
    expect(page.locator(".weightwidget")).to_have_count(3)
    first = saved(notebook, saves_state)
    assert kept_models(first)["AnyModel"] == 1

    for _ in range(5):
        old = notebook.python("out = explorer.model_id")
        run_cell(notebook, 0)
        notebook.wait_python("out = explorer.model_id", lambda new, old=old: new != old)
    # What showed the old one elsewhere, the second cell and the sidebar, is gone with it.
    expect(page.locator(".weightwidget")).to_have_count(1)
    expect(page.locator("#jp-right-stack .weightwidget")).to_have_count(0)
    root = page.locator(".weightwidget")
    root.locator("[role=treeitem][data-path='fc2.weight']").click()
    notebook.wait_python("out = explorer.selected", lambda value: value == "fc2.weight")

    again = saved(notebook, saves_state)
    assert kept_models(again) == Counter({"AnyModel": 1, "LayoutModel": 1})
    before, after = (len(json.dumps(file)) for file in (first, again))
    assert before > 20_000
    # Less, if anything: what the second cell stored went with its view.
    assert after < 1.05 * before


def select(root, path: str) -> None:
    root.locator(f"[role=treeitem][data-path='{path}']").click()


def test_a_reloaded_page_shows_what_it_showed(open_notebook):
    notebook = open_notebook(MODEL)
    ready(notebook)
    page = notebook.page
    notebook.python("explorer.query = 'kind:Linear'; explorer.selected = 'fc2.weight'; out = 1")
    notebook.python("explorer.window = (2, 6, 40, 90); out = 1")
    expect(page.locator(".ww-hits")).to_have_text("4 / 6")
    notebook.save()
    notebook.reload()

    root = page.locator(".weightwidget")
    expect(root.locator("[role=treeitem][data-path='fc2.weight']")).to_have_attribute(
        "aria-selected", "true", timeout=60_000
    )
    expect(root.get_by_label("filter layers")).to_have_value("kind:Linear")
    expect(root.locator(".ww-hits")).to_have_text("4 / 6")
    # The view that came back has not put anything else in its place.
    assert notebook.python("out = explorer.window") == [2, 6, 40, 90]
    select(root, "fc1.weight")
    notebook.wait_python("out = explorer.selected", lambda value: value == "fc1.weight")
    notebook.python("explorer.selected = 'fc2.bias'; explorer.query = ''; out = 1")
    expect(root.locator("[role=treeitem][data-path='fc2.bias']")).to_have_attribute("aria-selected", "true")
    expect(root.locator(".ww-hits")).to_have_text("6 / 6")
    expect(root.locator(".ww-kernel")).to_be_hidden()


def test_a_restarted_kernel_is_told_at_once_and_the_cell_run_again_works(open_notebook):
    notebook = open_notebook(MODEL, "1 + 1")
    root = ready(notebook)
    page = notebook.page
    note = root.locator(".ww-kernel")
    # The kernel has answered: what it is asked at first has come.
    expect(root.locator("[data-waiting='true']:visible")).to_have_count(0)
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    expect(note).to_have_text("the kernel was restarted or is gone: run the cell again", timeout=4000)

    # What needs no kernel goes on, and nothing waits for ever.
    select(root, "fc2.weight")
    expect(root.locator(".ww-facts")).to_contain_text("10 × 200")
    root.get_by_label("filter layers").fill("conv")
    expect(root.locator(".ww-hits")).to_have_text("2 / 6")
    for tab in root.get_by_role("tab").all():
        if tab.is_visible():
            tab.click()
            expect(tab).to_have_attribute("aria-selected", "true")
            expect(root.locator("[data-waiting='true']:visible")).to_have_count(0)
    notebook.screenshot("lab-restarted")

    notebook.wait_idle()
    run_cell(notebook, 0)
    expect(page.locator(".weightwidget .ww-kernel")).to_be_hidden()
    root = page.locator(".weightwidget")
    expect(root).to_have_count(1)
    select(root, "fc2.weight")
    notebook.wait_python("out = explorer.selected", lambda value: value == "fc2.weight")


def test_two_views_are_in_step_and_one_outlives_the_other(open_notebook):
    leaks = (ROOT / "tests" / "browser" / "leaks.js").read_text().replace("/dist/main.js", "blob:")
    notebook = open_notebook(MODEL, "explorer", before=leaks, height=1800)
    page = notebook.page
    run_cell(notebook, 0)
    views = page.locator(".weightwidget")
    expect(views.nth(0).locator("[role=treeitem][data-path='fc1.weight']")).to_be_visible(timeout=60_000)
    page.wait_for_function("() => window.kept().observers.length > 0")
    expect(views.nth(0).locator("[data-waiting='true']:visible")).to_have_count(0)
    alone = notebook.settled_account()

    run_cell(notebook, 1)
    expect(views).to_have_count(2)
    expect(views.nth(1).locator("[role=treeitem][data-path='fc1.weight']")).to_be_visible()
    assert len(notebook.settled_account()["observers"]) > len(alone["observers"])
    for one, other in ((0, 1), (1, 0)):
        path = f"fc{one + 1}.bias"
        select(views.nth(one), path)
        expect(views.nth(other).locator(f"[role=treeitem][data-path='{path}']")).to_have_attribute(
            "aria-selected", "true"
        )
        notebook.wait_python("out = explorer.selected", lambda value, path=path: value == path)

    page.evaluate(
        """() => {
            jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
            return jupyterapp.commands.execute('notebook:clear-cell-output');
        }"""
    )
    expect(views).to_have_count(1)
    select(views.first, "fc2.weight")
    notebook.wait_python("out = explorer.selected", lambda value: value == "fc2.weight")
    assert notebook.settled_account() == alone
