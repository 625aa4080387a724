"""The checks of Table 1 on one architecture and one random network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from odemom.experiments._reversible_architectures import (
    ARCHITECTURES,
    Architecture,
    residual_function,
)

__all__ = ["Checks", "Task", "measured"]

TOTAL_LIPSCHITZ = 3.0
WITHIN, BEYOND = 0.9, 3.0
BITS = {torch.float32: 24, torch.float64: 53}


@dataclass(frozen=True)
class Task:
    """The checks of one architecture on one random network."""

    architecture: str
    seed: int
    depths: tuple[int, ...]
    width: int
    batch: int
    draws: int


@dataclass(frozen=True)
class Checks:
    """What was measured of one architecture on one random network.

    Attributes
    ----------
    architecture : str
    seed : int
    error : float
        Relative, of the inverse in double precision at depth 10.
    evaluations : float
        Of the functions on the way back, per evaluation on the way there.
    weights : float
        Over those of a ResNet of the same width and depth.
    same_shapes : bool
    error_within, error_beyond : float
        Relative, of the inverse where the Lipschitz constants are 0.9 and 3; at most 1.
    lost : tuple of float
        Bits of 24, one per depth.
    lost_per_layer : float
        In double precision, over the architecture's ``span`` of depths.
    kept : float
        Bits per element and layer at the largest depth; -1 where no exact inverse is known, -2
        where the exact inverse failed.
    radius : float
        The least spectral radius per layer that was found.
    """

    architecture: str
    seed: int
    error: float
    evaluations: float
    weights: float
    same_shapes: bool
    error_within: float
    error_beyond: float
    lost: tuple[float, ...]
    lost_per_layer: float
    kept: float
    radius: float


def measured(task: Task) -> Checks:
    """All checks of one architecture on one random network."""
    architecture, width = ARCHITECTURES[task.architecture], task.width
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(task.seed)
        x = torch.randn(task.batch, width, dtype=torch.float64)
        nets = {
            depth: architecture.functions(width, depth, TOTAL_LIPSCHITZ / depth)
            for depth in dict.fromkeys((*task.depths, 10, *architecture.span))
        }
        resnet = [residual_function(width, 1.0) for _ in range(10)]
        error, evaluations = _inverted(architecture, nets[10], x)
        within, beyond = (
            min(_inverted(architecture, architecture.functions(width, 4, bound), x)[0], 1.0)
            for bound in (WITHIN, BEYOND)
        )
        deepest, (shallow, deep) = task.depths[-1], architecture.span
        kept = architecture.exact(nets[deepest], x)
        few, many = (_lost(architecture, nets[depth], x) for depth in (shallow, deep))
        single = [[f.float() for f in nets[depth]] for depth in task.depths]
        lost = tuple(round(_lost(architecture, fs, x.float()), 3) for fs in single)
        return Checks(
            task.architecture,
            task.seed,
            error,
            evaluations,
            _size(nets[10]) / _size(resnet),
            _shapes(nets[10]) == _shapes(resnet),
            within,
            beyond,
            lost,
            round((many - few) / (deep - shallow), 5),
            -1.0 if kept is None else -2.0 if math.isnan(kept) else round(kept, 5),
            min(_radius(architecture) for _ in range(task.draws)),
        )


class _Counted:
    """A function that counts its evaluations."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function, self.count = function, 0

    def __call__(self, x: Tensor) -> Tensor:
        self.count += 1
        return self.function(x)


def _inverted(
    architecture: Architecture, net: list[nn.Sequential], x: Tensor
) -> tuple[float, float]:
    """Relative error of the inverse, and evaluations on the way back per one on the way there."""
    functions = [_Counted(f) for f in net]
    state, rest = architecture.begin(functions, x)
    for f in functions:
        f.count = 0
    state = architecture.advance(rest, state)
    there = sum(f.count for f in functions)
    found = architecture.end(architecture.retreat(rest, state))
    back = sum(f.count for f in functions) - there
    return _relative(found, x), back / there


def _relative(found: Tensor, x: Tensor) -> float:
    error = ((found - x).abs().max() / x.abs().max()).item()
    return error if math.isfinite(error) else 1.0


def _lost(architecture: Architecture, net: list[nn.Sequential], x: Tensor) -> float:
    """Bits of the input that the inverse in floats does not give back."""
    bits = BITS[x.dtype]
    error = _relative(architecture.back_and_forth(net, x), x)
    return min(max(math.log2(error) + bits, 0.0), float(bits)) if error > 0 else 0.0


def _shapes(net: Sequence[nn.Module]) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for f in net for p in f.parameters()]


def _size(net: Sequence[nn.Module]) -> int:
    return sum(p.numel() for f in net for p in f.parameters())


def _radius(architecture: Architecture, size: int = 4, step: float = 1e-4) -> float:
    """Spectral radius per layer at the fixed point 0 of two random layers."""
    width = size // 2 if architecture.halved else size
    functions = []
    for _ in range(2):
        f = residual_function(width, 2 * torch.rand(()).item(), bias=0.0)
        if torch.rand(()) < 0.5:  # minus the gradient of a convex function
            inner, outer = (p for p in f.parameters() if p.dim() == 2)
            outer.copy_(-inner.T)
        functions.append(f)
    if architecture.parts == 1:  # one tied function: the field of the neural ODE
        functions = functions[:1]
    whole = width * architecture.parts
    probes = step * torch.cat([torch.eye(whole), -torch.eye(whole)]).double()
    moved = torch.cat(architecture.advance(functions, probes.chunk(architecture.parts, -1)), -1)
    jacobian = (moved[:whole] - moved[whole:]).T / (2 * step)
    largest = torch.linalg.eigvals(jacobian).abs().max().item()
    return largest ** (1 / len(functions))
