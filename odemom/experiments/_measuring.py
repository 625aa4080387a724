"""Measurements of memory and time, each in a fresh process that has loaded PyTorch and no more.

One process imports PyTorch, on one thread, lives as long as this one, and forks a child for every
measurement, so that no child inherits what another has left. It is a program of its own because
glibc reads its settings when a process starts: with ``MALLOC_MMAP_THRESHOLD_=65536`` a freed tensor
goes back to the system at once, and the resident memory follows the tensors alive, whatever the
user's own settings of malloc are.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Literal

from odemom.checks import expect, invalid, optional_import
from odemom.errors import OdemomError
from odemom.records import jsonable

__all__ = [
    "CudaGauge",
    "Gauge",
    "ResidentGauge",
    "answer_of",
    "gauge_of",
    "in_a_child",
    "returning_memory",
]  # fmt: skip

Gauge = Literal["VmHWM", "ru_maxrss", "torch.cuda"]

SHOWN = 1000
"""Characters of what a measurement that failed has written."""


def returning_memory(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process in which a freed tensor goes back to the system at once.

    Other settings of malloc are left out: with a trim threshold or padding of its own it keeps
    what was freed, and a peak is no longer that of the tensors alive.

    Parameters
    ----------
    environment : mapping of str to str
        That of the user.

    Returns
    -------
    dict of str to str
    """
    kept = {k: value for k, value in environment.items() if not k.startswith("MALLOC_")}
    tunables = kept.pop("GLIBC_TUNABLES", "").split(":")
    others = ":".join(t for t in tunables if t and not t.startswith("glibc.malloc."))
    if others:
        kept["GLIBC_TUNABLES"] = others
    return {**kept, "MALLOC_MMAP_THRESHOLD_": "65536"}


def answer_of(program: str, request: Any) -> Any:
    """What the function ``answer`` of a module says to a request, in a process of its own.

    The module has a function ``prepare`` too, which loads what is slow to load, once for all
    requests; both take the request as it comes back from JSON. Requests know their ``device``.

    Raises
    ------
    InvalidInputError
        If the device cannot be used, or the system cannot fork processes.
    MissingDependencyError
        If PyTorch is not installed.
    OdemomError
        If a measurement failed; the message has its last lines.
    """
    if not hasattr(os, "fork"):
        raise invalid("the system", got=sys.platform, expected="one that forks processes")
    optional_import("torch", "torch")
    require_device(request.device)
    asked = {"program": program, "request": jsonable(request)}
    found = _PROCESS.answer(asked | {"folder": os.getcwd(), "environment": dict(os.environ)})
    if "failed" in found:
        raise OdemomError(f"measuring {request} failed:\n{found['failed'][-SHOWN:]}")
    return found["answer"]


def require_device(device: str) -> None:
    """Refuse a device that PyTorch does not find on this machine.

    Raises
    ------
    InvalidInputError
    """
    expect(
        device == "cpu" or _usable(device),
        "device",
        got=repr(device),
        expected="cpu, or a CUDA device that PyTorch finds on this machine",
    )


def _usable(device: str) -> bool:
    """Whether PyTorch finds the CUDA device."""
    import torch

    try:
        return torch.zeros(1, device=device).is_cuda
    except (RuntimeError, AssertionError):
        return False


class _Process:
    """The process that measures, as its parent sees it: started when it is first asked."""

    def __init__(self) -> None:
        self.one_by_one = threading.Lock()
        self.process: subprocess.Popen[str] | None = None
        self.parent = 0

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer, or under "failed" the last lines of what went wrong."""
        with self.one_by_one:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(json.dumps(asked) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BaseException:  # an answer that nobody waits for must not meet the next request
                self._kill()
                raise
            if not line:
                self._kill()
                return {"failed": "The process that measures has ended: was it killed?"}
            return json.loads(line)

    def _running(self) -> subprocess.Popen[str]:
        lives = self.process is not None and self.process.poll() is None
        if not lives or self.parent != os.getpid():  # a fork of the parent starts one of its own
            settings = {
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            }
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                env={**returning_memory(os.environ), **settings},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # killed with its children, and by nobody else
            )
            self.parent = os.getpid()
        assert self.process is not None
        return self.process

    def _kill(self) -> None:
        if self.process is not None and self.parent == os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def close(self) -> None:
        """End it; the next request starts another."""
        self._kill()


_PROCESS = _Process()
atexit.register(_PROCESS.close)


def main() -> None:
    """Answer the requests on the standard input, a line each."""
    import torch

    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        print(json.dumps(_found(json.loads(line))), file=answers, flush=True)


def _found(asked: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile("w+") as errors:

        def answer() -> Any:
            os.dup2(errors.fileno(), 2)
            os.chdir(asked["folder"])
            os.environ.clear()
            os.environ.update(asked["environment"])
            return module.answer(asked["request"])

        try:
            module = importlib.import_module(asked["program"])
            module.prepare(asked["request"])
            gc.collect()
            gc.freeze()  # else each child looks at all that libraries have made, and copies it
            return {"answer": in_a_child(answer)}
        except SystemExit:
            errors.seek(0)
            return {"failed": errors.read()}
        except Exception:
            return {"failed": traceback.format_exc()}


def in_a_child(measure: Callable[[], Any]) -> Any:
    """What ``measure`` returns in a fork of this process, which ends with it.

    Raises
    ------
    SystemExit
        If it failed; the child has said why.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writing, "w") as pipe:
                json.dump(jsonable(measure()), pipe)
            status = 0
        except SystemExit as left:
            print(left if isinstance(left.code, str) else "", file=sys.stderr, flush=True)
        except Exception:  # the child must not run on in the parent's code
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(1)
    return json.loads(text)


def gauge_of(device: str) -> ResidentGauge | CudaGauge:
    """What reads the highest memory from now on, on a device."""
    return ResidentGauge() if device == "cpu" else CudaGauge(device)


class ResidentGauge:
    """The highest resident memory of this process from now on, over that of now."""

    name: Gauge

    def __init__(self) -> None:
        try:
            with open("/proc/self/clear_refs", "w") as marks:
                marks.write("5")  # VmHWM starts again from VmRSS
            self.name, self.before = "VmHWM", self._kernel("VmRSS")
        except OSError:
            self.name, self.before = "ru_maxrss", self._usage()

    def peak(self) -> int:
        """Bytes."""
        after = self._kernel("VmHWM") if self.name == "VmHWM" else self._usage()
        return max(after - self.before, 0)

    @staticmethod
    def _kernel(field: str) -> int:
        with open("/proc/self/status") as lines:
            return next(int(x.split()[1]) * 1024 for x in lines if x.startswith(field))

    @staticmethod
    def _usage() -> int:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class CudaGauge:
    """The most CUDA memory that PyTorch's tensors take from now on, over that of now."""

    name: Gauge = "torch.cuda"

    def __init__(self, device: str) -> None:
        import torch

        self.cuda, self.device = torch.cuda, device
        self.cuda.synchronize(device)
        self.cuda.reset_peak_memory_stats(device)
        self.before = self.cuda.memory_allocated(device)

    def peak(self) -> int:
        """Bytes."""
        self.cuda.synchronize(self.device)
        return self.cuda.max_memory_allocated(self.device) - self.before


if __name__ == "__main__":
    main()
