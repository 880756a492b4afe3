"""Statistics as columns: the same numbers, to the last bit, as the front end has (`js/src/overview.ts`).

A column that passes to the front end is rounded to float32 before anything is derived from it or compared
with it, so that filters select the same tensors on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weightwidget.summary.record import TensorSummary

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

STATISTICS = (
    "std",
    "mean",
    "min",
    "max",
    "absmax",
    "median",
    "rms",
    "l1",
    "l2",
    "skewness",
    "kurtosis",
    "sparsity",
    "zeros",
    "nan",
    "inf",
    "count",
    "bytes",
)
"""Keys of the statistics that columns, facets and queries know. Mirrors js/src/statistics.ts."""

COUNTS = ("count", "nan", "posinf", "neginf", "zeros", "bytes")
"""Stored columns of whole numbers."""

VALUES = ("min", "max", "mean", "std", "skewness", "kurtosis", "l1")
"""Stored columns of real numbers, besides the quantiles."""

QUANTILE_KEYS = ("q01", "q25", "q50", "q75", "q99")


def stored_columns(summaries: Sequence[TensorSummary]) -> dict[str, Array]:
    """Give the columns that pass to the front end.

    Parameters
    ----------
    summaries
        Records of tensors or modules.

    Returns
    -------
    dict of str to numpy.ndarray
        Counts as float64. The others as float32 if that holds all of them; else as float64, in which those
        that float32 can hold are rounded to it all the same: what a value becomes does not depend on the
        others.
    """
    columns: dict[str, Array] = {}
    for key in COUNTS:
        name = "nbytes" if key == "bytes" else key
        columns[key] = np.array([getattr(record, name) for record in summaries], np.float64)
    for key in VALUES:
        columns[key] = _rounded(np.array([getattr(record, key) for record in summaries], np.float64))
    quantiles = _quantiles(summaries)
    for number, key in enumerate(QUANTILE_KEYS):
        columns[key] = _rounded(quantiles[:, number])
    return columns


def statistic_columns(summaries: Sequence[TensorSummary]) -> dict[str, Floats]:
    """Give all columns that filters see: the stored ones and those derived as in the front end.

    Parameters
    ----------
    summaries
        Records of tensors or modules.

    Returns
    -------
    dict of str to numpy.ndarray
        float64, NaN where unknown: all of `STATISTICS`, and the stored columns.
    """
    columns: dict[str, Floats] = {key: column.astype(np.float64) for key, column in stored_columns(summaries).items()}
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        columns["absmax"] = np.maximum(np.abs(columns["min"]), np.abs(columns["max"]))
        columns["median"] = columns["q50"]
        columns["rms"] = np.sqrt(columns["mean"] * columns["mean"] + columns["std"] * columns["std"])
        columns["inf"] = columns["posinf"] + columns["neginf"]
        finite = columns["count"] - columns["nan"] - columns["inf"]
        columns["l2"] = columns["rms"] * np.sqrt(finite)
        columns["sparsity"] = columns["zeros"] / columns["count"]
    return columns


def to_frame(summaries: Sequence[TensorSummary]) -> pd.DataFrame:
    """Make a pandas table of records: one row a tensor, in full precision.

    Parameters
    ----------
    summaries
        Records of tensors.

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as missing:
        raise ImportError("to_frame() needs pandas: pip install pandas") from missing
    keys = [
        "shape",
        "dtype",
        "kind",
        "role",
        "count",
        "nan",
        "posinf",
        "neginf",
        "zeros",
        "sparsity",
        "min",
        "max",
        "argmin",
        "argmax",
        "mean",
        "var",
        "std",
        "skewness",
        "kurtosis",
        "rms",
        "l1",
        "l2",
        "part",
        "error",
    ]
    table: dict[str, Any] = {key: [getattr(record, key) for record in summaries] for key in keys}
    table["bytes"] = [record.nbytes for record in summaries]
    quantiles = _quantiles(summaries)
    for number, key in enumerate(QUANTILE_KEYS):
        table[key] = quantiles[:, number]
    return pd.DataFrame(table, index=pd.Index([record.name for record in summaries], name="tensor"))


def _quantiles(summaries: Sequence[TensorSummary]) -> Floats:
    found = np.array([record.quantiles for record in summaries], np.float64)
    return found.reshape(-1, len(QUANTILE_KEYS))


def _rounded(values: Floats) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        single = values.astype(np.float32)
    vanished = (np.abs(single) < np.finfo(np.float32).tiny) & (values != 0)
    lost = vanished | (np.isinf(single) & np.isfinite(values))
    if not lost.any():
        return single
    return np.where(lost, values, single.astype(np.float64))
