"""What psi^{-1} makes of the Jordan blocks of one eigenvalue, in the coordinates of their chains.

With N the Jordan matrix of the chains, shape (m, m), and f an inverse branch of psi:

- at a regular point z: theta = f(mu I + N) = z I + f'(mu) N + ...;
- at a pair z, conj(z) off the real line: chains of equal length come in pairs, on which J swaps the
  two chains, J² = -I, J N = N J; theta = Re f(mu I + N) + Im f(mu I + N) J, which is real and no
  polynomial in D;
- at a critical point z, where psi - mu vanishes to the order n: n chains of lengths that differ by
  at most 1 are interleaved into one, of which K, K^n = N, is the shift; theta = z I + g_1 K + ...,
  with the inverse series g of the n-th root of psi - mu (Cross and Lancaster for n = 2).
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from odemom.flows.base import Attainment, Flow
from odemom.flows.branches import Branches
from odemom.flows.power_series import inverse_branch, inverse_of_root, middle, series_length
from odemom.flows.preimages import newton

if TYPE_CHECKING:
    import flint

__all__ = ["image_of_chains"]

Entries = list[list["flint.acb"]]


def image_of_chains(
    flow: Flow,
    mu: flint.acb,
    attainment: Attainment | None,
    sizes: tuple[int, ...],
    branches: Branches,
    alone: bool = False,
) -> flint.acb_mat:
    """Theta on the chains of one eigenvalue, at the working precision.

    Parameters
    ----------
    flow : Flow
    mu : acb
        Real, or in the upper half plane.
    attainment : Attainment or None
        How psi takes a real mu; None for a non-real one.
    sizes : tuple of int
        The lengths of the chains, in decreasing order and such as the theorem allows.
    branches : Branches
        Those of the eigenvalues that came before.
    alone : bool
        Whether this is the only eigenvalue.

    Returns
    -------
    acb_mat, shape (m, m)
        m = sum(sizes); real unless mu is not.
    """
    if attainment is None:
        return _regular(flow, mu, branches.upper(mu), sizes)
    if attainment.kind == "regular":
        size = sizes[0] if alone else max(2, sizes[0])
        return _regular(flow, mu, branches.real(mu.real, size), sizes)
    if attainment.kind == "pairs":
        return _paired(flow, mu, branches.upper(mu), sizes)
    return _interleaved(flow, attainment.order, sizes)


def _branch(flow: Flow, mu: flint.acb, z: flint.acb, length: int) -> list[flint.acb]:
    """The coefficients of the inverse branch, z having been refined to the working precision."""
    z = newton(flow.series, z, middle(mu))
    with series_length(length + 1):
        return inverse_branch(flow.series(z, length + 1), z, length)


def _zeros(m: int) -> Entries:
    import flint

    return [[flint.acb(0)] * m for _ in range(m)]


def _starts(sizes: tuple[int, ...]) -> list[int]:
    return [0, *accumulate(sizes)][: len(sizes)]


def _regular(flow: Flow, mu: flint.acb, z: flint.acb, sizes: tuple[int, ...]) -> flint.acb_mat:
    import flint

    f, entries = _branch(flow, mu, z, sizes[0]), _zeros(sum(sizes))
    for start, size in zip(_starts(sizes), sizes, strict=True):
        for j in range(size):
            for i in range(j + 1):
                entries[start + i][start + j] = f[j - i]
    return flint.acb_mat(entries)


def _paired(flow: Flow, mu: flint.acb, z: flint.acb, sizes: tuple[int, ...]) -> flint.acb_mat:
    import flint

    f, entries = _branch(flow, mu, z, sizes[0]), _zeros(sum(sizes))
    starts = _starts(sizes)
    for first, second, size in zip(starts[::2], starts[1::2], sizes[::2], strict=True):
        for j in range(size):
            for i in range(j + 1):
                x, y = flint.acb(f[j - i].real), flint.acb(f[j - i].imag)
                entries[first + i][first + j] = entries[second + i][second + j] = x
                entries[second + i][first + j], entries[first + i][second + j] = y, -y
    return flint.acb_mat(entries)


def _interleaved(flow: Flow, order: int, sizes: tuple[int, ...]) -> flint.acb_mat:
    import flint

    length = max(sum(sizes[k : k + order]) for k in range(0, len(sizes), order))
    if order > 2:  # of (1 + z)^N alone: its root is 1 + z, however large N is
        g = [flint.acb(-1), flint.acb(1), *[flint.acb(0)] * length]
    else:
        z = middle(flint.acb(flow.critical_point()))
        with series_length(length + order):
            g = inverse_of_root(flow.series(z, length + order), z, order, length)
    entries, starts = _zeros(sum(sizes)), _starts(sizes)
    for k in range(0, len(sizes), order):
        chains = list(zip(starts[k : k + order], sizes[k : k + order], strict=True))
        # K takes each basis vector of this list to the one before it.
        shifted = [start + i for i in range(chains[0][1]) for start, size in chains if i < size]
        for j, column in enumerate(shifted):
            # Where N = 0, so are K = 0 and all but the diagonal.
            for i in range(j + 1) if chains[0][1] > 1 else [j]:
                entries[shifted[i]][column] = flint.acb(g[j - i].real)
    return flint.acb_mat(entries)
