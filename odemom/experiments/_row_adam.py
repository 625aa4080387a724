"""Adam on many small nets at once: one row of parameters per net, and no row sees another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from odemom.checks import as_positive, expect, shown

__all__ = ["as_device", "check_training", "one_thread", "train_rows"]

BETAS = 0.9, 0.999
TINY = 1e-8
CLIP = 1.0  # the longest gradient, row by row


def train_rows(
    parameters: Tensor, rates: Sequence[float], steps: int, loss: Callable[[Tensor], Tensor]
) -> Tensor:
    """Adam with a cosine schedule; each row's gradient is clipped to norm 1 on its own.

    Parameters
    ----------
    parameters : Tensor
        (nets, parameters); not changed.
    rates : sequence of float
        One per net.
    steps : int
    loss : callable
        Parameters -> one loss per net, each a function of its own row only.

    Returns
    -------
    Tensor
        The trained parameters. A row whose gradient is not finite does not move in that step.

    Examples
    --------
    >>> start = torch.zeros(2, 1, dtype=torch.float64)
    >>> end = train_rows(start, [0.1, 0.0], 300, lambda p: (p[:, 0] - 1).square())
    >>> [round(value, 3) for value in end[:, 0].tolist()]
    [1.0, 0.0]
    """
    rate = torch.tensor(rates, dtype=parameters.dtype, device=parameters.device)[:, None]
    row = parameters.clone().requires_grad_()
    mean, square = torch.zeros_like(parameters), torch.zeros_like(parameters)
    for step in range(steps):
        (gradient,) = torch.autograd.grad(loss(row).sum(), row)
        norm = gradient.norm(dim=1, keepdim=True)
        gradient = torch.where(norm.isfinite(), gradient * (CLIP / norm.clamp(min=CLIP)), 0.0)
        mean.lerp_(gradient, 1 - BETAS[0])
        square.lerp_(gradient.square(), 1 - BETAS[1])
        unbiased = mean / (1 - BETAS[0] ** (step + 1))
        scale = (square / (1 - BETAS[1] ** (step + 1))).sqrt() + TINY
        slowing = 0.5 * (1 + math.cos(math.pi * step / steps))
        row = (row.detach() - slowing * rate * unbiased / scale).requires_grad_()
    return row.detach()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of the CPU for PyTorch: small products are slower on more; restored afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_training(rates: Sequence[float], device: str, largest: float = math.inf) -> None:
    """Refuse learning rates that are none, and a device that this machine lacks.

    Raises
    ------
    InvalidInputError
    """
    expect(len(rates) > 0, "rates", got="none", expected="at least one")
    for rate in rates:
        as_positive(rate, "rates", largest)
    as_device(device)


def as_device(device: str) -> None:
    """Refuse what is no device of this machine.

    Raises
    ------
    InvalidInputError
    """
    try:
        torch.zeros(1, device=device).item()  # a meta tensor has no value
        fits = True
    except (RuntimeError, AssertionError, TypeError):  # PyTorch without CUDA asserts
        fits = False
    expect(fits, "device", got=shown(device), expected="a device of this machine, such as cpu")
