"""A momentum layer in floats and its gradients in C, in one pass over memory each.

The bits are those of the operations in `step`, which takes them where there is no compiler, or
where tensors do not lie alike in memory.
"""

from __future__ import annotations

import torch
from torch import Tensor

from odemom.nn.reversible.native import alike, available, entry

__all__ = ["moved", "moved_back"]

HALF, SINGLE = torch.bfloat16, torch.float32


def moved(
    value: Tensor, x: Tensor, position: Tensor | None, v: Tensor | None, gamma: float, rest: float
) -> tuple[Tensor, Tensor] | None:
    """The layer v <- gamma v + rest (value - x), x <- x + v.

    Parameters
    ----------
    value, x : Tensor of float32 or float64, any shape
        The block's value and its input; bfloat16 where there is a ``position``.
    position : Tensor of float32, or None
        The input in the carrier dtype; None where it is x itself.
    v : Tensor, or None
        The velocity in that dtype; None is 0.
    gamma, rest : float

    Returns
    -------
    position, v : Tensor, or None for both
        None where the operations have to be taken.
    """
    if position is None:
        given = (value, x) if v is None else (value, x, v)
        fits, start = alike(*given), x
    else:
        given = (value, x, position) if v is None else (value, x, position, v)
        fits, start = alike(*given, dtypes=(HALF, HALF, SINGLE, SINGLE)[: len(given)]), position
    if not (fits and available()):
        return None
    end, velocity = torch.empty_like(start), torch.empty_like(start)
    places = [t.data_ptr() for t in (value, x, *(() if position is None else (position,)))]
    entry("moved", x.dtype)(
        x.numel(), *places, 0 if v is None else v.data_ptr(), gamma, rest, end.data_ptr(),
        velocity.data_ptr(),
    )  # fmt: skip
    return end, velocity


def moved_back(
    gx: Tensor | None, gv: Tensor | None, gamma: float, rest: float, *, narrow: bool, to_v: bool
) -> tuple[Tensor, Tensor, Tensor | None] | None:
    """The gradients of `moved` for the value, x and, where ``to_v``, v; None as there.

    Parameters
    ----------
    gx, gv : Tensor or None, not both None
        Those of the position and the velocity after the layer.
    gamma, rest : float
    narrow : bool
        Whether value and x are bfloat16. The gradient of the position, which is ``gx``, is then not
        part of that of x.
    to_v : bool

    Returns
    -------
    to_value, to_x : Tensor of the dtype of value and x
    to_v : Tensor of the dtype of v, or None
    """
    given = [g for g in (gx, gv) if g is not None]
    fits = alike(*given, dtypes=(SINGLE,) * len(given) if narrow else ())
    if not (fits and (narrow or len(given) == 2) and available()):
        return None
    dtype = HALF if narrow else given[0].dtype
    to_value, to_x = (torch.empty_like(given[0], dtype=dtype) for _ in range(2))
    velocity = torch.empty_like(given[0]) if to_v else None
    entry("moved_back", dtype)(
        given[0].numel(), 0 if gx is None else gx.data_ptr(), 0 if gv is None else gv.data_ptr(),
        gamma, rest, to_value.data_ptr(), to_x.data_ptr(),
        0 if velocity is None else velocity.data_ptr(),
    )  # fmt: skip
    return to_value, to_x, velocity
