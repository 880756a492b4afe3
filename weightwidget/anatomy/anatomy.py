"""`axes(source)`: what the axes of every tensor mean, and which tensors make a layer."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from weightwidget.anatomy.axes import Axes, unknown_axes, with_parts, without_parts
from weightwidget.anatomy.check import check_axes, read_axes, what_of
from weightwidget.anatomy.flow import Flow, TraceError, links, trace
from weightwidget.anatomy.layers import AttentionLayer, EmbeddingTable, ExpertLayer, RecurrentLayer
from weightwidget.anatomy.rules import find
from weightwidget.sources.base import TensorRef, WeightSource
from weightwidget.sources.parts import is_complex


class Anatomy(Mapping[str, Axes]):
    """The meaning of the axes of a model's tensors, by name; and its layers.

    What is wrong or not known can be set by hand: ``anatomy["w"] = "out in kh kw"``, `set`, `set_heads`; and
    ``del anatomy["w"]`` undoes it.

    Parameters
    ----------
    source
        The weights. Names, shapes, classes and hyperparameters are looked at; nothing is read.

    Attributes
    ----------
    attention, recurrent, experts, embeddings
        Layers whose tensors belong together, in the model's order.
    version
        Counts the changes by hand.
    model
        The live model that the weights came from, for `trace`; None if there is none.
    """

    def __init__(self, source: WeightSource) -> None:
        self._source = source
        self._own: dict[str, Axes] = {}
        self._heads: dict[str, tuple[int, int | None]] = {}
        self._found = find(source)
        self._observers: list[Callable[[], None]] = []
        self._flow: tuple[int, Flow] | None = None
        self._traced: Flow | None = None
        self.version = 0
        self.model: Any = None

    def observe(self, changed: Callable[[], None]) -> None:
        """Have a function called after every change by hand."""
        self._observers.append(changed)

    def adopt(self, before: Anatomy) -> None:
        """Take over what was set by hand in the anatomy of an earlier source, where shapes are still the same."""
        for name, own in before._own.items():
            ref = self._source.tensors.get(name)
            if ref is not None and ref.shape == before._source.tensors[name].shape:
                self._own[name] = own
        if before._heads:
            self._heads = dict(before._heads)
            self._found = find(self._source, self._heads)
        same = {name: ref.shape for name, ref in self._source.tensors.items()}
        if before._traced is not None and same == {name: ref.shape for name, ref in before._source.tensors.items()}:
            self._traced = before._traced.again()

    def _has_changed(self) -> None:
        self.version += 1
        for changed in self._observers:
            changed()

    @property
    def source(self) -> WeightSource:
        """The weights that this is the anatomy of."""
        return self._source

    @property
    def attention(self) -> list[AttentionLayer]:
        """Attention layers."""
        return self._found.attention

    @property
    def recurrent(self) -> list[RecurrentLayer]:
        """Recurrent layers, one for each layer and direction."""
        return self._found.recurrent

    @property
    def experts(self) -> list[ExpertLayer]:
        """Mixtures of experts."""
        return self._found.experts

    @property
    def embeddings(self) -> list[EmbeddingTable]:
        """Tables of vectors."""
        return self._found.embeddings

    @property
    def flow(self) -> Flow:
        """How channels pass from tensor to tensor: traced, or else known and guessed. Found when first asked for."""
        if self._traced is not None:
            return self._traced
        known = self._flow
        if known is None or known[0] != self.version:
            known = self._flow = self.version, links(self._source, self)
        return known[1]

    @property
    def traceable(self) -> bool:
        """Whether `trace` has a live model to run."""
        return self.model is not None

    def trace(self, model: Any = None, example: Any = None) -> Flow:
        """Find how channels pass by running the model's own code on a copy without weights, and keep that as `flow`.

        Parameters
        ----------
        model, example
            As of `weightwidget.anatomy.flow.trace`; by default the live model that the weights came from.

        Raises
        ------
        weightwidget.anatomy.flow.TraceError
            If there is no live model, or its code cannot be run so; the message says why.
        """
        model = self.model if model is None else model
        if model is None:
            raise TraceError("there is no live model to trace, only weights: pass one, anatomy.trace(model)")
        traced = trace(model, example, self._source, self)
        self._traced = traced
        return traced

    def __getitem__(self, name: str) -> Axes:
        ref = self._source.tensors.get(name)
        own = self._own.get(name) or self._found.axes.get(name)
        if own is None:
            if ref is None:
                raise KeyError(f"there is no tensor {name!r} in {self._source.name}")
            own = unknown_axes(len(ref.shape))
        return with_parts(own) if ref is not None and is_complex(ref) else own

    def __setitem__(self, name: str, axes: Axes | str | Sequence[str]) -> None:
        """Set the axes of a tensor by hand: ``anatomy["w"] = "out in kh kw"``, or an `Axes` with splits.

        Raises
        ------
        KeyError
            If there is no such tensor.
        ValueError, TypeError
            If the axes do not fit it; the message says why.
        """
        ref = self._ref(name)
        own = without_parts(axes) if isinstance(axes, Axes) else read_axes(axes, name, ref.shape, {})
        check_axes(own, name, ref.shape)
        found = self._found.axes.get(name)
        what = own.what or what_of(own, found)
        self._own[name] = replace(own, what=what, certain=True, why="set by hand")
        self._has_changed()

    def __delitem__(self, name: str) -> None:
        """Undo what was set by hand for a tensor.

        Raises
        ------
        KeyError
            If nothing was.
        """
        if name not in self._own:
            raise KeyError(f"nothing was set by hand for {name!r}")
        del self._own[name]
        self._has_changed()

    def set(self, name: str, names: str | Sequence[str], **parts: int | str | Sequence[str]) -> Axes:
        """Set the axes of a tensor by hand, with blocks: ``anatomy.set("w", "(gate hidden) in", gate="i f g o")``.

        Parameters
        ----------
        name
            Of the tensor.
        names
            Name of each axis. Several things that lie along one axis are written in parentheses, as in einops.
        parts
            How many parts one of the names has, or what these are called: ``head=12``, ``qkv="q k v"``. They become
            blocks, the inner ones within the outer ones.

        Returns
        -------
        Axes
            What was set.

        Raises
        ------
        KeyError
            If there is no such tensor.
        ValueError
            If the axes do not fit it; the message says why.
        """
        self[name] = read_axes(names, name, self._ref(name).shape, parts)
        return self._own[name]

    def set_heads(self, heads: int, path: str = "", kv_heads: int | None = None) -> None:
        """Set the number of attention heads, which names and shapes do not tell.

        Parameters
        ----------
        heads
            Number of query heads.
        path
            Of a module: the number holds for all attention layers in it. By default for all of the model.
        kv_heads
            Number of key and value heads; by default such that heads of keys are as large as those of queries.

        Raises
        ------
        ValueError
            If no attention layer there can have that many heads. Nothing is changed then.
        """
        if any(type(count) is not int or count < 1 for count in (heads, heads if kv_heads is None else kv_heads)):
            raise ValueError(f"the number of heads is a whole number from 1 on, not {heads!r} and {kv_heads!r}")
        chosen = {**self._heads, path: (heads, kv_heads)}
        found = find(self._source, chosen)
        inside = [one for one in found.attention if not path or f"{one.path}.".startswith(f"{path}.")]
        if not any(layer.heads == heads and kv_heads in (None, layer.kv_heads) for layer in inside):
            where = f"in {path!r}" if path else f"in {self._source.name}"
            raise ValueError(
                f"no attention layer {where} has queries that can be divided into {heads} heads"
                + (f" and keys that can be divided into {kv_heads}" if kv_heads is not None else "")
            )
        self._heads, self._found = chosen, found
        self._has_changed()

    def _ref(self, name: str) -> TensorRef:
        ref = self._source.tensors.get(name)
        if ref is None:
            near = difflib.get_close_matches(name, self._source.tensors, 3, 0.5)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise KeyError(f"there is no tensor {name!r} in {self._source.name}{hint}")
        return ref

    def __iter__(self) -> Iterator[str]:
        return iter(self._source.tensors)

    def __len__(self) -> int:
        return len(self._source.tensors)


def axes(obj: Any, heads: int | None = None, kv_heads: int | None = None) -> Anatomy:
    """What the axes of a model's tensors mean.

    Parameters
    ----------
    obj
        A `WeightSource`, or whatever `weightwidget.open_weights` takes.
    heads, kv_heads
        Number of attention heads, and of key and value heads, where names and shapes do not tell them; as of
        `Anatomy.set_heads`.

    Returns
    -------
    Anatomy
        A mapping of tensor names to `weightwidget.anatomy.axes.Axes`.
    """
    from weightwidget.sources import open_weights

    source = obj if isinstance(obj, WeightSource) else open_weights(obj)
    try:
        anatomy = Anatomy(source)
        if heads is not None:
            anatomy.set_heads(heads, kv_heads=kv_heads)
    finally:
        if source is not obj:
            source.close()
    return anatomy
