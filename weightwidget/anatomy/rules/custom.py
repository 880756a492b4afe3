"""Rules that users register for architectures of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import overload

from weightwidget.anatomy.found import Found
from weightwidget.anatomy.rules.base import ModuleView, Rule

log = logging.getLogger(__name__)

CUSTOM: dict[str, Rule] = {}
"""Users' rules by class name or Hugging Face ``model_type``."""


@overload
def register_anatomy(kind: str) -> Callable[[Rule], Rule]: ...
@overload
def register_anatomy(kind: str, function: Rule) -> Rule: ...
def register_anatomy(kind: str, function: Rule | None = None) -> Rule | Callable[[Rule], Rule]:
    """Say what the axes of an architecture's tensors mean.

    The function is called for every module of that class in every model that is opened from then on, before the
    package's own rules, which leave alone what it has named.

    Parameters
    ----------
    kind
        Class name of a module, ``"MyAttention"``; or a Hugging Face ``model_type``, ``"llama"``: then the function is
        called with the module that has the configuration, also for files beside a ``config.json``.
    function
        Called with a `weightwidget.anatomy.rules.base.ModuleView` and the
        `weightwidget.anatomy.found.Found` to which it adds `Axes` by tensor name, and layers. If it raises, or gives
        axes that do not fit a tensor, this is logged as a warning and what it found in that module is dropped.

    Returns
    -------
    Callable
        The function; without one a decorator.

    Examples
    --------
    >>> from weightwidget import Axes, register_anatomy
    >>> @register_anatomy("Mixer")
    ... def mixer(module, found):
    ...     table = module.tensors["table"]
    ...     found.axes[table.name] = Axes(("time", "channel"), "other", certain=True, why="Mixer")
    """
    if not isinstance(kind, str) or not kind:
        raise TypeError(f"an anatomy is registered for a class name or model type, a text that is not empty: {kind!r}")
    if function is None:
        return lambda given: register_anatomy(kind, given)
    if not callable(function):
        raise TypeError(f"an anatomy is a function of a module and what is found, not {type(function).__name__}")
    CUSTOM[kind] = function
    return function


def unregister_anatomy(kind: str) -> None:
    """Forget the rule that was registered for a class or model type. No error if there is none."""
    CUSTOM.pop(kind, None)


def apply_custom(views: Iterable[tuple[str, ModuleView]], found: Found) -> None:
    """Call the registered functions.

    Parameters
    ----------
    views
        Key of the function and module for which it is called.
    found
        Added to.
    """
    for kind, module in views:
        own = Found()
        try:
            CUSTOM[kind](module, own)
            _check(module, own)
        except Exception as error:  # whatever a user's function does, the explorer must open
            log.warning("the anatomy registered for %s failed at %r: %s", kind, module.path, error, exc_info=True)
            continue
        found.axes.update(own.axes)
        for layers in ("attention", "recurrent", "experts", "embeddings"):
            getattr(found, layers).extend(getattr(own, layers))


def _check(module: ModuleView, own: Found) -> None:
    from weightwidget.anatomy.check import check_axes

    for name, axes in own.axes.items():
        ref = module.source.tensors.get(name)
        if ref is None:
            raise ValueError(f"it names the axes of {name!r}, but there is no such tensor")
        check_axes(axes, name, ref.shape)
