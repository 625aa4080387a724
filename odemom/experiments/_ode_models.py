"""First- and second-order neural ODEs of one form, many nets of it in one batch.

Every model here is the linear ODE of its state z with one small network in it::

    z' = L z + P f(Q z),    f(y) = W_2 tanh(W_1 y + b_1) + b_2

    node             z = x         x' = f(x)
    anode            z = (x, a)    (x, a)' = f(x, a),       a(0) = 0, as many as x has coordinates
    sonode           z = (x, v)    x'' = f(x, x'),          x'(0) a network of x(0)
    hbnode           z = (x, v)    x'' = f(x) - gamma x',   x'(0) a network of x(0)
    momentum-rest    z = (x, v)    eps x'' + x' = f(x),     x'(0) = 0
    momentum-field   z = (x, v)    eps x'' + x' = f(x),     x'(0) = f(x(0))

gamma in (0, 1) and eps > 0 are learnt, one number each: the heavy ball and the momentum equation
are the same at gamma = 1/eps, and differ in how the velocity starts.

References
----------
node: Chen et al. 2018. anode: Dupont, Doucet, Teh 2019. sonode: Norcliffe et al. 2020. hbnode: Xia
et al. 2021. momentum: Sander, Ablin, Blondel, Peyré 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MODELS", "Form", "Nets", "Vectors", "widest"]

GAMMA_START = -3.0  # the logit of gamma before training, as the heavy ball's authors have it


@dataclass(frozen=True)
class Form:
    """What tells the models apart.

    Attributes
    ----------
    order : {1, 2}
    augmented : bool
        Whether the state has as many coordinates again, which start at 0 (order 1).
    reads_velocity : bool
        Whether f is a function of (x, v) (order 2).
    friction : {"none", "gamma", "eps"}
    start : {"none", "zero", "field", "network"}
        The initial velocity; "none" at order 1.
    """

    order: Literal[1, 2]
    augmented: bool = False
    reads_velocity: bool = False
    friction: Literal["none", "gamma", "eps"] = "none"
    start: Literal["none", "zero", "field", "network"] = "none"


MODELS = {
    "node": Form(1),
    "anode": Form(1, augmented=True),
    "sonode": Form(2, reads_velocity=True, start="network"),
    "hbnode": Form(2, friction="gamma", start="network"),
    "momentum-rest": Form(2, friction="eps", start="zero"),
    "momentum-field": Form(2, friction="eps", start="field"),
}


class System(NamedTuple):
    """z' = linear z + outer s(inner z + inner_bias) + outer_bias, s the logistic, of every net.

    tanh y = 2 s(2 y) - 1, and PyTorch's logistic takes a quarter of the time of its tanh.
    """

    inner: Tensor  # (nets, width, state)
    inner_bias: Tensor  # (nets, width, 1)
    outer: Tensor  # (nets, state, width)
    outer_bias: Tensor  # (nets, state, 1)
    linear: Tensor | None  # (nets, state, state)

    def at(self, z: Tensor) -> Tensor:
        """Z' at z, both (nets, state, points)."""
        hidden = torch.baddbmm(self.inner_bias, self.inner, z).sigmoid()
        force = torch.baddbmm(self.outer_bias, self.outer, hidden)
        return force if self.linear is None else torch.baddbmm(force, self.linear, z)


@dataclass(frozen=True)
class Nets:
    """The shape that all nets of a batch share; their parameters are the rows of one array.

    Attributes
    ----------
    form : Form
    dim : int
        Coordinates of x.
    width : int
        Hidden units of f, and of the network of the initial velocity.
    head : bool
        Whether a linear form of x (and of the augmented coordinates) at the end is the output.
    """

    form: Form
    dim: int
    width: int
    head: bool = False

    @property
    def state(self) -> int:
        """Coordinates of z."""
        return 2 * self.dim if self.form.augmented or self.form.order == 2 else self.dim

    @property
    def flow_shapes(self) -> tuple[tuple[int, int], ...]:
        """Of W_1, b_1, W_2, b_2 of f, and of gamma or eps."""
        reads = self.state if self.form.augmented or self.form.reads_velocity else self.dim
        writes = self.state if self.form.order == 1 else self.dim
        friction = () if self.form.friction == "none" else ((1, 1),)
        return (*_layers(reads, self.width, writes), *friction)

    @property
    def start_shapes(self) -> tuple[tuple[int, int], ...]:
        """Of the network of the initial velocity."""
        return _layers(self.dim, self.width, self.dim) if self.form.start == "network" else ()

    @property
    def head_shapes(self) -> tuple[tuple[int, int], ...]:
        """Of the weights and the bias of the head."""
        return ((1, self.read_out), (1, 1)) if self.head else ()

    @property
    def read_out(self) -> int:
        """How many coordinates of z the output sees: not the velocities."""
        return self.state if self.head and self.form.augmented else self.dim

    @property
    def flow_parameters(self) -> int:
        """Of z' alone; they come first in a row."""
        return _count(self.flow_shapes)

    @property
    def parameters(self) -> int:
        """All of one net."""
        return self.flow_parameters + _count(self.start_shapes) + _count(self.head_shapes)

    def initial(self, seeds: Sequence[int], device: str = "cpu") -> Tensor:
        """(nets, parameters), as PyTorch's ``Linear`` draws them; gamma = 0.05 and eps = 1.

        Examples
        --------
        >>> nets = Nets(MODELS["sonode"], dim=1, width=3)
        >>> torch.equal(nets.initial([4, 5])[1], nets.initial([5])[0])
        True
        """
        rows = []
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            parts = [
                (2 * torch.rand(math.prod(shape), generator=generator) - 1) / math.sqrt(fan_in)
                for shape, fan_in in self._fans()
            ]
            rows.append(torch.cat(parts))
        parameters = torch.stack(rows)
        if self.form.friction != "none":
            logarithm = GAMMA_START if self.form.friction == "gamma" else 0.0
            parameters[:, self.flow_parameters - 1] = logarithm
        return parameters.to(device)

    def friction(self, parameters: Tensor) -> Tensor:
        """Gamma, or 1/eps: (nets,); only of a model that has one."""
        assert self.form.friction != "none"
        number = parameters[:, self.flow_parameters - 1]
        return number.sigmoid() if self.form.friction == "gamma" else (-number).exp()

    def system(self, flow: Tensor) -> System:
        """The matrices of z', from the first ``flow_parameters`` of each row."""
        w_1, b_1, w_2, b_2 = _split(flow, self.flow_shapes)[:4]
        w_1, b_1 = 2 * functional.pad(w_1, (0, self.state - w_1.shape[2])), 2 * b_1
        w_2, b_2 = 2 * w_2, b_2 - w_2.sum(dim=2, keepdim=True)
        if self.form.order == 1:
            return System(w_1, b_1, w_2, b_2, None)
        friction = None if self.form.friction == "none" else self.friction(flow)[:, None, None]
        if friction is not None and self.form.friction == "eps":
            w_2, b_2 = w_2 * friction, b_2 * friction
        w_2, b_2 = (functional.pad(part, (0, 0, self.dim, 0)) for part in (w_2, b_2))
        one = torch.eye(self.dim, dtype=flow.dtype, device=flow.device)
        velocity = functional.pad(one, (self.dim, 0, 0, self.dim)).expand(len(flow), -1, -1)
        if friction is not None:
            damping = functional.pad(one, (self.dim, 0, self.dim, 0))
            velocity = velocity - friction * damping
        return System(w_1, b_1, w_2, b_2, velocity)

    def start(self, parameters: Tensor, x: Tensor) -> Tensor:
        """z(0), (nets, state, points), from x(0), (nets, dim, points)."""
        if self.form.start == "field":
            w_1, b_1, w_2, b_2 = _split(parameters[:, : self.flow_parameters], self.flow_shapes)[:4]
        elif self.form.start == "network":
            rest = parameters[:, self.flow_parameters :]
            w_1, b_1, w_2, b_2 = _split(rest[:, : _count(self.start_shapes)], self.start_shapes)
        else:
            return functional.pad(x, (0, 0, 0, self.state - self.dim))
        velocity = torch.baddbmm(b_2, w_2, torch.baddbmm(b_1, w_1, x).tanh())
        return torch.cat([x, velocity], dim=1)

    def output(self, parameters: Tensor, z: Tensor) -> Tensor:
        """The state x, or what the head makes of it: (nets, dim or 1, points)."""
        if not self.head:
            return z[:, : self.dim]
        weight, bias = _split(parameters[:, -_count(self.head_shapes) :], self.head_shapes)
        return torch.baddbmm(bias, weight, z[:, : self.read_out])

    def solve(self, parameters: Tensor, x: Tensor, step: float, steps: int) -> list[Tensor]:
        """The states z after 0, 1, ..., ``steps`` steps of the classical Runge-Kutta method."""
        system = self.system(parameters[:, : self.flow_parameters])
        path = [self.start(parameters, x)]
        for _ in range(steps):
            z = path[-1]
            k_1 = system.at(z)
            k_2 = system.at(torch.add(z, k_1, alpha=step / 2))
            k_3 = system.at(torch.add(z, k_2, alpha=step / 2))
            k_4 = system.at(torch.add(z, k_3, alpha=step))
            path.append(torch.add(z, k_1 + k_4 + 2 * (k_2 + k_3), alpha=step / 6))
        return path

    def _fans(self) -> list[tuple[tuple[int, int], int]]:
        """The shape of every array of a row, and how many inputs its units have."""
        found = []
        for shapes in (self.flow_shapes, self.start_shapes, self.head_shapes):
            for i, shape in enumerate(shapes):
                # weights and biases take turns; a bias has the fan-in of its weights
                found.append((shape, shapes[i - i % 2][1]))
        return found


class Vectors(nn.Module):
    """The field z -> z' of one net, as `odemom.nn.ODEBlock` wants it.

    Parameters
    ----------
    nets : Nets
    parameters : Tensor
        (1, parameters): the row of the net.
    """

    def __init__(self, nets: Nets, parameters: Tensor) -> None:
        super().__init__()
        self.nets = nets
        self.flow = nn.Parameter(parameters[:, : nets.flow_parameters].clone())

    def forward(self, z: Tensor) -> Tensor:
        """Z' at z, both (1, state, points)."""
        return self.nets.system(self.flow).at(z)


def widest(form: Form, dim: int, head: bool, budget: int) -> Nets:
    """The widest nets of a form that have at most ``budget`` parameters, at least one unit wide.

    Examples
    --------
    >>> nets = widest(MODELS["node"], 1, False, 128)
    >>> nets.width, nets.parameters
    (42, 127)
    """
    width = 1
    while Nets(form, dim, width + 1, head).parameters <= budget:
        width += 1
    return Nets(form, dim, width, head)


def _layers(reads: int, width: int, writes: int) -> tuple[tuple[int, int], ...]:
    return (width, reads), (width, 1), (writes, width), (writes, 1)


def _count(shapes: Sequence[tuple[int, int]]) -> int:
    return sum(math.prod(shape) for shape in shapes)


def _split(rows: Tensor, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    parts = rows.split([math.prod(shape) for shape in shapes], dim=1)
    return [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]
