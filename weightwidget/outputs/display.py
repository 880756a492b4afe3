"""What a notebook stores of an explorer beside its widget: a page, a picture and some lines of text."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Collection
from typing import Any

from weightwidget.outputs.view import StaticView

log = logging.getLogger(__name__)

WIDGET = "application/vnd.jupyter.widget-view+json"
FALLBACKS = ("text/plain", "image/png", "text/html")

MARK = {"weightwidget": {"version": 1}}
"""Metadata by which the JupyterLab extension tells an explorer's output where the notebook has no state of it."""


def with_fallbacks(
    widget: tuple[dict[str, Any], dict[str, Any]] | dict[str, Any] | None,
    take_view: Callable[[], StaticView],
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Add to a widget's display bundle what hosts show that have no widgets or do not trust the notebook.

    Whatever goes wrong here is logged, and the widget shows all the same.

    Parameters
    ----------
    widget
        Bundle of the widget, as ipywidgets gives it. A closed widget's view is left out.
    take_view
        Gives the explorer as it is now.
    include, exclude
        Types that are wanted, and that are not, as IPython passes them. Only what is wanted is made.

    Returns
    -------
    tuple of dict
        Data and metadata by MIME type.
    """
    data, metadata = widget if isinstance(widget, tuple) else (widget or {}, {})
    data = dict(data)
    if WIDGET in data and not data[WIDGET].get("model_id"):
        del data[WIDGET]
    wanted = [mime for mime in FALLBACKS if (not include or mime in include) and mime not in (exclude or ())]
    if wanted:
        try:
            data |= fallbacks(take_view(), wanted)
        except Exception:
            log.exception("the picture of an explorer for hosts without widgets failed")
    shown = {k: v for k, v in data.items() if (not include or k in include) and k not in (exclude or ())}
    return shown, ({**metadata, **MARK} if WIDGET in shown else metadata)


def fallbacks(view: StaticView, wanted: Collection[str] = FALLBACKS) -> dict[str, str]:
    """Make the fallbacks that are wanted, by MIME type; binary ones as base64."""
    # Not before they are needed: importing the package stays quick.
    from weightwidget.outputs.picture import picture
    from weightwidget.outputs.plain import plain_text
    from weightwidget.outputs.static import static_html

    made: dict[str, str] = {}
    if "text/plain" in wanted:
        made["text/plain"] = plain_text(view)
    if "image/png" in wanted or "text/html" in wanted:
        png = picture(view)
        if "image/png" in wanted:
            made["image/png"] = base64.b64encode(png).decode("ascii")
        if "text/html" in wanted:
            made["text/html"] = static_html(view, png)
    return made
