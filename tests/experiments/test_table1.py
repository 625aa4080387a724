"""The architectures of Table 1 are what their papers say, against the theory and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from odemom import momentum_spectrum, revnet_jacobian
from odemom.experiments import table1
from odemom.experiments._reversible_architectures import ARCHITECTURES, residual_function

NAMES = list(ARCHITECTURES)
EXACT = [name for name in NAMES if name not in ("Neural ODE", "i-ResNet")]


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        yield


def net_and_input(name: str, depth: int):
    functions = ARCHITECTURES[name].functions(8, depth, 3 / depth)
    return functions, torch.randn(4, 8, dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_the_way_back_is_the_inverse(name):
    functions, x = net_and_input(name, 6)
    found = ARCHITECTURES[name].back_and_forth(functions, x)
    solver = name == "Neural ODE"
    torch.testing.assert_close(found, x, rtol=0, atol=1e-6 if solver else 1e-12)


@pytest.mark.parametrize("name", EXACT)
def test_the_exact_inverse_keeps_what_the_layers_forget(name):
    depth = 150
    functions, x = net_and_input(name, depth)
    kept = ARCHITECTURES[name].exact(functions, x)
    assert kept is not None  # nan, where it failed, fails below
    assert 0 <= kept - ARCHITECTURES[name].forgets + 1e-9 <= 96 / depth


def linear(matrix: np.ndarray):
    weight = torch.from_numpy(matrix)
    return lambda x: x @ weight.T


def jacobian(name: str, functions, width: int) -> np.ndarray:
    """The Jacobian of the state's way over linear functions."""
    architecture = ARCHITECTURES[name]
    basis = torch.eye(width * architecture.parts, dtype=torch.float64)
    state = architecture.advance(functions, basis.chunk(architecture.parts, -1))
    return torch.cat(state, -1).T.numpy()


def test_the_jacobians_are_those_of_the_theory():
    a, b = np.random.default_rng(0).standard_normal((2, 3, 3))
    found = np.linalg.eigvals(jacobian("Momentum ResNet", [linear(a)], 3))
    expected = momentum_spectrum(a, 0.9)
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(expected), atol=1e-12)
    # F(second half) into the first, then G(first half) into the second
    np.testing.assert_allclose(
        jacobian("RevNet", [linear(a), linear(b)], 3), revnet_jacobian(a, b), atol=1e-14
    )


@pytest.mark.parametrize("name", EXACT)
def test_the_determinant_says_what_a_layer_forgets(name):
    a = np.random.default_rng(1).standard_normal((3, 3))
    _, logarithm = np.linalg.slogdet(jacobian(name, [linear(a)], 3))
    assert -logarithm / np.log(2) / 3 == pytest.approx(ARCHITECTURES[name].forgets, abs=1e-12)


def test_bdia_and_the_midpoint_rule_start_with_a_residual_step():
    f = residual_function(4, 1.0)
    x = torch.randn(2, 4, dtype=torch.float64)
    for name in ("Midpoint", "BDIA"):
        (first, second), rest = ARCHITECTURES[name].begin([f], x)
        assert torch.equal(first, x)
        assert torch.equal(second, x + f(x))
        assert len(rest) == 0


def row(**changed) -> table1.Row:
    figures = {
        "error": 1e-15, "evaluations": 1.0, "weights": 1.0, "same_shapes": True,
        "error_within": 1e-15, "error_beyond": 1e-15, "lost": (1.0,), "lost_per_layer": 0.0,
        "kept": 0.0, "radius": 0.9,
    }  # fmt: skip
    return table1.Row("a", (table1.Checks("a", 0, **{**figures, **changed}),))


@pytest.mark.parametrize(
    ("changed", "cell", "value"),
    [
        ({}, "closed_form", True),
        ({"error": 1e-8}, "closed_form", False),
        ({"evaluations": 5.0}, "closed_form", False),
        ({"same_shapes": False}, "same_parameters", False),
        ({"error_beyond": 1.0}, "unconstrained", False),
        ({"error_within": 1.0}, "unconstrained", False),
        ({"radius": 1.0}, "attracting", False),
        ({"kept": -1.0}, "kept", None),
        ({"kept": -2.0}, "kept", None),
        ({"kept": 0.5}, "kept", 0.5),
    ],
)
def test_the_cells_follow_the_figures(changed, cell, value):
    assert getattr(row(**changed), cell) == value
