"""Power sums of float32 weights in float32, as far as that loses nothing that counts.

Runs of 512 terms are summed up in float32, their sums in float64. Torch sums a run up in some sixty lanes, and so in no
more than fourteen steps. A step loses at most 2**-24 of what it comes to, and so do the up to three roundings of a
product: together 1e-6 of the sum of magnitudes if all went the same way. They do not, not even if all weights are the
same: 2e-7 is what comes about then, and 1e-8 as a rule.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.summary.scratch import RUN, single_buffers

Floats = npt.NDArray[np.float64]

_LEAST = 1e-37
"""Mean of the fourth powers from which on no sum suffers from what vanishes below float32's smallest number, 1.4e-45:
the largest distance is 5e-10 then at least, and the sums of the lower powers further from it still."""


class SingleSums:
    """The power sums of a block, gathered tile by tile.

    Parameters
    ----------
    shift
        What is subtracted first, exactly a float32. The difference loses 2**-24 of itself at most.
    """

    def __init__(self, shift: float) -> None:
        self._shift = shift
        self._count = 0
        self._s1 = 0.0
        self._runs: tuple[list[torch.Tensor], ...] = ([], [], [], [])

    def add(self, tile: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take in a tile; give its distances from the shift, and their squares, which are good until the next one."""
        count = tile.numel()
        terms, term_runs, squares, square_runs, moved, wide = single_buffers(tile.shape)
        if count % RUN:
            for rest in (term_runs, square_runs):
                rest.view(-1)[count:] = 0.0
        s2, s3, s4, l1 = self._runs
        torch.abs(tile, out=terms)
        l1.append(term_runs.sum(1))
        d = tile
        if self._shift != 0.0:
            d = torch.sub(tile, self._shift, out=moved)
        # Terms of both signs may cancel, and a mean near zero is to be as good as any other.
        self._s1 += float(wide.copy_(d).sum())
        torch.mul(d, d, out=squares)
        s2.append(square_runs.sum(1))
        torch.mul(squares, d, out=terms)
        s3.append(term_runs.sum(1))
        torch.mul(squares, squares, out=terms)
        s4.append(term_runs.sum(1))
        self._count += count
        return d, squares

    def result(self) -> Floats | None:
        """The sums of ``d``, ``d ** 2``, ``d ** 3``, ``d ** 4`` and of the magnitudes of the weights.

        None if float32 is no good for them: some are not finite or too large, most are too small, or they lie so far
        to one side of the shift that the digits lost in the sums would count in the moments.
        """
        together = [float(torch.cat(runs).sum(dtype=torch.float64)) for runs in self._runs]
        sums = np.array([self._s1, *together])
        if self._shift == 0.0 and not sums.any():  # nothing but zeros
            return sums
        s1, s2, _, s4, _ = sums.tolist()
        fits = np.isfinite(sums).all() and s4 >= self._count * _LEAST and s1 * s1 <= self._count * s2 / 2
        return sums if fits else None
