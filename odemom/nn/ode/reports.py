"""What the moves of an exact pass report: checksums, and how large the state has grown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence

import torch
from torch import Tensor

from odemom.errors import FixedPointRangeError
from odemom.nn.reversible import capture
from odemom.nn.reversible.fixed_point import OUT_OF_RANGE
from odemom.nn.reversible.state import ReversibleState

__all__ = ["Reports", "reports_for"]

Moved = tuple[ReversibleState, Tensor, Tensor]
"""A state, its checksum and largest magnitude (int64, shape (2,)), and the value that moved it."""


def reports_for(moves: int, count: int, device: torch.device) -> Reports:
    """Those of a pass of ``moves`` moves of ``count`` states on ``device``.

    On a CPU each is looked at when it comes, so that a pass ends at the move that is wrong. On
    another device they stay there until the pass is over, so as not to wait for it.
    """
    late = capture.waits_late(device)
    return _AtTheEnd(moves, count, device) if late else _AtOnce()


class Reports(ABC):
    """The reports of one pass, forward and back."""

    @abstractmethod
    def forward(self, n: int, moved: Sequence[Moved]) -> None:
        """Take in what the states reported of move ``n``.

        Raises
        ------
        FixedPointRangeError
            If one left its range; some find this out in `end_of_forward` alone.
        """

    @abstractmethod
    def end_of_forward(self, states: Sequence[ReversibleState]) -> None:
        """Look at what has been left for the end.

        Raises
        ------
        FixedPointRangeError
        """

    @abstractmethod
    def back(self, n: int, checksums: Sequence[Tensor]) -> int | None:
        """Take in the checksums, int64 of shape (1,), found again at move ``n``.

        Returns
        -------
        int or None
            ``n`` if they are others than on the way forward.
        """

    @abstractmethod
    def end_of_back(self) -> int | None:
        """The first move on the way back whose checksums were others, of those left for the end."""


class _AtOnce(Reports):
    def __init__(self) -> None:
        self._sums = array("q")

    def forward(self, n: int, moved: Sequence[Moved]) -> None:
        for state, stats, value in moved:
            checksum, peak = stats.tolist()
            if peak >= OUT_OF_RANGE:
                raise _escaped(n, state, peak, value)
            self._sums.append(checksum)

    def end_of_forward(self, states: Sequence[ReversibleState]) -> None:
        pass

    def back(self, n: int, checksums: Sequence[Tensor]) -> int | None:
        first = n * len(checksums)
        same = all(c.item() == self._sums[first + i] for i, c in enumerate(checksums))
        return None if same else n

    def end_of_back(self) -> int | None:
        return None


class _AtTheEnd(Reports):
    def __init__(self, moves: int, count: int, device: torch.device) -> None:
        self._stats = torch.zeros(moves, count, 2, dtype=torch.int64, device=device)
        self._again = torch.empty_like(self._stats[..., 0])

    def forward(self, n: int, moved: Sequence[Moved]) -> None:
        self._stats[n] = torch.stack([stats for _, stats, _ in moved])

    def end_of_forward(self, states: Sequence[ReversibleState]) -> None:
        peaks = self._stats[..., 1]
        if capture.holds((peaks < OUT_OF_RANGE).all()):
            return
        for n, row in enumerate(peaks.tolist()):
            for state, peak in zip(states, row, strict=True):
                if peak >= OUT_OF_RANGE:
                    raise _escaped(n, state, peak, None)

    def back(self, n: int, checksums: Sequence[Tensor]) -> int | None:
        self._again[n] = torch.cat(list(checksums))
        return None

    def end_of_back(self) -> int | None:
        others = (self._again != self._stats[..., 0]).any(1)
        if capture.holds(~others.any()):
            return None
        return int(others.nonzero().flatten()[-1])


def _escaped(
    n: int, state: ReversibleState, peak: int, value: Tensor | None
) -> FixedPointRangeError:
    return state.escape(f"ODEBlock, move {n} of the solver", peak, value)
