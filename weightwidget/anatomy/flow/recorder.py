"""Keeps track of channels while a model's code runs: which label every element of an activation has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from weightwidget.anatomy.flow.calls import Call
from weightwidget.anatomy.flow.spaces import Labels, Role
from weightwidget.anatomy.flow.wiring import NONE, Wiring, tied_names
from weightwidget.sources.base import WeightSource

if TYPE_CHECKING:
    from weightwidget.anatomy.anatomy import Anatomy

log = logging.getLogger(__name__)

LabelTensor: TypeAlias = torch.Tensor
"""int64 on the CPU, of the activation's shape: the label of each element, -1 for none. Expanded, not filled, along the
axes on which it does not depend."""

MOST = 1 << 24
"""Labels that are compared at once at most; what would take more is not followed."""


@dataclass(frozen=True)
class WeightView:
    """A parameter or buffer as it is used: whole, sliced or transposed.

    Attributes
    ----------
    name
        Of the tensor.
    shape
        Of the whole tensor.
    axes
        For each dimension of the view the tensor's axis, and where on it the view starts; None where there is none.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[tuple[int, int] | None, ...]


RuleFor: TypeAlias = "Callable[[Callable[..., Any]], Callable[[Recorder, Call], None] | None]"
"""Gives the rule of an operation, None if nothing is known of it."""


class Recorder(TorchFunctionMode):
    """Sees every call of PyTorch, and asks the rules what it does to labels.

    Parameters
    ----------
    model
        The copy without weights.
    source, anatomy
        The weights that it is a copy of.
    rule_for
        As `weightwidget.anatomy.flow.operations.rule_for`.

    Attributes
    ----------
    wiring
        What was found.
    orders
        Place of each tensor in the order of its first use.
    fallback
        Place of each tensor in the source.
    modules
        Paths of modules whose tensors were used.
    """

    nothing: Labels = np.empty(0, np.int64)

    def __init__(self, model: nn.Module, source: WeightSource, anatomy: Anatomy, rule_for: RuleFor) -> None:
        super().__init__()
        self.source, self.anatomy = source, anatomy
        self.wiring = Wiring(tied_names(source))
        self.orders: dict[str, float] = {}
        self.fallback = {name: float(place) for place, name in enumerate(source.tensors)}
        self.modules: set[str] = set()
        self._model = model
        self._rule_for = rule_for
        self._names: dict[int, list[str]] = {}
        self._path = [""]
        # Tensors are kept, so that their ids stay theirs: they have no values, and take no room.
        self._labels: dict[int, tuple[torch.Tensor, LabelTensor]] = {}
        self.states: dict[str, Labels | None] = {}
        self._computed: dict[int, tuple[torch.Tensor, WeightView]] = {}
        for path, module in model.named_modules(remove_duplicate=False):
            prefix = f"{path}." if path else ""
            for name, tensor in (*module._parameters.items(), *module._buffers.items()):
                # Integers are positions and counters, which carry no channels.
                if tensor is not None and tensor.dtype.is_floating_point and prefix + name in source.tensors:
                    self._names.setdefault(id(tensor), []).append(prefix + name)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Follow what runs meanwhile."""
        handles = []
        for path, module in self._model.named_modules():

            def enter(_module: nn.Module, _args: Any, path: str = path) -> None:
                self._path.append(path)

            def leave(_module: nn.Module, _args: Any, _out: Any) -> None:
                self._path.pop()

            handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        try:
            # This one outermost: what rules make of their own then has values.
            with self, torch.device("meta"), torch.enable_grad():
                yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a call, then find the labels of what it gave."""
        args, kwargs = _on_meta(args), {name: _device(value, name) for name, value in (kwargs or {}).items()}
        if getattr(func, "__name__", "") in ("cuda", "cpu", "xpu") and args and isinstance(args[0], torch.Tensor):
            return args[0]
        rule = self._rule_for(func)
        out = func(*args, **kwargs)
        if rule is not None:
            try:
                rule(self, Call(func, args, kwargs, out))
            except (RuntimeError, ValueError, TypeError, IndexError, KeyError, NotImplementedError):
                # A call that the rule did not foresee: what it gave is simply not followed.
                log.debug("no labels for %s", func, exc_info=True)
                self.forget(out)
        elif isinstance(out, torch.Tensor | tuple | list):
            self.forget(out)
        return out

    # -- activations ------------------------------------------------------------------------------------------

    def labels(self, tensor: Any) -> LabelTensor | None:
        """Labels of an activation; None if it has none."""
        known = self._labels.get(id(tensor))
        return known[1] if known is not None else None

    def give(self, tensor: torch.Tensor, labels: LabelTensor | None) -> None:
        """Say which labels an activation has."""
        if labels is None:
            self.forget(tensor)
            return
        if tuple(labels.shape) != tuple(tensor.shape):
            labels = labels.expand(tuple(tensor.shape))
        self._labels[id(tensor)] = tensor, labels

    def forget(self, out: Any) -> None:
        """Say that nothing is known of an activation, which may be an old one that was changed in place."""
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                self._labels.pop(id(tensor), None)

    def along(self, tensor: torch.Tensor, dim: int) -> Labels | None:
        """Labels along one dimension; None if they depend on others, or there are none."""
        labels = self.labels(tensor)
        return None if labels is None else vector(labels, dim)

    def inputs(self, tensor: torch.Tensor, dim: int) -> Labels:
        """Labels along the dimension that a layer reads; new ones if there are none.

        They then stay those of the activation, so that all that read it are linked.
        """
        known = self.along(tensor, dim)
        if known is not None:
            return known
        labels = self.wiring.space(tensor.shape[dim])
        if self.labels(tensor) is None:
            self.give(tensor, spread(labels, dim, tensor))
        return labels

    # -- weights ----------------------------------------------------------------------------------------------

    def weight(self, tensor: Any) -> WeightView | None:
        """The parameter or buffer that a tensor is, or is a view of; None if it is none."""
        if not isinstance(tensor, torch.Tensor):
            return None
        computed = self._computed.get(id(tensor))
        if computed is not None:
            return computed[1]
        if id(tensor) in self._names:
            return WeightView(self._name(tensor), tuple(tensor.shape), tuple((axis, 0) for axis in range(tensor.ndim)))
        base = tensor._base
        whole = self.weight(base) if base is not None else None
        if base is None or whole is None or whole.axes != tuple((axis, 0) for axis in range(base.ndim)):
            return None
        return _view(whole.name, base, tensor)

    def compute(self, tensor: torch.Tensor, view: WeightView) -> None:
        """Say that a tensor was computed from a weight, element by element."""
        self._computed[id(tensor)] = tensor, view

    def _name(self, tensor: torch.Tensor) -> str:
        names = self._names[id(tensor)]
        here = self._path[-1]
        return next((name for name in names if name.rpartition(".")[0] == here), names[0])

    def attach(
        self,
        view: WeightView,
        dim: int,
        role: Role,
        labels: Labels,
        *,
        groups: int = 1,
        across: int | None = None,
    ) -> None:
        """Say which channels lie along a dimension of a weight."""
        self._use(view.name)
        place = view.axes[dim]
        if place is None:
            return
        axis, start = place
        if groups == 1:
            whole = np.full(view.shape[axis], NONE, np.int64)
            whole[start : start + len(labels)] = labels
            before = self.wiring.labels_of(view.name, axis, role)
            if before is not None:
                self.wiring.join(before, whole)
            labels = whole
        why = "seen in a run of forward"
        order = self.orders[view.name]
        self.wiring.attach(view.name, axis, role, labels, order, certain=True, why=why, groups=groups, across=across)

    def outputs(self, view: WeightView, dim: int, size: int) -> Labels:
        """Labels of what a weight writes; the same each time that it is used."""
        self._use(view.name)
        place = view.axes[dim]
        if place is None:
            return self.wiring.space(size)
        axis, start = place
        known = self.wiring.labels_of(view.name, axis, "writes")
        if known is not None and (known[start : start + size] >= 0).all():
            return known[start : start + size]
        labels = self.wiring.space(size)
        self.attach(view, dim, "writes", labels)
        return labels

    def _use(self, name: str) -> None:
        if name not in self.orders:
            self.orders[name] = float(len(self.orders))
            self.modules.add(name.rpartition(".")[0])


def _on_meta(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments with devices replaced: all that runs, runs without values."""
    moves = len(args) > 1 and isinstance(args[0], torch.Tensor) and isinstance(args[1], str)
    return tuple(_device(value, "device" if moves and place == 1 else "") for place, value in enumerate(args))


def _device(value: Any, name: str) -> Any:
    if isinstance(value, torch.device) or (name == "device" and isinstance(value, str | int)):
        return torch.device("meta")
    return value


def _view(name: str, base: torch.Tensor, tensor: torch.Tensor) -> WeightView | None:
    """Find the axes of a view by its strides, which tensors without values have, too."""
    strides = [int(stride) for stride in base.stride()]
    offset = int(tensor.storage_offset() - base.storage_offset())
    start = [0] * base.ndim
    for axis in sorted(range(base.ndim), key=lambda axis: -strides[axis]):
        if strides[axis] > 0 and base.shape[axis] > 1:
            start[axis], offset = divmod(offset, strides[axis])
    axes: list[tuple[int, int] | None] = []
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        found = None
        if size > 1 and stride > 0:  # not what is repeated
            fitting = [at for at in range(base.ndim) if base.shape[at] > 1 and strides[at] == stride]
            if not fitting or start[fitting[0]] + size > base.shape[fitting[0]]:
                return None
            found = fitting[0], start[fitting[0]]
        axes.append(found)
    return WeightView(name, tuple(base.shape), tuple(axes))


def vector(labels: LabelTensor, dim: int) -> Labels | None:
    """Labels along one dimension; None if they are not the same all along the others, or there are none."""
    if not labels.ndim:
        return None
    dim %= labels.ndim
    compact = narrowed(labels)
    if compact.numel() > MOST:
        return None
    first = compact[tuple(slice(None) if at == dim else slice(0, 1) for at in range(labels.ndim))]
    if not bool((compact == first).all()) or not bool((first >= 0).any()):
        return None
    flat = first.reshape(-1)
    return (flat.expand(labels.shape[dim]) if len(flat) == 1 else flat).numpy().copy()


def narrowed(labels: LabelTensor) -> LabelTensor:
    """The labels without repetitions along dimensions on which they do not depend."""
    keep = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in labels.stride())
    return labels[keep]


def spread(labels: Labels, dim: int, tensor: torch.Tensor) -> LabelTensor:
    """Labels along one dimension, as those of an activation."""
    shape = [1] * tensor.ndim
    shape[dim] = len(labels)
    return torch.from_numpy(np.ascontiguousarray(labels)).view(shape).expand(tuple(tensor.shape))
