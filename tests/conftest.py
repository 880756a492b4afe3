"""What all tests share: one browser for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser import chromium


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
