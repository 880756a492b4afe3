"""A page that holds an explorer whole: no kernel, no network, no rights over what is around it.

`js/page/main.ts` reads what is packed here.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from weightwidget.outputs.names import visible

STATIC = Path(__file__).parents[1] / "static"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="weightwidget">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<p id="weightwidget-problem" role="alert" hidden></p>
<noscript>{static}</noscript>
<div id="weightwidget-view"></div>
<script type="application/json" id="weightwidget-traits">{traits}</script>
<script type="application/octet-stream" id="weightwidget-overview">{overview}</script>
<script type="application/octet-stream" id="weightwidget-code">{code}</script>
<script>{loader}</script>
</body>
</html>
"""


def page(overview: bytes, traits: Mapping[str, Any], title: str, static: str = "") -> str:
    """Write the page of an explorer.

    Parameters
    ----------
    overview
        What it shows, as `weightwidget.wire.overview` packs it.
    traits
        The other traits that the front end knows, by name; JSON can hold them.
    title
        Of the page: what a browser's tab says.
    static
        HTML for readers whose browser runs no scripts.

    Returns
    -------
    str
        A document of HTML. Its content security policy allows its own two scripts, styles and pictures, and no
        address at all: nothing can be sent anywhere, whatever the names in the model are.
    """
    style, loader, code, policy = _front_end()
    return _PAGE.format(
        policy=html.escape(policy),
        title=html.escape(visible(title)),
        style=style,
        static=static,
        traits=json_in_html(traits),
        overview=packed(overview),
        code=code,
        loader=loader,
    )


def packed(data: bytes) -> str:
    """Bytes as text for a page: gzip, then base64."""
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode("ascii")


def json_in_html(value: Any) -> str:
    """JSON that stands inside a script element: no character in it can end that, or begin a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@lru_cache(maxsize=1)
def _front_end() -> tuple[str, str, str, str]:
    """Style sheet, loader, packed script, and the policy that allows just these."""
    style, loader, script = (
        (STATIC / name).read_text("utf-8").strip() for name in ("page.css", "page-loader.js", "page.js")
    )
    scripts = " ".join(f"'sha256-{_digest(text)}'" for text in (loader, script))
    policy = f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:"
    return style, loader, packed(script.encode()), policy


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
