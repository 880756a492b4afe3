"""Saved notebooks reopened where ipywidgets has nothing to show: no kernel, or no stored state."""

from __future__ import annotations

import copy
import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.sign import NotebookNotary
from playwright.sync_api import expect

from tests import servers
from tests.browser.standalone import View
from tests.lab.conftest import Notebook

pytestmark = pytest.mark.lab

HOSTILE = "<img src=x onerror=pwned=1>"

CELL = f"""
import ipywidgets, numpy as np, weightwidget
rng = np.random.default_rng(0)
model = {{
    "fc1.weight": rng.normal(size=(40, 30)).astype("f4"),
    "fc2.weight": rng.normal(size=(300, 170)).astype("f4"),
    {HOSTILE!r}: rng.normal(size=(7, 5)).astype("f4"),
}}
explorer = weightwidget.WeightExplorer(model).wait()
explorer
"""

SLIDER = "slider = ipywidgets.IntSlider(description='another')\nslider"

LOADING = "Loading widget..."
NOT_FOUND = "Error displaying widget: model not found"

NOT_OURS = (
    *servers.IGNORED_CONSOLE,
    # JupyterLab, of its debugger and of questions to a kernel that goes.
    "Could not restore the debugger state",
    "Canceled future for",
    # ipywidgets, of a notebook that has no kernel when it is opened ...
    "Cannot read properties of null (reading 'kernel')",
    # ... and of a widget that is stored nowhere.
    "widget model not found",
)

# As with «shut down» or «No Kernel» in an earlier session: nothing is started.
NO_START = """
() => {
    const registry = jupyterapp.docRegistry;
    const preference = registry.getKernelPreference.bind(registry);
    registry.getKernelPreference = (...args) => ({...preference(...args), shouldStart: false});
}
"""

START = "async () => { await jupyterapp.shell.currentWidget.sessionContext.changeKernel({name: 'python3'}); }"


@pytest.fixture(scope="module")
def saved():
    """The notebook as nbconvert --execute leaves it: with the state of its widgets."""
    cells = [nbformat.v4.new_code_cell(source) for source in (CELL, SLIDER)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


@pytest.fixture
def reopen(lab, browser):
    """Opens a notebook as its owner does who trusts it; fails the test when the page logged an error of ours."""
    address, root = lab
    page = browser.new_page(viewport={"width": 1500, "height": 1300})
    errors: list[str] = []

    def note(text):
        if not any(known in text for known in NOT_OURS):
            errors.append(text)

    page.on("pageerror", lambda error: note(str(error)))
    page.on("console", lambda message: note(message.text) if message.type == "error" else None)

    def open_(notebook, name, *, trusted=True, before=None):
        nbformat.write(notebook, root / name)
        if trusted:
            NotebookNotary(data_dir=str(root.parent / "data")).sign(notebook)
        if before is None:
            page.goto(f"{address}/lab/tree/{name}?reset")
        else:
            page.goto(f"{address}/lab?reset")
            page.wait_for_function("() => window.jupyterapp?.shell.currentWidget")
            page.evaluate(before)
            page.evaluate("(path) => { void jupyterapp.commands.execute('docmanager:open', {path}); }", name)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        return Notebook(page, name)

    yield open_
    page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")
    page.close()
    assert not errors, errors


def outputs(notebook):
    """What stands under the explorer's cell, and under the other one."""
    areas = notebook.page.locator(".jp-Notebook .jp-CodeCell .jp-OutputArea-output")
    expect(areas).to_have_count(2, timeout=60_000)
    return areas.first, areas.last


def use(view: View) -> None:
    """Works on what the overview holds, and says what does not."""
    expect(view.row("fc2.weight")).to_be_visible(timeout=30_000)
    expect(view.root.locator(".ww-kernel")).to_have_text("no kernel answers: showing the overview")
    expect(view.row(HOSTILE)).to_contain_text(HOSTILE)
    view.root.get_by_label("filter layers").fill("fc")
    expect(view.root.locator(".ww-hits")).to_have_text("2 / 3")
    view.root.get_by_label("filter layers").fill("")
    view.select("fc2.weight")
    expect(view.root.locator(".ww-facts")).to_contain_text("300 × 170")
    view.brush(0.55, 0.8)
    told = view.panel("histogram").locator(".ww-hist-count-text")
    expect(told).to_contain_text("%")
    assert view.root.evaluate("() => window.pwned") is None


def test_no_kernel_and_one_that_comes_late(saved, reopen):
    notebook = reopen(saved, "no-kernel.ipynb", before=NO_START)
    ours, other = outputs(notebook)
    view = View(ours)
    use(view)
    expect(other).to_have_text(LOADING)
    notebook.screenshot("no-kernel")

    # With a kernel the ordinary widget comes back; what is another's waits on. Run again, both live.
    notebook.page.evaluate(START)
    expect(ours.locator(".wwp-stored")).to_have_count(0, timeout=30_000)
    expect(view.row("fc2.weight")).to_be_visible()
    expect(other).to_have_text(LOADING)
    notebook.run_all()
    ours, other = outputs(notebook)
    expect(other.locator(".widget-slider")).to_be_visible(timeout=30_000)
    view = View(ours)
    view.select("fc1.weight")
    notebook.wait_python("out = explorer.selected", lambda value: value == "fc1.weight")
    notebook.screenshot("no-kernel-late")


def test_no_state(saved, reopen):
    """As JupyterLab saves by default: a fresh kernel knows nothing of the widgets."""
    notebook = copy.deepcopy(saved)
    del notebook.metadata["widgets"]
    notebook = reopen(notebook, "no-state.ipynb")
    notebook.wait_idle()
    ours, other = outputs(notebook)
    expect(other).to_have_text(NOT_FOUND)
    expect(ours.get_by_role("note")).to_contain_text("No live view is stored here: run the cell")
    image = ours.locator("img[src^='data:image/png']")
    expect(image).to_be_visible()
    expect(ours.locator("tbody tr", has_text="fc2.weight")).to_contain_text("300 × 170")
    expect(ours.locator("tbody tr", has_text=re.escape("<img"))).to_have_count(1)
    assert ours.locator("img").count() == 1
    assert notebook.page.evaluate("() => window.pwned") is None
    expect(ours).not_to_contain_text(NOT_FOUND)
    notebook.screenshot("no-state")


def test_none_chosen(saved, reopen):
    """The notebook's kernel is not installed, and in JupyterLab's dialog somebody chooses none."""
    notebook = copy.deepcopy(saved)
    notebook.metadata = {"widgets": notebook.metadata["widgets"]}
    notebook.metadata["kernelspec"] = {"name": "gone", "display_name": "Gone", "language": "gone"}
    notebook = reopen(notebook, "none-chosen.ipynb")
    dialog = notebook.page.locator(".jp-Dialog")
    dialog.locator("select").select_option(label="No Kernel")
    dialog.locator("button.jp-mod-accept").click()
    ours, other = outputs(notebook)
    view = View(ours)
    use(view)
    expect(other).to_have_text(LOADING)

    # One is chosen after all.
    notebook.page.evaluate(START)
    expect(ours.locator(".wwp-stored")).to_have_count(0, timeout=30_000)
    expect(view.row("fc2.weight")).to_be_visible()
