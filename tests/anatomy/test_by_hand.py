"""What people say about axes counts more than what is found."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from weightwidget import Axes, Split, axes, register_anatomy
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.rules.base import ModuleView
from weightwidget.anatomy.rules.custom import unregister_anatomy
from weightwidget.sources.base import ModuleInfo, TensorRef
from weightwidget.sources.source import ListedSource

STATE = {"w": torch.zeros(20, 6), "k": torch.zeros(8, 3, 5, 5), "b": torch.zeros(20)}


def test_names_as_text() -> None:
    anatomy = axes(STATE)
    anatomy["k"] = "out in kh kw"
    found = anatomy["k"]
    assert found.names == ("out", "in", "kh", "kw")
    assert (found.what, found.output, found.input, found.spatial) == ("conv", 0, 1, (2, 3))
    assert (found.certain, found.why, anatomy.version) == (True, "set by hand", 1)
    anatomy["w"] = ("in", "out")
    assert (anatomy["w"].output, anatomy["w"].what, anatomy.version) == (1, "linear", 2)


def test_blocks_as_text() -> None:
    anatomy = axes(STATE)
    found = anatomy.set("w", "(gate hidden) in", gate="i f g o")
    assert found.blocks == {label: slice(5 * at, 5 * at + 5) for at, label in enumerate("ifgo")}
    assert found.what == "recurrent"
    nested = anatomy.set("w", "(qkv head head_dim) in", qkv="q k", head=2)
    assert nested.blocks["k › head 1"] == slice(15, 20)
    assert list(nested.blocks) == ["q", "q › head 0", "q › head 1", "k", "k › head 0", "k › head 1"]
    columns = anatomy.set("w", "out (half in)", half=("left", "right"))
    assert columns.blocks["right"] == (slice(None), slice(3, 6))
    strided = anatomy.set("w", "(hidden gate) in", gate="gate up")
    assert strided.blocks == {}, "what lies in many pieces is no block"
    experts = anatomy.set("k", "expert in kh kw", expert=8)
    assert experts.blocks["expert 7"] == slice(7, 8)


def test_axes_with_splits() -> None:
    anatomy = axes(STATE)
    anatomy["w"] = Axes(("(part in)", "out"), splits=(Split(0, "part", ("a", "b"), (15, 5)),))
    assert anatomy["w"].blocks["b"] == slice(15, 20)
    assert anatomy["w"].known
    assert anatomy["w"].certain


def test_undoing() -> None:
    anatomy = axes(STATE)
    before = anatomy["w"]
    anatomy["w"] = "a b"
    assert anatomy["w"] != before
    del anatomy["w"]
    assert anatomy["w"] == before
    assert anatomy.version == 2
    with pytest.raises(KeyError, match="nothing was set by hand for 'w'"):
        del anatomy["w"]


def test_observers_are_told() -> None:
    anatomy = axes(STATE)
    seen: list[int] = []
    anatomy.observe(lambda: seen.append(anatomy.version))
    anatomy["w"] = "out in"
    del anatomy["w"]
    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("w", "out in kh", ValueError, r"'w' has shape \(20, 6\): 2 axes, but 3 are named"),
        ("w", "(gate hidden in", ValueError, "cannot be read"),
        ("x", "out in", KeyError, "there is no tensor 'x'"),
        ("w", Axes(("out",)), ValueError, "2 axes, but 1 are named"),
        ("w", Axes(("out", "in"), what="matrix"), ValueError, "'matrix' is nothing that a tensor can be"),
        ("w", Axes(("out", "in"), output=2), ValueError, "its output axis cannot be 2"),
        ("w", Axes(("out", "in"), splits=(Split(0, "g", ("a", "b"), (9, 9)),)), ValueError, "18 in all, but axis 0"),
        ("w", Axes(("out", "in"), splits=(Split(4, "g", ("a",), (9,)),)), ValueError, "is of axis 4"),
        ("w", 7, TypeError, "int"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: object, error: type[Exception], message: str) -> None:
    anatomy = axes(STATE)
    with pytest.raises(error, match=message):
        anatomy[name] = value  # type: ignore[assignment]
    assert anatomy.version == 0


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"gate": 3}, "length 20, which cannot be divided into 3 parts"),
        ({"door": 4}, "'door' is no name in"),
        ({"gate": 0}, "there cannot be 0 parts"),
        ({"gate": "a a"}, "the same name"),
        ({"gate": 4, "hidden": 4}, "cannot be divided into 16 parts"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts: dict[str, int | str], message: str) -> None:
    anatomy = axes(STATE)
    with pytest.raises(ValueError, match=message):
        anatomy.set("w", "(gate hidden) in", **parts)
    assert anatomy.version == 0


def attention_state(width: int = 24, keys: int = 8) -> dict[str, torch.Tensor]:
    sizes = {"q_proj": (width, 10), "k_proj": (keys, 10), "v_proj": (keys, 10), "o_proj": (10, width)}
    return {f"layers.{at}.attn.{name}.weight": torch.zeros(size) for at in range(2) for name, size in sizes.items()}


def test_number_of_heads() -> None:
    anatomy = axes(attention_state())
    assert anatomy.attention == []
    assert anatomy["layers.0.attn.q_proj.weight"].names == ("(head head_dim)", "in")
    anatomy.set_heads(6)
    assert [(layer.heads, layer.kv_heads, layer.head_dim) for layer in anatomy.attention] == [(6, 2, 4)] * 2
    assert anatomy["layers.1.attn.k_proj.weight"].blocks["head 1"] == slice(4, 8)
    anatomy.set_heads(3, path="layers.1")
    assert [(layer.heads, layer.kv_heads) for layer in anatomy.attention] == [(6, 2), (3, 1)]
    assert "by hand" in anatomy.attention[0].why
    assert anatomy.version == 2
    assert axes(attention_state(), heads=6, kv_heads=2).attention[0].kv_heads == 2


@pytest.mark.parametrize(("heads", "kv_heads"), [(7, None), (0, None), (6, 4), (4, None), (-2, None)])
def test_impossible_numbers_of_heads(heads: int, kv_heads: int | None) -> None:
    anatomy = axes(attention_state())
    with pytest.raises(ValueError, match="heads"):
        anatomy.set_heads(heads, kv_heads=kv_heads)
    assert (anatomy.attention, anatomy.version) == ([], 0)


def test_a_new_source_adopts_what_was_set() -> None:
    before = axes(attention_state())
    before.set_heads(6)
    before["layers.0.attn.o_proj.weight"] = "row column"
    after = axes(attention_state())
    after.adopt(before)
    assert after["layers.0.attn.o_proj.weight"].names == ("row", "column")
    assert [layer.heads for layer in after.attention] == [6, 6]


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(3, 4))
        self.linear = nn.Linear(4, 5)


@pytest.fixture
def registered() -> object:
    yield register_anatomy
    for kind in ("Mixer", "llama", "Linear"):
        unregister_anatomy(kind)


def test_registering_an_architecture(registered: object) -> None:
    @register_anatomy("Mixer")
    def mixer(module: ModuleView, found: Found) -> None:
        assert module.library == __name__.partition(".")[0]
        table = module.tensors["table"]
        found.axes[table.name] = Axes(("time", "channel"), "other", certain=True, why="Mixer")

    anatomy = axes(nn.Sequential(Mixer(), Mixer()))
    assert anatomy["1.table"].names == ("time", "channel")
    assert anatomy["1.linear.weight"].why == "torch.nn.Linear"
    anatomy["1.table"] = "a b"
    assert anatomy["1.table"].names == ("a", "b"), "a tensor by itself counts more"


def test_registering_a_model_type(registered: object) -> None:
    def llama(module: ModuleView, found: Found) -> None:
        found.axes["lm_head.weight"] = Axes(("word", "in"), "embedding", certain=True, why="mine")

    register_anatomy("llama", llama)
    refs = [TensorRef("lm_head.weight", (7, 3), "float32", "weight", lambda _index: torch.zeros(7, 3))]
    root = ModuleInfo("", "LlamaForCausalLM", {"model_type": "llama"})
    assert axes(ListedSource("file", refs, {"": root}))["lm_head.weight"].names == ("word", "in")
    assert axes(ListedSource("file", refs))["lm_head.weight"].names == ("out", "in")


def test_a_registered_rule_wins_over_the_rule_by_class(registered: object) -> None:
    @register_anatomy("Linear")
    def linear(module: ModuleView, found: Found) -> None:
        found.axes[module.tensors["weight"].name] = Axes(("mine", "yours"), "linear", certain=True, why="mine")

    assert axes(nn.Sequential(nn.Linear(2, 3)))["0.weight"].names == ("mine", "yours")


@pytest.mark.parametrize("fault", ["raises", "does not fit", "no such tensor"])
def test_a_registered_rule_that_fails_is_reported(
    fault: str, registered: object, caplog: pytest.LogCaptureFixture
) -> None:
    @register_anatomy("Mixer")
    def mixer(module: ModuleView, found: Found) -> None:
        found.axes["table"] = Axes(("time",) if fault == "does not fit" else ("time", "channel"), "other")
        if fault == "raises":
            raise RuntimeError("broken rule")
        if fault == "no such tensor":
            found.axes["tables"] = Axes((), "other")

    with caplog.at_level(logging.WARNING):
        anatomy = axes(Mixer())
    assert not anatomy["table"].known
    assert anatomy["linear.weight"].certain
    assert "the anatomy registered for Mixer failed" in caplog.text


def test_registering_nonsense() -> None:
    with pytest.raises(TypeError, match="a text that is not empty"):
        register_anatomy("")
    with pytest.raises(TypeError, match="not int"):
        register_anatomy("Mixer", 3)  # type: ignore[call-overload]
