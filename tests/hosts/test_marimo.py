"""The explorer in marimo, where it stands under a shadow root and traits travel marimo's own way."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests import servers
from tests.hosts.explorer import MODEL, exercise, spectrum_comes, styled
from tests.hosts.test_voila import wait_told

pytestmark = pytest.mark.lab

APP = """\
# /// script
# [tool.marimo.display]
# theme = "system"
# ///
import marimo

app = marimo.App(width="full")


@app.cell
def _():
    import json

    import marimo as mo

    again = mo.ui.run_button(label="run again")
    again
    return again, json, mo


@app.cell
def _(again, mo):
    again
{model}
    view = mo.ui.anywidget(explorer)
    view
    return (view,)


@app.cell
def _(mo, view):
    from ipywidgets.widgets.widget import _instances

    kept = [key for key, widget in _instances.items() if type(widget) is type(view.widget)]
    mo.Html(f"<pre class='kept'>{{view.widget.model_id}} {{' '.join(kept)}}</pre>")
    return


@app.cell
def _(json, mo, view):
    told = dict(selected=view.value["selected"], value_range=view.value["value_range"])
    assert view.selected == told["selected"]
    mo.Html(f"<pre class='told'>{{json.dumps(told)}}</pre>")
    return


@app.cell
def _(mo):
    button = mo.ui.run_button(label="select from Python")
    button
    return (button,)


@app.cell
def _(button, view):
    if button.value:
        view.selected = "fc1.bias"
    return


if __name__ == "__main__":
    app.run()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("marimo")
    root = home / "root"
    root.mkdir()
    (root / "model.py").write_text(APP.format(model=textwrap.indent(MODEL, "    ")))
    address = f"http://127.0.0.1:{(port := servers.free_port())}"
    command = [sys.executable, "-m", "marimo", "run", "model.py", "--headless", "--no-token"]
    command += ["--host=127.0.0.1", f"--port={port}", "--no-sandbox"]
    with servers.serving(command, home, root, address, ping="/health"):
        yield address


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_explorer_works(server: str, open_page, theme: str) -> None:
    page = open_page(server, color_scheme=theme)
    root = page.locator(".weightwidget")
    exercise(root, wait_told(page))
    spectrum_comes(root)
    styled(root, theme)
    assert root.evaluate("el => el.getRootNode() instanceof ShadowRoot")
    assert servers.screenshot(page, f"marimo-{theme}").exists()
    root.get_by_label("filter layers").fill("")
    page.get_by_role("button", name="select from Python").click()
    expect(root.locator("[role=treeitem][data-path='fc1.bias']")).to_have_attribute("aria-selected", "true")
    kept = page.locator(".kept")
    own, *_ = kept.inner_text().split()
    page.get_by_role("button", name="run again").click()
    expect(root.locator("[role=treeitem][data-path='fc1.weight']")).to_have_attribute("aria-selected", "true")
    expect(kept).not_to_contain_text(own)  # marimo lets go of it, and nothing of ours holds it
