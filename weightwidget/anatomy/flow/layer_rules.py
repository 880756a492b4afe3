"""What PyTorch's layers do to channels: they read those of their input, and write others."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from weightwidget.anatomy.flow.calls import Call
from weightwidget.anatomy.flow.ports import Layer, attach_recurrent, read
from weightwidget.anatomy.flow.recorder import LabelTensor, Recorder, WeightView, narrowed, spread
from weightwidget.anatomy.flow.spaces import Labels, Role

CONVOLUTIONS = {
    "conv1d": (1, False),
    "conv2d": (2, False),
    "conv3d": (3, False),
    "conv_transpose1d": (1, True),
    "conv_transpose2d": (2, True),
    "conv_transpose3d": (3, True),
}
"""Number of spatial axes, and whether the kernel has its inputs first."""

PER_CHANNEL_NORMS = frozenset({"batch_norm", "instance_norm", "group_norm"})
"""Norms with a number for each channel of the second axis; those of others lie along the last."""


def linear(rec: Recorder, call: Call) -> None:
    """A fully connected layer: (outputs, inputs)."""
    given = call.bound("input", "weight", "bias")
    _affine(rec, given["input"], given["weight"], given.get("bias"), call.out, output=0)


def addmm(rec: Recorder, call: Call) -> None:
    """The product below a linear layer whose weights are stored as (inputs, outputs)."""
    given = call.bound("input", "mat1", "mat2")
    if rec.weight(given["mat2"]) is not None:
        _affine(rec, given["mat1"], given["mat2"], given["input"], call.out, output=1)
    else:
        rec.forget(call.out)


def _affine(rec: Recorder, x: torch.Tensor, weight: Any, bias: Any, out: torch.Tensor, output: int) -> None:
    view = rec.weight(weight)
    if view is None or len(view.axes) != 2:
        rec.forget(out)
        return
    rec.attach(view, 1 - output, "reads", rec.inputs(x, -1))
    labels = rec.outputs(view, output, weight.shape[output])
    _shift(rec, bias, labels)
    rec.give(out, spread(labels, -1, out))


def _shift(rec: Recorder, bias: Any, labels: Labels) -> None:
    view = rec.weight(bias)
    if view is not None and len(view.axes) == 1:
        rec.attach(view, 0, "shifts", labels)


def convolution(rec: Recorder, call: Call) -> None:
    """Convolutions, transposed, grouped and depthwise ones too."""
    spatial, transposed = CONVOLUTIONS[call.name]
    order = ("input", "weight", "bias", "stride", "padding")
    rest = ("output_padding", "groups", "dilation") if transposed else ("dilation", "groups")
    given = call.bound(*order, *rest)
    x, weight, groups = given["input"], given["weight"], int(given.get("groups", 1))
    view = rec.weight(weight)
    dim = x.ndim - spatial - 1
    if view is None or dim < 0:
        rec.forget(call.out)
        return
    source = rec.inputs(x, dim)
    outputs = call.out.shape[dim]
    if groups == len(source) == outputs and weight.shape[1] == 1:
        rec.attach(view, 0, "filters", source)  # depthwise: every channel stays apart
        labels = source
    elif transposed:
        rec.attach(view, 0, "reads", source)
        if groups == 1:
            labels = rec.outputs(view, 1, outputs)
        else:
            labels = rec.wiring.space(outputs)
            rec.attach(view, 1, "writes", labels, groups=groups, across=0)
    else:
        rec.attach(view, 1, "reads", source, groups=groups, across=0 if groups > 1 else None)
        labels = rec.outputs(view, 0, outputs)
    _shift(rec, given.get("bias"), labels)
    rec.give(call.out, spread(labels, dim, call.out))


_NORM_ROLES: dict[str, Role] = {"running_mean": "mean", "running_var": "variance", "bias": "shifts", "beta": "shifts"}


def norm(rec: Recorder, call: Call) -> None:
    """Norms, which leave channels where they are. The order of arguments differs; the names of tensors tell."""
    x = call.input
    result = call.result
    dim = 1 if call.name in PER_CHANNEL_NORMS else x.ndim - 1
    tensors = [value for value in (*call.args[1:], *call.kwargs.values()) if isinstance(value, torch.Tensor)]
    if all(tensor.ndim == 1 for tensor in tensors):
        labels = rec.inputs(x, dim)
        views = [view for view in map(rec.weight, tensors) if view is not None and view.shape == labels.shape]
        roles: list[tuple[WeightView, Role]] = [
            (view, _NORM_ROLES.get(view.name.rpartition(".")[2], "scales")) for view in views
        ]
        order = ("scales", "shifts", "mean", "variance")
        for view, role in sorted(roles, key=lambda pair: order.index(pair[1])):
            rec.attach(view, 0, role, labels)
    rec.give(result, rec.labels(x))


def prelu(rec: Recorder, call: Call) -> None:
    """A slope for each channel."""
    given = call.bound("input", "weight")
    x, view = given["input"], rec.weight(given["weight"])
    if view is not None and given["weight"].numel() > 1 and x.ndim > 1:
        rec.attach(view, 0, "scales", rec.inputs(x, 1))
    rec.give(call.out, rec.labels(x))


def embedding(rec: Recorder, call: Call) -> None:
    """A table of vectors."""
    # F.embedding has the ids first, the operation below it the table.
    view = next(
        (rec.weight(value) for value in (*call.args, *call.kwargs.values()) if rec.weight(value) is not None), None
    )
    result = call.result
    if view is None or len(view.axes) != 2:
        rec.forget(call.out)
        return
    rec.give(result, spread(rec.outputs(view, 1, result.shape[-1]), -1, result))


def recurrent_layer(rec: Recorder, call: Call) -> None:
    """PyTorch's recurrent layers: their classes fix what is inside."""
    weights = next(value for value in call.args if isinstance(value, list | tuple) and rec.weight(value[0]) is not None)
    x, result = call.args[0], call.out[0]
    layer = _recurrent_layer(rec, weights, rec.along(x, -1))
    if layer is None or layer.outputs is None:
        rec.forget(call.out)
        return
    if len(layer.outputs) == result.shape[-1]:
        rec.give(result, spread(layer.outputs, -1, result))
    hidden = call.out[1]
    if hidden.ndim >= 2 and len(layer.outputs) % hidden.shape[-1] == 0:
        # The last states of the last layer, one row for each direction; of layers below nothing is told.
        rows = torch.from_numpy(layer.outputs.reshape(-1, hidden.shape[-1]))
        labels = torch.full((hidden.shape[0], hidden.shape[-1]), -1, dtype=torch.int64)
        labels[-len(rows) :] = rows
        if hidden.ndim == 3:
            labels = labels[:, None]
        rec.give(hidden, labels.expand(tuple(hidden.shape)))


def cell(rec: Recorder, call: Call) -> None:
    """A single step of a recurrent cell."""
    layer = _recurrent_layer(rec, call.args[2:], rec.along(call.args[0], -1))
    for state in call.out if isinstance(call.out, tuple) else (call.out,):
        rec.give(state, spread(layer.outputs, -1, state) if layer is not None and layer.outputs is not None else None)


def _recurrent_layer(rec: Recorder, weights: Any, labels: Labels | None) -> Layer | None:
    views = [view for view in map(rec.weight, weights) if view is not None]
    for view in views:
        rec._use(view.name)
    path = views[0].name.rpartition(".")[0]
    cells = [cell for cell in rec.anatomy.recurrent if cell.path == path]
    if not cells:
        return None
    layer = Layer(path, "", form="recurrent", recurrent=cells)
    known = rec.states.get(path)
    if known is None:
        attach_recurrent(layer, rec.source, rec.wiring, rec.fallback)
        rec.states[path] = known = layer.outputs
    layer.outputs = known
    if labels is None:
        labels = rec.wiring.space(layer.inputs)
    if len(labels) == layer.inputs:
        read(layer, rec.wiring, rec.fallback, labels, True, "seen in a run of forward")
    return layer


def multihead(rec: Recorder, call: Call) -> None:
    """PyTorch's attention: the inner channels are those of `attach_heads`; here what it reads and writes."""
    given = call.bound(
        *("query", "key", "value", "embed_dim", "num_heads", "in_proj_weight", "in_proj_bias", "bias_k", "bias_v"),
        *("add_zero_attn", "dropout_p", "out_proj_weight", "out_proj_bias"),
    )
    x = [given[name] for name in ("query", "key", "value")]
    fused = rec.weight(given.get("in_proj_weight"))
    if fused is not None:
        whose = [rec.inputs(tensor, -1) for tensor in x]
        rec._use(fused.name)
        if all(np.array_equal(one, whose[0]) for one in whose):
            rec.attach(fused, 1, "reads", whose[0])
        else:
            rec.attach(fused, 1, "reads", np.concatenate(whose), groups=3, across=0)
        bias = rec.weight(given.get("in_proj_bias"))
        if bias is not None:
            rec._use(bias.name)
    else:
        for name, tensor in zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), x, strict=True):
            view = rec.weight(call.kwargs.get(name))
            if view is not None:
                rec.attach(view, 1, "reads", rec.inputs(tensor, -1))
    result = call.out[0]
    weight = given["out_proj_weight"]
    view = rec.weight(weight)
    if view is None:
        rec.forget(call.out)
        return
    labels = rec.outputs(view, 0, weight.shape[0])
    _shift(rec, given.get("out_proj_bias"), labels)
    rec.give(result, spread(labels, -1, result))


def attention_product(rec: Recorder, call: Call) -> None:
    """The product of attention: outputs carry the channels of the values; queries and keys meet channel by channel."""
    given = call.bound("query", "key", "value")
    query, key, value = (rec.labels(given[name]) for name in ("query", "key", "value"))
    if query is not None and key is not None:
        _meet(rec, query, key)
    if value is None or value.stride(-2) != 0:
        rec.forget(call.out)
        return
    heads = call.out.shape[-3] if call.out.ndim > 2 and value.ndim > 2 else 1
    if value.ndim > 2 and value.shape[-3] not in (1, heads):
        value = value.repeat_interleave(heads // value.shape[-3], -3)  # grouped-query attention
    rec.give(call.out, value.select(-2, 0).unsqueeze(-2).expand(tuple(call.out.shape)))


def _meet(rec: Recorder, query: LabelTensor, key: LabelTensor) -> None:
    """Join the channels of queries and keys, if each position has the same."""
    if query.stride(-2) != 0 or key.stride(-2) != 0:
        return
    first, second = query.select(-2, 0), key.select(-2, 0)
    if first.shape == second.shape:
        both = torch.broadcast_tensors(narrowed(first), narrowed(second))  # type: ignore[no-untyped-call]
        rec.wiring.join(both[0].reshape(-1).numpy(), both[1].reshape(-1).numpy())


def product(rec: Recorder, call: Call) -> None:
    """Products of matrices: with a weight a linear layer, of activations as in attention."""
    first, second = call.args[0], call.args[1] if len(call.args) > 1 else next(iter(call.kwargs.values()))
    if call.name == "__rmatmul__":
        first, second = second, first
    view = rec.weight(second)
    if view is not None and len(view.axes) == 2:
        _affine(rec, first, second, None, call.out, output=1)
        return
    left, right = rec.labels(first), rec.labels(second)
    rec.forget(call.out)
    if min(first.ndim, second.ndim) < 2:
        return
    if left is not None and right is not None and left.stride(-2) == 0 and right.stride(-1) == 0:
        _meet(rec, left, right.transpose(-1, -2))
    elif right is not None and right.stride(-2) == 0 and left is None:
        # Positions are mixed, channels are not.
        rec.give(call.out, right.select(-2, 0).unsqueeze(-2).expand(tuple(call.out.shape)))
    elif left is not None and left.stride(-1) == 0 and right is None:
        rec.give(call.out, left.select(-1, 0).unsqueeze(-1).expand(tuple(call.out.shape)))
