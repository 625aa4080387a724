"""Entries next to the ends of the doubles: no warning of NumPy, and no value that errs."""

from __future__ import annotations

import numpy as np
import pytest

import odemom
from odemom.flows import MomentumResNet, SecondOrder
from odemom.representability.matrix_branch import relative_distance

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1.0, 1e200])
def test_a_relative_distance_is_that_of_any_size(size):
    d = size * np.eye(2)
    assert relative_distance(2 * d, d) == pytest.approx(1)
    assert relative_distance(2j * d, 1j * d) == pytest.approx(1)


@pytest.mark.parametrize("size", [1e200, 1e250])
def test_random_matrices_next_to_the_end_of_the_doubles(size):
    """The complex Schur form squared the entries."""
    d = size * np.random.default_rng(0).standard_normal((4, 4))
    assert odemom.represent(d, MomentumResNet("1/2", 7), full_output=True).condition > 0


def test_entries_below_the_normal_numbers():
    d = np.zeros((4, 4))
    d[1, 2], d[2, 3] = 1e-323, 1e-320
    for matrix, flow in ((d, MomentumResNet("1/3", 5)), ([[-1e-320]], "inf")):
        with pytest.raises(odemom.IllConditionedError):
            odemom.represent(matrix, flow)


def test_a_psi_that_only_falls_below_the_doubles_does_not_take_the_value_there():
    """exp(z) is 0 in doubles from -745 on; the least preimage of 0 is -1/(4 eps) - ..."""
    assert odemom.represent([[0.0]], "1/100000", prefer="norm")[0, 0] < -25000
    with pytest.raises(odemom.ResultOverflowError, match="theta exceeds the range"):
        odemom.represent([[0.0]], SecondOrder(5e-324), prefer="norm")


def test_more_coordinates_beyond_the_arithmetic_are_refused_by_name():
    """It was an error of flint."""
    matrix = np.diag([6.5e93, 1.7e-290, -1.2e91, -4.3e51])
    with pytest.raises(odemom.UndecidedError, match="beyond the reach of the arithmetic"):
        odemom.augmentation(matrix, 5e-324, full_output=True)
