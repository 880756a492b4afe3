"""The explorer in Voila, with no notebook about it and no network."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests import servers
from tests.hosts.explorer import MODEL, TOLD, exercise, spectrum_comes, styled

pytestmark = pytest.mark.lab

# Notebook 7's extension of JupyterLab, where it is installed beside Voila, does not fit into it.
OWN_ERRORS = ("The getter for the shared module",)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("voila")
    root = home / "root"
    root.mkdir()
    servers.write_notebook(root / "model.ipynb", [MODEL + "explorer", TOLD])
    address = f"http://127.0.0.1:{(port := servers.free_port())}"
    command = [sys.executable, "-m", "voila", "model.ipynb", "--no-browser", f"--port={port}"]
    command += ["--Voila.ip=127.0.0.1"]
    with servers.serving(command, home, root, address, ping="/voila/static/voila.js"):
        yield address


def wait_told(page: Page) -> Callable[[str, Callable[[Any], bool]], Any]:
    def wait(trait: str, expected: Callable[[Any], bool], patience: float = 20) -> Any:
        end = time.monotonic() + patience
        while True:
            value = json.loads(page.locator(".told").inner_text())[trait]
            if expected(value):
                return value
            assert time.monotonic() < end, f"{trait} is still {value!r}"
            page.wait_for_timeout(50)

    return wait


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_explorer_works(server: str, open_page, theme: str) -> None:
    page = open_page(f"{server}/?theme={theme}", ignored=OWN_ERRORS)
    root = page.locator(".weightwidget")
    exercise(root, wait_told(page))
    spectrum_comes(root)
    styled(root, theme)
    assert servers.screenshot(page, f"voila-{theme}").exists()
