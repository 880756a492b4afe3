"""Writes overview.json, an overview that Python packed and that the front end's tests read.

Run ``python -m tests.protocol.make_overview`` when the format changes; tests/wire/test_overview.py holds it to the
packer, js/test/overview-case.test.ts to the reader.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import torch

from weightwidget.sources import open_weights
from weightwidget.summary.summarize import summarize
from weightwidget.wire.overview import OverviewPacker

CASE = Path(__file__).with_name("overview.json")


def tensors() -> dict[str, torch.Tensor]:
    """A model with everything that the format knows: ties, errors, modules of one tensor, odd values and names."""
    values = torch.arange(-30, 40, dtype=torch.float32).reshape(7, 10) / 16
    odd = values.clone()
    odd[2, 3], odd[4, 5], odd[6, 7], odd[1, 1] = float("nan"), float("inf"), float("-inf"), 0.0
    state = {
        "block.0.weight": values,
        "block.0.bias": torch.arange(7, dtype=torch.bfloat16),
        "block.1.weight": odd,
        "lone.weight": values[:3, :4] * 8,
        "tied.weight": values,
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "empty": torch.empty(0, 4),
        "complex": torch.ones(2, 3, dtype=torch.complex64),
        "unread": torch.empty(2, 3, device="meta"),
        "<img src=x onerror=alert(1)>.näme": torch.tensor([1, -2, 3]),
    }
    return state | {"note": "not a tensor"}  # type: ignore[dict-item]


def make() -> dict[str, Any]:
    """The case as it is stored."""
    source = open_weights(tensors())
    source.name = "case"
    summary = summarize(source)
    rows = [*summary.tensors.values(), *summary.modules.values()]
    expected = [
        {
            "name": record.name,
            "shape": list(record.shape),
            "dtype": record.dtype if record.name in summary.tensors else "",
            "count": record.count,
            "nan": record.nan,
            "inf": record.posinf + record.neginf,
            "zeros": record.zeros,
            "min": number(record.min),
            "max": number(record.max),
            "mean": number(record.mean),
            "std": number(record.std),
            "rms": number(record.rms),
            "l2": number(record.l2),
            "median": number(float(record.quantile(0.5))),
            "argmax": list(record.argmax) if record.argmax is not None else None,
            "error": record.error,
            "shared_with": record.shared_with,
            "finite": record.finite,
        }
        for record in rows
    ]
    blob = OverviewPacker(source).pack(summary.tensors, summary.modules)
    return {"blob": base64.b64encode(blob).decode(), "rows": expected, "skipped": dict(source.skipped)}


def number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if value != value else value


if __name__ == "__main__":
    CASE.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n")
