"""psi(theta) of tensors: batched, on any device, differentiable in theta and eps."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from odemom.checks import as_eps, as_horizon, expect, invalid, nearest_double, shown
from odemom.nn.psi.evaluate import ROUNDOFF, jet
from odemom.propagator.plans import LARGEST_UNIT

__all__ = ["psi"]

LAST_ORDER = 2


def psi(theta: Tensor, eps: Any, *, switch: float | None = None, horizon: float = 1.0) -> Tensor:
    """The matrices psi(theta) for which x(1) = psi(theta) x0 when eps x'' + x' = theta x.

    x'(0) = 0, as in the Momentum ResNet.

    Parameters
    ----------
    theta : Tensor of float32 or float64, shape (..., d, d)
        On any device.
    eps : number in [0, inf], or Tensor
        The mass; a tensor of a shape that broadcasts against ``theta.shape[:-2]``. inf is the
        undamped flow x'' = theta x, as for `odemom.psi`.
    switch : float, optional
        In (0, horizon): from then on theta is 0, as in `odemom.flows.Coasting`; eps > 0 then. By
        default theta acts all the time.
    horizon : float, default 1.0
        The final time; other than 1 beside a ``switch`` only. (Otherwise psi_{eps,T}(theta) =
        psi_{eps/T}(T theta).)

    Returns
    -------
    Tensor, shape (..., d, d), dtype and device of ``theta``
        Entries that exceed the dtype are inf or nan, as torch has it; so may be all where ||theta||
        exceeds 1e30.

    Raises
    ------
    InvalidInputError
        If ``theta`` is not a stack of square matrices of float32 or float64, or ``eps`` is not a
        number in [0, inf] or does not broadcast, or a time is outside its domain; on a third
        derivative in ``eps`` (with a ``switch`` the second).

    Notes
    -----
    The evaluation is that of `odemom.psi`, with as many terms as the dtype needs. Backward keeps
    theta and eps only: the gradient in theta is the Fréchet derivative at the transpose, evaluated
    beside psi by the product rule with three products for one; the gradient in eps, where it is
    asked for, takes three more; in forward mode likewise. Derivatives are of any order in theta and
    up to order 2 in eps; at eps = 0 and inf that in eps is returned as 0. With a ``switch`` psi and
    two of its derivatives are evaluated, at five times the cost.
    Matrices of equal eps and size are evaluated together; each distinct eps is a call of its own.
    ``torch.func.vmap`` folds its axis into the batch, ``torch.compile`` keeps the operator whole.

    References
    ----------
    Sander et al., Momentum Residual Neural Networks, ICML 2021, Proposition 4; Al-Mohy and Higham,
    SIAM J. Matrix Anal. Appl. 30, 2009.

    Examples
    --------
    >>> theta = torch.tensor([[2.0]], dtype=torch.float64, requires_grad=True)
    >>> value = psi(theta, 1.0)
    >>> bool(torch.isclose(value, (2 * theta.new_tensor(1.0).exp() + theta.new_tensor(-2.0).exp())
    ...                    / 3).all())
    True
    >>> value.sum().backward()
    >>> theta.grad.shape
    torch.Size([1, 1])
    """
    _check_theta(theta)
    mass = _as_mass(eps, theta)
    batch = theta.shape[:-2]
    try:
        mass = mass.expand(batch)
    except RuntimeError:
        raise invalid(
            "eps",
            got=f"a tensor of shape {tuple(mass.shape)}",
            expected=f"a shape that broadcasts against {tuple(batch)}",
        ) from None
    flat, masses = theta.reshape(-1, *theta.shape[-2:]), mass.reshape(-1)
    tau = _as_switch(switch, horizon)
    value = psi_jet(flat, masses, 0) if tau is None else coasting(flat, masses, tau, horizon)
    return value.reshape(theta.shape)


def coasting(theta: Tensor, eps: Tensor, switch: float, horizon: float) -> Tensor:
    """Psi where theta acts until the switch, shapes (n, d, d) and (n,).

    To psi(tau) the coasting adds eps (1 - exp(-(T - tau)/eps)) d psi/d tau, and with m = eps/tau
    and psi(tau) = psi_m(tau theta), tau d psi/d tau = L(tau theta, tau theta) - m d psi_m/dm. For
    eps = inf it adds (T - tau) d psi/d tau, psi = cosh(tau sqrt theta).
    """
    undamped = eps == math.inf
    stretch = torch.where(undamped, torch.full_like(eps, switch * switch), switch)
    moved, mass = stretch[:, None, None].to(theta.dtype) * theta, eps / switch
    rest = (horizon - switch) / switch
    inside = torch.where(undamped, 1.0, mass)
    weight = torch.where(undamped, 2 * rest, -inside * torch.expm1(-rest / inside))
    speed = psi_frechet(moved, moved, mass, 0) - psi_jet(moved, mass, 1)
    return psi_jet(moved, mass, 0) + weight[:, None, None].to(theta.dtype) * speed


# The operators keep torch.compile from tracing into the choice of plans, which depends on values;
# the functions on top of them know the derivatives, also for torch.func. Compiled code expects
# contiguous results.
@torch.library.custom_op("odemom::psi_jet", mutates_args=())
def jet_operator(theta: Tensor, eps: Tensor, order: int) -> Tensor:
    """(eps d/deps)^order psi, shapes (n, d, d) and (n,)."""
    return jet(theta, None, eps, order).contiguous()


@torch.library.custom_op("odemom::psi_frechet", mutates_args=())
def frechet_operator(theta: Tensor, change: Tensor, eps: Tensor, order: int) -> Tensor:
    """The Fréchet derivative of `jet_operator` in the direction ``change``, shape (n, d, d)."""
    return jet(theta, change, eps, order).contiguous()


@jet_operator.register_fake
def _(theta: Tensor, eps: Tensor, order: int) -> Tensor:
    return torch.empty(theta.shape, dtype=theta.dtype, device=theta.device)


@frechet_operator.register_fake
def _(theta: Tensor, change: Tensor, eps: Tensor, order: int) -> Tensor:
    return torch.empty(theta.shape, dtype=theta.dtype, device=theta.device)


def in_eps(cotangent: Tensor, log_derivative: Tensor, eps: Tensor) -> Tensor:
    """The gradient in eps from the derivative in log eps; 0 at the ends of [0, inf]."""
    inside = (eps > 0) & (eps < math.inf)
    product = (cotangent * log_derivative).double().sum(dim=(-2, -1))
    return torch.where(inside, product, 0.0) / torch.where(inside, eps, 1.0)


def along_eps(rate: Tensor, log_derivative: Tensor, eps: Tensor) -> Tensor:
    """The change of a value whose derivative in log eps is given, eps changing at ``rate``."""
    inside = (eps > 0) & (eps < math.inf)
    factor = torch.where(inside, rate, 0.0) / torch.where(inside, eps, 1.0)
    return factor[..., None, None].to(log_derivative.dtype) * log_derivative


def beside(theta: Tensor, change: Tensor) -> Tensor:
    """[[theta, E], [0, theta]], of whose psi the derivative L(theta, E) is a block."""
    upper = torch.cat([theta, change], -1)
    return torch.cat([upper, torch.cat([torch.zeros_like(theta), theta], -1)], -2)


class PsiJet(torch.autograd.Function):
    """`jet_operator` with its derivatives: the adjoint of L(theta, .) is L(theta^T, .)."""

    @staticmethod
    def forward(theta: Tensor, eps: Tensor, order: int) -> Tensor:
        return jet_operator(theta, eps, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        """Store the arguments, and nothing of the evaluation."""
        theta, eps, ctx.order = inputs
        ctx.save_for_backward(theta, eps)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (cotangent,), (theta, eps) = cotangents, ctx.saved_tensors
        of_theta = of_eps = None
        if ctx.needs_input_grad[0]:
            of_theta = psi_frechet(theta.mT, cotangent, eps, ctx.order)
        if ctx.needs_input_grad[1]:
            of_eps = in_eps(cotangent, psi_jet(theta, eps, _next(ctx.order)), eps)
        return of_theta, of_eps, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> tuple[Tensor, int]:
        return folded(psi_jet, info, in_dims, arguments)


class PsiFrechet(torch.autograd.Function):
    """`frechet_operator`: the upper right block of psi at B = [[theta, E], [0, theta]]."""

    @staticmethod
    def forward(theta: Tensor, change: Tensor, eps: Tensor, order: int) -> Tensor:
        return frechet_operator(theta, change, eps, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], output: Tensor) -> None:
        """Store the arguments, and nothing of the evaluation."""
        theta, change, eps, ctx.order = inputs
        ctx.save_for_backward(theta, change, eps)

    @staticmethod
    def backward(
        ctx: Any, *cotangents: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (cotangent,), (theta, change, eps) = cotangents, ctx.saved_tensors
        d = theta.shape[-1]
        zero = torch.zeros_like(theta)
        seed = torch.cat([torch.cat([zero, cotangent], -1), torch.cat([zero, zero], -1)], -2)
        adjoint = psi_frechet(beside(theta, change).mT, seed, eps, ctx.order)
        of_theta = adjoint[..., :d, :d] + adjoint[..., d:, d:]
        of_eps = None
        if ctx.needs_input_grad[2]:
            slope = psi_frechet(theta, change, eps, _next(ctx.order))
            of_eps = in_eps(cotangent, slope, eps)
        return of_theta, adjoint[..., :d, d:], of_eps, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> tuple[Tensor, int]:
        return folded(psi_frechet, info, in_dims, arguments)


class ForwardPsiJet(PsiJet):
    """The same with forward mode, which torch.compile cannot trace."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        """Store the arguments for both modes."""
        PsiJet.setup_context(ctx, inputs, output)
        ctx.save_for_forward(*inputs[:2])

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (theta, eps), (along, rate, _) = ctx.saved_tensors, tangents
        total = torch.zeros_like(theta)
        if along is not None:
            total = total + psi_frechet(theta, along, eps, ctx.order)
        if rate is not None:
            total = total + along_eps(rate, psi_jet(theta, eps, _next(ctx.order)), eps)
        return total


class ForwardPsiFrechet(PsiFrechet):
    """The same with forward mode, which torch.compile cannot trace."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], output: Tensor) -> None:
        """Store the arguments for both modes."""
        PsiFrechet.setup_context(ctx, inputs, output)
        ctx.save_for_forward(*inputs[:3])

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (theta, change, eps), (along, turn, rate, _) = ctx.saved_tensors, tangents
        total, d = torch.zeros_like(theta), theta.shape[-1]
        if along is not None or turn is not None:
            zero = torch.zeros_like(theta)
            seed = beside(zero if along is None else along, zero if turn is None else turn)
            whole = psi_frechet(beside(theta, change), seed, eps, ctx.order)
            total = total + whole[..., :d, d:]
        if rate is not None:
            slope = psi_frechet(theta, change, eps, _next(ctx.order))
            total = total + along_eps(rate, slope, eps)
        return total


def psi_jet(theta: Tensor, eps: Tensor, order: int) -> Tensor:
    """(eps d/deps)^order psi, differentiable."""
    function = PsiJet if torch.compiler.is_compiling() else ForwardPsiJet
    return function.apply(theta, eps, order)  # pyright: ignore[reportReturnType]


def psi_frechet(theta: Tensor, change: Tensor, eps: Tensor, order: int) -> Tensor:
    """The Fréchet derivative of `psi_jet` in the direction ``change``, differentiable."""
    function = PsiFrechet if torch.compiler.is_compiling() else ForwardPsiFrechet
    return function.apply(theta, change, eps, order)  # pyright: ignore[reportReturnType]


def _next(order: int) -> int:
    if order == LAST_ORDER:
        raise invalid("eps", got="a third derivative in eps", expected="at most a second one")
    return order + 1


def folded(
    function: Callable[..., Tensor], info: Any, in_dims: Any, arguments: Any
) -> tuple[Tensor, int]:
    """Fold the axis that vmap adds into the stack."""
    *tensors, order = arguments
    moved = [
        tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        for tensor, dim in zip(tensors, in_dims, strict=False)
    ]
    flat = function(*(tensor.flatten(0, 1) for tensor in moved), order)
    return flat.unflatten(0, moved[0].shape[:2]), 0


def _check_theta(theta: Any) -> None:
    expected = "a tensor (..., d, d) of float32 or float64"
    if not isinstance(theta, Tensor):
        raise invalid("theta", got=type(theta).__name__, expected=expected)
    if theta.layout is not torch.strided:
        raise invalid(
            "theta",
            got=f"a tensor of layout {theta.layout}",
            expected=expected,
            fix="Convert it: theta.to_dense().",
        )
    if theta.dtype not in ROUNDOFF:
        raise invalid(
            "theta",
            got=f"a tensor of dtype {theta.dtype}",
            expected=expected,
            fix="Convert it: theta.double().",
        )
    if theta.dim() < 2 or theta.shape[-1] != theta.shape[-2] or theta.shape[-1] == 0:
        raise invalid("theta", got=f"shape {tuple(theta.shape)}", expected=expected)


def _as_switch(switch: Any, horizon: Any) -> float | None:
    if switch is None:
        expect(horizon == 1, "horizon", got=shown(horizon), expected="1 where there is no switch")
        return None
    tau, end = as_horizon(switch, "switch"), as_horizon(horizon)
    expect(tau < end, "switch", got=shown(switch), expected=f"a time in (0, {shown(horizon)})")
    return float(tau)


def _nearest_mass(eps: Fraction | float) -> float:
    """The double nearest to it; a finite mass beyond the doubles has the limit of the largest."""
    return nearest_double(eps) if eps == math.inf else min(nearest_double(eps), LARGEST_UNIT)


def _as_mass(eps: Any, theta: Tensor) -> Tensor:
    """Eps as float64, in which small masses and their logarithms keep their digits."""
    if not isinstance(eps, Tensor):
        # torch.compile traces a plain number, but not the reading of others.
        plain = type(eps) in (int, float) and (0 <= eps <= LARGEST_UNIT or eps == math.inf)
        number = float(eps) if plain else _nearest_mass(as_eps(eps))
        return torch.tensor(number, dtype=torch.float64, device=theta.device)
    if not eps.is_floating_point():
        raise invalid("eps", got=f"a tensor of dtype {eps.dtype}", expected="numbers in [0, inf]")
    return eps.to(device=theta.device, dtype=torch.float64)
