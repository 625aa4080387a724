"""The right-hand side of an `ODEBlock`, as torchdiffeq calls it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from odemom.checks import expect, invalid, shown
from odemom.errors import IntegrationError

__all__ = ["Field", "Tally", "VectorField", "WatchedField", "autocast_of", "like"]

SOLVER_FAILURES = ("underflow in dt", "non-finite values in state", "max_num_steps exceeded")

Field = Callable[[Tensor], Tensor]


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
    """The right-hand side that torchdiffeq sees, of one call of a block."""

    def __init__(
        self,
        f: Field,
        order: int,
        eps: float,
        tally: Tally,
        autocast: tuple[str, torch.dtype] | None,
    ) -> None:
        self.f = f
        self.order = order
        self.eps = eps
        self.tally = tally
        self.autocast = autocast
        self.last: Tensor | None = None

    def __call__(self, t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The derivative of ``state``: (x,) for order 1, (x, v) for order 2."""
        del t
        force = self.evaluate(state[0])
        if self.order == 1:
            return (force,)
        velocity = state[1]
        return velocity, force if self.eps == math.inf else (force - velocity) / self.eps

    def evaluate(self, x: Tensor) -> Tensor:
        """The value of f, checked and counted."""
        self.tally.count()
        if self.autocast is None:
            value = like(self.f(x), x, "f", None)
        else:
            # The adjoint pass runs outside the caller's autocast region; f must not notice.
            with torch.autocast(self.autocast[0], dtype=self.autocast[1]):
                value = like(self.f(x), x, "f", self.autocast)
        self.last = value.detach()
        return value

    @contextlib.contextmanager
    def failures_explained(self) -> Iterator[None]:
        """Turn the solver's assertions into an `IntegrationError`."""
        try:
            yield
        except AssertionError as error:
            if not any(reason in str(error) for reason in SOLVER_FAILURES):
                raise
            raise IntegrationError(self._explanation(str(error))) from error
        finally:
            self.last = None

    def _explanation(self, reason: str) -> str:
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
        return (
            f"The solver cannot reach the horizon: {shown(reason)}. {advice} "
            "With a small eps the equation is stiff, with time scale eps: use "
            "method='implicit_adams' or 'rk4' with options={'step_size': h}, h below eps, "
            "or order=1, its limit."
        )


class WatchedField(VectorField):
    """The same for the adjoint method, whose backward pass runs where nothing can catch an error.

    torchdiffeq looks the callback up by its name; its "scipy_solver" warns of any.
    """

    def callback_step_adjoint(self, t: Tensor, state: tuple[Tensor, ...], dt: Tensor) -> None:
        """Refuse what the solver would only assert: a step lost in rounding, a state not finite."""
        if not bool(t - dt < t):
            raise IntegrationError(self._explanation("underflow in dt, in the adjoint pass"))
        if not all(bool(torch.isfinite(part).all()) for part in state):
            reason = "non-finite values in state, in the adjoint pass"
            raise IntegrationError(self._explanation(reason))


def autocast_of(x: Tensor) -> tuple[str, torch.dtype] | None:
    """The device type and dtype of the autocast in force where ``x`` lives, if there is one."""
    kind = x.device.type
    return (kind, torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else None


def like(value: Any, x: Tensor, name: str, autocast: object) -> Tensor:
    """``value``, which ``name`` returned for the state ``x``, if it is of the same kind."""
    expected = f"a tensor of shape {tuple(x.shape)}, {x.dtype}, on {x.device}, as the state"
    if not isinstance(value, Tensor):
        raise invalid(f"{name}(x)", got=f"{type(value).__name__}", expected=expected)
    if autocast is not None and value.is_floating_point():
        value = value.to(x.dtype)
    expect(
        value.shape == x.shape and value.dtype == x.dtype and value.device == x.device,
        f"{name}(x)",
        got=f"shape {tuple(value.shape)}, {value.dtype}, on {value.device}",
        expected=expected,
    )
    return value
