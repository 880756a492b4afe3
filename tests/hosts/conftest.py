"""Hosts other than JupyterLab: a real server of each, and pages that reach nothing but this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests import servers

LOOPBACK = ("http://127.0.0.1", "ws://127.0.0.1", "blob:", "data:")


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages that cannot leave this machine, and fails the test if anything went wrong on one of them.

    ``ignored`` are texts of the host's own errors.
    """
    opened: list[tuple[Page, list[str]]] = []

    def stay(route: Route) -> None:
        if route.request.url.startswith(LOOPBACK):
            route.continue_()
        else:
            route.abort()

    def open_page(url: str, *, ignored: tuple[str, ...] = (), **options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1400, "height": 1100}, **options)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.route("**/*", stay)
        opened.append((page, servers.watch_errors(page, (*servers.IGNORED_CONSOLE, *ignored))))
        page.goto(url)
        return page

    yield open_page
    for page, _ in opened:
        page.context.close()
    assert not [error for _, errors in opened for error in errors]
