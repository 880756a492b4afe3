"""What can be read from the weights of a recurrent layer: eigenvalues, and the memory that its biases imply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.detail.blocks import check
from weightwidget.sources.base import TensorRef

Floats = npt.NDArray[np.float64]

LARGEST = 4096
"""Units up to which eigenvalues are computed: that takes minutes, in which nothing can stop it."""


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """Eigenvalues of the map from a recurrent layer's state to one of its gates.

    They describe the linear map alone. The Jacobian of a step also has the other gates and the slopes of sigmoid
    and tanh, so that a spectral radius above 1 is usual in trained layers and says nothing of stability.

    Attributes
    ----------
    values
        complex128, in order of falling magnitude.
    zeros
        How many further eigenvalues are exactly zero, because a projection makes the state smaller.
    """

    values: npt.NDArray[np.complex128]
    zeros: int = 0

    @property
    def radius(self) -> float:
        """Spectral radius: the largest magnitude; 0 without any."""
        return float(abs(self.values[0])) if len(self.values) else 0.0


def eigenvalues(
    block: TensorRef | torch.Tensor | npt.NDArray[Any], projection: TensorRef | torch.Tensor | None = None
) -> Eigenvalues:
    """Compute the eigenvalues of a gate's recurrent weights, in float64.

    Takes O(units**3) time, and memory for some float64 copies of the block.

    Parameters
    ----------
    block
        Square, (units, units). Whether gates lie along rows or columns does not matter: a transposed matrix has the
        same eigenvalues. With a projection (units, projected).
    projection
        (projected, units): what makes the projected state of a unit's output, PyTorch's ``weight_hr``. Then the
        eigenvalues are those of ``block @ projection``, all but ``projected`` of which are zero; they are computed
        from ``projection @ block``, which has the others.

    Returns
    -------
    Eigenvalues

    Raises
    ------
    ValueError
        If the block is not square, does not fit the projection, has more than `LARGEST` rows or non-finite weights.
    """
    matrix = _matrix(block, "block")
    zeros = 0
    if projection is not None:
        smaller = _matrix(projection, "projection")
        if smaller.shape != matrix.shape[::-1]:
            raise ValueError(
                f"a projection of shape {list(smaller.shape)} does not fit recurrent weights of {list(matrix.shape)}"
            )
        zeros = matrix.shape[0] - matrix.shape[1]
        matrix = smaller @ matrix
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"eigenvalues are those of a square matrix; this block has shape {list(matrix.shape)}")
    values = np.linalg.eigvals(matrix).astype(np.complex128)
    # Conjugate pairs stay together, the upper one first, however large or small they are.
    sizes = abs(values)
    order = np.lexsort((-values.imag, -values.real, -np.round(sizes / (sizes.max(initial=0.0) or 1.0), 12)))
    return Eigenvalues(values[order], zeros)


def _matrix(weights: TensorRef | torch.Tensor | npt.NDArray[Any], what: str) -> Floats:
    shape = tuple(weights.shape)
    if len(shape) != 2:
        raise ValueError(f"eigenvalues are those of a matrix; this {what} has shape {list(shape)}")
    if max(shape) > LARGEST:
        raise ValueError(f"the eigenvalues of {max(shape)} units would take too long; at most {LARGEST} are computed")
    tensor = weights.read() if isinstance(weights, TensorRef) else torch.as_tensor(weights).detach()
    check(tensor)
    wide: Floats = tensor.cpu().to(torch.float64).numpy()
    bad = int((~np.isfinite(wide)).sum())
    if bad:
        raise ValueError(f"{bad} weights of this {what} are NaN or infinite: it has no eigenvalues")
    return wide


def bias_time_scales(bias: npt.ArrayLike) -> Floats:
    """Steps after which a unit's state has faded to 1/e, as the bias of the gate that keeps it implies.

    With all inputs to the gate at zero it is open by ``f = sigmoid(bias)`` in every step, and the state falls as
    ``f**t = exp(-t / tau)`` with ``tau = -1 / ln f``. Tallec and Ollivier, "Can recurrent neural networks warp
    time?" (2018). This is the bias alone: a short time scale does not prove a short memory.

    Parameters
    ----------
    bias
        Of each unit: of an LSTM's forget gate, both biases added; of a GRU's update gate z, which keeps the state in
        PyTorch (``h' = (1 - z) n + z h``) as in Keras.

    Returns
    -------
    numpy.ndarray
        float64, of the shape of `bias`. Infinite where exp(-bias) is 0 in float64; NaN for NaN.
    """
    # ln sigmoid(b) = -ln(1 + exp(-b)), which loses no digits for large b.
    with np.errstate(divide="ignore", invalid="ignore"):
        scales: Floats = 1 / np.logaddexp(0.0, -np.asarray(bias, np.float64))
    return scales
