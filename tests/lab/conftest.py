"""A real JupyterLab with real kernels, driven in a real Chromium. One server for the whole test run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests import servers


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and root folder of a running JupyterLab."""
    home = tmp_path_factory.mktemp("jupyter")
    root = home / "root"
    root.mkdir()
    # This tree's own build, whatever is installed.
    extensions = home / "labextensions"
    extensions.mkdir()
    (extensions / "weightwidget").symlink_to(servers.ROOT / "weightwidget" / "labextension")
    port = servers.free_port()
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += [*servers.JUPYTER_FLAGS, f"--ServerApp.root_dir={root}"]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    command += [f"--LabApp.extra_labextensions_path={extensions}"]
    address = f"http://127.0.0.1:{port}"
    with servers.serving(command, home, root, address):
        yield address, root


class Notebook:
    """A notebook open in JupyterLab."""

    def __init__(self, page: Page, path: str) -> None:
        self.page = page
        self.path = path

    def run_all(self) -> None:
        self.page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")

    def python(self, code: str) -> Any:
        """Run code in the kernel and give back the JSON of what it puts into ``out``."""
        wrapped = f"{code}\nimport json as _json; print('\\x01' + _json.dumps(out) + '\\x01')"
        text = self.page.evaluate(
            """async (code) => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({code, store_history: false});
                let text = '';
                future.onIOPub = (message) => {
                    if (message.header.msg_type === 'stream') text += message.content.text;
                    if (message.header.msg_type === 'error') text += message.content.traceback.join('\\n');
                };
                await future.done;
                return text;
            }""",
            wrapped,
        )
        parts = text.split("\x01")
        assert len(parts) >= 3, f"the kernel answered: {text}"
        return json.loads(parts[1])

    def wait_python(self, code: str, expected: Callable[[Any], bool], patience: float = 20) -> Any:
        """Ask the kernel again and again until what it says is as expected."""
        end = time.monotonic() + patience
        while True:
            value = self.python(code)
            if expected(value):
                return value
            assert time.monotonic() < end, f"{code!r} still gives {value!r}"
            self.page.wait_for_timeout(50)

    def wait_idle(self) -> None:
        """Wait until the notebook is shown and its kernel has nothing to do."""
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function(
            "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=60_000,
        )

    def save(self) -> None:
        self.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
        self.page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")

    def reload(self) -> None:
        """Load the page again, while the kernel runs on."""
        self.page.reload()
        self.wait_idle()

    def settled_account(self) -> dict[str, Any]:
        """What tests/browser/leaks.js keeps account of, once timers that run out by themselves have done so."""
        self.page.wait_for_function(
            """() => {
                const now = JSON.stringify(window.kept());
                if (now !== window.accountBefore) window.accountSince = performance.now();
                window.accountBefore = now;
                return performance.now() - window.accountSince > 700;
            }"""
        )
        account: dict[str, Any] = self.page.evaluate("() => window.kept()")
        account["observers"] = sorted(account["observers"])
        return account

    def screenshot(self, name: str) -> Path:
        return servers.screenshot(self.page, name)


@pytest.fixture
def open_notebook(lab: tuple[str, Path], browser: Browser) -> Iterator[Callable[..., Notebook]]:
    """Opens a notebook with the given cells; fails the test when the page logged an error."""
    address, root = lab
    opened: list[tuple[Page, list[str]]] = []

    def open_(*cells: str, width: int = 1500, height: int = 1000, dark: bool = False, before: str = "") -> Notebook:
        name = f"test-{len(list(root.iterdir()))}.ipynb"
        servers.write_notebook(root / name, cells)
        page = browser.new_page(viewport={"width": width, "height": height})
        errors = servers.watch_errors(page)
        opened.append((page, errors))
        if before:
            page.add_init_script(before)
        page.goto(f"{address}/lab/tree/{name}?reset")
        opened_notebook = Notebook(page, name)
        opened_notebook.wait_idle()
        if dark:
            page.evaluate("() => jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
            page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
        return opened_notebook

    yield open_
    for page, errors in opened:
        page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")
        page.close()
        assert not errors, errors
