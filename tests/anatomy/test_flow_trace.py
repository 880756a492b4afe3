"""Tracing: what it does to the model (nothing), what it takes, and what it says when it cannot."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from tests.anatomy.flow_models import OWN, Branches, FlattenedCNN, HandMade
from tests.fixtures import SmallLSTM, SmallTransformer
from weightwidget import WeightExplorer, open_weights
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.flow import TraceError
from weightwidget.anatomy.tracing import trace


def links_of(flow) -> list[list[tuple[str, int, str, tuple[int, ...] | None]]]:
    return [
        [(m.tensor, m.axis, m.role, None if m.channels is None else tuple(m.channels.tolist())) for m in space.members]
        for space in flow
    ]


def test_the_model_stays_as_it_is_and_is_not_run():
    calls = []
    model = FlattenedCNN()
    model.register_forward_hook(lambda *_: calls.append("hook"))
    model.train()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    places = {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}
    attributes = {name: dict(vars(module)) for name, module in model.named_modules()}
    generator = torch.get_rng_state()
    trace(model, torch.zeros(1, 2, 8, 6))
    assert calls == []
    assert model.training
    assert {name: tensor.data_ptr() for name, tensor in model.state_dict().items()} == places
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, weights[name])
    assert {name: dict(vars(module)) for name, module in model.named_modules()} == attributes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), generator)


def test_what_forward_writes_to_the_model_lands_in_the_copy():
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 4)
            self.seen = 0
            self.last = torch.ones(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen += 1
            self.last = self.fc(x)
            return self.last

    model = Counts()
    trace(model)
    assert model.seen == 0
    torch.testing.assert_close(model.last, torch.ones(2))


@pytest.mark.parametrize("name", ["flattened", "cnn", "lstm", "transformer", "last state", "sequential"])
def test_inputs_are_guessed_where_the_first_layer_tells(name):
    made, example = OWN[name]
    model = made()
    if name in ("flattened", "sequential"):
        # Not square: nobody would guess that.
        with pytest.raises(TraceError, match="example="):
            trace(model)
        return
    assert links_of(trace(model)) == links_of(trace(model, example()))


def test_an_example_may_be_a_tensor_a_tuple_or_a_dict():
    model = FlattenedCNN()
    example = torch.empty(3, 2, 8, 6)
    expected = links_of(trace(model, example))
    assert links_of(trace(model, (example,))) == expected
    assert links_of(trace(model, {"x": example})) == expected


def test_graphs_of_fx_and_export_give_the_same_links():
    model, example = FlattenedCNN().eval(), torch.randn(2, 2, 8, 6)
    expected = links_of(trace(model, example))
    assert links_of(trace(torch.fx.symbolic_trace(model), example)) == expected
    assert links_of(trace(torch.export.export(model, (example,)))) == expected


def test_an_exported_transformer_has_its_stream():
    model, ids = SmallTransformer().eval(), torch.randint(0, 30, (2, 6))
    exported = trace(torch.export.export(model, (ids,)))
    stream = exported.space("tok.weight", 1)
    expected = trace(model, ids).space("tok.weight", 1)
    names = {(m.tensor, m.axis) for m in expected.members} - {("head.weight", 1)}  # tied: one name in a graph
    assert names <= {(m.tensor, m.axis) for m in stream.members}


def test_shuffled_and_concatenated_channels_are_followed_one_by_one():
    flow = trace(Branches(), torch.empty(2, 3, 8, 8))
    (space, member), (half, other) = flow.of("mix.weight", 1)
    # The second half as it is, the first through a convolution; then channels of the two in turn.
    np.testing.assert_array_equal(member.channels, [4, -1, 5, -1, 6, -1, 7, -1])
    np.testing.assert_array_equal(other.channels, [-1, 0, -1, 1, -1, 2, -1, 3])
    assert half is flow.space("part.weight", 0)
    assert {m.tensor for m in space.members} >= {"enc.weight", "dw.weight", "grp.weight", "scale", "excite.weight"}


def test_parameters_of_the_models_own_are_linked():
    flow = trace(HandMade(), torch.empty(2, 3, 8))
    stream = flow.space("patch.weight", 0)
    assert {(m.tensor, m.axis, m.role) for m in stream.members} >= {
        ("cls", 2, "writes"),
        ("pos", 2, "writes"),
        ("down", 1, "writes"),
        ("norm.weight", 0, "scales"),
    }
    assert flow.space("down", 0) is flow.space("gate.weight", 0)


def test_rotary_positions_mix_channels_and_end_a_link():
    class Rotary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 8), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.a(x)
            first, second = x.chunk(2, -1)
            return self.b(x * 0.6 + torch.cat([-second, first], -1) * 0.8)

    flow = trace(Rotary())
    assert flow.space("b.weight", 1) is not flow.space("a.weight", 0)


def test_masked_weights_are_those_that_are_stored():
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 3))
            self.register_buffer("mask", torch.ones(5, 3))
            self.turned = nn.Parameter(torch.randn(5, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x @ (self.weight * self.mask).t().bfloat16().float()) @ self.turned

    flow = trace(Masked(), torch.zeros(4, 3))
    assert [(m.tensor, m.axis) for m in flow.space("turned", 0).members] == [("weight", 0), ("turned", 0)]


def test_code_that_asks_for_values_cannot_be_traced_and_says_so():
    class Depends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x) if x.sum() > 0 else x

    with pytest.raises(TraceError, match="without weights") as caught:
        trace(Depends(), torch.zeros(2, 3))
    assert "its course may depend on values" in str(caught.value)
    with pytest.raises(TraceError, match="can be traced"):
        trace({"w": torch.zeros(2)})


def test_a_model_that_cannot_be_copied_says_so():
    model = nn.Linear(2, 2)
    model.lock = (one for one in range(3))
    with pytest.raises(TraceError, match="cannot be copied"):
        trace(model)


def test_devices_in_the_code_do_not_matter():
    class OnDevice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pos = nn.Embedding(9, 4)
            self.fc = nn.Linear(4, 3)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            places = torch.arange(tokens.shape[1], device="cpu")
            mask = torch.ones(tokens.shape[1], 1, device=torch.device("cpu")).to("cpu")
            return self.fc(self.pos(places).cpu() * mask)

    flow = trace(OnDevice(), torch.zeros(2, 5, dtype=torch.long))
    assert flow.space("fc.weight", 1) is flow.space("pos.weight", 1)


def test_what_is_not_used_has_spaces_of_its_own():
    class Unused(FlattenedCNN):
        def __init__(self) -> None:
            super().__init__()
            self.spare = nn.Linear(4, 6)

    flow = trace(Unused(), torch.empty(1, 2, 8, 6))
    assert [m.tensor for m in flow.space("spare.weight", 1).members] == ["spare.weight"]


def test_an_explorer_traces_only_when_asked():
    model = SmallLSTM()
    explorer = WeightExplorer(model)
    anatomy = explorer.anatomy
    assert anatomy.traceable
    assert not anatomy.flow.traced
    assert anatomy.trace(example=torch.zeros(1, 4, dtype=torch.long)).traced
    assert anatomy.flow.traced
    explorer.refresh().wait()
    # Read again: the same links, of new weights.
    assert explorer.anatomy.flow.traced
    assert explorer.anatomy.flow is not anatomy.flow
    explorer.close()


def test_files_have_no_code_to_trace():
    source = open_weights({"a.weight": torch.zeros(3, 2)})
    anatomy = Anatomy(source)
    assert not anatomy.traceable
    with pytest.raises(TraceError, match="no live model"):
        anatomy.trace()
    source.close()


class Draws(nn.Module):
    """Draws random numbers of Python and NumPy, as stochastic depth does."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 7), nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        drawn = random.random() + np.random.random()  # noqa: NPY002
        return self.second(self.first(x)) + drawn


def test_random_numbers_are_left_alone():
    before = random.getstate(), np.random.get_state()[2]  # noqa: NPY002
    assert trace(Draws(), torch.zeros(2, 5)).space("first.weight", 0) is not None
    assert (random.getstate(), np.random.get_state()[2]) == before  # noqa: NPY002
