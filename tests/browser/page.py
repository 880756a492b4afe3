"""A page with the widget on it: where its parts are, and what went wrong on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, Request

RESULTS = Path(__file__).parents[2] / "test-results"


class WidgetPage:
    """A browser page that shows the widget.

    Parameters
    ----------
    page
        A page on which nothing was opened yet.
    origin
        The only place that it may load from, ``"http://127.0.0.1:1234"``.
    """

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._origin = origin
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("dialog", self._on_dialog)
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text} ({message.location.get('url')})")

    def _on_dialog(self, dialog: Any) -> None:
        self.complaints.append(f"a dialog opened: {dialog.message}")
        dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        local = (self._origin + "/", "data:", "blob:")
        if not request.url.startswith(local):
            self.complaints.append(f"request to another host: {request.url}")

    @property
    def root(self) -> Locator:
        """The first view of the widget."""
        return self.page.locator(".weightwidget").first

    def row(self, path: str, kind: str | None = None) -> Locator:
        """A tensor's or module's row in the tree; of that kind, where a path names both."""
        only = f"[data-kind={kind}]" if kind else ""
        return self.root.locator(f"[role=treeitem]{only}[data-path={css_string(path)}]")

    def panel(self, name: str) -> Locator:
        """The section of a panel: layers, heatmap, histogram, statistics."""
        return self.root.get_by_role("region", name=name, exact=True)

    @property
    def search(self) -> Locator:
        """The field for the query."""
        return self.root.get_by_label("filter layers")

    def trait(self, name: str) -> Any:
        """A trait as the model has it now."""
        return self.page.evaluate("name => window.dev.model.get(name)", name)

    def wait_trait(self, name: str, condition: str, timeout: float = 10_000) -> Any:
        """Wait until a condition, JavaScript of ``value``, holds for a trait; its value then."""
        self.page.wait_for_function(
            f"name => {{ const value = window.dev.model.get(name); return {condition}; }}", arg=name, timeout=timeout
        )
        return self.trait(name)

    def wait_saved(self, name: str, value: Any) -> None:
        """Wait until the kernel has taken a value for a trait from the front end."""
        self.page.wait_for_function(
            "([name, value]) => JSON.stringify(window.dev.model.known[name]) === JSON.stringify(value)",
            arg=[name, value],
        )

    def set_traits(self, **traits: Any) -> None:
        """Change traits as the kernel does."""
        self.page.evaluate("traits => window.dev.model.receive(traits)", traits)

    def sent(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What the front end sent to the kernel, oldest first; of one kind of request if given."""
        messages: list[dict[str, Any]] = self.page.evaluate("() => window.dev.model.sent")
        return [message for message in messages if kind is None or message.get("kind") == kind]

    def wait_sent(self, kind: str, condition: str = "() => true", since: int = 0) -> dict[str, Any]:
        """Wait for a request of a kind for which a JavaScript function says yes; the latest such request.

        `since` is the number of messages, of any kind, that do not count.
        """
        find = f"""([kind, since]) => window.dev.model.sent.slice(since).filter(m => m.kind === kind)
            .findLast({condition})"""
        self.page.wait_for_function(find, arg=[kind, since])
        found: dict[str, Any] = self.page.evaluate(find, [kind, since])
        return found

    def frames(self) -> None:
        """Wait until what has changed is drawn."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def screenshot(self, name: str) -> Path:
        """A picture of the page under test-results/."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def check(self) -> None:
        """Raise if anything went wrong on the page so far."""
        assert not self.complaints, "\n".join(self.complaints)


def css_string(text: str) -> str:
    """A string literal of CSS."""
    return '"' + re.sub(r'["\\\n]', lambda match: f"\\{ord(match[0]):x} ", text) + '"'
