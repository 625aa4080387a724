"""Exact input: the decision is the theorem of docs/mathematics/theorem.md."""

import json
import math
from fractions import Fraction
from pathlib import Path

import flint
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.flows import FirstOrder, MomentumResNet, ResNet, SecondOrder, Undamped
from odemom.representability.algebraic import AlgebraicNumber
from odemom.representability.exact import ExactSpectrum, Factor, factors_of
from odemom.representability.exact_matrix import ExactMatrix
from tests.oracles import (
    block_matrix,
    companion,
    conjugated,
    direct_sum,
    jordan_block,
    lambda_reference,
    representable,
    rotation_block,
    transpose,
)

DECISIONS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())[
    "decisions"
]
EPS = [0, Fraction(1, 10), Fraction(1, 4), Fraction(1, 2), 1, 2, 10, math.inf]


def decide(rows, eps):
    report = odemom.analyze(rows, eps)
    assert report.exact
    assert report.status == "certain"
    assert bool(report) == report.representable == (not report.obstructions)
    assert sum(e.multiplicity for e in report.eigenvalues) == report.dimension == len(rows)
    return report.representable


def jordan(rows):
    return ExactSpectrum(ExactMatrix.from_entries(rows)).jordan_structure()


@pytest.mark.parametrize("case", DECISIONS, ids=lambda c: f"d{len(c['D'])}-eps{c['eps']}")
def test_stored_decisions(case):
    rows = [[Fraction(x) for x in row] for row in case["D"]]
    assert decide(rows, case["eps"]) == case["representable"]
    found = {str(k): sorted(v) for k, v in jordan(rows).items() if isinstance(k, Fraction)}
    stored = {k: sorted(v) for k, v in case["jordan"].items()}
    rational = {k: v for k, v in stored.items() if k in found}
    assert found == rational


BLOCKS = [
    # eigenvalue, block sizes, flow, representable: docs/mathematics/theorem.md
    (-1, [1], Undamped(), True),
    (-1, [2], Undamped(), False),
    (-1, [2, 1], Undamped(), True),
    (-1, [3], Undamped(), False),
    (-1, [3, 2], Undamped(), True),
    (-1, [1, 1], Undamped(), True),
    (-1, [2, 2, 1], Undamped(), True),
    (-1, [3, 1], Undamped(), False),
    (-2, [1], Undamped(), False),
    (-2, [2, 2], Undamped(), True),
    (-2, [2, 1], Undamped(), False),
    (0, [3], Undamped(), True),
    (0, [1], FirstOrder(), False),
    (0, [2, 2], FirstOrder(), False),
    (-1, [1], FirstOrder(), False),
    (-1, [1, 1], FirstOrder(), True),
    (-1, [2, 2], FirstOrder(), True),
    (-1, [2, 1, 1], FirstOrder(), False),
    (-1, [2, 2, 1, 1], FirstOrder(), True),
    (3, [2, 1], FirstOrder(), True),
    (0, [3, 1], SecondOrder(Fraction(1, 10**30)), True),
    (0, [1], SecondOrder(Fraction(1, 100)), True),
    (-1, [1], SecondOrder(10**6), False),
    (-1, [1, 1], SecondOrder(Fraction(1, 2)), True),
    (Fraction(-1, 3), [2], SecondOrder(Fraction(1, 2)), True),
    (-5, [1], SecondOrder(Fraction(1, 2), "field"), True),
    (-5, [4, 1], SecondOrder(Fraction(1, 10**9), "field"), True),
    (Fraction(-1, 2), [1], SecondOrder(1, horizon=1), True),
    (Fraction(-1, 2), [1], SecondOrder(1, horizon=4), False),  # eps/T = 1/4
    (Fraction(-1, 2), [1], SecondOrder(Fraction(1, 4), horizon=Fraction(1, 4)), True),
]


@pytest.mark.parametrize(("mu", "sizes", "flow", "expected"), BLOCKS)
def test_the_table_of_the_theorem(mu, sizes, flow, expected):
    assert decide(block_matrix({Fraction(mu): sizes}), flow) is expected


def test_coprime_denominators_share_none_of_their_factors():
    report = odemom.analyze([[Fraction(-1, 6), 0], [0, Fraction(-1, 10)]], 0)
    assert [e.value for e in report.eigenvalues] == [Fraction(-1, 6), Fraction(-1, 10)]
    assert not report


eigenvalues = st.sampled_from([Fraction(p, q) for p, q in [(-3, 1), (-1, 1), (-1, 2), (-1, 9)]])
spectra = st.dictionaries(
    eigenvalues | st.sampled_from([Fraction(0), Fraction(2)]),
    st.lists(st.integers(1, 3), min_size=1, max_size=4).filter(lambda s: sum(s) <= 6),
    min_size=1,
    max_size=3,
)


@given(spectra, st.sampled_from(EPS), st.integers(0, 2**32 - 1))
@settings(max_examples=70)
def test_conjugated_jordan_matrices_are_decided_by_their_blocks(spectrum, eps, seed):
    rows = conjugated(block_matrix(spectrum), np.random.default_rng(seed))
    assert decide(rows, eps) == representable(spectrum, eps)
    assert {k: sorted(v) for k, v in jordan(rows).items()} == {
        k: sorted(v) for k, v in spectrum.items()
    }


# An irreducible p: the block companion [[C, I], [0, C]] gives every root a Jordan block.
def powers_of(coefficients, sizes):
    """A matrix whose eigenvalues are the roots of p, each with Jordan blocks of these sizes."""
    c, n = companion(coefficients), len(coefficients)
    blocks = []
    for k in sizes:
        rows = direct_sum(*[c] * k)
        for i in range(n * (k - 1)):
            rows[i][i + n] = Fraction(1)
        blocks.append(rows)
    return direct_sum(*blocks)


SQRT2, CUBE2, QUINTIC = [-2, 0], [-2, 0, 0], [1, -4, 0, 0, 0]  # x^5 - 4 x + 1: three real roots
IRRATIONAL = [
    # polynomial, block sizes, eps, representable
    (SQRT2, [1], 1, False),
    (SQRT2, [1], 0, False),
    (SQRT2, [2], 1, False),
    (SQRT2, [2, 2], 1, True),
    (SQRT2, [2, 2], 0, True),
    (SQRT2, [2, 1], math.inf, False),
    (SQRT2, [3, 3, 1, 1], Fraction(1, 100), True),
    (CUBE2, [1], 0, True),  # one positive root, a complex pair
    (CUBE2, [3], 0, True),
    ([2, 0, 0], [2], 0, False),  # x^3 + 2: one negative root
    ([2, 0, 0], [2, 2], 0, True),
    ([1, 0], [2], 0, True),  # +-i
    ([1, 3], [1], 1, False),  # (-3 +- sqrt 5)/2 = -0.38, -2.6: one below, one above
    ([1, 3], [1, 1], 1, True),
    ([1, 3], [1, 1, 1], 1, False),
    ([1, 3], [2, 2], 1, True),
    ([-1, 1], [1], 1, False),  # -1.618, 0.618
    (QUINTIC, [1], 10, False),
    (QUINTIC, [2, 2], 10, True),
    (QUINTIC, [2, 1], 10, False),
]


@pytest.mark.parametrize(("polynomial", "sizes", "eps", "expected"), IRRATIONAL)
def test_irrational_eigenvalues_are_decided_by_their_blocks(polynomial, sizes, eps, expected):
    rows = conjugated(powers_of(polynomial, sizes), np.random.default_rng(2))
    assert decide(rows, eps) is expected
    structure = jordan(rows)
    assert len(structure) == len(polynomial)
    assert {tuple(sorted(v)) for v in structure.values()} == {tuple(sorted(sizes))}
    x = sympy.Symbol("x")
    minimal = sympy.Poly([1, *reversed(polynomial)], x)
    real = [float(sympy.N(r, 20)) for r in sympy.Poly.real_roots(minimal)]
    keys = [key for key in structure if isinstance(key, AlgebraicNumber)]
    assert sorted(float(key) for key in keys if key.is_real) == pytest.approx(real, rel=1e-14)
    assert {key.polynomial for key in keys} == {(*polynomial, 1)}


def test_products_of_polynomials_keep_their_blocks_apart():
    rows = direct_sum(
        powers_of(SQRT2, [2, 2]), jordan_block(-1, 1), jordan_block(-1, 1), rotation_block(-5, 1, 2)
    )
    rows = conjugated(rows, np.random.default_rng(0))
    assert decide(rows, Fraction(1, 2))
    assert not decide(direct_sum(rows, companion(SQRT2)), Fraction(1, 2))


@pytest.mark.parametrize("digits", [20, 60, 400])
@pytest.mark.parametrize("eps", [Fraction(1, 2), Fraction(1, 50), Fraction(30)])
def test_eigenvalues_next_to_the_threshold_are_told_apart(eps, digits):
    with mpmath.workdps(digits + 60):
        scale = 10 ** (digits + int(0.5 / eps))  # lambda is about exp(-a)
        value = lambda_reference(eps, digits + 60)
        near = int(mpmath.floor(value * scale))
    assert not decide([[Fraction(near, scale)]], eps)
    assert decide([[Fraction(near + 1, scale)]], eps)
    assert decide(jordan_block(Fraction(near + 1, scale), 2), eps)
    # irrational eigenvalues +- sqrt(q) around it, by the companion matrix of x^2 - q
    below, above = Fraction(near, scale) ** 2 + Fraction(1, scale**3), 0
    assert not decide([[0, below], [1, above]], eps)


def test_the_numbers_of_the_docstrings_are_undecided_by_no_precision():
    # psi at eps = inf: -1 is rational, so equality is decided; sqrt near -1 is refined.
    assert decide([[0, 1 - Fraction(1, 10**30)], [1, 0]], math.inf)
    assert not decide([[0, 1 + Fraction(1, 10**30)], [1, 0]], math.inf)


def test_clustered_real_roots_are_isolated():
    # Mignotte: x^5 - 2 (a x - 1)^2 has two real roots within a^-3.5 of 1/a, equal as doubles.
    a = 10**9
    rows = companion([-2, 4 * a, -2 * a * a, 0, 0])
    assert len(jordan(rows)) == 5
    # mirrored: two simple eigenvalues near -1/a, above lambda_1 and above lambda_inf, below exp's 0
    mirrored = [[-x for x in row] for row in rows]
    assert not decide(mirrored, 0)
    assert len(jordan(mirrored)) == 5


@pytest.mark.parametrize("precision", [64, 128, 1000])
@pytest.mark.parametrize(
    "polynomial",
    [
        [-2, 0],
        [1, -4, 0, 0, 0],
        [-2, 4 * 10**9, -2 * 10**18, 0, 0],  # Mignotte's, for which Newton's method proves nothing
        [Fraction(1, 3), -4, Fraction(1, 7), 0, 0],
    ],
)
def test_a_real_root_is_refined_to_a_ball_that_holds_it(polynomial, precision):
    (factor,) = factors_of(ExactMatrix.from_entries(companion(polynomial)))
    certain = factor.roots(4 * precision)
    real = [i for i, root in enumerate(factor.approximate_roots) if root.imag == 0]
    assert len(real) >= 2
    for i in real:
        ball = factor.real_root(i, precision)
        assert ball.contains(certain[i].real)
        assert ball.rad() <= abs(ball.mid()) * flint.arb(2) ** -(precision // 2)


def test_a_well_separated_real_root_is_refined_alone(monkeypatch):
    (factor,) = factors_of(ExactMatrix.from_entries(companion(QUINTIC)))
    isolated = factor.approximate_roots

    def refuse(self, precision):
        raise AssertionError("all roots were isolated again")

    monkeypatch.setattr(Factor, "roots", refuse)
    for i, root in enumerate(isolated):
        if root.imag == 0:
            assert factor.real_root(i, 500).rad() < flint.arb(2) ** -400


def test_roots_that_round_to_the_same_double_remain_different_eigenvalues():
    # x^2 - 2 c x + (c^2 - 2): c +- sqrt 2 with c = 10^20
    c = 10**20
    assert len(jordan(companion([c * c - 2, -2 * c]))) == 2


NETS = [ResNet(2), ResNet(3), MomentumResNet("1/2", 2), MomentumResNet("9/10", 4)]


@given(spectra, st.sampled_from([*EPS, *NETS]), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_the_verdict_is_invariant(spectrum, flow, seed):
    rng = np.random.default_rng(seed)
    rows = direct_sum(block_matrix(spectrum), rotation_block(-1, 1, 1))
    verdict = decide(rows, flow)
    assert decide(conjugated(rows, rng), flow) == verdict
    assert decide(transpose(rows), flow) == verdict
    # 1 is a regular value of every flow: of psi at a z near 0
    assert decide(direct_sum(rows, block_matrix({Fraction(1): [1, 1]})), flow) == verdict


@given(spectra, st.sampled_from([*EPS, *NETS]))
@settings(max_examples=30)
def test_twice_a_matrix_is_representable_where_0_is_a_regular_value(spectrum, flow):
    rows = block_matrix({mu: sizes for mu, sizes in spectrum.items() if mu} or {Fraction(2): [1]})
    assert decide(direct_sum(rows, rows), flow)


@given(spectra)
@settings(max_examples=30)
def test_the_representable_set_grows_with_eps(spectrum):
    # at eps = inf too: what is paired below -1 stays so, and pairs meet the condition at -1
    verdicts = [decide(block_matrix(spectrum), eps) for eps in [*EPS[:-1], 10**6, math.inf]]
    assert verdicts == sorted(verdicts)


@pytest.mark.parametrize("eps", EPS)
def test_complex_pairs_never_obstruct(eps):
    rows = direct_sum(rotation_block(-5, 1, 3), rotation_block(-1, Fraction(1, 10**9), 1))
    assert decide(conjugated(rows, np.random.default_rng(4)), eps)


def test_non_real_eigenvalues_are_reported_as_such():
    report = odemom.analyze([[0, -1], [1, 0]], 1)
    assert [(e.position, e.multiplicity) for e in report.eigenvalues] == [("non-real", 1)] * 2
    number = report.eigenvalues[0].value
    assert isinstance(number, AlgebraicNumber)
    with pytest.raises(TypeError, match="is not real"):
        float(number)


def test_an_exact_tie_that_no_precision_separates_is_named(monkeypatch):
    import odemom.representability.exact as module

    monkeypatch.setattr(module, "LARGEST_PRECISION", 64)
    scale = 10**30
    with mpmath.workdps(60):
        near = Fraction(int(mpmath.floor(lambda_reference(1, 60) * scale)), scale)
    with pytest.raises(odemom.UndecidedError, match="agrees with lambda_eps"):
        odemom.analyze([[near]], 1)


@pytest.mark.parametrize("number", [int, float])
def test_the_reasons_of_a_net_of_odd_depth_are_right(number):
    """Below its threshold 0 every value is taken regularly, whatever the blocks."""
    reason = odemom.analyze([[number(-1)]], ResNet(3)).explain()
    assert (
        "All its real eigenvalues differ from the threshold 0, and psi takes every other" in reason
    )
    assert "block" not in reason
    assert "2 Jordan blocks" in odemom.analyze([[-1, 0], [0, -1]], ResNet(2)).explain()
    assert ", 1 layer. " in odemom.analyze([[-1]], ResNet(1)).explain()
