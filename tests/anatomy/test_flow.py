"""Links without a run: which are certain, which are guesses, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.anatomy.flow_models import FlattenedCNN, LastState, library_model, sequential
from tests.fixtures import SmallCNN, SmallLSTM, SmallTransformer
from weightwidget import open_weights
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.flow import Flow, Space, links


def flow_of(obj) -> Flow:
    source = open_weights(obj)
    return links(source, Anatomy(source))


def space_of(flow: Flow, tensor: str, axis: int, position: int = 0) -> Space:
    space = flow.space(tensor, axis, position)
    assert space is not None, (tensor, axis)
    return space


def told(space: Space) -> list[tuple[str, int, str, bool]]:
    return [(member.tensor, member.axis, member.role, member.certain) for member in space.members]


def test_a_cnn_is_linked_by_the_order_of_modules_and_says_that_this_is_a_guess():
    flow = flow_of(FlattenedCNN())
    assert told(space_of(flow, "conv2.weight", 0)) == [
        ("conv2.weight", 0, "writes", True),
        ("conv2.bias", 0, "shifts", True),
        ("bn2.weight", 0, "scales", False),
        ("bn2.bias", 0, "shifts", True),
        ("bn2.running_mean", 0, "mean", True),
        ("bn2.running_var", 0, "variance", True),
        ("fc1.weight", 1, "reads", False),
    ]
    (_, member) = flow.of("fc1.weight", 1)[0]
    np.testing.assert_array_equal(member.channels, np.repeat(np.arange(6), 12))
    np.testing.assert_array_equal(member.positions(2), np.arange(24, 36))
    assert member.channel_at(37) == 3
    assert "guessed" in member.why
    assert "12 positions of 6 channels" in member.why


def test_what_does_not_fit_is_not_linked():
    flow = flow_of(nn.ModuleDict({"a": nn.Linear(3, 8), "b": nn.Linear(7, 4), "c": nn.Linear(4, 2)}))
    assert [m.tensor for m in space_of(flow, "a.weight", 0).members] == ["a.weight", "a.bias"]
    assert [m.tensor for m in space_of(flow, "b.weight", 1).members] == ["b.weight"]
    assert [m.tensor for m in space_of(flow, "c.weight", 1).members] == ["b.weight", "b.bias", "c.weight"]
    # Several times as many inputs are a flattening only after a convolution.
    flow = flow_of(nn.ModuleDict({"a": nn.Linear(3, 8), "b": nn.Linear(16, 4)}))
    assert [m.tensor for m in space_of(flow, "b.weight", 1).members] == ["b.weight"]


def test_sequential_order_is_certain():
    flow = flow_of(sequential())
    assert all(space.certain for space in flow)
    assert [m.tensor for m in space_of(flow, "0.weight", 0).members] == [
        *("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"),
        *("3.0.weight", "3.0.bias", "3.1.weight"),
    ]
    assert space_of(flow, "6.weight", 1) is space_of(flow, "3.1.weight", 0)


def test_an_unknown_module_breaks_the_chain_of_a_sequential():
    class Doubled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, x], 1)

    flow = flow_of(nn.Sequential(nn.Linear(3, 4), Doubled(), nn.Linear(8, 2)))
    assert [m.tensor for m in space_of(flow, "2.weight", 1).members] == ["2.weight"]


def test_grouped_depthwise_and_transposed_convolutions():
    flow = flow_of(SmallCNN())
    (_, grouped) = flow.of("grouped.weight", 1)[0]
    assert (grouped.groups, grouped.across, grouped.role) == (4, 0, "reads")
    assert grouped.channels is None or len(grouped.channels) == 8
    np.testing.assert_array_equal(grouped.positions(5), [5])
    assert [m.tensor for m in space_of(flow, "up.weight", 0).members] == ["grouped.weight", "up.weight"]
    assert [m.tensor for m in space_of(flow, "up.weight", 1).members][:2] == ["up.weight", "up.bias"]
    (space, depthwise) = flow_of(sequential()).of("3.0.weight", 0)[0]
    assert (depthwise.role, space.size) == ("filters", 5)


def test_gates_share_the_hidden_unit_and_directions_lie_side_by_side():
    flow = flow_of(SmallLSTM())
    forward = space_of(flow, "lstm.weight_hh_l0", 0)
    assert forward.size == 5
    assert [(m.tensor, m.axis) for m in forward.members] == [
        ("lstm.weight_ih_l0", 0),
        ("lstm.weight_hh_l0", 0),
        ("lstm.weight_hh_l0", 1),
        ("lstm.bias_ih_l0", 0),
        ("lstm.bias_hh_l0", 0),
        ("lstm.weight_ih_l1", 1),
        ("lstm.weight_ih_l1_reverse", 1),
    ]
    member = forward.members[0]
    np.testing.assert_array_equal(member.positions(3), [3, 8, 13, 18])
    # The second direction's units are the second half of the inputs above.
    backward = space_of(flow, "lstm.weight_hh_l0_reverse", 0)
    above = next(m for m in backward.members if m.tensor == "lstm.weight_ih_l1")
    np.testing.assert_array_equal(above.positions(1), [6])
    assert space_of(flow, "embedding.weight", 1) is space_of(flow, "lstm.weight_ih_l0_reverse", 1)
    assert {m.tensor for m in space_of(flow, "head.weight", 1, 0).members} >= {"lstm.weight_hh_l1", "head.weight"}
    assert {m.tensor for m in space_of(flow, "head.weight", 1, 9).members} >= {"lstm.weight_hh_l1_reverse"}


def test_projected_states_have_a_space_of_their_own():
    flow = flow_of(nn.LSTM(4, 6, proj_size=3))
    assert space_of(flow, "weight_hr_l0", 1) is space_of(flow, "weight_hh_l0", 0)
    assert space_of(flow, "weight_hr_l0", 0) is space_of(flow, "weight_hh_l0", 1)
    assert space_of(flow, "weight_hr_l0", 0).size == 3


def test_a_home_made_transformer_is_guessed_from_names_and_sizes():
    flow = flow_of(SmallTransformer())
    stream = space_of(flow, "tok.weight", 1)
    assert stream.name == "residual stream of blocks"
    assert not stream.certain
    assert [m.tensor for m in stream.members if m.tensor.endswith("weight")] == [
        "tok.weight",
        *("blocks.0.ln1.weight", "blocks.0.attn.in_proj_weight", "blocks.0.attn.out_proj.weight"),
        *("blocks.0.ln2.weight", "blocks.0.up.weight", "blocks.0.down.weight"),
        *("blocks.1.ln1.weight", "blocks.1.attn.in_proj_weight", "blocks.1.attn.out_proj.weight"),
        *("blocks.1.ln2.weight", "blocks.1.up.weight", "blocks.1.down.weight"),
        *("ln_f.weight", "head.weight"),
    ]
    assert space_of(flow, "blocks.0.up.weight", 0) is space_of(flow, "blocks.0.down.weight", 1)
    values = space_of(flow, "blocks.0.attn.in_proj_weight", 0, 24)
    assert values is space_of(flow, "blocks.0.attn.out_proj.weight", 1)
    assert values.certain  # torch.nn.MultiheadAttention says how its heads lie
    (_, query), (_, key), *_ = flow.of("blocks.0.attn.in_proj_weight", 0)
    assert (query.part, key.part) == ("query", "key")
    assert (query.positions(7).tolist(), key.positions(7).tolist()) == ([7], [19])


@pytest.mark.parametrize("norm_first", [False, True])
def test_pytorchs_transformer_in_the_order_in_which_it_works(norm_first):
    model = nn.Transformer(12, 3, 1, 1, 20, norm_first=norm_first)
    flow = flow_of(model)
    encoder = space_of(flow, "encoder.layers.0.linear1.weight", 1)
    decoder = space_of(flow, "decoder.layers.0.linear1.weight", 1)
    assert encoder is not decoder
    assert encoder.certain
    assert decoder.certain
    short = [m.tensor.removeprefix("decoder.layers.0.") for m in decoder.members if m.role != "shifts"]
    attend = ["self_attn.in_proj_weight", "self_attn.out_proj.weight"]
    cross = ["multihead_attn.in_proj_weight", "multihead_attn.out_proj.weight"]
    feed = ["linear1.weight", "linear2.weight"]
    norms = [["norm1.weight"], ["norm2.weight"], ["norm3.weight"]]
    steps = [attend, cross, feed]
    pairs = [[*norm, *step] if norm_first else [*step, *norm] for norm, step in zip(norms, steps, strict=True)]
    assert short == [name for pair in pairs for name in pair] + ["decoder.norm.weight"]
    # Keys and values of the second attention read what the encoder writes.
    member = next(m for m in encoder.members if m.tensor.startswith("decoder"))
    assert (member.tensor, member.groups, member.across) == ("decoder.layers.0.multihead_attn.in_proj_weight", 3, 0)
    np.testing.assert_array_equal(member.positions(4), [12 + 4, 24 + 4])


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "t5", "vit"])
def test_known_transformers_are_certain(name):
    model, _ = library_model(name)
    flow = flow_of(model)
    streams = [space for space in flow if space.name.startswith("residual stream")]
    assert all(space.certain for space in streams)
    assert sum(len(space.members) for space in streams) > 18


def test_a_file_has_the_order_of_its_alphabet_and_yet_is_read_in_network_order(tmp_path):
    model, _ = library_model("llama")
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    source = open_weights(tmp_path / "model.safetensors")
    stream = space_of(links(source, Anatomy(source)), "model.embed_tokens.weight", 1)
    live = space_of(flow_of(model), "model.embed_tokens.weight", 1)
    assert [m.tensor for m in stream.members] == [m.tensor for m in live.members]
    # The names are a transformer's, but no class vouches for them.
    assert not any(member.certain for member in stream.members)
    assert all("guessed" in member.why for member in stream.members)
    source.close()


def test_grouped_queries_meet_the_key_of_their_group():
    model, _ = library_model("llama")
    flow = flow_of(model)
    (_, query) = flow.of("model.layers.0.self_attn.q_proj.weight", 0)[0]
    # Four query heads of size 4 share two keys: heads 0 and 1 the first.
    np.testing.assert_array_equal(query.positions(1), [1, 5])
    np.testing.assert_array_equal(query.positions(6), [10, 14])
    (_, output) = flow.of("model.layers.0.self_attn.o_proj.weight", 1)[0]
    np.testing.assert_array_equal(output.positions(6), [10, 14])


def test_nothing_is_read(tmp_path):
    meta = SmallTransformer().to("meta")
    assert len(flow_of(meta)) > 4
    assert len(flow_of(LastState().to("meta"))) > 4


def test_axes_set_by_hand_change_the_links():
    source = open_weights({"first": torch.zeros(4, 3), "second": torch.zeros(2, 3)})
    anatomy = Anatomy(source)
    before = anatomy.flow
    assert anatomy.flow is before
    own = anatomy["first"]
    anatomy._own["first"] = type(own)(("in", "out"), "linear", True, "set by hand", output=1, input=0)
    anatomy._has_changed()
    assert anatomy.flow is not before
    source.close()


def test_many_tensors_are_linked_in_a_moment():
    state = {
        f"model.layers.{layer}.{name}": torch.empty(shape, device="meta")
        for layer in range(120)
        for name, shape in {
            "self_attn.q_proj.weight": (64, 32),
            "self_attn.k_proj.weight": (64, 32),
            "self_attn.v_proj.weight": (64, 32),
            "self_attn.o_proj.weight": (32, 64),
            "input_layernorm.weight": (32,),
            "mlp.up_proj.weight": (48, 32),
            "mlp.down_proj.weight": (32, 48),
        }.items()
    }
    flow = flow_of(state)
    stream = space_of(flow, "model.layers.7.mlp.down_proj.weight", 0)
    assert len(stream.members) == 7 * 120
    assert stream.members[6].tensor == "model.layers.0.mlp.down_proj.weight"
