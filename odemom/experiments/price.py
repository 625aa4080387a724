"""The price of a value: the smallest |z| with psi(z) = mu, for every flow and mu from -3 to 3.

For a diagonal D, |z| is the entry of theta. A real z serves a single eigenvalue; where there is
none, a conjugate pair serves two equal ones, and its size is drawn apart. (A net's theta acts once
a layer: that of 21 layers, of mass 1 over all of them, is 1/21 of what the ODE's would be.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odemom.checks import as_integer
from odemom.experiments.frame import Claim, Experiment
from odemom.flows import Coasting, FirstOrder, MomentumResNet, SecondOrder, Undamped
from odemom.flows.base import Flow
from odemom.records import check_fields
from odemom.representability.witness import represent

__all__ = ["EXPERIMENT", "Config", "Price", "Prices"]

FLOWS: dict[str, Flow] = {
    "x' = θx": FirstOrder(),
    "ε = 1": SecondOrder(1),
    "x'' = θx": Undamped(),
    "ε = 1, switch at 1/2": Coasting(1, "1/2"),
    "ε = 1, x'(0) = θx₀": SecondOrder(1, "field"),
    "momentum net, 21 layers": MomentumResNet("20/21", 21),
}
LARGEST = 3.0


@dataclass(frozen=True)
class Price:
    """What the values cost with one flow.

    Attributes
    ----------
    flow : str
    values : tuple of float
        The mu, in increasing order.
    real : tuple of float
        The smallest |z| of a real z with psi(z) = mu; inf, stored as -1, where there is none.
    pair : tuple of float
        |z| of the non-real z on the principal branch where there is no real one; else -1.
    """

    flow: str
    values: tuple[float, ...]
    real: tuple[float, ...]
    pair: tuple[float, ...]


@dataclass(frozen=True)
class Prices:
    """The prices of all flows."""

    flows: tuple[Price, ...]


@dataclass(frozen=True)
class Config:
    """What is computed.

    Parameters
    ----------
    points : int
        Values mu on [-3, 3], an odd number, without 0.
    search : int
        Points of the real line on which preimages are bracketed.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    points: int = 241
    search: int = 200_000

    def __post_init__(self) -> None:
        check_fields(self)
        as_integer(self.points, "points", 5)
        as_integer(self.search, "search", 1000)


@dataclass(frozen=True)
class PriceTask:
    """One flow."""

    flow: str
    points: int
    search: int


def tasks(config: Config) -> list[PriceTask]:
    """One task a flow."""
    return [PriceTask(name, config.points, config.search) for name in FLOWS]


def run(task: PriceTask) -> Price:
    """The prices of one flow."""
    flow = FLOWS[task.flow]
    values = np.linspace(-LARGEST, LARGEST, task.points)
    values = values[values != 0]
    real = smallest_real(flow, values, task.search)
    pair = np.full(len(values), -1.0)
    for i in np.flatnonzero(~np.isfinite(real)):
        pair[i] = principal_pair(flow, float(values[i]))
    return Price(
        task.flow,
        tuple(values.tolist()),
        tuple(float(f"{x:.6g}") if math.isfinite(x) else -1.0 for x in real),
        tuple(float(f"{x:.6g}") for x in pair),
    )


def smallest_real(flow: Flow, values: np.ndarray, search: int) -> np.ndarray:
    """The smallest |z| of the real preimages in [-1000, 20], by bracketing and bisection.

    Parameters
    ----------
    flow : Flow
    values : ndarray of float64, shape (n,)
    search : int
        Points, dense near 0.

    Returns
    -------
    ndarray of float64, shape (n,)
        inf where there is none.
    """
    z = np.concatenate([-np.geomspace(1000, 1e-9, search), [0.0], np.geomspace(1e-9, 20, search)])
    psi = flow.scalar(z)
    found = np.full(len(values), np.inf)
    for i, mu in enumerate(values):
        above = psi > mu
        crossed = np.flatnonzero(above[1:] != above[:-1])
        if not crossed.size:
            continue
        k = crossed[np.argmin(np.minimum(np.abs(z[crossed]), np.abs(z[crossed + 1])))]
        low, high = z[k], z[k + 1]
        for _ in range(50):
            middle = (low + high) / 2
            if bool(flow.scalar(middle) > mu) == bool(above[k]):
                low = middle
            else:
                high = middle
        found[i] = abs(high)
    return found


def principal_pair(flow: Flow, mu: float) -> float:
    """|z| of the non-real z that serves two eigenvalues mu: those of the theta of mu I_2."""
    theta = represent([[mu, 0], [0, mu]], flow, exact=True)
    return float(np.abs(np.linalg.eigvals(theta)).max())


def gather(config: Config, flows: Sequence[Price]) -> Prices:
    """The prices of all flows."""
    del config
    return Prices(tuple(flows))


def claims(data: Prices) -> list[Claim]:
    """Which flows take negative values, and for how much."""
    by = {price.flow: price for price in data.flows}
    taken = {name: _at(by[name], -1.5) for name in by}
    free = ("ε = 1, switch at 1/2", "ε = 1, x'(0) = θx₀", "momentum net, 21 layers")
    words = ", ".join(f"{name}: {_text(taken[name])}" for name in taken)
    everywhere = all(min(by[name].real) >= 0 for name in free)
    nowhere = all(taken[name] < 0 for name in ("x' = θx", "ε = 1", "x'' = θx"))
    return [
        Claim.judged(
            "a switch, the velocity f(x0) and an odd depth take every real value at a real z; "
            "constant theta without them takes none below its threshold",
            "beyond the paper",
            f"smallest |z| for mu = -1.5: {words}",
            everywhere and nowhere,
        )
    ]


def _at(price: Price, mu: float) -> float:
    return price.real[int(np.argmin(np.abs(np.array(price.values) - mu)))]


def _text(size: float) -> str:
    return f"{size:.3g}" if size >= 0 else "none"


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(points=25, search=5000),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
