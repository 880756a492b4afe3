"""Real notebook servers for the tests: where they listen, what surrounds them, when they are there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "test-results"

IGNORED_CONSOLE = (
    # The hosts' own, with no extension and no network about.
    "favicon",
    "service-worker",
    "Failed to load resource",
)

JUPYTER_FLAGS = (
    "--ServerApp.port_retries=0",
    "--IdentityProvider.token=",
    "--ServerApp.password=",
    "--ServerApp.disable_check_xsrf=True",
    "--ServerApp.allow_root=True",
)
"""What every Jupyter server is told: no password, and not to look for another port."""


def free_port() -> int:
    """A port of the loopback that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def surroundings(home: Path) -> dict[str, str]:
    """Environment of a server that reads and writes nothing of the user's: all that it keeps is under `home`."""
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    return os.environ | {
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "HF_HUB_OFFLINE": "1",
    }


@contextmanager
def serving(
    command: Sequence[str], home: Path, root: Path, address: str, ping: str = "/api/status"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server as long as the context lasts.

    Parameters
    ----------
    command
        What starts it.
    home
        Where it keeps what it keeps; its log is there, too.
    root
        Folder that it starts in.
    address
        Where it will listen.
    ping
        What it answers when it is ready.
    """
    log_path = home / "server.log"
    with log_path.open("w") as log:
        server = subprocess.Popen(command, env=surroundings(home), stdout=log, stderr=subprocess.STDOUT, cwd=root)
        try:
            await_server(address + ping, server, log_path)
            yield server
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def await_server(url: str, server: subprocess.Popen[bytes], log: Path, patience: float = 60) -> None:
    """Wait until a server answers, or raise with the end of what it logged."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server of {url} did not start:\n{log.read_text()[-4000:]}")


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """A notebook of code cells for this Python."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def watch_errors(page: Page, ignored: Sequence[str] = IGNORED_CONSOLE) -> list[str]:
    """Collect what goes wrong on a page: exceptions and errors of the console, but for those with an ignored text."""
    errors: list[str] = []

    def keep(text: str) -> None:
        if not any(own in text for own in ignored):
            errors.append(text)

    page.on("pageerror", lambda error: keep(str(error)))
    page.on("console", lambda message: keep(message.text) if message.type == "error" else None)
    return errors


def screenshot(page: Page, name: str) -> Path:
    """Keep a picture of a page among the results of the tests."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.png"
    page.screenshot(path=path)
    return path
