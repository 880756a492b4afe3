"""A call of PyTorch, as rules see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


def name_of(func: Callable[..., Any]) -> str:
    """Name of an operation: without the mark of those in place, and without overloads."""
    packet = getattr(func, "overloadpacket", None)
    name = str(getattr(packet or func, "__name__", ""))
    if name == "__get__":
        name = str(getattr(getattr(func, "__self__", None), "__name__", ""))
    in_place = name.endswith("_") and not name.endswith("__")
    return name.removesuffix("_") if in_place else name


@dataclass(frozen=True)
class Call:
    """A call of PyTorch that has run.

    Attributes
    ----------
    func, args, kwargs
        What was called with what.
    out
        What it gave.
    """

    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any

    @property
    def name(self) -> str:
        """Name of the operation; see `name_of`."""
        return name_of(self.func)

    @property
    def result(self) -> Any:
        """What it gave, of several things the first."""
        return self.out[0] if isinstance(self.out, tuple | list) else self.out

    @property
    def input(self) -> Any:
        """Its first argument."""
        return self.args[0] if self.args else self.kwargs.get("input")

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All tensors among its arguments."""
        return [value for value in (*self.args, *self.kwargs.values()) if isinstance(value, torch.Tensor)]

    def bound(self, *names: str) -> dict[str, Any]:
        """Arguments by name, whether they were given by place or by name."""
        return {**dict(zip(names, self.args, strict=False)), **self.kwargs}
