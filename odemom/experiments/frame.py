"""What an experiment is: a configuration, independent tasks, a result, and the claims it checks.

An experiment is one module of this folder, which holds one `Experiment` under the name
``EXPERIMENT``, and one module of the same name in `odemom.plots`, which draws its result. The
folder is the registry: the module's name is the name on the command line (``_`` becomes ``-``), and
the first line of its docstring says what it shows. Modules whose names begin with ``_`` are shared
by experiments and are none.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.util
import pkgutil
import re
import time
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import odemom.experiments
from odemom import __version__
from odemom.checks import did_you_mean, expect, invalid, shown
from odemom.data.names import files_behind
from odemom.errors import MissingDependencyError
from odemom.records import from_json, jsonable
from odemom.sweep import Backend, TaskStore, task_key

__all__ = ["Claim", "Experiment", "Finished", "Verdict", "load", "names", "summary_of"]

Verdict = Literal["holds", "does not hold", "not judged"]
Progress = Callable[[int, int], object]

ConfigT = TypeVar("ConfigT")
TaskT = TypeVar("TaskT")
OutcomeT = TypeVar("OutcomeT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Claim:
    """A statement with what was measured of it.

    Attributes
    ----------
    words : str
        The statement, in brief.
    where : str
        Where it stands: a place in the paper, or "beyond the paper".
    measured : str
        The figures, in words.
    verdict : {"holds", "does not hold", "not judged"}
        A run that is too small to say, as a quick one or one of a single seed, does not judge.
    """

    words: str
    where: str
    measured: str
    verdict: Verdict

    @classmethod
    def judged(cls, words: str, where: str, measured: str, holds: bool | None) -> Claim:
        """The claim with its verdict; None is "not judged".

        Examples
        --------
        >>> Claim.judged("psi(R) = [lambda_eps, inf)", "Theorem 1", "error 1e-16", True).verdict
        'holds'
        """
        verdicts: dict[bool | None, Verdict] = {
            True: "holds",
            False: "does not hold",
            None: "not judged",
        }
        return cls(words, where, measured, verdicts[None if holds is None else bool(holds)])


@dataclass(frozen=True)
class Finished(Generic[ResultT]):
    """A result and what it came from.

    Attributes
    ----------
    result
    seconds : float
        What its tasks took, summed over the workers.
    inputs : dict
        As `Experiment.inputs` gave them before the first task.
    """

    result: ResultT
    seconds: float
    inputs: dict[str, str]


@dataclass(frozen=True)
class Experiment(Generic[ConfigT, TaskT, OutcomeT, ResultT]):
    """A configuration, the tasks it asks for, and what is made of their outcomes.

    Tasks run anywhere and in any order. A task holds all that its outcome depends on, its seed
    included, so that its outcome can be kept and found again. Outcomes and results go through JSON
    (`odemom.records.jsonable`, `odemom.records.from_json`), whose types are read from the return
    annotations of ``run`` and ``gather``.

    Parameters
    ----------
    config : type
        A frozen dataclass; ``config()`` is the full run. It refuses what is outside its domain.
    quick : config
        A run that takes seconds.
    tasks : callable
        config -> sequence of tasks: frozen dataclasses, tuples or numbers, which can be pickled.
    run : callable
        task -> outcome, on any machine: a function at the top of its module.
    gather : callable
        (config, outcomes in the order of the tasks) -> result, a frozen dataclass.
    claims : callable
        result -> sequence of `Claim`.

    Examples
    --------
    >>> from odemom.experiments import fig4
    >>> fig4.EXPERIMENT.name
    'fig4'
    """

    config: type[ConfigT]
    quick: ConfigT
    tasks: Callable[[ConfigT], Sequence[TaskT]]
    run: Callable[[TaskT], OutcomeT]
    gather: Callable[[ConfigT, Sequence[OutcomeT]], ResultT]
    claims: Callable[[ResultT], Sequence[Claim]]

    @property
    def module(self) -> str:
        """The full name of the module that holds the experiment."""
        return self.run.__module__

    @property
    def name(self) -> str:
        """The name on the command line."""
        return self.module.rpartition(".")[2].replace("_", "-")

    @property
    def result_type(self) -> Any:
        """The class of the result."""
        return typing.get_type_hints(self.gather)["return"]

    @property
    def outcome_type(self) -> Any:
        """The annotation of an outcome."""
        return typing.get_type_hints(self.run)["return"]

    @property
    def identity(self) -> dict[str, str]:
        """Who makes the results: the experiment, the version of odemom, the code.

        The code is a digest of the module and of the ``_`` modules of this folder that it uses.
        """
        return {"experiment": self.name, "version": __version__, "code": _digest(self.module)}

    def inputs(self, config: ConfigT) -> dict[str, str]:
        """What the outcomes depend on beside the configuration: the files of a folder of images."""
        data = getattr(config, "data", None)
        return files_behind(data) if isinstance(data, str) else {}

    def store_in(self, folder: Path) -> TaskStore:
        """The store of the finished tasks of this experiment in a folder."""
        return TaskStore(folder / f"{self.name}.parts.jsonl", self.identity)

    def compute(self, config: ConfigT | None = None, **where: Any) -> ResultT:
        """The result of a configuration, by default of the full run.

        Parameters
        ----------
        config : optional
        **where
            As in `carry_out`.

        Returns
        -------
        The result.
        """
        return self.carry_out(self.config() if config is None else config, **where).result

    def carry_out(
        self,
        config: ConfigT,
        *,
        backend: str = "serial",
        workers: int | None = None,
        scheduler: str | None = None,
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> Finished[ResultT]:
        """Run the tasks of a configuration and gather the result.

        Parameters
        ----------
        config
        backend, workers, scheduler
            Where tasks run: see `odemom.sweep.Backend`. The result is the same.
        folder : path, optional
            Finished tasks are kept there: the same call goes on after an interruption. Who has
            written the result down may remove them: ``store_in(folder).discard()``.
        progress : callable, optional
            Called with (tasks done, tasks in all) at the start and after every task.

        Returns
        -------
        Finished

        Raises
        ------
        InvalidInputError
            If a parameter is outside its domain, or the folder holds tasks of another version.
        MissingDependencyError
            If a package is needed that is not installed.
        """
        expect(
            isinstance(config, self.config),
            "config",
            got=shown(config),
            expected=f"a {self.config.__name__} of {self.module}",
        )
        place = Backend(backend, workers, scheduler)
        store = None if folder is None else self.store_in(folder)
        tasks = list(self.tasks(config))
        inputs = self.inputs(config)
        keys = [task_key(task, inputs) for task in tasks]
        found = {} if store is None else store.load()
        known = {k: (found[k].outcome, found[k].seconds) for k in keys if k in found}
        waiting = {k: task for k, task in zip(keys, tasks, strict=True) if k not in known}
        total = len(known) + len(waiting)
        if progress is not None:
            progress(len(known), total)
        if waiting:
            writing = contextlib.nullcontext(_keep_nothing) if store is None else store.writing()
            with place.running() as each, writing as keep:
                for key, outcome, seconds in each(_Run(self.run), list(waiting.items())):
                    known[key] = outcome, seconds
                    keep(key, outcome, seconds)
                    if progress is not None:
                        progress(len(known), total)
        outcomes = [from_json(self.outcome_type, known[key][0], "outcome") for key in keys]
        seconds = sum(known[key][1] for key in dict.fromkeys(keys))
        return Finished(self.gather(config, outcomes), seconds, inputs)


def _keep_nothing(key: str, outcome: Any, seconds: float) -> None:
    """Where there is no folder, outcomes are kept in memory only."""


@dataclass(frozen=True)
class _Run:
    """The function that workers call: it times a task and says whose outcome it brings."""

    run: Callable[[Any], Any]

    def __call__(self, item: tuple[str, Any]) -> tuple[str, Any, float]:
        key, task = item
        start = time.perf_counter()
        with _named_extras():
            outcome = jsonable(self.run(task), "outcome")
        return key, outcome, time.perf_counter() - start


def _digest(module: str) -> str:
    """Of the sources of an experiment: its module, and the shared ones that it reaches."""
    pending, sources = [module], {}
    while pending:
        name = pending.pop()
        found = importlib.util.find_spec(name)
        if name in sources or found is None or found.origin is None:
            continue
        sources[name] = Path(found.origin).read_bytes()
        pending += re.findall(r"\bodemom\.experiments\._\w+", sources[name].decode())
        pending += [
            f"odemom.experiments.{shared}"
            for line in re.findall(r"from odemom\.experiments import (.+)", sources[name].decode())
            for shared in re.findall(r"\b_\w+", line)
        ]
    joined = b"".join(sources[name] for name in sorted(sources))
    return hashlib.sha256(joined).hexdigest()[:12]


# --- the registry ------------------------------------------------------------------------------


def _modules() -> dict[str, str]:
    """Command-line name -> module name."""
    folders = odemom.experiments.__path__
    found = [m.name for m in pkgutil.iter_modules(folders) if not m.name.startswith("_")]
    return {
        name.replace("_", "-"): f"odemom.experiments.{name}"
        for name in sorted(found)
        if name != "frame"
    }


def names() -> list[str]:
    """The experiments, by their names on the command line.

    Examples
    --------
    >>> "fig4" in names()
    True
    """
    return list(_modules())


def summary_of(name: str) -> str:
    """The line that says what an experiment shows; nothing is imported for it.

    Examples
    --------
    >>> summary_of("fig4").startswith("Figure 4")
    True
    """
    module = importlib.util.find_spec(_module_of(name))
    assert module is not None  # it was found in the folder
    assert module.origin is not None
    docstring = ast.get_docstring(ast.parse(Path(module.origin).read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].rstrip(".")


def load(name: str) -> Experiment[Any, Any, Any, Any]:
    """The experiment of a name.

    Raises
    ------
    InvalidInputError
        If there is none of that name; the nearest one is suggested.
    MissingDependencyError
        If it needs a package that is not installed.
    """
    path = _module_of(name)
    with _named_extras():
        module = importlib.import_module(path)
    return module.EXPERIMENT


# package -> the extra of odemom that brings it
EXTRAS = {
    "torch": "torch",
    "torchdiffeq": "torch",
    "lightning": "train",
    "torchvision": "train",
    "sklearn": "train",
}


@contextlib.contextmanager
def _named_extras() -> Iterator[None]:
    """Turn the absence of a package of an extra into the error that names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise MissingDependencyError(
            f"{package} is not installed; this experiment needs it. "
            f"Install it with: pip install 'odemom[{EXTRAS[package]}]'"
        ) from error


def _module_of(name: str) -> str:
    modules = _modules()
    spelled = name.replace("_", "-") if isinstance(name, str) else name
    if spelled in modules:
        return modules[spelled]
    raise invalid(
        "experiment",
        got=shown(name),
        expected=f"one of {', '.join(modules)}",
        fix=did_you_mean(name, modules),
    )
