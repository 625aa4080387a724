"""The preimages of the eigenvalues of one matrix: values close to each other share a branch.

Where two of them sit on different branches, theta holds their distance divided by that of the
values, however well each branch is conditioned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from odemom.flows.power_series import middle
from odemom.flows.preimages import continued

if TYPE_CHECKING:
    import flint

    from odemom.flows.base import Flow

__all__ = ["Branches"]


class Branches:
    """Preimages under the psi of one flow, each on the branch of a close one found before."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._real: list[tuple[flint.acb, flint.acb]] = []
        self._upper: list[tuple[flint.acb, flint.acb]] = []

    def real(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """A real preimage of a value that psi takes on the real line: see `Flow.real_preimage`."""
        import flint

        value = middle(flint.acb(mu))
        z = continued(self._flow.series, value, self._real)
        z = self._flow.real_preimage(mu, size) if z is None else z
        self._real.append((value, z))
        return z

    def upper(self, mu: flint.acb) -> flint.acb:
        """A preimage of another value: see `Flow.preimage`."""
        value = middle(mu)
        z = continued(self._flow.series, value, self._upper + self._real)
        if z is None:
            known = [pair for pair in self._upper if pair[0].imag > 0]
            near = min(known, key=lambda pair: float(abs(pair[0] - value).mid()), default=None)
            z = self._flow.preimage(mu, near)
        self._upper.append((value, z))
        return z
