"""Compiled kernels: made ready in the background, so that nothing ever waits for the compiler."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

log = logging.getLogger(__name__)

SWITCH = "WEIGHTWIDGET_NO_NUMBA"
"""Environment variable that, set to anything but ``0``, keeps kernels from being compiled and used."""

PAUSE = 1.0
"""Seconds between the first wish for a kernel and the work for it. The compiler holds Python's lock for up to a third
of a second at a time: the view that is just being opened comes first."""

Kernel = Callable[..., Any]


class Kernels:
    """The kernels of a module, each compiled when somebody first wants it.

    The compiler takes seconds the first time and keeps its work on disk; without Numba nothing comes of it, and what
    works without goes on. Safe to use from several threads.

    Parameters
    ----------
    module
        Full name of a module with ``SIGNATURES``: functions of Numba and the types of their arguments, by name. It is
        imported in the background, too.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._waiting: deque[str] = deque()
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()
        self._ready: dict[str, Kernel] = {}

    def get(self, name: str) -> Kernel | None:
        """A kernel if it is ready, whether or not it may be used; else None."""
        return self._ready.get(name)

    @property
    def in_use(self) -> bool:
        """Whether any kernel was ever wanted, and may be used."""
        return bool(self._asked) and allowed()

    def want(self, names: Iterable[str]) -> None:
        """Have kernels compiled in a thread, in this order."""
        if not allowed():
            return
        with self._lock:
            new = [name for name in dict.fromkeys(names) if name not in self._asked]
            self._asked.update(new)
            self._waiting.extend(new)
            if self._waiting and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="weightwidget-compile", daemon=True)
                self._thread.start()

    def load(self, names: Iterable[str]) -> bool:
        """Have kernels compiled and wait for them; tell whether they are ready."""
        names = list(names)
        self._hurry.set()
        self.want(names)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        return allowed() and all(name in self._ready for name in names)

    def _work(self) -> None:
        self._hurry.wait(PAUSE)
        module = _imported(self._module)
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                name = self._waiting.popleft()
            if module is None:
                continue
            try:
                function, signature = module.SIGNATURES[name]
                function.compile(signature)
                # Called as such, for the dispatcher would compile anew for types that differ in trifles.
                self._ready[name] = function.overloads[signature].entry_point
            except Exception:  # a compiler that fails on some machine must not take the other kernels along
                log.warning("the kernel %r cannot be compiled; a slower one does its work", name, exc_info=True)


def compiled(module: str) -> ModuleType | None:
    """A module whose kernels are all compiled when it is imported, if that is done; else None.

    Parameters
    ----------
    module
        Full name.
    """
    return _modules.get(module) if allowed() else None


def want(module: str) -> None:
    """Have a module of kernels imported by a thread. Further calls do nothing.

    Parameters
    ----------
    module
        Full name.
    """
    if not allowed():
        return
    with _importing:
        if module in _threads:
            return
        thread = threading.Thread(target=_load, args=(module,), name="weightwidget-compile", daemon=True)
        _threads[module] = thread
    thread.start()


def load(module: str) -> ModuleType | None:
    """Have a module of kernels imported, and wait for it; None if it cannot be."""
    _hurry.set()
    want(module)
    if module in _threads:
        _threads[module].join()
    return compiled(module)


def allowed() -> bool:
    """Whether compiled kernels may be used at all."""
    return os.environ.get(SWITCH, "0") in ("", "0")


_importing = threading.Lock()
_hurry = threading.Event()
_threads: dict[str, threading.Thread] = {}
_modules: dict[str, ModuleType] = {}


def _load(module: str) -> None:
    _hurry.wait(PAUSE)
    found = _imported(module)
    if found is not None:
        _modules[module] = found


def _imported(module: str) -> ModuleType | None:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        log.debug("%s is not compiled: %s", module, error)
    except Exception:
        log.warning("%s cannot be compiled; slower kernels do its work", module, exc_info=True)
    return None
