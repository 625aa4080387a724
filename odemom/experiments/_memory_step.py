"""The memory of one training step, each method in a fresh process: the worker of Figure 2.

The parent imports PyTorch once, on one thread, and forks a child for every measurement, so that no
child inherits what another has left. It is a program, ``python -m odemom.experiments._memory_step
REQUEST``, because glibc reads its settings when a process starts: `ask` sets
``MALLOC_MMAP_THRESHOLD_=65536``, with which a freed tensor goes back to the system at once and the
resident memory follows the tensors alive.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from odemom.checks import invalid, optional_import
from odemom.errors import OdemomError
from odemom.records import from_json, jsonable

__all__ = [
    "METHODS",
    "PEER",
    "Gauge",
    "Measured",
    "Request",
    "answer_of",
    "ask",
    "gauge_of",
    "in_a_child",
]

Gauge = Literal["VmHWM", "ru_maxrss", "torch.cuda"]

PEER = "momentumnet"
METHODS = ("plain", "checkpointed", PEER, "reversible")
SAMPLES = 64
"""Entries of the gradient that are sent back for comparison."""


@dataclass(frozen=True)
class Request:
    """The steps to measure: every method at one depth.

    Attributes
    ----------
    depth, width, batch, seed : int
    device : str
    own_weights : bool
        Whether every layer has weights of its own; else one function stands at all layers.
    """

    depth: int
    width: int
    batch: int
    seed: int
    device: str
    own_weights: bool

    @property
    def gamma(self) -> str:
        """The paper's 1 - 1/(50 depth), as an exact fraction."""
        return f"{50 * self.depth - 1}/{50 * self.depth}"


@dataclass(frozen=True)
class Measured:
    """One training step.

    Attributes
    ----------
    method : str
        One of `METHODS`.
    peak : int
        Bytes at the highest point of the step beyond those before it.
    seconds : float
    gradient : tuple of float
        `SAMPLES` fixed entries of the gradient of the first weight, for comparison.
    gauge : str
        What was read: the kernel's mark of the resident memory, reset before the step; the mark of
        ``getrusage``, which cannot be reset; or PyTorch's count of CUDA memory.
    """

    method: str
    peak: int
    seconds: float
    gradient: tuple[float, ...]
    gauge: Gauge


def ask(request: Request) -> tuple[Measured, ...]:
    """Measure every method that is installed, in processes of their own.

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
    return from_json(tuple[Measured, ...], answer_of(__name__, request))


def answer_of(program: str, request: Any) -> Any:
    """What the program, a module that takes a request as JSON, prints in its last line.

    Raises
    ------
    InvalidInputError, MissingDependencyError, OdemomError
        As `ask`.
    """
    optional_import("torch", "torch")
    if request.device != "cpu" and not usable(request.device):
        raise invalid(
            "device",
            got=repr(request.device),
            expected="cpu, or a CUDA device that PyTorch finds on this machine",
        )
    settings = {
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    command = [sys.executable, "-m", program, json.dumps(jsonable(request))]
    done = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OdemomError(f"measuring {request} failed:\n{done.stderr[-1000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Answer the request on the command line, as JSON on the last line of the output."""
    import torch

    import odemom.nn  # noqa: F401  # once, not in every child

    request = from_json(Request, json.loads(sys.argv[1]))
    torch.set_num_threads(1)
    found = [m for m in METHODS if m != PEER or importlib.util.find_spec(PEER)]
    answers = []
    for method in found:
        answers.append(in_a_child(lambda method=method: _measured(method, request)))
    print(json.dumps(answers))


def in_a_child(measure: Callable[[], Any]) -> Any:
    """What ``measure`` returns in a fork of this process, which ends with it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writing, json.dumps(jsonable(measure())).encode())
            status = 0
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
        raise SystemExit(1)  # the child has said why
    return json.loads(text)


def _measured(method: str, request: Request) -> Measured:
    import torch

    torch.manual_seed(request.seed)
    _step(*_built(method, request, depth=2))  # libraries allocate their workspaces
    net, functions, x = _built(method, request, depth=request.depth)
    for parameter in functions.parameters():
        parameter.grad = torch.zeros_like(parameter)
    gc.collect()
    gauge = gauge_of(request.device)
    start = time.perf_counter()
    _step(net, functions, x)
    peak = gauge.peak()
    seconds = time.perf_counter() - start
    gradient = next(functions.parameters()).grad
    assert gradient is not None
    flat = gradient.flatten()
    places = torch.linspace(0, len(flat) - 1, SAMPLES).long()
    sample = tuple(flat[places.to(flat.device)].tolist())
    return Measured(method, peak, seconds, sample, gauge.name)


def gauge_of(device: str) -> ResidentGauge | CudaGauge:
    """What reads the highest memory from now on, on a device."""
    return ResidentGauge() if device == "cpu" else CudaGauge(device)


def usable(device: str) -> bool:
    """Whether PyTorch finds the CUDA device."""
    import torch

    try:
        return torch.zeros(1, device=device).is_cuda
    except (RuntimeError, AssertionError):
        return False


def _built(method: str, request: Request, depth: int) -> tuple[Any, Any, Any]:
    """The network, its functions, and an input."""
    import torch
    from torch import nn

    from odemom.nn import Checkpointed, MomentumNet

    width, device = request.width, request.device

    def function() -> nn.Module:
        return nn.Sequential(
            nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width, bias=False)
        ).to(device)

    own = [function() for _ in range(depth if request.own_weights else 1)]
    functions = nn.ModuleList(own)
    layers = own if request.own_weights else own * depth
    x = torch.randn(request.batch, width, device=device)
    if method == PEER:
        peer = importlib.import_module(PEER)
        gamma = 1 - 1 / (50 * request.depth)
        return peer.MomentumNet(layers, gamma=gamma, use_backprop=False), functions, x
    net = MomentumNet(layers, request.gamma, reversible=method == "reversible")
    return (Checkpointed(net) if method == "checkpointed" else net), functions, x


def _step(net: Any, functions: Any, x: Any) -> None:
    del functions  # held by the caller
    net(x.clone()).square().mean().backward()


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
