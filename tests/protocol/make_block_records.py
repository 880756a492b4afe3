"""Writes block_records.json: requests about blocks and gates, and Python's answers, which the front end must give too.

The overview has all tensors whole. Run ``python -m tests.protocol.make_block_records`` when the format changes;
tests/wire/test_block_records.py holds it to the handlers, js/test/blockrecords.test.ts to the front end.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.protocol.answered import answered
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.blocks import Blocks
from weightwidget.sources import open_weights
from weightwidget.summary.summarize import summarize
from weightwidget.wire.overview import OverviewPacker

CASE = Path(__file__).with_name("block_records.json")

PATHS = (
    "lstm.weight_ih_l0 › f",
    "lstm.bias_hh_l0 › o",
    "attention.in_proj_weight › k",
    "attention.in_proj_weight › v › head 1",
    "attention › head 2 › query",
    "attention › head 2 › output",
    "attention › head 2",
    "moe › expert 4",
    "odd › left",
    "odd › right",
    "coded › b",
    "constant › b",
    "nothing › a",
)


def fill(shape: tuple[int, ...], number: int) -> torch.Tensor:
    """Weights of both signs, none of them twice."""
    flat = torch.arange(int(np.prod(shape)), dtype=torch.float64)
    return ((flat * 0.7391 + number).sin() * (flat * 0.113).cos() + 0.1).reshape(shape)


def model() -> nn.Module:
    """Gates, heads, experts, columns; several types, odd values."""
    net = nn.Module()
    net.lstm = nn.LSTM(5, 7)
    net.gru = nn.GRU(3, 5)
    net.rnn = nn.RNN(131, 6, bias=False)
    net.projected = nn.LSTM(5, 7, proj_size=3)
    net.attention = nn.MultiheadAttention(12, 3).to(torch.bfloat16)
    with torch.no_grad():
        for number, weight in enumerate(net.parameters()):
            weight.copy_(fill(tuple(weight.shape), number))
    odd = fill((150, 6), 20)
    odd[1, 2], odd[1, 3], odd[0, 0], odd[2, 1] = torch.nan, -torch.inf, 0, torch.inf
    net.register_parameter("moe", nn.Parameter(fill((6, 9, 11), 21).to(torch.float16)))
    net.register_parameter("odd", nn.Parameter(odd.to(torch.bfloat16)))
    net.register_buffer("coded", (100 * fill((4, 700), 22)).to(torch.int8))
    net.register_buffer("constant", torch.full((4, 3), 0.7))
    net.register_buffer("nothing", torch.full((2, 3), torch.nan, dtype=torch.float16))
    return net


class Known:
    """What the handlers need of an explorer."""

    def __init__(self) -> None:
        self.source = open_weights(model())
        self.summary = summarize(self.source)
        self.anatomy = Anatomy(self.source)
        self.anatomy.set("moe", "expert out in", expert=6)
        self.anatomy.set("odd", "out (half in)", half="left right")
        for name in ("coded", "constant", "nothing"):
            self.anatomy.set(name, "(part out) in", part="a b")
        self.blocks = Blocks(self.source, self.anatomy)

    def ref(self, path: str) -> Any:
        return self.source.tensors.get(path) or self.blocks.ref(path)

    def record(self, path: str) -> Any:
        return self.summary.tensors.get(path) or self.blocks.record(path)

    def blob(self) -> bytes:
        """The overview."""
        return OverviewPacker(self.source, anatomy=self.anatomy).pack(self.summary.tensors, self.summary.modules)


def requests() -> list[dict[str, Any]]:
    """What is asked."""
    asked: list[dict[str, Any]] = [
        *({"kind": "records", "paths": [path], "detail": "all"} for path in PATHS),
        *({"kind": "gates", "recurrent": f"{name}.weight_hh_l0"} for name in ("lstm", "gru", "rnn", "projected")),
        {"kind": "records", "paths": list(PATHS), "detail": "numbers"},
    ]
    for path in ("lstm.weight_ih_l0 › f", "attention › head 2 › output", "odd › right"):
        address = {"tensor": path, "axes": {"rows": [0], "cols": [1]}, "index": [0, 0]}
        asked += [
            {"kind": "tile", **address, "tile": [1, 1, 0, 0], "aggregate": "absmax", "range": None},
            {"kind": "tile", **address, "tile": [0, 1, 0, 0], "aggregate": "mean", "range": [-0.2, 0.3]},
            {"kind": "profile", **address},
            {"kind": "cell", **address, "window": [1, 4, 1, 3]},
            {"kind": "histogram", "path": path, "bins": 11, "scale": "value", "range": [-0.5, 0.7]},
            {"kind": "count", "path": path, "range": [-0.25, 0.5]},
        ]
    return asked


def make() -> dict[str, Any]:
    """The case as it is stored. Sketches of so few weights are exact, so quantiles and histograms are, too."""
    known = Known()
    return {"blob": base64.b64encode(known.blob()).decode(), "cases": answered(known, requests())}


if __name__ == "__main__":
    CASE.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n")
