"""Small models and files of weights, good and bad. Shapes are not square: a transposition must show."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn


class SmallCNN(nn.Module):
    """Convolutions (plain, grouped, transposed), a batch norm and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5, padding=2)
        self.bn1 = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 12, 3, groups=4, bias=False)
        self.up = nn.ConvTranspose2d(12, 6, 2, stride=2)
        self.fc = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images (batch, 3, height, width)."""
        x = self.up(self.grouped(self.bn1(self.conv1(x)).relu()))
        return self.fc(nn.functional.adaptive_avg_pool2d(x, 2).flatten(1))


class SmallLSTM(nn.Module):
    """An embedding, a bidirectional LSTM of two layers and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 7, padding_idx=0)
        self.lstm = nn.LSTM(7, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(10, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Classify token sequences (batch, length)."""
        return self.head(self.lstm(self.embedding(tokens))[0][:, -1])


class SmallBlock(nn.Module):
    """A transformer block with PyTorch's own attention and a causal mask."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 3 * width)
        self.down = nn.Linear(3 * width, width)
        self.register_buffer("causal_mask", torch.ones(9, 9, dtype=torch.bool).triu(1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform (batch, length, width)."""
        h = self.ln1(x)
        x = x + self.attn(h, h, h, attn_mask=self.causal_mask[: x.shape[1], : x.shape[1]], need_weights=False)[0]
        return x + self.down(self.up(self.ln2(x)).relu())


class SmallTransformer(nn.Module):
    """A language model whose head is tied to its embedding."""

    def __init__(self, blocks: int = 2) -> None:
        super().__init__()
        self.tok = nn.Embedding(30, 12)
        self.blocks = nn.ModuleList(SmallBlock(12, 3) for _ in range(blocks))
        self.ln_f = nn.LayerNorm(12)
        self.head = nn.Linear(12, 30, bias=False)
        self.head.weight = self.tok.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits (batch, length, 30)."""
        x = self.tok(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_f(x))


def seeded(make: type[nn.Module], *args: Any, seed: int = 0) -> nn.Module:
    """A model with the same weights each time; the random numbers of the caller are left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make(*args)


def small_cnn() -> nn.Module:
    """A `SmallCNN` with fixed weights."""
    return seeded(SmallCNN)


def small_lstm() -> nn.Module:
    """A `SmallLSTM` with fixed weights."""
    return seeded(SmallLSTM)


def small_transformer(blocks: int = 2) -> nn.Module:
    """A `SmallTransformer` with fixed weights."""
    return seeded(SmallTransformer, blocks)


def moe_state_dict(tensors: int = 20_000, experts: int = 128) -> dict[str, torch.Tensor]:
    """The shape of a mixture of experts: very many tiny tensors, named as in large checkpoints.

    Parameters
    ----------
    tensors
        How many in all.
    experts
        Experts in a layer, three tensors each.
    """
    generator = torch.Generator().manual_seed(1)
    state: dict[str, torch.Tensor] = {}
    layer = 0
    while len(state) < tensors:
        prefix = f"model.layers.{layer}"
        state[f"{prefix}.input_layernorm.weight"] = torch.ones(4)
        state[f"{prefix}.mlp.gate.weight"] = torch.randn(experts, 4, generator=generator)
        for expert in range(experts):
            for part, shape in (("gate_proj", (6, 4)), ("up_proj", (6, 4)), ("down_proj", (4, 6))):
                name = f"{prefix}.mlp.experts.{expert}.{part}.weight"
                state[name] = torch.randn(shape, generator=generator)
        layer += 1
    return dict(list(state.items())[:tensors])


def sharded_folder(
    folder: Path, state: Mapping[str, torch.Tensor], shards: int = 3, suffix: str = ".safetensors"
) -> Path:
    """Write a folder as Hugging Face does: shards and their index.

    Parameters
    ----------
    folder
        Created if it is missing.
    state
        What to write.
    shards
        Number of files.
    suffix
        ``.safetensors`` or ``.bin``.

    Returns
    -------
    Path
        The index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = list(state)
    stem = "model" if suffix == ".safetensors" else "pytorch_model"
    owner: dict[str, str] = {}
    for shard in range(shards):
        file = f"{stem}-{shard + 1:05d}-of-{shards:05d}{suffix}"
        part = {name: state[name].detach().clone() for name in names[shard::shards]}
        if suffix == ".safetensors":
            save_file(part, folder / file)
        else:
            torch.save(part, folder / file)
        owner |= dict.fromkeys(part, file)
    index = folder / f"{stem}{suffix}.index.json"
    size = sum(tensor.nbytes for tensor in state.values())
    index.write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": owner}))
    return index


def write_safetensors(path: Path, header: Any, data: bytes = b"", *, hole: int = 0) -> Path:
    """Write a safetensors file by hand, valid or not.

    Parameters
    ----------
    path
        Where.
    header
        Bytes as they are, or anything that JSON can hold.
    data
        What follows the header.
    hole
        Bytes that follow the data without taking room on the disk.
    """
    if isinstance(header, bytes):
        text = header
    else:
        # Padded as the format's library does, so that the data is aligned.
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
        if hole:
            file.truncate(file.tell() + hole)
    return path


def huge_safetensors(path: Path, gigabytes: int = 4) -> Path:
    """A file with one float32 matrix of many gigabytes, all zero, that takes hardly any room on the disk."""
    rows = gigabytes * 2**30 // 4 // 4096
    size = rows * 4096 * 4
    entry = {"dtype": "F32", "shape": [rows, 4096], "data_offsets": [0, size]}
    return write_safetensors(path, {"huge.weight": entry}, hole=size)


def truncated(path: Path, keep: int) -> Path:
    """A copy of the first bytes of a file, beside it."""
    copy = path.with_name(f"{path.stem}_truncated{path.suffix}")
    copy.write_bytes(path.read_bytes()[:keep])
    return copy


class WritesMarker:
    """An object whose unpickling creates a file: proof that code was run."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle calls when the file is loaded."""
        return Path.touch, (self.marker,)


def pickle_with_code(path: Path, marker: Path, *, legacy: bool = False) -> Path:
    """A ``.pt`` file that creates `marker` when it is loaded without care."""
    content = {"weight": torch.randn(3, 4), "extra": WritesMarker(marker)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def plain_pickle_with_code(path: Path, marker: Path) -> Path:
    """A file of Python's own pickle that creates `marker` when it is loaded."""
    path.write_bytes(pickle.dumps({"extra": WritesMarker(marker)}))
    return path


HOSTILE_NAMES = (
    "<img src=x onerror=alert(1)>.weight",
    "</script><script>alert(1)</script>",
    "../../etc/passwd",
    "a\nb\t.weight",
    "'; DROP TABLE layers; --",
    "\u202eright-to-left.weight",
    "__proto__.constructor",
    "....",
    "9" * 5000,
)
"""Names that must come through as they are, and must do nothing."""


def edge_tensors() -> dict[str, torch.Tensor]:
    """Tensors at the edges of what can be shown: empty, 0-d, non-finite, constant, of every usual type."""
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(5, 7, generator=generator)
    holes = values.clone()
    holes[0, 1], holes[2, 3], holes[4, 6] = torch.nan, torch.inf, -torch.inf
    found = {
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 5),
        "nan_only": torch.full((3, 4), torch.nan),
        "non_finite": holes,
        "constant": torch.full((4, 6), 0.25),
        "zeros": torch.zeros(3, 5),
        "vector": values[0].clone(),
        "conv3d": torch.randn(4, 2, 3, 3, 5, generator=generator),
        "bool": values > 0,
    }
    for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
        found[str(dtype).removeprefix("torch.")] = values.to(dtype)
    for dtype in (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32):
        found[str(dtype).removeprefix("torch.")] = (values.abs() * 9).to(dtype)
    return found
