"""What the models of `_ode_models` are asked to learn, and what no first-order ODE can do.

parity      x -> -x on the line
spheres     a disc inside a ring, in the plane: which of the two does a point lie in?
released    two swinging oscillators, one trajectory each, let go at rest
thrown      the same, let go with a velocity of their own

All data are drawn from the seed. The oscillators follow x'' = -x'/3 - (1 + 1/36) x, so that
second-order models can follow them exactly once they know friction and initial velocity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from torch import Tensor
from torch.nn import functional

__all__ = ["PROBLEMS", "Problem", "Split", "first_order_bound", "loss_of", "oscillator"]

DAMPING = 1 / 6  # of x(t) = exp(-t/6) (a cos t + b sin t), as Norcliffe et al. have it
POINTS = {"train": 20, "validation": 20, "test": 100}
SPHERE_POINTS = {"train": 100, "validation": 100, "test": 400}
RADII = (0.0, 0.5), (1.0, 1.5)


@dataclass(frozen=True)
class Problem:
    """How a problem is solved.

    Attributes
    ----------
    name : str
    dim : int
        Coordinates of x.
    horizon : float
    steps : int
        Of the fixed-step solver that trains.
    recorded : mapping of str to tuple of int
        After which of these steps the targets of a split are.
    classifies : bool
        Whether targets are classes, -1 and 1, of a linear head.
    """

    name: str
    dim: int
    horizon: float
    steps: int
    recorded: Mapping[str, tuple[int, ...]]
    classifies: bool = False

    @property
    def step(self) -> float:
        """Of the fixed-step solver."""
        return self.horizon / self.steps

    def draw(self, seeds: Sequence[int], part: str) -> Split:
        """The data of a split, one set per seed; ``part`` is train, validation or test."""
        # The oscillators of a seed are the same in all parts: these differ in the times.
        offset = 0 if self.name in SWINGS else 1 + list(POINTS).index(part)
        drawn = [
            DRAWS[self.name](torch.Generator().manual_seed(10 * seed + offset), self, part)
            for seed in seeds
        ]
        return Split(*(torch.stack(parts) for parts in zip(*drawn, strict=True)))


@dataclass(frozen=True, eq=False)
class Split:
    """x(0), (seeds, dim, points), and the targets, (seeds, times, dim or 1, points); float64."""

    x: Tensor
    target: Tensor


def loss_of(problem: Problem, output: Tensor, target: Tensor) -> Tensor:
    """The mean square error, or the logistic loss: one per net.

    Parameters
    ----------
    problem : Problem
    output, target : Tensor
        (nets, times, dim or 1, points).
    """
    error = functional.softplus(-output * target) if problem.classifies else output - target
    return (error if problem.classifies else error.square()).flatten(1).mean(dim=1)


def first_order_bound(problem: Problem, split: Split) -> tuple[float, ...]:
    """The mean square error that no first-order ODE x' = f(x) on the line can beat, seed by seed.

    Its map x(0) -> x(T) increases, and so does each of its trajectories, unless it decreases: the
    bound is the distance of the targets to such sequences. In the plane it is 0.
    """
    if problem.dim > 1:
        return (0.0,) * len(split.x)
    bounds = []
    for x, target in zip(split.x[:, 0].numpy(), split.target[:, :, 0].numpy(), strict=True):
        if problem.name == "parity":
            errors = _to_increasing(target[0][np.argsort(x)])
        else:
            swings = [
                min(_to_increasing(path, first), _to_increasing(-path, -first))
                for first, path in zip(x, target.T, strict=True)
            ]
            errors = float(np.mean(swings))
        bounds.append(errors)
    return tuple(bounds)


def oscillator(t: Tensor, x: Tensor, v: Tensor) -> Tensor:
    """The state at t of the oscillator that is at x, with velocity v, at 0."""
    return torch.exp(-DAMPING * t) * (x * torch.cos(t) + (v + DAMPING * x) * torch.sin(t))


def _to_increasing(path: np.ndarray, first: float = -math.inf) -> float:
    """The mean square distance of a sequence to those that increase, from ``first`` on."""
    nearest = np.maximum(isotonic_regression(path).x, first)
    return float(np.mean((path - nearest) ** 2))


def _uniform(generator: torch.Generator, low: float, high: float, count: int) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator, dtype=torch.float64)


def _parity(generator: torch.Generator, problem: Problem, part: str) -> tuple[Tensor, Tensor]:
    x = _uniform(generator, -1, 1, POINTS[part])[None]
    return x, -x[None]


def _spheres(generator: torch.Generator, problem: Problem, part: str) -> tuple[Tensor, Tensor]:
    half = SPHERE_POINTS[part] // 2
    radius = torch.cat([_uniform(generator, a**2, b**2, half) for a, b in RADII]).sqrt()
    angle = _uniform(generator, 0, 2 * math.pi, 2 * half)
    label = torch.ones(half, dtype=torch.float64)
    x = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)])
    return x, torch.cat([-label, label])[None, None]


def _swings(generator: torch.Generator, problem: Problem, part: str) -> tuple[Tensor, Tensor]:
    x = _uniform(generator, 0.5, 1.5, 2) * torch.tensor([1.0, -1.0], dtype=torch.float64)
    v = _uniform(generator, -1.5, 1.5, 2) * (problem.name == "thrown")
    t = problem.step * torch.tensor(problem.recorded[part], dtype=torch.float64)
    return x[None], oscillator(t[:, None, None], x, v)


SWINGS = "released", "thrown"
DRAWS: dict[str, Callable[[torch.Generator, Problem, str], tuple[Tensor, Tensor]]] = {
    "parity": _parity,
    "spheres": _spheres,
    "released": _swings,
    "thrown": _swings,
}

_LAST = dict.fromkeys(POINTS, (8,))
_TIMES = {
    "train": tuple(range(2, 21, 2)),
    "validation": tuple(range(1, 21, 4)),
    "test": tuple(range(3, 21, 4)),
}
PROBLEMS = {
    "parity": Problem("parity", 1, 1.0, 8, _LAST),
    "spheres": Problem("spheres", 2, 1.0, 8, _LAST, classifies=True),
    "released": Problem("released", 1, 6.0, 20, _TIMES),
    "thrown": Problem("thrown", 1, 6.0, 20, _TIMES),
}
