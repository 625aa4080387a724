"""A layer whose output is the state of a first- or second-order ODE at its horizon."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from odemom.checks import invalid
from odemom.errors import IntegrationError
from odemom.nn.ode.arguments import roles_of
from odemom.nn.ode.checks import (
    LEAPFROG,
    REVERSIBLE_METHODS,
    as_constant_span,
    as_gradient,
    as_mass,
    as_method,
    as_span,
    as_times,
    as_tolerance,
    check_model,
    check_precision,
    check_state,
    refuse_transforms,
)
from odemom.nn.ode.options import as_options
from odemom.nn.ode.solve import Problem, by_torchdiffeq, moved_with, reversibly
from odemom.nn.ode.vector_field import Field, Tally, VectorField, like
from odemom.nn.recompute.second_call import Autocast
from odemom.nn.reversible.capture import holds

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
        Maps a tensor to one of the same shape and dtype. It may also take the time or, for order 2,
        the velocity: f(t, x), f(x, v), f(t, x, v), and further arguments of the block's call.
        Within a call it is one function: every evaluation draws the same random numbers (one
        dropout mask a call), and batch norms move their running statistics once.
    order : {2, 1}, default 2
        The order of the equation.
    eps : number, default 1.0
        The mass, in (0, inf]; only for order 2.
    initial_velocity : {"zero", "field"} or nn.Module, default "zero"
        v0 = 0, v0 = f(x0), or v0 = module(x0). Only for order 2; ``"field"`` has no limit at
        ``eps = inf``, and none where f depends on v.
    horizon : number, default 1.0
        The final time T in (0, inf); a call may take another.
    method : str, default "dopri5"
        A solver of torchdiffeq: adaptive (``"dopri5"``, ``"dopri8"``, ``"bosh3"``, ``"fehlberg2"``,
        ``"adaptive_heun"``, ``"scipy_solver"``) or of fixed step (``"euler"``, ``"midpoint"``,
        ``"heun3"``, ``"rk4"``, ``"implicit_adams"``), which needs ``options={"step_size": h}``. Or
        a scheme that can be run backwards: ``"leapfrog"`` (order 2; one evaluation a step) and
        ``"reversible_euler"``, ..., ``"reversible_rk4"`` (`odemom.nn.ode.schemes`), in equal steps
        of at most h.
    rtol, atol : float, default 1e-5 and 1e-6
        Relative and absolute tolerance, > 0. ``rtol`` cannot be below the spacing of the dtype.
    adjoint : bool, default False
        The same as ``gradient="adjoint"``.
    options : mapping, optional
        For the solver: ``step_size``, ``first_step``, ``max_num_steps``, ... The reversible schemes
        take ``resolution``, the binary places of their fixed point, and the coupled ones
        ``coupling``, the factor lambda in (0, 1) of a step.
    gradient : {"backprop", "adjoint", "reversible"}, optional
        Where gradients come from. By default plain autograd goes through the solver. The adjoint
        equation is integrated backwards in time: memory does not grow with the number of steps, and
        gradients are as accurate as the tolerance; ``f`` must be an `nn.Module`. ``"reversible"``
        moves the state of a reversible scheme back, bit for bit: memory does not grow either, and
        gradients are those of plain autograd through the same scheme. There ``"rk4"`` stands for
        ``"reversible_rk4"``, and so for the other Runge-Kutta methods.
    arguments : str, optional
        The first arguments of f, such as ``"t, x"``. By default their names say it: ``t`` or
        ``time``, ``v`` or ``velocity``, where f needs more than one.

    Attributes
    ----------
    nfe : int
        Evaluations of ``f`` in the last forward call (``initial_velocity="field"`` takes one).
    nfe_backward : int
        Evaluations of ``f`` in the backward passes since that call, without the two by which an
        adjoint pass compares ``f`` with that of the forward pass; 0 for plain autograd.
    adjoint : bool
        Whether ``gradient`` is ``"adjoint"``.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain. On calling: if the input is not a non-empty, finite
        tensor of floats, if ``f`` or the module changes its shape, dtype or device, or if the
        tolerance or the method does not fit the dtype (half precision: fixed steps for float16;
        bfloat16 also takes adaptive methods with ``rtol >= 0.0078``). Without plain autograd: if
        ``f`` depends on a tensor that requires a gradient and is neither its parameter nor an
        argument.
    IntegrationError
        If the solver cannot reach the horizon, in the forward or in the adjoint pass.
    FixedPointRangeError
        If the state of a reversible pass leaves the range of the fixed point.
    ReversibilityError
        In a backward pass other than plain autograd: if ``f`` is not the function that it was in
        the forward pass, after its attributes and modes were put back.
    DoubleBackwardError
        If a second derivative is asked of a pass other than plain autograd.

    Warns
    -----
    OdemomWarning
        If ``rtol`` is below the spacing of float32 for a state of that type.

    References
    ----------
    Sander, Ablin, Blondel, Peyré, *Momentum Residual Neural Networks*, ICML 2021, section 3; Chen
    et al., *Neural Ordinary Differential Equations*, NeurIPS 2018 (the adjoint method); McCallum
    and Foster, *Efficient, accurate and stable gradients for neural ODEs*, 2024.

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

    Gradients of a reversible scheme are those of plain autograd through it:

    >>> f, gradients = nn.Linear(3, 3, dtype=torch.float64), []
    >>> for way in ("reversible", "backprop"):
    ...     block = ODEBlock(f, method="reversible_rk4", options={"step_size": 0.1}, gradient=way)
    ...     gradients += torch.autograd.grad(block(x0).sum(), f.weight)
    >>> torch.allclose(*gradients, rtol=1e-12)
    True
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
        gradient: Literal["backprop", "adjoint", "reversible"] | None = None,
        arguments: str | None = None,
    ) -> None:
        super().__init__()
        self.gradient = as_gradient(gradient, adjoint)
        check_model(f, order, initial_velocity, self.gradient)
        self.f = f
        self.order = order
        self.eps = as_mass(eps, order)
        self.initial_velocity = initial_velocity
        self.horizon = as_constant_span(horizon)
        self.method = as_method(method, self.gradient)
        self.rtol = as_tolerance(rtol, "rtol")
        self.atol = as_tolerance(atol, "atol")
        self.options = as_options(self.method, options)
        self.arguments = roles_of(f, order, arguments)
        self._tally = Tally()
        self._check_combinations()

    def _check_combinations(self) -> None:
        if self.initial_velocity == "field" and "v" in self.arguments:
            raise invalid(
                "initial_velocity",
                got='"field" for a field that depends on the velocity',
                expected='"zero" or a module there',
                fix="v0 = f(x0, v0) is an equation for v0; solve it in a module.",
            )
        if self.order == 2 and self.eps == math.inf and self.initial_velocity == "field":
            raise invalid(
                "initial_velocity",
                got='"field" at eps = inf',
                expected='"zero" or a module there',
                fix="psi with x'(0) = f(x0) has no limit as eps grows; take a finite eps.",
            )
        if self.method == LEAPFROG and (self.order == 1 or "v" in self.arguments):
            field = "a first-order equation" if self.order == 1 else "a field f(x, v)"
            raise invalid(
                "method",
                got=f"'leapfrog' with {field}",
                expected="order=2 and a field f(x) or f(t, x)",
                fix="Take method='rk4' with gradient='reversible'.",
            )

    @property
    def adjoint(self) -> bool:
        """Whether gradients come from the adjoint equation."""
        return self.gradient == "adjoint"

    @property
    def nfe(self) -> int:
        """Evaluations of ``f`` in the last forward call."""
        return self._tally.forward

    @property
    def nfe_backward(self) -> int:
        """Evaluations of ``f`` in the backward passes since the last forward call."""
        return self._tally.backward

    @overload
    def forward(
        self, x: Tensor, *args: Any, horizon: Any = None, return_velocity: Literal[False] = False
    ) -> Tensor: ...
    @overload
    def forward(
        self, x: Tensor, *args: Any, horizon: Any = None, return_velocity: Literal[True]
    ) -> tuple[Tensor, Tensor]: ...
    def forward(
        self,
        x: Tensor,
        *args: Any,
        horizon: Any = None,
        return_velocity: bool = False,
        **kwargs: Any,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The state x(T) that starts from ``x``.

        Parameters
        ----------
        x : Tensor, any shape, floating point
            The state x(0).
        *args, **kwargs
            Passed on to f after its first arguments; tensors among them get gradients.
        horizon : number or Tensor of one entry, optional
            The final time of this call; a tensor gets the gradient dx/dT = x'(T).
        return_velocity : bool, default False
            Whether to return the velocity x'(T), too (order 2 only).

        Returns
        -------
        state : Tensor, shape, dtype and device of ``x``
        velocity : Tensor of that kind
            With ``return_velocity`` only.
        """
        end = self.horizon if horizon is None else as_span(horizon)
        moments = horizon.reshape(1) if isinstance(horizon, Tensor) else None
        call = (x, args, kwargs, return_velocity)
        states = tuple(s[-1] for s in self._states([0.0, end], moments, end, *call))
        return (states[0], states[1]) if return_velocity else states[0]

    @overload
    def trajectory(
        self, x: Tensor, times: Any, *args: Any, return_velocity: Literal[False] = False
    ) -> Tensor: ...
    @overload
    def trajectory(
        self, x: Tensor, times: Any, *args: Any, return_velocity: Literal[True]
    ) -> tuple[Tensor, Tensor]: ...
    def trajectory(
        self, x: Tensor, times: Any, *args: Any, return_velocity: bool = False, **kwargs: Any
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The states at the given times.

        Between its steps the solver interpolates, with a polynomial of degree 3 or 4; dopri8 and
        the reversible schemes end a step at every time.

        Parameters
        ----------
        x : Tensor, any shape, floating point
            The state x(0).
        times : sequence of float, or 1-d Tensor or array
            Strictly increasing times in [0, horizon]. A tensor gets gradients: the derivative of a
            state for its time is the velocity there, that of a velocity the acceleration.
        *args, **kwargs
            As in the call.
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
        grid = as_times(times, self.horizon)
        moments = times if isinstance(times, Tensor) else None
        start = [] if grid[0] == 0 else [0.0]
        call = (x, args, kwargs, return_velocity)
        states = self._states(start + grid, moments, self.horizon, *call)
        states = tuple(state[len(start) :] for state in states)
        return (states[0], states[1]) if return_velocity else states[0]

    def _states(
        self,
        times: list[float],
        moments: Tensor | None,
        horizon: float,
        x: Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        return_velocity: bool,
    ) -> tuple[Tensor, ...]:
        """The states (and velocities, for order 2) at ``times``, of which the first one is 0.

        ``moments`` are the last ones of the times as a tensor that may want a gradient.
        """
        if return_velocity and self.order == 1:
            raise invalid(
                "return_velocity",
                got="True for a first-order block",
                expected="False",
                fix="The velocity of a first-order ODE is f(x).",
            )
        check_state(x)
        check_precision(x.dtype, self.method, self.rtol)
        refuse_transforms(self.gradient)
        self._tally = tally = Tally()
        velocity = self._velocity_of_module(x)
        field = VectorField(self.f, self.arguments, self.order, self.eps, x, args, kwargs, tally)
        start = (x,)
        if self.order == 2:
            if velocity is None:
                wanted = self.initial_velocity == "field"
                velocity = field.evaluate(0.0, x) if wanted else torch.zeros_like(x)
            start = (x, velocity)
        solution = tuple(s[None] for s in start)
        if len(times) > 1:
            solution = self._solution(field, start, times, horizon, return_velocity, moments)
        if moments is not None and moments.requires_grad and torch.is_grad_enabled():
            solution = moved_with(moments, times, solution, field)
        field.steady.end_of_forward()
        tally.returned = True
        if not all(holds(torch.isfinite(s).all()) for s in solution):
            raise IntegrationError(
                f"The state left the range of {x.dtype} before the horizon {horizon:g}. "
                "Take a smaller step or horizon, or a field f that grows less."
            )
        return solution

    def _solution(
        self,
        field: VectorField,
        start: tuple[Tensor, ...],
        times: list[float],
        horizon: float,
        return_velocity: bool,
        moments: Tensor | None,
    ) -> tuple[Tensor, ...]:
        settings = (self.method, self.rtol, self.atol, self.options, self.gradient)
        problem = Problem(*settings, horizon)
        if self.method not in REVERSIBLE_METHODS:
            return by_torchdiffeq(problem, field, start, times)
        wanted = return_velocity or (moments is not None and moments.requires_grad)
        return reversibly(problem, field, start, times, last_velocity=wanted)

    def _velocity_of_module(self, x: Tensor) -> Tensor | None:
        if not isinstance(self.initial_velocity, nn.Module):
            return None
        name = "initial_velocity"
        return like(self.initial_velocity(x), x, name, Autocast.current(x.device))

    def extra_repr(self) -> str:
        """The parameters other than modules, for ``print``."""
        words = [f"order={self.order}"]
        if self.order == 2:
            words.append(f"eps={self.eps:g}")
            if isinstance(self.initial_velocity, str):
                words.append(f"initial_velocity={self.initial_velocity!r}")
        words.append(f"horizon={self.horizon:g}, method={self.method!r}")
        words.append(f"rtol={self.rtol:g}, atol={self.atol:g}, adjoint={self.adjoint}")
        if self.gradient == "reversible":
            words.append("gradient='reversible'")
        if self.options:
            words.append(f"options={self.options}")
        return ", ".join(words)
