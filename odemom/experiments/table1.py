"""Table 1 of the paper: reversible architectures side by side, each cell a check that runs.

The paper's three columns, for its five architectures and two newer ones (midpoint, BDIA), and three
more: how many bits an inverse in floats loses with the depth, what an exact inverse has to keep,
and whether a fixed point can attract. The checks:

- *Closed form.* In double precision, at depth 10, one evaluation per function on the way back
  recovers the input to `EXACT`.
- *Same parameters.* The weights have the shapes of those of a ResNet of the same width and depth.
- *Unconstrained.* The inverse is still found, to `FOUND`, at depth 4, when every function has the
  Lipschitz constant 3 at its steepest, and not only at 0.9.
- *Bits lost.* log2 of the largest error of the recovered input over 2^-24 of the largest input, in
  single precision, at most 24: nothing left. The functions have Lipschitz constants 3/depth.
- *Kept.* Bits per element and layer for an inverse that is exact bit for bit.
- *Attracting.* The least spectral radius per layer, over random functions with f(0) = 0, of the
  state's Jacobian at 0, by central differences: below 1 nearby states converge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odemom.checks import as_integer, expect, shown
from odemom.experiments._reversible_architectures import ARCHITECTURES
from odemom.experiments._reversible_checks import Checks, Task, measured
from odemom.experiments._spread import deviation
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "PAPER", "Checks", "Config", "Table1"]

EXACT = 1e-10
"""Relative error: rounding 2^-53, amplified at most 2^10 times in ten layers of BDIA, with room for
the steps between; a solver's tolerance is far above."""
FOUND = 1e-3
"""Relative error: an iteration that does not converge ends at errors of order 1."""
ATTRACTED = 1 - 1e-6
"""Central differences are exact to 1e-9."""

# The paper's ticks; None where its reading depends on what is meant: a neural ODE is inverted by
# integrating back, exact in continuous time and as good as its solver in a program.
PAPER: dict[str, tuple[bool | None, bool, bool]] = {
    "Neural ODE": (None, False, True),
    "i-ResNet": (False, True, False),
    "i-RevNet": (True, False, True),
    "RevNet": (True, False, True),
    "Momentum ResNet": (True, True, True),
}


@dataclass(frozen=True)
class Config:
    """What is checked.

    Parameters
    ----------
    depths : sequence of int
        At which the loss of bits is measured, rising.
    width : int
        Coordinates of x, even.
    batch : int
        Inputs.
    draws : int
        Random functions per seed in the search for attracting fixed points.
    seeds : int
        Random networks.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    depths: tuple[int, ...] = (10, 100, 1000)
    width: int = 16
    batch: int = 32
    draws: int = 40
    seeds: int = 5

    def __post_init__(self) -> None:
        check_fields(self)
        for depth in self.depths:
            as_integer(depth, "depths", 4)
        rising = len(self.depths) >= 1 and all(np.diff(self.depths) > 0)
        expect(rising, "depths", got=shown(self.depths), expected="depths, rising")
        for name, least in (("width", 2), ("batch", 1), ("draws", 1), ("seeds", 1)):
            as_integer(getattr(self, name), name, least)
        expect(self.width % 2 == 0, "width", got=str(self.width), expected="an even number")


@dataclass(frozen=True)
class Row:
    """One architecture over all seeds."""

    name: str
    checks: tuple[Checks, ...]

    def values(self, field: str) -> np.ndarray:
        """A figure, one per seed."""
        return np.array([getattr(c, field) for c in self.checks])

    @property
    def closed_form(self) -> bool:
        """Whether one evaluation per function gives the inverse."""
        once = self.values("evaluations").max() <= 1
        return bool(once and self.values("error").max() <= EXACT)

    @property
    def same_parameters(self) -> bool:
        """Whether the weights are those of a ResNet."""
        return bool(self.values("same_shapes").all())

    @property
    def unconstrained(self) -> bool:
        """Whether the inverse is found whatever the Lipschitz constant."""
        return bool(
            max(self.values("error_within").max(), self.values("error_beyond").max()) <= FOUND
        )

    @property
    def attracting(self) -> bool:
        """Whether a fixed point can attract."""
        return bool(self.values("radius").min() < ATTRACTED)

    @property
    def kept(self) -> float | None:
        """Bits per element and layer of an exact inverse, None where there is none."""
        kept = self.values("kept")
        return None if (kept < 0).any() else float(kept.mean())


@dataclass(frozen=True)
class Table1:
    """The table.

    Attributes
    ----------
    depths : tuple of int
    seeds : int
    rows : tuple of Row
    """

    depths: tuple[int, ...]
    seeds: int
    rows: tuple[Row, ...]


def tasks(config: Config) -> list[Task]:
    """One task per architecture and seed."""
    rest = config.depths, config.width, config.batch, config.draws
    return [Task(name, seed, *rest) for name in ARCHITECTURES for seed in range(config.seeds)]


def run(task: Task) -> Checks:
    """All checks of one architecture on one random network."""
    return measured(task)


def gather(config: Config, found: Sequence[Checks]) -> Table1:
    """The table from its checks."""
    rows = (Row(n, tuple(c for c in found if c.architecture == n)) for n in ARCHITECTURES)
    return Table1(config.depths, config.seeds, tuple(rows))


def claims(table: Table1) -> list[Claim]:
    """What the table shows."""
    rows = {row.name: row for row in table.rows}
    over = f"{table.seeds} random networks each"
    return [
        _ticks(rows, over),
        _drop_in(rows, over),
        _fixed_points(rows, table),
        _floats(rows, table),
        _conserved(rows, table),
    ]


def _ticks(rows: dict[str, Row], over: str) -> Claim:
    agree, judged, wrong = 0, 0, []
    for name, ticks in PAPER.items():
        row = rows[name]
        seen = row.closed_form, row.same_parameters, row.unconstrained
        for column, tick, cell in zip(
            ("closed form", "parameters", "unconstrained"), ticks, seen, strict=True
        ):
            if tick is not None:
                judged += 1
                agree += tick == cell
                wrong += [] if tick == cell else [f"{name}, {column}"]
    ode = rows["Neural ODE"].values("error").max()
    return Claim.judged(
        "of the five architectures RevNet, i-RevNet and Momentum ResNet are inverted in closed "
        "form; i-ResNet and Momentum ResNet have the parameters of a ResNet; only i-ResNet "
        "constrains training",
        "Table 1",
        f"{agree} of {judged} cells agree"
        + (f" (not: {'; '.join(wrong)})" if wrong else "")
        + f", {over}; a neural ODE integrated back is off by {ode:.0e} in double precision",
        agree == judged,
    )


def _drop_in(rows: dict[str, Row], over: str) -> Claim:
    both = [
        r.name for r in rows.values() if r.closed_form and r.same_parameters and r.unconstrained
    ]
    return Claim.judged(
        "of the paper's five only the Momentum ResNet has all three: closed-form inverse, a "
        "ResNet's parameters, unconstrained training; of the newer ones the midpoint rule and BDIA",
        "Table 1, and beyond the paper",
        f"all three: {', '.join(both)}; {over}",
        set(both) == {"Momentum ResNet", "Midpoint", "BDIA"},
    )


def _fixed_points(rows: dict[str, Row], table: Table1) -> Claim:
    least = {name: row.values("radius").min() for name, row in rows.items()}
    return Claim.judged(
        "a RevNet has no attracting fixed point, a Momentum ResNet can have one",
        "Proposition 1",
        "least spectral radius found: "
        + ", ".join(f"{name} {value:.3f}" for name, value in least.items())
        + "; the midpoint rule has none either",
        not rows["RevNet"].attracting and rows["Momentum ResNet"].attracting,
    )


def _floats(rows: dict[str, Row], table: Table1) -> Claim:
    row, first_order = rows["Momentum ResNet"], 0.1 / math.log(2)
    rate, lost = row.values("lost_per_layer"), row.values("lost")
    told = ", ".join(
        f"{mean:.1f} ± {spread:.1f} at depth {depth}"
        for depth, mean, spread in zip(table.depths, lost.mean(0), deviation(lost, 0), strict=True)
    )
    return Claim.judged(
        "a Momentum ResNet in floats loses about (1 - gamma)/ln 2 bits per element and layer on "
        "the way back, so that an exact inverse needs an information buffer of that size",
        "Section 3",
        f"gamma = 0.9: {rate.mean():.3f} ± {deviation(rate):.3f} per layer, where "
        f"(1 - gamma)/ln 2 = {first_order:.3f} and log2(1/gamma) = "
        f"{ARCHITECTURES[row.name].forgets:.3f}; of the 24 bits of single precision {told}; with "
        "the buffer none",
        bool(abs(rate.mean() / first_order - 1) <= 0.1 and row.kept is not None),
    )


def _conserved(rows: dict[str, Row], table: Table1) -> Claim:
    names = ("i-RevNet", "RevNet", "Midpoint", "Momentum ResNet", "BDIA")
    deepest, holds, told = table.depths[-1], True, []
    for name in names:
        row, want = rows[name], ARCHITECTURES[name].forgets
        rate, kept = row.values("lost_per_layer"), row.kept
        # A buffer is made of whole words, the last of 64 bits: at most 96 bits more than needed.
        holds &= kept is not None and 0 <= kept - want + 1e-4 <= 96 / deepest
        holds &= bool(abs(rate.mean() - want) <= 0.02)
        holds &= row.attracting == (want > 0)
        exact = "fails" if kept is None else f"keeps {kept:.3f}"
        told.append(
            f"{name} forgets {want:.3f}, loses {rate.mean():.3f} ± {deviation(rate):.3f}, {exact}"
        )
    return Claim.judged(
        "what a layer contracts, -log2 |det J| bits per element, is what floats lose and what an "
        "exact inverse keeps, and without it no fixed point attracts: an architecture keeps "
        "nothing or can converge, never both",
        "beyond the paper",
        "; ".join(told),
        holds if deepest >= 1000 else None,
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(depths=(5, 25), width=8, batch=8, draws=2, seeds=1),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
