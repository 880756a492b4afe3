"""What all tests share: one browser for the whole run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import Browser, sync_playwright

from tests.browser import chromium
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.kernel import Work


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running Chromium. Playwright allows one connection a thread: every test must use this one."""
    executable = chromium.installed()
    if executable is None:
        pytest.fail("no Chromium was found: run `make test`, or `python tests/browser/chromium.py`", pytrace=False)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=chromium.FLAGS)
        yield running
        running.close()


@dataclass(frozen=True)
class Executed:
    """A notebook that was run from top to bottom, and the folder that it ran in, with what it wrote."""

    notebook: nbformat.NotebookNode
    folder: Path


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Executed]:
    """Runs a notebook of this repository, once in a test run. Not to be changed: others look at it too."""
    done: dict[Path, Executed] = {}

    def run(path: Path) -> Executed:
        if path not in done:
            notebook = nbformat.read(path, as_version=4)
            folder = tmp_path_factory.mktemp(path.stem)
            NotebookClient(
                notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
            ).execute()
            done[path] = Executed(notebook, folder)
        return done[path]

    return run


@pytest.fixture
def held_scan(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Scans stand still at the third tensor, until cancelled or until the event is set: else they are too fast."""
    go_on, begun = threading.Event(), count()
    measure = Work.measure

    def wait(self, box, cancelled, advance):
        if next(begun) >= 2:
            while not go_on.wait(0.002):
                if cancelled():
                    raise Cancelled
        return measure(self, box, cancelled, advance)

    monkeypatch.setattr(Work, "measure", wait)
    return go_on
