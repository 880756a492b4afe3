"""Power sums of float32 weights in float32, as far as that loses nothing that counts.

Runs of 256 terms are summed up in float32, their sums in float64. Torch sums a run up in some sixty lanes, and so in no
more than ten steps. A step loses at most 2**-24 of what it comes to, and so do the up to three roundings of a product:
together 8e-7 of the sum of magnitudes if all went the same way. They mostly do not, and 1e-8 is lost as a rule. Worst
are weights that all have the same magnitude: 2e-7 of the sums, and 6e-7 of the kurtosis, which divides by a square.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.summary.scratch import RUN, SingleBuffers

Floats = npt.NDArray[np.float64]

_LEAST = 1e-37
"""Mean of the fourth powers from which on no sum suffers from what vanishes below float32's smallest number, 1.4e-45:
the largest distance is 5e-10 then at least, and the sums of the lower powers further from it still."""


def single_sums(block: torch.Tensor, d: torch.Tensor, buffers: SingleBuffers) -> Floats | None:
    """Sum up ``d``, ``d ** 2``, ``d ** 3``, ``d ** 4`` and the magnitudes of some weights.

    Parameters
    ----------
    block
        The weights, float32, two-dimensional.
    d
        What they are away from the shift, likewise; of each difference 2**-24 may be lost.
    buffers
        Of that shape. The squares of `d` are left in ``squares``.

    Returns
    -------
    ndarray or None
        None if float32 is no good for the sums: some weights are not finite or too large, most are too small, or they
        lie so far to one side of the shift that the digits lost in the sums would count in the moments.
    """
    count, (s2, s3, s4, l1) = block.numel(), buffers.sums
    terms, squares = buffers.terms, buffers.squares
    # Terms of both signs may cancel, and a mean near zero is to be as good as any other.
    mean = float(buffers.wide.copy_(d).sum())
    if count % RUN:
        for runs in (buffers.term_runs, buffers.square_runs):
            runs.view(-1)[count:] = 0.0
    torch.abs(block, out=terms)
    torch.sum(buffers.term_runs, 1, out=l1)
    torch.mul(d, d, out=squares)
    torch.sum(buffers.square_runs, 1, out=s2)
    torch.mul(squares, d, out=terms)
    torch.sum(buffers.term_runs, 1, out=s3)
    torch.mul(squares, squares, out=terms)
    torch.sum(buffers.term_runs, 1, out=s4)
    sums = np.array([mean, *buffers.sums.sum(1, dtype=torch.float64).tolist()])
    if d is block and not sums.any():  # nothing but zeros
        return sums
    first, second, _, fourth, _ = sums.tolist()
    fits = np.isfinite(sums).all() and fourth >= count * _LEAST and first * first <= count * second / 2
    return sums if fits else None
