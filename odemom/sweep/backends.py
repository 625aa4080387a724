"""A function over a list of tasks: in this process, over the cores, or over a Dask cluster."""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import os
import pkgutil
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from odemom import __version__
from odemom.checks import as_integer, expect, invalid, optional_import, shown
from odemom.errors import BackendError

__all__ = ["BACKENDS", "Backend"]

BACKENDS = ("serial", "joblib", "dask")
CONNECT_SECONDS = 10
PARENT_SECONDS = 1  # between two looks of a worker at whether its parent is alive


class Backend:
    """Where tasks run.

    Parameters
    ----------
    name : {"serial", "joblib", "dask"}
    workers : int, optional
        Processes, by default one a core. With ``scheduler`` the cluster has its own number.
    scheduler : str, optional
        The address of a Dask scheduler; by default ``"dask"`` starts a cluster on this machine,
        which listens on the loopback interface only, without a dashboard. A cluster without TLS
        runs the code of everybody who reaches its scheduler or its workers.

    Raises
    ------
    InvalidInputError
        If the parameters do not fit each other.
    MissingDependencyError
        If joblib or dask.distributed is needed and not installed.
    BackendError
        While tasks run, if a cluster does not start or a worker is lost.

    Examples
    --------
    >>> with Backend("serial").running() as each:
    ...     sorted(each(abs, [3, -1, 2]))
    [1, 2, 3]
    """

    def __init__(self, name: str, workers: int | None = None, scheduler: str | None = None) -> None:
        expect(name in BACKENDS, "backend", got=shown(name), expected=", ".join(BACKENDS))
        if workers is not None:
            as_integer(workers, "workers", 1)
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
        if name == "joblib":
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
            with contextlib.ExitStack() as stack:
                join = self._start_cluster if self.scheduler is None else self._join_cluster
                yield functools.partial(self._over_cluster, join(stack))

    def _parallel(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        run = functools.partial(_with_parent, function, os.getpid())
        parallel = self.joblib.Parallel(n_jobs=self.workers or -1, return_as="generator_unordered")
        # joblib starts workers afresh that have grown by 300 MB, as they do by a training; the
        # warning comes from a thread of its own, so that the filter is that of the process.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        with _lost_workers_named():
            yield from parallel(self.joblib.delayed(run)(task) for task in tasks)

    def _over_cluster(
        self, client: Any, function: Callable[[Any], Any], tasks: Sequence[Any]
    ) -> Iterator[Any]:
        """As Dask has it: joblib would run all in this process where one worker has one thread."""
        with _lost_workers_named():
            alone = functools.partial(_alone, function)
            futures = client.map(alone, list(tasks), pure=False)
            try:
                for future in self.distributed.as_completed(futures):
                    yield future.result()
            finally:
                client.cancel(futures)

    def _start_cluster(self, stack: contextlib.ExitStack) -> Any:
        options = {"n_workers": self.workers, "threads_per_worker": 1, "dashboard_address": None}
        options["silence_logs"] = logging.ERROR  # a worker that has loaded PyTorch ends slowly
        # Without a dashboard Dask serves its web pages all the same, at 8787: at no fixed address,
        # then, without a page, and closed as soon as they are there.
        options["scheduler_kwargs"] = {"dashboard_address": "127.0.0.1:0", "dashboard": False}
        try:
            with optional_import("dask", "sweep").config.set(NO_PAGES):
                cluster = self.distributed.LocalCluster(**options, host="127.0.0.1")
            stack.enter_context(cluster)
            client = stack.enter_context(self.distributed.Client(cluster))
            client.run_on_scheduler(_close_pages)
            client.run(_close_pages)
        except Exception as error:  # a loop that does not start raises an AssertionError
            why = _said(error)
        else:
            return client
        gc.collect()  # see _join_cluster
        raise BackendError(
            f"a Dask cluster on this machine did not start ({why}). Take fewer workers, or the "
            "backend joblib."
        )

    def _join_cluster(self, stack: contextlib.ExitStack) -> Any:
        address = self.scheduler
        usable = isinstance(address, str) and ADDRESS.fullmatch(address) is not None
        client, why = self._connected(address) if usable else (None, "no such address")
        if client is None:
            # A client that failed lies in a reference cycle. Collected later, in the thread of
            # another client's loop, its end would wait for a lock that this thread holds.
            gc.collect()
            raise invalid(
                "scheduler",
                got=f"{shown(address)} ({why})",
                expected="the address of a Dask scheduler that runs, such as tcp://10.0.0.1:8786",
                fix="Start one with: dask scheduler; and on every machine: dask worker ADDRESS "
                "--nthreads 1.",
            )
        stack.enter_context(client)
        expect(
            bool(client.scheduler_info()["workers"]),
            "scheduler",
            got=f"{address}, which has no workers",
            expected="a cluster with a worker that has odemom installed",
            fix=f"Start one with: dask worker {address} --nthreads 1.",
        )
        self._check_versions(client)
        return client

    def _check_versions(self, client: Any) -> None:
        """Refuse a cluster that has another odemom, or none: tasks would fail, or wait for ever."""
        asked = pkgutil.resolve_name, "odemom:__version__"
        try:
            found = {"its scheduler": client.run_on_scheduler(*asked)}
            found |= {f"its worker {at}": version for at, version in client.run(*asked).items()}
            other = [f"{who} has {v}" for who, v in found.items() if v != __version__]
        except Exception as error:  # whatever an import raises there
            other = [_said(error)]
        expect(
            not other,
            "scheduler",
            got=f"{self.scheduler}, a cluster with another odemom or none ({'; '.join(other[:3])})",
            expected=f"odemom {__version__} for the scheduler and its workers, as here",
            fix="Install it there, or start them in an environment that has it.",
        )

    def _connected(self, address: str | None) -> tuple[Any, str]:
        """A client, or None and why; in a thread, since a peer may accept and then say nothing."""
        found: list[Any] = []
        reasons = [f"no answer within {CONNECT_SECONDS} s"]

        def connect() -> None:
            try:
                found.append(self.distributed.Client(address, timeout=CONNECT_SECONDS))
            except Exception as error:
                reasons[0] = _said(error)

        thread = threading.Thread(target=connect, daemon=True)
        thread.start()
        thread.join(2 * CONNECT_SECONDS)
        return (found[0], "") if found else (None, reasons[0])


@contextlib.contextmanager
def _lost_workers_named() -> Iterator[None]:
    """Turn what joblib and Dask say of a worker that was lost into a sentence."""
    try:
        yield
    except Exception as error:
        if not _is_of_the_backend(error):
            raise
        raise BackendError(
            f"a worker ended before its task was done ({_said(error)}). Finished tasks are kept "
            "where a folder was given: the same command goes on. Where memory ran out, take fewer "
            "workers."
        ) from error


_ONE = threading.Lock()


def _alone(function: Callable[[Any], Any], task: Any) -> Any:
    """Run a task by itself in its process: trainings share its random numbers and settings."""
    with _ONE:
        return function(task)


def _with_parent(function: Callable[[Any], Any], parent: int, task: Any) -> Any:
    """Run a task in a process that ends when the one that started it is killed."""
    if os.getppid() == parent:  # not where joblib takes this very process, for one job
        _end_with(parent)
    return function(task)


@functools.cache
def _end_with(parent: int) -> None:
    """Watch the parent, from now on; joblib's workers wait minutes for a dead one's tasks."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="odemom-parent").start()


NO_PAGES = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}


def _close_pages(dask_scheduler: Any = None, dask_worker: Any = None) -> None:
    """Stop the web server of a scheduler or a worker; runs in its process."""
    (dask_scheduler or dask_worker).http_server.stop()


ADDRESS = re.compile(r"(tcp|tls|ws|wss)://\S+:\d+|[^\s:/]+:\d+|inproc://\S+")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {shown(str(error), 100)}"


# Of joblib's processes and of Dask: what they raise when a worker, and not its task, fails.
BACKEND_MODULES = ("joblib", "distributed", "dask", "concurrent.futures", "asyncio", "tornado")


def _is_of_the_backend(error: Exception) -> bool:
    """Whether an exception comes from the workers' machinery; those of a task go through as is."""
    kinds = [kind for kind in type(error).__mro__ if kind.__module__ != "builtins"]
    return any(kind.__module__.startswith(BACKEND_MODULES) for kind in kinds)
