"""Where tasks run: what the backends refuse, and what they make of a lost worker or cluster."""

from __future__ import annotations

import os
import socket

import pytest

from odemom import BackendError, InvalidInputError, OdemomError
from odemom.sweep import Backend, backends


def square(n):
    return n * n


def killed(n):
    os._exit(3)


def refused(n):
    raise OdemomError("the task's own error")


def mistaken(n):
    raise ZeroDivisionError("the task's own mistake")


def results(backend, function, tasks=(1, 2, 3)):
    with backend.running() as each:
        return sorted(each(function, tasks))


def test_tasks_run_in_this_process_and_in_others():
    assert results(Backend("serial"), square) == [1, 4, 9]
    assert results(Backend("joblib", 2), square) == [1, 4, 9]


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
