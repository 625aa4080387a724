"""The plane of remedies: which change reaches diag(l1, l2) where one constant theta does not.

Decided in exact arithmetic on a grid of rational eigenvalues, with a tick more on the diagonal
l1 = l2, where pairs are taken. For the first-order flow and for eps = 1/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from odemom.checks import as_eps, as_integer
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields
from odemom.representability.augmentation import augmentation
from odemom.representability.pieces import pieces
from odemom.representability.spectrum import spectrum

__all__ = ["EXPERIMENT", "Config", "Plane", "Planes"]

LARGEST = 2
KINDS = ("constant theta", "larger eps", "two pieces", "one coordinate", "two coordinates")


@dataclass(frozen=True)
class Plane:
    """The cheapest remedy at every point of a grid.

    Attributes
    ----------
    eps : str
    values : tuple of float
        The eigenvalues of the grid.
    kinds : tuple of str
        For every l1 a word with one digit for every l2: the place in `KINDS` of the first of them
        that reaches diag(l1, l2).
    """

    eps: str
    values: tuple[float, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Planes:
    """One plane for each flow."""

    planes: tuple[Plane, ...]


@dataclass(frozen=True)
class Config:
    """What is decided.

    Parameters
    ----------
    eps : sequence of str or numbers
        Masses in [0, inf].
    points : int
        Eigenvalues on [-2, 2] along each axis.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    eps: tuple[str, ...] = ("0", "1/2")
    points: int = 81

    def __post_init__(self) -> None:
        check_fields(self)
        for mass in self.eps:
            as_eps(mass)
        as_integer(self.points, "points", 5)


@dataclass(frozen=True)
class RemedyTask:
    """One flow."""

    eps: str
    points: int


def tasks(config: Config) -> list[RemedyTask]:
    """One task a flow."""
    return [RemedyTask(str(mass), config.points) for mass in config.eps]


def run(task: RemedyTask) -> Plane:
    """Decide the grid; it is symmetric in l1 and l2."""
    n = task.points
    values = [Fraction(2 * LARGEST * i, n - 1) - LARGEST for i in range(n)]
    known = {(i, j): kind_of(values[i], values[j], task.eps) for i in range(n) for j in range(i, n)}
    words = ["".join(str(known[min(i, j), max(i, j)]) for j in range(n)) for i in range(n)]
    return Plane(task.eps, tuple(map(float, values)), tuple(words))


def kind_of(first: Fraction, second: Fraction, eps: str) -> int:
    """The first of the remedies that reaches diag(first, second).

    Examples
    --------
    >>> KINDS[kind_of(Fraction(-1), Fraction(1), "0")]
    'one coordinate'
    """
    found = spectrum([[first, 0], [0, second]])
    if found.represents(eps):
        return 0
    if as_eps(eps) > 0 and found.represents("inf"):
        return 1
    if pieces(found, eps) is not None:
        return 2
    return 2 + augmentation(found, eps)


def gather(config: Config, planes: Sequence[Plane]) -> Planes:
    """All planes."""
    del config
    return Planes(tuple(planes))


def claims(data: Planes) -> list[Claim]:
    """How much of the plane each remedy reaches."""
    shares = []
    for plane in data.planes:
        cells = "".join(plane.kinds)
        counts = [f"{KINDS[k]} {cells.count(str(k)) / len(cells):.1%}" for k in range(5)]
        shares.append(f"eps = {plane.eps}: {', '.join(c for c in counts if ' 0.0%' not in c)}")
    reached = all(set("".join(p.kinds)) <= set("01234") for p in data.planes)
    first = [p for p in data.planes if as_eps(p.eps) == 0]
    second = [p for p in data.planes if as_eps(p.eps) > 0]
    return [
        Claim.judged(
            "every diagonal map of the plane has a remedy: for the first-order flow two pieces "
            "where det > 0, else coordinates; for a second-order flow two pieces always",
            "beyond the paper",
            "; ".join(shares),
            reached
            and all(_first_order(p) for p in first)
            and all(set("".join(p.kinds)) <= set("012") for p in second),
        )
    ]


def _first_order(plane: Plane) -> bool:
    """Whether two pieces or one suffice exactly where det > 0."""
    return all(
        (int(kind) <= 2) == (a * b > 0)
        for a, word in zip(plane.values, plane.kinds, strict=True)
        for b, kind in zip(plane.values, word, strict=True)
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(points=9),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
