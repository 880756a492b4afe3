"""Browser contexts under watch, and the built widget in one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.conftest import origin as origin
from tests.browser.fake_kernel import ExplorerKernel
from tests.browser.page import WidgetPage
from tests.security.watch import Watch
from weightwidget import WeightExplorer


@pytest.fixture
def watched(browser: Browser) -> Iterator[Callable[..., tuple[BrowserContext, Watch]]]:
    """Makes contexts; the test fails if a payload did anything in one of them, unless it expects that."""
    made: list[tuple[BrowserContext, Watch, bool]] = []

    def watched(expected: bool = False, **options: Any) -> tuple[BrowserContext, Watch]:
        context = browser.new_context(**({"viewport": {"width": 1240, "height": 900}} | options))
        context.set_default_timeout(20_000)
        made.append((context, Watch(context), expected))
        return made[-1][:2]

    yield watched
    try:
        for _, watch, expected in made:
            if not expected:
                watch.check()
    finally:
        for context, _, _ in made:
            context.close()


@pytest.fixture
def show(
    watched: Callable[..., tuple[BrowserContext, Watch]], origin: str
) -> Iterator[Callable[..., tuple[WidgetPage, ExplorerKernel]]]:
    """Shows the built widget before an explorer, as `open_explorer` of the browser tests does, under watch."""
    pages: list[WidgetPage] = []
    explorers: list[WeightExplorer] = []

    def show(obj: Any, **options: Any) -> tuple[WidgetPage, ExplorerKernel]:
        explorers.append(WeightExplorer(obj, **options).wait())
        context, _ = watched()
        page = WidgetPage(context.new_page(), origin)
        pages.append(page)
        page.page.goto(f"{origin}/dev/host.html")
        kernel = ExplorerKernel(page.page, explorers[-1])
        kernel.show()
        return page, kernel

    yield show
    for explorer in explorers:
        explorer.close()
    for page in pages:
        page.check()
