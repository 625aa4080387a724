"""Matrix Market: read as the format says, exactly, and nothing that is not said."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from odemom import MatrixFileError
from odemom.matrix_files import parse_matrix, read_matrix, write_matrix


def read(banner: str, body: str, exact=None):
    return parse_matrix(f"%%MatrixMarket matrix {banner}\n{body}", exact=exact)


@pytest.mark.parametrize(
    ("banner", "body", "expected"),
    [
        ("array real general", "2 2\n1.5\n0\n-2e-1\n3", [[1.5, -0.2], [0.0, 3.0]]),
        ("array real general", "2 3\n1.0 2.0 3.0\n4.0 5.0 6.0", [[1, 3, 5], [2, 4, 6]]),
        ("array real general", "1 1\n1/2", [[Fraction(1, 2)]]),
        ("array rational general", "2 1\n-3/4\n0.1", [[Fraction(-3, 4)], [Fraction(1, 10)]]),
        ("array integer symmetric", "2 2\n1\n2\n3", [[1, 2], [2, 3]]),
        ("array integer skew-symmetric", "3 3\n1\n2\n3", [[0, -1, -2], [1, 0, -3], [2, 3, 0]]),
        ("coordinate real general", "% a\n%\n\n1 2 1\n1 2 5.0\n", [[0.0, 5.0]]),
        ("coordinate real symmetric", "2 2 2\n1 1 1.5\n2 1 -1.0", [[1.5, -1.0], [-1.0, 0.0]]),
        ("coordinate integer skew-symmetric", "2 2 1\n2 1 7", [[0, -7], [7, 0]]),
        ("coordinate pattern symmetric", "2 2 2\n1 1\n2 1", [[1, 1], [1, 0]]),
        ("coordinate real general", "1 1 2\n1 1 1/3\n1 1 -1/3", [[0]]),
        ("coordinate double general", "1 1 1\r\n1 1 .5\r\n", [[0.5]]),
        ("COORDINATE Unsigned-Integer General", "1 1 1\n1 1 5", [[5]]),
    ],
)
def test_every_form_gives_the_numbers_that_it_spells(banner, body, expected):
    assert np.asarray(read(banner, body)).tolist() == expected


def test_integers_stay_exact_where_64_bits_do_not_hold_them():
    largest = 2**63 - 1
    body = f"1 2 3\n1 1 {largest}\n1 1 1\n1 2 {largest}"
    assert read("coordinate integer general", body) == [[2**63, largest]]


def test_floats_at_one_place_are_added_exactly_and_rounded_once():
    body = "1 1 3\n1 1 1e16\n1 1 1.0\n1 1 -1e16"
    assert read("coordinate real general", body)[0, 0] == 1.0
    tenths = "1 1 10\n" + "1 1 0.1\n" * 10
    assert read("coordinate real general", tenths)[0, 0] == 1.0
    assert read("coordinate real general", tenths, exact=True)[0][0] == 1


def test_exact_reads_decimals_as_decimals():
    assert read("array real general", "1 1\n0.1", exact=True) == [[Fraction(1, 10)]]
    assert read("array rational general", "1 1\n1/4", exact=False).dtype == np.float64


@pytest.mark.parametrize(
    ("banner", "body", "said"),
    [
        ("coordinate real general", "1 1 1\n1 1 1x", "'1x' in line 3"),
        ("coordinate real general", "1 1 1\n1 1 -3/4x", "'-3/4x' in line 3"),
        ("coordinate real general", "1 1 1\n1 1 1.5\0", "NUL"),
        ("coordinate integer general", "1 1 1\n1 1 1.5", "'1.5' in line 3; expected an integer"),
        ("coordinate real general", "1 1 1\n1 1 1_0", "'1_0' in line 3"),
        ("coordinate real general", "1 1 1\n1 1 nan", "finite"),
        ("coordinate real general", "1 1 1\n1 1 1e400", "finite"),
        ("coordinate real general", "1 1 2\n1 1 1e308\n1 1 1e308", "beyond the doubles"),
        ("coordinate real general", "1 1 1\n1 1 1 2", "one number"),
        ("coordinate real general", "2 2 1\n3 1 1.0", "row 3 and column 1 in line 3"),
        ("coordinate real general", "2 2 1\n0 1 1.0", "rows from 1 to 2"),
        ("coordinate real general", "2 2 2\n1 1 1.0", "announces 2 entries and holds 1"),
        ("coordinate real general", "2 2 0\n1 1 1.0", "announces 0 entries and holds 1"),
        ("coordinate real symmetric", "2 2 1\n1 2 1.0", "below the diagonal or on it"),
        ("coordinate real skew-symmetric", "2 2 1\n1 1 1.0", "below the diagonal: "),
        ("coordinate real symmetric", "2 3 1\n1 1 1.0", "2 rows and 3 columns"),
        ("coordinate complex general", "1 1 1\n1 1 1 0", "complex matrix; expected a real one"),
        ("coordinate complex hermitian", "1 1 1\n1 1 1 0", "Complex matrices are outside"),
        ("coordinate real hermitian", "1 1 1\n1 1 1", "hermitian matrix; expected a real one"),
        ("array pattern general", "1 1\n1", "pattern"),
        ("coordinate real", "1 1 1", "the banner"),
        ("coordinate quaternion general", "1 1 1", "the field 'quaternion'"),
        ("sparse real general", "1 1 1", "the format 'sparse'"),
        ("array real general", "2 2\n1\n2\n3", "announces 4 entries and holds 3"),
        ("array real general", "1 1\n1 2", "announces 1 entry and holds 2"),
        ("array real general", "-1 1\n1", "should give the numbers of rows"),
        ("array real general", "1 1_0\n1", "should give the numbers of rows"),
        ("coordinate real general", "99999999999 99999999999 0", "more than 16,777,216 entries"),
    ],
)
def test_what_the_format_does_not_allow_is_refused_by_its_line(banner, body, said):
    with pytest.raises(MatrixFileError, match="the text: ") as caught:
        read(banner, body)
    assert said in str(caught.value)


@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric"])
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
@pytest.mark.parametrize("sparse", [False, True])
def test_what_scipy_writes_is_read_as_scipy_reads_it(tmp_path, symmetry, dtype, sparse):
    matrix = np.random.default_rng(0).integers(-9, 9, (5, 5)).astype(dtype)
    if dtype is np.float64:
        matrix /= 7
    if symmetry != "general":
        matrix = matrix + matrix.T if symmetry == "symmetric" else matrix - matrix.T
    path = tmp_path / "a.mtx"
    given = scipy.sparse.coo_array(matrix) if sparse else matrix
    scipy.io.mmwrite(path, given, symmetry=symmetry, precision=17)
    np.testing.assert_array_equal(read_matrix(path), matrix)
    assert read_matrix(write_matrix(tmp_path / "b.mtx", matrix * 1.0)).tolist() == matrix.tolist()
