"""How likely is a random matrix representable? A Monte Carlo survey over eps and dimension.

The matrices come in chunks. The stream of a chunk is a child of ``SeedSequence(seed)`` at the
address (ensemble, dimension, chunk), which is what ``spawn``, called three times, makes: the result
depends neither on where the chunks run nor on what else the survey asks for. Every matrix is
decided for all eps, from one spectrum.

Floats are decided as by `odemom.is_representable`, with a tolerance that covers the rounding of the
sampling too; those that lie within it of a matrix with another answer are counted in
``borderline``: the orthogonal matrices with the eigenvalue -1 at eps = inf, whose threshold is -1.
Integers are decided in exact arithmetic where d <= 3 and wherever the vectorised decision abstains;
beyond, a sample of the vectorised decisions, for which the entries are exact in doubles, is
repeated in exact arithmetic.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from odemom.checks import as_eps, as_integer, expect, invalid, shown
from odemom.data.ensembles import ENSEMBLES
from odemom.errors import OdemomError
from odemom.experiments.frame import Claim, Experiment
from odemom.flows.by_eps import flow_of
from odemom.representability.analyze import analyze
from odemom.representability.batch import SimpleSpectra
from odemom.representability.floating import default_tol

__all__ = ["EXPERIMENT", "Survey", "SurveyCell", "SurveyConfig"]

LEVEL = 0.95
EXACT_UP_TO = 3  # the dimension to which all integer matrices are decided exactly: 0.1 ms each
AUDITED = 20  # integer matrices a chunk that are decided exactly as well beyond that
LARGEST_DIMENSION = 1000
CHUNK_ENTRIES = 1 << 23
# 0, then 1/32, 3/64, 1/16, ... to 48 and 64, two to an octave, then inf.
OCTAVES = (Fraction(n, 2) * Fraction(2) ** k for k in range(-5, 6) for n in (2, 3))
EPS: tuple[Fraction | float, ...] = (Fraction(0), *OCTAVES, Fraction(64), math.inf)


@dataclass(frozen=True)
class SurveyConfig:
    """What a survey asks.

    Parameters
    ----------
    ensembles : sequence of str
        Of `odemom.data.ensembles.ENSEMBLES`: ginibre, orthogonal, symmetric, integer.
    dimensions : sequence of int
        In [1, 1000].
    eps : sequence of numbers or str in [0, inf]
        Taken as by `odemom.is_representable`; put into increasing order.
    samples : int
        Matrices per ensemble and dimension; all eps see the same ones.
    seed : int
        Not negative.
    chunk : int
        Matrices drawn together, at most; fewer where these would take more than 64 MiB. Another
        chunk is another stream: it changes the samples.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain, or a list is empty or names something twice.
    """

    ensembles: Sequence[str] = tuple(ENSEMBLES)
    dimensions: Sequence[int] = (1, 2, 3, 5, 10)
    eps: Sequence[Fraction | float | str] = EPS
    samples: int = 10_000
    seed: int = 0
    chunk: int = 1000

    def __post_init__(self) -> None:
        for name, known in (
            ("ensembles", lambda e: isinstance(e, str) and e in ENSEMBLES),
            ("dimensions", lambda d: _is_integer(d, 1) and d <= LARGEST_DIMENSION),
        ):
            expected = {
                "ensembles": f"names among {', '.join(ENSEMBLES)}",
                "dimensions": f"integers in [1, {LARGEST_DIMENSION}]",
            }[name]
            values = _as_tuple(getattr(self, name), name, expected)
            for value in values:
                expect(known(value), name, got=shown(value), expected=expected)
            object.__setattr__(self, name, _distinct(values, name))
        eps = _as_tuple(self.eps, "eps", "numbers in [0, inf]")
        object.__setattr__(
            self, "eps", tuple(sorted(_distinct(tuple(as_eps(value) for value in eps), "eps")))
        )
        for name, least in (("samples", 1), ("seed", 0), ("chunk", 1)):
            object.__setattr__(self, name, as_integer(getattr(self, name), name, least))


def _is_integer(value: Any, least: int) -> bool:
    return (
        isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= least
    )


def _as_tuple(values: Any, name: str, expected: str) -> tuple[Any, ...]:
    listed = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)
    expect(
        listed and len(values) > 0,
        name,
        got=shown(values),
        expected=f"a list, not empty: {expected}",
    )
    return tuple(values.tolist() if isinstance(values, np.ndarray) else values)


def _distinct(values: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise invalid(name, got=f"{shown(twice[0])} twice", expected="different entries")
    return values


@dataclass(frozen=True)
class SurveyCell:
    """The answer for one ensemble and dimension; the tuples follow ``SurveyConfig.eps``.

    Attributes
    ----------
    ensemble : str
    dimension : int
    samples : int
    counts : tuple of int
        How many were representable.
    probability, low, high : tuple of float
        The estimate, and the interval of Clopper and Pearson, which holds the true probability
        in at least 95 % of all surveys whatever it is, also near 0 and 1.
    borderline : tuple of int
        How many floating matrices have matrices within the tolerance that differ in the answer.
    seconds : float
        Spent on it, summed over the workers. It does not count in a comparison.
    """

    ensemble: str
    dimension: int
    samples: int
    counts: tuple[int, ...]
    probability: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    borderline: tuple[int, ...]
    seconds: float = field(compare=False)


@dataclass(frozen=True)
class Survey:
    """The numbers of a survey.

    Attributes
    ----------
    config : SurveyConfig
    cells : tuple of SurveyCell
        Ensemble by ensemble, dimension by dimension, in the order of the config.
    """

    config: SurveyConfig
    cells: tuple[SurveyCell, ...]


@dataclass(frozen=True)
class ChunkTask:
    """Matrices that are drawn and decided together; ``index`` counts the chunks of a cell."""

    ensemble: str
    dimension: int
    index: int
    samples: int
    seed: int
    eps: tuple[Fraction | float, ...]


@dataclass(frozen=True)
class ChunkCounts:
    """What a chunk adds to its cell; the tuples follow ``eps``."""

    ensemble: str
    dimension: int
    counts: tuple[int, ...]
    borderline: tuple[int, ...]
    seconds: float


def tasks(config: SurveyConfig) -> list[ChunkTask]:
    """The chunks, ensemble by ensemble, dimension by dimension."""
    chunks = []
    for ensemble in config.ensembles:
        for d in config.dimensions:
            chunk = min(config.chunk, max(1, CHUNK_ENTRIES // d**2))
            for index, start in enumerate(range(0, config.samples, chunk)):
                samples, eps = min(chunk, config.samples - start), tuple(map(as_eps, config.eps))
                chunks.append(ChunkTask(ensemble, d, index, samples, config.seed, eps))
    return chunks


# --- one chunk ---------------------------------------------------------------------------------


def run(task: ChunkTask) -> ChunkCounts:
    """Draw and decide the matrices of a chunk; runs on any machine."""
    start = time.perf_counter()
    d, ensemble = task.dimension, ENSEMBLES[task.ensemble]
    stream = np.random.SeedSequence(task.seed, spawn_key=(ensemble.key, d, task.index))
    matrices = ensemble.sample(np.random.default_rng(stream), task.samples, d)
    spectra = SimpleSpectra.of(matrices.astype(np.float64), _tol(d))
    tallies = [_tally(matrices, spectra, value) for value in task.eps]
    return ChunkCounts(
        task.ensemble,
        d,
        tuple(count for count, _ in tallies),
        tuple(borderline for _, borderline in tallies),
        time.perf_counter() - start,
    )


def _tol(d: int) -> float:
    """The tolerance of a survey: a factor above the default one, for the rounding of the QR form
    that makes an orthogonal matrix (a few d u, Higham 2002, section 19.3) and of the scaling.
    """
    return 16 * default_tol(d, float(np.finfo(float).eps))


def _tally(matrices: np.ndarray, spectra: SimpleSpectra, eps: Fraction | float) -> tuple[int, int]:
    """How many matrices are representable, and how many of the decisions are borderline."""
    flow = flow_of(eps)
    verdicts, decided = spectra.verdicts(flow.real_image)
    borderline = 0
    if matrices.dtype != np.float64:
        again = len(matrices) if matrices.shape[-1] <= EXACT_UP_TO else AUDITED
        for i in np.flatnonzero(decided[:again]):
            _audit(matrices[i], flow, bool(verdicts[i]))
    for i in np.flatnonzero(~decided):
        report = analyze(matrices[i], flow, tol=_tol(matrices.shape[-1]))
        verdicts[i] = report.representable
        borderline += report.status == "borderline"
    return int(verdicts.sum()), int(borderline)


def _audit(matrix: np.ndarray, flow: Any, verdict: bool) -> None:
    if analyze(matrix, flow).representable != verdict:
        raise OdemomError(
            f"the vectorised decision on {matrix.tolist()} by {flow.describe()} was {verdict}, "
            "which exact arithmetic refutes. Please report this matrix."
        )


def gather(config: SurveyConfig, chunks: Sequence[ChunkCounts]) -> Survey:
    """The survey from its chunks."""
    cells = (
        _cell(config, e, d, [c for c in chunks if (c.ensemble, c.dimension) == (e, d)])
        for e in config.ensembles
        for d in config.dimensions
    )
    return Survey(config, tuple(cells))


def _cell(config: SurveyConfig, ensemble: str, d: int, mine: Sequence[ChunkCounts]) -> SurveyCell:
    from scipy.stats import binomtest

    counts = tuple(np.sum([chunk.counts for chunk in mine], axis=0).tolist())
    ci = [binomtest(k, config.samples).proportion_ci(LEVEL, "exact") for k in counts]
    return SurveyCell(
        ensemble=ensemble,
        dimension=d,
        samples=config.samples,
        counts=counts,
        probability=tuple(k / config.samples for k in counts),
        low=tuple(float(interval.low) for interval in ci),
        high=tuple(float(interval.high) for interval in ci),
        borderline=tuple(np.sum([chunk.borderline for chunk in mine], axis=0).tolist()),
        seconds=float(sum(chunk.seconds for chunk in mine)),
    )


def claims(survey: Survey) -> list[Claim]:
    """What the survey shows of Theorem 1."""
    steps = [step for cell in survey.cells for step in np.diff(cell.counts)]
    rarest = min(survey.cells, key=lambda cell: cell.probability[-1])
    return [
        Claim.judged(
            "the larger eps, the more matrices are representable",
            "Section 4, after Theorem 1",
            f"{sum(step < 0 for step in steps)} of {len(steps)} steps in eps fall; at the largest "
            f"eps the rarest are {rarest.ensemble}, d = {rarest.dimension}: "
            f"{rarest.probability[-1]:.3f} [{rarest.low[-1]:.3f}, {rarest.high[-1]:.3f}]",
            None if not steps else all(step >= 0 for step in steps),
        )
    ]


EXPERIMENT = Experiment(
    config=SurveyConfig,
    quick=SurveyConfig(dimensions=(1, 2, 3), eps=(0, Fraction(1, 2), 2, math.inf), samples=60),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
