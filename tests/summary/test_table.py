"""Columns: the front end's formulas, on numbers rounded as it gets them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from tests.summary.stub import ref_of
from weightwidget.summary.kernel import summarize_tensor
from weightwidget.summary.record import TensorSummary, merge_records
from weightwidget.summary.table import STATISTICS, statistic_columns, stored_columns

JS = Path(__file__).parents[2] / "js" / "src" / "statistics.ts"


def records() -> list[TensorSummary]:
    torch.manual_seed(0)
    sparse = torch.randn(90, 80)
    sparse[sparse.abs() < 0.5] = 0
    sparse[3, 3] = float("inf")
    tensors = [
        torch.randn(30, 40),
        sparse,
        torch.full((4,), 0.1),
        torch.full((3,), float("nan")),
        torch.empty(0),
    ]
    found = [summarize_tensor(ref_of(tensor, f"t{k}")) for k, tensor in enumerate(tensors)]
    return [*found, merge_records(found)]


def test_keys_are_the_front_ends() -> None:
    assert tuple(re.findall(r'\bkey: "(\w+)"', JS.read_text(encoding="utf-8"))) == STATISTICS
    assert set(STATISTICS) <= set(statistic_columns(records()))


def test_stored_columns_are_what_passes_to_the_front_end() -> None:
    found = records()
    columns = stored_columns(found)
    assert columns["std"].dtype == np.float32
    assert columns["count"].dtype == np.float64
    assert columns["std"][0] == np.float32(found[0].std)
    assert columns["q25"][1] == np.float32(found[1].quantile(0.25))
    assert columns["bytes"].tolist() == [record.nbytes for record in found]


def test_derived_columns() -> None:
    found = records()
    columns = statistic_columns(found)
    for row, record in enumerate(found):
        # Written out as js/src/overview.ts does, in float64 on float32 numbers.
        low, high, mean, std = (float(np.float32(getattr(record, key))) for key in ("min", "max", "mean", "std"))
        np.testing.assert_equal(columns["absmax"][row], max(abs(low), abs(high)))
        rms = float(np.sqrt(mean * mean + std * std))
        np.testing.assert_equal(columns["rms"][row], rms)
        inf = record.posinf + record.neginf
        np.testing.assert_equal(columns["l2"][row], rms * float(np.sqrt(record.count - record.nan - inf)))
        np.testing.assert_equal(columns["inf"][row], inf)
        np.testing.assert_equal(columns["sparsity"][row], record.zeros / record.count if record.count else np.nan)
        np.testing.assert_equal(columns["median"][row], columns["q50"][row])


def test_what_float32_cannot_hold_stays_and_changes_nothing_else() -> None:
    found = records()
    huge = summarize_tensor(ref_of(torch.randn(9, 9, dtype=torch.float64) * 1e300))
    tiny = summarize_tensor(ref_of(torch.randn(9, 9, dtype=torch.float64) * 1e-300))
    alone, together = statistic_columns(found), statistic_columns([*found, huge, tiny])
    assert stored_columns([*found, huge])["std"].dtype == np.float64
    assert together["std"][-2:].tolist() == [huge.std, tiny.std]
    for key, column in alone.items():
        np.testing.assert_array_equal(together[key][: len(found)], column)


def test_no_records() -> None:
    assert all(len(column) == 0 for column in statistic_columns([]).values())
