"""What a head of attention does as a whole: its QK and OV circuits, from products no larger than the head.

With q, k, v of shape (head size, width) and o of shape (width, head size) the circuits are ``q.T @ k`` and ``o @ v``:
matrices of width x width, but of a rank of at most the head's size. They are never formed. Elhage et al., "A
Mathematical Framework for Transformer Circuits" (2021). Biases, the scale 1 / sqrt(head size), the gain of a norm
before the layer and rotations by position are left out.

The linear algebra is torch's: its threads do not wait for one another where the processor is busy, as NumPy's may.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]
Complexes = npt.NDArray[np.complex128]


def product_singular_values(left: Floats, right: Floats) -> Floats:
    """Singular values of ``left.T @ right`` that need not be zero, without that product.

    From QR of both and the singular values of the small product of the triangles: unlike Gram matrices, that does
    not square the condition.

    Parameters
    ----------
    left
        Shape (size, m).
    right
        Shape (size, n).

    Returns
    -------
    numpy.ndarray
        min(size, m, n) values, in descending order; NaN if a weight is not finite.

    Raises
    ------
    ValueError
        If the sizes differ.
    """
    if left.shape[0] != right.shape[0]:
        raise ValueError(f"heads of size {left.shape[0]} and {right.shape[0]} do not make a circuit")
    count = min(left.shape[0], left.shape[1], right.shape[1])
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return np.full(count, np.nan)
    if count == 0:
        return np.zeros(0)
    # left.T = Q R and right.T = P S, so left.T @ right = Q (R S.T) P.T
    first, second = (torch.linalg.qr(torch.from_numpy(part).T, mode="r").R for part in (left, right))
    found: Floats = torch.linalg.svdvals(first @ second.T).numpy()
    return found[:count]


def product_eigenvalues(left: Floats, right: Floats) -> Complexes:
    """Eigenvalues of ``left @ right`` that need not be zero: those of the smaller ``right @ left``.

    Parameters
    ----------
    left
        Shape (width, size).
    right
        Shape (size, width).

    Returns
    -------
    numpy.ndarray
        min(size, width) values, largest magnitude first, of a pair the one above the real axis first; NaN if a weight
        is not finite.

    Raises
    ------
    ValueError
        If the product is not square, or the sizes differ.
    """
    if left.shape != right.shape[::-1]:
        raise ValueError(
            f"shapes {left.shape} and {right.shape} make no square circuit: it has no eigenvalues "
            "(the head writes to another stream than it reads)"
        )
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return np.full(min(left.shape), complex(np.nan, np.nan))
    a, b = torch.from_numpy(left), torch.from_numpy(right)
    small = b @ a if left.shape[1] <= left.shape[0] else a @ b
    found: Complexes = torch.linalg.eigvals(small).numpy()
    sizes = np.abs(found)
    return found[np.lexsort((-found.imag, -(sizes / (sizes.max(initial=0.0) or 1.0)).round(12)))]


def copying_score(eigenvalues: Complexes) -> float:
    """Real part of the sum of the OV circuit's eigenvalues over the sum of their magnitudes: -1 to 1.

    Positive: what the head reads is on the whole written back in the same direction. Elhage et al. (2021); NaN for a
    circuit without weights.
    """
    size = float(np.abs(eigenvalues).sum())
    return float(eigenvalues.sum().real) / size if size else float("nan")


def stable_rank(singular_values: Floats) -> float:
    """Squared Frobenius norm over squared spectral norm; NaN for zeros."""
    largest = float(singular_values.max(initial=0.0))
    return float(((singular_values / largest) ** 2).sum()) if largest else float("nan")


def cosines(products: Floats) -> Floats:
    """Cosines from a matrix of inner products; NaN where one of the two is zero.

    Parameters
    ----------
    products
        Shape (n, n), symmetric.
    """
    lengths = np.sqrt(np.diag(products))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = products / lengths[:, None] / lengths[None, :]
    return np.clip(np.where(np.isfinite(found), found, np.nan), -1.0, 1.0)
