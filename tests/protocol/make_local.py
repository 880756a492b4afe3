"""Writes local.json: requests, and Python's answers, which the front end must give too from an overview's weights.

Run ``python -m tests.protocol.make_local`` when the format changes; tests/wire/test_kept.py holds it to the handlers,
js/test/local.test.ts to the front end.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import torch

from tests.protocol.answered import answered
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.sources import open_weights
from weightwidget.sources.tokenizers import TokenStrings
from weightwidget.summary.summarize import summarize
from weightwidget.wire.kept import at_level, whole
from weightwidget.wire.overview import OverviewPacker

CASE = Path(__file__).with_name("local.json")

COARSE_SIDE = 16
"""Most cells along each axis of the tensor that is kept at a level of detail."""


def tensors() -> dict[str, torch.Tensor]:
    """Every type that is kept, odd values, three axes, and one tensor for a level of detail."""
    values = (torch.arange(-40, 65, dtype=torch.float32) * 0.37).sin().reshape(7, 15)
    odd = values.clone()
    odd[2, 3], odd[4, 5], odd[6, 7], odd[1, 1] = float("nan"), float("inf"), float("-inf"), 0.0
    # Whole numbers up to 128: bfloat16 has them all.
    coarse = (torch.arange(37 * 61, dtype=torch.float32) * 7919 % 257 - 128).reshape(37, 61)
    return {
        "float32": values,
        "odd": odd,
        "float64": values.double() * 1e-3 + 1e5,
        "float16": values.half(),
        "bfloat16": values.bfloat16(),
        "float8": values.to(torch.float8_e4m3fn),
        "int8": (values * 100).to(torch.int8),
        "uint8": (values * 100).abs().to(torch.uint8),
        "int16": (values * 1e4).to(torch.int16),
        "int32": (values * 1e9).to(torch.int32),
        "bool": values > 0.5,
        "conv": values.reshape(7, 3, 5) + 1,
        "vector": values.flatten()[:33].clone(),
        "scalar": torch.tensor(0.125),
        "constant": torch.full((3, 4), 0.7),
        "tied": values,
        "coarse": coarse,
    }


class Known:
    """What the handlers need of an explorer."""

    def __init__(self) -> None:
        state = tensors()
        self.source = open_weights(state)
        self.source.name = "case"
        self.summary = summarize(self.source)
        self.anatomy = Anatomy(self.source)
        self.strings = TokenStrings(state, None)

    def ref(self, path: str) -> Any:
        return self.source.tensors.get(path)

    def record(self, path: str) -> Any:
        return self.summary.tensors.get(path)

    def blob(self) -> bytes:
        """The overview: all tensors whole, but for one."""
        grids = [
            at_level(row, ref, COARSE_SIDE) if ref.name == "coarse" else whole(row, ref)
            for row, ref in enumerate(self.source.tensors.values())
            if ref.shared_with is None
        ]
        return OverviewPacker(self.source, anatomy=self.anatomy).pack(self.summary.tensors, self.summary.modules, grids)


def requests() -> list[dict[str, Any]]:
    """What is asked."""
    asked: list[dict[str, Any]] = []
    usual = {"axes": {"rows": [0], "cols": [1]}, "index": [0, 0]}
    for name in tensors():
        matrix = {
            "conv": {"axes": {"rows": [0], "cols": [1, 2]}, "index": [0, 0, 0]},
            "vector": {"axes": {"rows": [], "cols": [0]}, "index": [0]},
            "scalar": {"axes": {"rows": [], "cols": []}, "index": []},
        }.get(name, usual)
        address = {"tensor": name, **matrix}
        if name == "coarse":
            # 37 rows in 16 cells and 61 columns in 16 cells: from levels 2, 2 up.
            for tile in ([2, 2, 0, 0], [3, 2, 0, 0], [4, 5, 0, 0]):
                asked.append({"kind": "tile", **address, "tile": tile, "aggregate": "absmax", "range": None})
            continue
        for aggregate in ("absmax", "mean", "std", "min", "max"):
            asked.append({"kind": "tile", **address, "tile": [1, 2, 0, 0], "aggregate": aggregate, "range": None})
        asked.append({"kind": "tile", **address, "tile": [1, 1, 0, 0], "aggregate": "absmax", "range": [-0.25, 0.5]})
        asked.append({"kind": "profile", **address})
        window = {"conv": [1, 6, 2, 11], "vector": [0, 1, 3, 30], "scalar": [0, 1, 0, 1]}.get(name, [0, 3, 0, 4])
        asked.append({"kind": "cell", **address, "window": window})
        for scale, span in (("value", [-0.5, 1.25]), ("value", None), ("magnitude", [-3.0, 0.5])):
            # The overview tells ranges in float32, which is too coarse for a mean of 1e5 and a spread of 1e-3.
            if span or name != "float64":
                asked.append({"kind": "histogram", "path": name, "bins": 13, "scale": scale, "range": span})
        asked.append({"kind": "count", "path": name, "range": [-0.25, 0.5]})
        part = {"path": name, **matrix, "region": {"rows": window[:2], "cols": window[2:]}}
        asked.append({"kind": "histogram", **part, "bins": 5, "scale": "value", "range": [-0.5, 1.25]})
        asked.append({"kind": "count", **part, "range": [-0.25, 0.5]})
    other = {"tensor": "conv", "axes": {"rows": [2], "cols": [0]}, "index": [0, 2, 0]}
    asked.append({"kind": "tile", **other, "tile": [0, 0, 0, 0], "aggregate": "absmax", "range": None})
    asked.append({"kind": "cell", **other, "window": [1, 4, 2, 6]})
    part = {"path": "conv", "axes": other["axes"], "index": other["index"], "region": {"rows": [1, 4], "cols": [2, 6]}}
    asked.append({"kind": "histogram", **part, "bins": 4, "scale": "magnitude", "range": [-1.0, 0.5]})
    asked.append({"kind": "count", **part, "range": [0.5, 1.5]})
    return asked


def make() -> dict[str, Any]:
    """The case as it is stored."""
    known = Known()
    return {"blob": base64.b64encode(known.blob()).decode(), "cases": answered(known, requests())}


if __name__ == "__main__":
    CASE.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n")
