"""The right-hand side of an `ODEBlock`, as the solvers call it, for one call of a block."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from odemom.checks import invalid, shown
from odemom.errors import IntegrationError, InvalidInputError
from odemom.nn.ode.arguments import modules_of, takes
from odemom.nn.ode.extras import FieldExtras
from odemom.nn.ode.steady import Steady
from odemom.nn.recompute.holders import version_of
from odemom.nn.recompute.second_call import Autocast
from odemom.nn.reversible.capture import random_numbers_refused

__all__ = ["Field", "Tally", "VectorField", "like"]

NOT_CONVERGED = "Functional iteration did not converge"
SOLVER_FAILURES = ("underflow in dt", "non-finite values in state", "max_num_steps exceeded")

Field = Callable[..., Tensor]
Parts = tuple[Tensor, ...]
Moment = tuple[Tensor | float, Tensor, Tensor | None]
"""Time, position and velocity of an evaluation."""


@dataclass
class Tally:
    """Evaluations of f of one forward call and of the backward passes that belong to it."""

    forward: int = 0
    backward: int = 0
    returned: bool = False

    def count(self) -> None:
        """One more, of the pass that is under way."""
        if self.returned:
            self.backward += 1
        else:
            self.forward += 1


class VectorField:
    """The derivative of the state, (x,) for order 1 and (x, v) for order 2.

    Parameters
    ----------
    f : nn.Module or callable
    roles : tuple of str
        Its first arguments, of "t", "x" and "v".
    order, eps
        Of the equation.
    x : Tensor
        The initial state: values of f have its shape, dtype and device.
    args, kwargs
        The further arguments of f.
    tally : Tally

    Attributes
    ----------
    leaves : bool or None
        Whether f is given the state as leaves, which require a gradient or not; None: as it is.
    checked : callable or None
        Takes the moment of an evaluation, the state that f was given and its value; returns it.
    """

    def __init__(
        self,
        f: Field,
        roles: tuple[str, ...],
        order: int,
        eps: float,
        x: Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tally: Tally,
    ) -> None:
        self.f = f
        self.roles = roles
        self.order = order
        self.eps = eps
        self.dtype, self.device = x.dtype, x.device
        self.extras = FieldExtras(args, kwargs)
        self.tensors: Sequence[Tensor] = self.extras.tensors
        self.plain = not args and not kwargs
        self.tally = tally
        self.autocast = Autocast.current(x.device)
        seen = modules_of(f)
        self.modules = list(dict.fromkeys(part for module in seen for part in module.modules()))
        self.steady = Steady(self.modules, x.device)
        self.last: Tensor | None = None
        self.state: Parts = ()
        self.leaves: bool | None = None
        self.checked: Callable[[Moment, Parts, Tensor], Tensor] | None = None

    def __call__(self, t: Tensor | float, state: Parts) -> Parts:
        """The derivative of ``state`` at time ``t``."""
        self.state = state
        force = self.evaluate(t, *state)
        if self.order == 1:
            return (force,)
        velocity = state[1]
        return velocity, force if self.eps == math.inf else (force - velocity) / self.eps

    def force(self, t: float, state: Parts) -> Parts:
        """The value of f alone."""
        return (self.evaluate(t, *state),)

    def evaluate(self, t: Tensor | float, x: Tensor, v: Tensor | None = None) -> Tensor:
        """The value of f, checked and counted, in the dtype of ``x``."""
        self.tally.count()
        carrier = x.dtype
        if carrier is not self.dtype:
            x, v = x.to(self.dtype), None if v is None else v.to(self.dtype)
        moment = t, x, v
        value, state = self._value(self.steady.evaluate, moment)
        self.last = value.detach()
        if self.checked is not None:
            value = self.checked(moment, state, value)
        return value if carrier is self.dtype else value.to(carrier)

    def repeat(self, moment: Moment) -> tuple[Tensor, Parts]:
        """The value of an evaluation made once more, which counts for nothing, and its state."""
        return self._value(self.steady.repeat, moment)

    def _value(self, evaluate: Callable[..., Any], moment: Moment) -> tuple[Tensor, Parts]:
        t, x, v = moment
        if self.leaves is not None:
            x = x.detach().requires_grad_(self.leaves)
            v = None if v is None else v.detach().requires_grad_(self.leaves)
        given = [x] if self.roles == ("x",) else self._given(t, x, v)
        version = version_of(x)
        with random_numbers_refused("f"):
            value = evaluate(self._called, given)
        value = like(value, x, "f", self.autocast)
        if version_of(x) != version:
            raise _moved_state()
        return value, (x,) if v is None else (x, v)

    def _given(self, t: Tensor | float, x: Tensor, v: Tensor | None) -> list[Any]:
        known = {"x": x, "v": v}
        if "t" in self.roles:
            known["t"] = _moment(t, x)
        return [known[role] for role in self.roles]

    def _called(self, given: list[Any]) -> Any:
        try:
            if self.plain:
                return self.f(*given)
            return self.extras.call(
                lambda x, *a, **k: self.f(*given, *a, **k), given[0], self.tensors
            )
        except RuntimeError as error:
            if "a leaf Variable that requires grad" in str(error) and given[-1].is_leaf:
                raise _moved_state() from error
            raise
        except TypeError as error:
            fits = self.extras.call(
                lambda x, *a, **k: takes(self.f, (*given, *a), k), given[0], self.tensors
            )
            if fits:
                raise
            asked = ", ".join(self.roles)
            raise invalid(
                "f",
                got=f"a field that cannot be called as f({asked})",
                expected="f(x), f(t, x), f(x, v) or f(t, x, v)",
                fix="Say which it is by arguments='t, x' or the names of its arguments; what else "
                "it takes is passed to the block's call: block(x, context).",
            ) from error

    @contextlib.contextmanager
    def failures_explained(self, where: str = "") -> Iterator[None]:
        """Turn the solver's assertions, and its doubts, into an `IntegrationError`."""
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message=NOT_CONVERGED)
                yield
        except UserWarning as error:
            if NOT_CONVERGED not in str(error):
                raise
            raise IntegrationError(self._not_converged(where)) from error
        except AssertionError as error:
            reason = next((r for r in SOLVER_FAILURES if r in str(error)), None)
            if reason is None:
                raise
            raise IntegrationError(self.explanation(f"{error!s}{where}")) from error
        finally:
            self.last, self.state = None, ()

    def explanation(self, reason: str) -> str:
        """Why the solver stopped, and what to do."""
        if self.last is not None and not bool(torch.isfinite(self.last).all()):
            return (
                f"f returned a non-finite value ({shown(reason)}): the state or f overflowed. "
                "Check f at the input, scale its weights down, or shorten the horizon."
            )
        if "non-finite" in reason:
            advice = "Check f and its derivative, scale its weights down, or shorten the horizon."
        elif "max_num_steps" in reason:
            advice = "Raise options['max_num_steps'], or loosen rtol and atol."
        else:
            advice = "Loosen rtol and atol, integrate in float64, or shorten the horizon."
        message = f"The solver cannot reach the horizon: {shown(reason)}. {advice}"
        if self.order == 1 or self.eps == math.inf:
            return message
        return (
            f"{message} With a small eps the equation is stiff, with time scale eps: use "
            f"method='rk4' with options={{'step_size': h}}, h at most eps/2 = {self.eps / 2:.3g}, "
            "or order=1 without eps, its limit."
        )

    def _not_converged(self, where: str) -> str:
        small = ("a smaller step_size", "")
        if self.order == 2 and self.eps < math.inf:
            small = (
                f"a step_size of at most eps/10 = {self.eps / 10:.3g}",
                f", h at most eps/2 = {self.eps / 2:.3g}",
            )
        return (
            f"An implicit step of 'implicit_adams' did not converge{where}, and what follows from "
            f"it may be of any size. Take {small[0]}, or method='rk4' with "
            f"options={{'step_size': h}}{small[1]}."
        )


def _moment(t: Tensor | float, x: Tensor) -> Tensor:
    """The time in a tensor beside x; made there, for a graph that is captured copies none."""
    if isinstance(t, Tensor):
        return t.to(x.device, x.dtype)
    return torch.full((), t, dtype=x.dtype, device=x.device)


def _moved_state() -> InvalidInputError:
    return invalid(
        "f",
        got="a field that changes the state in place",
        expected="a field that leaves x as it is, for the solver needs it",
        fix="Make its first operation out of place, for example ReLU(inplace=False).",
    )


def like(value: Any, x: Tensor, name: str, autocast: Autocast) -> Tensor:
    """``value``, which ``name`` returned for the state ``x``, if it is of the same kind."""
    got = type(value).__name__
    if isinstance(value, Tensor):
        if autocast.enabled and value.is_floating_point():
            value = value.to(x.dtype)
        if value.dtype is x.dtype and value.shape == x.shape and value.device == x.device:
            return value
        got = f"shape {tuple(value.shape)}, {value.dtype}, on {value.device}"
    raise invalid(
        f"{name}(x)",
        got=got,
        expected=f"a tensor of shape {tuple(x.shape)}, {x.dtype}, on {x.device}, as the state",
    )
