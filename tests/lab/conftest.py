"""A real JupyterLab with real kernels, driven in a real Chromium. One server for the whole test run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "test-results"

IGNORED_CONSOLE = (
    # JupyterLab's own, with no extension and no network about.
    "favicon",
    "service-worker",
    "Failed to load resource",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and root folder of a running JupyterLab."""
    home = tmp_path_factory.mktemp("jupyter")
    root = home / "root"
    root.mkdir()
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    # This tree's own build, whatever is installed.
    extensions = home / "labextensions"
    extensions.mkdir()
    (extensions / "weightwidget").symlink_to(ROOT / "weightwidget" / "labextension")
    port = free_port()
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}", "--IdentityProvider.token="]
    command += ["--ServerApp.password=", "--ServerApp.disable_check_xsrf=True", "--ServerApp.allow_root=True"]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    command += [f"--LabApp.extra_labextensions_path={extensions}"]
    log = (home / "server.log").open("w")
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=root)
    address = f"http://127.0.0.1:{port}"
    try:
        await_server(address, server, home / "server.log")
        yield address, root
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def await_server(address: str, server: subprocess.Popen[bytes], log: Path, patience: float = 60) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/api/status", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-4000:]}")


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

    def screenshot(self, name: str) -> Path:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path


@pytest.fixture
def open_notebook(lab: tuple[str, Path], browser: Browser) -> Iterator[Callable[..., Notebook]]:
    """Opens a notebook with the given cells; fails the test when the page logged an error."""
    address, root = lab
    opened: list[tuple[Page, list[str]]] = []

    def open_(*cells: str, width: int = 1500, height: int = 1000, dark: bool = False) -> Notebook:
        name = f"test-{len(list(root.iterdir()))}.ipynb"
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, root / name)
        page = browser.new_page(viewport={"width": width, "height": height})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: (
                errors.append(message.text)
                if message.type == "error" and not any(text in message.text for text in IGNORED_CONSOLE)
                else None
            ),
        )
        opened.append((page, errors))
        page.goto(f"{address}/lab/tree/{name}?reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        if dark:
            page.evaluate("() => jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
            page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
        page.wait_for_function(
            "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=60_000,
        )
        return Notebook(page, name)

    yield open_
    for page, errors in opened:
        page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")
        page.close()
        assert not errors, errors
