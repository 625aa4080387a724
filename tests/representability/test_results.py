"""Every result can be pickled, copied, compared and hashed, those that hold arrays by value."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest

import odemom
from odemom.representability.nearest import Nearest
from odemom.representability.pieces import Pieces

EXACT = [[Fraction(-2), 0], [0, 1]]
FLOATS = np.array([[-2.0, 0.0], [0.0, 1.0]])
RESULTS = {
    "nearest": lambda D: odemom.nearest_representable(D, 0.5),
    "witness": lambda D: odemom.represent(np.abs(D).tolist(), 0.5, full_output=True),
    "pieces": lambda D: odemom.pieces(D, 0.5, full_output=True),
    "no pieces": lambda D: odemom.pieces(D, 0, full_output=True),
    "augmentation": lambda D: odemom.augmentation(D, 0.5, full_output=True),
    "report": lambda D: odemom.analyze(D, 0.5),
    "eigenvalue": lambda D: odemom.analyze(D, 0.5).eigenvalues[0],
    "obstruction": lambda D: odemom.analyze(D, 0.5).obstructions[0],
    "repairs": lambda D: odemom.analyze(D, 0.5).repairs,
    "least eps": lambda D: odemom.minimal_eps(D),
    "largest scale": lambda D: odemom.maximal_scale(D, 0.5),
    "routes": lambda D: odemom.routes(D, 0.5, norms=False),
    "routes with norms": lambda D: odemom.routes(D, 0.5, norms=True),
    "route": lambda D: odemom.routes(D, 0.5)["one switch"],
}


@pytest.mark.parametrize("D", [EXACT, FLOATS], ids=["exact", "floats"])
@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_equal_to_its_copies_and_has_their_hash(name, D):
    result, again = RESULTS[name](D), RESULTS[name](D)
    for twin in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result), again):
        assert twin is not result
        assert twin == result
        assert (twin != result) is False
        assert hash(twin) == hash(result)
    assert result != RESULTS["nearest" if name != "nearest" else "report"](D)
    assert len({result, again}) == 1


@pytest.mark.parametrize("D", [EXACT, FLOATS], ids=["exact", "floats"])
def test_routes_from_a_pickle_still_lead_there(D):
    ways = odemom.routes(D, 0.5, norms=False)
    known = {row.name: row for row in pickle.loads(pickle.dumps(ways))}
    assert str(odemom.routes(D, 0.5)) == str(dataclasses.replace(ways, norms=True))
    for row in ways:
        if row.how:
            assert value_of(known[row.name].witness()) == value_of(row.witness())


def value_of(found):
    return found.tolist() if isinstance(found, np.ndarray) else found


def test_equality_of_arrays_looks_at_dtype_shape_and_entries_and_takes_nan_for_nan():
    one = Nearest(np.array([[0.0, math.nan]]), 0.5, 0.0, True)
    assert one == Nearest(np.array([[-0.0, -math.nan]]), 0.5, 0.0, True)
    assert hash(one) == hash(Nearest(np.array([[-0.0, -math.nan]]), 0.5, 0.0, True))
    assert one != dataclasses.replace(one, matrix=np.array([[0.0, 1.0]]))
    assert one != dataclasses.replace(one, matrix=np.array([0.0, math.nan]))
    assert one != dataclasses.replace(one, matrix=one.matrix.astype(np.float32))
    assert one != dataclasses.replace(one, distance=math.nan)
    assert dataclasses.replace(one, distance=math.nan) == dataclasses.replace(
        one, distance=float("nan")
    )
    assert one != 0.5


def test_tuples_of_arrays_are_compared_one_by_one():
    report = odemom.analyze(EXACT, 0)
    one = Pieces(2, (np.eye(1), np.eye(2)), (0.5, 0.5), math.nan, "certain", report)
    same = dataclasses.replace(one, thetas=(np.eye(1), np.eye(2)), residual=float("nan"))
    assert one == same
    assert hash(one) == hash(same)
    assert one != dataclasses.replace(one, thetas=(np.eye(1),))
    assert one != dataclasses.replace(one, thetas=(np.eye(2), np.eye(1)))
