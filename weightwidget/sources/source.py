"""The source that every format ends in: a list of tensors, and what to let go of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from weightwidget.sources.base import ModuleInfo, TensorRef, displayable
from weightwidget.sources.names import visible


class ListedSource:
    """A `weightwidget.sources.base.WeightSource` whose tensors are all listed.

    Parameters
    ----------
    name
        What a person calls it.
    refs
        The tensors in order.
    modules
        The modules that are known, by path.
    skipped
        What could not be listed as a tensor, by name, with the reason.
    on_close
        Lets go of what the readers of `refs` hold.

    Raises
    ------
    ValueError
        If two tensors have the same name.
    """

    def __init__(
        self,
        name: str,
        refs: Iterable[TensorRef],
        modules: Mapping[str, ModuleInfo] | None = None,
        skipped: Mapping[str, str] | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.name = displayable(name)
        tensors: dict[str, TensorRef] = {}
        for ref in refs:
            if ref.name in tensors:
                raise ValueError(
                    f"{visible(name)}: two tensors are called {ref.name!r} once keys are joined by dots. Rename one."
                )
            tensors[ref.name] = ref
        self.tensors: Mapping[str, TensorRef] = tensors
        self.modules: Mapping[str, ModuleInfo] = dict(modules or {})
        self.skipped: Mapping[str, str] = dict(skipped or {})
        self._on_close = on_close

    def close(self) -> None:
        """Let go of files and tensors. Reading afterwards raises ValueError. May be called again."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def __repr__(self) -> str:
        skipped = f", {len(self.skipped)} entries skipped" if self.skipped else ""
        return f"<weights of {self.name!r}: {len(self.tensors)} tensors{skipped}>"
