"""odemom.nn.psi: the values of odemom.psi, and derivatives to second order."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import odemom
from odemom.nn import psi
from odemom.nn.psi.autograd import frechet_operator, jet_operator

MASSES = [0, 1e-6, 1e-3, 0.02, 0.3, 5.0, math.inf]
GENERATOR = torch.Generator().manual_seed(2)
SIZES = torch.tensor([0.1, 1.0, 4.0], dtype=torch.float64)[:, None, None]
STACK = SIZES * torch.randn(3, 4, 4, dtype=torch.float64, generator=GENERATOR)

ARRAY: Any = STACK.numpy()


# For second differences, whose number grows with the square of that of the entries.
SMALL = SIZES * torch.randn(3, 2, 2, dtype=torch.float64, generator=GENERATOR)
# For first differences, of which there are as many as entries.
MIDDLE = STACK[:, :3, :3]


def leaf(tensor):
    return tensor.detach().clone().requires_grad_()


@pytest.mark.parametrize("eps", MASSES)
def test_values_are_those_of_numpy(eps):
    expected = torch.as_tensor(odemom.psi(STACK.numpy(), eps))
    sizes = expected.abs().amax(dim=(-2, -1), keepdim=True)
    for dtype, unit in ((torch.float64, 2.0**-53), (torch.float32, 2.0**-24)):
        value = psi(STACK.to(dtype), eps)
        assert value.dtype == dtype
        cond = torch.tensor([max(1, odemom.psi_cond(t, eps)) for t in STACK.numpy()])
        assert bool(((value - expected).abs() <= 100 * unit * cond[:, None, None] * sizes).all())


@pytest.mark.parametrize("d", [1, 30, 40])
def test_sizes_with_and_without_norms_of_powers(d):
    theta = torch.randn(2, d, d, dtype=torch.float64, generator=GENERATOR)
    expected = torch.as_tensor(odemom.psi(theta.numpy(), 0.1))
    assert torch.allclose(
        psi(theta, 0.1), expected, rtol=0, atol=1e-12 * float(expected.abs().max())
    )


@pytest.mark.parametrize(
    "eps", [0.02, *(pytest.param(eps, marks=pytest.mark.slow) for eps in (1e-6, 1e-3, 0.3, 5.0))]
)
def test_gradients_of_first_and_second_order_in_theta_and_log_eps(eps):
    theta = leaf(MIDDLE)
    log_eps = torch.tensor(math.log(eps), dtype=torch.float64, requires_grad=True)

    def function(theta, log_eps):
        return psi(theta, log_eps.exp())

    assert gradcheck(function, (theta, log_eps))
    assert gradgradcheck(function, (leaf(SMALL), log_eps))


@pytest.mark.parametrize("eps", [0, math.inf])
def test_gradients_in_theta_at_the_ends(eps):
    theta = leaf(STACK)
    assert gradcheck(lambda t: psi(t, eps), (leaf(MIDDLE),))
    assert gradgradcheck(lambda t: psi(t, eps), (leaf(SMALL),))
    mass = torch.tensor(float(eps), dtype=torch.float64, requires_grad=True)
    psi(theta, mass).sum().backward()
    assert mass.grad is not None
    assert float(mass.grad) == 0


def test_the_gradient_is_the_frechet_derivative_at_the_transpose():
    theta, direction = leaf(STACK[1]), torch.randn(4, 4, dtype=torch.float64, generator=GENERATOR)
    psi(theta, 0.2).backward(direction)
    expected = odemom.psi_frechet(theta.detach().numpy().T, direction.numpy(), 0.2)
    assert theta.grad is not None
    assert np.abs(theta.grad.numpy() - expected).max() <= 1e-13 * np.abs(expected).max()


def test_the_powers_of_theta_may_vanish_but_not_those_of_its_neighbours():
    theta = torch.zeros(40, 40, dtype=torch.float64)
    theta[:20, 20:] = 3 * torch.randn(20, 20, dtype=torch.float64, generator=GENERATOR)
    direction = torch.randn(40, 40, dtype=torch.float64, generator=GENERATOR)
    ours = leaf(theta)
    psi(ours, 0.2).backward(direction)
    expected = odemom.psi_frechet(theta.numpy().T, direction.numpy(), 0.2)
    assert ours.grad is not None
    assert np.abs(ours.grad.numpy() - expected).max() <= 1e-13 * np.abs(expected).max()


def test_what_is_not_a_number_stays_so_and_spoils_no_other_matrix():
    theta = STACK.clone()
    theta[1, 0, 0] = math.nan
    value = psi(theta, 0.5)
    assert bool(value[1].isnan().any())
    assert torch.allclose(value[[0, 2]], psi(STACK, 0.5)[[0, 2]])


def test_masses_broadcast_against_the_batch_and_get_their_gradients():
    masses = torch.tensor([0.1, 0.1, 3.0], dtype=torch.float64, requires_grad=True)
    together = psi(leaf(STACK), masses)
    for theta, mass, value in zip(STACK, masses.tolist(), together, strict=True):
        assert torch.allclose(value, psi(theta, mass), rtol=1e-13, atol=1e-13)
    assert gradcheck(lambda m: psi(STACK, m), (masses,))


def test_vmap_of_values_and_gradients():
    masses = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    assert torch.allclose(torch.func.vmap(psi)(STACK, masses), psi(STACK, masses), rtol=1e-14)

    def total(theta):
        return psi(theta, 0.5).sum()

    theta = leaf(STACK)
    psi(theta, 0.5).sum().backward()
    gradients = torch.func.vmap(torch.func.grad(total))(STACK)
    assert theta.grad is not None
    assert torch.allclose(gradients, theta.grad, rtol=1e-13, atol=1e-13)


def test_a_compiled_function_has_no_graph_break_and_the_same_gradients():
    def loss(theta):
        return (2 * psi(theta, 0.5)).square().sum()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    ours, theirs = leaf(STACK), leaf(STACK)
    assert torch.allclose(compiled(ours), loss(theirs), rtol=1e-13)
    compiled(ours).backward()
    loss(theirs).backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("theta", [STACK, STACK.mT, 0.01 * STACK, STACK.float().mT])
def test_the_operators_are_what_compilers_take_them_for(theta):
    masses = torch.full((3,), 0.5, dtype=torch.float64)
    tests = ("test_schema", "test_faketensor")
    torch.library.opcheck(jet_operator, (theta, masses, 0), test_utils=tests)
    torch.library.opcheck(frechet_operator, (theta, theta.mT, masses, 1), test_utils=tests)


@pytest.mark.slow
def test_generated_code_has_the_same_gradients():
    def loss(theta):
        return (2 * psi(theta, 0.5)).square().sum()

    ours, theirs = leaf(STACK), leaf(STACK)
    torch.compile(loss, fullgraph=True)(ours).backward()
    loss(theirs).backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)


def test_only_the_arguments_are_kept_for_backward():
    theta, saved = leaf(30 * STACK), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        psi(theta, 0.5)
    assert sum(t.numel() for t in saved) <= theta.numel() + len(theta)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: psi(ARRAY, 0.5), "ndarray"),
        (lambda: psi(STACK.to(torch.complex128), 0.5), "complex128"),
        (lambda: psi(STACK.half(), 0.5), "float16"),
        (lambda: psi(STACK[..., :3], 0.5), "shape"),
        (lambda: psi(STACK, -1), "eps"),
        (lambda: psi(STACK, torch.tensor([1, 2])), "int64"),
        (lambda: psi(STACK, torch.tensor([0.1, 0.2])), "broadcasts"),
        (lambda: psi(STACK, torch.tensor(math.nan)), "nan"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(odemom.InvalidInputError, match=message):
        call()


@pytest.mark.parametrize("eps", [0, 0.5, math.inf])
@pytest.mark.parametrize("norm", [1e9, 1e20, 1e150, 1e300])
def test_hundreds_of_doublings_do_not_nest(norm, eps):
    small = torch.tensor([[0.3, 1.0], [-0.5, 0.1]], dtype=torch.float64)
    stack = torch.stack([small, -norm * torch.eye(2, dtype=torch.float64)]).requires_grad_()
    value = odemom.nn.psi(stack, eps)
    (gradient,) = torch.autograd.grad(value.sum(), stack)
    torch.testing.assert_close(value[0], odemom.nn.psi(small, eps), rtol=1e-14, atol=0)
    alone = small.clone().requires_grad_()
    (expected,) = torch.autograd.grad(odemom.nn.psi(alone, eps).sum(), alone)
    torch.testing.assert_close(gradient[0], expected, rtol=1e-13, atol=1e-14)
    if norm == 1e9:
        exact = odemom.psi(-norm * np.eye(2), eps)
        np.testing.assert_allclose(value[1].detach(), exact, rtol=1e-6, atol=1e-12)


def test_masses_beyond_the_doubles_are_those_of_odemom_psi():
    theta = torch.tensor([[0.3, 1.0], [-0.5, 0.1]], dtype=torch.float64)
    np.testing.assert_array_equal(odemom.nn.psi(theta, 10**400), odemom.psi(theta.numpy(), 10**400))


def test_sparse_tensors_are_refused():
    with pytest.raises(odemom.InvalidInputError, match="to_dense"):
        odemom.nn.psi(torch.eye(3).to_sparse(), 0.5)


# --- forward mode -----------------------------------------------------------------------------


def test_the_tangent_is_the_frechet_derivative():
    generator = torch.Generator().manual_seed(4)
    theta, change = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=generator)
    for eps in (0, 0.5, math.inf):
        tangent = torch.func.jvp(partial(odemom.nn.psi, eps=eps), (theta,), (change,))[1]
        expected = [
            odemom.psi_frechet(a, b, eps)
            for a, b in zip(theta.numpy(), change.numpy(), strict=True)
        ]
        np.testing.assert_allclose(tangent, expected, rtol=1e-12, atol=1e-14)


def test_forward_mode_agrees_with_backward_to_second_order():
    theta = torch.tensor([[0.3, 1.0], [-0.5, 0.1]], dtype=torch.float64)

    def loss(a):
        return odemom.nn.psi(a, 0.5).square().sum()

    forward = torch.func.hessian(loss)(theta)
    backward = torch.func.jacrev(torch.func.jacrev(loss))(theta)
    torch.testing.assert_close(forward, backward, rtol=1e-12, atol=1e-13)


def test_forward_derivatives_of_batches_in_theta_and_eps():
    generator = torch.Generator().manual_seed(5)
    theta = torch.randn(2, 2, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    eps = torch.tensor([0.5, 1.0], dtype=torch.float64, requires_grad=True)
    checks: Any = torch.autograd.gradcheck
    assert checks(
        odemom.nn.psi, (theta, eps), check_forward_ad=True, check_batched_forward_grad=True
    )
    checks = torch.autograd.gradgradcheck
    assert checks(odemom.nn.psi, (theta, eps), check_fwd_over_rev=True)


# --- autocast ------------------------------------------------------------------------------------


def values_and_derivatives(theta, eps):
    theta, eps = leaf(theta), leaf(torch.as_tensor(eps, dtype=theta.dtype))
    value = psi(theta, eps)
    first = torch.autograd.grad(value.square().sum(), (theta, eps), create_graph=True)
    (second,) = torch.autograd.grad(first[0].square().sum(), theta)
    forward = torch.func.jvp(partial(psi, eps=1.0), (theta.detach(),), (theta.detach(),))
    return value, *first, second, forward[1]


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("d", [4, 40])
def test_autocast_leaves_the_dtype_and_the_digits(narrow, d):
    theta = torch.randn(3, d, d, generator=torch.Generator().manual_seed(0)) / d**0.5
    expected = values_and_derivatives(theta, 1.0)
    with torch.autocast("cpu", dtype=narrow):
        found = values_and_derivatives(theta, 1.0)
    assert all(f.dtype == torch.float32 and torch.equal(f, e)
               for f, e in zip(found, expected, strict=True))  # fmt: skip


def test_backward_under_autocast_of_a_value_without_it():
    theta = leaf(STACK.float())
    expected = torch.autograd.grad(psi(theta, 0.3).sum(), theta)
    value = psi(theta, 0.3).sum()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = torch.autograd.grad(value, theta)
    assert torch.equal(found[0], expected[0])
