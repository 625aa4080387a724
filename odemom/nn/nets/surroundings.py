"""Where a reversible pass cannot run: under tracers and transforms that call it once for ever.

They see the operations of one call; a reversible pass is two calls, exact integers and a check of
each layer's numbers between them. Each is refused in a sentence; the plain network runs there.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.fx
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from odemom.checks import invalid
from odemom.errors import InvalidInputError
from odemom.nn.recompute.refusals import in_transform
from odemom.nn.reversible import shapes

__all__ = [
    "check_function_is_whole", "check_functions_are_whole", "check_is_no_replica",
    "check_surroundings", "is_exporting", "refused",
]  # fmt: skip

WAY_OUT = (
    "Use the same network with reversible=False (net.reversible = False), or the original of a "
    "twin, transform.restore(model)."
)

FAKES = {"FakeTensor", "FunctionalTensor", "FakeTensorMode", "ProxyTorchDispatchMode"}
"""Tensors without values, and the modes that make them."""

SHARDED = ("FSDPModule", "FullyShardedDataParallel")
"""Classes that put a function's parameters together for one call of it."""


def refused(what: str, fix: str = WAY_OUT) -> InvalidInputError:
    """The error for a reversible network under ``what``."""
    expected = "an ordinary call, whose backward pass may call each function again"
    return invalid("reversible network", got=f"a call under {what}", expected=expected, fix=fix)


def is_exporting() -> bool:
    """Whether torch.export traces the call; PyTorch before 2.7 does not say."""
    found = getattr(torch.compiler, "is_exporting", None)
    return found is not None and found()


def check_surroundings(x: Tensor, net: nn.Module, way_out: str = WAY_OUT) -> None:
    """Raise if the call is traced or transformed.

    Raises
    ------
    InvalidInputError
        Under torch.fx, torch.jit.trace, make_fx, the transforms of torch.func, forward-mode
        differentiation, and on the meta device.
    """
    if isinstance(x, torch.fx.Proxy):
        raise refused("torch.fx, which traces it", way_out)
    if torch._C._get_tracing_state() is not None:
        raise refused("torch.jit.trace", way_out)
    if in_transform():
        raise refused("a transform of torch.func (grad, vmap, jvp, ...)", way_out)
    if not isinstance(x, Tensor):
        return
    if not shapes.are_alone() and (x.is_meta or _is_fake(x)):
        raise refused(
            "a tracer that knows shapes but no values (meta or fake tensors, make_fx)",
            fix=f"For memory, odemom.nn.memory_report(net, x). {way_out}",
        )
    if forward_ad._current_level >= 0:
        for tensor in (x, *net.parameters()):
            if forward_ad.unpack_dual(tensor).tangent is not None:
                raise refused("forward-mode differentiation", way_out)


def _is_fake(x: Tensor) -> bool:
    modes = _get_current_dispatch_mode_stack()
    kinds = {kind.__name__ for value in (x, *modes) for kind in type(value).__mro__}
    return not kinds.isdisjoint(FAKES)


def check_is_no_replica(net: nn.Module) -> None:
    """Raise if a module is a copy that `torch.nn.DataParallel` made for one call.

    Raises
    ------
    InvalidInputError
    """
    if vars(net).get("_is_replica", False):
        raise refused(
            "torch.nn.DataParallel, whose copies of a module have no parameters of their own",
            "Use DistributedDataParallel, or build the network with reversible=False.",
        )


def check_functions_are_whole(functions: Iterable[nn.Module]) -> None:
    """Raise unless every function holds its parameters before and after its calls.

    Raises
    ------
    InvalidInputError
        If one is not initialised yet (lazy modules), sharded by itself (FSDP), or scripted.
    """
    for n, function in enumerate(functions):
        check_function_is_whole(function, f"functions[{n}] ({type(function).__name__})")


def check_function_is_whole(function: nn.Module, name: str) -> None:
    """`check_functions_are_whole` for one that is called ``name``."""
    if any(is_lazy(p) for p in (*function.parameters(), *function.buffers())):
        raise invalid(
            name,
            got="a lazy module that has no parameters yet",
            expected="modules with their parameters",
            fix="Call the network once under torch.no_grad(), which initialises them.",
        )
    if any(isinstance(part, torch.jit.ScriptModule) for part in function.modules()):
        raise invalid(
            name,
            got="a module of torch.jit.script or torch.jit.trace, in which no other parameters and "
            "buffers can be put for a second call",
            expected="modules of Python",
            fix="Pass the module before it is scripted, or build the network with "
            "reversible=False.",
        )
    if any(_parameters_come_and_go(part) for part in function.modules()):
        raise invalid(
            name,
            got="a module whose parameters come and go with its call (sharded by itself, or by "
            "FullyShardedDataParallel)",
            expected="parameters that stay for the whole backward pass",
            fix="Shard the network as a whole by torch.distributed.fsdp.fully_shard(net), not its "
            "layers: a twin of sharded blocks has no momentum with reversible=False either.",
        )


def _parameters_come_and_go(part: nn.Module) -> bool:
    if any(kind.__name__ in SHARDED for kind in type(part).__mro__):
        return True
    # FullyShardedDataParallel around the network puts views of its own in place of parameters.
    held = vars(part)
    return "_is_fsdp_managed_module" in held and any(isinstance(v, Tensor) for v in held.values())
