"""psi of a stack of tensors, with its derivatives in log eps and in a direction, without autograd.

An element is a dictionary (i, j) -> tensor: the coefficient of delta^i t^j in psi at
theta + t E, log eps + delta, with i <= order and j <= 1. Products follow Leibniz' rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from odemom.checks import invalid
from odemom.flows.jets import plan_jets
from odemom.flows.plans import DOUBLE_ROUNDOFF, LARGEST, Plan, schedule
from odemom.flows.propagator import Doubling

__all__ = ["jet"]

ROUNDOFF = {torch.float64: DOUBLE_ROUNDOFF, torch.float32: 2.0**-24}
Key = tuple[int, int]
# As in odemom.flows.derivative: differentiated series have larger tails.
DERIVATIVE_FACTOR = 2.0**-3
# Below this size a norm costs as much as a product.
WORTH_NORMS = 24


class Jet:
    """See the module; parts are computed when first asked for, so that none is in vain."""

    def __init__(self, parts: dict[Key, Callable[[], Tensor]]) -> None:
        self.parts = parts
        self.known: dict[Key, Tensor] = {}

    @classmethod
    def of(cls, tensors: dict[Key, Tensor]) -> Jet:
        """The jet of parts that are there."""
        jet = cls({key: partial(tensors.__getitem__, key) for key in tensors})
        jet.known.update(tensors)
        return jet

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
    """Products and multiples of I of jets up to an order in delta."""

    def __init__(self, order: int, identity: Tensor) -> None:
        self.order = order
        self.identity = identity

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
                result += left[a] @ right[b]
            return result

        return Jet({key: partial(total, pairs) for key, pairs in terms.items()})

    def shift(self, jet: Jet, multiples: tuple[float, ...]) -> Jet:
        """``jet`` plus a multiple of I that depends on delta."""
        added = {(k, 0): m * self.identity for k, m in enumerate(multiples[: self.order + 1]) if m}
        return jet + Jet.of(added)


class Multiples(tuple[float, ...]):
    """The Taylor coefficients of a scalar; `Doubling` takes its negative."""

    def __neg__(self) -> Multiples:
        return Multiples(-value for value in self)


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
    """
    result = torch.empty_like(theta)
    factor = DERIVATIVE_FACTOR if change is not None or order else 1.0
    # Powers tell how small theta^n is, but not how small its derivatives are.
    groups = grouped(theta, eps, ROUNDOFF[theta.dtype] * factor, refine=change is None)
    for plan, mass, where, unit in groups:
        whole = len(groups) == 1
        x = (theta if whole else theta[where]) / unit
        start = {(0, 0): x}
        if change is not None:
            start[0, 1] = (change if whole else change[where]) / unit
        part = evaluate(plan, [Jet.of(start)], mass, order, unit)
        key = (order, int(change is not None))
        # At the ends of [0, inf] there is no derivative in log eps.
        value = part[key] if key in part.parts else torch.zeros_like(x)
        if whole:
            return math.factorial(order) * value if order else value
        result[where] = math.factorial(order) * value
    return result


def grouped(
    theta: Tensor, eps: Tensor, roundoff: float, refine: bool
) -> list[tuple[Plan, float, Tensor, float]]:
    """Plan, eps, indices and unit of the matrices that are evaluated together."""
    norms, alphas, masses = bounds(theta, eps, refine)
    exponents = np.frexp(np.minimum(norms, LARGEST))[1].clip(-120, 120)
    exponents[((norms > 2.0**-8) & (norms < 2.0**8)) | (norms == 0)] = 0
    found = []
    for mass in np.unique(masses):
        index = np.flatnonzero(masses == mass)
        for plan, chosen in schedule(float(mass), False, roundoff).refined_all([alphas[index]]):
            members = index[chosen]
            for exponent in np.unique(exponents[members]):
                where = torch.as_tensor(members[exponents[members] == exponent])
                found.append((plan, float(mass), where.to(theta.device), 2.0 ** int(exponent)))
    return found


def norm1(matrices: Tensor) -> Tensor:
    """1-norms of a stack."""
    return matrices.abs().sum(dim=-2).amax(dim=-1)


def bounds(theta: Tensor, eps: Tensor, refine: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Norms, alphas and masses, in one transfer from the device; inf where theta has a nan."""
    norms = alphas = norm1(theta)
    if refine and theta.shape[-1] >= WORTH_NORMS:
        unit = norms.clamp(min=torch.finfo(theta.dtype).tiny)
        x = theta / unit[:, None, None]
        square = x @ x
        roots = norm1(square) ** (1 / 2), norm1(x @ square) ** (1 / 3)
        alphas = torch.minimum(norms, unit * torch.maximum(*roots))
    table = torch.stack([norms.double(), alphas.double(), eps.double()]).cpu().numpy()
    masses = table[2]
    if not (masses >= 0).all():
        wrong = float(masses[~(masses >= 0)][0])
        raise invalid("eps", got=str(wrong), expected="numbers in [0, inf]")
    sizes = np.where(np.isnan(table[:2]), np.inf, table[:2])
    return sizes[0], sizes[1], masses


def evaluate(plan: Plan, powers: list[Jet], mass: float, order: int, unit: float) -> Jet:
    """The recipe of `odemom.flows.propagator.evaluate` on jets."""
    x = powers[0][0, 0]
    algebra = Algebra(order, torch.eye(x.shape[-1], dtype=x.dtype, device=x.device))
    while len(powers) < plan.powers:
        n = len(powers)
        powers.append(algebra.product(powers[n // 2], powers[(n - 1) // 2]))
    scaled = unit ** np.arange(1, plan.powers + 1)
    heads = np.array([[unit ** (plan.powers * (i % plan.chunks))] for i in range(len(plan.table))])
    if order and 0 < mass < math.inf:
        tables, constants, decays = plan_jets(plan, mass)
    else:
        tables, constants, decays = [plan.table], [plan.constants], [plan.decays]
    q, r, shape = plan.powers, plan.chunks, x.shape
    rows: dict[Key, Tensor] = {}
    for j in sorted({j for _, j in powers[0].parts}):
        stacked = torch.stack([power[0, j] for power in powers[:q]]).reshape(q, -1)
        for k, table in enumerate(tables[: order + 1]):
            weights = torch.as_tensor(table * scaled * heads, dtype=x.dtype, device=x.device)
            rows[k, j] = (weights @ stacked).reshape(-1, r, *shape)
    for k, constant in enumerate(constants[: order + 1]):
        weights = torch.as_tensor(constant * heads, dtype=x.dtype, device=x.device)
        rows[k, 0] += weights.reshape(-1, r, 1, 1, 1) * algebra.identity
    parts = Jet.of({key: value[:, r - 1] for key, value in rows.items()})
    for row in range(r - 2, -1, -1):
        following = Jet.of({key: value[:, row] for key, value in rows.items()})
        parts = algebra.product(parts, powers[q - 1]) + following
    count = len(plan.coefficients)
    separate = [
        Jet({key: partial(_member, parts, key, i) for key in parts.parts}) for i in range(count)
    ]
    steps = tuple(Multiples(d[i] for d in decays) for i in range(len(plan.decays)))
    return Doubling(algebra.product, algebra.shift).finish(plan, separate, steps)


def _member(jet: Jet, key: Key, index: int) -> Tensor:
    return jet[key][index]
