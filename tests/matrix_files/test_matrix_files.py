"""Matrices from files: what is read, what is exact, and what is refused."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from odemom import InvalidInputError, MatrixFileError
from odemom.matrix_files import read_matrix, write_matrix


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


THREE_QUARTERS = Fraction(-3, 4)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "-3/4 1\n0 2\n", [[THREE_QUARTERS, 1], [0, 2]]),
        ("a", "# a comment\n\n  1 2 # and one\n+3\t-4", [[1, 2], [3, -4]]),
        ("a.dat", "1 2.5\n3 4e-1", [[1.0, 2.5], [3.0, 0.4]]),
        ("a.csv", "1, 2\n3, -3/4\n", [[1, 2], [3, THREE_QUARTERS]]),
        ("a.csv", "1;2\n3;4\n", [[1, 2], [3, 4]]),
        ("a.csv", "1\t2\n3\t4\n", [[1, 2], [3, 4]]),
        ("a.csv", "\ufeff5\n", [[5]]),
        ("a.csv", '"1","2"\r\n"3","-3/4"\r\n', [[1, 2], [3, THREE_QUARTERS]]),
        ("a.txt", "\u22121 2\n3 \u22123/4", [[-1, 2], [3, THREE_QUARTERS]]),
        ("a.json", '[[1, "-3/4"], [0, 2]]', [[1, THREE_QUARTERS], [0, 2]]),
        ("a.json", '{"matrix": [[0.5]]}', [[0.5]]),
        ("a.json", '{"D": [[7]]}', [[7]]),
        # a rational beside a decimal: the decimal is the rational that it spells
        ("a.txt", "-3/4 0.1\n0 1", [[THREE_QUARTERS, Fraction(1, 10)], [0, 1]]),
        ("a.txt", "100000000000000000000000 0\n0 1", [[10**23, 0], [0, 1]]),
    ],
)
def test_text_formats_give_the_numbers_that_they_spell(tmp_path, name, content, expected):
    matrix = read_matrix(written(tmp_path, name, content))
    assert matrix == expected
    assert [[type(x) for x in row] for row in matrix] == [[type(x) for x in r] for r in expected]


def test_exact_reads_decimals_as_decimals_and_no_exact_reads_rationals_as_floats(tmp_path):
    path = written(tmp_path, "a.txt", "0.1 1e-2\n-3/4 2")
    assert read_matrix(path, exact=True)[0] == [Fraction(1, 10), Fraction(1, 100)]
    assert read_matrix(path, exact=False) == [[0.1, 0.01], [-0.75, 2.0]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_npy_keeps_values_and_dtype(tmp_path, dtype):
    array = np.arange(9).reshape(3, 3).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    back = read_matrix(tmp_path / "a.npy")
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("array", [np.array([[1, -2], [3, 4]]), np.array([[0.5, 0], [0, 0.25]])])
def test_matrix_market_dense_and_sparse(tmp_path, array):
    scipy.io.mmwrite(tmp_path / "dense.mtx", array)
    scipy.io.mmwrite(tmp_path / "sparse.mtx", scipy.sparse.coo_matrix(array))
    for name in ("dense.mtx", "sparse.mtx"):
        back = read_matrix(tmp_path / name)
        assert back.dtype.kind == array.dtype.kind
        np.testing.assert_array_equal(back, array)


NPY = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (9, 9), }" + b" " * 60
)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "1 2\n3\n", "got 1 entry in row 2 and 2 in row 1"),
        ("a.txt", "", "no rows"),
        ("a.txt", "# only a comment\n", "no rows"),
        ("a.txt", "1 x\n2 3", "'x' in row 1, column 2"),
        ("a.txt", "1 nan\n2 3", "'nan' in row 1, column 2"),
        ("a.txt", "1.0 inf\n2 3", "finite"),
        ("a.txt", "1/2 inf\n2 3", "'inf' in row 1, column 2"),
        ("a.txt", "1/0 1\n2 3", "'1/0' in row 1, column 1"),
        ("a.txt", "1+2j 1\n2 3", "Complex matrices are outside the theory"),
        ("a.txt", "1/2 1e999999999\n2 3", "'1e999999999'"),
        ("a.txt", "9" * 5000, "row 1, column 1"),
        ("a.txt", b"\xff\xfe\x00\x01", "not text"),
        (
            "a.csv",
            "a,b\n1,2\n",
            "'a' in row 1, column 1; expected a real number. Remove",
        ),
        ("a.csv", "1,2,\n3,4,\n", "begin or end with a separator"),
        ("a.txt", "1 [2]", "A matrix in brackets begins and ends with them"),
        ("a.txt", '[["-3/4"]]', "Write it without quotes, or name the file .json"),
        ("a.csv", "1,,3\n1,2,3\n", "'' in row 1, column 2"),
        ("a.json", "[[1, 2], [3", "not valid JSON"),
        ("a.json", "[[NaN]]", "NaN"),
        ("a.json", '{"x": [[1]]}', 'the key "matrix"'),
        ("a.json", "[1, 2]", "list of rows"),
        ("a.json", "[[true, 1]]", "True in row 1, column 1"),
        ("a.json", "[[true], [true, false]]", "2 entries in row 2 and 1 in row 1"),
        ("a.json", "[[null]]", "None in row 1, column 1"),
        ("a.json", '{"D": [[1]], "matrix": [[2]]}', 'both keys "matrix" and "D"'),
        ("a.json", '{"D": [[1]], "D": [[2]]}', "the key 'D' twice"),
        ("a.json", "[[[1]]]", "row 1, column 1"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.npy", b"not numpy", ".npy"),
        ("a.npy", b"", ".npy"),
        ("a.npy", NPY, ".npy"),
        ("a.mtx", "1 2\n3 4\n", "%%MatrixMarket"),
        ("a.mtx", "%%MatrixMarket matrix array real general\n2 2\n1.0\n", "not a complete .mtx"),
        ("a.mtx", "%%MatrixMarket matrix array real general\n", "not a complete .mtx"),
    ],
)
def test_what_is_no_matrix_is_refused_in_a_sentence_that_names_the_place(
    tmp_path, name, content, said
):
    with pytest.raises(MatrixFileError) as caught:
        read_matrix(written(tmp_path, name, content))
    assert said in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_pickled_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[Fraction(1, 2)]], dtype=object), allow_pickle=True)
    with pytest.raises(MatrixFileError, match="Python objects"):
        read_matrix(tmp_path / "a.npy")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(MatrixFileError, match="no such file"):
        read_matrix(tmp_path / "missing.txt")
    with pytest.raises(MatrixFileError, match="it is a folder"):
        read_matrix(tmp_path)


def test_truncated_files_of_every_format_are_refused(tmp_path):
    array = np.arange(25.0).reshape(5, 5)
    np.save(tmp_path / "a.npy", array)
    scipy.io.mmwrite(tmp_path / "a.mtx", array)
    (tmp_path / "a.json").write_text(json.dumps(array.tolist()))
    (tmp_path / "a.csv").write_text("\n".join(",".join(map(str, row)) for row in array))
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(MatrixFileError):
            read_matrix(path)


@pytest.mark.parametrize("name", ["a.npy", "a.csv", "a.json", "a.mtx", "a.txt", "a"])
def test_what_is_written_is_read(tmp_path, name):
    matrix = np.array([[0.1, -2 / 3, 5e-324], [1e300, -0.0, np.nextafter(1, 2)]])
    path = write_matrix(tmp_path / "new" / name, matrix)
    assert np.array_equal(np.asarray(read_matrix(path), dtype=np.float64), matrix)
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_a_message_holds_no_other_message(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MatrixFileError, match="not text") as caught:
        read_matrix(tmp_path / "a.json")
    assert "finite" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", "[[%s]]"), ("a.txt", "%s"), ("b.txt", "1/%s")]
)
def test_integers_beyond_the_reach_of_python_are_named(tmp_path, name, text):
    (tmp_path / name).write_text(text % ("9" * 5000))
    with pytest.raises(MatrixFileError, match="4300 digits"):
        read_matrix(tmp_path / name)


def test_a_matrix_is_not_written_as_text_under_a_binary_suffix(tmp_path):
    with pytest.raises(InvalidInputError, match="npz"):
        write_matrix(tmp_path / "a.npz", np.eye(2))
    assert list(tmp_path.iterdir()) == []
