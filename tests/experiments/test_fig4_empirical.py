"""Figure 4 by training: distances, thresholds, and a few cells of each kind."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import odemom
from odemom import InvalidInputError
from odemom.experiments import fig4_empirical
from odemom.experiments._plane_models import least_value, model_of, momentum
from odemom.experiments._plane_results import Plane, distance
from odemom.experiments.fig4_empirical import Config, Task, run
from odemom.flows import MomentumResNet

LAMBDA = float(odemom.lambda_eps(0.5))


@pytest.mark.parametrize(
    ("l1", "l2"), [(0.5, 1.0), (-0.9, 1.0), (-0.9, -0.7), (-0.6, -0.6), (-0.5, -0.3), (0.2, -1.0)]
)
def test_the_distance_is_that_of_the_nearest_representable_matrix(l1, l2):
    nearest = odemom.nearest_representable(np.diag([l1, l2]), 0.5)
    found = float(distance(np.array(l1), np.array(l2), LAMBDA))
    assert nearest.optimal
    assert found == pytest.approx(nearest.lower_bound, abs=1e-6)


@pytest.mark.parametrize("depth", [20, 21])
def test_a_net_has_the_mass_of_the_ode(depth):
    net = MomentumResNet(momentum(depth), depth)
    assert net.eps / depth == 0.5
    threshold = model_of(f"depth {depth}")[1]
    assert threshold == pytest.approx(LAMBDA, abs=0.05)
    assert least_value(depth) < -3


@pytest.mark.parametrize("name", ["psi", "ODE block", "depth 20"])
def test_a_model_maps_a_diagonal_theta_as_its_scalar_function(name):
    torch = pytest.importorskip("torch")
    z = np.array([-0.3, 0.2])
    values, _ = model_of(name)[0](torch.diag_embed(torch.from_numpy(z))[None])
    flow = MomentumResNet(momentum(20), 20) if name == "depth 20" else odemom.flows.SecondOrder(0.5)
    # the ODE block is as accurate as its tolerance, the net's gamma a fraction nearby
    assert np.diag(values[0].numpy()) == pytest.approx(flow.scalar(z), rel=1e-4)


def test_training_stops_at_the_distance():
    plane = run(Task("psi", 1, 0, 3, 40, 60, 1.0))
    losses, distances = plane.cells()
    assert np.abs(losses - distances).max() < 1e-3
    assert plane.disagreements() == 0
    assert losses[2, 0] == pytest.approx(min(LAMBDA + 1, 1.0), abs=1e-6)  # diag(-1, 1)


def test_a_disagreement_is_counted():
    plane = Plane("psi", 0, 1.0, LAMBDA, (-1.0, 1.0), ((0.0, 0.0), (0.6, 0.0)))
    assert plane.disagreements() == 1  # diag(1, -1) was reached
    assert plane.disagreements(-2.0) == 1  # diag(-1, 1) was not


def test_one_seed_is_said_in_the_singular():
    plane = Plane("psi", 0, 1.0, LAMBDA, (-1.0, 1.0), ((0.0, 0.0), (0.6, 0.0)))
    for planes, said in (([plane], "(1 seed, reached"), ([plane, plane], "(2 seeds, reached")):
        assert said in fig4_empirical._agreement(planes, "", "").measured


@pytest.mark.parametrize("change", [{"scales": ()}, {"scales": (0.0,)}, {"seeds": 0}])
def test_a_bad_configuration_is_refused(change):
    with pytest.raises(InvalidInputError):
        Config(**change)
