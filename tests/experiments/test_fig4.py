"""Figure 4: its numbers against the theorem."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from odemom import InvalidInputError
from odemom.experiments.fig4 import EXPERIMENT, Config, Figure4


@pytest.fixture(scope="module")
def figure() -> Figure4:
    return EXPERIMENT.compute(Config(points=9, per_unit=3, extent=2))


def test_the_curve_is_lambda_eps(figure):
    angles = np.linspace(math.pi, 4.4935, 4001)
    for eps, value in zip(figure.eps, figure.lambda_eps, strict=True):
        a = 1 / (2 * mpmath.mpf(eps))
        g = mpmath.exp(-a) * (np.cos(angles) + float(a) * np.sin(angles) / angles).min()
        # the grid misses the minimum by less than h² G''/2, h = 3.4e-4 and |G''| <= 2 |G|
        assert abs(g - value) <= 2e-7 * abs(value)


def test_the_plane_is_what_theorem_1_says(figure):
    mu = np.array(figure.axis)
    for plane in figure.planes:
        above = mu >= plane.threshold if plane.threshold_included else mu > plane.threshold
        paired = np.eye(mu.size, dtype=bool) & (mu < plane.threshold)
        expected = above[:, None] & above[None, :] | paired
        np.testing.assert_array_equal(np.array(plane.representable), expected)


def test_the_planes_are_nested(figure):
    smallest, middle, largest = (np.array(p.representable) for p in figure.planes)
    assert [p.eps for p in figure.planes] == [0.0, 0.5, math.inf]
    assert (smallest <= middle).all()
    assert (middle <= largest).all()


@pytest.mark.parametrize("options", [{"points": 1}, {"per_unit": 0}, {"extent": 1.5}])
def test_what_is_no_grid_is_refused(options):
    with pytest.raises(InvalidInputError):
        Config(**options)
