"""The widget in a real Chromium without a notebook: on a fake model (js/dev), or before a Python explorer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser

from tests.browser.fake_kernel import ExplorerKernel
from tests.browser.page import WidgetPage
from tests.browser.standalone import Standalone
from weightwidget.explorer import WeightExplorer

ROOT = Path(__file__).parents[2]

FOLDERS = {"/dev/": ROOT / "js" / "dev", "/static/": ROOT / "weightwidget" / "static"}
"""Folders that the tests' server shows, by where they appear in addresses."""

BUILT = (
    ROOT / "js" / "dev" / "dist" / "main.js",
    ROOT / "js" / "dev" / "dist" / "host.js",
    ROOT / "weightwidget" / "static" / "widget.js",
    ROOT / "weightwidget" / "static" / "widget.css",
)


class Files(SimpleHTTPRequestHandler):
    """Serves the built front end, quietly."""

    def translate_path(self, path: str) -> str:
        plain = urlsplit(path).path
        for prefix, folder in FOLDERS.items():
            if plain.startswith(prefix) and ".." not in plain:
                return str(folder / plain[len(prefix) :])
        return str(ROOT / "no such file")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="session")
def origin() -> Iterator[str]:
    """Address of a server with the built front end."""
    missing = [str(path.relative_to(ROOT)) for path in BUILT if not path.exists()]
    if missing:
        pytest.fail(
            f"the front end is not built ({', '.join(missing)}): run `make test`, or `npm run build` in js/",
            pytrace=False,
        )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(ROOT)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def new_page(browser: Browser, origin: str) -> Iterator[Callable[..., WidgetPage]]:
    """Opens pages, and fails the test if anything went wrong on one of them."""
    opened: list[WidgetPage] = []
    with ExitStack() as stack:

        def new_page(width: int = 1200, height: int = 860, **options: Any) -> WidgetPage:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            stack.callback(context.close)
            context.set_default_timeout(20_000)
            opened.append(WidgetPage(context.new_page(), origin))
            return opened[-1]

        yield new_page
    for page in opened:
        page.check()


@pytest.fixture
def open_dev(new_page: Callable[..., WidgetPage], origin: str) -> Callable[..., WidgetPage]:
    """Shows the widget on a fake model: ``open_dev("cnn", kernel="off", size=(800, 600))``.

    ``options`` are those of a browser context, ``before`` is run on the page first, and further arguments are
    parameters of js/dev/main.ts.
    """

    def open_dev(
        model: str = "cnn",
        size: tuple[int, int] = (1200, 860),
        options: dict[str, Any] | None = None,
        before: str = "",
        **parameters: Any,
    ) -> WidgetPage:
        page = new_page(*size, **(options or {}))
        if before:
            page.page.add_init_script(before)
        page.page.goto(f"{origin}/dev/index.html?{urlencode({'model': model, **parameters})}")
        page.page.wait_for_selector("body[data-ready]", state="attached", timeout=60_000)
        page.check()
        return page

    return open_dev


@pytest.fixture
def open_explorer(
    new_page: Callable[..., WidgetPage], origin: str
) -> Iterator[Callable[..., tuple[WidgetPage, ExplorerKernel]]]:
    """Shows the built widget before an explorer, or before one made of what `open_weights` takes."""
    made: list[WeightExplorer] = []

    def open_explorer(
        explorer: Any, size: tuple[int, int] = (1200, 860), **traits: Any
    ) -> tuple[WidgetPage, ExplorerKernel]:
        if not isinstance(explorer, WeightExplorer):
            explorer = WeightExplorer(explorer, **traits).wait()
            made.append(explorer)
        page = new_page(*size)
        page.page.goto(f"{origin}/dev/host.html")
        kernel = ExplorerKernel(page.page, explorer)
        kernel.show()
        return page, kernel

    yield open_explorer
    for explorer in made:
        explorer.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Standalone]]:
    """Opens stored explorers from files, and fails the test if anything went wrong on one of them."""
    pages: list[Standalone] = []

    def open_(path: Path, **context: Any) -> Standalone:
        pages.append(Standalone(browser, path, **context))
        return pages[-1]

    yield open_
    for page in pages:
        page.close()
