"""Power sums of float32 weights in float32, as far as that loses nothing that counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from weightwidget.summary.passes import scratch

Floats = npt.NDArray[np.float64]

RUN = 512
"""Terms that are summed up in float32. Torch does so in some sixty lanes, and so in no more than fourteen steps; the
sums of runs are added in float64.

A step loses at most 2**-24 of what it comes to, and so do the up to three roundings of a product: together 1e-6 of the
sum of magnitudes if all went the same way, which they do not, not even if all weights are the same: 2e-7 is what comes
about. Sums of some thousand runs are off by 1e-8 as a rule."""

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
        shape, count = tile.shape, tile.numel()
        runs = -(-count // RUN), RUN
        term_runs, square_runs = (scratch(name, runs, torch.float32) for name in ("terms", "squares"))
        if count % RUN:
            for rest in (term_runs, square_runs):
                rest.view(-1)[count:] = 0.0
        terms, squares = (scratch(name, shape, torch.float32) for name in ("terms", "squares"))
        torch.abs(tile, out=terms)
        self._sum(3, term_runs)
        d = tile
        if self._shift != 0.0:
            d = torch.sub(tile, self._shift, out=scratch("moved", shape, torch.float32))
        # Terms of both signs may cancel, and a mean near zero is to be as good as any other.
        self._s1 += float(scratch("wide", shape, torch.float64).copy_(d).sum())
        torch.mul(d, d, out=squares)
        self._sum(0, square_runs)
        torch.mul(squares, d, out=terms)
        self._sum(1, term_runs)
        torch.mul(squares, squares, out=terms)
        self._sum(2, term_runs)
        self._count += count
        return d, squares

    def _sum(self, which: int, runs: torch.Tensor) -> None:
        known = self._runs[which]
        known.append(torch.sum(runs, 1, out=scratch((which, len(known)), runs.shape[:1], torch.float32)))

    def result(self) -> Floats | None:
        """The sums of ``d``, ``d ** 2``, ``d ** 3``, ``d ** 4`` and of the magnitudes of the weights.

        None if float32 is no good for them: some are not finite or too large, most are too small, or they lie so far
        to one side of the shift that the digits lost in the sums would count in the moments.
        """
        together = [float(torch.cat(runs).sum(dtype=torch.float64)) for runs in self._runs]
        sums = np.array([self._s1, *together])
        s1, s2, _, s4, _ = sums.tolist()
        fits = np.isfinite(sums).all() and s4 >= self._count * _LEAST and s1 * s1 <= self._count * s2 / 2
        return sums if fits else None
