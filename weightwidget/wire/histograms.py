"""The histograms that an overview holds, from the sketches of its records, and the ranges shown by default."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weightwidget.summary.record import TensorSummary

Array = npt.NDArray[Any]


def local_histogram(record: TensorSummary, bins: int) -> Array:
    """Counts over the robust range, then its two edges, then the finite weights below and above."""
    finite = record.finite
    if finite == 0:
        return np.full(bins + 4, np.nan)
    low, high = record.robust_range()
    counts, _ = record.histogram(bins, (low, high))
    below = float(record.sketch.count_between(-np.inf, np.nextafter(low, -np.inf))) if record.min < low else 0.0
    return _with_tails(counts, (low, high), finite, below)


def local_log_histogram(record: TensorSummary, bins: int) -> Array:
    """As `local_histogram`, of log10 |w|; zeros and non-finite weights are in no bin and no tail."""
    finite = record.finite
    if finite == record.zeros:
        return np.full(bins + 4, np.nan)
    counts, edges = record.log_magnitude_histogram(bins, log_range(record))
    total = finite - record.zeros
    return _with_tails(counts, (edges[0], edges[-1]), total, total)  # the range reaches up to the largest


def log_range(record: TensorSummary) -> tuple[float, float]:
    """Range of log10 |w| that is shown by default: from the magnitudes' 0.1 % quantile up to the largest."""
    counts, edges = record.log_magnitude_histogram(512, None)
    share = np.cumsum(counts) / max(counts.sum(), 1)
    low = edges[int(np.searchsorted(share, 0.001))]
    high = edges[-1]
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(high) + 0.5)


def _with_tails(counts: Array, edges: tuple[float, float], total: float, below: float) -> Array:
    """Append what lies outside: at most `below` of it under the range, the rest above."""
    outside = max(0.0, float(total) - float(counts.sum()))
    return np.concatenate([counts, edges, [min(below, outside), max(0.0, outside - below)]])
