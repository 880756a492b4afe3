"""The explorer in Notebook 7."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests import servers
from tests.hosts.explorer import MODEL, exercise, spectrum_comes, styled
from tests.lab.conftest import Notebook

pytestmark = pytest.mark.lab

# Of its registry of settings, before any cell runs.
OWN_ERRORS = ("(reading 'schema')",)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("notebook7")
    root = home / "root"
    root.mkdir()
    servers.write_notebook(root / "model.ipynb", [MODEL + "explorer"])
    address = f"http://127.0.0.1:{(port := servers.free_port())}"
    command = [sys.executable, "-m", "jupyter", "notebook", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += [*servers.JUPYTER_FLAGS, f"--ServerApp.root_dir={root}"]
    command += ["--JupyterNotebookApp.expose_app_in_browser=True"]
    with servers.serving(command, home, root, address):
        yield address


def test_the_explorer_works(server: str, open_page) -> None:
    page = open_page(f"{server}/notebooks/model.ipynb", ignored=OWN_ERRORS)
    notebook = Notebook(page, "model.ipynb")
    notebook.wait_idle()
    notebook.run_all()
    root = page.locator(".weightwidget")
    exercise(root, lambda trait, expected: notebook.wait_python(f"out = explorer.{trait}", expected))
    spectrum_comes(root)
    styled(root)
    assert servers.screenshot(page, "notebook7").exists()
    # A cell that runs again replaces what it made, here too.
    model = notebook.python("out = explorer.model_id")
    notebook.run_all()
    notebook.wait_python("out = explorer.model_id", lambda new: new != model)
    assert notebook.python(f"import ipywidgets as w; out = {model!r} in w.widgets.widget._instances") is False
