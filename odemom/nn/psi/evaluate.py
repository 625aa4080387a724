"""psi of a stack of tensors, with its derivatives in log eps and in a direction, without autograd.

An element is a dictionary (i, j) -> tensor: the coefficient of delta^i t^j in psi at
theta + t E, log eps + delta, with i <= order and j <= 1. Products follow Leibniz' rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from torch import Tensor

from odemom.checks import invalid
from odemom.propagator.double import WORTH_NORMS, WORTH_POWERS
from odemom.propagator.doubling import Doubling
from odemom.propagator.eps_derivatives import plan_jets
from odemom.propagator.plans import DOUBLE_ROUNDOFF, LARGEST, Plan, Schedule, schedule

__all__ = ["jet"]

ROUNDOFF = {torch.float64: DOUBLE_ROUNDOFF, torch.float32: 2.0**-24}
Key = tuple[int, int]
# Series that are differentiated in log eps have larger tails.
ORDER_FACTOR = 2.0**-3
# Doublings beyond which jets are computed one after the other: Python's calls nest 1000 deep.
DEEP = 60
TINY = {dtype: torch.finfo(dtype).tiny for dtype in ROUNDOFF}


class Jet:
    """The coefficients of an expansion; each is computed when it is first asked for."""

    def __init__(self, parts: dict[Key, Callable[[], Tensor]]) -> None:
        self.parts = parts
        self.known: dict[Key, Tensor] = {}

    @classmethod
    def of(cls, tensors: dict[Key, Tensor]) -> Jet:
        """The jet of parts that are there."""
        jet = cls({key: partial(tensors.__getitem__, key) for key in tensors})
        jet.known.update(tensors)
        return jet

    def at(self, where: Tensor) -> Jet:
        """That of some matrices of the stack."""
        return Jet.of({key: self[key][where] for key in self.parts})

    def __getitem__(self, key: Key) -> Tensor:
        if key not in self.known:
            self.known[key] = self.parts[key]()
        return self.known[key]

    def __rmul__(self, factor: float) -> Jet:
        return Jet({key: partial(self._times, factor, key) for key in self.parts})

    def _times(self, factor: float, key: Key) -> Tensor:
        return factor * self[key]

    def __add__(self, other: Jet) -> Jet:
        return Jet({key: partial(self._plus, other, key) for key in self.parts | other.parts})

    def _plus(self, other: Jet, key: Key) -> Tensor:
        if key in self.parts and key in other.parts:
            return self[key] + other[key]
        return self[key] if key in self.parts else other[key]


class Algebra:
    """Products of jets, and sums with multiples of I, up to an order in delta.

    With ``eager`` all parts are computed at once, so that jets made one from another do not nest.
    """

    def __init__(self, order: int, *, eager: bool = False) -> None:
        self.order = order
        self.eager = eager

    def made(self, jet: Jet) -> Jet:
        """The jet, computed if it has to be."""
        return Jet.of({key: jet[key] for key in jet.parts}) if self.eager else jet

    def product(self, left: Jet, right: Jet) -> Jet:
        """Terms beyond delta^order or t are dropped."""
        terms: dict[Key, list[tuple[Key, Key]]] = {}
        for i, j in left.parts:
            for k, m in right.parts:
                if i + k <= self.order and j + m <= 1:
                    terms.setdefault((i + k, j + m), []).append(((i, j), (k, m)))

        def total(pairs: list[tuple[Key, Key]]) -> Tensor:
            first, *others = pairs
            result = left[first[0]] @ right[first[1]]
            for a, b in others:
                if result.dim() == 3:
                    result.baddbmm_(left[a], right[b])
                else:
                    result += left[a] @ right[b]
            return result

        return self.made(Jet({key: partial(total, pairs) for key, pairs in terms.items()}))

    def shift(self, jet: Jet, multiples: tuple[float, ...]) -> Jet:
        """``jet``, which nothing else refers to, plus a multiple of I that depends on delta."""

        def shifted(key: Key) -> Tensor:
            part = jet[key]
            if key[1] == 0 and key[0] < len(multiples) and multiples[key[0]]:
                part.diagonal(dim1=-2, dim2=-1).add_(multiples[key[0]])
            return part

        return self.made(Jet({key: partial(shifted, key) for key in jet.parts}))


class Multiples(tuple[float, ...]):
    """The Taylor coefficients of a scalar, of which `Doubling` takes multiples."""

    def __rmul__(self, factor: float) -> Multiples:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Multiples(factor * value for value in self)


def jet(theta: Tensor, change: Tensor | None, eps: Tensor, order: int) -> Tensor:
    """delta^order (t if ``change`` is given) of psi, times order!: see the module.

    Parameters
    ----------
    theta : Tensor, shape (n, d, d)
    change : Tensor of that shape, or None
        The direction E.
    eps : Tensor, shape (n,)
    order : int
        Of the derivative in log eps, 0 to 2.

    Returns
    -------
    Tensor, shape (n, d, d)
        Of theta's dtype: autocast is off, which would round the products.
    """
    kind = theta.device.type
    narrowing = torch.amp.is_autocast_available(kind)
    with torch.autocast(kind, enabled=False) if narrowing else nullcontext():
        return _jet(theta, change, eps, order)


def _jet(theta: Tensor, change: Tensor | None, eps: Tensor, order: int) -> Tensor:
    factor = ORDER_FACTOR if order else 1.0
    norms, masses = sizes(theta, eps)
    exponents = np.frexp(np.minimum(norms, LARGEST))[1].clip(0, 120)
    exponents[norms < 2.0**8] = 0
    powers = first_power(theta, change, exponents)
    flows = [schedule(float(m), False, ROUNDOFF[theta.dtype] * factor) for m in np.unique(masses)]
    roots = [norms]
    if theta.shape[-1] >= WORTH_NORMS and any(
        flow.plan(float(norms[masses == flow.eps].max())).products >= WORTH_POWERS for flow in flows
    ):
        extend(powers, 3, Algebra(0))
        roots += [root * 2.0**exponents for root in roots_of(powers)]
    key, groups = (order, int(change is not None)), grouped(flows, masses, roots, exponents)
    result = torch.empty_like(theta)
    for plan, mass, where, unit in groups:
        mine = powers if len(groups) == 1 else [power.at(where) for power in powers]
        part = evaluate(plan, mine, mass, order, unit)
        # At the ends of [0, inf] there is no derivative in log eps.
        value = part[key] if key in part.parts else torch.zeros_like(mine[0][0, 0])
        value = math.factorial(order) * value if order else value
        if len(groups) == 1:
            return value
        result[where] = value
    return result


def first_power(theta: Tensor, change: Tensor | None, exponents: np.ndarray) -> list[Jet]:
    """Theta and the direction over powers of two, 1 where theta is not large."""
    start = {(0, 0): theta} if change is None else {(0, 0): theta, (0, 1): change}
    if exponents.any():
        unit = torch.as_tensor(2.0**exponents, dtype=theta.dtype, device=theta.device)
        start = {key: part / unit[:, None, None] for key, part in start.items()}
    return [Jet.of(start)]


def extend(powers: list[Jet], count: int, algebra: Algebra) -> None:
    """Append powers up to the given one."""
    while len(powers) < count:
        n = len(powers)
        powers.append(algebra.product(powers[n // 2], powers[(n - 1) // 2]))


def grouped(
    flows: list[Schedule], masses: np.ndarray, roots: list[np.ndarray], exponents: np.ndarray
) -> list[tuple[Plan, float, Tensor, float]]:
    """Plan, eps, indices and unit of the matrices that are evaluated together."""
    found = []
    for flow in flows:
        index = np.flatnonzero(masses == flow.eps)
        for plan, chosen in flow.refined_all([root[index] for root in roots]):
            members = index[chosen]
            for exponent in np.unique(exponents[members]):
                where = torch.as_tensor(members[exponents[members] == exponent])
                found.append((plan, flow.eps, where, 2.0 ** int(exponent)))
    return found


def norm1(matrices: Tensor) -> Tensor:
    """1-norms of a stack."""
    return matrices.abs().sum(dim=-2).amax(dim=-1)


def sizes(theta: Tensor, eps: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Norms, inf where theta has a nan, and masses, in one transfer from the device."""
    norms, masses = torch.stack([norm1(theta).double(), eps.double()]).cpu().numpy()
    if not (masses >= 0).all():
        wrong = float(masses[~(masses >= 0)][0])
        raise invalid("eps", got=str(wrong), expected="numbers in [0, inf]")
    return np.where(np.isnan(norms), np.inf, norms), masses


def roots_of(powers: list[Jet]) -> list[np.ndarray]:
    """||X²||^(1/2) and ||X³||^(1/3) of X, or of [[X, t E], [0, X]] with t = ||X||/(8 ||E||).

    The upper right block of a power is t times its derivative, whose truncation error is so at
    most 8 times that of the value, relative to C(0) ||E||/||X||.
    """
    x, directed = powers[0], (0, 1) in powers[0].parts
    t = norm1(x[0, 0]) / norm1(8 * x[0, 1]).clamp(min=TINY[x[0, 0].dtype]) if directed else None
    norms = []
    for power in powers[1:3]:
        entries = power[0, 0].abs()
        if t is not None:
            entries = entries.addcmul_(power[0, 1].abs(), t[:, None, None])
        norms.append(entries.sum(dim=-2).amax(dim=-1).double())
    square, cube = torch.stack(norms).cpu().numpy()
    return [
        np.nan_to_num(square, nan=np.inf) ** (1 / 2),
        np.nan_to_num(cube, nan=np.inf) ** (1 / 3),
    ]


def evaluate(plan: Plan, powers: list[Jet], mass: float, order: int, unit: float) -> Jet:
    """The recipe of `odemom.propagator.double.evaluate` on jets."""
    algebra, powers = Algebra(order, eager=len(plan.decays) > DEEP), [*powers]
    extend(powers, plan.powers, algebra)
    q, r = plan.powers, plan.chunks
    with np.errstate(over="ignore"):  # the result is nan then
        scaled = unit ** np.arange(1, q + 1)
        heads = unit ** (q * (np.arange(len(plan.table)) % r))[:, None]
    if order and 0 < mass < math.inf:
        tables, constants, decays = plan_jets(plan, mass)
    else:
        tables, constants, decays = [plan.table], [plan.constants], [plan.decays]
    with np.errstate(over="ignore", invalid="ignore"):
        tables = [table * scaled * heads for table in tables[: order + 1]]
        constants = [constant * heads for constant in constants[: order + 1]]
    stacked = {j: torch.stack([power[0, j] for power in powers[:q]]) for _, j in powers[0].parts}
    parts = chunk(tables, constants, stacked, slice(r - 1, None, r))
    for row in range(r - 2, -1, -1):
        following = chunk(tables, constants, stacked, slice(row, None, r))
        parts = algebra.product(parts, powers[q - 1]) + following
    separate = [
        Jet({key: partial(_member, parts, key, i) for key in parts.parts})
        for i in range(len(plan.coefficients))
    ]
    steps = tuple(Multiples(d[i] for d in decays) for i in range(len(plan.decays)))
    return Doubling(algebra.product, algebra.shift).finish(plan, separate, steps)


def chunk(
    tables: list[np.ndarray], constants: list[np.ndarray], stacked: dict[int, Tensor], rows: slice
) -> Jet:
    """The polynomials of the given rows, one of each part; see `propagator.plans.arranged`."""
    found = {}
    for j, powers in stacked.items():
        for k, (table, constant) in enumerate(zip(tables, constants, strict=True)):
            weights = torch.as_tensor(table[rows], dtype=powers.dtype, device=powers.device)
            value = (weights @ powers.flatten(1)).reshape(-1, *powers.shape[1:])
            if j == 0:
                added = torch.as_tensor(constant[rows, 0], dtype=value.dtype, device=value.device)
                value.diagonal(dim1=-2, dim2=-1).add_(added[:, None, None])
            found[k, j] = value
    return Jet.of(found)


def _member(jet: Jet, key: Key, index: int) -> Tensor:
    return jet[key][index]
