"""Power series and preimages of psi, against formulas of their own in mpmath."""

import math
from fractions import Fraction

import flint
import mpmath
import pytest
from flint import acb, arb
from hypothesis import given
from hypothesis import strategies as st

from odemom.flows import FirstOrder, MomentumResNet, ResNet, SecondOrder, Undamped
from odemom.flows.power_series import inverse_branch, inverse_of_root, series_length
from tests.oracles import psi_scalar

FLOWS = [
    FirstOrder(),
    FirstOrder(2),
    SecondOrder("1/2"),
    SecondOrder(1, horizon=3),
    SecondOrder("1/100"),
    SecondOrder(1e-4),
    SecondOrder(1e8),
    SecondOrder(1, "field"),
    SecondOrder("1/5", "field"),
    Undamped(),
    Undamped(2),
    ResNet(1),
    ResNet(4),
    ResNet(5),
    MomentumResNet("9/10", 20),
    MomentumResNet("9/10", 21),
    MomentumResNet("1/2", 2),
    MomentumResNet("1/2", 1),
    MomentumResNet("99/100", 200),
]
CRITICAL = [flow for flow in FLOWS if flow.real_image.at.order == 2]
PAIRED = [flow for flow in FLOWS if flow.real_image.below.kind == "pairs"]


def psi(flow, z):
    """psi(z) in mpmath at its working precision, by the definition of the flow."""
    if isinstance(flow, FirstOrder):
        return mpmath.exp(int(flow.horizon) * z)
    if isinstance(flow, Undamped):
        return mpmath.cosh(int(flow.horizon) * mpmath.sqrt(z))
    if isinstance(flow, SecondOrder):
        eps = Fraction(flow.eps) / Fraction(flow.horizon)
        mass = mpmath.mpf(eps.numerator) / eps.denominator
        return psi_scalar(int(flow.horizon) * z, mass, bool(flow.field), dps=mpmath.mp.dps)[0]
    gamma = Fraction(getattr(flow, "gamma", 0))
    g = mpmath.mpf(gamma.numerator) / gamma.denominator
    x, v = mpmath.mpf(1), mpmath.mpf(0)
    for _ in range(flow.depth):
        v = g * v + (1 - g) * z * x
        x = x + v
    return x


def mp(z):
    real, imag = (
        mpmath.mpf(int(m)) * mpmath.mpf(2) ** int(e) for m, e in map(parts, (z.real, z.imag))
    )
    return mpmath.mpc(real, imag)


def parts(ball):
    return ball.mid().man_exp()


def missed(flow, z, mu):
    """|psi(z) - mu|/|mu| at 150 digits more than the largest cancellation in psi."""
    with mpmath.workdps(300):
        return float(abs(psi(flow, mp(z)) - mu) / (abs(mu) or 1))


@pytest.mark.parametrize("flow", FLOWS, ids=str)
@pytest.mark.parametrize("z", [0.3, -0.7 + 0.2j, -12.0, 3 + 4j])
def test_series_have_the_derivatives_of_psi(flow, z):
    with mpmath.workdps(160):  # the fourth difference loses 100 digits, and psi some
        step = mpmath.mpf(10) ** -25
        expected = mpmath.taylor(lambda t: psi(flow, z + t), 0, 4, h=step)
    with series_length(5, 256):
        series = flow.series(acb(z.real, z.imag), 5)
        for k in range(5):
            with mpmath.workdps(80):
                size = max(abs(c) for c in expected[k : k + 1])
                assert abs(mp(series[k]) - expected[k]) <= 1e-20 * size


def test_series_where_the_square_root_has_none():
    # s = 0 at z = -1/(4 eps): psi = exp(-a) (1 + a) there
    with series_length(3, 128):
        series = SecondOrder("1/2").series(acb(-0.5), 3)
        assert abs(series[0] - 2 * arb(-1).exp()) < 1e-35
        # d/dz (cosh s + sinh(s)/s) = (1/2 + 1/6) ds²/dz, ds²/dz = 2
        assert abs(series[1] - arb(-1).exp() * arb(4) / 3) < 1e-35


MORE = (-3 + 1e-3j, 10j, 1 + 1e-12j)


def far_from(flow, mu):
    """Whether the path there takes the deep net seconds."""
    return flow == FLOWS[-1] and abs(mu) > 1e3


@pytest.mark.parametrize(
    ("flow", "mu"),
    [
        pytest.param(flow, mu, marks=[pytest.mark.slow] if mu in MORE or far_from(flow, mu) else [])
        for flow in FLOWS
        for mu in (1 + 1j, -3 + 1e-9j, 1e-8j + 1e-9, -1e6 + 1j, 1e40j, *MORE)
    ],
    ids=str,
)
def test_preimages_of_numbers_off_the_real_line(flow, mu):
    with flint.ctx.workprec(128):
        z = flow.preimage(acb(mu.real, mu.imag))
        # going on from another value leads to the same point
        other = acb(2, 5)
        again = flow.preimage(acb(mu.real, mu.imag), (other, flow.preimage(other)))
        assert abs(z - again) < 1e-25 * (1 + abs(z))
    assert missed(flow, z, mpmath.mpc(mu)) < 1e-25
    assert z.imag > 0


@pytest.mark.parametrize("flow", FLOWS, ids=str)
@pytest.mark.parametrize("mu", [1.0, 2.0, 1e3, 1e-3, 0.0, -0.1, -0.5, -1.0, -2.0, -100.0])
def test_real_preimages_of_regular_values(flow, mu):
    image = flow.real_image
    if image.threshold is not None and mu <= image.threshold.value:
        kind = image.at.kind if mu == image.threshold.value else image.below.kind
        if kind != "regular":
            return
    with flint.ctx.workprec(128):
        z = flow.real_preimage(arb(mu))
    assert z.imag == 0
    assert missed(flow, z, mpmath.mpf(mu)) < 1e-25


@pytest.mark.parametrize("flow", CRITICAL, ids=str)
@pytest.mark.parametrize(
    "gap",
    [1e-3, *(pytest.param(g, marks=pytest.mark.slow) for g in (1e-5, 1e-15)), 1e-9, 1e-25, 0.0],
)
def test_real_preimages_next_to_the_threshold(flow, gap):
    with flint.ctx.workprec(128):
        threshold = flow.real_image.threshold.enclosure(128).mid()
        mu = (threshold + gap * max(abs(threshold), arb(2) ** -1000)).mid()
        z = flow.real_preimage(mu)
        critical = flow.critical_point()
    assert z.imag == 0
    with mpmath.workdps(120):
        assert missed(flow, z, mp(acb(mu))) < 1e-24
        if gap < 1e-4:  # farther off, a net may have a better branch
            assert mp(z).real >= mp(acb(critical)).real * (1 + mpmath.mpf(10) ** -30)
        slope = mpmath.diff(lambda t: psi(flow, t), mp(acb(critical)), h=mpmath.mpf(10) ** -40)
        assert abs(slope) < 1e-25 * abs(psi(flow, 0))


@pytest.mark.parametrize("flow", PAIRED, ids=str)
@pytest.mark.parametrize("below", [1e-6, 0.1, 3.0, 1e5])
def test_values_below_the_threshold_have_preimages_in_the_upper_half_plane(flow, below):
    mu = flow.real_image.threshold.value - below
    with flint.ctx.workprec(128):
        z = flow.preimage(acb(mu))
        beside = flow.preimage(acb(mu, 1e-12 * abs(mu)))
    assert z.imag > 0
    assert missed(flow, z, mpmath.mpf(mu)) < 1e-25
    assert abs(complex(z) - complex(beside)) < 1e-4 * abs(complex(z))  # reached from above


@given(st.sampled_from(FLOWS), st.floats(0.05, 50), st.floats(1e-14, 1e-9))
def test_the_branch_is_continuous_up_to_the_real_line(flow, mu, height):
    with flint.ctx.workprec(128):
        on, off = flow.real_preimage(arb(mu)), flow.preimage(acb(mu, height))
    assert abs(complex(on) - complex(off)) < 1e-4 * (1 + abs(complex(on)))


@pytest.mark.parametrize("eps", [1e-300, 1e-12, 1e-5, 0.3, 1e5, 1e300])
def test_zero_has_a_preimage_for_every_mass(eps):
    flow = SecondOrder(eps)
    z = complex(flow.real_preimage(arb(0)))
    assert z.imag == 0
    a = 1 / (2 * mpmath.mpf(eps))
    with mpmath.workdps(50 + 2 * abs(round(math.log10(eps)))):
        alpha = mpmath.sqrt(-(mpmath.mpf(z.real) / eps) - (a**2)) if eps > 1e-4 else None
    if alpha is not None:  # psi(z) = exp(-a) (cos + a sin/alpha)
        value = mpmath.cos(alpha) + a * mpmath.sin(alpha) / alpha
        assert abs(value) < 1e-10 * (1 + a) ** 2
    else:  # -1/(4 eps) but for eps alpha², alpha < pi
        assert abs(z.real * 4 * eps + 1) < 1e-3


def test_series_of_an_inverse_branch_and_of_a_root():
    with series_length(6, 128):
        z = acb(0.3)
        inverse = inverse_branch(FirstOrder().series(z, 6), z, 6)
        value = z.exp()
        for k in range(1, 6):  # log(v + t) = z + t/v - t²/(2 v²) + ...
            assert abs(inverse[k] - (-1) ** (k + 1) / (k * value**k)) < 1e-30
        critical = acb(Undamped().critical_point())
        root = inverse_of_root(Undamped().series(critical, 8), critical, 2, 4)
        # cosh sqrt z + 1 = 2 cos²(alpha/2), z = -alpha²: alpha = pi - 2 arcsin(h/sqrt 2) on the
        # right of the critical point
        for h in (1e-3, 1e-2):
            exact = -((arb.pi() - 2 * (arb(h) / arb(2).sqrt()).asin()) ** 2)
            series = sum((root[k] * arb(h) ** k for k in range(4)), acb(0))
            assert abs(series - exact) < 10 * h**4
