"""Where the kernel handles what a view sends."""

from __future__ import annotations

from typing import Any


def handle_beside_cells(comm: Any) -> None:
    """Have a view's messages handled where the front end asks for, also while a cell runs.

    JupyterLab sends what comes from widgets to a thread beside the one that runs cells (a subshell), where the kernel
    has such. From version 7.4 on, ipykernel takes it instead to the thread from which the widget was last written to:
    after a training has shown its weights that is the main one, which is busy as long as the training's cell. Then no
    click could stop anything. The explorer answers from threads of its own and needs no particular one.

    Parameters
    ----------
    comm
        Of the widget; those of other kernels and versions are left alone.
    """
    if callable(getattr(comm, "_reply_subshell_for", None)):
        comm._reply_subshell_for = lambda _data, asked: asked
