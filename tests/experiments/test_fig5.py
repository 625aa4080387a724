"""Figure 5: the rings, and that what is measured is what is said."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from odemom import InvalidInputError

torch = pytest.importorskip("torch")

from odemom.data.rings import NOISE, RADII, ring_labels, rings  # noqa: E402
from odemom.experiments import fig5  # noqa: E402


def test_the_rings_have_their_radii_and_their_noise():
    x = rings(np.random.default_rng(0), 8000, (3,)).astype(float)
    assert x.shape == (3, 2, 8000)
    for k, radius in enumerate(RADII):
        found = np.hypot(*x.swapaxes(0, 1)[..., ring_labels(8000) == k])
        # 6,000 points: the mean is NOISE² / (2 radius) above, and within 5 standard errors
        assert found.mean() == pytest.approx(radius + NOISE**2 / (2 * radius), abs=5 * NOISE / 77)
        assert found.std() == pytest.approx(NOISE, rel=0.05)


@pytest.fixture(scope="module")
def quick():
    return fig5.EXPERIMENT.compute(fig5.EXPERIMENT.quick)


def test_every_model_has_its_networks(quick):
    config = fig5.EXPERIMENT.quick
    for model, settings in zip(quick.models, fig5.MODELS, strict=True):
        assert (model.gamma, model.tied, model.bound) == settings
        assert np.shape(model.validation) == (len(config.rates), config.seeds)
        assert np.shape(model.accuracies) == (len(config.rates), config.seeds)
        shape = (len(config.rates), config.seeds) if model.gamma == 0 else (0,)
        assert np.shape(model.determinants) == shape


def test_validation_points_choose_the_rate_and_test_points_are_reported(quick):
    values = {"validation": ((0.5, 0.9), (0.8, 0.8)), "accuracies": ((1.0, 1.0), (0.7, 0.6))}
    model = dataclasses.replace(quick.models[0], **values)
    assert model.best == 1
    np.testing.assert_array_equal(model.tested, [0.7, 0.6])


def test_a_resnet_whose_layers_are_bounded_cannot_fold(quick):
    # I + J with |J| <= 0.9: the singular values are at least 0.1
    assert np.min(quick.of(0.0, bound=fig5.BOUND).determinants) >= 0.1**2


def test_a_seed_gives_the_same_network_however_many_there_are():
    config = dataclasses.replace(fig5.EXPERIMENT.quick, rates=(0.1,), steps=5)
    more = dataclasses.replace(config, seeds=3)
    few, many = (fig5.run(fig5.Task(0.95, True, math.inf, c)) for c in (config, more))
    np.testing.assert_allclose(few.tested, many.tested[:2], atol=0.02)


def test_the_rates_stand_in_their_order():
    config = dataclasses.replace(fig5.EXPERIMENT.quick, rates=(1e-12, 0.3), steps=20)
    model = fig5.run(fig5.Task(0.0, True, math.inf, config))
    nets = fig5.Nets(2, config.hidden, config.depth, 0.0, classes=4)
    untrained = fig5.initial_parameters(nets, range(config.seeds))
    x = fig5._points(config, fig5.TEST)
    np.testing.assert_allclose(model.accuracies[0], fig5._accuracies(nets, untrained, x), atol=0.02)
    least = fig5._least_determinants(nets, untrained, x)
    np.testing.assert_allclose(model.determinants[0], least, atol=1e-3)
    assert np.abs(np.subtract(model.determinants[1], least)).max() > 0.1


def test_the_clouds_start_at_the_rings(quick):
    clouds = [model.cloud for model in quick.models if model.cloud is not None]
    assert len(clouds) == len(fig5.WITH_CLOUDS)
    for cloud in clouds:
        x = np.array(cloud.x)
        assert x.shape == (16, 2, fig5.CLOUD_POINTS)
        radii = np.array(RADII)[ring_labels(fig5.CLOUD_POINTS)]
        np.testing.assert_allclose(np.hypot(*x[0]), radii, atol=6 * NOISE)


def test_training_separates_rings_with_momentum():
    config = fig5.Config(seeds=1, rates=(0.1,), steps=200, points=80, test_points=400)
    model = fig5.run(fig5.Task(0.95, True, math.inf, config))
    assert model.tested[0] > 0.7  # a homeomorphism with luck: half


def judged(quick, accuracies, determinants):
    """The verdicts if every model had these numbers, (gamma, tied, bounded) -> seeds."""
    models = tuple(
        dataclasses.replace(
            m,
            validation=((1.0, 1.0),),
            accuracies=(accuracies[m.gamma, m.tied, math.isfinite(m.bound)],),
            determinants=(determinants[math.isfinite(m.bound)],) if m.gamma == 0 else (),
        )
        for m in quick.models
    )
    return [c.verdict for c in fig5.claims(fig5.Figure5(1500, models))]


def test_the_verdicts_follow_the_numbers(quick):
    good = {
        (0.0, True, True): (0.93, 0.92),
        (0.0, True, False): (0.98, 0.75),
        (0.9, True, False): (0.9, 0.9),
        (0.95, True, False): (0.99, 0.98),
        (0.99, True, False): (1.0, 0.99),
        (0.0, False, False): (0.99, 0.97),
        (0.95, False, False): (0.99, 0.98),
    }
    folds = {False: (-0.3, 0.2), True: (0.1, 0.1)}
    assert judged(quick, good, folds) == ["holds"] * 6
    one_at_a_time = [
        ({(0.99, True, False): (1.0, 1.0, 1.0, 1.0, 0.95)}, {}),
        ({(0.0, True, False): (0.98, 0.85)}, {}),
        ({(0.0, True, True): (0.8, 0.8)}, {}),
        ({}, {False: (0.01, -0.3)}),
        ({(0.0, False, False): (0.99, 0.9)}, {}),
        ({(0.0, True, True): (1.0, 0.92)}, {}),
    ]
    assert judged(quick, good | {(0.99, True, False): (0.98, 0.98)}, folds)[0] == "does not hold"
    for i, (accuracies, determinants) in enumerate(one_at_a_time):
        verdicts = judged(quick, good | accuracies, folds | determinants)
        assert verdicts[i] == "does not hold", i
    assert judged(quick, good, folds | {True: (0.1, 0.0)})[5] == "does not hold"
    none = {(0.0, True, False): (0.9, 0.75), (0.0, False, False): (0.97, 0.97)}
    assert judged(quick, good | none, folds)[3] == "not judged"


def test_short_trainings_are_judged_only_where_the_claim_holds_for_any_weights(quick):
    verdicts = [c.verdict for c in fig5.claims(quick)]
    assert verdicts == ["not judged"] * 5 + ["holds"]


@pytest.mark.parametrize(
    "options",
    [{"depth": 0}, {"points": 30}, {"test_points": 2}, {"rates": ()}, {"device": "nowhere"}],
)
def test_what_is_no_configuration_is_refused(options):
    with pytest.raises(InvalidInputError):
        fig5.Config(**options)
