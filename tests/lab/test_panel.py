"""The panel in a real JupyterLab: models listed, opened, lost in a restart; files opened from the file browser."""

from __future__ import annotations

import nbformat
import pytest
import torch
from playwright.sync_api import expect
from safetensors.torch import save_file

from weightwidget.outputs.names import visible

pytestmark = pytest.mark.lab

MODEL = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 16, 5), nn.ReLU(), nn.Flatten(), nn.Linear(300, 200), nn.Linear(200, 10))
net = model
"""

TRACES = """
shell = get_ipython()
out = [
    sorted(name for name in shell.user_ns if name not in ("out", "_json", "shell")),
    len(shell.user_ns["In"]), len(shell.user_ns["Out"]), shell.execution_count,
    shell.history_manager.session_number, len(shell.history_manager.input_hist_raw), repr(shell.user_ns.get("_")),
]
"""

SELECTED = "from weightwidget import panel as _p; out = _p.explorer(model).selected; del _p"

# How many views each explorer of the panel has.
OPENED = "import weightwidget.panel as _p; out = [len(opened.views) for opened in _p._opened]; del _p"


class Panel:
    def __init__(self, notebook):
        self.notebook = notebook
        self.page = notebook.page
        self.page.evaluate("() => jupyterapp.commands.execute('weightwidget:open-panel')")
        self.root = self.page.locator("#weightwidget-panel")
        expect(self.root).to_be_visible()

    def row(self, name):
        return self.root.locator(f".wwp-row[data-name='{name}'] .wwp-open")

    def run(self, index):
        """Run one cell of the notebook in front, as a user does."""
        self.page.evaluate(
            """async (index) => {
                jupyterapp.shell.currentWidget.content.activeCellIndex = index;
                void jupyterapp.commands.execute('notebook:run-cell');
            }""",
            index,
        )

    def activate(self, notebook):
        """Bring a notebook to the front."""
        self.page.evaluate(
            """(path) => {
                for (const widget of jupyterapp.shell.widgets('main'))
                    if (widget.context?.path === path) jupyterapp.shell.activateById(widget.id);
            }""",
            notebook.path,
        )
        self.page.wait_for_function(
            "(path) => jupyterapp.shell.currentWidget?.context?.path === path", arg=notebook.path
        )

    def restart(self):
        self.page.evaluate(
            "() => { void jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }",
        )


def write_plain(root):
    """Another notebook, for a kernel that imports nothing."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, root / "plain.ipynb")
    return "plain.ipynb"


def test_list_open_select_and_restart(open_notebook):
    notebook = open_notebook(MODEL, "state = {'a': {'b': torch.zeros(3, 4)}}; x = torch.zeros(5)", width=1300)
    panel = Panel(notebook)
    page = notebook.page
    expect(panel.root).to_contain_text("No models yet")
    panel.run(0)
    expect(panel.row("model")).to_contain_text("Sequential · float32")
    expect(panel.row("model")).to_contain_text("= net")
    expect(panel.row("model")).to_contain_text("63\u2009426")
    before = notebook.python(TRACES)

    # Opened in the panel by the keyboard; a tensor is selected in it.
    panel.root.get_by_label("filter models").press("ArrowDown")
    expect(panel.row("model")).to_be_focused()
    panel.row("model").press("Enter")
    view = panel.root.locator(".weightwidget")
    tensor = view.locator("[role=treeitem][data-path='3.weight']")
    expect(tensor).to_be_visible(timeout=30_000)
    tensor.click()
    notebook.wait_python(SELECTED, lambda value: value == "3.weight")
    notebook.screenshot("panel-open")

    # In a tab too: the same explorer.
    panel.root.get_by_label("open in a tab", exact=True).click()
    tab = page.locator(".wwp-main .weightwidget")
    expect(tab.locator("[role=treeitem][data-path='3.weight']")).to_have_attribute("aria-selected", "true")
    tab.locator("[role=treeitem][data-path='4.weight']").click()
    expect(view.locator("[role=treeitem][data-path='4.weight']")).to_have_attribute("aria-selected", "true")
    notebook.screenshot("panel-tab")
    panel.activate(notebook)
    assert notebook.python(OPENED) == [2]
    page.evaluate("() => [...jupyterapp.shell.widgets('main')].at(-1).close()")
    expect(tab).to_have_count(0)
    panel.activate(notebook)
    notebook.wait_python(OPENED, lambda value: value == [1])

    # All of that has left no trace in the kernel.
    assert notebook.python(TRACES) == before

    # Back to the list, where a further cell is followed; the explorer is gone with its last view.
    panel.root.get_by_label("back to the list").click()
    panel.run(1)
    expect(panel.row("state")).to_contain_text("12")
    notebook.wait_python(OPENED, lambda value: value == [])
    fold = panel.root.locator(".wwp-fold", has_text="single arrays and tensors")
    expect(fold.locator("summary")).to_contain_text("1")
    panel.root.get_by_label("filter models").fill("torch x")
    expect(panel.root).to_contain_text("Nothing here matches")
    panel.root.get_by_label("filter models").fill("tensor")
    expect(panel.row("x")).to_be_visible()
    panel.root.get_by_label("filter models").fill("")

    # A restart: the view says so, the list is empty, and fills again.
    panel.row("model").click()
    expect(tensor).to_be_visible()
    panel.restart()
    expect(panel.root.locator(".wwp-view .wwp-note")).to_contain_text("The kernel was restarted: model is gone")
    notebook.screenshot("panel-restarted")
    panel.run(0)
    expect(panel.root.locator(".wwp-view .wwp-note")).to_contain_text("model is there again", timeout=30_000)
    panel.root.get_by_role("button", name="Show it").click()
    expect(tensor).to_be_visible(timeout=30_000)
    expect(panel.root.locator(".wwp-view .wwp-note")).to_be_hidden()
    panel.run(0)
    expect(panel.root.locator(".wwp-view .wwp-note")).to_contain_text("model is another object now")
    panel.root.get_by_label("back to the list").click()
    expect(panel.root.locator(".wwp-row")).to_have_count(1)


def test_hostile_names_busy_kernel_and_notebook_switch(open_notebook, lab):
    hostile = "<img src=x onerror=window.pwned=1>'\\\"\u2028"
    cells = [
        f"import torch; globals()[{hostile!r}] = {{'w': torch.ones(3, 4)}}; other = torch.nn.Linear(2, 3)",
        "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)",
        "del other",
    ]
    notebook = open_notebook(*cells, width=1000, height=700, dark=True)
    page = notebook.page
    panel = Panel(notebook)
    panel.run(0)
    rows = panel.root.locator(".wwp-row .wwp-open")
    expect(rows).to_have_count(2)
    notebook.screenshot("panel-dark")
    rows.first.click()
    expect(panel.root.locator(".weightwidget [role=treeitem][data-path='w']")).to_be_visible(timeout=30_000)
    expect(panel.root.locator(".wwp-title")).to_have_text(visible(hostile))
    assert page.evaluate("() => window.pwned") is None

    # Another notebook has its own list; this one keeps what it has open. Its kernel has no torch, and gets none.
    page.evaluate("(path) => jupyterapp.commands.execute('docmanager:open', {path})", write_plain(lab[1]))
    page.wait_for_function(
        "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'", timeout=60_000
    )
    expect(panel.root).to_contain_text("No models yet")
    assert (
        notebook.python("import sys; out = [m in sys.modules for m in ('torch', 'numpy', 'weightwidget')]")
        == [False] * 3
    )
    panel.activate(notebook)
    expect(panel.root.locator(".weightwidget [role=treeitem][data-path='w']")).to_be_visible()
    panel.root.get_by_label("back to the list").click()

    # While a cell runs, the list is said to be the one before, and what is clicked opens afterwards.
    panel.run(1)
    expect(panel.root).to_contain_text("busy: as before the running cell")
    panel.row("other").click()
    expect(panel.root.locator(".wwp-view .wwp-note")).to_contain_text("The kernel is busy: other opens when")
    notebook.screenshot("panel-busy")
    (lab[1] / "go").touch()
    expect(panel.root.locator(".weightwidget [role=treeitem][data-path='weight']")).to_be_visible(timeout=30_000)
    (lab[1] / "go").unlink()
    panel.run(2)
    expect(panel.root.locator(".wwp-view .wwp-note")).to_contain_text("other is gone from the kernel")


def test_files_open_from_the_file_browser(open_notebook, lab):
    folder = lab[1] / "weights"
    folder.mkdir()
    save_file({"layer.weight": torch.ones(30, 20)}, folder / "~good.safetensors")
    (folder / "bad.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0not json" * 3)
    torch.save(torch.nn.Linear(2, 3), folder / "code.pt")
    (folder / "notes.txt").write_text("no weights")
    notebook = open_notebook("1", width=1300)
    page = notebook.page
    page.evaluate("() => jupyterapp.commands.execute('filebrowser:open-path', {path: 'weights'})")
    page.evaluate("() => jupyterapp.commands.execute('filebrowser:activate')")
    entry = page.get_by_role("menuitem", name="Explore Weights")

    def explore(name):
        page.locator(".jp-DirListing-item", has_text=name).click(button="right")
        entry.click()
        return page.locator(".wwp-main:not(.lm-mod-hidden)")

    page.locator(".jp-DirListing-item", has_text="notes.txt").click(button="right")
    expect(page.locator(".lm-Menu")).to_be_visible()
    expect(entry).to_have_count(0)
    page.keyboard.press("Escape")

    good = explore("~good.safetensors")
    expect(good.locator("[role=treeitem][data-path='layer.weight']")).to_be_visible(timeout=60_000)
    notebook.screenshot("panel-file")
    bad = explore("bad.safetensors")
    expect(bad.locator(".wwp-note")).to_contain_text("bad.safetensors: ", timeout=60_000)
    notebook.screenshot("panel-file-damaged")
    refused = explore("code.pt")
    expect(refused.locator(".wwp-note")).to_contain_text("code.pt: ", timeout=60_000)
    running = "() => [...jupyterapp.serviceManager.sessions.running()].filter(s => s.type === 'weightwidget').length"
    assert page.evaluate(running) == 3

    # The kernels go with the tabs.
    page.evaluate(
        "() => { for (const w of [...jupyterapp.shell.widgets('main')]) if (w.hasClass('wwp-main')) w.close(); }"
    )
    page.wait_for_function(running.replace(".length", ".length === 0"))
