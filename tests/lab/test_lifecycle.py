"""An explorer's life in a real JupyterLab: cells that run again, what is saved, reload, restart, several views."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.lab.test_explorer import MODEL, ready

pytestmark = pytest.mark.lab

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
    notebook.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    notebook.page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
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
    assert abs(after - before) < 0.05 * before
