"""Numbers that no double holds: taken as they are or refused, and never rounded to another one."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

import odemom
from odemom import InvalidInputError, ResultOverflowError
from odemom.flows import MomentumResNet, ResNet, flow_of
from odemom.representability.schur import default_tol

HUGE = [mpmath.mpf("1e400"), sympy.Float("1e400"), "1e400"]
TINY = [mpmath.mpf("1e-400"), sympy.Float("1e-400"), "1e-400"]
EXTENDED = np.finfo(np.longdouble).nmant > 52
extended = pytest.mark.skipif(not EXTENDED, reason="long doubles are doubles here")


@pytest.mark.parametrize("eps", HUGE, ids=lambda eps: type(eps).__name__)
def test_a_huge_mass_is_not_that_of_the_undamped_flow(eps):
    assert not odemom.is_representable([[-1]], eps)
    assert odemom.is_representable([[-1]], "inf")


@pytest.mark.parametrize("eps", TINY, ids=lambda eps: type(eps).__name__)
def test_a_tiny_mass_is_not_that_of_the_first_order_flow(eps):
    assert odemom.is_representable([[0]], eps)
    assert not odemom.is_representable([[0]], 0)


@extended
def test_long_doubles_are_the_dyadic_rationals_that_they_are():
    assert not odemom.is_representable([[-1]], np.longdouble("1e4000"))
    assert odemom.is_representable([[0]], np.longdouble("1e-4000"))
    tenth = np.longdouble(1) / 10
    assert flow_of(tenth) == flow_of(Fraction(*tenth.as_integer_ratio())) != flow_of(float(tenth))
    assert flow_of(np.longdouble(0.5)) == flow_of(0.5)
    near_one = np.longdouble(1) - np.longdouble(2) ** -60
    assert not odemom.analyze([[-1]], gamma=near_one)


def test_a_mass_of_no_short_rational_is_refused():
    with pytest.raises(InvalidInputError, match=r"eps: got .* which no double holds"):
        odemom.analyze([[0]], mpmath.mpf("1e-40000"))


ENTRIES = [mpmath.mpf("-1e-400"), sympy.Float("-1e-400"), mpmath.mpf("-1e400")]


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_an_entry_that_doubles_do_not_hold_is_refused_or_exact(entry):
    matrix = [[entry, 0], [0, entry]]
    with pytest.raises(InvalidInputError, match=r"at \[0, 0\], which no double holds"):
        odemom.analyze(matrix, 0)
    assert odemom.analyze(matrix, 0, exact=True)  # twice the same eigenvalue, below 0


@extended
@pytest.mark.parametrize("as_array", [list, np.array])
def test_a_long_double_that_doubles_round_to_zero_is_refused_or_exact(as_array):
    matrix = as_array([[np.longdouble("-1e-4000")]])
    with pytest.raises(InvalidInputError, match=r"at \[0, 0\], of which doubles make 0"):
        odemom.analyze(matrix, 1)
    assert odemom.analyze(matrix, 1, exact=True)
    assert not odemom.analyze(matrix, 0, exact=True)


@pytest.mark.parametrize("token", ["-1e-400", "-1e-100/1e300", "2.5E-400"])
def test_text_that_doubles_round_to_zero_is_refused_or_exact(token, run):
    text = f"[{token} 0; 0 {token}]"
    if "/" not in token:
        code, _, errors = run("check", text, "--eps", "0")
        assert code == 2
        assert f"got '{token}' in row 1, column 1; expected a number within the doubles" in errors
        assert run("check", text, "--eps", "0", "--exact", "--quiet")[0] == 0
    assert run("check", "[0e-400 0; 0 0.0]", "--eps", "1", "--quiet")[0] == 0


@pytest.mark.parametrize(
    "scale", [1e18, *(pytest.param(s, marks=pytest.mark.slow) for s in (1e100, 1e290))]
)
@pytest.mark.parametrize("flow", [0, 0.5, MomentumResNet("9/10", 5)], ids=str)
def test_nearly_defective_matrices_of_large_entries_have_witnesses(scale, flow):
    for seed in range(10):
        q = np.linalg.qr(np.random.default_rng(seed).standard_normal((2, 2)))[0]
        D = scale * (q @ np.array([[1.0, 1.0], [0.0, 1.0]]) @ q.T)
        assert odemom.represent(D, flow, full_output=True).residual < 1e-9


def chain(blocks, real, imaginary, coupling):
    """A chain of equal complex pairs: far from normal, its pseudospectrum meets the real line."""
    pairs = np.kron(np.eye(blocks), [[real, imaginary], [-imaginary, real]])
    return pairs + np.kron(np.diag(np.ones(blocks - 1), 1), coupling * np.eye(2))


@pytest.mark.parametrize(
    ("blocks", "real", "imaginary", "coupling"),
    [
        (33, -2.0, 0.1, 0.3),
        pytest.param(33, -4.0, 0.05, 0.35, marks=pytest.mark.slow),
        pytest.param(35, -1.0, 0.1, 0.3, marks=pytest.mark.slow),
        (35, -0.8, 0.05, 0.3),
    ],
)
def test_large_matrices_with_an_obstructed_neighbour_are_borderline(
    blocks, real, imaginary, coupling
):
    D = chain(blocks, real, imaginary, coupling)
    report = odemom.analyze(D, 0.5)
    assert report.status == "borderline"
    u, _, v = np.linalg.svd(D - real * np.eye(len(D)))
    neighbour = D - 1e-14 * np.outer(u[:, -1], v[-1])
    assert np.linalg.norm(neighbour - D, 2) < default_tol(len(D), 2**-52) * np.linalg.norm(D, 2)
    assert not odemom.is_representable(neighbour, 0.5, exact=True)


@pytest.mark.parametrize("d", [66, 100])
def test_large_matrices_with_no_obstructed_neighbour_are_certain(d):
    eye = np.eye(d)
    D = -(eye - np.eye(d, k=-1) + np.eye(d, k=1) + np.eye(d, k=2) + np.eye(d, k=3))
    assert odemom.analyze(D, 0.5).status == odemom.minimal_eps(D).status == "certain"


def test_scales_below_the_doubles_are_told_from_none():
    ways = {eps: odemom.routes([[-1]], eps)["smaller scale"] for eps in ("1e-300", "1/10000", 0)}
    assert [way.what for way in ways.values()] == [
        "a D, a below the doubles", "a D, a below the doubles", "no scale suffices",
    ]  # fmt: skip
    assert all(way.norm is None for way in ways.values())


def test_advice_on_condition_numbers_can_be_followed():
    for theta, flow in (([[1e200]], ResNet(5)), ([[-1.0]], ResNet(2))):
        with pytest.raises(ResultOverflowError) as refused:
            odemom.psi_cond(theta, flow)
        assert "scaled=True" not in str(refused.value)
    with pytest.raises(ResultOverflowError, match="scaled=True gives the condition number"):
        odemom.psi_cond([[1e8]], 0.5)
    assert np.isfinite(odemom.psi_cond([[1e8]], 0.5, scaled=True))


@pytest.mark.parametrize(
    "spectrum", [odemom.resnet_spectrum, lambda K: odemom.momentum_spectrum(K, 0.5)]
)
def test_spectra_beyond_the_doubles_are_refused(spectrum):
    with pytest.raises(ResultOverflowError, match="the eigenvalues of K exceed"):
        spectrum([[1.7e308] * 2] * 2)


def test_times_and_shapes_that_are_symbols_are_no_numbers():
    with pytest.raises(InvalidInputError, match=r"^eps: got"):
        odemom.analyze([[-1]], np.timedelta64(1))
    with pytest.raises(InvalidInputError, match=r"^eps: got"):
        odemom.psi([[-1]], np.timedelta64(1, "s"))
    with pytest.raises(InvalidInputError, match="whose entries are not known"):
        odemom.analyze(sympy.Identity(sympy.Symbol("n")), 1)
