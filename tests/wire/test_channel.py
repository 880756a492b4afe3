"""A channel's numbers as requests give them, against float64 NumPy."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.anatomy.flow_models import Branches, FlattenedCNN
from weightwidget import WeightExplorer
from weightwidget.wire.answers.base import Job
from weightwidget.wire.handlers import SLOW, answer


@pytest.fixture
def explorer():
    torch.manual_seed(0)
    model = FlattenedCNN()
    with torch.no_grad():
        model.bn2.weight.copy_(torch.rand(6) + 0.5)
        model.bn2.running_mean.normal_()
        model.bn2.weight[4] = 1e-9
        model.conv2.weight[2] = 0
        model.fc1.weight[:, 60:72] = 0  # all positions of channel 5
    made = WeightExplorer(model).wait()
    yield made
    made.close()


def ask(explorer: WeightExplorer, kind: str, **fields: Any) -> tuple[dict[str, Any], list[np.ndarray]]:
    reply, buffers = answer(explorer, {"kind": kind, "id": "1", **fields})
    json.dumps(reply, allow_nan=False)
    types = {"channel_space": [np.float32, np.float32, np.float64, np.float64]}.get(kind, [np.float64])
    return reply, [np.frombuffer(buffer, dtype) for buffer, dtype in zip(buffers, types, strict=False)]


def reference(model: FlattenedCNN) -> dict[tuple[str, int], np.ndarray]:
    """Numbers of the 6 channels between conv2 and fc1."""
    state = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    read = (state["fc1.weight"] ** 2).reshape(7, 6, 12).sum((0, 2))
    return {
        ("conv2.weight", 0): np.sqrt((state["conv2.weight"] ** 2).sum((1, 2, 3))),
        ("conv2.bias", 0): state["conv2.bias"],
        ("bn2.weight", 0): state["bn2.weight"],
        ("bn2.bias", 0): state["bn2.bias"],
        ("bn2.running_mean", 0): state["bn2.running_mean"],
        ("bn2.running_var", 0): state["bn2.running_var"],
        ("fc1.weight", 1): np.sqrt(read),
    }


def test_the_spaces_of_a_tensor(explorer):
    reply, _ = ask(explorer, "channel", path="conv2.weight")
    assert [(c["axis"], c["role"], c["size"]) for c in reply["choices"]] == [(1, "reads", 5), (0, "writes", 6)]
    assert reply["space"] == reply["choices"][1]["space"]
    assert reply["channel"] is None
    assert reply["traceable"]
    assert not reply["traced"]
    inputs, _ = ask(explorer, "channel", path="fc1.weight", axis=1, position=37)
    assert (inputs["space"], inputs["channel"]) == (reply["space"], 3)
    # What is followed goes on being followed in a tensor that belongs to it.
    again, _ = ask(explorer, "channel", path="conv2.weight", followed=reply["choices"][0]["space"])
    assert again["space"] == reply["choices"][0]["space"]
    # Of a module the first tensor that has any; of a block the tensor that it is in.
    assert ask(explorer, "channel", path="bn2")[0]["tensor"] == "bn2.weight"
    assert ask(explorer, "channel", path="")[0]["tensor"] == "conv1.weight"
    assert ask(explorer, "channel", path="bn2.num_batches_tracked")[0]["choices"] == []


def test_profiles_of_all_members(explorer):
    space = ask(explorer, "channel", path="bn2.weight")[0]["space"]
    reply, (low, high, spreads, strange) = ask(explorer, "channel_space", space=space, bins=100)
    expected = reference(explorer._obj)
    assert [(m["tensor"], m["axis"]) for m in reply["members"]] == list(expected)
    assert (reply["size"], reply["step"], reply["certain"]) == (6, 1, False)
    values = np.stack(list(expected.values()))
    np.testing.assert_allclose(low.reshape(7, 6), values, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(low, high)
    table = spreads.reshape(7, 6)
    np.testing.assert_allclose(table[:, 0], np.median(values, axis=1), rtol=1e-6)
    np.testing.assert_allclose(table[:, 2], values.min(1), rtol=1e-6)
    np.testing.assert_allclose(table[:, 5], np.quantile(values, 0.95, axis=1), rtol=1e-6)
    told = {(one["channel"], one["reason"]) for one in reply["unusual"]}
    assert {(4, "off"), (2, "unwritten"), (5, "unread")} <= told
    assert len(strange) == 2 * len(reply["unusual"])
    assert [m["times"] for m in reply["members"]] == [1, 1, 1, 1, 1, 1, 12]
    assert [m["norm"] for m in reply["members"]] == [True, False, False, False, False, False, True]


def test_steps_keep_what_is_largest_and_smallest(explorer):
    space = ask(explorer, "channel", path="bn2.weight")[0]["space"]
    reply, (low, high, _, _) = ask(explorer, "channel_space", space=space, bins=3)
    assert reply["step"] == 2
    values = reference(explorer._obj)["conv2.weight", 0].reshape(3, 2)
    np.testing.assert_allclose(low[:3], values.min(1), rtol=1e-6)
    np.testing.assert_allclose(high[:3], values.max(1), rtol=1e-6)
    away = np.abs(values[1] - np.median(values))
    farthest, _ = ask(explorer, "channel_farthest", space=space, member=0, first=2, end=4)
    assert farthest["channel"] == 2 + int(away.argmax())


def test_the_numbers_of_one_channel(explorer):
    space = ask(explorer, "channel", path="bn2.weight")[0]["space"]
    reply, (numbers,) = ask(explorer, "channel_numbers", space=space, channel=3)
    assert reply["positions"] == [3, 3, 3, 3, 3, 3, 36]
    values = np.stack(list(reference(explorer._obj).values()))
    table = numbers.reshape(7, 5)
    np.testing.assert_allclose(table[:, 0], values[:, 3], rtol=1e-6)
    np.testing.assert_array_equal(table[:, 1], (values > values[:, 3:4]).sum(1) + 1)
    np.testing.assert_array_equal(table[:, 2], 6)


@pytest.mark.parametrize("grouped", ["pw.weight", "grp.weight", "dec.weight", "mix.weight"])
def test_the_strongest_partners(grouped):
    torch.manual_seed(0)
    model = Branches()
    explorer = WeightExplorer(model).wait()
    explorer.anatomy.trace(example=torch.empty(2, 3, 8, 8))
    weight = model.get_parameter(grouped).detach().double().numpy()
    # All connections, as (output, input) of the unfolded layer.
    groups = {"grp.weight": 4, "dec.weight": 2}.get(grouped, 1)
    norms = np.sqrt((weight**2).sum((2, 3)))
    if grouped == "dec.weight":  # (inputs, outputs of a group)
        full = np.zeros((6, 10))
        for at in range(10):
            group = at // 5
            full[group * 3 : group * 3 + 3, at] = norms[at]
    else:
        outputs, inside = norms.shape
        full = np.zeros((outputs, inside * groups))
        for at in range(outputs):
            group = at // (outputs // groups)
            full[at, group * inside : (group + 1) * inside] = norms[at]
    flow = explorer.anatomy.flow
    output_axis = 1 if grouped == "dec.weight" else 0
    written, writer = flow.of(grouped, output_axis)[0]
    place = written.members.index(writer)
    for channel in range(full.shape[0]):
        number = int(writer.channels[channel]) if writer.channels is not None and groups == 1 else channel
        reply, (values,) = ask(
            explorer, "channel_partners", space=written.number, channel=number, member=place, count=3
        )
        best = np.sort(full[channel][full[channel] > 0])[::-1][:3]
        np.testing.assert_allclose(values, best, rtol=1e-6)
        for (space, partner), value in zip(reply["partners"], values, strict=True):
            member = next(m for m in flow.spaces[space].members if m.tensor == grouped and m.role == "reads")
            assert value == pytest.approx(full[channel][member.positions(partner)[0]])
    explorer.close()


def test_numbers_are_kept_for_a_flow_and_renewed_after_a_refresh(explorer):
    model = explorer._obj
    space = ask(explorer, "channel", path="bn2.weight")[0]["space"]
    before, _ = ask(explorer, "channel_numbers", space=space, channel=1)
    assert before["channel"] == 1
    with torch.no_grad():
        model.bn2.weight[1] = 42
    explorer.refresh().wait()
    _, (numbers,) = ask(explorer, "channel_numbers", space=space, channel=1)
    assert numbers.reshape(7, 5)[2, 0] == 42


def test_tracing_on_request():
    explorer = WeightExplorer(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))).wait()
    reply, _ = ask(explorer, "trace")
    assert "run of forward" in reply["how"]
    assert ask(explorer, "channel", path="0.weight")[0]["traced"]
    explorer.close()


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("channel_space", {"space": 99, "bins": 9}, "no channel space 99"),
        ("channel_numbers", {"space": 0, "channel": 700}, "no channel 700"),
        ("channel_partners", {"space": 0, "channel": 0, "member": 70, "count": 3}, "no channel 0 of member 70"),
        ("channel_farthest", {"space": 0, "member": 0, "first": 4, "end": 2}, "no channels 4 to 1"),
        ("channel_space", {"bins": 9}, "lacks the field 'space'"),
    ],
)
def test_what_is_not_there_is_said(explorer, kind, fields, message):
    with pytest.raises((KeyError, IndexError, ValueError), match=message):
        ask(explorer, kind, **fields)


def test_what_takes_long_has_a_thread_of_its_own_and_tells_its_progress():
    assert {"channel_space", "channel_numbers", "trace"} <= SLOW
    explorer = WeightExplorer(FlattenedCNN()).wait()
    shares: list[float] = []
    answer(explorer, {"kind": "channel_space", "space": 2, "bins": 9}, Job(report=shares.append))
    assert shares == sorted(shares)
    assert shares[-1] == 1
    explorer.close()


def test_a_tensor_without_values_is_named_and_the_others_are_shown():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[1].weight = nn.Parameter(torch.empty(2, 4, device="meta"))
    explorer = WeightExplorer(model).wait()
    space = ask(explorer, "channel", path="0.weight")[0]["space"]
    reply, (low, _, _, _) = ask(explorer, "channel_space", space=space, bins=9)
    errors = {m["tensor"]: m["error"] for m in reply["members"]}
    assert errors["0.weight"] == errors["0.bias"] == ""
    assert "meta device" in errors["1.weight"]
    assert np.isfinite(low.reshape(3, 4)[:2]).all()
    explorer.close()


def test_the_trait_is_an_axis_and_a_position():
    explorer = WeightExplorer(nn.Linear(3, 4), selected="weight", channel=(1, 2)).wait()
    assert explorer.channel == (1, 2)
    with pytest.raises(Exception, match="counted from 0"):
        explorer.channel = (0, -1)
    explorer.channel = None
    explorer.close()
