"""psi_multiply against psi, and against separable solutions of partial differential equations."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import odemom
from odemom.flows import Coasting, SecondOrder, action_plans
from odemom.flows.operators import as_operator
from tests.oracles import UNIT

RNG = np.random.default_rng(5)
GENERAL, BLOCK = 2 * RNG.standard_normal((8, 8)), RNG.standard_normal((8, 3))
SYMMETRIC = -GENERAL @ GENERAL.T
TEXT: Any = "ab"


def drift(n, peclet):
    """u_xx + peclet u_x on a grid of n points, which is stiff and not symmetric."""
    offsets: Any = (-1, 0, 1)
    below, above = (n + 1) ** 2 - peclet * (n + 1) / 2, (n + 1) ** 2 + peclet * (n + 1) / 2
    diagonals = [below, -2.0 * (n + 1) ** 2, above]
    return sp.csr_array(sp.diags_array(diagonals, offsets=offsets, shape=(n, n)))


UNKNOWN_STIFF = aslinearoperator(drift(3000, 2.0))
UNKNOWN_HEAT = aslinearoperator(drift(3000, 0.0))
KINDS = {
    "dense": lambda theta: theta,
    "sparse": sp.csr_array,
    "sparse, by columns": sp.csc_matrix,
    "operator": aslinearoperator,
}


@pytest.mark.parametrize("eps", [0, 1e-8, 1e-2, 0.5, 10, math.inf])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("theta", [GENERAL, SYMMETRIC], ids=["general", "symmetric"])
def test_the_action_is_that_of_the_matrix(theta, kind, eps):
    for velocity in ("zero", "field") if 0 < eps < math.inf else ("zero",):
        flow = {"initial_velocity": velocity, "horizon": 1.5}
        expected = odemom.psi(theta, eps, **flow) @ BLOCK
        computed = odemom.psi_multiply(KINDS[kind](theta), BLOCK, eps, **flow)
        # Terms of alternating sign may cost STEP_GROWTH² = 400 u a step, of some 20 steps.
        allowed = 1e-11 * max(np.abs(expected).max(), 1.0)
        assert np.abs(computed - expected).max() <= allowed


@pytest.mark.parametrize("eps", [5e-324, 1e-310, 1e-300, 1e-160, 1e160, 1e300, 1.7e308])
@pytest.mark.parametrize("velocity", ["zero", "field"])
def test_extreme_masses(eps, velocity):
    shifted = SYMMETRIC / np.abs(SYMMETRIC).max()
    for theta in (GENERAL / 4, shifted, 1e-300 * GENERAL, 0 * GENERAL):
        expected = odemom.psi(theta, eps, initial_velocity=velocity) @ BLOCK
        computed = odemom.psi_multiply(theta, BLOCK, eps, initial_velocity=velocity)
        assert np.allclose(computed, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("center", [-300.0, 300.0])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_the_exponential_of_a_theta_far_from_zero(center, kind):
    theta = GENERAL + center * np.eye(8)
    expected = math.exp(center) * (odemom.psi(GENERAL, 0) @ BLOCK)
    computed = odemom.psi_multiply(KINDS[kind](theta), BLOCK, 0)
    assert np.abs(computed / expected - 1).max() <= 1e-11


def test_a_vector_gives_a_vector():
    vector = odemom.psi_multiply(GENERAL, BLOCK[:, 0], 0.5)
    assert vector.shape == (8,)
    assert np.allclose(vector, odemom.psi(GENERAL, 0.5) @ BLOCK[:, 0], rtol=1e-12)


def laplacian(n):
    """-L of the n x n grid graph, and its eigenvectors' factors: cos(pi p (i + 1/2)/n)."""
    offsets: Any = (-1, 0, 1)
    line = sp.diags_array([1.0, -2.0, 1.0], offsets=offsets, shape=(n, n)).tolil()
    line[0, 0] = line[-1, -1] = -1
    identity = sp.eye_array(n)
    return sp.csr_array(sp.kron(line, identity) + sp.kron(identity, line))


def separable(n, eps, horizon):
    """A start of four product modes, and psi of it."""
    nodes = np.arange(n) + 0.5
    start, expected = 0.0, 0.0
    for p, q in ((1, 2), (n // 12, n // 30), (n // 2, n // 3), (n - 1, n - 1)):
        mode = np.outer(np.cos(np.pi * p * nodes / n), np.cos(np.pi * q * nodes / n)).ravel()
        z = -4 * (math.sin(np.pi * p / 2 / n) ** 2 + math.sin(np.pi * q / 2 / n) ** 2)
        start = start + mode
        expected = expected + odemom.flows.flow_of(eps, horizon=horizon).scalar(z) * mode
    return start, expected


@pytest.mark.parametrize("n", [60, 500])
@pytest.mark.parametrize("eps", [0, 0.1, 1.0, 100.0])
def test_the_damped_wave_on_a_grid_is_within_1e_10_of_the_separable_solution(n, eps):
    start, expected = separable(n, eps, 10)
    assert (
        np.abs(odemom.psi_multiply(laplacian(n), start, eps, horizon=10) - expected).max() < 1e-10
    )


def test_an_operator_of_known_interval_needs_no_transpose():
    start, expected = separable(40, 1.0, 10)
    theta = laplacian(40)
    make: Any = LinearOperator
    operator = make(theta.shape, matvec=lambda x: theta @ x, dtype=float)
    computed = odemom.psi_multiply(operator, start, 1.0, horizon=10, interval=(-8, 0))
    assert np.abs(computed - expected).max() < 1e-12
    with pytest.raises(odemom.InvalidInputError, match="interval"):
        odemom.psi_multiply(operator, start, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: odemom.psi_multiply(GENERAL, BLOCK[:5], 0.5), "X: got shape"),
        (lambda: odemom.psi_multiply(GENERAL, BLOCK * 1j, 0.5), "X: got a complex"),
        (lambda: odemom.psi_multiply(GENERAL, BLOCK * np.nan, 0.5), "X"),
        (lambda: odemom.psi_multiply(sp.csr_array(GENERAL * 1j), BLOCK, 0.5), "complex"),
        (lambda: odemom.psi_multiply(sp.csr_array(GENERAL[:4]), BLOCK, 0.5), "rows"),
        (lambda: odemom.psi_multiply(SYMMETRIC, BLOCK, 0.5, interval=(1, 0)), "interval"),
        (lambda: odemom.psi_multiply(SYMMETRIC, BLOCK, 0.5, interval=TEXT), "interval"),
        (
            lambda: odemom.psi_multiply(UNKNOWN_HEAT, np.ones(3000), 0.5, interval=(-1e15, 0)),
            "varies beyond reach",
        ),
        (lambda: odemom.psi_multiply(UNKNOWN_STIFF, np.ones(3000), 0.5), "some .* products"),
        (lambda: odemom.psi_multiply(GENERAL, BLOCK, 0.5, max_products=0), "max_products"),
        (lambda: odemom.psi_multiply(GENERAL, BLOCK, odemom.flows.ResNet(3)), "ODE"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(odemom.InvalidInputError, match=message):
        call()


def test_an_overflow_is_refused():
    with pytest.raises(odemom.ResultOverflowError, match="psi_multiply"):
        odemom.psi_multiply([[800.0]], [1.0], 0)


# --- stiff matrices ---------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [0, 1e-15, 1e-6, 1e-4, 1e-3, 2e-3, 0.1, 1, math.inf])
@pytest.mark.parametrize("lowest", [-40.0, -2600.0, -1.3e6])
def test_what_is_left_of_a_decaying_psi_is_at_the_upper_end(lowest, eps):
    theta = np.diag([0.0, -0.5, lowest])
    computed = odemom.psi_multiply(theta, np.ones(3), eps)
    # The roundoff of theta minus the middle of the interval moves its eigenvalues.
    allowed = 1e-14 * len_of_expansion(lowest) + 2.0**-53 * abs(lowest)
    assert np.abs(computed - np.diag(odemom.psi(theta, eps))).max() < allowed


def len_of_expansion(lowest):
    return 32 + 6 * math.sqrt(-lowest)


@pytest.mark.parametrize("eps", [0, 1e-6, 1e-3, 0.1])
@pytest.mark.parametrize("n", [300, 700])
def test_insulated_walls_keep_the_energy_of_a_stiff_equation(n, eps):
    line = np.diag(np.full(n, -2.0)) + np.eye(n, k=1) + np.eye(n, k=-1)
    line[0, 0] = line[-1, -1] = -1
    theta = (n - 1) ** 2 * sp.csr_array(line)
    assert np.abs(odemom.psi_multiply(theta, np.ones(n), eps) - 1).max() < 1e-12


@pytest.mark.parametrize("norm", [1e3, 1e6, 1e100])
def test_a_nilpotent_theta_takes_one_step(norm):
    computed = odemom.psi_multiply([[0, norm], [0, 0]], [1.0, 1.0], 0)
    np.testing.assert_array_equal(computed, [1 + norm, 1])


# --- operators --------------------------------------------------------------------------------


def operator(product, **more):
    make: Any = LinearOperator
    return make((3, 3), matvec=product, rmatvec=product, dtype=float, **more)


def read_only(v):
    image = 1.0 * v
    image.flags.writeable = False
    return image


OF_ITSELF = operator(lambda v: v, matmat=lambda v: v, rmatmat=lambda v: v)
READ_ONLY = operator(read_only, matmat=read_only)
INTEGERS = operator(lambda v: v, matmat=lambda v: np.rint(v).astype(np.int64))


@pytest.mark.parametrize(
    ("theta", "interval"),
    [
        (OF_ITSELF, None),
        (OF_ITSELF, (0, 2)),
        (READ_ONLY, None),
        (READ_ONLY, (0, 2)),
        (INTEGERS, (0, 2)),
    ],
)
def test_what_an_operator_returns_is_not_written_to(theta, interval):
    block = np.array([[1.0, 4], [2, 5], [3, 6]])
    computed = odemom.psi_multiply(theta, block, 0, interval=interval)
    np.testing.assert_allclose(computed, math.e * block, rtol=1e-13)
    np.testing.assert_array_equal(block, [[1, 4], [2, 5], [3, 6]])


@pytest.mark.parametrize(
    ("product", "message"),
    [(lambda v: 1j * v, "complex128"), (lambda v: np.nan * v, "not finite")],
)
def test_operators_that_are_no_real_matrix_are_refused(product, message):
    with pytest.raises(odemom.InvalidInputError, match=message):
        odemom.psi_multiply(operator(product), np.ones(3), 0.5)


def test_the_global_random_state_is_left_alone():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    odemom.psi_multiply(GENERAL, BLOCK, 0.5)
    assert np.random.rand() == expected  # noqa: NPY002


def test_exact_numbers_are_vectors_too():
    exact = [Fraction(1, 2), 1, 2]
    computed = odemom.psi_multiply(np.eye(3), exact, 0)
    np.testing.assert_allclose(computed, math.e * np.array([0.5, 1, 2]), rtol=1e-14)
    ragged: Any = [[1, 2], [3]]
    with pytest.raises(odemom.InvalidInputError, match="rows of different lengths"):
        odemom.psi_multiply(np.eye(2), ragged, 0.5)
    masked = np.ma.masked_array(np.ones(3), mask=np.array([True, False, False]))
    with pytest.raises(odemom.InvalidInputError, match="masked"):
        odemom.psi_multiply(np.eye(3), masked, 0.5)


@pytest.mark.parametrize("corner", [1e100, 1e155, 1e162, 1e200])
def test_what_vanishes_beside_a_huge_corner_is_not_forgotten(corner):
    theta = np.array([[0, corner, 0], [0, 0, 0], [0, 0, 1.0]])
    value = odemom.psi_multiply(aslinearoperator(theta), [0.0, 0.0, 1.0], 0)
    np.testing.assert_allclose(value, [0, 0, math.e], rtol=1e-12)


def test_products_beyond_the_doubles_are_refused():
    with pytest.raises(odemom.InvalidInputError, match="products"):
        odemom.psi_multiply(np.full((2, 2), 1e308), np.ones(2), 0)


# --- stiff and not symmetric -------------------------------------------------------------------


@pytest.mark.parametrize("eps", [0, 1e-12, 1e-6, 1e-2, 0.5, 1e3, math.inf])
@pytest.mark.parametrize("a", [1e2, 1e5, 1e12])
def test_a_small_stiff_theta_takes_psi_itself(a, eps):
    """A step for every unit of norm took 25 s at 1e5."""
    theta = np.array([[-a, a], [0, 0]])
    for given in (theta, sp.csr_array(theta), aslinearoperator(theta)):
        computed = odemom.psi_multiply(given, [1.0, 1.0], eps)
        np.testing.assert_allclose(computed, [1.0, 1.0], rtol=0, atol=max(1e-12, UNIT * a))


@pytest.mark.parametrize(("eps", "horizon"), [(0, 1), (0, 0.01), (1e-10, 0.01)])
def test_a_large_stiff_theta_takes_solves(eps, horizon, monkeypatch):
    """Products: one for every unit of norm, here 6e5."""
    theta = drift(400, 2.0)
    start = np.random.default_rng(0).standard_normal((400, 2))
    # exp(theta) of this one from the eigenvectors of the symmetric matrix that is similar to it
    ratio = math.sqrt(theta[0, 1] / theta[1, 0])
    scale = ratio ** -np.arange(400.0)
    symmetric = scale * theta.toarray() / scale[:, None]
    values, vectors = np.linalg.eigh((symmetric + symmetric.T) / 2)
    psi = odemom.flows.flow_of(eps, horizon=horizon).scalar(values)
    expected = scale[:, None] * ((vectors * psi) @ (vectors.T @ (start / scale[:, None])))
    monkeypatch.setattr(action_plans, "LARGEST_DENSE", 10)
    computed = odemom.psi_multiply(theta, start, eps, horizon=horizon)
    allowed = 4 * UNIT * 6.4e5 * np.abs(psi).max() * np.linalg.norm(start)
    assert np.linalg.norm(computed - expected) <= allowed


def between_walls(n, peclet):
    """The same with columns that add up to 0 at the walls: an eigenvalue 0, at which psi is 1."""
    theta: Any = drift(n, peclet).tolil()
    theta[0, 0], theta[-1, -1] = -theta[1, 0], -theta[-2, -1]
    return sp.csr_array(theta)


COASTING = [
    (Coasting("1e-12", "3/4", 5), 12),
    (Coasting("1e-12", "1/4"), 60),
    (Coasting("1e-4", "3/4", 5), 12),
    (Coasting("1e-5", "1/4"), 60),
    (Coasting("1/1000", "1/4"), 12),
    (SecondOrder("1/1000", "field"), 12),
    (SecondOrder("1e-5", "field"), 60),
]


@pytest.mark.parametrize(("flow", "n"), COASTING, ids=str)
def test_solves_reach_the_flows_that_start_with_a_velocity_or_coast(flow, n):
    """Against psi of 30 digits for n = 12, against psi of the dense matrix for n = 60."""
    theta, start = between_walls(n, 0.5), np.random.default_rng(n).standard_normal((n, 2))
    operator = as_operator(theta)
    with np.errstate(all="ignore"):
        size = action_plans.by_steps(flow, operator, start)[1]
        way = action_plans.by_solves(flow, operator, start, size)
    assert way is not None
    computed: Any = way.compute()
    psi = odemom.psi(theta.toarray(), flow, dps=30 if n == 12 else None)
    psi = np.array(psi.tolist(), dtype=object).astype(float)
    allowed = (UNIT * abs(theta).sum(axis=0).max() + 1e-13) * np.linalg.norm(psi, 2)
    assert np.linalg.norm(computed - psi @ start) <= allowed * np.linalg.norm(start)


def test_solves_are_not_tried_where_a_coasting_psi_does_not_decay():
    theta, start = as_operator(between_walls(60, 0.5)), np.ones((60, 1))
    for flow in (Coasting("1/50", "1/2"), Coasting(1, "1/2"), Coasting("inf", "1/2")):
        assert action_plans.by_solves(flow, theta, start, 1e4) is None


@pytest.mark.parametrize("given", [UNKNOWN_STIFF, drift(3000, 2.0)], ids=["operator", "sparse"])
def test_a_limit_is_named_with_what_it_would_take(given):
    with pytest.raises(odemom.InvalidInputError, match=r"e\+07 products.*max_products = 30000"):
        odemom.psi_multiply(given, np.ones(3000), 1e-6)
    with pytest.raises(odemom.InvalidInputError, match="at most max_products = 5"):
        odemom.psi_multiply(UNKNOWN_HEAT, np.ones(3000), 1, interval=(-4e7, 0), max_products=5)


def test_spaces_that_miss_where_psi_grows_are_not_trusted():
    """Large complex eigenvalues, at which the flow of eps > 0 grows, are not in those spaces."""
    eps, turn = 1e-3, 1e4 * np.array([[0.0, 1.0], [-1.0, 0.0]])
    theta = sp.csr_array(sp.block_diag([turn] * 5 + [sp.diags_array(np.full(90, -1.0))]))
    flow = SecondOrder(eps)
    way = action_plans.by_solves(flow, as_operator(theta), np.ones((100, 1)), 1e4)
    assert way is None


def test_psi_itself_may_be_out_of_range_where_its_product_is_not():
    theta = np.array([[1e5, 1e5], [0.0, -1e5]])
    np.testing.assert_allclose(odemom.psi_multiply(theta, [0.0, 0.0], 0), [0.0, 0.0])
    with pytest.raises(odemom.ResultOverflowError):
        odemom.psi_multiply(theta, [1.0, 0.0], 0)
