"""A layer whose output is the state of a first- or second-order ODE at its horizon."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from odemom.checks import as_eps, as_horizon, invalid, optional_import
from odemom.errors import IntegrationError
from odemom.nn.ode.checks import (
    ADAPTIVE_METHODS,
    FIXED_STEP_METHODS,
    as_double,
    as_options,
    as_times,
    as_tolerance,
    check_model,
    check_precision,
    check_state,
)
from odemom.nn.ode.vector_field import Field, Tally, VectorField, WatchedField, autocast_of, like

torchdiffeq = optional_import("torchdiffeq", "torch")

__all__ = ["ODEBlock"]


class ODEBlock(nn.Module):
    """The map x0 -> x(T) of an ODE with a learnt right-hand side.

    ::

        order 1:  x' = f(x),              x(0) = x0
        order 2:  eps x'' + x' = f(x),    x(0) = x0,  x'(0) = v0
                  x'' = f(x)              at eps = inf

    The second-order equation is integrated as x' = v, v' = (f(x) - v)/eps. An adaptive method keeps
    the larger one of the root mean squares of the two scaled error estimates, of x and of v, below
    one.

    Parameters
    ----------
    f : nn.Module or callable
        Maps a tensor to one of the same shape and dtype. It does not depend on time.
    order : {2, 1}, default 2
        The order of the equation.
    eps : number, default 1.0
        The mass, in (0, inf]; first-order blocks do not use it.
    initial_velocity : {"zero", "field"} or nn.Module, default "zero"
        v0 = 0, v0 = f(x0), or v0 = module(x0). Only for order 2; ``"field"`` has no limit at
        ``eps = inf``.
    horizon : number, default 1.0
        The final time T in (0, inf).
    method : str, default "dopri5"
        A solver of torchdiffeq: adaptive (``"dopri5"``, ``"dopri8"``, ``"bosh3"``, ``"fehlberg2"``,
        ``"adaptive_heun"``, ``"scipy_solver"``) or of fixed step (``"euler"``, ``"midpoint"``,
        ``"heun3"``, ``"rk4"``, ``"implicit_adams"``), which needs ``options={"step_size": h}``.
    rtol, atol : float, default 1e-5 and 1e-6
        Relative and absolute tolerance, > 0. ``rtol`` cannot be below the spacing of the dtype.
    adjoint : bool, default False
        Whether gradients come from the adjoint equation, integrated backwards in time: memory then
        does not grow with the number of steps, and gradients are as accurate as the tolerance.
        ``f`` must be an `nn.Module` then, which says what its parameters are.
    options : mapping, optional
        Passed on to torchdiffeq: ``step_size``, ``first_step``, ``max_num_steps``, ...

    Attributes
    ----------
    nfe : int
        Evaluations of ``f`` in the last forward call (``initial_velocity="field"`` takes one).
    nfe_backward : int
        Evaluations of ``f`` in the backward passes since that call; 0 unless ``adjoint``.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain. On calling: if the input is not a non-empty, finite
        tensor of floats, if ``f`` or the module changes its shape, dtype or device, or if the
        tolerance or the method does not fit the dtype (half precision: fixed steps for float16;
        bfloat16 also takes adaptive methods with ``rtol >= 0.0078``).
    IntegrationError
        If the solver cannot reach the horizon, in the forward or in the adjoint pass.

    References
    ----------
    Sander, Ablin, Blondel, Peyré, *Momentum Residual Neural Networks*, ICML 2021, section 3; Chen
    et al., *Neural Ordinary Differential Equations*, NeurIPS 2018 (the adjoint method).

    Examples
    --------
    With f(x) = 2 x and eps = 1 the map is multiplication by psi(2) = (2 e + e^{-2})/3:

    >>> block = ODEBlock(lambda x: 2 * x, rtol=1e-9, atol=1e-9)
    >>> x0 = torch.ones(2, 3, dtype=torch.float64)
    >>> psi = (2 * math.e + math.exp(-2)) / 3
    >>> torch.allclose(block(x0), psi * x0, rtol=1e-7)
    True
    >>> block.nfe > 0, block.nfe_backward
    (True, 0)
    """

    def __init__(
        self,
        f: Field,
        order: Literal[1, 2] = 2,
        eps: Any = 1.0,
        *,
        initial_velocity: Literal["zero", "field"] | nn.Module = "zero",
        horizon: Any = 1.0,
        method: str = "dopri5",
        rtol: float = 1e-5,
        atol: float = 1e-6,
        adjoint: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_model(f, order, initial_velocity, adjoint)
        self.f = f
        self.order = order
        self.eps = as_double(as_eps(eps), "eps", positive=order == 2)
        self.initial_velocity = initial_velocity
        self.horizon = as_double(as_horizon(horizon), "horizon", positive=True)
        self.method = method
        self.rtol = as_tolerance(rtol, "rtol")
        self.atol = as_tolerance(atol, "atol")
        self.adjoint = adjoint
        self.options = as_options(method, options, adjoint)
        self._tally = Tally()
        if order == 2 and self.eps == math.inf and initial_velocity == "field":
            raise invalid(
                "initial_velocity",
                got='"field" at eps = inf',
                expected='"zero" or a module there',
                fix="psi with x'(0) = f(x0) has no limit as eps grows; take a finite eps.",
            )

    @property
    def nfe(self) -> int:
        """Evaluations of ``f`` in the last forward call."""
        return self._tally.forward

    @property
    def nfe_backward(self) -> int:
        """Evaluations of ``f`` in the adjoint passes since the last forward call."""
        return self._tally.backward

    def forward(self, x: Tensor) -> Tensor:
        """The state x(T) that starts from ``x``.

        Parameters
        ----------
        x : Tensor, any shape, floating point
            The state x(0).

        Returns
        -------
        Tensor, shape, dtype and device of ``x``
        """
        return self._states(x, [0.0, self.horizon])[0][-1]

    @overload
    def trajectory(
        self, x: Tensor, times: Any, *, return_velocity: Literal[False] = False
    ) -> Tensor: ...
    @overload
    def trajectory(
        self, x: Tensor, times: Any, *, return_velocity: Literal[True]
    ) -> tuple[Tensor, Tensor]: ...
    def trajectory(
        self, x: Tensor, times: Any, *, return_velocity: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The states at the given times.

        Between its steps the solver interpolates, with a polynomial of degree 3 or 4.

        Parameters
        ----------
        x : Tensor, any shape, floating point
            The state x(0).
        times : sequence of float, or 1-d Tensor or array
            Strictly increasing times in [0, horizon].
        return_velocity : bool, default False
            Whether to return the velocities, too (order 2 only).

        Returns
        -------
        states : Tensor, shape (len(times), *x.shape)
        velocities : Tensor of that shape
            With ``return_velocity`` only.

        Examples
        --------
        >>> block = ODEBlock(lambda x: -x, eps="inf", horizon=2, rtol=1e-8)
        >>> x, v = block.trajectory(torch.ones(1, dtype=torch.float64), [0, 1, 2],
        ...                         return_velocity=True)
        >>> torch.allclose(x[:, 0], torch.tensor([0.0, 1.0, 2.0], dtype=x.dtype).cos(), atol=1e-6)
        True
        """
        if return_velocity and self.order == 1:
            raise invalid(
                "return_velocity",
                got="True for a first-order block",
                expected="False",
                fix="The velocity of a first-order ODE is f(x).",
            )
        grid = as_times(times, self.horizon)
        starts_later = grid[0] > 0
        states = self._states(x, [0.0, *grid] if starts_later else grid)
        states = tuple(state[1:] if starts_later else state for state in states)
        return (states[0], states[1]) if return_velocity else states[0]

    def _states(self, x: Tensor, times: list[float]) -> tuple[Tensor, ...]:
        """The states (and velocities, for order 2) at ``times``, of which the first one is 0."""
        check_state(x)
        check_precision(x.dtype, self.method, self.rtol)
        self._tally = tally = Tally()
        watched = self.adjoint and self.method != "scipy_solver"
        kind = WatchedField if watched else VectorField
        field = kind(self.f, self.order, self.eps, tally, autocast_of(x))
        start = (x,) if self.order == 1 else (x, self._velocity(field, x))
        grid = torch.tensor(times, dtype=_time_dtype(x), device=x.device)
        solution = tuple(s[None] for s in start)
        if len(times) > 1:
            with field.failures_explained():
                solution = self._integrate(field, start, grid)
        tally.returned = True
        if not all(bool(torch.isfinite(s).all()) for s in solution):
            raise IntegrationError(
                f"The state left the range of {x.dtype} before the horizon {self.horizon:g}. "
                "Take a smaller step or horizon, or a field f that grows less."
            )
        return solution

    def _integrate(
        self, field: VectorField, start: tuple[Tensor, ...], grid: Tensor
    ) -> tuple[Tensor, ...]:
        arguments: dict[str, Any] = {
            "rtol": self.rtol,
            "atol": self.atol,
            "method": self.method,
            "options": self._options_for(grid),
        }
        if not self.adjoint:
            return torchdiffeq.odeint(field, start, grid, **arguments)
        parameters = tuple(self.f.parameters()) if isinstance(self.f, nn.Module) else ()
        return torchdiffeq.odeint_adjoint(
            field, start, grid, adjoint_params=parameters, **arguments
        )

    def _options_for(self, grid: Tensor) -> dict[str, Any]:
        options = dict(self.options)
        if self.method in FIXED_STEP_METHODS and len(grid) > 2:
            # Its linear default would be of lower order than the methods.
            options.setdefault("interp", "cubic")
        if self.method in ADAPTIVE_METHODS and grid.dtype != torch.float64:
            options.setdefault("dtype", grid.dtype)
        return options

    def _velocity(self, field: VectorField, x: Tensor) -> Tensor:
        if isinstance(self.initial_velocity, nn.Module):
            return like(self.initial_velocity(x), x, "initial_velocity", field.autocast)
        return field.evaluate(x) if self.initial_velocity == "field" else torch.zeros_like(x)

    def extra_repr(self) -> str:
        """The parameters other than modules, for ``print``."""
        words = [f"order={self.order}"]
        if self.order == 2:
            words.append(f"eps={self.eps:g}")
            if isinstance(self.initial_velocity, str):
                words.append(f"initial_velocity={self.initial_velocity!r}")
        words.append(f"horizon={self.horizon:g}, method={self.method!r}")
        words.append(f"rtol={self.rtol:g}, atol={self.atol:g}, adjoint={self.adjoint}")
        if self.options:
            words.append(f"options={self.options}")
        return ", ".join(words)


def _time_dtype(x: Tensor) -> torch.dtype:
    # Apple's devices have no float64.
    return torch.float32 if x.device.type == "mps" else torch.float64
