"""Bad arguments are refused by name: one error class, one form of message, never a wrong answer."""

import math
import sys
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sympy

import odemom
from odemom.flows import FirstOrder, SecondOrder, Undamped, flow_of

GOOD = [[1.0, 2.0], [3.0, 4.0]]

MATRICES: dict[str, Any] = {
    "non-square": [[1, 2, 3], [4, 5, 6]],
    "non-square floats": np.ones((2, 3)),
    "empty": np.zeros((0, 0)),
    "empty list": [],
    "empty row": [[]],
    "empty stack": np.zeros((0, 2, 2)),
    "empty sympy": sympy.Matrix(0, 0, []),
    "0-d": 3.0,
    "0-d exact": Fraction(1, 2),
    "1-d": [1.0, 2.0],
    "1-d ints": [1, 2],
    "ragged": [[1, 2], [3]],
    "ragged deeper": [[1, [2]], [3, 4]],
    "nan": [[math.nan]],
    "inf": np.array([[1.0, math.inf], [0.0, 1.0]]),
    "complex": [[1j]],
    "complex array": np.eye(2, dtype=np.complex64),
    "text": "identity",
    "text entries": [["1", "two"], ["3", "4"]],
    "text with underscores": [["1_000"]],
    "text with blanks": [["1 0"]],
    "text with a hidden exponent": [["1e10_000_000"]],
    "text with an exponent": [["1e1000000"]],
    "text of infinity": [["inf"]],
    "text beside floats": [["1/2", 0.5], [0, 1]],
    "object text": np.array([["one"]], dtype=object),
    "bytes": [[b"1"]],
    "object None": np.array([[None]], dtype=object),
    "object floats": np.array([[0.5]], dtype=object),
    "object complex": np.array([[1j]], dtype=object),
    "None": None,
    "None entries": [[None, 1], [1, 1]],
    "fractions beside floats": [[Fraction(1, 2), 0.5], [0, 1]],
    "booleans beside numbers": [[True, 2], [3, 4]],
    "object booleans beside numbers": np.array([[True, 2], [3, 4]], dtype=object),
    "masked rows": [np.ma.masked_array([1, 2], mask=np.array([True, False])), [3, 4]],
    "masked entries": [[np.ma.masked, 1], [1, 1]],
    "masked": np.ma.masked_array(np.eye(2), mask=np.array([[1, 0], [0, 0]], dtype=bool)),
    "sparse": scipy.sparse.eye(2).tocsr(),
    "sparse array": scipy.sparse.eye_array(2),
    "dates": np.array([["2020-01-01"]], dtype="datetime64[D]"),
    "structured": np.zeros((1, 1), dtype=[("a", float)]),
    "a set": {1, 2},
    "a dict": {"a": 1},
    "symbols": sympy.Matrix([[sympy.Symbol("x")]]),
    "irrational sympy": sympy.Matrix([[sympy.sqrt(2)]]),
    "sympy I": sympy.Matrix([[sympy.I]]),
    "sympy nan": sympy.Matrix([[sympy.nan]]),
    "decimal nan": [[Decimal("nan")]],
    "sympy oo": sympy.Matrix([[sympy.oo]]),
    "integer symbols": sympy.Matrix([[sympy.Symbol("n", integer=True)]]),
    "rational symbols": sympy.Matrix([[sympy.Symbol("q", rational=True)]]),
}

# These are several masses where several may be asked about at once.
SEQUENCES: dict[str, Any] = {"list": [1.0, 2.0], "array": np.array([1.0])}

NUMBERS: dict[str, Any] = {
    **SEQUENCES,
    "nan": math.nan,
    "negative": -1,
    "negative float": -1e-300,
    "negative text": "-1/2",
    "-inf": -math.inf,
    "complex": 1j,
    "bool": True,
    "numpy bool": np.bool_(False),
    "None": None,
    "words": "a half",
    "division by 0": "1/0",
    "underscores": "1_0",
    "an exponent with underscores": "1e10_000_000",
    "a blank within": "1e 10",
    "other digits": "\u0663",
    "irrational": sympy.sqrt(2),
    "nan text": "nan",
    "symbol": sympy.Symbol("x"),
    "integer symbol": sympy.Symbol("n", integer=True, positive=True),
    "sympy -oo": -sympy.oo,
    "sympy zoo": sympy.zoo,
    "sympy nan": sympy.nan,
    "a huge negative number": -(10**5000),
}


def assert_refused(call, how=""):
    print(how)  # shown where it is not
    with pytest.raises(odemom.InvalidInputError, match=r"got .*expected") as caught:
        call()
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, odemom.OdemomError)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


OF_A_MATRIX = {
    "analyze": lambda m: odemom.analyze(m, 0.5),
    "is_representable": lambda m: odemom.is_representable(m, 0.5),
    "exact=False": lambda m: odemom.is_representable(m, 0.5, exact=False),
    "psi": lambda m: odemom.psi(m, 0.5),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES.keys())
def test_bad_matrices_are_refused(matrix):
    for how, ask in OF_A_MATRIX.items():
        assert_refused(partial(ask, matrix), how)


# With these, floats in an object array are numbers to be read exactly.
READ_EXACTLY = {"object floats", "fractions beside floats", "text beside floats"}


@pytest.mark.parametrize("name", sorted(MATRICES.keys() - READ_EXACTLY))
def test_bad_matrices_are_refused_where_floats_are_read_exactly(name):
    assert_refused(lambda: odemom.analyze(MATRICES[name], 0.5, exact=True))
    assert_refused(lambda: odemom.psi(MATRICES[name], 0.5, dps=20))


DECISIONS: list[Any] = [odemom.analyze, odemom.is_representable]
OF_A_MASS: dict[str, Any] = {
    "psi": lambda e: odemom.psi(GOOD, e),
    "lambda_eps": lambda e: odemom.lambda_eps(e, dps=20),
    "represent": lambda e: odemom.represent(GOOD, e),
    "SecondOrder": SecondOrder,
    "flow_of": flow_of,
}


@pytest.mark.parametrize("name", sorted(NUMBERS.keys() - SEQUENCES.keys()))
def test_bad_masses_of_a_decision_are_refused(name):
    for ask in DECISIONS:
        assert_refused(partial(ask, GOOD, NUMBERS[name]), ask.__name__)


@pytest.mark.parametrize("eps", NUMBERS.values(), ids=NUMBERS.keys())
def test_bad_masses_are_refused(eps):
    for how, ask in OF_A_MASS.items():
        assert_refused(partial(ask, eps), how)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_bad_mass_in_a_sequence_is_refused(name):
    for ask in DECISIONS:
        assert_refused(partial(ask, GOOD, [1, NUMBERS[name]]), ask.__name__)


@pytest.mark.parametrize("name", sorted(NUMBERS.keys() - SEQUENCES.keys()))
def test_bad_masses_of_the_vectorised_functions_are_refused(name):
    assert_refused(lambda: odemom.lambda_eps(NUMBERS[name]))
    assert_refused(lambda: odemom.G(1.0, NUMBERS[name]))


HORIZONS = {**NUMBERS, "0": 0, "0.0": 0.0, "inf": math.inf, "inf text": "inf"}


@pytest.mark.parametrize("horizon", HORIZONS.values(), ids=HORIZONS.keys())
@pytest.mark.parametrize("make", [FirstOrder, lambda t: SecondOrder(1, horizon=t), Undamped])
def test_bad_horizons_are_refused(make, horizon):
    assert_refused(lambda: make(horizon))


OTHERS = {
    "method": lambda: odemom.psi(GOOD, 1, method="taylor"),  # pyright: ignore[reportArgumentType]
    "method array": lambda: odemom.psi(GOOD, 1, method=np.array(["auto", "auto"])),  # pyright: ignore[reportArgumentType]
    "method None": lambda: odemom.psi(GOOD, 1, method=None),  # pyright: ignore[reportArgumentType]
    "method beside dps": lambda: odemom.psi(GOOD, 1, method="series", dps=20),
    "dps 0": lambda: odemom.psi(GOOD, 1, dps=0),
    "dps float": lambda: odemom.psi(GOOD, 1, dps=20.0),  # pyright: ignore[reportArgumentType]
    "dps bool": lambda: odemom.psi(GOOD, 1, dps=True),
    "dps of lambda": lambda: odemom.lambda_eps(1, dps=0),
    "dps with a stack": lambda: odemom.psi([GOOD, GOOD], 1, dps=20),
    "dps with an exact stack": lambda: odemom.psi([[[Fraction(1)]]], 1, dps=20),
    "dps with an integer stack": lambda: odemom.psi([[[1]]], 1, dps=20),
    "velocity": lambda: odemom.psi(GOOD, 1, initial_velocity="feild"),  # pyright: ignore[reportArgumentType]
    "velocity None": lambda: SecondOrder(1, None),  # pyright: ignore[reportArgumentType]
    "velocity at inf": lambda: odemom.psi(GOOD, math.inf, initial_velocity="field"),
    "velocity of a flow": lambda: odemom.psi(GOOD, FirstOrder(), initial_velocity="field"),
    "horizon of a flow": lambda: odemom.psi(GOOD, FirstOrder(), horizon=2),
    "class": lambda: odemom.is_representable(GOOD, SecondOrder),
    "class without parameters": lambda: odemom.psi(GOOD, FirstOrder),
    "mass 0": lambda: SecondOrder(0),
    "mass inf": lambda: SecondOrder(math.inf),
    "tol 0": lambda: odemom.analyze(GOOD, 1, tol=0),
    "tol 1": lambda: odemom.analyze(GOOD, 1, tol=1),
    "tol nan": lambda: odemom.is_representable(GOOD, 1, tol=math.nan),
    "tol text": lambda: odemom.analyze(GOOD, 1, tol="small"),
    "tol negative": lambda: odemom.analyze(GOOD, 1, tol=-1e-9),
    "tol huge": lambda: odemom.analyze(GOOD, 1, tol=10**400),
    "no masses": lambda: odemom.is_representable(GOOD, []),
    "an array of no masses": lambda: odemom.analyze(GOOD, np.array([])),
    "a table of masses": lambda: odemom.analyze(GOOD, np.ones((2, 2))),
    "tol beside a spectrum": lambda: odemom.analyze(odemom.spectrum(GOOD), 1, tol=1e-9),
    "exact beside a spectrum": lambda: odemom.represent(odemom.spectrum(GOOD), 1, exact=True),
    "max_bits beside a spectrum": lambda: odemom.minimal_eps(odemom.spectrum(GOOD), max_bits=9),
    "tol beside a spectrum, nearest": lambda: odemom.nearest_representable(
        odemom.spectrum(GOOD), 1, tol=1e-9
    ),
    "blocks of no eigenvalue": lambda: odemom.spectrum([[2]]).block_sizes(3),
    "blocks of a list": lambda: odemom.spectrum([[2]]).block_sizes([2]),
    "a stack to spectrum": lambda: odemom.spectrum([GOOD, GOOD]),
    "max_bits of floats": lambda: odemom.analyze(GOOD, 1, max_bits=0),
    "exact": lambda: odemom.analyze(GOOD, 1, exact="yes"),  # pyright: ignore[reportArgumentType, reportCallIssue]
    "exact number": lambda: odemom.analyze(GOOD, 1, exact=1),  # pyright: ignore[reportArgumentType, reportCallIssue]
    "a stack to analyze": lambda: odemom.analyze([GOOD, GOOD], 1),
    "exact too large for exact=False": lambda: odemom.analyze([[10**400]], 1, exact=False),
    "exact too large for doubles": lambda: odemom.psi([[10**400]], 1),
    "angle nan": lambda: odemom.G(math.nan, 1),
    "angle inf": lambda: odemom.G([1.0, math.inf], 1),
    "angle text": lambda: odemom.G("pi", 1),
    "angles of text": lambda: odemom.G(["pi"], 1),
    "ragged angles": lambda: odemom.G([[1.0], [1.0, 2.0]], 1),
    "masses with a nan": lambda: odemom.lambda_eps([1.0, math.nan]),
    "negative masses": lambda: odemom.lambda_eps(np.array([1.0, -1.0])),
    "complex masses": lambda: odemom.lambda_eps([1j]),
    "boolean masses": lambda: odemom.lambda_eps([True]),
    "ragged masses": lambda: odemom.lambda_eps([[1.0], [1.0, 2.0]]),
    "masses and angles that do not broadcast": lambda: odemom.G([1.0, 2.0, 3.0], [1.0, 2.0]),
    "a mass too long to expand": lambda: odemom.is_representable(GOOD, "1e999999999"),
    "more digits than anyone reads": lambda: odemom.lambda_eps(1, dps=10**12),
    "digits and scaled": lambda: odemom.psi(GOOD, 1, dps=20, scaled=True),
    "more layers than an int": lambda: odemom.flows.ResNet(10**20),
    "critical points of 10^9 layers": lambda: odemom.analyze(
        GOOD, odemom.flows.MomentumResNet(0.9, 10**9)
    ),
    "bits beyond any memory": lambda: odemom.analyze([[-1]], 1, max_bits=10**5000),
    "nearest to a subnormal": lambda: odemom.nearest_representable([[-1e-320]], 0),
    "array of masses with dps": lambda: odemom.lambda_eps([1.0, 2.0], dps=20),
}


@pytest.mark.parametrize("call", OTHERS.values(), ids=OTHERS.keys())
def test_other_bad_arguments_are_refused(call):
    assert_refused(call)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: odemom.psi(np.ones((2, 3)), 1), "2 rows and 3 columns"),
        (lambda: odemom.psi([[1.0, math.nan], [0, 1]], 1), r"nan at \[0, 1\]"),
        (lambda: odemom.analyze(np.array([[1, None]], dtype=object), 1), "None"),
        (lambda: odemom.analyze(MATRICES["sparse"], 1), r"toarray\(\)"),
        (lambda: odemom.analyze(MATRICES["masked"], 1), r"filled\(value\)"),
        (lambda: odemom.analyze(MATRICES["complex"], 1), "complex"),
        (lambda: odemom.is_representable(GOOD, SecondOrder), r"the class SecondOrder"),
        (lambda: odemom.analyze(MATRICES["object floats"], 1), "exact=True"),
        (lambda: odemom.psi(GOOD, -2), "got -2; expected a number in"),
        (lambda: SecondOrder(0), r"FirstOrder\(\)"),
        (lambda: odemom.analyze([GOOD, GOOD], 1), "Loop over the leading axes"),
        (lambda: odemom.routes([[1, 2]], 1), r"got 1 row and 2 .*a square matrix \(d, d\)\.$"),
        (lambda: odemom.analyze([[1.0, 2]], 1), r"expected a square matrix \(d, d\)\.$"),
        (lambda: odemom.is_representable([[1, 2]], 1), r"or a stack of them \(\.\.\., d, d\)"),
        (lambda: odemom.analyze([], 1), r"an empty array of shape \(0,\)"),
        (lambda: odemom.is_representable(None, 1), r"got None \(NoneType\); expected a real sq"),
        (
            lambda: odemom.is_representable([[1, 2], [3]], 1),
            r"got rows of different lengths: 2 entries at \[0\], 1 entry at \[1\]; expected",
        ),
        (lambda: odemom.psi([[[1, 2], [3]], [[1], 2]], 1), r"2 entries at \[0, 0\], 1 entry at"),
        (lambda: odemom.psi([[1, 2], 3], 1), r"2 entries at \[0\], no row but an entry at \[1\]"),
        (lambda: odemom.lambda_eps(-1), r"got -1; .*A negative mass has no meaning here"),
        (lambda: odemom.lambda_eps([1, Fraction(-1, 2)]), r"eps at \[1\]: got Fraction\(-1, 2\)"),
        (lambda: odemom.lambda_eps(np.array([1, -1.0])), r"eps at \[1\]: got -1\.0"),
        (lambda: odemom.lambda_eps([1, None]), "got None of type NoneType"),
    ],
)
def test_messages_say_what_was_given_and_what_to_do(call, words):
    with pytest.raises(odemom.InvalidInputError, match=words):
        call()


def test_no_masses_have_no_thresholds():
    assert odemom.lambda_eps([]).shape == odemom.lambda_eps(np.array([])).shape == (0,)
    assert odemom.G([], 1).shape == (0,)


def test_text_that_is_cut_keeps_its_closing_quote():
    with pytest.raises(odemom.InvalidInputError, match=r"got the text 'x+\.\.\.'; expected"):
        odemom.psi(GOOD, "x" * 10_000)


def test_long_values_are_cut_in_messages():
    with pytest.raises(odemom.InvalidInputError) as caught:
        odemom.psi(GOOD, "x" * 10_000)
    assert len(str(caught.value)) < 200


def test_a_refused_matrix_is_left_as_it_was():
    matrix = np.array([[1.0, math.nan], [0.0, 1.0]])
    kept = matrix.copy()
    with pytest.raises(odemom.InvalidInputError):
        odemom.analyze(matrix, 1)
    np.testing.assert_array_equal(matrix, kept)


def test_a_missing_optional_package_names_the_extra_that_brings_it():
    from odemom.checks import optional_import

    with pytest.raises(odemom.MissingDependencyError, match=r"odemom\[torch\]"):
        optional_import("no_such_package_here", "torch")


def test_networks_and_trainings_without_torch_name_the_extra(monkeypatch):
    import odemom.models
    import odemom.training

    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    for asked in (lambda: odemom.models.build_model("odenet"), lambda: odemom.training.train):
        with pytest.raises(odemom.MissingDependencyError, match=r"odemom\[train\]"):
            asked()


def test_a_package_that_is_broken_is_named_with_what_its_import_said(tmp_path, monkeypatch):
    from odemom.checks import optional_import

    (tmp_path / "halfmade.py").write_text("import never_installed_either")
    (tmp_path / "unlinked.py").write_text("raise OSError('libunlinked.so: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    repair = r"Repair it with: pip install 'odemom\[train\]', after pip uninstall"
    (tmp_path / "torxvision.py").write_text("import torx")  # of which its name begins
    broken = ("halfmade", "never_installed_either"), ("unlinked", "cannot open")
    for name, said in (*broken, ("torxvision", "torx")):
        words = rf"{name} is installed, but its import fails \(.*{said}.*{repair} {name}"
        with pytest.raises(odemom.MissingDependencyError, match=words):
            optional_import(name, "train")
    (tmp_path / "sklearn.py").write_text("raise OSError('libunlinked.so: cannot open')")
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    with pytest.raises(odemom.MissingDependencyError, match="pip uninstall scikit-learn"):
        optional_import("sklearn", "train")


def test_matrices_too_large_for_exact_arithmetic_are_refused_before_it_begins():
    huge = [[10**1000, 1], [0, Fraction(1, 3**1000)]]
    assert not odemom.is_representable([[-(10**1000)]], 1)
    assert odemom.is_representable(huge, 1)
    assert_refused(lambda: odemom.analyze(huge, 1, max_bits=5000))
    assert_refused(lambda: odemom.is_representable([[10**1000]], 1, max_bits=1000))
    budgets: list[Any] = [0, -1, 1.5, True]
    for max_bits in budgets:
        assert_refused(lambda bits=max_bits: odemom.analyze([[1]], 1, max_bits=bits))
