"""A function over a list of tasks: in this process, over the cores, or over a Dask cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from odemom.checks import expect, invalid, optional_import, shown

__all__ = ["BACKENDS", "Backend"]

BACKENDS = ("serial", "joblib", "dask")
CONNECT_SECONDS = 10


class Backend:
    """Where tasks run.

    Parameters
    ----------
    name : {"serial", "joblib", "dask"}
    workers : int, optional
        Processes, by default one a core. With ``scheduler`` the cluster has its own number.
    scheduler : str, optional
        The address of a Dask scheduler; by default ``"dask"`` starts a cluster on this machine,
        which listens on the loopback interface only.

    Raises
    ------
    InvalidInputError
        If the parameters do not fit each other.
    MissingDependencyError
        If joblib or dask.distributed is needed and not installed.
    """

    def __init__(self, name: str, workers: int | None = None, scheduler: str | None = None) -> None:
        expect(name in BACKENDS, "backend", got=shown(name), expected=", ".join(BACKENDS))
        if workers is not None:
            fits = isinstance(workers, int) and not isinstance(workers, bool) and workers >= 1
            expect(fits, "workers", got=shown(workers), expected="an integer >= 1")
            expect(
                name != "serial",
                "workers",
                got=f'{workers} beside backend "serial"',
                expected='them with backend "joblib" or "dask"',
            )
        if scheduler is not None:
            expect(
                name == "dask",
                "scheduler",
                got=f'{shown(scheduler)} beside backend "{name}"',
                expected='it with backend "dask"',
            )
            expect(
                workers is None,
                "workers",
                got=f"{workers} beside a scheduler",
                expected="either of the two: a cluster has its own workers",
            )
        if name != "serial":
            self.joblib: Any = optional_import("joblib", "sweep")
        if name == "dask":
            self.distributed: Any = optional_import("distributed", "sweep")
        self.name, self.workers, self.scheduler = name, workers, scheduler

    @contextlib.contextmanager
    def running(self) -> Iterator[Callable[..., Iterator[Any]]]:
        """The function ``each(function, tasks)``, which yields results as they are finished.

        A cluster is joined on entry and left on exit.
        """
        if self.name == "serial":
            yield map
        elif self.name == "joblib":
            yield self._parallel
        else:
            with self._client(), self.joblib.parallel_config(backend="dask"):
                yield self._parallel

    def _parallel(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        # over Dask the cluster says how many there are
        jobs = None if self.name == "dask" else self.workers or -1
        parallel = self.joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
        return parallel(self.joblib.delayed(function)(task) for task in tasks)

    @contextlib.contextmanager
    def _client(self) -> Iterator[None]:
        if self.scheduler is None:
            options = {"n_workers": self.workers, "threads_per_worker": 1}
            with (
                self.distributed.LocalCluster(
                    **options, host="127.0.0.1", dashboard_address=None
                ) as cluster,
                self.distributed.Client(cluster),
            ):
                yield
            return
        try:
            client = self.distributed.Client(self.scheduler, timeout=CONNECT_SECONDS)
        except (OSError, ValueError, TypeError) as error:
            raise invalid(
                "scheduler",
                got=f"{shown(self.scheduler)} ({shown(str(error), 100)})",
                expected="the address of a Dask scheduler that runs, such as tcp://10.0.0.1:8786",
                fix="Start one with: dask scheduler; and on every machine: dask worker ADDRESS.",
            ) from None
        with client:
            expect(
                bool(client.scheduler_info()["workers"]),
                "scheduler",
                got=f"{self.scheduler}, which has no workers",
                expected="a cluster with a worker that has odemom installed",
                fix=f"Start one with: dask worker {self.scheduler}.",
            )
            yield
