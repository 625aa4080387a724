"""What `descent`, `price` and `remedies` rest on: gradients, preimages, regions."""

from fractions import Fraction

import numpy as np
import pytest

from odemom.experiments.descent import gradient, map_of
from odemom.experiments.price import FLOWS, smallest_real
from odemom.experiments.remedies import KINDS, kind_of
from odemom.flows import MomentumResNet


def test_the_map_of_equal_layers_is_psi():
    theta = np.array([[0.2, -0.1], [0.3, -0.4]])
    layers = np.broadcast_to(theta, (1, 6, 2, 2))
    np.testing.assert_allclose(map_of(layers, 0.9)[0][0], MomentumResNet("9/10", 6).matrix(theta))


@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_the_gradient_is_that_of_differences(gamma):
    rng = np.random.default_rng(0)
    theta, goal = 0.3 * rng.standard_normal((1, 4, 2, 2)), rng.standard_normal((1, 2, 2))
    direction = rng.standard_normal(theta.shape)
    slopes = gradient(theta, gamma, goal)[2]
    h = 1e-6
    ends = [gradient(theta + sign * h * direction, gamma, goal)[1][0] for sign in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * h) == pytest.approx((slopes * direction).sum(), rel=1e-7)


@pytest.mark.parametrize("name", FLOWS)
def test_the_smallest_real_preimage_is_one(name):
    flow = FLOWS[name]
    (size,) = smallest_real(flow, np.array([0.5]), 20_000)
    assert min(abs(flow.scalar(size) - 0.5), abs(flow.scalar(-size) - 0.5)) < 1e-10


@pytest.mark.parametrize(
    ("first", "second", "eps", "kind"),
    [
        (1, 2, "0", "constant theta"),
        (-1, -2, "0", "two pieces"),
        (-1, -1, "0", "constant theta"),
        (-1, 0, "0", "one coordinate"),
        (0, 0, "0", "two coordinates"),
        ("-1/2", 1, "1/2", "larger eps"),
        (-2, 1, "1/2", "two pieces"),
    ],
)
def test_the_first_remedy_is_named(first, second, eps, kind):
    assert KINDS[kind_of(Fraction(first), Fraction(second), eps)] == kind
