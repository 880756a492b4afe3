"""Models in which everything that somebody else could have written is a payload."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.security.payloads import TEXTS
from weightwidget.sources.base import Index, ModuleInfo, TensorRef
from weightwidget.sources.source import ListedSource

SHORT = tuple(text for text in TEXTS if len(text) < 1000)


def numbered(count: int) -> torch.Tensor:
    """A small tensor, not square, that is like no other."""
    return torch.arange(15.0).reshape(3, 5) + count


def state_dict() -> dict[str, torch.Tensor]:
    """A tensor for each payload, and some of the kinds that have views of their own, in modules of such names."""
    torch.manual_seed(0)
    found = {text: numbered(at) for at, text in enumerate(TEXTS)}
    owner = cycle(text for text in SHORT if text)
    for _ in range(3):
        found |= {
            f"{next(owner)}.conv.weight": torch.randn(6, 3, 5, 5),
            f"{(lstm := next(owner))}.lstm.weight_ih_l0": torch.randn(24, 7),
            f"{lstm}.lstm.weight_hh_l0": torch.randn(24, 6),
            f"{lstm}.lstm.bias_ih_l0": torch.randn(24),
            f"{lstm}.lstm.bias_hh_l0": torch.randn(24),
            f"{(layer := next(owner))}.self_attn.q_proj.weight": torch.randn(12, 12),
            f"{layer}.self_attn.k_proj.weight": torch.randn(12, 12),
            f"{layer}.self_attn.v_proj.weight": torch.randn(12, 12),
            f"{layer}.self_attn.o_proj.weight": torch.randn(12, 12),
            f"{next(owner)}.embed_tokens.weight": torch.randn(150, 12),
        }
    return found


class Refuses:
    """Reads nothing, and says something hostile."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __call__(self, index: Index) -> torch.Tensor:
        raise ValueError(self.reason)


class Turns(Refuses):
    """Reads well until it is told not to: the scan succeeds, and what is asked later fails."""

    def __init__(self, tensor: torch.Tensor, reason: str) -> None:
        super().__init__(reason)
        self.tensor: torch.Tensor | None = tensor

    def __call__(self, index: Index) -> torch.Tensor:
        return super().__call__(index) if self.tensor is None else self.tensor[index]


LATER = "turns.weight"
"""Tensor of `source` that can be made to fail."""


def source() -> ListedSource:
    """Names, classes, reasons why tensors cannot be read, and what was left out: payloads all of them."""
    refs = []
    reasons = dict(zip(TEXTS, reversed(TEXTS), strict=True))
    for at, (text, reason) in enumerate(reasons.items()):
        name = without_surrogates(text) or "(unnamed)"
        if at % 4 == 0:
            reader: object = Refuses(reason or "no reason")
        else:
            reader = numbered(at).__getitem__
        refs.append(TensorRef(f"{name}.weight", (3, 5), "float32", "weight", reader))  # type: ignore[arg-type]
    refs.append(TensorRef(LATER, (300, 700), "float32", "weight", Turns(torch.randn(300, 700), TEXTS[7] + SHORT[-30])))
    modules = {
        path: ModuleInfo(path, reason, {"hidden": reason}, (reason,), reason)
        for ref, reason in zip(refs, TEXTS, strict=False)
        if (path := ref.module) or True
    }
    skipped = {without_surrogates(text): reason for text, reason in reasons.items()}
    return ListedSource(TEXTS[0] + "\u202e\x1b[31m", refs, modules, skipped)


def without_surrogates(text: str) -> str:
    """As every source of the package makes names."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def class_names() -> Iterator[str]:
    """Payloads that Python takes for the name of a class, again and again."""
    return cycle(text for text in SHORT if text and "\x00" not in text and text == without_surrogates(text))


def module() -> nn.Module:
    """A model whose modules and classes are named by payloads."""
    torch.manual_seed(0)
    classes = class_names()

    def made(base: type[nn.Module], *arguments: object, **options: object) -> nn.Module:
        return type(next(classes), (base,), {})(*arguments, **options)

    layers: list[nn.Module] = [
        made(nn.LSTM, 7, 6),
        made(nn.GRU, 7, 6),
        made(nn.MultiheadAttention, 12, 3, batch_first=True),
        made(nn.Conv2d, 3, 6, 5),
        made(nn.Embedding, 150, 12),
        made(nn.LayerNorm, 12),
    ]
    mixture = made(nn.Module)
    mixture.gate = made(nn.Linear, 12, 4, bias=False)
    mixture.experts = nn.ModuleList(made(nn.Module) for _ in range(4))
    for expert in mixture.experts:
        expert.up_proj = made(nn.Linear, 12, 20, bias=False)
        expert.down_proj = made(nn.Linear, 20, 12, bias=False)
    layers.append(mixture)
    model = made(nn.Module)
    for text in SHORT:
        # What add_module refuses.
        name = text.replace(".", "․")
        if name and not hasattr(model, name):
            model.add_module(name, layers.pop(0) if layers else made(nn.Linear, 5, 3))
    assert not layers
    return model


FILE_NAME = "<img src=x onerror=alert(7)>'\"&`{policy}\u202e\x1b[31m.safetensors"


def safetensors_file(folder: Path) -> Path:
    """A file that lies in its name, its header and its metadata; JSON may hold what Python's library would refuse."""
    header: dict[str, object] = {"__metadata__": {text: TEXTS[at - 1] for at, text in enumerate(TEXTS)}}
    header["__metadata__"] |= {"<img src=x onerror=alert(8)>.tied": TEXTS[1], "format": TEXTS[2]}  # type: ignore[operator]
    at = 0
    for text in TEXTS:
        if text == "__metadata__":
            continue
        header[text] = {"dtype": "F32", "shape": [3, 5], "data_offsets": [at, at + 60]}
        at += 60
    for text in TEXTS[:40]:
        header[f"{text}.strange"] = {"dtype": text, "shape": [2], "data_offsets": [at, at + 2]}
        at += 2
    content = json.dumps(header).encode()
    path = folder / FILE_NAME
    path.write_bytes(len(content).to_bytes(8, "little") + content + np.zeros(at, np.uint8).tobytes())
    return path


def config_file(folder: Path) -> None:
    """What lies beside the weights and tells their class."""
    (folder / "config.json").write_text(json.dumps({"model_type": TEXTS[3], "architectures": [TEXTS[4]]}))


def tokens() -> list[str]:
    """A vocabulary."""
    return [*TEXTS[:150]]
