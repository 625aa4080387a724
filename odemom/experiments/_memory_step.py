"""The memory of one training step, each method in a fresh process: the measurements of Figure 2."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import time
from dataclasses import dataclass
from typing import Any

from odemom.experiments._measuring import Gauge, answer_of, gauge_of, in_a_child
from odemom.records import from_json

__all__ = ["METHODS", "PEER", "Measured", "Request", "ask"]

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
    InvalidInputError, MissingDependencyError, OdemomError
        As `odemom.experiments._measuring.answer_of`.
    """
    return from_json(tuple[Measured, ...], answer_of(__name__, request))


def prepare(request: Any) -> None:
    """Load what is slow to load, once for all requests."""
    import odemom.nn  # noqa: F401

    importlib.import_module("torch._dynamo")  # as the first checkpoint of a process does
    del request


def answer(request: Any) -> list[Any]:
    """Measure every method that is installed, each in a process of its own."""
    asked = from_json(Request, request)
    found = [m for m in METHODS if m != PEER or importlib.util.find_spec(PEER)]
    return [in_a_child(lambda method=method: _measured(method, asked)) for method in found]


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
