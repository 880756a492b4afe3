"""Mixtures of experts: experts that are modules of their own, experts stacked in one tensor, and their routers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from weightwidget.anatomy.axes import Axes, Split, equal_split, numbered
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import ExpertLayer, ExpertWeights
from weightwidget.anatomy.rules.model import Model
from weightwidget.sources.base import TensorRef

ROUTERS = (
    *("gate", "router", "router.classifier", "router.layer", "router.linear", "router.proj", "router.gate", "gate.wg"),
    *("gate.linear", "gate.proj", "wg", "gating", "gate_network", "router.dense", "gate.gate", "switch"),
)
"""Paths of routers from the module that contains them and the experts."""

_SEPARATE = re.compile(
    r"(?P<path>.*?)(?:^|(?<=\.))(?P<experts>\w*experts?)\.(?P<word>expert_)?(?P<number>\d+)\.(?P<rest>.+)"
)

_ROLES = ("gate_up_proj", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3", "v1", "wi", "wo", "w_in", "w_out")

_STACKED_NAMES = (*_ROLES, "input_linear", "output_linear")
_GUESSED = "guessed from its name and shape"


def mixtures_of_experts(model: Model, found: Found) -> None:
    """Find the mixtures of experts, their axes and their routers."""
    separate_experts(model, found)
    stacked_experts(model, found)


# -- modules of their own -----------------------------------------------------------------------------------------


def separate_experts(model: Model, found: Found) -> None:
    """Experts that are modules: ``mlp.experts.5.gate_proj.weight``."""
    layers: dict[tuple[str, str], dict[str, dict[int, TensorRef]]] = {}
    for name, ref in model.source.tensors.items():
        if "expert" not in name or len(ref.shape) < 2:
            continue
        match = _SEPARATE.fullmatch(name)
        if match is not None:
            path, group, word, rest = match["path"], match["experts"], match["word"] or "", match["rest"]
            pattern = f"{path}{group}.{word}*.{rest}"
            layers.setdefault((path.removesuffix("."), group), {}).setdefault(pattern, {})[int(match["number"])] = ref
    for (path, _), patterns in layers.items():
        counts = {len(refs) for refs in patterns.values()}
        count = max(counts)
        if count < 2:
            continue
        weights = tuple(
            ExpertWeights(_role(pattern), pattern)
            for pattern, refs in patterns.items()
            if sorted(refs) == list(range(count)) and len({ref.shape for ref in refs.values()}) == 1
        )
        if weights:
            refs = [ref for parts in patterns.values() for ref in parts.values()]
            certain = all(ref.name in found.axes and found.axes[ref.name].certain for ref in refs)
            why = "experts that are modules" if certain else "guessed from the names of the experts"
            _add_layer(model, found, path, count, weights, certain, why)


def _role(pattern: str) -> str:
    return pattern.rpartition("*.")[2].removesuffix(".weight")


# -- stacked ------------------------------------------------------------------------------------------------------


def stacked_experts(model: Model, found: Found) -> None:
    """Experts in one tensor: (expert, out, in), (expert, in, out), or, DBRX, (expert * out, in)."""
    for path, leaves in model.own.items():
        weights = {leaf: ref for leaf, ref in leaves.items() if leaf in _STACKED_NAMES and ref.name not in found.axes}
        if not weights:
            continue
        if all(len(ref.shape) == 3 for ref in weights.values()):
            _add_stacked(model, found, path, leaves, weights)
        elif model.info(path).kind == "DbrxExpertGLU" or (path.endswith("experts.mlp") and "v1" in weights):
            _add_dbrx(model, found, path, weights)
    for path, leaves in model.own.items():
        ref = leaves.get("weight")
        if ref is not None and len(ref.shape) == 3 and ref.name not in found.axes:
            kind, trusted = model.info(path).kind, model.trusted(path)
            if trusted and "ParallelExperts" in kind:
                _name(found, ref, 1, 2, (), True, f"{kind}: (expert, out, in)")


def _add_stacked(
    model: Model, found: Found, path: str, leaves: Mapping[str, TensorRef], weights: Mapping[str, TensorRef]
) -> None:
    # LongCat routes some tokens to experts that do nothing, and have a first weight but no second.
    count = min(ref.shape[0] for ref in weights.values())
    info = model.info(path)
    named = "expert" in path.lower() or "expert" in info.kind.lower()
    above = path if _router(model, path, count) is not None else path.rpartition(".")[0]
    router = _router(model, above, count)
    if not named and router is None:
        return
    told = {**model.config(path), **info.hyper}
    expected = _expected_inputs(told, router, count)
    # Without a class the gate may lie in the first half or in every other row: most files have halves.
    alternating = info.hyper.get("is_concatenated") is False or info.kind == "GptOssExperts"
    alternating |= not info.kind and "gate_up_proj_bias" in leaves  # GPT-OSS again, by its names
    certain, kind = model.trusted(path) and info.kind.endswith("Experts"), info.kind
    ins, doubtful = _input_axes(weights, expected, told, kind)
    why = f"{kind}: (expert, {'in, out' if 1 in ins.values() else 'out, in'})" if certain else _GUESSED
    if doubtful and not certain:
        why += "; which axis is that of the inputs cannot be told from sizes that are alike"
    sure = certain and not doubtful
    for leaf, ref in weights.items():
        out = 3 - ins[leaf]
        halves = leaf == "gate_up_proj" and ref.shape[out] % 2 == 0
        inner = (Split(out, "half", ("gate", "up"), (ref.shape[out] // 2,) * 2),) if halves and not alternating else ()
        label = "out" if not halves else "(hidden gate_up)" if alternating else "(gate_up hidden)"
        _name(found, ref, out, ins[leaf], inner, sure, why, label)
        bias = leaves.get(f"{leaf}_bias")
        if bias is not None and bias.shape == (ref.shape[0], ref.shape[out]):
            along = (Split(1, "half", ("gate", "up"), (ref.shape[out] // 2,) * 2),) if inner else ()
            split = equal_split(0, "expert", numbered("expert", ref.shape[0]), ref.shape[0], along)
            found.axes[bias.name] = Axes(("expert", label), "bias", sure, why, output=1, splits=(split,))
    roles = tuple(ExpertWeights(leaf, ref.name, 0) for leaf, ref in weights.items())
    _add_layer(model, found, above if router is not None else path, count, roles, sure, why)


def _expected_inputs(told: Mapping[str, Any], router: tuple[TensorRef, int] | None, count: int) -> int | None:
    """Size of what the experts read: the router reads it too."""
    if router is not None and router[0].shape[1 - router[1]] != count:
        return router[0].shape[1 - router[1]]
    found = (told.get(key) for key in ("hidden_dim", "hidden_size", "d_model", "n_embd"))
    return next((size for size in found if type(size) is int), None)


_DOWN = ("down_proj", "w2", "wo", "w_out", "output_linear")
"""Weights that read what the others made."""


def _input_axes(
    weights: Mapping[str, TensorRef], width: int | None, told: Mapping[str, Any], kind: str
) -> tuple[dict[str, int], bool]:
    """Axis of the inputs of each stacked weight, and whether sizes that are alike leave it open."""
    up = next((ref for leaf, ref in weights.items() if leaf not in _DOWN), None)
    down = next((weights[leaf] for leaf in _DOWN if leaf in weights), None)
    votes = set()
    for axis in (1, 2):
        # The first weights read `width` numbers, and what they make is what the others read: once, or twice as much
        # of gate and up together.
        fits = up is None or width is None or up.shape[axis] == width
        if up is not None and down is not None:
            fits = fits and up.shape[3 - axis] in (down.shape[axis], 2 * down.shape[axis])
        if fits:
            votes.add(axis)
    doubtful = len(votes) != 1
    turned = told.get("is_transposed") is True or kind in ("GptOssExperts", "AriaExperts")
    if doubtful:
        votes = {1 if turned else 2}
        doubtful = not kind.endswith("Experts")
    return dict.fromkeys(weights, votes.pop()), doubtful


def _name(
    found: Found,
    ref: TensorRef,
    out: int,
    in_: int,
    inner: tuple[Split, ...],
    certain: bool,
    why: str,
    label: str = "out",
) -> None:
    names = ["expert", "in", "in"]
    names[out] = label
    count = ref.shape[0]
    split = equal_split(0, "expert", numbered("expert", count), count, inner)
    found.axes[ref.name] = Axes(tuple(names), "expert", certain, why, out, in_, splits=(split,))


def _add_dbrx(model: Model, found: Found, path: str, weights: Mapping[str, TensorRef]) -> None:
    """w1 and v1 (expert * hidden, in); w2 (expert * hidden, out), which is multiplied from the left."""
    above = path.removesuffix(".mlp").removesuffix(".experts")
    layer = model.matrices.get(f"{above}.router.layer")
    count = model.info(path).hyper.get("moe_num_experts", layer.shape[0] if layer is not None else None)
    if type(count) is not int or count < 1 or any(ref.shape[0] % count for ref in weights.values()):
        return
    certain = model.trusted(path) or model.is_known_file
    why = "DbrxExpertGLU" if certain else _GUESSED
    for leaf, ref in weights.items():
        split = equal_split(0, "expert", numbered("expert", count), ref.shape[0])
        turned = leaf == "w2"
        names = ("(expert in)", "out") if turned else ("(expert out)", "in")
        found.axes[ref.name] = Axes(names, "expert", certain, why, int(turned), int(not turned), splits=(split,))
    roles = tuple(ExpertWeights(leaf, ref.name, 0) for leaf, ref in weights.items())
    _add_layer(model, found, above, count, roles, certain, why)


# -- routers ------------------------------------------------------------------------------------------------------


def _router(model: Model, path: str, count: int) -> tuple[TensorRef, int] | None:
    """The router of the experts in a module, and its axis of experts."""
    for name in ROUTERS:
        ref = model.matrices.get(f"{path}.{name}" if path else name)
        if ref is not None and len(ref.shape) == 2 and count in ref.shape:
            axis = 0 if ref.shape[0] == count else 1
            return ref, axis
    return None


def _add_layer(
    model: Model,
    found: Found,
    path: str,
    count: int,
    weights: tuple[ExpertWeights, ...],
    certain: bool,
    why: str,
) -> None:
    router = _router(model, path, count)
    axis = 0
    if router is not None:
        ref, axis = router
        old = found.axes.get(ref.name)
        if old is not None and old.output is not None:
            axis = old.output
        names = ("expert", "in") if axis == 0 else ("in", "expert")
        sure = (old is not None and old.certain) or model.trusted(ref.module)
        reason = model.info(ref.module).kind or _GUESSED
        found.axes[ref.name] = Axes(names, "router", sure, reason, output=axis, input=1 - axis)
        for leaf in ("bias", "e_score_correction_bias"):
            bias = model.beside(ref).get(leaf)
            if bias is not None and bias.shape == (count,):
                found.axes[bias.name] = Axes(("expert",), "bias", sure, reason, output=0)
    found.experts.append(
        ExpertLayer(
            path, count, weights, router[0].name if router is not None else None, axis, certain=certain, why=why
        )
    )
