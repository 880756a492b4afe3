"""A stored explorer in a browser without a network: a file of its own, or a frame in somebody's page."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Frame, FrameLocator, Locator, Page, Request, expect

RESULTS = Path(__file__).parents[2] / "test-results"


class Standalone:
    """A page from a file, with all that went wrong on it and all that it asked the network for."""

    def __init__(self, browser: Browser, path: Path, **context: object) -> None:
        self.context = browser.new_context(
            offline=True,
            **({"viewport": {"width": 1240, "height": 820}} | context),  # type: ignore[arg-type]
        )
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on(
            "console",
            lambda message: self.complaints.append(f"console: {message.text}") if message.type == "error" else None,
        )
        self.page.on("request", self._note)
        self.page.goto(path.as_uri())

    def _note(self, request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:", "about:")):
            self.requested.append(request.url)

    def close(self) -> None:
        self.context.close()
        assert not self.complaints, "\n".join(self.complaints)
        assert not self.requested, self.requested


class View:
    """An explorer somewhere on a page or in a frame."""

    def __init__(self, where: Page | Frame | FrameLocator | Locator) -> None:
        self.root = where.locator(".weightwidget").first

    def row(self, path: str) -> Locator:
        return self.root.locator(f"[role=treeitem][data-path={path!r}]")

    def select(self, path: str) -> None:
        # A row that is laid out anew between press and release gets no click.
        self.root.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.row(path).click()
        expect(self.row(path)).to_have_attribute("aria-selected", "true")

    def panel(self, name: str) -> Locator:
        return self.root.get_by_role("region", name=name, exact=True)

    def brush(self, low: float, high: float) -> None:
        """Drag over the histogram, from one share of its width to another."""
        plot = self.root.locator(".ww-hist-pad").first
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box
        mouse = plot.page.mouse
        middle = box["y"] + box["height"] / 2
        mouse.move(box["x"] + low * box["width"], middle)
        mouse.down()
        mouse.move(box["x"] + high * box["width"], middle, steps=5)
        mouse.up()
