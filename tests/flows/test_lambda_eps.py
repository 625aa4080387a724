"""lambda_eps in doubles, mpmath and balls, and the function G whose minimum it is."""

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import odemom
from odemom.flows import LambdaEps, SecondOrder, Undamped
from tests.oracles import lambda_reference

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())
CASES = [(case["eps"], case["lambda"]) for case in VECTORS["lambda_eps"]]
ALPHA_END = 4.493409457909064


def nearest(value, reference):
    """The error relative to ``reference``."""
    return float(abs((mpmath.mpf(value) - reference) / reference))


@pytest.mark.parametrize(("eps", "reference"), CASES)
def test_doubles_agree_with_the_table_to_1e_14(eps, reference):
    with mpmath.workdps(40):
        assert nearest(odemom.lambda_eps(float(eps)), mpmath.mpf(reference)) <= 1e-14


@pytest.mark.parametrize(("eps", "reference"), CASES)
def test_mpmath_agrees_with_the_table_to_its_last_digit(eps, reference):
    with mpmath.workdps(40):
        assert nearest(odemom.lambda_eps(eps, dps=30), mpmath.mpf(reference)) <= 2e-29


@given(st.floats(math.log10(7.5e-4), 12).map(lambda p: 10.0**p))
def test_doubles_agree_with_a_minimisation_in_mpmath(eps):
    # a few units of roundoff, as documented: 16 of them
    assert nearest(odemom.lambda_eps(eps), lambda_reference(eps)) <= 16 * 2.0**-53


@pytest.mark.parametrize("eps", [1e-6, 1e-4, 7e-4, 0.3, 1e9, "1e-4", "1/3", Fraction(7, 5), 2])
@pytest.mark.parametrize("dps", [15, 50, 200])
def test_dps_digits_are_right_also_where_doubles_underflow(eps, dps):
    value = odemom.lambda_eps(eps, dps=dps)
    with mpmath.workdps(dps + 60):
        assert nearest(value, lambda_reference(Fraction(eps), dps + 20)) <= 10.0 ** -(dps - 1)


@pytest.mark.parametrize("eps", [1e-4, 1e-6])
def test_where_the_double_underflows_the_mpmath_number_follows_its_asymptote(eps):
    assert odemom.lambda_eps(eps) == 0
    assert odemom.lambda_eps(eps, dps=20) < 0
    # lambda_eps ~ -0.2172/(2 eps) exp(-1/(2 eps))
    with mpmath.workdps(30):
        leading = odemom.lambda_eps(eps, dps=25) * mpmath.exp(1 / (2 * mpmath.mpf(eps))) * 2 * eps
        assert abs(leading + 0.2172336282112216) <= 3 * eps


def test_lambda_decreases_strictly_from_0_to_minus_1():
    assert odemom.lambda_eps(0) == 0
    assert odemom.lambda_eps(math.inf) == -1
    assert odemom.lambda_eps(0, dps=20) == 0
    assert odemom.lambda_eps(math.inf, dps=20) == -1
    grid = odemom.lambda_eps(np.geomspace(8e-4, 1e8, 3000))
    assert (np.diff(grid) < 0).all()
    assert ((grid > -1) & (grid < 0)).all()
    fine = [odemom.lambda_eps(Fraction(1, 10**k), dps=20) for k in range(8)]
    assert all(x < y for x, y in itertools.pairwise(fine))


@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 3), (0,)])
def test_lambda_and_G_are_vectorised(shape):
    eps = np.random.default_rng(1).uniform(0.1, 5, shape)
    values, at_pi = odemom.lambda_eps(eps), odemom.G(np.pi, eps)
    assert np.shape(values) == np.shape(at_pi) == shape
    assert isinstance(values, float) == (shape == ())
    for where in np.ndindex(shape):
        # Newton's method stops for all entries at once: a few units of roundoff, as documented.
        alone = odemom.lambda_eps(float(np.asarray(eps)[where]))
        assert abs(np.asarray(values)[where] - alone) <= 16 * 2.0**-53


def test_G_broadcasts_angles_against_masses():
    assert odemom.G(np.zeros((3, 1)), np.ones(2)).shape == (3, 2)


@given(st.floats(0, 50), st.floats(1e-3, 1e6))
def test_G_is_even_and_bounded_below_by_lambda(alpha, eps):
    assert odemom.G(alpha, eps) == odemom.G(-alpha, eps)
    assert odemom.G(alpha, eps) >= odemom.lambda_eps(eps) * (1 + 16 * 2.0**-53)


@pytest.mark.parametrize("eps", [0.01, 0.1, 1.0, 30.0, 1e6])
def test_G_reaches_lambda_only_in_the_bracket_of_the_minimiser(eps):
    angles = np.linspace(math.pi, ALPHA_END, 20001)
    values, least = odemom.G(angles, eps), odemom.lambda_eps(eps)
    # On a grid of step h the minimum is missed by at most h² max|G''|/8 <= h² exp(-a)(1 + a)/8.
    step = angles[1] - angles[0]
    assert values.min() - least + 1e-15 * abs(least) >= 0
    assert values.min() - least <= step**2 * math.exp(-0.5 / eps) * (1 + 0.5 / eps) / 8
    elsewhere = odemom.G(
        np.concatenate([np.linspace(0, 3.1, 999), np.linspace(4.5, 60, 9999)]), eps
    )
    assert elsewhere.min() > least


@pytest.mark.parametrize("eps", [0.05, 0.5, 5.0])
def test_G_is_psi_on_the_oscillating_part_of_the_line(eps):
    alpha = np.linspace(0, 20, 50)
    psi = SecondOrder(eps).scalar(-eps * alpha**2 - 1 / (4 * eps))
    # s² = -alpha² is recovered from z with an error of u (alpha² + a²), halved by the root.
    bound = 8 * 2.0**-53 * (1 + 0.5 / eps) ** 3 * (1 + alpha**2)
    assert (np.abs(odemom.G(alpha, eps) - psi) <= bound).all()


def test_G_has_the_limits_0_and_cos():
    alpha = np.linspace(-9, 9, 37)
    np.testing.assert_array_equal(odemom.G(alpha, 0), 0)
    np.testing.assert_array_equal(odemom.G(alpha, math.inf), np.cos(alpha))
    np.testing.assert_allclose(odemom.G(alpha, 1e15), np.cos(alpha), atol=1e-14)
    assert odemom.G(0.0, 1) == pytest.approx(1.5 * math.exp(-0.5), rel=4 * 2.0**-53)


@pytest.mark.parametrize("eps", [Fraction(1, 10**6), Fraction(1, 10), Fraction(3), Fraction(10**9)])
def test_enclosures_contain_lambda_and_shrink(eps):
    threshold = LambdaEps(eps)
    reference = lambda_reference(eps, 400)
    previous = None
    for precision in (30, 64, 200, 1000):
        ball = threshold.enclosure(precision)
        middle, exponent = ball.mid().man_exp()
        radius, radius_exponent = ball.rad().man_exp()
        with mpmath.workdps(450):
            distance = abs(mpmath.ldexp(int(middle), int(exponent)) - reference)
            size = mpmath.ldexp(int(radius), int(radius_exponent))
            assert distance <= size
            # about `precision` correct bits, relative to lambda
            assert size <= abs(reference) * mpmath.mpf(2) ** (8 - precision)
        if previous is not None:
            assert previous.overlaps(ball)
            assert ball.rad() < previous.rad()
        previous = ball


def test_thresholds_describe_themselves_and_round_to_doubles():
    assert LambdaEps(Fraction(1)).value == odemom.lambda_eps(1)
    assert LambdaEps(Fraction(1)).rational is None
    assert LambdaEps(Fraction(1, 2)).describe() == "lambda_eps = -0.383322"
    undamped = Undamped().real_image.threshold
    assert undamped is not None
    assert (undamped.value, undamped.describe()) == (-1.0, "-1")
    assert float(undamped.enclosure(64)) == -1.0


@pytest.mark.parametrize("eps", ["1e400", Fraction(10**400), "1e-400"])
def test_masses_beyond_the_doubles_are_decided_like_any_other(eps):
    assert -1 <= odemom.lambda_eps(eps) <= 0
    assert -1 <= odemom.lambda_eps(eps, dps=20) < 0


@pytest.mark.parametrize("eps", ["0.00073", "0.0007123456789012345678", "1/3", "0.1", "1e9"])
def test_text_and_fractions_are_exact_though_the_double_nearby_is_not(eps):
    exact = odemom.lambda_eps(eps, dps=25)
    assert odemom.lambda_eps(eps) == pytest.approx(float(exact), rel=4e-16)
    assert odemom.lambda_eps(Fraction(eps)) == odemom.lambda_eps(eps)
    with mpmath.workdps(30):
        a = mpmath.mpf(Fraction(eps).denominator) / (2 * Fraction(eps).numerator)
        expected = float(mpmath.exp(-a) * (mpmath.cos(4) + a * mpmath.sin(4) / 4))
    assert odemom.G(4.0, eps) == pytest.approx(expected, rel=1e-15)
