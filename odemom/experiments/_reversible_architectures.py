"""Reversible residual architectures in their plainest form, in floats and, where known, exact.

A network takes x to a *state* of one or two tensors, moves it over its residual functions, and is
inverted by moving the state back. Each architecture is a few lines, so that what its papers claim
can be checked by running it; none of them saves memory here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from odemom.nn import MomentumNet

__all__ = ["ARCHITECTURES", "Architecture", "Functions", "State", "residual_function"]

State = tuple[Tensor, ...]
Functions = Sequence[Callable[[Tensor], Tensor]]

GAMMA = "9/10"
"""Of the Momentum ResNet."""

UNIT = 2.0**-40
"""Of the integers in which additions are exact."""


def residual_function(width: int, lipschitz: float, *, bias: float = 0.5) -> nn.Sequential:
    """A net x -> B tanh(A x + c), A and B orthogonal times a number, of a given Lipschitz constant.

    Parameters
    ----------
    width : int
    lipschitz : float
        Attained where A x + c = 0.
    bias : float
        Standard deviation of c.

    Examples
    --------
    >>> f = residual_function(4, 0.5, bias=0.0)
    >>> jacobian = torch.func.jacrev(f)(torch.zeros(4, dtype=torch.float64))
    >>> bool(torch.allclose(torch.linalg.svdvals(jacobian), torch.tensor(0.5).double()))
    True
    """
    inner = nn.Linear(width, width, dtype=torch.float64)
    outer = nn.Linear(width, width, bias=False, dtype=torch.float64)
    for layer in (inner, outer):
        nn.init.orthogonal_(layer.weight, gain=math.sqrt(lipschitz))
    nn.init.normal_(inner.bias, std=bias)
    return nn.Sequential(inner, nn.Tanh(), outer).requires_grad_(False)


def _fixed(x: Tensor) -> Tensor:
    return (x / UNIT).round().long()


def _shown(x: Tensor) -> Tensor:
    return x.double() * UNIT


class Architecture(ABC):
    """What an architecture owes the checks.

    Attributes
    ----------
    name : str
    parts : int
        Tensors of the state.
    halved : bool
        Whether the functions act on one half of the coordinates.
    forgets : float
        -log2 |det J| bits per element and layer, J the Jacobian of a step on the state, where it is
        the same for all functions.
    span : tuple of int
        Depths between which the loss of bits in double precision is read, before all are lost.
    """

    name: str
    parts: int = 1
    halved: bool = False
    forgets: float = 0.0
    span: tuple[int, int] = (100, 300)

    def functions(self, width: int, depth: int, lipschitz: float) -> list[nn.Sequential]:
        """The residual functions that a network of ``width`` coordinates has."""
        size = width // 2 if self.halved else width
        return [residual_function(size, lipschitz) for _ in range(depth)]

    def begin(self, functions: Functions, x: Tensor) -> tuple[State, Functions]:
        """The first state, and the functions that it has still to pass."""
        return (x,), functions

    @abstractmethod
    def advance(self, functions: Functions, state: State) -> State:
        """Move the state over functions."""

    @abstractmethod
    def retreat(self, functions: Functions, state: State) -> State:
        """Move the state back over functions."""

    def end(self, state: State) -> Tensor:
        """The input, from the first state."""
        return state[0]

    def back_and_forth(self, functions: Functions, x: Tensor) -> Tensor:
        """The input, recovered from the last state."""
        state, rest = self.begin(functions, x)
        return self.end(self.retreat(rest, self.advance(rest, state)))

    def exact(self, functions: Sequence[nn.Module], x: Tensor) -> float | None:
        """Bits kept per element and layer by an inverse that is exact bit for bit.

        Returns
        -------
        float or None
            None where no exact inverse is known, and nan where the one that is claimed failed.
        """
        del functions, x
        return None


class NeuralODE(Architecture):
    """x' = f(x) on [0, 1] by a solver, inverted by integrating back (Chen et al. 2018)."""

    name = "Neural ODE"

    def functions(self, width: int, depth: int, lipschitz: float) -> list[nn.Sequential]:
        """One field, which makes the way of all layers."""
        return [residual_function(width, depth * lipschitz)]

    def advance(self, functions: Functions, state: State) -> State:
        """Integrate from 0 to 1."""
        return (self._integrated(functions, state[0], (0.0, 1.0)),)

    def retreat(self, functions: Functions, state: State) -> State:
        """Integrate from 1 to 0."""
        return (self._integrated(functions, state[0], (1.0, 0.0)),)

    @staticmethod
    def _integrated(functions: Functions, x: Tensor, span: tuple[float, float]) -> Tensor:
        tolerance = 1e-9 if x.dtype == torch.float64 else 1e-5
        times = torch.tensor(span, dtype=x.dtype)
        for field in functions:
            path: Any = odeint(lambda _, y, f=field: f(y), x, times, rtol=tolerance, atol=tolerance)
            x = path[-1]
        return x


class IResNet(Architecture):
    """x <- x + f(x), f a contraction: a fixed point gives the inverse (Behrmann et al. 2019)."""

    name = "i-ResNet"
    iterations = 200

    def advance(self, functions: Functions, state: State) -> State:
        """Residual steps."""
        (x,) = state
        for f in functions:
            x = x + f(x)
        return (x,)

    def retreat(self, functions: Functions, state: State) -> State:
        """Iterate x <- y - f(x) until it stands still, at most 200 times."""
        (y,) = state
        for f in reversed(functions):
            x = y
            for _ in range(self.iterations):
                before, x = x, y - f(x)
                if (x - before).abs().max() <= torch.finfo(x.dtype).eps * x.abs().max():
                    break
            y = x
        return (y,)


class Coupling(Architecture):
    """(a, b) <- (b, a + c f(b)): the step that RevNet, i-RevNet and the midpoint rule share."""

    parts = 2
    factor = 1.0

    def advance(self, functions: Functions, state: State) -> State:
        """Coupling steps, in floats, or exact in integers."""
        a, b = state
        for n, f in enumerate(functions):
            a, b = self.mixed(n, (b, a + self._increment(f, b)))
        return a, b

    def retreat(self, functions: Functions, state: State) -> State:
        """The same steps back."""
        for n, f in reversed(list(enumerate(functions))):
            b, a = self.unmixed(n, state)
            state = a - self._increment(f, b), b
        return state

    def _increment(self, f: Callable[[Tensor], Tensor], b: Tensor) -> Tensor:
        if b.is_floating_point():
            return self.factor * f(b)
        return _fixed(self.factor * f(_shown(b)))

    def mixed(self, n: int, state: State) -> State:
        """What the architecture does after step ``n``."""
        del n
        return state

    def unmixed(self, n: int, state: State) -> State:
        """The same undone."""
        del n
        return state

    def exact(self, functions: Sequence[nn.Module], x: Tensor) -> float | None:
        """Integer additions are exact: nothing is kept."""
        state, rest = self.begin(functions, x)
        start = tuple(map(_fixed, state))
        back = self.retreat(rest, self.advance(rest, start))
        return 0.0 if all(map(torch.equal, back, start)) else math.nan


class RevNet(Coupling):
    """Couplings between the two halves of x (Gomez et al. 2017)."""

    name = "RevNet"
    halved = True

    def begin(self, functions: Functions, x: Tensor) -> tuple[State, Functions]:
        """The halves."""
        return x.chunk(2, -1), functions

    def end(self, state: State) -> Tensor:
        """The halves side by side."""
        return torch.cat(state, -1)


class IRevNet(RevNet):
    """RevNet's couplings with invertible downsampling for pooling (Jacobsen et al. 2018).

    Downsampling moves neighbouring pixels into channels: here, every third layer, coordinates
    change their places.
    """

    name = "i-RevNet"
    every = 3

    def mixed(self, n: int, state: State) -> State:
        """Every third time the coordinates with even places come first."""
        if n % self.every:
            return state
        x = torch.cat(state, -1)
        return torch.cat([x[..., ::2], x[..., 1::2]], -1).chunk(2, -1)

    def unmixed(self, n: int, state: State) -> State:
        """The places of before."""
        if n % self.every:
            return state
        return torch.stack(state, -1).flatten(-2).chunk(2, -1)


class Midpoint(Coupling):
    """x_{n+1} = x_{n-1} + 2 f_n(x_n) after one Euler step (Chang et al. 2018)."""

    name = "Midpoint"
    factor = 2.0

    def begin(self, functions: Functions, x: Tensor) -> tuple[State, Functions]:
        """x_0 and x_1."""
        return (x, x + functions[0](x)), functions[1:]


class Momentum(Architecture):
    """v <- gamma v + (1 - gamma) f(x), x <- x + v (Sander et al. 2021)."""

    name = "Momentum ResNet"
    parts = 2
    gamma = 0.9
    forgets = -math.log2(gamma)

    def begin(self, functions: Functions, x: Tensor) -> tuple[State, Functions]:
        """x_0 at rest."""
        return (x, torch.zeros_like(x)), functions

    def advance(self, functions: Functions, state: State) -> State:
        """Momentum steps in floats."""
        x, v = state
        for f in functions:
            v = self.gamma * v + (1 - self.gamma) * f(x)
            x = x + v
        return x, v

    def retreat(self, functions: Functions, state: State) -> State:
        """The same steps back, with a division by gamma."""
        x, v = state
        for f in reversed(functions):
            x = x - v
            v = (v - (1 - self.gamma) * f(x)) / self.gamma
        return x, v

    def exact(self, functions: Sequence[nn.Module], x: Tensor) -> float | None:
        """`odemom.nn.MomentumNet`: what gamma forgets goes to a buffer."""
        net = MomentumNet(functions, GAMMA)
        final = net.final_state(x)
        back, _ = net.inverse(final)
        state = net.memory_report(x).state
        kept = 8 * (final.nbytes - state) / x.numel() / len(functions)
        return kept if torch.equal(back, x) else math.nan


class BDIA(Midpoint):
    """x_{n+1} = g x_{n-1} + (1 - g) x_n + (1 + g) f_n(x_n), g = ±1/2 (Zhang et al. 2024).

    The signs are drawn at random in training, and fixed here; at inference g = 0, an ordinary
    ResNet. At g = 1 it is the midpoint rule.
    """

    name = "BDIA"
    forgets = 1.0
    span = (15, 45)

    @staticmethod
    def signs(count: int) -> list[float]:
        """The signs of g."""
        generator = torch.Generator().manual_seed(0)
        return (2.0 * torch.randint(2, (count,), generator=generator) - 1).tolist()

    @staticmethod
    def rest(f: Callable[[Tensor], Tensor], b: Tensor, sign: float) -> Tensor:
        """All of x_{n+1} but g x_{n-1}."""
        return (1 - sign / 2) * b + (1 + sign / 2) * f(b)

    def advance(self, functions: Functions, state: State) -> State:
        """Steps in floats."""
        a, b = state
        for f, sign in zip(functions, self.signs(len(functions)), strict=True):
            a, b = b, sign * a / 2 + self.rest(f, b, sign)
        return a, b

    def retreat(self, functions: Functions, state: State) -> State:
        """The same steps back, with a division by g."""
        a, b = state
        signs = self.signs(len(functions))
        for f, sign in zip(reversed(functions), reversed(signs), strict=True):
            a, b = 2 * sign * (b - self.rest(f, a, sign)), a
        return a, b

    def exact(self, functions: Sequence[nn.Module], x: Tensor) -> float | None:
        """Halving an integer drops its last bit, which is kept."""
        state, rest = self.begin(functions, x)
        start = tuple(map(_fixed, state))
        signs, parities, (a, b) = self.signs(len(rest)), [], start

        def increment(f: Callable[[Tensor], Tensor], b: Tensor, sign: float) -> Tensor:
            return _fixed(self.rest(f, _shown(b), sign))

        for f, sign in zip(rest, signs, strict=True):
            parities.append((a & 1).bool())
            a, b = b, int(sign) * (a >> 1) + increment(f, b, sign)
        kept = sum(p.numel() for p in parities) / x.numel() / len(rest)
        for f, sign in zip(reversed(rest), reversed(signs), strict=True):
            a, b = ((int(sign) * (b - increment(f, a, sign))) << 1) + parities.pop().long(), a
        return kept if all(map(torch.equal, (a, b), start)) else math.nan


ARCHITECTURES: dict[str, Architecture] = {
    a.name: a for a in (NeuralODE(), IResNet(), IRevNet(), RevNet(), Momentum(), Midpoint(), BDIA())
}
"""In the paper's order, then the two that came later."""
