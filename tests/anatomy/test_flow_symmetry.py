"""Links by what they mean: exchanging two channels in all tensors of their space leaves the outputs as they are.

A link too many, one too few, or one to the wrong position changes the outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.anatomy.flow_models import LIBRARY, OWN, library_model
from weightwidget import open_weights
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.flow import Flow, Space, links


def outputs(model: nn.Module, given: Any) -> torch.Tensor:
    with torch.no_grad():
        out = model(**given) if isinstance(given, dict) else model(given)
    for name in ("logits", "pooler_output"):
        if hasattr(out, name):
            return getattr(out, name)
    return out


def randomised(model: nn.Module) -> nn.Module:
    """Give what starts as ones and zeros other values: what is constant cannot tell channels apart."""
    torch.manual_seed(1)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point() and tensor.ndim < 2:
                tensor.copy_(torch.rand_like(tensor) + 0.5)
            elif tensor.is_floating_point():
                tensor.normal_(0, 0.3)
    return model.eval()


def inner(flow: Flow) -> list[Space]:
    """Spaces that something in the network writes and something else reads."""
    return [
        space
        for space in flow
        if {"writes", "filters"} & {member.role for member in space.members}
        and "reads" in {member.role for member in space.members}
    ]


def exchangeable(space: Space, model: nn.Module, blocks: dict[str, int]) -> tuple[int, int]:
    """Two channels that may be exchanged: of one head, and of one group of convolutions and norms."""
    parts = [np.zeros(space.size, int)]
    tensors = dict(model.named_parameters(remove_duplicate=False))
    for member in space.members:
        if member.groups > 1:
            assert member.channels is not None
            group = np.zeros(space.size, int)
            length = len(member.channels) // member.groups
            for at, channel in enumerate(member.channels.tolist()):
                if channel >= 0:
                    group[channel] = at // length
            parts.append(group)
        owner = model.get_submodule(member.tensor.rpartition(".")[0]) if member.tensor in tensors else None
        # What a grouped convolution writes, and a transposed one reads, lies in groups, too; so does what a group norm
        # scales.
        count = getattr(owner, "num_groups", 1)
        if isinstance(owner, nn.Conv2d) and member.role == "writes":
            count = owner.groups
        if isinstance(owner, nn.ConvTranspose2d) and member.role == "reads":
            count = owner.groups
        if count > 1:
            parts.append(np.arange(space.size) * count // space.size)
    if space.name.rpartition(" of ")[2] in blocks:
        parts.append(np.arange(space.size) // blocks[space.name.rpartition(" of ")[2]])
    # Positions that carry no channel of the space tell channels apart: of a half, exchange within it.
    for member in space.members:
        carried = np.array([len(member.positions(channel)) for channel in range(space.size)])
        parts.append(carried)
    together = np.stack(parts)
    rng = np.random.default_rng(space.number)
    read = sum(
        np.array([len(member.positions(channel)) for channel in range(space.size)])
        for member in space.members
        if member.role == "reads"
    )
    # Queries and keys of one fused layer meet in a product, which no weight reads.
    for first in rng.permutation(np.flatnonzero(read)):
        same = [
            other for other in range(space.size) if other != first and (together[:, other] == together[:, first]).all()
        ]
        if same:
            return int(first), int(rng.choice(same))
    pytest.fail(f"no two channels of the {space.name} can be exchanged")


def exchange(model: nn.Module, space: Space, first: int, second: int) -> None:
    """Exchange two channels in every member."""
    tensors = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    done: set[tuple[int, int, tuple[int, ...]]] = set()
    with torch.no_grad():
        for member in space.members:
            tensor = tensors[member.tensor]
            a, b = member.positions(first), member.positions(second)
            assert len(a) == len(b)
            key = (tensor.data_ptr(), member.axis, tuple(a.tolist()))
            if key in done or len(a) == 0:
                continue  # tied: one tensor by two names
            done.add(key)
            length = tensor.shape[member.axis]
            for at, to in zip(a.tolist(), b.tolist(), strict=True):
                part = tensor
                if member.groups > 1:
                    size = tensor.shape[member.across] // member.groups
                    assert at // length == to // length, "channels of different groups cannot be exchanged"
                    part = tensor.narrow(member.across, at // length * size, size)
                one, other = part.select(member.axis, at % length), part.select(member.axis, to % length)
                kept = one.clone()
                one.copy_(other)
                other.copy_(kept)


def check(model: nn.Module, given: Any, flow: Flow, spaces: list[Space], anatomy: Anatomy) -> None:
    blocks = {layer.path: layer.head_dim for layer in anatomy.attention} | {"qkv": 4}
    before = outputs(model, given)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    changed = 0
    for space in spaces:
        first, second = exchangeable(space, model, blocks)
        exchange(model, space, first, second)
        torch.testing.assert_close(
            outputs(model, given), before, rtol=1e-4, atol=1e-4, msg=lambda text, s=space: f"{s.name}: {text}"
        )
        model.load_state_dict(state)
        # And the exchange was one: a writer alone changes what comes out, unless both channels are dead here.
        writer = next(member for member in space.members if member.role in ("writes", "filters"))
        alone = Space(space.number, space.name, space.size, (writer,))
        exchange(model, alone, first, second)
        changed += not torch.allclose(outputs(model, given), before, rtol=1e-4, atol=1e-4)
        model.load_state_dict(state)
    assert changed >= 0.7 * len(spaces)


def rotates(space: Space, anatomy: Anatomy) -> bool:
    """Queries and keys that are rotated by position may be exchanged in pairs only."""
    rotary = {layer.path for layer in anatomy.attention if layer.rotary}
    return space.name.startswith("queries and keys of") and space.name.rpartition(" of ")[2] in rotary


def ready(made: Callable[[], nn.Module]) -> tuple[nn.Module, Anatomy]:
    torch.manual_seed(0)
    model = randomised(made())
    return model, Anatomy(open_weights(model))


@pytest.mark.parametrize("name", OWN)
def test_traced_links(name):
    made, example = OWN[name]
    model, anatomy = ready(made)
    given = example()
    flow = anatomy.trace(model, given)
    assert flow.traced
    assert all(member.certain for space in inner(flow) for member in space.members)
    check(model, given, flow, inner(flow), anatomy)


@pytest.mark.parametrize("name", LIBRARY)
def test_traced_links_of_transformers_models(name):
    model, given = library_model(name)
    model, anatomy = ready(lambda: model)
    flow = anatomy.trace(model, given)
    spaces = [space for space in inner(flow) if not rotates(space, anatomy)]
    check(model, given, flow, spaces, anatomy)
    # What is not tied together is not left alone: nearly all weights are in spaces that are written and read.
    linked = {member.tensor for space in inner(flow) for member in space.members}
    matrices = [name for name, ref in anatomy.source.tensors.items() if len(ref.shape) > 1 and ref.role != "buffer"]
    assert len(linked & set(matrices)) >= 0.8 * len(matrices)


@pytest.mark.parametrize("name", ["flattened", "sequential", "lstm", "transformer"])
def test_links_without_a_run(name):
    made, example = OWN[name]
    model, anatomy = ready(made)
    flow = links(anatomy.source, anatomy)
    assert not flow.traced
    check(model, example(), flow, inner(flow), anatomy)


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "t5", "vit"])
def test_links_of_transformers_models_without_a_run(name):
    model, given = library_model(name)
    model, anatomy = ready(lambda: model)
    flow = links(anatomy.source, anatomy)
    spaces = [space for space in inner(flow) if not rotates(space, anatomy)]
    streams = [space for space in spaces if space.name.startswith("residual stream")]
    assert len(streams) == 1  # T5's two share their embedding
    if name == "vit":
        # Class token and positions are the model's own parameters, which only a run links to the stream.
        spaces = [space for space in spaces if space not in streams]
    check(model, given, flow, spaces, anatomy)
