"""Writes filter_pictures.json: requests for filters that the front end answers from an overview, and Python's answers.

Run ``python -m tests.protocol.make_filter_pictures`` when the format changes; tests/wire/test_filter_pictures.py holds
it to the handlers, js/test/filterpictures.test.ts to the front end.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.protocol.answered import answered
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.sources import open_weights
from weightwidget.summary.summarize import summarize
from weightwidget.wire.handlers import answer
from weightwidget.wire.kept import Grid, whole
from weightwidget.wire.overview import OverviewPacker

CASE = Path(__file__).with_name("filter_pictures.json")

WHOLE = "whole.weight"
"""The only tensor that is kept whole."""


def model() -> nn.Module:
    """Convolutions of every layout, none of them square; thumbnails do not hold them whole."""
    net = nn.Module()
    net.plane = nn.Conv2d(4, 70, (2, 3), bias=False)
    net.colour = nn.Conv2d(3, 66, (3, 2), bias=False)
    net.grouped = nn.Conv2d(12, 69, (1, 3), groups=3, bias=False)
    net.depthwise = nn.Conv2d(67, 67, (3, 1), groups=67, bias=False)
    net.up = nn.ConvTranspose2d(66, 10, (2, 3), groups=2, bias=False)
    net.paint = nn.ConvTranspose2d(70, 3, (3, 2), bias=False)
    net.line = nn.Conv1d(5, 68, 3, bias=False)
    net.wide = nn.Conv1d(100, 3, 2, bias=False)
    net.volume = nn.Conv3d(3, 65, (2, 1, 3), bias=False)
    net.whole = nn.Conv2d(5, 3, (2, 4), bias=False)
    net.point = nn.Conv2d(9, 65, 1, bias=False)
    for number, weight in enumerate(net.parameters()):
        with torch.no_grad():
            flat = torch.arange(weight.numel(), dtype=torch.float64)
            weight.copy_(((flat * 0.7391 + number).sin() * (flat * 0.113).cos()).reshape(weight.shape))
            # A filter without a strongest channel, and one with a broken weight.
            weight[1] = 0
            weight[2].view(-1)[-1] = (float("nan"), float("inf"))[number % 2]
    return net


class Known:
    """What the handlers need of an explorer."""

    def __init__(self) -> None:
        self.source = open_weights(model())
        self.summary = summarize(self.source)
        self.anatomy = Anatomy(self.source)

    def ref(self, path: str) -> Any:
        return self.source.tensors.get(path)

    def blob(self) -> bytes:
        """The overview."""
        rows = {name: row for row, name in enumerate(self.source.tensors)}
        grids: list[Grid] = [whole(rows[WHOLE], self.ref(WHOLE))]
        return OverviewPacker(self.source, anatomy=self.anatomy).pack(self.summary.tensors, self.summary.modules, grids)


def requests() -> list[dict[str, Any]]:
    """What is asked: of every layer what the view shows first, of some all that is there."""
    asked: list[dict[str, Any]] = []

    def add(name: str, by: str, mode: str, filters: list[int], channels: tuple[int, int] = (0, 1)) -> None:
        request = {"tensor": f"{name}.weight", "by": by, "mode": mode, "filters": filters, "channels": list(channels)}
        asked.append({"kind": "filters", **request})

    add("plane", "output", "largest", [0, 1, 2, 33, 69])
    add("grouped", "output", "largest", [0, 1, 2, 23, 68])
    add("up", "output", "largest", [0, 1, 4, 5, 9])
    add("wide", "output", "largest", [0, 1, 2])
    add("volume", "output", "largest", [0, 1, 2, 64])
    add("depthwise", "output", "channel", [0, 1, 2, 66])
    add("colour", "output", "all", [0, 1, 2, 65], (0, 3))
    add("line", "output", "all", [0, 1, 2, 67], (0, 5))
    add("paint", "input", "all", [0, 1, 2, 69], (0, 3))
    for by, count in (("output", 5), ("input", 3)):
        add("whole", by, "channel", [0, 2], (count - 1, count))
        add("whole", by, "all", [1, 2], (0, count))
        for mode in ("mean", "norm", "largest"):
            add("whole", by, mode, [0, 1, 2])
    return asked


def make() -> dict[str, Any]:
    """The case as it is stored."""
    known = Known()
    norms = {}
    for tensor, by in sorted({(request["tensor"], request["by"]) for request in requests()}):
        _, buffers = answer(known, {"kind": "filter_norms", "tensor": tensor, "by": by})
        norms[f"{tensor} {by}"] = base64.b64encode(buffers[0]).decode()
    return {"blob": base64.b64encode(known.blob()).decode(), "cases": answered(known, requests()), "norms": norms}


if __name__ == "__main__":
    CASE.write_text(json.dumps(make(), indent=1) + "\n")
