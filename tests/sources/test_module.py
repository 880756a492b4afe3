"""Live models: order, roles, ties, hyperparameters; and that looking changes nothing."""

from __future__ import annotations

import copy
import types

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from tests.fixtures import small_cnn, small_lstm, small_transformer
from weightwidget.sources import open_weights
from weightwidget.sources.base import WeightSource


def expected_names(model: nn.Module) -> list[str]:
    """Parameters and buffers interleaved, module by module."""
    names = []
    for path, module in model.named_modules(remove_duplicate=False):
        own = [*module._parameters.items(), *module._buffers.items()]
        names += [f"{path}.{leaf}".lstrip(".") for leaf, tensor in own if tensor is not None]
    return names


@pytest.mark.parametrize("make", [small_cnn, small_lstm, small_transformer])
def test_lists_all_in_the_models_order(make):
    model = make()
    source = open_weights(model)
    assert isinstance(source, WeightSource)
    assert list(source.tensors) == expected_names(model)
    assert set(source.tensors) >= set(model.state_dict())
    assert list(source.modules) == [path for path, _ in model.named_modules()]
    assert source.name == type(model).__name__
    assert not source.skipped


def test_views_share_memory_and_are_detached():
    model = small_cnn()
    source = open_weights(model)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        ref = source.tensors[name]
        read = ref.read()
        assert read.data_ptr() == tensor.data_ptr()
        assert type(read) is torch.Tensor
        assert not read.requires_grad
        assert read.shape == tensor.shape == ref.shape
        assert str(read.dtype) == f"torch.{ref.dtype}"
    part = source.tensors["conv1.weight"].read((slice(2, 4), 1))
    assert torch.equal(part, model.conv1.weight[2:4, 1])
    assert part.untyped_storage().data_ptr() == model.conv1.weight.untyped_storage().data_ptr()


def test_reading_changes_nothing():
    model = small_transformer()
    model.train()
    model.ln_f.eval()
    model.tok.weight.requires_grad_(False)
    model.blocks[0].up.register_forward_hook(lambda *args: pytest.fail("a forward pass was made"))
    before = copy.deepcopy(model.state_dict())
    states = [(module.training, dict(module._forward_hooks)) for module in model.modules()]
    needs_grad = {name: (p.requires_grad, p.grad, p._version) for name, p in model.named_parameters()}

    source = open_weights(model)
    for ref in source.tensors.values():
        ref.read()
    source.close()

    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert states == [(module.training, dict(module._forward_hooks)) for module in model.modules()]
    assert needs_grad == {name: (p.requires_grad, p.grad, p._version) for name, p in model.named_parameters()}


def test_spectral_norm_is_not_computed():
    model = nn.Sequential(parametrizations.spectral_norm(nn.Linear(5, 3)))
    model.train()
    u = model[0].parametrizations.weight[0]._u.clone()
    source = open_weights(model)
    for ref in source.tensors.values():
        ref.read()
    assert torch.equal(model[0].parametrizations.weight[0]._u, u)
    assert "0.weight" not in source.tensors
    ref = source.tensors["0.parametrizations.weight.original"]
    assert (ref.shape, ref.role) == ((3, 5), "weight")
    assert source.tensors["0.parametrizations.weight.0._u"].role == "buffer"
    assert source.modules["0"].kind == "ParametrizedLinear"


def test_weight_norm_and_prune_appear_as_they_are():
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 3)), nn.Linear(3, 4), nn.LayerNorm(4))
    prune.l1_unstructured(model[1], "weight", 0.5)
    source = open_weights(model)
    roles = {name: ref.role for name, ref in source.tensors.items()}
    assert roles == {
        "0.bias": "bias",
        "0.parametrizations.weight.original0": "weight",
        "0.parametrizations.weight.original1": "weight",
        "1.bias": "bias",
        "1.weight_orig": "weight",
        "1.weight_mask": "mask",
        "2.weight": "gain",
        "2.bias": "bias",
    }
    assert torch.equal(source.tensors["1.weight_orig"].read(), model[1].weight_orig)


def test_roles_by_module_class():
    class OddNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1, 6, 1))
            self.shift = nn.Parameter(torch.zeros(1, 6, 1))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb = nn.Embedding(9, 4)
            self.bn = nn.BatchNorm1d(4)
            self.group = nn.GroupNorm(2, 4)
            self.act = nn.PReLU(4)
            self.odd = OddNorm()
            self.attn = nn.MultiheadAttention(4, 2)
            self.register_buffer("padding_mask", torch.zeros(3, 5, dtype=torch.bool))
            self.register_buffer("table", torch.zeros(3), persistent=False)

    roles = {name: ref.role for name, ref in open_weights(Model()).tensors.items()}
    assert roles["emb.weight"] == "weight"
    assert roles["bn.weight"] == roles["group.weight"] == roles["odd.scale"] == "gain"
    assert roles["bn.bias"] == roles["attn.in_proj_bias"] == roles["attn.out_proj.bias"] == "bias"
    assert roles["bn.running_mean"] == roles["bn.num_batches_tracked"] == roles["table"] == "buffer"
    assert roles["act.weight"] == roles["attn.in_proj_weight"] == "weight"
    assert roles["padding_mask"] == "mask"


def test_tied_parameters_are_shared_with_the_first():
    model = small_transformer()
    source = open_weights(model)
    assert source.tensors["tok.weight"].shared_with is None
    assert source.tensors["head.weight"].shared_with == "tok.weight"
    counted = sum(ref.numel for ref in source.tensors.values() if ref.shared_with is None and ref.role not in {"mask"})
    assert counted == sum(p.numel() for p in model.parameters())


def test_ties_by_view_and_by_shared_module():
    model = nn.Module()
    model.a = nn.Linear(4, 3)
    model.same_module = model.a
    model.b = nn.Linear(4, 3, bias=False)
    model.b.weight = nn.Parameter(model.a.weight.data)  # another object on the same memory
    model.c = nn.Linear(3, 4, bias=False)
    model.c.weight = nn.Parameter(model.a.weight.data.T)  # the same memory, but other elements at each place
    model.part = nn.Parameter(model.a.weight.data[1:])
    shared = {name: ref.shared_with for name, ref in open_weights(model).tensors.items()}
    assert shared == {
        "part": None,
        "a.weight": None,
        "a.bias": None,
        "same_module.weight": "a.weight",
        "same_module.bias": "a.bias",
        "b.weight": "a.weight",
        "c.weight": None,
    }


def test_empty_tensors_are_not_tied():
    model = nn.ParameterList([nn.Parameter(torch.empty(0, 3)), nn.Parameter(torch.empty(0, 3))])
    assert [ref.shared_with for ref in open_weights(model).tensors.values()] == [None, None]


def test_hyperparameters():
    cnn, lstm, gpt = (open_weights(make()).modules for make in (small_cnn, small_lstm, small_transformer))
    conv = cnn["grouped"]
    assert conv.kind == "Conv2d"
    assert {key: conv.hyper[key] for key in ("in_channels", "out_channels", "kernel_size", "groups", "bias")} == {
        "in_channels": 8,
        "out_channels": 12,
        "kernel_size": (3, 3),
        "groups": 4,
        "bias": False,
    }
    assert cnn["fc"].hyper == {"in_features": 24, "out_features": 10, "bias": True}
    assert cnn["bn1"].hyper["eps"] == 1e-5
    rnn = lstm["lstm"].hyper
    assert (rnn["hidden_size"], rnn["num_layers"], rnn["bidirectional"], rnn["proj_size"]) == (5, 2, True, 0)
    assert lstm["embedding"].hyper["padding_idx"] == 0
    assert (gpt["blocks.0.attn"].hyper["num_heads"], gpt["blocks.0.attn"].hyper["embed_dim"]) == (3, 12)
    assert gpt["ln_f"].hyper["normalized_shape"] == (12,)
    assert all(
        isinstance(value, int | float | bool | str | tuple)
        for module in gpt.values()
        for value in module.hyper.values()
    )


def test_transformers_like_config_gives_name_and_sizes():
    model = small_cnn()
    model.config = types.SimpleNamespace(
        _name_or_path="org/all-MiniLM-L6-v2", num_attention_heads=12, hidden_size=384, secret=object()
    )
    source = open_weights(model)
    assert source.name == "all-MiniLM-L6-v2"
    assert source.modules[""].hyper["num_attention_heads"] == 12


def test_wrappers_keep_names_and_show_the_models_name():
    source = open_weights(nn.DataParallel(small_cnn()))
    assert source.name == "SmallCNN"
    assert "module.conv1.weight" in source.tensors
    compiled = torch.compile(small_cnn())
    source = open_weights(compiled)
    assert source.name == "SmallCNN"
    assert "_orig_mod.conv1.weight" in source.tensors


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_module():
    source = open_weights(torch.jit.trace(nn.Sequential(nn.Linear(4, 3)), torch.zeros(1, 4)))
    assert source.name == "Sequential"
    assert source.modules["0"].kind == "Linear"
    assert source.tensors["0.weight"].read().shape == (3, 4)


def test_lazy_parameters_are_skipped_with_the_reason():
    source = open_weights(nn.Sequential(nn.Linear(4, 3), nn.LazyLinear(5)))
    assert list(source.tensors) == ["0.weight", "0.bias"]
    assert "run one batch" in source.skipped["1.weight"]
    with pytest.raises(ValueError, match=r"LazyLinear has no weights to show.*not initialised"):
        open_weights(nn.LazyLinear(5))


def test_meta_tensors_are_listed_and_say_why_they_cannot_be_read():
    with torch.device("meta"):
        model = small_transformer()
    source = open_weights(model)
    ref = source.tensors["tok.weight"]
    assert (ref.device, ref.shape) == ("meta", (30, 12))
    assert source.tensors["head.weight"].shared_with == "tok.weight"
    assert source.tensors["blocks.0.up.weight"].shared_with is None
    with pytest.raises(ValueError, match=r"'tok.weight' cannot be read: it lies on the meta device"):
        ref.read()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_unusual_tensors_do_not_crash():
    class Wrapped(torch.Tensor):
        """A subclass without behaviour of its own: its values are plain."""

    model = nn.Module()
    model.register_buffer("sparse", torch.eye(3).to_sparse())
    model.register_buffer("csr", torch.eye(3).to_sparse_csr())
    model.register_buffer("quantised", torch.quantize_per_tensor(torch.randn(3, 4), 0.1, 0, torch.qint8))
    model.register_buffer("nested", torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]))
    model.register_buffer("wrapped", torch.randn(2, 3).as_subclass(Wrapped))
    model.register_buffer("complex", torch.randn(2, 3, dtype=torch.complex64).conj())
    source = open_weights(model)
    assert "single shape" in source.skipped["nested"]
    for name, remedy in (("sparse", "to_dense"), ("csr", "to_dense"), ("quantised", "dequantize")):
        assert source.tensors[name].numel > 0
        assert source.tensors[name].nbytes > 0
        with pytest.raises(ValueError, match=remedy):
            source.tensors[name].read()
    assert type(source.tensors["wrapped"].read()) is torch.Tensor
    assert torch.equal(source.tensors["wrapped"].read(), model.wrapped.as_subclass(torch.Tensor))
    assert torch.equal(source.tensors["complex"].read(0), model.complex[0])


def test_fake_and_dispatching_tensors_say_what_they_are():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        state = {"weight": torch.empty(3, 4)}
    ref = open_weights(state).tensors["weight"]
    assert ref.shape == (3, 4)
    with pytest.raises(ValueError, match="FakeTensor"):
        ref.read()


def test_module_that_contains_itself():
    model = nn.Sequential(nn.Linear(4, 3))
    model[0].register_module("parent", model)
    source = open_weights(model)
    assert list(source.tensors) == ["0.weight", "0.bias"]
    assert source.skipped == {"0.parent": "this module contains itself"}


def test_model_without_weights():
    with pytest.raises(ValueError, match=r"Sequential has no weights to show: .*neither parameters nor buffers"):
        open_weights(nn.Sequential(nn.ReLU()))


def test_training_on_stays_visible_and_close_lets_go():
    model = small_cnn()
    source = open_weights(model)
    ref = source.tensors["fc.bias"]
    with torch.no_grad():
        model.fc.bias.fill_(3)
    assert ref.read(0).item() == 3
    source.close()
    source.close()
    with pytest.raises(ValueError, match="source was closed"):
        ref.read()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_tensors_stay_on_the_gpu():
    model = small_cnn().to("cuda", torch.bfloat16)
    ref = open_weights(model).tensors["conv1.weight"]
    assert ref.device == "cuda:0"
    assert ref.read().data_ptr() == model.conv1.weight.data_ptr()


def test_a_tensor_that_was_converted_since_is_not_read_as_what_it_was():
    layer = nn.Linear(5, 3)
    source = open_weights(layer)
    layer.weight.data = torch.ones(2, 4)
    with pytest.raises(ValueError, match=r"\(3, 5\) when it was opened and is float32 \(2, 4\) now"):
        source.tensors["weight"].read()
    assert source.tensors["bias"].read().shape == (3,)
