"""Sees to it that nothing of somebody else's runs on a page: in any frame, by any of the ways that payloads take."""

from __future__ import annotations

import re
from contextlib import suppress

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Error, Frame, Page, Request

from tests.security.payloads import ELSEWHERE

OBSERVED = """
Object.defineProperty(window, '__ran', {set(number) { console.log('xss-ran ' + number); }});
"""
"""Runs in every frame before anything else: a payload that sets this says so at once, even where its frame goes."""

REPORT = re.compile(r"xss-ran (\d+)")
NUMBERED = re.compile(r"xss (\d+)")

FOREIGN = """root => {
    const tags = 'script, img, iframe, object, embed, link, base, meta, form:not(.ww-heads-set), video, audio, '
        + 'marquee, math, template, foreignObject, animate, image, x, style, a[href]';
    const isForeign = element => element.matches(tags) || element.getAttributeNames().some(name =>
        name.startsWith('on') || name === 'autofocus' || name === 'formaction'
            || (/href|src/.test(name) && /^\\s*(javascript|data):/i.test(element.getAttribute(name))));
    return [...root.querySelectorAll('*')].filter(isForeign).map(element => element.outerHTML.slice(0, 200));
}"""
"""Elements and attributes that the explorer never has, so that a name must have made them."""

UNSEEN = """root => {
    const unseen = /(?![ \\u2009\\u00a0\\n])[\\p{C}\\p{Z}\\p{Default_Ignorable_Code_Point}]/u;
    const found = [];
    const look = (where, text) => {
        if (unseen.test(text)) found.push(where + ': ' + JSON.stringify(text).slice(0, 200));
    };
    for (const element of root.querySelectorAll('*')) {
        for (const name of element.getAttributeNames()) {
            if (/^(title|alt|placeholder|aria-)/.test(name)) look(name, element.getAttribute(name));
        }
        if (element.matches('script, style')) continue;
        for (const node of element.childNodes) if (node.nodeType === 3) look(element.className, node.data);
    }
    return found;
}"""
"""Texts and tooltips with something that is not seen; thin spaces, those that hold a line open, new lines are fine."""


class Watch:
    """Collects whatever a payload managed to do, from all pages and frames of a context.

    Parameters
    ----------
    context
        A new context: nothing is open in it yet.

    Attributes
    ----------
    noticed
        What was done, a line each.
    refused
        What a content security policy has refused.
    """

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self.noticed: list[str] = []
        self.refused: list[str] = []
        self.pages = 0
        context.add_init_script(OBSERVED)
        context.on("page", self._on_page)
        context.on("request", self._on_request)
        context.on("console", self._on_console)
        context.on("dialog", self._on_dialog)

    def _on_page(self, page: Page) -> None:
        self.pages += 1
        page.on("framenavigated", self._on_navigated)
        if page.opener() is not None:
            self.noticed.append(f"popup {page.url}")

    def _on_navigated(self, frame: Frame) -> None:
        if frame.url.startswith((ELSEWHERE, "javascript:")):
            self.noticed.append(f"navigation {frame.url}")

    def _on_request(self, request: Request) -> None:
        if request.url.startswith(ELSEWHERE):
            self.noticed.append(f"request {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if found := REPORT.fullmatch(message.text):
            self.noticed.append(f"console {found[1]}")
        # Nothing was to be refused: a policy is the second line, and escaping the first.
        if "Content Security Policy" in message.text:
            self.refused.append(message.text)

    def _on_dialog(self, dialog: Dialog) -> None:
        if dialog.type != "beforeunload":
            self.noticed.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def look(self) -> list[str]:
        """What was noticed so far, titles of documents too, in all frames."""
        for page in self._context.pages:
            for frame in page.frames:
                with suppress(Error):  # it was just exchanged for another
                    if found := NUMBERED.fullmatch(frame.evaluate("() => document.title")):
                        self.noticed.append(f"title {found[1]}")
        return self.noticed

    def numbers(self) -> set[int]:
        """Numbers of the payloads that did something."""
        return {int(found[0]) for line in self.look() if (found := re.search(r"\d+", line.removeprefix("request")))}

    def check(self) -> None:
        """Raise if anything ran."""
        assert not self.look(), "\n".join(self.noticed)
        assert not self.refused, "\n".join(self.refused)
