"""Floating input: "certain" is said of every matrix within tol ||D||, or it is not said."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.flows import ResNet, SecondOrder
from tests.oracles import (
    block_matrix,
    conjugated,
    direct_sum,
    floats,
    representable,
    rotation_block,
)

EPS = [0, 0.1, 0.5, 2.0, math.inf]
LAMBDA_HALF = -0.38332160026432561667


def analyze(matrix, eps, **options):
    report = odemom.analyze(np.asarray(matrix), eps, **options)
    assert report.dimension == len(matrix)
    assert bool(report) == report.representable == (not report.obstructions)
    assert report.reason == "" or report.status == "borderline"
    assert sum(e.multiplicity for e in report.eigenvalues) == report.dimension
    assert all(
        len(e.merged) in (0, e.multiplicity) and len(e.merged) != 1 for e in report.eigenvalues
    )
    return report


def well_conditioned(rng, d):
    q, _ = np.linalg.qr(rng.standard_normal((d, d)))
    return q @ np.diag(rng.uniform(0.5, 2, d)) @ np.linalg.qr(rng.standard_normal((d, d)))[0]


def similar(rng, matrix):
    v = well_conditioned(rng, len(matrix))
    return v @ matrix @ np.linalg.inv(v)


@given(
    st.dictionaries(
        st.sampled_from([Fraction(p, q) for p, q in [(-3, 1), (-1, 1), (-1, 2), (0, 1), (2, 1)]]),
        st.lists(st.integers(1, 3), min_size=1, max_size=3).filter(lambda s: sum(s) <= 5),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([0, Fraction(1, 10), Fraction(1, 2), 2, math.inf]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=80)
def test_a_certain_verdict_is_the_theorem(spectrum, eps, seed):
    rng = np.random.default_rng(seed)
    matrix = similar(rng, floats(direct_sum(block_matrix(spectrum), rotation_block(-1, 2, 1))))
    report = analyze(matrix, eps)
    if report.status == "certain":
        assert report.representable == representable(spectrum, eps)


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("seed", range(8))
def test_simple_spectra_away_from_the_threshold_are_certain(eps, seed):
    rng = np.random.default_rng(seed)
    simple = {Fraction(mu): [1] for mu in ([-3, 2, 5] if seed % 2 else [1, 2, 5])}
    report = analyze(similar(rng, floats(block_matrix(simple))), eps)
    assert report.status == "certain"
    assert report.representable == representable(simple, eps)


BORDERLINE = [
    # matrix, eps, the verdict for the nearest structured matrix
    (-np.eye(2), 0.5, True),
    (-np.eye(2), 0, True),
    (-np.eye(4), 0.5, True),
    (np.array([[-1.0, 1.0], [0.0, -1.0]]), 0.5, False),
    (np.kron(np.eye(2), [[-1.0, 1.0], [0.0, -1.0]]), 0.5, True),
    (np.array([[-1.0, 1e-17], [0.0, -1.0 - 1e-17]]), 0.5, True),
    (np.array([[LAMBDA_HALF]]), 0.5, True),
    (np.array([[LAMBDA_HALF, 1.0], [0.0, LAMBDA_HALF]]), 0.5, False),
    (np.diag([LAMBDA_HALF, 1.0]), 0.5, True),
    (np.array([[-1.0]]), math.inf, True),
    (np.array([[-1.0, 1.0], [0.0, -1.0]]), math.inf, False),
    (np.diag([0.0, 1.0]), 0, False),
    (np.array([[-1.0, 1e-16], [-1e-16, -1.0]]), 0.5, True),
    (np.diag([0.0, 1.0]), ResNet(3), True),  # only 0 can obstruct an odd net, by its blocks
    (np.array([[0.0, 1.0], [1e-17, 0.0]]), ResNet(3), False),
]


@pytest.mark.parametrize(("matrix", "eps", "verdict"), BORDERLINE)
def test_borderline_matrices_are_called_so_and_judged_by_the_nearest_structure(
    matrix, eps, verdict
):
    report = analyze(matrix, eps)
    assert report.status == "borderline"
    assert report.representable is verdict
    assert "Borderline" in report.explain()


CERTAIN = [
    (np.array([[-1.0]]), 0.5, False),
    (np.diag([-1.0, -1.001]), 0.5, False),
    (-np.eye(3), 0.5, False),  # odd: every matrix near has a simple eigenvalue near -1
    (np.array([[1.0, 1.0], [0.0, 1.0]]), 0, True),
    (np.array([[0.0, 1.0], [0.0, 0.0]]), 0.5, True),  # 0 > lambda
    (np.array([[-1.0, 0.1], [-0.1, -1.0]]), 0.5, True),
    (np.array([[LAMBDA_HALF + 1e-12]]), 0.5, True),
    (np.array([[LAMBDA_HALF - 1e-12]]), 0.5, False),
    (np.diag([-5.0, 3.0]), SecondOrder(0.5, "field"), True),
    (np.diag([-5.0, 3.0]), ResNet(3), True),
    (-np.eye(3), SecondOrder(0.5, "field"), True),
    (np.zeros((2, 2)), 0, False),  # the zero matrix is exact
    (np.zeros((2, 2)), 0.5, True),
]


@pytest.mark.parametrize(("matrix", "eps", "verdict"), CERTAIN)
def test_certain_matrices(matrix, eps, verdict):
    report = analyze(matrix, eps)
    assert (report.status, report.representable) == ("certain", verdict)


@pytest.mark.parametrize("tol", [None, 1e-10, 1e-6, 1e-3, 0.05])
@pytest.mark.parametrize("seed", range(12))
def test_no_perturbation_within_tol_changes_a_certain_verdict(seed, tol):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 6))
    # spectra with clusters of every kind, at distances comparable with tol
    spread = (tol or 1e-15) * 10 ** rng.uniform(-1, 3)
    diagonal = np.repeat(rng.choice([-1.0, LAMBDA_HALF, 0.3], d), 1) + spread * rng.standard_normal(
        d
    )
    upper = np.triu(rng.standard_normal((d, d)), 1) * rng.choice([0.0, 1.0], (d, d))
    rotation = np.zeros((d, d))
    if d > 1:
        rotation[0, 1], rotation[1, 0] = spread, -spread
    matrix = similar(rng, np.diag(diagonal) + upper * rng.choice([0, 1]) + rotation)
    report = analyze(matrix, 0.5, tol=tol)
    if report.status != "certain":
        return
    assert report.tol is not None
    size = report.tol * np.linalg.norm(matrix, 2)
    u, _, v = np.linalg.svd(matrix - LAMBDA_HALF * np.eye(d))
    least = np.outer(u[:, -1], v[-1])  # takes an eigenvalue to the threshold the shortest way
    changes = [least, -least]
    for _ in range(20):
        change = rng.standard_normal((d, d))
        if rng.random() < 0.5:
            change = np.outer(rng.standard_normal(d), rng.standard_normal(d))
        changes.append(change)
    for change in changes:
        near = matrix + 0.98 * size / np.linalg.norm(change, 2) * change
        assert odemom.is_representable(near, 0.5, exact=True) == report.representable


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize(
    ("distance", "status"), [(0.1, "borderline"), (0.6, "borderline"), (30, "certain")]
)
def test_a_pair_is_certain_only_beyond_the_reach_of_real_eigenvalues(seed, distance, status):
    # C has -1 +- e i and lies e² from J_2(-1): taking the least singular value of D + I past 0
    # changes the sign of det(D + I), so makes an odd number of real eigenvalues below -1.
    rng, tol = np.random.default_rng(seed), 1e-12
    copies, e2 = int(rng.integers(1, 3)), distance * tol * (1 + math.sqrt(5)) / 2
    q, _ = np.linalg.qr(rng.standard_normal((2 * copies, 2 * copies)))
    matrix = q @ np.kron(np.eye(copies), [[-1.0, 1.0], [-e2, -1.0]]) @ q.T
    assert odemom.is_representable(matrix, 0.5, exact=True)
    u, singular, vt = np.linalg.svd(matrix + np.eye(2 * copies))
    near = matrix - 1.5 * singular[-1] * np.outer(u[:, -1], vt[-1])
    assert not odemom.is_representable(near, 0.5, exact=True)
    reached = np.linalg.norm(near - matrix, 2) / np.linalg.norm(matrix, 2)
    assert reached == pytest.approx(1.5 * distance * tol, rel=0.01)
    report = analyze(matrix, 0.5, tol=tol)
    assert report.status == status
    assert report.representable or status == "borderline"


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("tol", [1e-15, 1e-17, 1e-300])
@pytest.mark.parametrize("sizes", [[2, 2], [3, 1]])
def test_a_tol_below_roundoff_makes_no_certainty(seed, tol, sizes):
    # exactly representable doubles with two blocks of -1, which every rounding splits: into what
    # is representable, and into what is not
    rng = np.random.default_rng(seed)
    rows = conjugated(block_matrix({Fraction(-1): sizes, Fraction(3): [1]}), rng)
    report = analyze(floats(rows), 0.5, tol=tol)
    assert (report.status, report.tol) == ("borderline", 4 * len(rows) * 2.0**-52)


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_the_verdict_at_eps_0_has_no_unit_of_length(scale):
    for matrix, verdict in [(np.diag([-1.0, -2.0]), False), (np.diag([1.0, 2.0]), True)]:
        report = analyze(matrix * scale, 0)
        assert (report.status, report.representable) == ("certain", verdict)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e308, -1e308])
def test_matrices_whose_norm_overflows_are_refused_by_name_and_answered_exactly(value):
    matrix = np.full((3, 3), value) + np.diag([1e300, 2e300, 3e300])
    with pytest.raises(odemom.InvalidInputError, match=r"entry of size 1e\+308.* exact=True"):
        odemom.analyze(matrix, 1)
    # rank 1 and a small diagonal: an eigenvalue near 3 value, and two between the small ones
    below = [e.position for e in odemom.analyze(matrix, 1, exact=True).eigenvalues].count("below")
    assert below == (0 if value > 0 else 1)


@pytest.mark.parametrize(
    ("matrix", "tol"),
    [
        ([[-0.945036, -0.038766], [0.036128, -0.378276]], 0.094),
        ([[-0.505588, -0.022173], [-0.012538, -0.390314]], 0.0283),
    ],
)
def test_what_is_certain_is_explained_by_the_spectrum_as_computed_where_merging_denies_it(
    matrix, tol
):
    # each of the two may be moved to the threshold by tol ||D||, but not both at once
    report = analyze(matrix, 0.5, tol=tol)
    assert (report.status, report.representable) == ("certain", False)
    expected = np.sort(np.linalg.eigvals(matrix))
    assert [e.value for e in report.eigenvalues] == pytest.approx(expected)
    assert report.obstructions[0].eigenvalue.value == pytest.approx(expected[0])


def test_what_was_merged_is_reported():
    matrix = similar(np.random.default_rng(0), floats(block_matrix({Fraction(-1): [2, 2]})))
    report = analyze(matrix, 0.5)
    (eigenvalue,) = report.eigenvalues
    assert eigenvalue.value == pytest.approx(-1)
    assert eigenvalue.blocks == (2, 2)
    assert len(eigenvalue.merged) == eigenvalue.multiplicity == 4
    assert "were merged into -1" in report.reason


@pytest.mark.parametrize(
    "matrix",
    [np.array([[-1.0, 1.0], [-1.0, -1.0]]), np.diag([2.0, 3.0]), -np.eye(3)],
)
@pytest.mark.parametrize("eps", EPS)
def test_multiplicities_add_up_to_the_dimension_as_on_exact_input(matrix, eps):
    for report in (analyze(matrix, eps), odemom.analyze(matrix.astype(int), eps)):
        assert sum(e.multiplicity for e in report.eigenvalues) == len(matrix)


def test_float32_is_judged_with_the_roundoff_of_float32():
    rng = np.random.default_rng(1)
    matrix = similar(rng, floats(block_matrix({Fraction(-1): [1, 1], Fraction(2): [1]})))
    narrow = matrix.astype(np.float32)
    assert analyze(narrow, 0.5).tol == pytest.approx(12 * 2.0**-23)
    assert analyze(narrow, 0.5).representable
    assert analyze(narrow, 0.5).status == "borderline"
    # as doubles the rounding errors are data: two simple eigenvalues, or a pair
    wide = analyze(narrow.astype(np.float64), 0.5)
    assert wide.tol == pytest.approx(12 * 2.0**-52)
    assert wide.representable == odemom.is_representable(narrow, 0.5, exact=True)


def test_exact_reads_doubles_as_the_dyadics_they_are():
    # 0.1 + 0.2 > 0.3: a simple eigenvalue pair against a double one
    assert not odemom.is_representable(-np.diag([0.1 + 0.2, 0.3]), 0, exact=True)
    assert odemom.is_representable(-np.diag([0.1 + 0.2, 0.3]), 0)  # merged
    report = odemom.analyze([[-0.1]], 0, exact=True)
    assert report.eigenvalues[0].value == Fraction(-0.1) != Fraction(-1, 10)
    assert report.exact
    assert report.tol is None


def test_exact_true_keeps_large_integers_beside_floats():
    report = odemom.analyze([[2**60 + 1, 0.5], [0, 1]], 1, exact=True)
    assert {e.value for e in report.eigenvalues} == {1, 2**60 + 1}


def test_exact_false_rounds_exact_numbers():
    report = odemom.analyze([[-1, 0], [0, -1]], 0.5, exact=False)
    assert (report.exact, report.status) == (False, "borderline")


def test_explanations_say_what_was_decided_and_how():
    certain = analyze(np.diag([-1.0, 2.0]), 0.5).explain()
    assert "The eigenvalue -1 lies below lambda_eps = -0.383322" in certain
    assert "Certain: the answer is the same for every matrix within" in certain
    assert (
        "Its other real eigenvalues lie above" in analyze(np.diag([-1.0, -1.0, 2.0]), 0.5).explain()
    )
    assert "no real eigenvalue" in analyze(np.array([[0.0, -1.0], [1.0, 0.0]]), 0.5).explain()
    assert "no matrix is obstructed" in analyze(-np.eye(2), SecondOrder(1, "field")).explain()


@pytest.mark.parametrize("seed", range(6))
def test_transposition_and_orthogonal_similarity_keep_verdict_and_status(seed):
    rng = np.random.default_rng(seed)
    matrix = similar(rng, np.diag([-1.0, -2.0, 0.5, 3.0][seed % 2 :]))
    q, _ = np.linalg.qr(rng.standard_normal(matrix.shape))
    for eps in EPS:
        report = analyze(matrix, eps)
        for other in (matrix.T, q @ matrix @ q.T):
            found = analyze(other, eps)
            assert (found.representable, found.status) == (report.representable, report.status)


@given(st.integers(1, 5), st.sampled_from(EPS), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_certain_verdicts_are_invariant_and_grow_with_eps(d, eps, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((d, d))
    with_identity = np.eye(d + 1)
    with_identity[:d, :d] = matrix
    same = [matrix, matrix.T, similar(rng, matrix), with_identity]
    found = [analyze(m, eps) for m in same]
    assert len({r.representable for r in found if r.status == "certain"}) <= 1
    assert [r.status for r in found].count("certain") >= 3  # a random spectrum is well apart
    larger = analyze(matrix, 2 * eps + 0.1)
    assert larger.representable >= found[0].representable


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_pairs_near_the_real_line_are_never_falsely_certain(seed):
    # Q diag(C, C) Q^T, C = [[-1, e], [-e, -1]] with e below delta: diag(-1, -1 + e') is as near.
    rng = np.random.default_rng(seed)
    c = np.array([[-1.0, 1e-16 * rng.integers(1, 9)], [0.0, -1.0]])
    c[1, 0] = -c[0, 1]
    q, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    assert analyze(q @ np.kron(np.eye(2), c) @ q.T, 0.5).status == "borderline"


# --- matrices among the smallest doubles ----------------------------------------------------------


SMALLEST = 5e-324
GROWN = [[-1, 2.0**-20, 2.0**8, 0], [-(2.0**-20), -1, 0, 2.0**8]]
NEARLY_JORDAN = np.array([*GROWN, [0, 0, -1, 2.0**-20], [0, 0, -(2.0**-20), -1]]) * 2.0**-1040


def test_what_doubles_do_not_resolve_is_borderline():
    """As the same matrix 2**1040 times as large is; within its tolerance lie both answers."""
    assert analyze(NEARLY_JORDAN, ResNet(2)).status == "borderline"


@pytest.mark.parametrize("scale", [1e-322, 1e-316, 1e-311, 1e-308])
@pytest.mark.parametrize("seed", range(4))
def test_among_the_smallest_doubles_what_is_certain_is_right(seed, scale):
    rng = np.random.default_rng(seed)
    drawn = scale * 10 * rng.standard_normal((3, 3))
    for matrix in (drawn, drawn + drawn.T, np.triu(drawn), np.diag([-scale, -scale, scale])):
        for flow in (0, ResNet(2), 6e-4, 0.5):
            report = analyze(matrix, flow)
            exact = odemom.is_representable(matrix, flow, exact=True)
            assert report.status == "borderline" or report.representable == exact
            assert odemom.is_representable(matrix[None], flow)[0] == report.representable
        spectra = [odemom.spectrum(matrix, exact=exact) for exact in (False, True)]
        for (low, high), (exact_low, exact_high) in (
            [found.minimal_eps().interval for found in spectra],
            [found.maximal_scale(1).interval for found in spectra],
        ):
            assert low <= exact_high
            assert exact_low <= high


@pytest.mark.parametrize("entry", [-SMALLEST, -1e-310])
def test_extremes_of_the_smallest_doubles_end(entry):
    """The tolerance times the norm was 0, and a search that doubles it had no end."""
    assert odemom.minimal_eps([[0.0, entry], [0.0, 0.0]]).interval[0] == 0
    assert odemom.maximal_scale(np.diag([entry, entry]), 1).interval[1] == math.inf
