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

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from odemom import __version__
from odemom.checks import as_eps, expect, invalid, shown
from odemom.errors import OdemomError
from odemom.experiments._chunk_store import ChunkKey, ChunkStore
from odemom.experiments._spread import Backend
from odemom.experiments.ensembles import ENSEMBLES
from odemom.flows.psi import flow_of
from odemom.records import jsonable
from odemom.representability.analyze import analyze
from odemom.representability.batch import SimpleSpectra
from odemom.representability.floating import default_tol

__all__ = ["Survey", "SurveyCell", "SurveyConfig", "compute", "discard_parts"]

LEVEL = 0.95
EXACT_UP_TO = 3  # the dimension to which all integer matrices are decided exactly: 0.1 ms each
AUDITED = 20  # integer matrices a chunk that are decided exactly as well beyond that
LARGEST_DIMENSION = 1000
CHUNK_ENTRIES = 1 << 23
EPS = tuple(Fraction(2) ** k for k in range(-5, 7))


@dataclass(frozen=True)
class SurveyConfig:
    """What a survey asks.

    Parameters
    ----------
    ensembles : sequence of str
        Of `odemom.experiments.ensembles.ENSEMBLES`: ginibre, orthogonal, symmetric, integer.
    dimensions : sequence of int
        In [1, 1000].
    eps : sequence of numbers or str in [0, inf]
        Taken as by `odemom.is_representable`; put into increasing order.
    samples : int
        Matrices an ensemble and dimension; all eps see the same ones.
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
    eps: Sequence[Any] = EPS
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
            value = getattr(self, name)
            expect(
                _is_integer(value, least), name, got=shown(value), expected=f"an integer >= {least}"
            )
            object.__setattr__(self, name, int(value))


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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Survey:
        """From the parsed JSON of a survey on disk."""
        cells: list[dict[str, Any]] = [
            {k: tuple(v) if isinstance(v, list) else v for k, v in cell.items()}
            for cell in data["cells"]
        ]
        config = SurveyConfig(**data["config"])
        return cls(config, tuple(SurveyCell(**cell) for cell in cells))


def compute(
    config: SurveyConfig | None = None,
    *,
    backend: str = "serial",
    workers: int | None = None,
    scheduler: str | None = None,
    out: Path | str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Survey:
    """Carry a survey out.

    Parameters
    ----------
    config : SurveyConfig, optional
        By default all four ensembles up to d = 10.
    backend : {"serial", "joblib", "dask"}
        This process, processes on this machine, or a Dask cluster, through joblib. The result is
        the same.
    workers : int, optional
        Processes of ``"joblib"``, or of the cluster that ``"dask"`` starts when no ``scheduler`` is
        given; by default one a core.
    scheduler : str, optional
        The address of a Dask scheduler. Its workers need the same odemom.
    out : path-like, optional
        A folder in which finished chunks are kept: the same call goes on after an interruption. Who
        has written the survey down may remove them with `discard_parts`.
    progress : callable, optional
        Called with (samples done, samples in all) after every chunk.

    Returns
    -------
    Survey

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain, or no scheduler answers at the address.
    MissingDependencyError
        If joblib or dask.distributed is needed and not installed.

    Examples
    --------
    >>> config = SurveyConfig(["orthogonal"], [2], [0, 1, "inf"], samples=200)
    >>> found = compute(config).cells[0].counts    # with determinant -1, -1 is an eigenvalue
    >>> found[0] == found[1] < found[2] == 200
    True
    """
    config = SurveyConfig() if config is None else config
    place = Backend(backend, workers, scheduler)
    store = None if out is None else _store(config, Path(out))
    keys = list(_chunks(config))
    found = {} if store is None else store.load()
    results = {key: found[key] for key in keys if key in found}
    total = sum(key[3] for key in keys)
    done = sum(key[3] for key in results)
    if progress is not None:
        progress(done, total)
    waiting = [key for key in keys if key not in results]
    if waiting:
        with place.running() as each:
            for key, result in each(partial(_chunk, config.seed, config.eps), waiting):
                results[key] = result
                if store is not None:
                    store.append(key, result)
                done += key[3]
                if progress is not None:
                    progress(done, total)
    cells = (_cell(config, e, d, results) for e in config.ensembles for d in config.dimensions)
    return Survey(config, tuple(cells))


def discard_parts(config: SurveyConfig, out: Path | str) -> None:
    """Remove the finished chunks that `compute` kept in ``out``."""
    _store(config, Path(out)).discard()


def _store(config: SurveyConfig, out: Path) -> ChunkStore:
    return ChunkStore.of(out, [__version__, config.seed, jsonable(config.eps, "eps")])


def _chunks(config: SurveyConfig) -> Iterator[ChunkKey]:
    for ensemble in config.ensembles:
        for d in config.dimensions:
            chunk = min(config.chunk, max(1, CHUNK_ENTRIES // d**2))
            for index, start in enumerate(range(0, config.samples, chunk)):
                yield ensemble, d, index, min(chunk, config.samples - start)


# --- one chunk ---------------------------------------------------------------------------------


def _chunk(
    seed: int, eps: Sequence[Fraction | float], key: ChunkKey
) -> tuple[ChunkKey, dict[str, Any]]:
    """Draw and decide the matrices of a chunk; runs on any machine."""
    start = time.perf_counter()
    name, d, index, n = key
    ensemble = ENSEMBLES[name]
    stream = np.random.SeedSequence(seed, spawn_key=(ensemble.key, d, index))
    matrices = ensemble.sample(np.random.default_rng(stream), n, d)
    spectra = SimpleSpectra.of(matrices.astype(np.float64), _tol(d))
    tallies = [_tally(matrices, spectra, value) for value in eps]
    return key, {
        "counts": [count for count, _ in tallies],
        "borderline": [borderline for _, borderline in tallies],
        "seconds": time.perf_counter() - start,
    }


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


def _cell(
    config: SurveyConfig, ensemble: str, d: int, results: Mapping[ChunkKey, Mapping[str, Any]]
) -> SurveyCell:
    from scipy.stats import binomtest

    mine = [result for key, result in results.items() if key[:2] == (ensemble, d)]
    counts = tuple(np.sum([result["counts"] for result in mine], axis=0).tolist())
    ci = [binomtest(k, config.samples).proportion_ci(LEVEL, "exact") for k in counts]
    return SurveyCell(
        ensemble=ensemble,
        dimension=d,
        samples=config.samples,
        counts=counts,
        probability=tuple(k / config.samples for k in counts),
        low=tuple(float(interval.low) for interval in ci),
        high=tuple(float(interval.high) for interval in ci),
        borderline=tuple(np.sum([result["borderline"] for result in mine], axis=0).tolist()),
        seconds=float(sum(result["seconds"] for result in mine)),
    )
