"""The Momentum ResNet, plain or exactly reversible."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
import torch.fx
from torch import Tensor, nn

from odemom.checks import expect, invalid, shown
from odemom.nn.nets.layered import Carry, check_dense_input, widened
from odemom.nn.nets.reversible_net import ReversibleNet
from odemom.nn.recompute.calls import Extras
from odemom.nn.recompute.trajectory import Trajectory
from odemom.nn.reversible.gamma import rational_gamma
from odemom.nn.reversible.momentum import MomentumState

if TYPE_CHECKING:
    from odemom.nn.nets.memory import MemoryReport

__all__ = ["FinalState", "MomentumNet"]


class FinalState:
    """The end of an exact pass: all that `MomentumNet.inverse` needs.

    Attributes
    ----------
    x, v : Tensor
        The last position and velocity as floats.
    nbytes : int
        Bytes of the state and its buffer.
    """

    def __init__(
        self, run: Trajectory, state: MomentumState, remainders: tuple[Tensor, Tensor | None]
    ) -> None:
        self._run = run
        self._remainders = remainders
        self.x, self.v = state.shown().to(run.dtype), state.companion().to(run.dtype)
        self.nbytes = state.nbytes


class MomentumNet(ReversibleNet[MomentumState]):
    r"""Momentum ResNet: v <- gamma v + (1 - gamma) f_n(x), x <- x + v.

    With ``reversible=True`` a training step keeps no activations: the backward pass moves the state
    back layer by layer, bit for bit, and recomputes each function on the input it had
    (`odemom.nn.reversible`). Memory is that of one layer plus 24 bytes per element of x, 40 in
    float64, and 4 bytes more per 32 bits that gamma forgets, log2(1/gamma) bits per layer.

    Parameters
    ----------
    functions : iterable of Module
        f_0, f_1, ..., each from x, and the extra arguments of the call, to a tensor of x's shape
        and dtype. The same module may stand at several places. A function may draw random numbers
        from PyTorch's generators, move its buffers, set attributes, and put tensors into lists,
        dicts and objects among its arguments; its forward hooks run twice.
    gamma : float, int, Fraction or str
        In (0, 1]; 0 too with ``reversible=False``, an ordinary ResNet. The network uses a nearby
        fraction, reversible or not (`odemom.nn.reversible.rational_gamma`): see ``rational_gamma``.
    reversible : bool
        Whether to recompute or to remember.
    initial_velocity : Module or None
        Maps x_0 to v_0; None is zero.
    resolution : int or None
        Binary places of the fixed point; None chooses by dtype and size of x_0, for each sample
        (slice along the first axis) on its own (`odemom.nn.reversible.fixed_point`). Fewer places
        give a wider range.

    Attributes
    ----------
    rational_gamma : Fraction
        The gamma in use.
    gamma : float
        The same as a float.

    Raises
    ------
    InvalidInputError
        If gamma is outside its interval, a function is no Module, or, in a call, changes shape or
        dtype, returns a tuple, moves x or an argument in place, or depends on a tensor that needs a
        gradient and is neither its parameter nor an argument. Reversible, under torch.jit.trace,
        torch.export, torch.fx, make_fx, the transforms of torch.func, forward-mode differentiation,
        on the meta device, and with functions that are sharded one by one or not initialised.
    FixedPointRangeError
        If an activation leaves the range, or a sample of x_0 would be kept to fewer digits than
        its floats have (in the call).
    ReversibilityError
        If a function does not recompute the bits of its forward pass, or depends on other tensors
        than there (in the backward pass); what was changed in between is named.
    DoubleBackwardError
        If a second derivative is asked for.

    Notes
    -----
    Gradients are those of the float network with the same gamma up to that one's rounding: neither
    is nearer to exact arithmetic.
    `create_graph=True` is refused; `retain_graph=True` works, and every further backward pass
    costs one more forward pass.

    A tensor that leaves a function (a loss in a list, a cache, an attribute) has its gradient as in
    the plain network, and keeps as much memory as there; with transformers, ``use_cache=False``
    saves that.

    `compile` compiles each function by itself; `torch.compile` leaves a reversible network to run
    uncompiled between compiled parts. With ``reversible=False`` the network is compiled, traced by
    torch.fx, exported and transformed by torch.func whole.

    References
    ----------
    Sander, Ablin, Blondel, Peyré, *Momentum residual neural networks*, ICML 2021, eq. (4).

    Examples
    --------
    >>> import torch
    >>> from odemom.nn import MomentumNet
    >>> _ = torch.manual_seed(0)
    >>> functions = [torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh())] * 500
    >>> net = MomentumNet(functions, gamma=0.9)
    >>> net.rational_gamma
    Fraction(9, 10)
    >>> x = torch.randn(2, 4)
    >>> x_0, v_0 = net.inverse(net.final_state(x))
    >>> torch.equal(x_0, x)
    True
    """

    def __init__(
        self,
        functions: Iterable[nn.Module],
        gamma: float | Fraction | str = 0.9,
        *,
        reversible: bool = True,
        initial_velocity: nn.Module | None = None,
        resolution: int | None = None,
    ) -> None:
        super().__init__(functions, reversible=reversible, resolution=resolution)
        expect(
            initial_velocity is None or isinstance(initial_velocity, nn.Module),
            "initial_velocity",
            got=shown(initial_velocity),
            expected="None or a torch.nn.Module that maps x_0 to v_0",
        )
        self.rational_gamma = rational_gamma(gamma, reversible=reversible)
        self.initial_velocity = initial_velocity

    @property
    def rational_gamma(self) -> Fraction:
        """The gamma in use."""
        return self._rational_gamma

    @rational_gamma.setter
    def rational_gamma(self, gamma: Fraction) -> None:
        # As floats too, since older compilers cannot round a fraction.
        self._rational_gamma, self._gamma, self._rest = gamma, float(gamma), float(1 - gamma)

    @property
    def gamma(self) -> float:
        """The gamma in use, as a float."""
        return self._gamma

    def extra_repr(self) -> str:
        """The options, for repr."""
        return f"gamma={self.rational_gamma}, reversible={self.reversible}"

    def begin(self, x: Tensor) -> Carry:
        """x_0 and v_0, if there is one, in the carrier dtype."""
        wide, v = widened(x), self._first_velocity(x)
        return (wide,) if v is None else (wide, v.to(wide.dtype))

    def layer(self, n: int, carry: Carry, dtype: torch.dtype, extras: Extras) -> Carry:
        """One momentum step."""
        x, *velocity = carry
        v = self._rest * self.value(n, x.to(dtype), extras).to(x.dtype)
        if velocity:
            v = self._gamma * velocity[0] + v
        return x + v, v

    def exact(self, carry: Carry, *, keep: bool) -> MomentumState:
        """Position and velocity in fixed point, with the buffer of gamma."""
        x, v = carry if len(carry) == 2 else (*carry, None)
        return MomentumState(x, v, self.rational_gamma, resolution=self.resolution, keep=keep)

    def end(self, carry: Carry, dtype: torch.dtype) -> Tensor:
        """The last x."""
        return carry[0].to(dtype)

    def _first_velocity(self, x: Tensor) -> Tensor | None:
        if self.initial_velocity is None:
            return None
        v = self.initial_velocity(x)
        if isinstance(x, torch.fx.Proxy):
            return v
        if not isinstance(v, Tensor) or v.shape != x.shape:
            got = tuple(v.shape) if isinstance(v, Tensor) else type(v).__name__
            raise invalid(
                "initial_velocity",
                got=f"a value of {shown(got)}",
                expected=f"a tensor of the shape {tuple(x.shape)} of x_0",
            )
        return v

    # --- exact inverses ----------------------------------------------------------------------

    @torch.no_grad()
    def final_state(self, x: Tensor, *args: Any, **kwargs: Any) -> FinalState:
        """Run the network and keep its end exactly, for `inverse`.

        Parameters
        ----------
        x : Tensor, any shape
        *args, **kwargs
            As in the call.

        Returns
        -------
        FinalState
        """
        check_dense_input(x)
        self._require_reversible("final_state")
        carry = self.begin(x)
        run, state = self._run(carry, Extras(args, kwargs), x.dtype, record=True)
        # What the fixed point rounded off x_0 and v_0; floats hold these differences exactly.
        x_rest = carry[0] - state.shown()
        v_rest = carry[1] - state.companion() if len(carry) == 2 else None
        run.advance_to_the_end()
        run.settle()
        return FinalState(run, state, (x_rest, v_rest))

    @torch.no_grad()
    def inverse(self, final: FinalState) -> tuple[Tensor, Tensor]:
        """The input and the initial velocity from which `final_state` came, bit for bit.

        Parameters
        ----------
        final : FinalState
            It can be inverted again.

        Returns
        -------
        x_0, v_0 : Tensor, shape and dtype of the input

        Raises
        ------
        ReversibilityError
            If a function does not recompute the bits of its forward pass.
        """
        if not isinstance(final, FinalState):
            raise invalid(
                "final",
                got=f"an object of type {type(final).__name__}",
                expected="what final_state(x) returned",
                fix="A rounded output does not determine the input; its exact state does.",
            )
        self._require_reversible("inverse")
        run = final._run.fork()
        while run.position:
            run.retreat()
        state, (x_rest, v_rest) = run.require_state(), final._remainders
        v = state.companion() if v_rest is None else state.companion() + v_rest
        return (state.shown() + x_rest).to(run.dtype), v.to(run.dtype)

    def _require_reversible(self, name: str) -> None:
        expect(
            self.reversible,
            name,
            got="a network with reversible=False",
            expected="a reversible network",
        )

    def memory_report(self, x: Tensor, *args: Any, **kwargs: Any) -> MemoryReport:
        """What a training step on ``x`` will hold (`odemom.nn.nets.memory.memory_report`)."""
        from odemom.nn.nets.memory import memory_report

        return memory_report(self, x, *args, **kwargs)
