"""Heads of an attention layer: their norms, their circuits, how much they are alike. One head is read at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.blocks import check, numbers
from weightwidget.detail.circuits import (
    Complexes,
    Floats,
    copying_score,
    cosines,
    product_eigenvalues,
    product_singular_values,
    stable_rank,
)
from weightwidget.sources.base import TensorRef
from weightwidget.summary.pooling import shrink

NORMS = ("query_norm", "key_norm", "value_norm", "output_norm")
"""Frobenius norms of a head's projections."""

CIRCUITS = (
    *("qk_frobenius", "qk_spectral", "qk_stable_rank"),
    *("ov_frobenius", "ov_spectral", "ov_stable_rank", "copying"),
)
"""Measures of a head's circuits."""

HELD = 1 << 22
"""Weights that a comparison of heads holds at a time, about, in each of two groups: 32 MB of float64."""


@dataclass(frozen=True)
class Projection:
    """One projection of one head.

    Attributes
    ----------
    ref
        The head's part of the weights, a matrix.
    transposed
        Whether it is stored as (inputs, outputs).
    """

    ref: TensorRef
    transposed: bool = False

    def read(self) -> Floats:
        """The weights in float64 as (outputs, inputs): (head size, width), or (width, head size) of the output.

        Raises
        ------
        ValueError
            If it is not a matrix.
        TypeError
            If it cannot be read as numbers (complex, sparse, on the meta device).
        """
        if len(self.ref.shape) != 2:
            raise ValueError(
                f"{self.ref.name!r} has the shape {self.ref.shape}: heads are compared as matrices of two axes"
            )
        stored = self.ref.read()
        check(stored)
        values = numbers(stored.cpu().reshape(-1)).astype(np.float64).reshape(stored.shape)
        return values.T if self.transposed else values


@dataclass(frozen=True)
class Head:
    """The projections of a head; None where there is none."""

    query: Projection | None = None
    key: Projection | None = None
    value: Projection | None = None
    output: Projection | None = None


@dataclass(frozen=True)
class HeadCircuits:
    """What is known of a head's circuits.

    Attributes
    ----------
    qk, ov
        Singular values, in descending order; None without the projections.
    eigenvalues
        Of the OV circuit, largest magnitude first; None without it, or if it reads and writes different streams.
    """

    qk: Floats | None
    ov: Floats | None
    eigenvalues: Complexes | None

    def measures(self) -> dict[str, float]:
        """The `CIRCUITS` by name, NaN where there is none."""
        found = dict.fromkeys(CIRCUITS, math.nan)
        for name, values in (("qk", self.qk), ("ov", self.ov)):
            if values is not None:
                found[f"{name}_frobenius"] = float(np.linalg.norm(values))
                found[f"{name}_spectral"] = float(values[0]) if len(values) else 0.0
                found[f"{name}_stable_rank"] = stable_rank(values)
        if self.eigenvalues is not None:
            found["copying"] = copying_score(self.eigenvalues)
        return found


class HeadReader:
    """Reads heads one after the other, and the keys and values that neighbours share only once."""

    def __init__(self) -> None:
        self._shared: dict[str, tuple[str, Floats]] = {}

    def matrices(self, head: Head) -> dict[str, Floats | None]:
        """The projections of a head by name, as `Projection.read` gives them."""
        found: dict[str, Floats | None] = {}
        for name in ("query", "key", "value", "output"):
            projection: Projection | None = getattr(head, name)
            found[name] = None if projection is None else self._read(name, projection)
        return found

    def _read(self, name: str, projection: Projection) -> Floats:
        known = self._shared.get(name)
        if known is not None and known[0] == projection.ref.name:
            return known[1]
        read = projection.read()
        self._shared[name] = projection.ref.name, read
        return read


def norms_of(matrices: dict[str, Floats | None]) -> dict[str, float]:
    """The `NORMS` of a head by name: of its finite weights, NaN where a projection is not there."""
    return {f"{name}_norm": _norm(matrix) for name, matrix in matrices.items()}


def circuits_of(matrices: dict[str, Floats | None]) -> HeadCircuits:
    """The circuits of a head.

    Parameters
    ----------
    matrices
        As `HeadReader.matrices` gives them.

    Raises
    ------
    ValueError
        If the sizes of the projections do not fit.
    """
    q, k, v, o = (matrices[name] for name in ("query", "key", "value", "output"))
    qk = product_singular_values(q, k) if q is not None and k is not None else None
    if v is None or o is None:
        return HeadCircuits(qk, None, None)
    square = v.shape == o.shape[::-1]
    return HeadCircuits(qk, product_singular_values(o.T, v), product_eigenvalues(o, v) if square else None)


def similarities(
    heads: Sequence[Sequence[Projection]],
    outputs: bool = False,
    tick: Callable[[float], None] = lambda _share: None,
) -> Floats:
    """Cosines between heads: of one projection flattened, or of a circuit.

    Parameters
    ----------
    heads
        Of each head one projection, or the two factors of a circuit: query and key, or value and output. Circuits
        are compared as matrices of width x width by their Frobenius inner product, which takes but products of the
        heads' size.
    outputs
        Whether the second of two factors is an output projection.
    tick
        Takes the share that is done; may raise to end it.

    Returns
    -------
    numpy.ndarray
        Shape (n, n); NaN where a head is all zero or a weight not finite.
    """
    count = len(heads)
    found = np.empty((count, count))
    if not count:
        return found
    size = sum(math.prod(part.ref.shape) for part in heads[0])
    step = max(1, HELD // max(1, size))
    if len(heads[0]) > 1:
        # Circuits are compared by way of a table of all their rows: where heads are large and the stream narrow, it
        # would be larger than they are.
        rows = heads[0][0].ref.shape[-1 if heads[0][0].transposed else 0]
        step = max(1, min(step, math.isqrt(HELD) // max(1, rows)))
    starts = range(0, count, step)
    pairs = len(starts) * (len(starts) + 1) // 2
    done = 0
    for first in starts:
        left = [_factors(parts, outputs) for parts in heads[first : first + step]]
        for second in starts:
            if second < first:
                continue
            tick(done / pairs)
            right = left if second == first else [_factors(parts, outputs) for parts in heads[second : second + step]]
            products = _products(left, right)
            found[first : first + step, second : second + step] = products
            found[second : second + step, first : first + step] = products.T
            done += 1
    return cosines(found)


def strip(matrix: Floats, height: int, width: int) -> npt.NDArray[np.float32]:
    """A picture of a projection; each pixel is the weight of largest magnitude under it, with its sign.

    Parameters
    ----------
    matrix
        The weights.
    height, width
        Largest size in pixels.
    """
    picture = shrink(matrix, min(height, matrix.shape[0]), min(width, matrix.shape[1]))
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(picture, np.float32)


def _factors(parts: Sequence[Projection], outputs: bool) -> tuple[Floats, ...]:
    """Each of shape (head size, width)."""
    read = [part.read() for part in parts]
    return (read[0],) if len(read) == 1 else (read[0], read[1].T if outputs else read[1])


def _products(left: list[tuple[Floats, ...]], right: list[tuple[Floats, ...]]) -> Floats:
    """Inner products of each of some heads with each of some others.

    Of circuits ``<a.T @ b, c.T @ d> = sum((a @ c.T) * (b @ d.T))``: products of the heads' size.
    """
    if len(left[0]) == 1:
        flat = [torch.from_numpy(np.stack([one[0].ravel() for one in group])) for group in (left, right)]
        found: Floats = (flat[0] @ flat[1].T).numpy()
        return found
    size = left[0][0].shape[0]
    small = torch.ones(len(left) * size, len(right) * size, dtype=torch.float64)
    for factor in range(2):
        rows, columns = (torch.from_numpy(np.concatenate([one[factor] for one in group])) for group in (left, right))
        small *= rows @ columns.T
    sums: Floats = small.view(len(left), size, len(right), size).sum(dim=(1, 3)).numpy()
    return sums


def _norm(matrix: Floats | None) -> float:
    if matrix is None:
        return math.nan
    finite = np.isfinite(matrix)
    return float(torch.linalg.vector_norm(torch.from_numpy(matrix if finite.all() else matrix[finite])))
