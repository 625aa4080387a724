"""Learned ISTA on many dictionaries at once: the Lasso, its shrinkage layers, and their training.

For y in R^d and a dictionary D with unit columns, the Lasso asks for the x in R^p of least
L(x) = |y - D x|²/2 + lambda |x|_1. A step of ISTA is x + f(x, y) with the residual function
f(x, y) = ST(W_1 x + W_2 y, eta lambda) - x, W_1 = I - eta D^T D, W_2 = eta D^T, where ST is soft
thresholding. LISTA (Gregor and LeCun 2010) learns W_1 and W_2, layer by layer or tied, by lowering
L at its output. The same residual functions make a ResNet (LISTA itself), a Momentum ResNet and a
RevNet, whose two halves start equal and whose output is their mean.

Nets for several dictionaries and steps eta are trained together: each has its own slice of every
weight, so its own gradient, and Adam treats entries one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import Lasso
from torch import Tensor, nn

from odemom.nn import MomentumNet, ResidualNet, RevNet

__all__ = ["LAMBDA", "Nets", "Problems", "Shrinkage", "classical", "soft_threshold"]

ATOMS, DIMENSION, LAMBDA = 32, 16, 0.1
TOL = 1e-10


def soft_threshold(z: Tensor, level: Tensor) -> Tensor:
    """ST(z, level): z moved towards 0 by ``level``, and 0 where it is no larger."""
    return torch.relu(z - level) - torch.relu(-z - level)


class Shrinkage(nn.Module):
    """f(x, y) = ST(W_1 x + W_2 y, eta lambda) - x, for a stack of nets; it starts as ISTA.

    Parameters
    ----------
    dictionaries : Tensor, shape (nets, d, p)
    eta : Tensor, shape (nets,)

    Attributes
    ----------
    weight : Parameter, shape (nets, p + d, p)
        The transposes of W_1 and W_2, one below the other.
    """

    level: Tensor

    def __init__(self, dictionaries: Tensor, eta: Tensor) -> None:
        super().__init__()
        D, step = dictionaries, eta[:, None, None]
        first = torch.eye(D.shape[-1], dtype=D.dtype, device=D.device) - step * (D.mT @ D)
        self.weight = nn.Parameter(torch.cat([first, step * D], dim=1))
        self.register_buffer("level", step * LAMBDA)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The residual at x, shape (nets, samples, p), for y, shape (nets, samples, d)."""
        return soft_threshold(torch.cat([x, y], dim=-1) @ self.weight, self.level) - x


@dataclass(frozen=True)
class Problems:
    """Dictionaries with unit columns, and where their signals come from.

    Attributes
    ----------
    dictionaries : Tensor, shape (count, d, p)
    """

    dictionaries: Tensor

    @classmethod
    def random(cls, seeds: Sequence[int], device: str = "cpu") -> Problems:
        """Dictionaries of normal entries, each from a seed of its own."""
        drawn = [np.random.default_rng([1, s]).standard_normal((DIMENSION, ATOMS)) for s in seeds]
        D = torch.as_tensor(np.array(drawn), device=device)
        return cls(D / D.norm(dim=1, keepdim=True))

    @property
    def lipschitz(self) -> Tensor:
        """The largest eigenvalue of D^T D, shape (count,): ISTA's own step is 1 over it."""
        return torch.linalg.matrix_norm(self.dictionaries, 2) ** 2

    def signals(self, generator: torch.Generator, count: int) -> Tensor:
        """Unit vectors y of all directions, shape (dictionaries, count, d)."""
        shape = (len(self.dictionaries), count, DIMENSION)
        y = torch.randn(shape, generator=generator, dtype=torch.float64)
        return (y / y.norm(dim=-1, keepdim=True)).to(self.dictionaries.device)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """L(x), shape (dictionaries, samples)."""
        return _lasso(self.dictionaries, x, y)

    def optimum(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The least value of L for every y, by scikit-learn, and a bound on its error.

        Returns
        -------
        least, gap : Tensor, shape (dictionaries, samples)
            ``gap`` is the duality gap: the true least value lies in [least - gap, least].
        """
        solver = Lasso(LAMBDA / DIMENSION, fit_intercept=False, tol=TOL, max_iter=100_000)
        found = [
            solver.fit(D.numpy(), one.numpy().T).coef_
            for D, one in zip(self.dictionaries.cpu(), y.cpu(), strict=True)
        ]
        x = torch.as_tensor(np.array(found), device=y.device)
        least = self.loss(x, y)
        rest = y - x @ self.dictionaries.mT
        too_large = (rest @ self.dictionaries).abs().amax(-1, keepdim=True) / LAMBDA
        dual_point = rest / too_large.clamp(min=1)
        dual = (y**2).sum(-1) / 2 - ((y - dual_point) ** 2).sum(-1) / 2
        return least, least - dual


def _lasso(D: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return ((y - x @ D.mT) ** 2).sum(-1) / 2 + LAMBDA * x.abs().sum(-1)


def classical(problems: Problems, y: Tensor, depths: Sequence[int], *, fast: bool) -> list[Tensor]:
    """The loss L after so many steps of ISTA, or FISTA, with the step 1/|D|², for every depth."""
    step = Shrinkage(problems.dictionaries, 1 / problems.lipschitz)
    x = z = torch.zeros(*y.shape[:-1], ATOMS, dtype=y.dtype, device=y.device)
    t, losses = 1.0, {}
    with torch.no_grad():
        for n in range(1, max(depths) + 1):
            after = z + step(z, y)
            later = (1 + math.sqrt(1 + 4 * t * t)) / 2 if fast else 1.0
            z = after + (t - 1) / later * (after - x)
            x, t = after, later
            losses[n] = problems.loss(x, y)
    return [losses[n] for n in depths]


class Nets:
    """Learned nets of one kind, one for every problem and every step, trained together.

    Parameters
    ----------
    kind : {"LISTA", "momentum LISTA", "RevNet LISTA"}
    problems : Problems
    steps : sequence of float
        Effective steps (1 - gamma) eta, in units of 1/|D|².
    gamma : float
        0 but for momentum LISTA.
    tied : bool
        Whether all layers share their weights.
    """

    def __init__(
        self, kind: str, problems: Problems, steps: Sequence[float], gamma: float, *, tied: bool
    ) -> None:
        self.kind, self.gamma, self.tied = kind, gamma, tied
        self.problems = problems
        self.copies = len(steps)
        self.D = problems.dictionaries.repeat_interleave(self.copies, 0).float()
        scale = torch.tensor(steps, dtype=torch.float64, device=self.D.device) / (1 - gamma)
        self.eta = (scale / problems.lipschitz[:, None]).flatten().float()
        self.layers: list[Shrinkage] = []

    @property
    def per_layer(self) -> int:
        """Residual functions per layer."""
        return 2 if self.kind == "RevNet LISTA" else 1

    def functions(self, depth: int) -> list[Shrinkage]:
        """The residual functions of a net; those that are missing start as steps of ISTA."""
        own = self.per_layer * (1 if self.tied else depth)
        while len(self.layers) < own:
            self.layers.append(Shrinkage(self.D, self.eta))
        return self.layers * depth if self.tied else self.layers[:own]

    def output(self, functions: Sequence[Shrinkage], y: Tensor) -> Tensor:
        """What the nets make of y, from x = 0."""
        x = torch.zeros(*y.shape[:-1], ATOMS, dtype=y.dtype, device=y.device)
        if self.kind == "RevNet LISTA":
            halves = RevNet(functions, reversible=False, dim=-1)(torch.cat([x, x], dim=-1), y)
            return torch.stack(halves.chunk(2, dim=-1)).mean(0)
        if self.kind == "momentum LISTA":
            return MomentumNet(functions, self.gamma, reversible=False)(x, y)
        return ResidualNet(functions)(x, y)

    def train(
        self, depths: Sequence[int], updates: int, batch: int, rate: float, seed: int
    ) -> Iterator[int]:
        """Train depth after depth, all layers together, and yield each depth when it is done.

        Every depth has ``updates`` of Adam, with a cosine schedule from ``rate``, on fresh signals.
        """
        generator = torch.Generator().manual_seed(seed)
        for depth in depths:
            functions = self.functions(depth)
            weights = list(dict.fromkeys(f.weight for f in functions))
            adam = torch.optim.Adam(weights, lr=rate)
            cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, updates)
            for _ in range(updates):
                y = self.problems.signals(generator, batch).float()
                y = y.repeat_interleave(self.copies, 0)
                adam.zero_grad()
                _lasso(self.D, self.output(functions, y), y).mean(1).sum().backward()
                adam.step()
                cosine.step()
            yield depth

    def in_double(self, depth: int) -> list[Shrinkage]:
        """The trained residual functions in double precision."""
        copies = {}
        for layer in self.functions(depth):
            if layer not in copies:
                copies[layer] = Shrinkage(self.D.double(), self.eta.double())
                copies[layer].load_state_dict(layer.state_dict())
        return [copies[layer] for layer in self.functions(depth)]

    @torch.no_grad()
    def losses(self, depth: int, y: Tensor) -> Tensor:
        """The loss L of each net, in double precision, shape (problems, steps, samples)."""
        y = y.repeat_interleave(self.copies, 0)
        x = self.output(self.in_double(depth), y)
        found = _lasso(self.problems.dictionaries.repeat_interleave(self.copies, 0), x, y)
        return found.view(len(self.problems.dictionaries), self.copies, -1)
