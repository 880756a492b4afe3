"""Browser contexts under watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.conftest import origin as origin
from tests.security.watch import Watch


@pytest.fixture
def watched(browser: Browser) -> Iterator[Callable[..., tuple[BrowserContext, Watch]]]:
    """Makes contexts; the test fails if a payload did anything in one of them, unless it has looked itself."""
    made: list[tuple[BrowserContext, Watch, bool]] = []

    def watched(expected: bool = False, **options: Any) -> tuple[BrowserContext, Watch]:
        context = browser.new_context(viewport={"width": 1240, "height": 900}, **options)
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
