"""Where tasks run: what the backends refuse, and what they make of a lost worker or cluster."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from odemom import BackendError, InvalidInputError, OdemomError
from odemom.sweep import Backend, backends

HELD = []  # by a worker, over its tasks


def square(n):
    return n * n


def killed(n):
    os._exit(3)


def refused(n):
    raise OdemomError("the task's own error")


def mistaken(n):
    raise ZeroDivisionError("the task's own mistake")


def grown(n):
    HELD.append(b"x" * 400_000_000 if n > 2 else b"")
    time.sleep(1.2)
    return os.getpid()


def results(backend, function, tasks=(1, 2, 3)):
    with backend.running() as each:
        return sorted(each(function, tasks))


def test_tasks_run_in_this_process_and_in_others():
    assert results(Backend("serial"), square) == [1, 4, 9]
    assert results(Backend("joblib", 2), square) == [1, 4, 9]


@pytest.mark.slow
def test_a_worker_that_has_grown_is_replaced_without_a_word():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        workers = results(Backend("joblib", 2), grown, range(1, 11))
    assert len(workers) == 10
    assert len(set(workers)) > 2
    assert [str(w.message) for w in said] == []


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (killed, BackendError, "a worker ended before its task was done"),
        (refused, OdemomError, "the task's own error"),
        (mistaken, ZeroDivisionError, "the task's own mistake"),
    ],
)
def test_a_lost_worker_is_told_from_a_task_that_fails(function, error, message):
    with pytest.raises(error, match=message):
        results(Backend("joblib", 2), function)


def test_tasks_of_one_process_never_run_at_once():
    running, most = [], []

    def task(n):
        running.append(n)
        most.append(len(running))
        time.sleep(0.02)
        running.remove(n)
        return n

    each = functools.partial(backends._alone, task)
    with ThreadPoolExecutor(4) as pool:  # as a Dask worker has threads
        assert list(pool.map(each, range(8))) == list(range(8))
    assert most == [1] * 8


def own_pid(n):
    time.sleep(0.05)
    return os.getpid()


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


KILLED = """
import os, signal
from odemom.sweep import Backend
from tests.sweep.test_backends import own_pid
with Backend("joblib", 2).running() as each:
    for done in each(own_pid, range(50)):
        print(done, flush=True)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="the system has no /proc")
def test_no_worker_outlives_a_parent_that_is_killed():
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        workers = {int(parent.stdout.readline()) for _ in range(8)}
        parent.kill()
    assert parent.pid not in workers
    deadline = time.monotonic() + 20
    while any(map(running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(running, workers))


def test_one_job_runs_in_this_process_which_watches_nobody():
    assert results(Backend("joblib", 1), own_pid) == [os.getpid()] * 3
    assert not any(thread.name == "odemom-parent" for thread in threading.enumerate())


def listening(process):
    """The hosts and ports at which a process and its children listen."""
    import psutil

    found = [p.net_connections() for p in (process, *process.children(recursive=True))]
    return [tuple(c.laddr) for each in found for c in each if c.status == psutil.CONN_LISTEN]


@pytest.mark.slow
def test_a_local_cluster_serves_no_pages():
    psutil = pytest.importorskip("psutil")
    pytest.importorskip("distributed")
    before = listening(psutil.Process())
    with Backend("dask", 1).running():
        found = [place for place in listening(psutil.Process()) if place not in before]
    assert len(found) == 3, found  # the scheduler, the nanny and the worker
    assert {host for host, _ in found} == {"127.0.0.1"}


@pytest.mark.parametrize("address", ["nowhere", "", 5, "tcp://127.0.0.1:1", "a b:1"])
def test_no_scheduler_at_the_address_is_a_sentence(address, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(backends, "CONNECT_SECONDS", 0.2)
    with pytest.raises(InvalidInputError, match="scheduler: got"):
        results(Backend("dask", scheduler=address), square)


def test_a_peer_that_accepts_and_says_nothing_is_not_waited_for(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(backends, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        backend = Backend("dask", scheduler=f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(InvalidInputError, match="scheduler: got"):
            results(backend, square)


@pytest.mark.parametrize("error", [AssertionError("loop"), TimeoutError("10 s"), OSError("port")])
def test_whatever_a_cluster_raises_when_it_does_not_start_is_a_sentence(error, monkeypatch):
    pytest.importorskip("distributed")

    def fails(*arguments, **options):
        raise error

    joined, started = Backend("dask", scheduler="tcp://127.0.0.1:1"), Backend("dask", 1)
    monkeypatch.setattr(joined.distributed, "Client", fails)
    monkeypatch.setattr(started.distributed, "LocalCluster", fails)
    with pytest.raises(InvalidInputError, match=type(error).__name__):
        results(joined, square)
    with pytest.raises(BackendError, match=type(error).__name__):
        results(started, square)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "mpi"},
        {"name": "serial", "workers": 2},
        {"name": "joblib", "workers": 0},
        {"name": "joblib", "workers": 1.5},
        {"name": "joblib", "scheduler": "tcp://127.0.0.1:1"},
        {"name": "dask", "workers": 1, "scheduler": "tcp://127.0.0.1:1"},
    ],
)
def test_options_that_do_not_fit_each_other_are_refused(options):
    with pytest.raises(InvalidInputError):
        Backend(**options)
