"""From one step of the flow to the whole interval: double angles, over any algebra of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from odemom.propagator.plans import Plan

__all__ = ["Doubling"]


class Doubling:
    """The last step of every evaluation: from the two polynomials to psi."""

    def __init__(self, product: Callable[[Any, Any], Any], shift: Callable[[Any, Any], Any]):
        self.product = product
        self.shift = shift

    def finish(self, plan: Plan, parts: Any, decays: tuple[Any, ...] | None = None) -> Any:
        """The psi from the polynomials that the plan names; ``decays`` replace the plan's."""
        decays = plan.decays if decays is None else decays
        if len(parts) == 1:
            return self.cosine(decays, parts[0])
        return (self.double if plan.mode == "double" else self.slow)(decays, *parts)

    def cosine(self, decays: tuple[Any, ...], c: Any) -> Any:
        """C over the whole interval from C over a step: C(2h) = 2 C(h)² - exp(-h/eps) I."""
        for decay in decays:
            c = self.shift(2 * self.product(c, c), -1 * decay)
        return c

    def double(self, decays: tuple[Any, ...], c2: Any, psi: Any) -> Any:
        """Psi from 2 C and psi over a step; there is at least one doubling."""
        # psi = C + G: its recurrence is psi(2h) = 2 C psi - exp(-h/eps) I. c2 is 2 C.
        for decay in decays[:-1]:
            psi = self.shift(self.product(c2, psi), -1 * decay)
            c2 = self.shift(self.product(c2, c2), -2 * decay)
        return self.shift(self.product(c2, psi), -1 * decays[-1])

    def slow(self, decays: tuple[Any, ...], rising: Any, psi: Any) -> Any:
        """(2 C)^(2^s) psi, s the number of ``decays``, all 0."""
        for _ in decays:
            rising = self.product(rising, rising)
        return self.product(rising, psi)
