"""What moves, combines and reduces activations, done to the labels of their channels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from weightwidget.anatomy.flow.calls import Call
from weightwidget.anatomy.flow.recorder import MOST, LabelTensor, Recorder, WeightView, spread, vector
from weightwidget.anatomy.flow.spaces import Role


def passes(rec: Recorder, call: Call) -> None:
    """What is done to every element by itself."""
    x = call.input
    result = call.result
    if not isinstance(result, torch.Tensor):
        return
    labels = rec.labels(x)
    rec.give(result, labels if labels is not None and labels.shape == result.shape else None)
    view = rec.weight(x)
    if view is not None and result is not x and result.shape == x.shape:
        rec.compute(result, view)


def elementwise(rec: Recorder, call: Call) -> None:
    """What combines activations, or an activation and a weight, element by element."""
    tensors = call.tensors
    labelled = [(tensor, labels) for tensor in tensors if (labels := rec.labels(tensor)) is not None]
    if not labelled:
        views = [(tensor, view) for tensor in tensors if (view := rec.weight(tensor)) is not None]
        whole = next(((tensor, view) for tensor, view in views if tensor.shape == call.out.shape), None)
        if whole is not None:
            rec.compute(call.out, whole[1])  # a mask on weights, weights that are scaled
        rec.forget(call.out)
        return
    shape = tuple(call.out.shape)
    result = labelled[0][1].expand(shape)
    for _, labels in labelled[1:]:
        result = _combined(rec, result, labels.expand(shape))
    product = "mul" in call.name or "div" in call.name
    for tensor in tensors:
        view = rec.weight(tensor)
        if view is not None:
            attach_broadcast(rec, tensor, view, result, product)
    rec.give(call.out, result)


def _combined(rec: Recorder, first: LabelTensor, second: LabelTensor) -> LabelTensor:
    """Labels of what two activations give together, element by element: their channels are the same from now on."""
    keep = tuple(
        slice(0, 1) if a == 0 and b == 0 else slice(None) for a, b in zip(first.stride(), second.stride(), strict=True)
    )
    a, b = first[keep], second[keep]
    if a.numel() > MOST:
        return torch.full((), -1, dtype=torch.int64).expand(first.shape)
    wiring = rec.wiring
    left, right = (torch.from_numpy(wiring.canonical(side.numpy())) for side in (a, b))
    known_left, known_right = (len(torch.unique(side[side >= 0])) for side in (left, right))
    # One number that scales all channels, as an attention weight does, is no channel of theirs.
    if known_left and known_right and 1 in (known_left, known_right) and known_left != known_right:
        return (first if known_left > known_right else second).expand(first.shape)
    joined = wiring.join(a.reshape(-1).numpy(), b.reshape(-1).numpy())
    either = torch.where(left >= 0, left, right)
    if not joined:
        # Different channels of one space together, as rotary positions do: a mixture, which is followed no further.
        either = torch.where((left >= 0) & (right >= 0) & (left != right), -1, either)
    return either.expand(first.shape)


def attach_broadcast(rec: Recorder, tensor: torch.Tensor, view: WeightView, labels: LabelTensor, product: bool) -> None:
    """Attach a weight that is added to an activation, or multiplied with it."""
    offset = labels.ndim - tensor.ndim
    for dim in range(tensor.ndim):
        if tensor.shape[dim] < 2 or view.axes[dim] is None:
            continue
        along = vector(labels, dim + offset)
        if along is None or len(np.unique(along)) < 2:
            continue
        per_channel = sum(size > 1 for size in tensor.shape) == 1
        role: Role = "scales" if product else "shifts" if per_channel else "writes"
        rec.attach(view, dim, role, along)
        return


def move(rec: Recorder, call: Call) -> None:
    """What only moves elements about does the same with their labels."""
    operands = call.args[0] if call.args and isinstance(call.args[0], list | tuple) else call.args[:1]
    tensors = [value for value in operands if isinstance(value, torch.Tensor)]
    if not any(rec.labels(tensor) is not None for tensor in tensors):
        rec.forget(call.out)
        return
    moved: Any
    if len(tensors) > 1:
        tensors_labels = _filled(rec, tensors, call)
        moved = call.func(tensors_labels, *call.args[1:], **call.kwargs)
    else:
        rest = list(call.args[1:])
        labels = rec.labels(tensors[0])
        assert labels is not None  # one has labels, and there is but one
        if call.name in ("view_as", "reshape_as", "expand_as"):
            moved = labels.reshape(rest[0].shape) if "expand" not in call.name else labels.expand(rest[0].shape)
        elif _has_tensor(rest):
            _picked(rec, labels, call.out)
            return
        elif call.name in ("view", "_unsafe_view"):
            moved = labels.reshape(tuple(call.out.shape)) if _is_shape(rest, call.out) else None
        else:
            first = [[labels], *rest] if isinstance(call.args[0], list | tuple) else [labels, *rest]
            moved = call.func(*first, **call.kwargs)
    results, found = (call.out, moved) if isinstance(call.out, tuple | list) else ((call.out,), (moved,))
    for result, labels in zip(results, found, strict=True):
        rec.give(result, labels)


def _is_shape(rest: list[Any], out: torch.Tensor) -> bool:
    """Whether a view is one of shape: not one of another type."""
    return not (len(rest) == 1 and isinstance(rest[0], torch.dtype)) and isinstance(out, torch.Tensor)


def _has_tensor(values: Any) -> bool:
    if isinstance(values, torch.Tensor):
        return True
    return isinstance(values, list | tuple) and any(_has_tensor(value) for value in values)


def _picked(rec: Recorder, labels: LabelTensor, out: torch.Tensor) -> None:
    """Elements that are picked by positions which are not known here: the channels stay if they are the last axis."""
    along = vector(labels, -1)
    if along is not None and out.ndim and out.shape[-1] == len(along):
        rec.give(out, spread(along, -1, out))
    else:
        rec.forget(out)


def _filled(rec: Recorder, tensors: list[torch.Tensor], call: Call) -> list[LabelTensor]:
    """Labels of tensors that are put together; what has none beside the others takes theirs.

    Zeros, class tokens and positions that are put beside an activation along another axis carry its channels.
    """
    dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 and isinstance(call.args[1], int) else 0)
    known = [labels for tensor in tensors if (labels := rec.labels(tensor)) is not None]
    model = known[0]
    filled = []
    for tensor in tensors:
        labels = rec.labels(tensor)
        same = tensor.ndim == model.ndim and all(
            tensor.shape[at] == model.shape[at] for at in range(tensor.ndim) if at != dim % max(1, model.ndim)
        )
        if labels is None and same and model.ndim and model.stride(dim) == 0:
            labels = model.select(dim, 0).unsqueeze(dim).expand(tuple(tensor.shape))
            view = rec.weight(tensor)
            if view is not None:
                attach_broadcast(rec, tensor, view, labels, False)
        if labels is None:
            labels = torch.full((), -1, dtype=torch.int64).expand(tuple(tensor.shape))
        filled.append(labels)
    return [labels.expand(tuple(tensor.shape)) for labels, tensor in zip(filled, tensors, strict=True)]


def pool(rec: Recorder, call: Call) -> None:
    """Pooling and resizing: along each channel's own positions."""
    x = call.input
    result = call.result
    labels = rec.labels(x)
    if labels is None or labels.ndim != result.ndim:
        rec.forget(call.out)
        return
    changed = [dim for dim in range(labels.ndim) if labels.shape[dim] != result.shape[dim]]
    if any(labels.stride(dim) != 0 and labels.shape[dim] > 1 for dim in changed):
        rec.forget(call.out)
        return
    for dim in changed:
        labels = labels.narrow(dim, 0, 1)
    rec.give(result, labels.expand(tuple(result.shape)))


def reduce(rec: Recorder, call: Call) -> None:
    """Means and sums over positions; over the channels themselves nothing is left of them."""
    x = call.input
    result = call.result
    others = [value for value in call.args[1:] if isinstance(value, torch.Tensor)]
    if others:  # max(a, b)
        elementwise(rec, replace(call, out=result))
        return
    labels = rec.labels(x)
    dims = call.kwargs.get("dim", call.kwargs.get("axis", call.args[1] if len(call.args) > 1 else None))
    if labels is None or dims is None or not isinstance(result, torch.Tensor):
        rec.forget(call.out)
        return
    chosen = {dim % labels.ndim for dim in ([dims] if isinstance(dims, int) else dims)}
    keep = result.ndim == labels.ndim
    if any(labels.stride(dim) != 0 and labels.shape[dim] > 1 for dim in chosen):
        rec.forget(call.out)
        return
    for dim in sorted(chosen, reverse=True):
        labels = labels.narrow(dim, 0, 1) if keep else labels.select(dim, 0)
    rec.give(result, labels.expand(tuple(result.shape)))
