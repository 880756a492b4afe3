"""What weights were drawn from, against layers that are fresh from their constructors."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.summary.stub import source_of
from weightwidget import open_weights
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.initialiser import Initialiser, initialiser


def of(model: object, name: str) -> Initialiser | None:
    anatomy = Anatomy(open_weights(model))
    return initialiser(anatomy.source, anatomy.source.tensors[name], anatomy[name])


FRESH = [
    (lambda: nn.Linear(700, 40), "weight"),
    (lambda: nn.Bilinear(40, 30, 20), "weight"),
    (lambda: nn.Conv2d(30, 24, (5, 3)), "weight"),
    (lambda: nn.Conv2d(32, 64, 3, groups=8), "weight"),
    (lambda: nn.Conv1d(30, 40, 9), "weight"),
    (lambda: nn.ConvTranspose2d(20, 60, 5), "weight"),
    (lambda: nn.Embedding(400, 30), "weight"),
    (lambda: nn.LSTM(50, 36, 2), "weight_ih_l0"),
    (lambda: nn.LSTM(50, 36, 2), "weight_hh_l1"),
    (lambda: nn.GRU(50, 36, bidirectional=True), "weight_ih_l0_reverse"),
    (lambda: nn.RNNCell(50, 36), "weight_ih"),
    (lambda: nn.MultiheadAttention(96, 4), "in_proj_weight"),
    (lambda: nn.MultiheadAttention(96, 4, kdim=40, vdim=30), "k_proj_weight"),
    (lambda: nn.MultiheadAttention(96, 4), "out_proj.weight"),
]


@pytest.mark.parametrize(("make", "name"), FRESH, ids=[f"{make().__class__.__name__}.{name}" for make, name in FRESH])
def test_a_layer_of_pytorch_is_as_its_constructor_leaves_it(make, name):
    torch.manual_seed(0)
    model = make()
    found = of(model, name)
    weights = model.get_parameter(name).detach().double()
    assert found is not None
    assert found.certain
    assert found.name.startswith("PyTorch's default initialisation")
    assert weights.std().item() == pytest.approx(found.std, rel=0.03)
    if found.law == "uniform":
        assert 0.99 * found.size < weights.abs().max() <= found.size * (1 + 1e-6)


def test_it_reads_as_a_practitioner_writes_it():
    assert str(of(nn.Linear(512, 64), "weight")) == "PyTorch's default initialisation, U(±0.0442)"
    assert str(of(nn.Embedding(9, 4), "weight")) == "PyTorch's default initialisation, N(0, 1²)"


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_models_of_transformers_are_drawn_from_a_normal_distribution(kind):
    transformers = pytest.importorskip("transformers")
    if kind == "bert":
        config = transformers.BertConfig(
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            vocab_size=300,
            initializer_range=0.05,
        )
        names = ["embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.weight"]
    else:
        config = transformers.GPT2Config(n_embd=64, n_layer=8, n_head=4, vocab_size=300, n_positions=64)
        names = ["wte.weight", "h.0.attn.c_attn.weight", "h.3.mlp.c_proj.weight", "h.1.attn.c_proj.weight"]
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config)
    for name in names:
        found = of(model, name)
        assert found is not None
        assert found.certain
        assert found.law == "normal"
        assert model.get_parameter(name).std().item() == pytest.approx(found.size, rel=0.03), name


def test_names_of_keras_have_its_initialisers():
    tensors = {"dense.kernel": (30, 50), "conv.kernel": (3, 3, 8, 16), "lstm.recurrent_kernel": (20, 80)}
    state = {name: torch.zeros(shape) for name, shape in tensors.items()}
    dense, conv, recurrent = (of(state, name) for name in tensors)
    assert dense is not None
    assert dense.size == pytest.approx(math.sqrt(6 / 80))
    assert conv is not None
    assert conv.size == pytest.approx(math.sqrt(6 / (9 * 24)))
    assert recurrent is not None
    assert recurrent.law == "orthogonal"
    assert not any(found.certain for found in (dense, conv, recurrent))


def test_of_a_bare_state_dict_it_is_assumed():
    found = of(nn.Sequential(nn.Linear(40, 20)).state_dict(), "0.weight")
    assert found is not None
    assert not found.certain
    assert str(found) == "PyTorch's default initialisation, U(±0.158) (assumed)"
    lstm = of({"rnn." + name: value for name, value in nn.LSTM(50, 36).state_dict().items()}, "rnn.weight_ih_l0")
    assert lstm is not None
    assert lstm.size == pytest.approx(1 / 6)


def test_what_is_not_known_is_left_out():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(30, 20))

    assert of(Own(), "table") is None
    norm = nn.Sequential(nn.LayerNorm(20))
    assert of(norm, "0.weight") is None
    source = source_of(scores=torch.zeros(8, 9))
    assert initialiser(source, source.tensors["scores"], Anatomy(source)["scores"]) is None


def test_a_projection_in_a_bare_state_dict_is_drawn_as_the_rest_of_its_layer():
    state = nn.LSTM(7, 12, proj_size=5).state_dict()
    for name in ("weight_ih_l0", "weight_hh_l0", "weight_hr_l0"):
        found = of(state, name)
        assert found is not None
        assert found.size == pytest.approx(1 / math.sqrt(12)), name
