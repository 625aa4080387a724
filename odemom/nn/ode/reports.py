"""What the moves of an exact pass report: checksums, and how large the state has grown."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import torch
from torch import Tensor

from odemom.errors import FixedPointRangeError
from odemom.nn.reversible import capture
from odemom.nn.reversible.fixed_point import OUT_OF_RANGE
from odemom.nn.reversible.state import ReversibleState

__all__ = ["Reports"]


class Reports:
    """The reports of one pass, forward and back.

    On a CPU each is looked at when it comes, so that a pass ends at the move that is wrong. On
    another device they stay there until the pass is over, so as not to wait for it.

    Parameters
    ----------
    moves : int
    states : sequence of ReversibleState
    device : torch.device
    """

    def __init__(self, moves: int, states: Sequence[ReversibleState], device: torch.device) -> None:
        self._states = states
        self._late = capture.waits_late(device)
        self._sums = array("q")
        size = moves if self._late else 0, len(states), 2
        self._stats = torch.zeros(size, dtype=torch.int64, device=device)
        self._again = self._stats[..., 0]

    def forward(self, n: int, stats: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        """Take in the checksum and the largest magnitude of each state after move ``n``.

        ``values`` moved them.

        Raises
        ------
        FixedPointRangeError
        """
        if self._late:
            self._stats[n] = torch.stack(tuple(stats))
            return
        for i, stat in enumerate(stats):
            checksum, peak = stat.tolist()
            if peak >= OUT_OF_RANGE:
                raise self._escaped(n, i, peak, values[i])
            self._sums.append(checksum)

    def end_of_forward(self) -> None:
        """Look at what has been left for the end.

        Raises
        ------
        FixedPointRangeError
        """
        peaks = self._stats[..., 1]
        if capture.holds((peaks < OUT_OF_RANGE).all()):
            return
        for n, row in enumerate(peaks.tolist()):
            for i, peak in enumerate(row):
                if peak >= OUT_OF_RANGE:
                    raise self._escaped(n, i, peak, None)

    def _escaped(self, n: int, i: int, peak: int, value: Tensor | None) -> FixedPointRangeError:
        return self._states[i].escape(f"ODEBlock, move {n} of the solver", peak, value)

    def start_back(self) -> None:
        """Forget what an earlier way back has found."""
        self._again = torch.empty_like(self._stats[..., 0])

    def found_again(self, n: int, checksums: Sequence[Tensor]) -> bool:
        """Whether these are the checksums of move ``n``; where that has to wait, True."""
        if self._late:
            self._again[n] = torch.cat(tuple(checksums))
            return True
        first = n * len(checksums)
        return all(c.item() == self._sums[first + i] for i, c in enumerate(checksums))

    def last_mismatch(self) -> int | None:
        """The last of the moves whose checksums had to wait and are not those of the way forward.

        Inside of a CUDA graph the device looks, in every replay.
        """
        kept = self._stats[..., 0]
        if capture.holds((self._again == kept).all()):
            return None
        return int((self._again != kept).any(1).nonzero().flatten()[-1])
