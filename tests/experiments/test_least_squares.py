"""Levenberg and Marquardt's method in batches, and its two ways to a Jacobian."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from odemom.experiments._least_squares import (  # noqa: E402
    best_of,
    by_autograd,
    by_blocks,
    levenberg_marquardt,
)
from odemom.nn import psi  # noqa: E402


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def through_psi(theta):
    return psi(theta, 0.5)


def test_the_block_identity_gives_the_jacobian_of_autograd():
    theta = normal(5, 2, 2)
    blocks, gradients = by_blocks(through_psi)(theta), by_autograd(through_psi)(theta)
    for found, expected in zip(blocks, gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_row_of_the_jacobian_is_the_gradient_of_one_entry():
    theta = normal(1, 2, 2).requires_grad_()
    expected = torch.autograd.grad(through_psi(theta)[0, 1, 0], theta)[0]
    row = by_blocks(through_psi)(theta.detach())[1][0, 2]  # entry (1, 0) is the third
    torch.testing.assert_close(row, expected.flatten(), rtol=1e-12, atol=1e-12)


def test_every_problem_of_a_batch_is_solved_as_if_it_were_alone():
    linearised = by_blocks(through_psi)
    start, target = normal(4, 2, 2, seed=1), torch.linalg.matrix_exp(normal(4, 2, 2, seed=2))
    together = levenberg_marquardt(linearised, start, target, 30)[1]
    alone = [
        levenberg_marquardt(linearised, start[i : i + 1], target[i : i + 1], 30)[1]
        for i in range(4)
    ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-6, atol=1e-9)


def test_the_loss_never_grows_and_a_start_out_of_range_is_no_error():
    linearised = by_blocks(lambda theta: torch.linalg.matrix_power(theta, 40))
    start = torch.stack([1e10 * torch.eye(2, dtype=torch.float64), normal(2, 2)])
    target = torch.eye(2, dtype=torch.float64).expand(2, 2, 2)
    begin = levenberg_marquardt(linearised, start, target, 0)[1]
    end = levenberg_marquardt(linearised, start, target, 20)[1]
    assert begin[0] == torch.inf == end[0]
    assert 0 <= end[1] <= begin[1]


def test_the_best_start_counts():
    linearised = by_blocks(lambda theta: theta @ theta)
    target = torch.tensor([[[4.0]]], dtype=torch.float64)
    starts = [torch.zeros_like(target), torch.ones_like(target)]  # the slope is 0 at the first
    theta, loss = best_of(linearised, starts, target, iterations=30)
    assert theta.item() == pytest.approx(2)
    assert loss.item() < 1e-12
