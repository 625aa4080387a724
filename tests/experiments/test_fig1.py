"""Figure 1: what is measured, against what is known in closed form."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from odemom import InvalidInputError

torch = pytest.importorskip("torch")

from odemom.experiments import fig1  # noqa: E402


def test_no_increasing_map_comes_closer_than_one_seventh_at_the_nodes_either():
    rule = fig1.quadrature(fig1.TEST_NODES, torch.float64, "cpu")
    x, weights = rule.nodes.numpy(), rule.weights.numpy()
    best = isotonic_regression(-(x**3), weights=weights).x
    assert abs(float(rule.error(torch.tensor(best))) - fig1.INCREASING) < fig1.ROUNDING
    np.testing.assert_allclose(best, 0, atol=1e-14)


def test_the_error_is_an_integral():
    rule = fig1.quadrature(fig1.TEST_NODES, torch.float64, "cpu")
    # the integral of (x + x³)² / 2 over [-1, 1] is 1/3 + 2/5 + 1/7
    assert float(rule.error(rule.nodes)) == pytest.approx(1 / 3 + 2 / 5 + 1 / 7, abs=1e-13)
    assert float(rule.error(-(rule.nodes**3))) == 0


def test_a_flip_reverses_all_pairs_in_every_layer():
    x = np.linspace(-1, 1, 11)
    assert fig1.crossings(np.array([x, -x, x, -x])) == 30
    assert fig1.crossings(np.array([x, 0.1 * x, 1e-3 * x])) == 0


def test_paths_that_touch_by_rounding_do_not_cross():
    x = np.array([0.0, 1.0])
    touching, reversed_ = np.array([1e-16, 0.0]), np.array([1.0, 0.0])
    assert fig1.crossings(np.array([x, touching, x])) == 0
    assert fig1.crossings(np.array([x, touching, reversed_])) == 1


def test_crossings_are_counted_net_by_net():
    x = np.linspace(-1, 1, 5)
    paths = np.array([[x, x], [-x, x], [x, x]])
    np.testing.assert_array_equal(fig1.crossings(paths), [8, 0])


@pytest.fixture(scope="module")
def short():
    return fig1.EXPERIMENT.compute(fig1.Config(seeds=2, rates=(0.01, 0.1), steps=30))


def test_a_bounded_resnet_stays_above_one_seventh_without_crossings(short):
    resnet = short.bounded[0]
    assert (np.array(resnet.losses) >= fig1.INCREASING - fig1.ROUNDING).all()
    assert not np.array(resnet.crossings).any()
    assert not np.array(resnet.flips).any()
    assert resnet.steepest <= fig1.BOUND + 1e-12


def test_the_drawn_path_is_that_of_the_best_net(short):
    for family in (*short.bounded, *short.free):
        path = np.array(family.path)
        assert path.shape == (family.depth + 1, 26)
        np.testing.assert_allclose(path[0], np.linspace(-1, 1, 26), atol=1e-4)
        end, start = path[-1], path[0]
        rough = np.trapezoid((end + start**3) ** 2, start) / 2
        assert rough == pytest.approx(family.best_losses.min(), abs=0.02)


def a_family(depth, losses, flips):
    n = len(losses)
    return fig1.Family(
        0.0, depth, 9.0, (0.1,), (losses,), ((0,) * n,), (flips,), 1.0, ((0.0,),) * (depth + 1)
    )


def test_the_verdicts_follow_the_numbers(short):
    free = tuple(
        a_family(depth, (0.143, 0.001 if depth % 2 else 0.143), (False, depth % 2 == 1))
        for depth in (14, 15, 16, 17)
    )
    long = dataclasses.replace(short, steps=2000, free=free)
    fails, flips, even = fig1.claims(long)[2:]
    assert [c.verdict for c in (fails, flips, even)] == ["does not hold", "holds", "holds"]
    some = a_family(15, (0.001, 0.02), (True, False))
    other = (a_family(14, (0.001, 0.143), (False, False)), some)
    fails, flips, even = fig1.claims(dataclasses.replace(long, free=other))[2:]
    assert [c.verdict for c in (fails, flips, even)] == ["does not hold"] * 3


def test_short_trainings_are_judged_only_where_the_claim_holds_for_any_weights(short):
    assert [c.verdict for c in fig1.claims(short)] == ["holds"] + ["not judged"] * 4


@pytest.mark.parametrize(
    "options",
    [{"depth": 14}, {"seeds": 0}, {"rates": ()}, {"rates": (-1.0,)}, {"device": "nowhere"}],
)
def test_what_is_no_configuration_is_refused(options):
    with pytest.raises(InvalidInputError):
        fig1.Config(**options)
