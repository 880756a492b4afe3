"""Hostile names in a real JupyterLab: variables, classes and files in the panel; the widget; an untrusted notebook."""

from __future__ import annotations

import nbformat
import pytest
from playwright.sync_api import expect

from tests import servers
from tests.lab.conftest import Notebook
from tests.security import models
from tests.security.conftest import watched as watched
from tests.security.payloads import TEXTS
from tests.security.watch import FOREIGN, UNSEEN
from weightwidget import WeightExplorer
from weightwidget.outputs.names import visible

pytestmark = pytest.mark.lab

CELLS = (
    f"import sys; sys.path.insert(0, {str(servers.ROOT)!r})\n"
    "import torch\n"
    "from tests.security import models\n"
    "from weightwidget import WeightExplorer\n"
    "for text in models.SHORT:\n"
    "    if not text.startswith('__'): globals()[text] = {'w': torch.ones(3, 4)}\n"
    "module = models.module()\n"
    "for number, name in zip(range(20), models.class_names()):\n"
    "    globals()[f'own{number}'] = type(name, (torch.nn.Linear,), {})(2, 3)\n"
    "    globals()[f'bad{number}'] = type(name, (torch.nn.Module,), {'__init__': lambda self: None})()\n",
    "explorer = WeightExplorer(models.state_dict(), name=models.FILE_NAME)\nexplorer",
    "print(explorer); explorer.selected = '<img src=x onerror=alert(5)>'",
)

OPENED = "<svg/onload=__ran=119>"
"""A variable of this name is opened."""


def look(page, root):
    """Nothing of what is shown was taken for markup, and nothing in it is unseen."""
    for one in page.locator(root).all():
        assert one.evaluate(FOREIGN) == []
        assert one.evaluate(UNSEEN) == []


@pytest.fixture
def notebook(lab, watched):
    address, root = lab
    servers.write_notebook(root / "hostile.ipynb", CELLS)
    context, _ = watched()
    page = context.new_page()
    page.set_viewport_size({"width": 1500, "height": 1000})
    errors = servers.watch_errors(page)
    page.goto(f"{address}/lab/tree/hostile.ipynb?reset")
    notebook = Notebook(page, "hostile.ipynb")
    notebook.wait_idle()
    yield notebook
    page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")
    assert not errors, errors


def test_everything_that_can_be_named(notebook, lab):
    page = notebook.page
    page.evaluate("() => jupyterapp.commands.execute('weightwidget:open-panel')")
    panel = page.locator("#weightwidget-panel")
    notebook.run_all()

    # The widget.
    widget = page.locator(".jp-Notebook .weightwidget")
    expect(widget.get_by_role("treeitem").first).to_be_visible(timeout=60_000)
    for row in widget.get_by_role("treeitem").all()[2:8]:
        row.click()
        row.hover()
    look(page, ".jp-Notebook .weightwidget")
    expect(page.locator(".jp-Notebook [data-mime-type='application/vnd.jupyter.stderr']")).to_be_visible()

    # The list: names, classes, what is not listed and why. Its style sheet is left as it is.
    assert page.evaluate("() => document.querySelector('style[data-weightwidget]').sheet.cssRules.length") > 30
    rows = panel.locator(".wwp-row")
    expect(rows.filter(has_text="module").first).to_be_visible(timeout=30_000)
    names = rows.evaluate_all("rows => rows.map(row => row.dataset.name)")
    assert len(set(names) & set(TEXTS)) > 100
    for fold in panel.locator("summary").all():
        fold.click()
    look(page, "#weightwidget-panel")
    rows.nth(3).hover()
    notebook.screenshot("security-panel")
    for text in TEXTS[:120:12]:
        panel.get_by_label("filter models").fill(text)
        look(page, "#weightwidget-panel")
    panel.get_by_label("filter models").fill("")

    # Opened in the panel, in a tab, and gone.
    row = panel.locator(f'.wwp-row[data-name="{OPENED}"]')
    row.locator(".wwp-open").click()
    expect(panel.locator(".weightwidget [role=treeitem][data-path='w']")).to_be_visible(timeout=30_000)
    expect(panel.locator(".wwp-title")).to_have_text(OPENED)
    panel.locator(".wwp-head").get_by_label("open in a tab").click()
    expect(page.locator(".wwp-main .weightwidget [role=treeitem][data-path='w']")).to_be_visible(timeout=30_000)
    look(page, "#weightwidget-panel, .wwp-main, .lm-TabBar-tab:has-text('svg')")
    page.evaluate("() => [...jupyterapp.shell.widgets('main')].at(-1).close()")
    page.evaluate("path => jupyterapp.commands.execute('docmanager:open', {path})", notebook.path)
    notebook.python(f"del globals()[{OPENED!r}]; out = 1")
    page.evaluate("() => { jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    panel.get_by_label("back to the list").click()
    panel.get_by_label("list again").click()
    expect(row).to_have_count(0)

    files_of(notebook, lab[1])
    untrusted(notebook, lab[1])


def files_of(notebook, root):
    """Files of weights in a folder, whole and damaged, with names that are payloads."""
    page = notebook.page
    folder = root / "<img src=x onerror=alert(9)>"
    folder.mkdir()
    models.safetensors_file(folder)
    broken = "</title><svg onload=alert(10)>\u202e.safetensors".replace("/", "\\")
    (folder / broken).write_bytes(b"\x08\0\0\0\0\0\0\0not json" * 3)
    for name, said in ((models.FILE_NAME, "[role=treeitem]"), (broken, ".wwp-note:has-text('damaged')")):
        page.evaluate(
            "path => { void jupyterapp.commands.execute('weightwidget:open-file', {path}); }", f"{folder.name}/{name}"
        )
        tab = page.locator(".wwp-main:not(.lm-mod-hidden)", has=page.locator(said))
        expect(tab.locator(said).first).to_be_visible(timeout=60_000)
        expect(page.locator(".lm-TabBar-tab.lm-mod-current", has_text=visible(name))).to_be_attached()
        look(page, ".wwp-main, .jp-MainAreaWidget .lm-TabBar-tab")
        notebook.screenshot("security-file")


def untrusted(notebook, root):
    """The static copy in a notebook of somebody else: no mathematics is made of names either."""
    page = notebook.page
    tensors = dict(list(models.state_dict().items())[-70:])
    explorer = WeightExplorer(tensors, name="$\\frac{name}{x}$ and $y$").wait()
    data, _ = explorer._repr_mimebundle_()
    explorer.close()
    output = nbformat.v4.new_output("execute_result", data=data, execution_count=1)
    cells = [
        nbformat.v4.new_code_cell("explorer", outputs=[output], execution_count=1),
        nbformat.v4.new_markdown_cell("mathematics: $z^2$"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "untrusted.ipynb")
    page.evaluate("path => jupyterapp.commands.execute('docmanager:open', {path})", "untrusted.ipynb")
    area = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output").first
    expect(area.locator("strong").first).to_have_text("$\\frac{name}{x}$ and $y$", timeout=60_000)
    # Where mathematics is meant, it is typeset.
    markdown = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-RenderedMarkdown")
    expect(markdown.locator("mjx-container")).to_have_count(1)
    assert area.locator("mjx-container").count() == 0
    assert [line for line in area.evaluate(FOREIGN) if not line.startswith('<img src="data:image/png')] == []
    assert area.evaluate(UNSEEN) == []
    notebook.screenshot("security-untrusted")
