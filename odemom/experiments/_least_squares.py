"""Levenberg and Marquardt's method on many small problems at once, each with its own damping."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = [
    "Linearised",
    "best_of",
    "by_autograd",
    "by_blocks",
    "levenberg_marquardt",
]

Model = Callable[[Tensor], Tensor]
# parameters (n, d, d) -> values (n, d, d) and their derivatives (n, d², d²)
Linearised = Callable[[Tensor], tuple[Tensor, Tensor]]

# Marquardt's damping, and by what it is multiplied after a step that was taken or refused.
START, TAKEN, REFUSED = 0.1, 1 / 5, 3.0
LEAST, MOST = 1e-14, 1e14
SOLVED = 1e-12  # a residual of a few thousand roundoffs: nothing is left to gain


def by_blocks(model: Model) -> Linearised:
    """Values and derivatives of a matrix function of any size.

    The derivative in the direction E is the upper right block of the function at
    [[theta, E], [0, theta]].
    """

    def linearised(theta: Tensor) -> tuple[Tensor, Tensor]:
        n, d = theta.shape[:2]
        beside = theta.new_zeros(d * d, n, 2 * d, 2 * d)
        beside[..., :d, :d] = beside[..., d:, d:] = theta
        beside[..., :d, d:] = torch.eye(d * d, dtype=theta.dtype).reshape(d * d, 1, d, d)
        with torch.no_grad():
            values = model(beside.flatten(0, 1)).unflatten(0, (d * d, n))
        changes = values[..., :d, d:].movedim(0, -1)
        return values[0, :, :d, :d], changes.reshape(n, d * d, d * d)

    return linearised


def by_autograd(model: Model) -> Linearised:
    """The same by one backward pass for all entries."""

    def linearised(theta: Tensor) -> tuple[Tensor, Tensor]:
        leaf = theta.detach().requires_grad_()
        values = model(leaf)
        # The problems are independent: the gradient of a sum over them holds a row of each.
        sums = values.flatten(1).sum(0)
        rows = torch.eye(len(sums), dtype=theta.dtype)
        (slopes,) = torch.autograd.grad(sums, leaf, rows, is_grads_batched=True)
        return values.detach(), slopes.movedim(0, 1).flatten(2)

    return linearised


def levenberg_marquardt(
    linearised: Linearised, theta: Tensor, target: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """Minimise the Frobenius norm of ``model(theta) - target``, for every problem of a stack.

    A step that does not lower the loss is refused, and its problem damped more. Solved problems
    leave the batch.

    Parameters
    ----------
    linearised : callable
        See `by_blocks` and `by_autograd`.
    theta : Tensor of float64, shape (n, d, d)
        Where each problem starts.
    target : Tensor, shape (n, d, d)
    iterations : int

    Returns
    -------
    tuple of Tensor, shapes (n, d, d) and (n,)
        The parameters and the losses that they reach.
    """
    theta = theta.clone()
    values, jacobian = linearised(theta)
    residual = (values - target).flatten(1)
    loss = _norms(residual)
    damping = torch.full_like(loss, START)
    identity = torch.eye(residual.shape[1], dtype=theta.dtype)
    for _ in range(iterations):
        left = (loss > SOLVED).nonzero()[:, 0]
        if len(left) == 0:
            break
        j, r = jacobian[left], residual[left]
        normal = j.mT @ j + damping[left, None, None] * identity
        # Where the matrix is singular to roundoff the step is no number, and refused.
        step = torch.linalg.solve_ex(normal, -(j.mT @ r[..., None])).result
        trial = theta[left] + step.reshape(-1, *theta.shape[1:])
        values, slopes = linearised(trial)
        trial_residual = (values - target[left]).flatten(1)
        trial_loss = _norms(trial_residual)
        taken = trial_loss < loss[left]
        moved = left[taken]
        theta[moved], jacobian[moved] = trial[taken], slopes[taken]
        residual[moved], loss[moved] = trial_residual[taken], trial_loss[taken]
        factor = torch.where(taken, TAKEN, REFUSED)
        damping[left] = (damping[left] * factor).clamp(LEAST, MOST)
    return theta, loss


def best_of(
    linearised: Linearised,
    starts: list[Tensor],
    target: Tensor,
    *,
    iterations: int,
    polish: int = 0,
) -> tuple[Tensor, Tensor]:
    """The best that is reached from several starts, which then takes ``polish`` more iterations.

    Parameters
    ----------
    linearised, target, iterations
        As in `levenberg_marquardt`.
    starts : list of Tensor, shape (n, d, d)
        Solved problems skip the later ones.
    polish : int

    Returns
    -------
    tuple of Tensor, shapes (n, d, d) and (n,)
    """
    best = starts[0].clone()
    losses = torch.full((len(target),), torch.inf, dtype=target.dtype)
    for start in starts:
        left = (losses > SOLVED).nonzero()[:, 0]
        theta, loss = levenberg_marquardt(linearised, start[left], target[left], iterations)
        better = loss < losses[left]
        best[left[better]], losses[left[better]] = theta[better], loss[better]
    return levenberg_marquardt(linearised, best, target, polish)


def _norms(residual: Tensor) -> Tensor:
    """Their norms; infinite where a model left the range of its numbers."""
    return residual.norm(dim=1).nan_to_num(nan=torch.inf, posinf=torch.inf)
