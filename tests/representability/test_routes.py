"""Routes agree with the functions that they name, and cost little more than the decision."""

from __future__ import annotations

import json
import math
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.flows import (
    Coasting,
    CoastingNet,
    FirstOrder,
    MomentumResNet,
    ResNet,
    SecondOrder,
    Undamped,
    flow_of,
)
from odemom.representability.remedies import call_text, cheapest, odd_net
from tests.oracles import block_matrix, conjugated, floats

F = Fraction
FLOWS = [
    FirstOrder(),
    SecondOrder(F(1, 4)),
    SecondOrder(2, horizon=3),
    SecondOrder(1, "field"),
    Undamped(),
    ResNet(2),
    ResNet(3),
    MomentumResNet("9/10", 4),
    Coasting(1, "1/2"),
    CoastingNet("9/10", 6, 3),
]
NETS = [ResNet(2), ResNet(3), ResNet(4), ResNet(5), MomentumResNet("9/10", 4), FLOWS[-1]]
NUMBERS = [F(-3), F(-1), F(-1, 5), F(0), F(2)]
spectra = st.dictionaries(
    st.sampled_from(NUMBERS),
    st.lists(st.integers(1, 2), min_size=1, max_size=2),
    min_size=1,
    max_size=3,
)


@given(spectra, st.sampled_from(FLOWS), st.booleans(), st.integers(0, 2**20))
@settings(max_examples=12)
def test_every_row_is_what_its_function_says(spectrum, flow, exact, seed):
    consistent(*case_of(spectrum, exact, seed), flow)


@given(spectra, st.sampled_from(NETS), st.integers(0, 2**20))
@settings(max_examples=8)
def test_so_it_is_for_nets_on_floats(spectrum, net, seed):
    consistent(*case_of(spectrum, False, seed), net)


def case_of(spectrum, exact, seed):
    """A matrix of that structure, turned by integers or, in floats, by a rotation."""
    rng = np.random.default_rng(seed)
    if exact:
        return conjugated(block_matrix(spectrum), rng, 2), len(block_matrix(spectrum))
    blocks = floats(block_matrix(spectrum))
    q = np.linalg.qr(rng.standard_normal(blocks.shape))[0]
    return q @ blocks @ q.T, len(blocks)


def consistent(matrix, d, flow):
    """The table, against the functions that it names."""
    ways = odemom.routes(matrix, flow, norms=False)
    found = {row.name: row for row in ways}
    representable = odemom.is_representable(matrix, flow)
    assert bool(ways.report) == found["constant theta"].reaches == representable
    certain = ways.report.status == "certain"
    assert found["nearest map"].reaches == (representable and certain)
    assert found["more coordinates"].reaches
    p = odemom.augmentation(matrix, flow)
    assert found["more coordinates"].parameters == (d + p) ** 2
    assert found["odd depth"].reaches == odemom.is_representable(matrix, odd_net(flow))
    if "one switch" in found:
        assert found["one switch"].reaches == (odemom.pieces(matrix, flow) is not None)
    if "larger eps" in found:
        least = odemom.minimal_eps(matrix)
        assert found["larger eps"].reaches == (least.value < math.inf or least.attained)
    scale = odemom.maximal_scale(matrix, flow)
    if scale.value < math.inf:
        assert f"{scale.value:.6g}" in found["smaller scale"].what or scale.value == 0
    for row in ways:
        assert bool(row.how) or not row.reaches
    if not representable:
        with pytest.raises(odemom.NotRepresentableError):
            odemom.represent(matrix, flow)
    for row in ways:
        if row.reaches and row.name != "nearest map":
            assert reached(row, flow, matrix) <= 1e-8, row


def reached(row, flow, matrix):
    """How far its witness is from D, by psi; 0 where doubles hold none, which is said."""
    try:
        witness = row.witness()
    except odemom.IllConditionedError:
        return 0.0
    if hasattr(witness, "residual"):
        return witness.residual
    if row.name == "smaller scale":
        return 0.0  # of another matrix
    if row.name == "odd depth":
        flow = odd_net(flow)
    elif row.name == "initial velocity":
        flow = SecondOrder(flow.eps, "field", flow.horizon)
    elif row.name == "larger eps":
        flow = eval(row.how.removeprefix("odemom.represent(D, ")[:-1], dict(vars(odemom.flows)))
    target = np.array(matrix, dtype=float)
    return np.linalg.norm(odemom.psi(witness, flow) - target) / (np.linalg.norm(target) or 1)


def test_the_witness_of_each_row_is_that_of_its_call():
    rows = [[-1, 1], [0, F(-1, 2)]]
    D, flow = floats(rows), SecondOrder("1/2")  # D is a name in the expressions
    names = vars(odemom.flows)
    for row in odemom.routes(D, flow):
        if row.reaches:
            expected = eval(row.how, {**names, "odemom": odemom, "D": D})
            given, computed = (getattr(x, "theta", x) for x in (expected, row.witness()))
            if isinstance(given, np.ndarray):
                np.testing.assert_array_equal(computed, given)
            else:
                assert computed.residual == given.residual
            assert row.norm is not None


@pytest.mark.parametrize(
    ("matrix", "what"),
    [
        ([[F(-3, 4), 1], [0, F(-3, 4)]], "every eps above 1.71384, as it is"),
        ([[0, 1], [0, 0]], "every eps above 0, as it is"),
        ([[-1]], "eps = inf, as it is"),
        ([[-2]], "no eps suffices"),
    ],
)
@pytest.mark.parametrize("flow", ["inf", Undamped(2)])
def test_no_eps_is_larger_than_inf(matrix, what, flow):
    """The row offers the flow as it is, not a smaller eps of a larger theta."""
    ways = odemom.routes(matrix, flow)
    larger, constant = ways["larger eps"], ways["constant theta"]
    assert larger.what == what or flow != "inf"
    assert (larger.reaches, larger.how) == (constant.reaches, constant.how)
    assert larger.norm == constant.norm


def test_larger_eps_and_smaller_scale_have_witnesses():
    ways = odemom.routes([[F(-1, 2), 1], [0, F(1, 3)]], "1/4")
    assert ways["larger eps"].what == "every eps of at least 0.69881"
    assert ways["larger eps"].norm is not None
    theta = ways["smaller scale"].witness()
    image = odemom.psi(theta, "1/4")
    assert image[0, 0] / image[0, 1] == pytest.approx(-0.5)
    assert ways["nearest map"].distance == pytest.approx(
        odemom.nearest_representable([[-0.5, 1], [0, 1 / 3]], "1/4").distance
    )


@pytest.mark.parametrize(
    ("matrix", "flow", "words"),
    [
        ([[-1]], "1/2", ["initial velocity", "switch"]),
        ([[-1, 0], [0, -2]], 0, ["two constant pieces", "one more coordinate"]),
        ([[0, 0], [0, 0]], 0, ["2 more coordinates", "a mass"]),
        ([[-2]], "inf", ["switch", "one more coordinate"]),
        ([[-2]], ResNet(4), ["one layer", "5 layers"]),
        ([[0, 1], [0, 0]], ResNet(3), ["one layer", "more coordinates"]),
        ([[-5]], MomentumResNet("9/10", 4), ["one layer", "5 layers"]),
    ],
)
def test_an_explanation_ends_with_the_two_cheapest(matrix, flow, words):
    report = odemom.analyze(matrix, flow)
    assert not report
    for way, word in zip(cheapest(report), words, strict=True):
        assert word in way
    assert report.explain().endswith(f"{', or '.join(cheapest(report))}.")


def test_a_representable_matrix_needs_no_change():
    assert "cheapest" not in odemom.analyze([[2]], 0).explain()


def test_a_table_as_text_html_and_json():
    ways = odemom.routes([[-1]], "1/2")
    assert str(ways).splitlines()[0].split()[:2] == ["route", "reaches"]
    assert len(str(ways).splitlines()) == len(ways) + 1
    assert ways._repr_html_().count("<tr>") == len(ways) + 1
    data = json.loads(json.dumps(ways.to_dict()))
    assert [row["name"] for row in data["routes"]] == [row.name for row in ways]
    assert data["routes"][1]["norm"] == pytest.approx(ways["initial velocity"].norm)
    with pytest.raises(odemom.InvalidInputError, match="initial velocity"):
        ways["teleportation"]
    with pytest.raises(odemom.InvalidInputError, match="one that reaches D"):
        odemom.routes([[-1]], 0)["initial velocity"].witness()
    with pytest.raises(odemom.InvalidInputError, match="norms"):
        odemom.routes([[-1]], 0, norms=2)  # pyright: ignore[reportArgumentType]


BIG = 10**400


@pytest.mark.parametrize(
    ("matrix", "flow"),
    [
        ([[-BIG]], 1),
        ([[F(-1, BIG)]], "1/2"),
        pytest.param([[-1e300]], 1, marks=pytest.mark.slow),
        ([[-1e300, 1], [0, 1e-300]], "inf"),
        ([[0]], 0),
        (np.zeros((3, 3)), ResNet(2)),
        ([[0, 1], [0, 0]], ResNet(10**9)),
        ([[-1]], "1e-9"),  # whose twin of as small a step has two thousand million layers
        pytest.param([[-1]], "1e-400", marks=pytest.mark.slow),
        pytest.param([[-1]], "1e400", marks=pytest.mark.slow),
        ([[-1]], SecondOrder(1, "field", 1e-300)),
        ([[-1]], Coasting("1e-5", "1/2")),
        ([[-1]], Coasting(1, "0.99999999999999999999")),
        ([[-2]], MomentumResNet(F(BIG - 1, BIG), 4)),
        ([[-2]], MomentumResNet("999999/1000000", 10)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_table_is_shown_however_extreme_the_numbers_are(matrix, flow):
    """Norms and distances that doubles do not hold are left out, and nothing runs for minutes."""
    ways = odemom.routes(matrix, flow)
    assert len(str(ways).splitlines()) == len(ways) + 1
    for row in ways:
        assert row.distance is None or row.distance >= 0


def test_numbers_of_a_flow_are_read_back_from_its_call():
    for eps in (F(1, 10**5000), F(10**12 + 1), F(10**400, 7), F(1, 3), F(0.1)):
        text = call_text(SecondOrder(eps)).strip('"')
        assert flow_of(text) == SecondOrder(eps)
    assert call_text(SecondOrder(F(1, 10**5000))) == '"1.0e-5000"'
    assert '"1.0e-5000", "field"' in str(odemom.routes([[-1]], F(1, 10**5000), norms=False))


def test_a_matrix_that_is_singular_in_doubles_has_two_pieces_of_a_positive_determinant():
    """det D = 1, and a condition number of 4e20."""
    big = 10**10
    found = odemom.pieces([[-big, -big - 1], [1 - big, -big]], 0, full_output=True)
    assert found.count == 2
    assert found.residual <= 1e-11


def test_a_scale_beyond_the_doubles_is_said():
    rows = {row.name: row.what for row in odemom.routes([[F(-1, BIG)]], 1)}
    assert rows["smaller scale"] == "every scale that doubles hold"


@pytest.mark.parametrize(
    "call",
    [
        lambda: odemom.pieces([[-BIG]], 1, full_output=True),
        lambda: odemom.augmentation([[-BIG]], 1, full_output=True),
        lambda: odemom.represent([[2]], MomentumResNet(F(BIG - 1, BIG), 3)),
        lambda: odemom.pieces([[-1e-300]], 1, full_output=True),  # a relative error of a zero
        lambda: odemom.pieces([[-1e-20]], ResNet(4), full_output=True),
        # eigenvalues beyond the doubles, though all entries are in them
        lambda: odemom.represent([[10**308] * 2] * 2, MomentumResNet("1/2", 3)),
        lambda: odemom.represent([[-(10**308)] * 2] * 2, CoastingNet("1/2", 5, 3)),
        lambda: odemom.pieces([[1]], gamma=[0.5, 0.6]),
        lambda: odemom.pieces([[1]], FirstOrder),
        lambda: odemom.augmentation([[1]], gamma="x"),
        lambda: odemom.routes(np.zeros((2, 1, 1)), 1),
    ],
)
def test_what_doubles_do_not_hold_and_what_has_no_meaning_is_refused_in_a_sentence(call):
    with pytest.raises(odemom.OdemomError, match=r"\.$"):
        call()


def test_the_command_line_lists_them(run, tmp_path):
    path = tmp_path / "D.txt"
    path.write_text("-1 0\n0 -2\n")
    code, out, _ = run("routes", str(path), "--eps", "1/2", "--no-norms")
    assert code == 0
    assert "odemom.pieces(D" in out
    code, out, _ = run("routes", str(path), "--depth", "4", "--json")
    assert code == 0
    assert json.loads(out)["routes"][0]["reaches"] is False
    assert run("routes", str(path), "--eps", "-1")[0] == 2


def test_routes_of_a_large_exact_matrix_cost_at_most_three_decisions():
    rng = np.random.default_rng(0)
    rows = rng.integers(-9, 10, (60, 60)).tolist()
    odemom.routes([[-1]], "1/2")  # imports

    def seconds(compute):
        start = time.process_time()
        compute()
        return time.process_time() - start

    once = min(seconds(lambda: odemom.analyze(rows, "1/2")) for _ in range(3))
    all_of_them = min(seconds(lambda: odemom.routes(rows, "1/2")) for _ in range(3))
    assert all_of_them <= 3 * once


# --- which preimage ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flow",
    [
        SecondOrder(1, "field"),
        Coasting(1, "1/2"),
        MomentumResNet("9/10", 21),
        CoastingNet("9/10", 20, 9),
    ],
    ids=str,
)
@pytest.mark.parametrize("exact", [True, False])
def test_the_norm_that_is_preferred_is_no_larger(flow, exact):
    D = [[-2, 0, 0], [0, 3, 1], [0, 0, 3]]
    matrix = D if exact else np.array(D, dtype=float)
    small = odemom.represent(matrix, flow, prefer="norm", full_output=True)
    sound = odemom.represent(matrix, flow, prefer="condition", full_output=True)
    assert small.residual <= 1e-14 * max(1, small.condition)
    assert np.linalg.norm(small.theta) <= np.linalg.norm(sound.theta) * (1 + 1e-9)
    values = np.linalg.eigvals(small.theta)
    z = float(values[np.argmin(abs(flow.scalar(values.real) + 2))].real)
    closer = np.linspace(-abs(z), abs(z), 20_001)[10:-10]
    above = flow.scalar(closer) > -2
    assert (above == above[0]).all()


def test_a_preference_is_one_of_two():
    assert np.array_equal(odemom.represent([[2]], 0), odemom.represent([[2]], 0, prefer="norm"))
    with pytest.raises(odemom.InvalidInputError, match="prefer"):
        odemom.represent([[2]], 0, prefer="size")  # pyright: ignore[reportArgumentType, reportCallIssue]
