"""The far end of a page that shows the built widget: real traits and handlers, but no Jupyter in between."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Page

from weightwidget.explorer import WeightExplorer
from weightwidget.wire.handlers import answer, message_of


class ExplorerKernel:
    """Connects a page to an explorer: its traits, and the answers to its requests.

    Parameters
    ----------
    page
        A page that has js/dev/host.html open.
    explorer
        What it shows.
    """

    def __init__(self, page: Page, explorer: WeightExplorer) -> None:
        self.explorer = explorer
        self.requests: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self._page = page
        self._shown: dict[str, Any] = {}
        page.expose_function("kernelMessage", self._on_message)
        page.expose_function("kernelSave", self._on_save)

    def show(self, module: str = "/static/widget.js") -> None:
        """Load the widget and show it."""
        self._page.evaluate("([module, traits]) => window.showWidget(module, traits)", [module, self._changes()])

    def push(self) -> None:
        """Bring the page up to date with the explorer's traits."""
        changes = self._changes()
        if changes:
            self._page.evaluate("traits => window.receiveTraits(traits)", changes)

    def _traits(self) -> dict[str, Any]:
        names = [name for name in self.explorer.traits(sync=True) if not is_ipywidgets_own(name)]
        return {name: as_json(getattr(self.explorer, name)) for name in names}

    def _changes(self) -> dict[str, Any]:
        """Traits that are not as the page has them."""
        now = self._traits()
        changed = {name: value for name, value in now.items() if self._shown.get(name, ...) != value}
        self._shown = now
        return changed

    def _on_message(self, content: Mapping[str, Any]) -> dict[str, Any] | None:
        if content.get("cancel") == "scan" or content.keys() & {"look", "stop"}:
            self.explorer._on_message(self.explorer, dict(content), [])
        if "id" not in content:
            return None
        self.requests.append(dict(content))
        try:
            reply, buffers = answer(self.explorer, content)
        except Exception as error:  # noqa: BLE001 - as the real handlers: every exception becomes an error reply
            self.failures.append(f"{content}: {error!r}")
            reply, buffers = {"error": {"type": type(error).__name__, "message": message_of(error)}}, []
        return {
            "content": {"id": content["id"], **reply},
            "buffers": [base64.b64encode(buffer).decode() for buffer in buffers],
        }

    def _on_save(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        for name, value in changes.items():
            self._shown[name] = value
            # As ipywidgets: lists are turned into what the trait holds.
            setattr(self.explorer, name, tuple(value) if isinstance(value, list) else value)
        return self._changes()


def is_ipywidgets_own(name: str) -> bool:
    """Whether a trait belongs to ipywidgets or anywidget rather than to the explorer."""
    return name in {"layout", "tabbable", "tooltip", "comm"} or name.startswith(
        ("_model", "_view", "_dom", "_esm", "_css", "_anywidget")
    )


def as_json(value: Any) -> Any:
    """A trait's value as it travels; bytes as base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return value
