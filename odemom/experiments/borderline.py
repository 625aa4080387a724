"""Where certainty ends: -I_2 with noise, from far below roundoff to far above.

-I_2 is representable for every eps, its eigenvalue -1 having two blocks of size 1. Next to it lie
matrices with two simple eigenvalues below lambda_eps, which are not, and matrices with a complex
pair, which are. In exact arithmetic each of them has its answer. As doubles they stand for all
matrices within ``tol * ||D||``, by default 1.8e-15 for d = 2: as long as the noise is smaller than
that, -I_2 and both kinds of neighbours are among them, and no honest answer is certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from odemom.checks import as_eps, as_integer, as_number, expect, shown
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields
from odemom.representability.analyze import analyze

__all__ = ["EXPERIMENT", "Config", "NoiseRow", "NoiseTable"]

NOISES = (0.0, 1e-16, 1e-15, 3e-15, 1e-14, 1e-13, 1e-12, 1e-8, 1e-4)
# Random directions are now and then nearly defective: that takes some powers of ten.
FAR_BELOW, FAR_ABOVE = 4, 1e6
HEADS = (
    "noise",
    "random: certain",
    "of these, representable",
    "borderline",
    "split pair diag(-1, -1 + noise)",
    "complex pair -1 ± noise i",
)


@dataclass(frozen=True)
class NoiseRow:
    """The decisions at one size of noise.

    Attributes
    ----------
    noise : float
    certain : int
        How many of the matrices -I_2 + noise G, G of entries N(0, 1), were decided with certainty.
    representable : int
        How many of these are representable.
    borderline : int
        How many were not decided with certainty.
    split, turned : str
        Status and verdict for diag(-1, -1 + noise) and for [[-1, noise], [-noise, -1]].
    """

    noise: float
    certain: int
    representable: int
    borderline: int
    split: str
    turned: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        counts = (self.certain, self.representable, self.borderline)
        return (f"{self.noise:g}", *map(str, counts), self.split, self.turned)


@dataclass(frozen=True)
class NoiseTable:
    """The table; a notebook shows it as one.

    Attributes
    ----------
    eps : number
    tol : float
        The default tolerance for doubles, d = 2.
    samples, seed : int
    rows : tuple of NoiseRow
    """

    eps: Fraction | float
    tol: float
    samples: int
    seed: int
    rows: tuple[NoiseRow, ...]

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [HEADS, ["---"] * len(HEADS), *(row.cells for row in self.rows)]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{text}</th>" for text in HEADS)
        body = "".join(
            "<tr>" + "".join(f"<td>{text}</td>" for text in row.cells) + "</tr>"
            for row in self.rows
        )
        return f"<table><tr>{head}</tr>{body}</table>"


@dataclass(frozen=True)
class Config:
    """What is decided.

    Parameters
    ----------
    noises : sequence of float
        In [0, 1).
    eps : number in [0, inf] or str
        As in `odemom.analyze`. At eps = inf, -1 is the threshold itself.
    samples : int
        Random matrices for every noise; the same directions for all.
    seed : int

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    noises: tuple[float, ...] = NOISES
    eps: Fraction | float | str = 0.5
    samples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        expected = "numbers in [0, 1), at least one of them > 0 as a double"
        for noise in self.noises:
            number = as_number(noise, "noises", expected)
            expect(0 <= number < 1, "noises", got=shown(noise), expected=expected)
        expect(any(n > 0 for n in self.noises), "noises", got="no noise", expected=expected)
        object.__setattr__(self, "eps", as_eps(self.eps))
        as_integer(self.samples, "samples", 1)
        as_integer(self.seed, "seed", 0)


@dataclass(frozen=True)
class NoiseTask:
    """The decisions at one size of noise."""

    noise: float
    eps: Fraction | float
    samples: int
    seed: int


def tasks(config: Config) -> list[NoiseTask]:
    """One task per size of noise."""
    eps = as_eps(config.eps)
    return [NoiseTask(float(n), eps, config.samples, config.seed) for n in config.noises]


def run(task: NoiseTask) -> NoiseRow:
    """Decide the matrices of one size of noise."""
    directions = np.random.default_rng(task.seed).standard_normal((task.samples, 2, 2))
    return _row(task.noise, directions, task.eps)


def gather(config: Config, rows: Sequence[NoiseRow]) -> NoiseTable:
    """The table from its rows."""
    eps = as_eps(config.eps)
    tol = analyze(-np.eye(2), eps).tol
    assert tol is not None  # floating input has one
    return NoiseTable(eps, tol, config.samples, config.seed, tuple(rows))


def claims(table: NoiseTable) -> list[Claim]:
    """Where certainty begins."""
    small = [row for row in table.rows if row.noise < table.tol / FAR_BELOW]
    large = [row for row in table.rows if row.noise > FAR_ABOVE * table.tol]
    return [
        Claim.judged(
            "noise far below the tolerance leaves every decision on -I_2 borderline, noise far "
            "above it none",
            "beyond the paper",
            f"tolerance {table.tol:.2g}: borderline {sum(r.borderline for r in small)} of "
            f"{table.samples * len(small)} below, {sum(r.borderline for r in large)} of "
            f"{table.samples * len(large)} above",
            all(r.certain == 0 for r in small) and all(r.borderline == 0 for r in large),
        )
    ]


def _row(noise: float, directions: np.ndarray, eps: Any) -> NoiseRow:
    reports = [analyze(matrix, eps) for matrix in -np.eye(2) + noise * directions]
    certain = [report for report in reports if report.status == "certain"]
    split = np.diag([-1.0, -1.0 + noise])
    turned = np.array([[-1.0, noise], [-noise, -1.0]])
    return NoiseRow(
        noise,
        len(certain),
        sum(report.representable for report in certain),
        len(reports) - len(certain),
        _said(split, eps),
        _said(turned, eps),
    )


def _said(matrix: np.ndarray, eps: Any) -> str:
    report = analyze(matrix, eps)
    return f"{report.status}, {'yes' if report else 'no'}"


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(noises=(0.0, 1e-16, 1e-14, 1e-4), samples=20),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
