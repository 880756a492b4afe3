"""The explorer in JupyterLab's right sidebar."""

from __future__ import annotations

from ipywidgets import Widget
from sidecar import Sidecar


def open_sidebar(widget: Widget, title: str) -> Sidecar:
    """Show a widget in the right sidebar; it stays in step with its other views.

    Parameters
    ----------
    widget
        What to show.
    title
        Of the sidebar's tab.

    Returns
    -------
    Sidecar
        Its ``close()`` closes the panel. In hosts without JupyterLab's extension nothing is shown.
    """
    from IPython.display import display

    panel = Sidecar(title=title, anchor="right")
    with panel:
        display(widget)  # type: ignore[no-untyped-call]
    return panel
