"""The panel in a real JupyterLab: models listed, opened, lost in a restart; files opened from the file browser."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import expect

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
    sorted(name for name in shell.user_ns if name not in ("out", "_json", "shell", "_exit_code")),
    len(shell.user_ns["In"]), len(shell.user_ns["Out"]), shell.execution_count,
    shell.history_manager.session_number, len(shell.history_manager.input_hist_raw), repr(shell.user_ns.get("_")),
]
"""


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
                await jupyterapp.commands.execute('notebook:run-cell');
            }""",
            index,
        )

    def restart(self):
        self.page.evaluate(
            "() => { void jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }",
        )


def test_list_open_select_restart(open_notebook):
    notebook = open_notebook(MODEL, "state = {'a': {'b': torch.zeros(3, 4)}}; x = torch.zeros(5)", width=1300)
    panel = Panel(notebook)
    expect(panel.root).to_contain_text("No models yet")
    panel.run(0)
    expect(panel.row("model")).to_contain_text("Sequential · float32")
    expect(panel.row("model")).to_contain_text("= net")
    expect(panel.row("model")).to_contain_text("63\u2009426")
    notebook.screenshot("panel-list")
    before = notebook.python(TRACES)

    panel.row("model").press("Enter")
    view = panel.root.locator(".weightwidget")
    row = view.locator("[role=treeitem][data-path='3.weight']")
    expect(row).to_be_visible(timeout=30_000)
    row.click()
    shown = "from weightwidget import panel; out = panel.explorer(model).selected; del panel"
    notebook.wait_python(shown, lambda value: value == "3.weight")
    notebook.screenshot("panel-open")
    assert notebook.python(TRACES) == before
