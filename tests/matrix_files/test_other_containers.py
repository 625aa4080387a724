"""Whatever holds numbers is a matrix: archives, tensors, tables with labels, brackets, pipes."""

import io
import struct
from fractions import Fraction

import numpy as np
import pytest
import scipy.io
import scipy.sparse
import torch

import odemom
from odemom import MatrixFileError
from odemom.matrix_files import MatrixFileNote, parse_matrix, read_matrix, read_stream

A = np.array([[0.1, -1.0, 2.0], [3.0, 4.0, 5.0], [0.0, 0.0, -7.0]])


def save_npz(path, **arrays):
    np.savez(path, **arrays)


def save_compressed(path, **arrays):
    np.savez_compressed(path, **arrays)


def save_mat(path, **arrays):
    scipy.io.savemat(path, arrays)


def save_compressed_mat(path, **arrays):
    scipy.io.savemat(path, arrays, do_compression=True)


def save_mat_4(path, **arrays):
    scipy.io.savemat(path, arrays, format="4")


def save_pt(path, **arrays):
    torch.save({name: torch.tensor(array) for name, array in arrays.items()}, path)


ARCHIVES = [
    ("a.npz", save_npz),
    ("a.npz", save_compressed),
    ("a.mat", save_mat),
    ("a.mat", save_compressed_mat),
    ("a.mat", save_mat_4),
    ("a.pt", save_pt),
]


@pytest.mark.parametrize(("name", "save"), ARCHIVES)
def test_the_only_array_of_an_archive_is_the_matrix(tmp_path, name, save):
    path = tmp_path / name
    save(path, weights=A)
    np.testing.assert_array_equal(read_matrix(path), A)


@pytest.mark.parametrize(("name", "save"), ARCHIVES)
@pytest.mark.parametrize("others", [{"bias": np.ones(3)}, {"other": np.eye(2)}])
def test_of_several_the_one_called_d_is_taken_and_said(tmp_path, name, save, others):
    path = tmp_path / name
    save(path, D=A, **others)
    with pytest.warns(MatrixFileNote, match=f"D is taken as the matrix.*{next(iter(others))}"):
        matrix = read_matrix(path)
    np.testing.assert_array_equal(matrix, A)


@pytest.mark.parametrize(("name", "save"), ARCHIVES)
def test_of_several_the_only_square_one_is_taken_and_two_are_refused(tmp_path, name, save):
    path = tmp_path / name
    save(path, weight=A, bias=np.ones(3))
    with pytest.warns(MatrixFileNote, match="weight is taken"):
        np.testing.assert_array_equal(read_matrix(path), A)
    save(path, x=A, y=np.eye(2))
    with pytest.raises(MatrixFileError, match=r"x \(3, 3\), y \(2, 2\)"):
        read_matrix(path)
    save(path, matrix=A, D=np.eye(2))
    with pytest.raises(MatrixFileError, match="called matrix or D"):
        read_matrix(path)


def test_sparse_matrices_of_matlab_are_filled_and_those_of_scipy_named(tmp_path):
    sparse = scipy.sparse.csc_array(A)
    scipy.io.savemat(tmp_path / "a.mat", {"D": sparse})
    np.testing.assert_array_equal(read_matrix(tmp_path / "a.mat"), A)
    scipy.sparse.save_npz(tmp_path / "a.npz", sparse)
    with pytest.raises(MatrixFileError, match="toarray"):
        read_matrix(tmp_path / "a.npz")


@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"])
@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_of_matlab_keep_their_class(tmp_path, dtype, compressed):
    matrix = np.array([[1, 0, 3], [0, 1, 2]]).astype(dtype)
    scipy.io.savemat(tmp_path / "a.mat", {"a": matrix}, do_compression=compressed)
    back = read_matrix(tmp_path / "a.mat")
    np.testing.assert_array_equal(back, matrix)
    assert back.dtype == matrix.dtype


def test_doubles_that_matlab_stores_as_bytes_are_doubles(tmp_path):
    # Flags of class 6 (double), a small element with the name "a", a small one of three int8.
    parts = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<IIii", 5, 8, 1, 3)
    parts += struct.pack("<HH4s", 1, 1, b"a") + struct.pack("<HH4b", 1, 3, -1, 2, 3, 0)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    (tmp_path / "a.mat").write_bytes(header + struct.pack("<II", 14, len(parts)) + parts)
    matrix = read_matrix(tmp_path / "a.mat")
    assert (matrix.tolist(), matrix.dtype) == ([[-1.0, 2.0, 3.0]], np.float64)


def test_complex_matrices_of_matlab_are_named(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"D": A * 1j})
    with pytest.raises(MatrixFileError, match="is complex, and outside the theory"):
        read_matrix(tmp_path / "a.mat")


@pytest.mark.parametrize("entry", [(1, 3), (0, 1), (3, 1), (1, 0), (1.5, 1)])
def test_an_entry_of_a_sparse_matrix_stands_within_its_shape(tmp_path, entry):
    # Version 4: rows, columns and values of the entries, and the shape 2 x 2 in the last row.
    table = np.array([[*entry, 5.0], [2.0, 2.0, 0.0]])
    content = struct.pack("<5i", 2, 2, 3, 0, 2) + b"D\0" + table.tobytes(order="F")
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(MatrixFileError, match=r"outside the shape|none of the type int64"):
        read_matrix(tmp_path / "a.mat")
    table[0, :2] = 1, 2
    (tmp_path / "a.mat").write_bytes(content[:22] + table.tobytes(order="F"))
    np.testing.assert_array_equal(read_matrix(tmp_path / "a.mat"), [[0, 5], [0, 0]])


def test_booleans_are_zeros_and_ones_in_every_format(tmp_path):
    mask = A > 0
    np.save(tmp_path / "a.npy", mask)
    save_npz(tmp_path / "a.npz", D=mask)
    save_mat(tmp_path / "a.mat", D=mask)
    save_pt(tmp_path / "a.pt", D=mask)
    (tmp_path / "a.json").write_text(str(mask.tolist()).lower())
    for path in tmp_path.iterdir():
        matrix = read_matrix(path)
        np.testing.assert_array_equal(np.asarray(matrix), mask)
        assert odemom.analyze(matrix, 1).exact


def test_tensors_are_read_and_programs_are_not(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(torch.nn.Parameter(torch.tensor(A)), path)
    np.testing.assert_array_equal(read_matrix(path), A)
    torch.save(torch.tensor(A).bfloat16(), path)
    assert odemom.analyze(read_matrix(path), 1).tol == 4 * 3 * 2.0**-7
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(MatrixFileError, match="more than tensors"):
        read_matrix(path)


def test_a_format_of_matlab_that_is_not_read_is_named(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(MatrixFileError, match=r"7\.3.*-v7"):
        read_matrix(tmp_path / "a.mat")


@pytest.mark.parametrize(
    "text",
    [
        "[-1 1; 0 -3/4]",
        "D = [-1, 1; 0, -3/4];\n",
        "[-1 1\n 0 -3/4]",
        "[-1 1 ;\n  0 -3/4 ; ]",
        "[[-1, 1], [0, -3/4]]",
        "[[-1 1]\n [0 -3/4]]",
        "D =\n\n    -1     1\n     0  -3/4\n\n",
        "-1, 1\n0, -3/4",
        '{"D": [[-1, 1], [0, "-3/4"]]}',
        "%%MatrixMarket matrix array rational general\n2 2\n-1\n0\n1\n-3/4",
    ],
)
def test_text_is_read_in_the_form_in_which_programs_print_it(text):
    assert parse_matrix(text) == [[-1, 1], [0, Fraction(-3, 4)]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[-1 1; 0 -1", "does not end with ]"),
        ("[1 2; 3]", "1 entry in row 2"),
        ("[1,,2]", "'' in row 1, column 2"),
        ("[[1, 2], [3, 4]", "no list of rows"),
        ("[[1, 2]; [3, 4]]", "no list of rows"),
        ("[[1, 2],, [3, 4]]", "no list of rows"),
        ("[[[1]]]", "no list of rows"),
        ("[1 - 2]", "'-' in row 1"),
        ("[]", "no rows"),
        ("[1 2]'", "does not end with ]"),
        ("D =\n\n   1.0e+03 *\n\n    1.0000", "the scale factor '1.0e+03 *'"),
    ],
)
def test_brackets_that_do_not_match_are_refused(text, said):
    with pytest.raises(MatrixFileError) as caught:
        parse_matrix(text)
    assert said in str(caught.value)


LABELLED = [
    (",0,1\n0,-1.0,0.5\n1,0.0,-1.0\n", "index column '0, 1'"),  # pandas
    ('"","V1","V2"\n"1",-1,0.5\n"2",0,-1\n', "the header 'V1, V2'"),  # R
    ("x;y\n-1;0.5\n0;-1\n", "the header 'x, y'"),
    ("name,x,y\nfirst,-1,0.5\nsecond,0,-1\n", "index column 'first, second'"),
]


@pytest.mark.parametrize(("content", "said"), LABELLED)
def test_a_header_and_an_index_column_are_left_out_and_said(tmp_path, content, said):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.warns(MatrixFileNote) as caught:
        matrix = read_matrix(path)
    assert matrix == [[-1.0, 0.5], [0.0, -1.0]]
    assert said in str(caught[0].message)


@pytest.mark.parametrize(
    "content",
    [
        ",2\n3,4\n",  # the first entry is missing
        "a,b\n1,2\n",  # a row is missing
        "x,0,5\n0,1,2\n1,3,4\n",  # these numbers count nothing
        ",0,1\n0,1,2\n5,3,4\n",
        "x,x\n1,2\n3,4\n",
        "nan,a\n1,2\n3,4\n",
        "1x,a\n1,2\n3,4\n",
    ],
)
def test_what_may_be_part_of_the_matrix_is_no_label(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(MatrixFileError):
        read_matrix(tmp_path / "a.csv")


@pytest.mark.parametrize(("name", "save"), ARCHIVES)
def test_a_stream_is_read_by_what_it_holds(tmp_path, name, save):
    save(tmp_path / name, D=A)
    content = (tmp_path / name).read_bytes()
    if save is not save_mat_4:  # which begins with no word of its own
        np.testing.assert_array_equal(read_stream(io.BytesIO(content), "here"), A)


def test_check_reads_standard_input_and_brackets(run, monkeypatch):
    def given(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    given(LABELLED[0][0])
    code, out, err = run("check", "-", "--eps", "1")
    assert (code, "one Jordan block, of size 2" in out) == (1, True)
    assert " ".join(err.split()) == (
        "note: standard input: the header '0, 1' and the index column '0, 1' are no part of the "
        "matrix."
    )
    code, out, err = run("check", "[-1 1; 0 -1]", "--eps", "1")
    assert (code, "exact arithmetic" in out, err) == (1, True, "")
    code, out, err = run("check", "[-1 1; 0 -1", "--eps", "1")
    assert (code, out) == (2, "")
    assert "begins with [ and does not end with ]" in err
    assert run("check", "[-1 1; 0 -1];", "--eps", "1")[0] == 1
    given("1 2\n3")
    code, out, err = run("represent", "-", "--eps", "1")
    assert (code, out) == (2, "")
    assert "standard input: got 1 entry in row 2" in err
    monkeypatch.setattr("sys.stdin", None)
    assert run("check", "-", "--eps", "1")[0] == 2
