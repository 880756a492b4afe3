"""Small models with links of every kind, and what they take. Sizes differ: a wrong link must not fit by chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.fixtures import SmallCNN, SmallLSTM, SmallTransformer


class FlattenedCNN(nn.Module):
    """Convolutions, a norm, and a linear layer that reads flattened maps: 6 channels of 4 × 3 positions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 5, 3, padding=1)
        self.conv2 = nn.Conv2d(5, 6, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(6)
        self.fc1 = nn.Linear(72, 7)
        self.fc2 = nn.Linear(7, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images (batch, 2, 8, 6)."""
        x = functional.relu(self.conv1(x))
        x = functional.max_pool2d(functional.relu(self.bn2(self.conv2(x))), 2)
        return self.fc2(functional.relu(self.fc1(x.flatten(1))))


class Branches(nn.Module):
    """Residual additions, depthwise, grouped and transposed convolutions, a gate, parts put together and shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pw = nn.Conv2d(8, 12, 1, bias=False)
        self.gn = nn.GroupNorm(3, 12)
        self.grp = nn.Conv2d(12, 8, 3, padding=1, groups=4)
        self.squeeze = nn.Linear(8, 5)
        self.excite = nn.Linear(5, 8)
        self.part = nn.Conv2d(4, 4, 1)
        self.scale = nn.Parameter(torch.rand(8, 1, 1) + 0.5)
        self.act = nn.PReLU(10)
        self.mix = nn.Conv2d(8, 10, 1)
        self.dec = nn.ConvTranspose2d(10, 6, 2, stride=2, groups=2)
        self.last = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform images (batch, 3, height, width)."""
        h = functional.relu(self.enc(x))
        h = h + 0.5 * self.scale * self.grp(self.gn(self.pw(self.dw(h))))
        h = h * torch.sigmoid(self.excite(self.squeeze(h.mean((2, 3))).relu()))[:, :, None, None]
        first, second = h.chunk(2, dim=1)
        h = torch.cat([second, self.part(first)], dim=1)
        n, c, height, width = h.shape
        h = h.view(n, 2, c // 2, height, width).transpose(1, 2).reshape(n, c, height, width)
        h = self.dec(self.act(self.mix(h)))
        return self.last(h.permute(0, 2, 3, 1).contiguous())


class HandMade(nn.Module):
    """Attention by hand with queries, keys and values in one layer, a gated layer, and a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv1d(3, 12, 2, stride=2)
        self.cls = nn.Parameter(torch.randn(1, 1, 12))
        self.pos = nn.Parameter(torch.randn(1, 5, 12))
        self.norm1 = nn.LayerNorm(12)
        self.qkv = nn.Linear(12, 36)
        self.proj = nn.Linear(12, 12)
        self.norm2 = nn.LayerNorm(12)
        self.gate = nn.Linear(12, 14)
        self.up = nn.Linear(12, 14)
        self.down = nn.Parameter(torch.randn(14, 12))
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify sequences (batch, 3, 8)."""
        x = self.patch(x).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1) + self.pos
        n, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, length, 3, 3, width // 3).permute(2, 0, 3, 1, 4)
        attended = (q @ k.transpose(-2, -1) * 0.5).softmax(-1) @ v
        x = x + self.proj(attended.transpose(1, 2).reshape(n, length, width))
        h = self.norm2(x)
        x = x + (functional.silu(self.gate(h)) * self.up(h)) @ self.down
        return self.head(self.norm(x)[:, 0])


class LastState(nn.Module):
    """Reads the last state of a GRU of two layers, and of single steps of another cell."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 4)
        self.gru = nn.GRU(4, 6, num_layers=2, batch_first=True)
        self.cell = nn.LSTMCell(6, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Classify token sequences (batch, length)."""
        _, states = self.gru(self.embedding(tokens))
        h, _ = self.cell(states[-1])
        return self.head(h)


def sequential() -> nn.Module:
    """Everything in order, so that it is known without a run."""
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(5, 5, 3, padding=1, groups=5), nn.Conv2d(5, 6, 1), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(6 * 4 * 3, 9),
        nn.LayerNorm(9),
        nn.Tanh(),
        nn.Linear(9, 4),
    )


def images(*shape: int) -> torch.Tensor:
    """Random images."""
    return torch.randn(shape)


def tokens(most: int, length: int = 7) -> torch.Tensor:
    """Random tokens (2, length)."""
    return torch.randint(0, most, (2, length))


OWN: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    "flattened": (FlattenedCNN, lambda: images(2, 2, 8, 6)),
    "branches": (Branches, lambda: images(2, 3, 8, 8)),
    "by hand": (HandMade, lambda: images(2, 3, 8)),
    "last state": (LastState, lambda: tokens(11)),
    "sequential": (sequential, lambda: images(2, 2, 8, 6)),
    "cnn": (SmallCNN, lambda: images(2, 3, 12, 12)),
    "lstm": (SmallLSTM, lambda: tokens(20)),
    "transformer": (SmallTransformer, lambda: tokens(30, 6)),
}
"""Model and input of each."""

LIBRARY = ("gpt2", "llama", "bert", "t5", "vit", "resnet", "convnext")


def library_model(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """A small model of transformers, and what it takes. Skips without the package."""
    tf = pytest.importorskip("transformers")
    torch.manual_seed(0)
    ids = {"input_ids": tokens(40)}
    pixels = {"pixel_values": images(2, 3, 32, 32)}
    stream = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 28, "num_attention_heads": 4}
    match name:
        case "gpt2":
            sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "vocab_size": 50, "n_positions": 12}
            return tf.GPT2LMHeadModel(tf.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)), ids
        case "llama":
            return tf.LlamaForCausalLM(tf.LlamaConfig(**stream, num_key_value_heads=2, vocab_size=40)), ids
        case "bert":
            return tf.BertModel(tf.BertConfig(**stream, vocab_size=40)), ids
        case "t5":
            config = tf.T5Config(num_layers=2, d_model=16, d_ff=24, num_heads=2, d_kv=6, vocab_size=40)
            return tf.T5ForConditionalGeneration(config), {**ids, "decoder_input_ids": tokens(40, 5)}
        case "vit":
            return tf.ViTForImageClassification(tf.ViTConfig(**stream, image_size=32, patch_size=8)), pixels
        case "resnet":
            config = tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[2, 1], layer_type="basic")
            return tf.ResNetForImageClassification(config), pixels
        case "convnext":
            config = tf.ConvNextConfig(hidden_sizes=[8, 12], depths=[2, 1], num_stages=2, layer_scale_init_value=0.5)
            return tf.ConvNextForImageClassification(config), pixels
    raise KeyError(name)
