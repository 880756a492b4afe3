"""Compiled kernels, loaded in the background: nothing waits for them, and everything works without them."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from types import ModuleType

log = logging.getLogger(__name__)

_lock = threading.Lock()
_loading: dict[str, threading.Thread] = {}
_ready: dict[str, ModuleType] = {}


def compiled(module: str) -> ModuleType | None:
    """Give a module of compiled kernels if it is ready.

    Parameters
    ----------
    module
        Its full name.

    Returns
    -------
    module or None
        None until it is loaded, and for ever where it cannot be (no Numba, or ``WEIGHTWIDGET_NO_NUMBA=1``).
    """
    return None if _switched_off() else _ready.get(module)


def want(module: str) -> None:
    """Start loading a module of compiled kernels in a daemon thread; further calls do nothing.

    Parameters
    ----------
    module
        Its full name.
    """
    if module in _loading or _switched_off():
        return
    with _lock:
        if module in _loading:
            return
        thread = threading.Thread(target=_load, args=(module,), name="weightwidget-compile", daemon=True)
        _loading[module] = thread
    thread.start()


def _load(module: str) -> None:
    try:
        _ready[module] = importlib.import_module(module)
    except Exception:  # whatever is wrong with the compiler, the work is done without it
        log.debug("no compiled kernels: %s", module, exc_info=True)


def _switched_off() -> bool:
    return os.environ.get("WEIGHTWIDGET_NO_NUMBA", "") not in ("", "0")
