"""Many small residual networks in one batch of products, and no net knows another.

Ten seeds at five rates of learning are fifty networks of one shape. Their weights lie side by side
in one array, a row per net, and every product of matrices is a batched one; `train_rows` of
`odemom.experiments._row_adam` trains them, so that a net becomes what it would have become alone,
at a tenth of the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Nets",
    "Sections",
    "increment_bound",
    "initial_parameters",
    "logits",
    "step_jacobians",
    "trajectory",
]


@dataclass(frozen=True)
class Nets:
    """The shape that all networks of a batch share.

    From v = 0, v <- gamma v + (1 - gamma) f(x), x <- x + v, f(x) = W_2 tanh(W_1 x + b_1) + b_2;
    gamma = 0 is the ResNet.

    Attributes
    ----------
    dim, hidden, depth : int
        Coordinates of x, hidden units of f, layers.
    gamma : float
        In [0, 1).
    tied : bool
        Whether all layers share one f.
    bound : float
        A Lipschitz constant that (1 - gamma) f, what a layer adds, is kept within; inf: free.
    classes : int
        Rows of a linear head on the last x; 0: none.
    """

    dim: int
    hidden: int
    depth: int
    gamma: float
    tied: bool = True
    bound: float = math.inf
    classes: int = 0

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of W_1, b_1, W_2, b_2 of the layers that differ, and of the head."""
        layers = 1 if self.tied else self.depth
        inner = (layers, self.hidden, self.dim), (layers, self.hidden, 1)
        outer = (layers, self.dim, self.hidden), (layers, self.dim, 1)
        head = (1, self.classes, self.dim), (1, self.classes, 1)
        return (*inner, *outer, *(head if self.classes else ()))


class Sections(NamedTuple):
    """A layer of every net: it adds outer s(inner x + inner_bias) + outer_bias, s the logistic.

    tanh z = 2 s(2 z) - 1, and PyTorch's logistic takes a fifth of the time of its tanh on the CPU.
    """

    inner: Tensor  # (nets, hidden, dim)
    inner_bias: Tensor  # (nets, hidden, 1)
    outer: Tensor  # (nets, dim, hidden)
    outer_bias: Tensor  # (nets, dim, 1)


def initial_parameters(nets: Nets, seeds: Sequence[int], device: str = "cpu") -> Tensor:
    """Weights as PyTorch's ``Linear`` draws them, uniform within 1/sqrt(fan-in).

    Parameters
    ----------
    nets : Nets
    seeds : sequence of int
        One per net; a net depends on its own seed only.
    device : str

    Returns
    -------
    Tensor
        (nets, parameters), float32.

    Examples
    --------
    >>> few, many = (initial_parameters(Nets(2, 4, 3, 0.9), seeds) for seeds in ([5], [4, 5]))
    >>> torch.equal(few[0], many[1])
    True
    """
    fan_in = nets.dim, nets.dim, nets.hidden, nets.hidden, nets.dim, nets.dim
    rows = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        rows.append(
            torch.cat(
                [
                    (2 * torch.rand(math.prod(shape), generator=generator) - 1) / math.sqrt(fan)
                    for shape, fan in zip(nets.shapes, fan_in, strict=False)
                ]
            )
        )
    return torch.stack(rows).to(device)


def trajectory(nets: Nets, parameters: Tensor, x: Tensor) -> list[Tensor]:
    """The states x after 0, 1, ..., depth layers.

    Parameters
    ----------
    nets : Nets
    parameters : Tensor
        (nets, parameters).
    x : Tensor
        (nets, dim, points), in the dtype of the parameters.

    Returns
    -------
    list of Tensor
        ``depth + 1`` of the shape of ``x``.

    Examples
    --------
    >>> nets = Nets(dim=2, hidden=4, depth=3, gamma=0.9)
    >>> path = trajectory(nets, initial_parameters(nets, [0, 1]), torch.ones(2, 2, 10))
    >>> len(path), path[-1].shape
    (4, torch.Size([2, 2, 10]))
    """
    path, v = [x], torch.zeros_like(x)
    for layer in _layers(nets, parameters):
        hidden = torch.sigmoid(torch.baddbmm(layer.inner_bias, layer.inner, path[-1]))
        added = torch.baddbmm(layer.outer_bias, layer.outer, hidden)
        v = torch.add(added, v, alpha=nets.gamma)
        path.append(path[-1] + v)
    return path


def logits(nets: Nets, parameters: Tensor, x: Tensor) -> Tensor:
    """The linear head on the last x of ``trajectory``: (nets, classes, points)."""
    weight, bias = _arrays(nets, parameters)[4:]
    return torch.baddbmm(bias[:, 0], weight[:, 0], x)


def step_jacobians(nets: Nets, parameters: Tensor, x: Tensor) -> Tensor:
    """I + J of every layer of ResNets, at every point of the trajectories from x.

    Parameters
    ----------
    nets : Nets
        With gamma = 0.
    parameters, x : Tensor
        As in `trajectory`.

    Returns
    -------
    Tensor
        (depth, nets, points, dim, dim).
    """
    assert nets.gamma == 0  # a momentum layer is no map of x alone
    found = []
    layers = _layers(nets, parameters)
    for layer, y in zip(layers, trajectory(nets, parameters, x), strict=False):
        s = torch.sigmoid(torch.baddbmm(layer.inner_bias, layer.inner, y))
        jacobian = torch.einsum("bih,bhn,bhj->bnij", layer.outer, s * (1 - s), layer.inner)
        found.append(torch.eye(nets.dim).to(jacobian) + jacobian)
    return torch.stack(found)


def increment_bound(nets: Nets, parameters: Tensor) -> Tensor:
    """A Lipschitz constant of (1 - gamma) f over the layers, net by net: (nets,).

    The Jacobian of f is the sum over hidden units of w_2 tanh'(.) w_1', so its norm is at most the
    sum of the |w_2| |w_1|; in one dimension nothing smaller holds at every bias.
    """
    layers = _layers(nets, parameters)[: 1 if nets.tied else None]
    # the logistic rises by at most 1/4
    return torch.stack([_products(a.inner, a.outer) / 4 for a in layers]).amax(dim=0)


# --- weights -----------------------------------------------------------------------------------


def _arrays(nets: Nets, parameters: Tensor) -> list[Tensor]:
    """The arrays of `Nets.shapes`, each with the nets in front."""
    flat = parameters.split([math.prod(shape) for shape in nets.shapes], dim=1)
    return [part.unflatten(1, shape) for part, shape in zip(flat, nets.shapes, strict=True)]


def _layers(nets: Nets, parameters: Tensor) -> list[Sections]:
    w_1, b_1, w_2, b_2 = _arrays(nets, parameters)[:4]
    layers = [
        _sections(nets, *(part[:, i] for part in (w_1, b_1, w_2, b_2))) for i in range(w_1.shape[1])
    ]
    return layers * nets.depth if nets.tied else layers


def _sections(nets: Nets, w_1: Tensor, b_1: Tensor, w_2: Tensor, b_2: Tensor) -> Sections:
    w_2, b_2 = (1 - nets.gamma) * w_2, (1 - nets.gamma) * b_2
    if math.isfinite(nets.bound):
        # where f is zero, so is the bound
        shrink = nets.bound / _products(w_1, w_2).clamp(min=torch.finfo(w_2.dtype).tiny)
        w_2 = w_2 * shrink.clamp(max=1)[:, None, None]
    return Sections(2 * w_1, 2 * b_1, 2 * w_2, b_2 - w_2.sum(dim=2, keepdim=True))


def _products(inner: Tensor, outer: Tensor) -> Tensor:
    """The sum over hidden units of |w_2| |w_1|, net by net."""
    return (outer.norm(dim=1) * inner.norm(dim=2)).sum(dim=1)
