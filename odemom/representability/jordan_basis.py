"""Bases of invariant subspaces in which a real matrix is in Jordan form, and their duals.

A part of D belongs to one eigenvalue mu (and its conjugate): columns W with D W = W (mu I + N), N
in Jordan form, and rows L with L W = I and L D = (mu I + N) L. theta is put together from what each
part becomes. In floating point the parts come from an ordered Schur form and the staircase of
Kågström and Ruhe; in exact arithmetic the heads of the Jordan chains are rational vectors, found
factor by factor of the characteristic polynomial, and the chains of each root follow in balls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
import scipy.optimize

from odemom.representability.clusters import Cluster
from odemom.representability.exact import Factor
from odemom.representability.schur import SchurForm
from odemom.representability.weyr import evaluate_polynomial

if TYPE_CHECKING:
    import flint

__all__ = ["BallPart", "FloatingPart", "chain_heads", "floating_part", "jordan_of", "root_part"]

PRIME = (1 << 61) - 1


# --- floating point ----------------------------------------------------------------------------


@dataclass(frozen=True)
class FloatingPart:
    """The part of one cluster of eigenvalues, with their conjugates.

    Attributes
    ----------
    right : ndarray of float64, shape (d, m)
        Jordan chains, longest first, each from the eigenvector on; off the real line the real parts
        of all, then the imaginary parts.
    left : ndarray of float64, shape (m, d)
        The dual basis.
    """

    right: np.ndarray
    left: np.ndarray


def jordan_of(cluster: Cluster) -> np.ndarray:
    """D in the basis of a `FloatingPart`, shape (m, m): Jordan blocks, of real numbers."""
    m = sum(cluster.sizes)
    above = np.ones(m - 1)
    above[np.cumsum(cluster.sizes[:-1], dtype=int) - 1] = 0
    blocks = float(cluster.value.real) * np.eye(m) + np.diag(above, 1)
    if not cluster.value.imag:
        return blocks
    turn = float(cluster.value.imag) * np.eye(m)
    return np.block([[blocks, turn], [-turn, blocks]])


def floating_part(form: SchurForm, cluster: Cluster) -> FloatingPart:
    """The Jordan basis of the nearest matrix that has the cluster's structure."""
    d = form.dimension
    members = {z for c in map(complex, cluster.members) for z in (c, c.conjugate())}
    m = sum(cluster.sizes) * (2 if cluster.value.imag else 1)
    # The order of the eigenvalues is that of their own computation, not that of the diagonal.
    distance = np.abs(_diagonal_spectrum(form.t)[:, None] - form.eigenvalues)
    rows, columns = scipy.optimize.linear_sum_assignment(distance)
    select = np.zeros(d, dtype=np.int32)
    select[rows[[complex(form.eigenvalues[c]) in members for c in columns]]] = 1
    trsen: Any = scipy.linalg.get_lapack_funcs("trsen", (form.t,))
    t, q, *_ = trsen(select, form.t, form.q, job="N")
    own, rest = t[:m, :m], t[m:, m:]
    coupling = scipy.linalg.solve_sylvester(own, -rest, t[:m, m:]) if m < d else t[:m, m:]
    if cluster.value.imag:
        chains = _complex_chains(own, cluster)
    else:
        chains = _chains(own - cluster.value.real * np.eye(m), cluster.sizes)
    right = q[:, :m] @ chains
    left = np.linalg.solve(chains, np.hstack([np.eye(m), coupling]) @ q.T)
    return FloatingPart(right, left)


def _diagonal_spectrum(t: np.ndarray) -> np.ndarray:
    """The eigenvalues of a real Schur form, in the order of its diagonal."""
    z = np.diag(t).astype(complex)
    for i in np.flatnonzero(np.diag(t, -1)):
        z[i : i + 2] = np.linalg.eigvals(t[i : i + 2, i : i + 2])
    return z


def _complex_chains(own: np.ndarray, cluster: Cluster) -> np.ndarray:
    """Real and imaginary parts of a Jordan basis of the eigenvalues in the upper half plane."""
    upper: Any = scipy.linalg.schur(own.astype(complex), sort=lambda z: z.imag > 0)
    m = len(own) // 2
    t, q = upper[0][:m, :m], upper[1][:, :m]
    chains = q @ _chains(t - cluster.value * np.eye(m), cluster.sizes)
    return np.hstack([chains.real, chains.imag])


def _chains(n: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """A Jordan basis of the nilpotent matrix near ``n`` that has blocks of these sizes.

    Shape (m, m). In the staircase basis, step k spans what N^k takes to 0 beyond N^{k-1}; a chain
    of length k begins in step k, outside the image of step k + 1.
    """
    steps = [sum(1 for s in sizes if s > k) for k in range(max(sizes))]
    basis, nilpotent = _staircase(n, steps)
    starts = np.concatenate([[0], np.cumsum(steps)])
    groups = []
    for k in range(len(steps), 0, -1):
        step = slice(starts[k - 1], starts[k])
        following = slice(starts[k], starts[k + 1]) if k < len(steps) else slice(0, 0)
        q = np.linalg.qr(nilpotent[step, following], mode="complete")[0]
        count = steps[k - 1] - (following.stop - following.start)
        heads = np.zeros((len(n), count), dtype=n.dtype)
        heads[step] = q[:, following.stop - following.start :]
        chain = [heads]
        for _ in range(k - 1):
            chain.append(nilpotent @ chain[-1])
        groups.append(_orthonormal_group(np.stack(chain[::-1], axis=2)))
    return basis @ np.hstack(groups)


def _staircase(n: np.ndarray, steps: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """A unitary basis in which ``n``, but for what is negligible, is block triangular."""
    basis = np.eye(len(n), dtype=n.dtype)
    for begin, width in zip(np.concatenate([[0], np.cumsum(steps)]), steps, strict=False):
        rest = basis[:, begin:]
        vt = np.linalg.svd(rest.conj().T @ n @ rest)[2]
        null, complement = vt[len(vt) - width :], vt[: len(vt) - width]
        basis[:, begin:] = rest @ np.vstack([null, complement]).conj().T
    nilpotent = basis.conj().T @ n @ basis
    begin = 0
    for width in steps:
        nilpotent[begin:, begin : begin + width] = 0
        begin += width
    return basis, nilpotent


def _orthonormal_group(chains: np.ndarray) -> np.ndarray:
    """Chains of one length, combined so that they are orthonormal as a whole; side by side.

    Shape (d, count, length) -> (d, count * length). What combines chains of one length is a chain.
    """
    d, count, length = chains.shape
    r = np.linalg.qr(chains.transpose(0, 2, 1).reshape(d * length, count), mode="r")
    combined = np.einsum("dcl,ck->dkl", chains, np.linalg.inv(r)) if count else chains
    return combined.reshape(d, count * length)


# --- exact -------------------------------------------------------------------------------------


def chain_heads(factor: Factor, *, transposed: bool = False) -> list[tuple[int, flint.fmpz_mat]]:
    """The lengths and first vectors of the Jordan chains of a factor p, over Q[x]/(p).

    A chain of length k begins in the kernel of p(M)^k, outside of that of p(M)^{k-1} and of the
    image of that of p(M)^{k+1}.

    Returns
    -------
    list of (int, fmpz_mat of shape (d, 1))
        The longest first; one for each Jordan block that every root of the factor has.
    """
    import flint

    m = factor.matrix.numerator
    m = m.transpose() if transposed else m
    sizes = factor.block_sizes
    d, degree = m.nrows(), factor.degree
    if sizes == (1,) and degree == d:
        return [(1, _columns(_identity(d), [0]))]
    base = evaluate_polynomial(factor.polynomial, m)
    kernels, power = [flint.fmpz_mat(d, 0)], _identity(d)
    for _ in range(max(sizes)):
        power = power * base
        kernels.append(_kernel(power))
    heads: list[tuple[int, flint.fmpz_mat]] = []
    images = flint.fmpz_mat(d, 0)  # of the longer chains, in the kernel of p(M)^k
    for k in range(max(sizes), 0, -1):
        known = _beside(kernels[k - 1], images)
        wanted = sum(1 for s in sizes if s == k)
        for column in range(kernels[k].ncols()):
            if not wanted:
                break
            v = _columns(kernels[k], [column])
            orbit = [v]
            for _ in range(degree - 1):
                orbit.append(m * orbit[-1])
            trial = known
            for w in orbit:
                trial = _beside(trial, w)
            if _rank(trial) == _rank(known) + degree:
                known, wanted = trial, wanted - 1
                heads.append((k, v))
                for w in orbit:
                    images = _beside(images, w)
        images = base * images
    return heads


def _identity(d: int) -> flint.fmpz_mat:
    import flint

    return flint.fmpz_mat(d, d, [int(i == j) for i in range(d) for j in range(d)])


def _kernel(m: flint.fmpz_mat) -> flint.fmpz_mat:
    """A basis of the kernel: short vectors, as columns."""
    import flint

    found, count = m.nullspace()
    basis = _columns(found, range(count))
    if not count:
        return basis
    primitive = [
        [x // math.gcd(*row) for x in row]
        for row in ([int(x) for x in column] for column in basis.transpose().tolist())
    ]
    return flint.fmpz_mat(primitive).lll().transpose()


def _columns(m: flint.fmpz_mat, which: Any) -> flint.fmpz_mat:
    import flint

    which = list(which)
    return flint.fmpz_mat(m.nrows(), len(which), [m[i, j] for i in range(m.nrows()) for j in which])


def _beside(a: flint.fmpz_mat, b: flint.fmpz_mat) -> flint.fmpz_mat:
    import flint

    rows = [x + y for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    return flint.fmpz_mat(rows) if rows[0] else flint.fmpz_mat(a.nrows(), 0)


def _rank(m: flint.fmpz_mat) -> int:
    """The rank modulo a large prime: at most the true one, so independence is never claimed."""
    import flint

    return flint.nmod_mat(m, PRIME).rank() if m.ncols() else 0


@dataclass(frozen=True)
class BallPart:
    """The part of one root in balls: ``right`` of shape (d, m), ``left`` of shape (m, d)."""

    right: flint.acb_mat
    left: flint.acb_mat


def root_part(
    factor: Factor,
    index: int,
    heads: list[tuple[int, flint.fmpz_mat]],
    left_heads: list[tuple[int, flint.fmpz_mat]],
) -> BallPart:
    """The part of the root ``index`` of a factor, at the working precision.

    Raises
    ------
    ZeroDivisionError
        If the precision does not show that the dual basis exists.
    """
    import flint

    right = _root_chains(factor, index, heads, transposed=False)
    other = _root_chains(factor, index, left_heads, transposed=True).transpose()
    gram: Any = other * right
    dual: Any = gram.inv() * other
    assert isinstance(dual, flint.acb_mat)
    return BallPart(right, dual)


def _root_chains(
    factor: Factor, index: int, heads: list[tuple[int, flint.fmpz_mat]], *, transposed: bool
) -> flint.acb_mat:
    """Chains (D - mu)^j q(D)^k v of heads v of length k, q = p/(x - mu) on the other roots."""
    import flint

    numerator = factor.matrix.numerator
    m = flint.acb_mat(numerator.transpose() if transposed else numerator)
    denominator = factor.matrix.denominator
    root = factor.roots(flint.ctx.prec)[index] * denominator
    quotient = _divided(factor.polynomial, root)
    groups: dict[int, list[list[flint.acb_mat]]] = {}
    for length, head in heads:
        h: Any = flint.acb_mat(head)
        for _ in range(length):
            h = _normalised(_apply(quotient, m, h))
        chain = [h]
        for _ in range(length - 1):
            chain.append((m * chain[-1] - root * chain[-1]) * flint.acb(1) / denominator)
        groups.setdefault(length, []).append(chain[::-1])
    columns: list[flint.acb_mat] = []
    for length in sorted(groups, reverse=True):
        columns += _orthonormal_balls(groups[length])
    return flint.acb_mat([[c[i, 0] for c in columns] for i in range(m.nrows())])


def _divided(polynomial: flint.fmpz_poly, root: flint.acb) -> list[flint.acb]:
    """The coefficients of p/(x - root), the highest first."""
    import flint

    quotient, carry = [], flint.acb(0)
    for c in reversed(polynomial.coeffs()[1:]):
        carry = carry * root + c
        quotient.append(carry)
    return quotient


def _apply(coefficients: list[flint.acb], m: Any, v: Any) -> Any:
    total = v * coefficients[0]
    for c in coefficients[1:]:
        total = m * total + v * c
    return total


def _normalised(v: Any) -> Any:
    """Divided by a power of 2, so that the largest entry is of the order of 1."""
    import flint

    largest = max(abs(x).mid() for row in v.tolist() for x in row)
    if largest == 0:
        return v
    exponent = int(largest.man_exp()[1]) + int(largest.man_exp()[0]).bit_length()
    return v * (flint.arb(2) ** -exponent)


def _orthonormal_balls(chains: list[list[Any]]) -> list[Any]:
    """Chains of one length, combined so that they are orthonormal to double precision."""
    import flint

    d, length = chains[0][0].nrows(), len(chains[0])
    largest = max(
        abs(x).mid() for chain in chains for v in chain for row in v.tolist() for x in row
    )
    scaled = [[v / largest for v in chain] for chain in chains]
    values = np.array([[[complex(v[i, 0]) for v in chain] for chain in scaled] for i in range(d)])
    r = np.linalg.qr(values.transpose(0, 2, 1).reshape(d * length, len(chains)), mode="r")
    mix = np.linalg.inv(r)
    combined = []
    for k in range(len(chains)):
        for j in range(length):
            total = scaled[0][j] * flint.acb(mix[0, k].real, mix[0, k].imag)
            for c in range(1, len(chains)):
                total = total + scaled[c][j] * flint.acb(mix[c, k].real, mix[c, k].imag)
            combined.append(total)
    return combined
