"""What would take all memory, all time, or all of Python with it, is refused at once."""

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from odemom import MatrixFileError
from odemom.matrix_files import parse_matrix, read_matrix, read_stream, source


@pytest.fixture
def small_limits(monkeypatch):
    monkeypatch.setattr(source, "MOST_BYTES", {"text": 100, "binary": 1000})


def test_a_device_is_not_read():
    with pytest.raises(MatrixFileError, match="it is a device"):
        read_matrix("/dev/zero")


def test_a_large_file_and_an_endless_stream_are_refused_by_the_limit(tmp_path, small_limits):
    with open(tmp_path / "a.txt", "wb") as stream:
        stream.truncate(10**12)  # of zeros that take no room on the disk
    with pytest.raises(MatrixFileError, match="larger than 0 MiB"):
        read_matrix(tmp_path / "a.txt")
    with open("/dev/zero", "rb") as stream, pytest.raises(MatrixFileError, match="larger than"):
        read_stream(stream, "zeros")


def test_a_pipe_is_read(tmp_path):
    read, write = os.pipe()
    os.write(write, b"1 2\n3 4\n")
    os.close(write)
    try:
        assert read_matrix(f"/dev/fd/{read}") == [[1, 2], [3, 4]]
    finally:
        os.close(read)


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "a\0b", "\udcff" * 300])
def test_names_that_the_system_does_not_take_are_refused(name):
    with pytest.raises(MatrixFileError, match="cannot be read") as caught:
        read_matrix(name)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text",
    [
        "1" + " 1" * 2000,
        "1\n" * 2000,
        "[" + "1," * 2000 + "1]",
        '{"D": [' + "[]," * 2000 + "[]]}",
        "%%MatrixMarket matrix coordinate real general\n100 100 0",
        "%%MatrixMarket matrix array real general\n1 1\n" + "\n" * 2000,
    ],
)
def test_too_many_entries_are_refused_before_they_are_made_numbers(text, monkeypatch):
    for module in ("source", "text", "matrix_market"):
        monkeypatch.setattr(f"odemom.matrix_files.{module}.MOST_ENTRIES", 1000)
    with pytest.raises(MatrixFileError, match="more than 1,000 entries"):
        parse_matrix(text)


def test_exact_numbers_that_are_short_to_write_and_long_in_memory_have_a_limit():
    rows = "\n".join(f"{i}e100000 1/2" for i in range(2000))
    with pytest.raises(MatrixFileError, match="100,000,000 digits in all"):
        parse_matrix(rows)
    with pytest.raises(MatrixFileError, match="an exponent of at most 100000"):
        parse_matrix("1e100001 1/2")


def npy(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1" + "0" * 40 + ", 1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), 'x': 1}",
        "{'descr': 'O', 'fortran_order': False, 'shape': (1, 1), }",
        "{'descr': '|V8', 'fortran_order': False, 'shape': (1, 1), }",
        "{'descr': '<f99', 'fortran_order': False, 'shape': (1, 1), }",
        "{'descr': ('<f8', (2,) * 40), 'fortran_order': False, 'shape': (1, 1), }",
        "{{{" * 30,
        "(" * 110,
        "'''",
        "\0",
    ],
)
def test_headers_of_npy_that_end_early_or_overflow_are_refused(tmp_path, header):
    (tmp_path / "a.npy").write_bytes(npy(header))
    with pytest.raises(MatrixFileError, match=r"a\.npy"):
        read_matrix(tmp_path / "a.npy")


def test_what_follows_an_array_in_its_file_is_no_part_that_may_be_lost(tmp_path):
    content = io.BytesIO()
    np.save(content, np.eye(2))
    np.save(content, np.eye(2))
    (tmp_path / "a.npy").write_bytes(content.getvalue())
    with pytest.raises(MatrixFileError, match="more in it"):
        read_matrix(tmp_path / "a.npy")


def test_what_grows_when_it_is_unpacked_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("odemom.matrix_files.numpy_files.MOST_BYTES", {"binary": 10**5})
    path = tmp_path / "a.npz"
    np.savez_compressed(path, D=np.zeros((400, 400)))
    assert path.stat().st_size < 10**4
    with pytest.raises(MatrixFileError, match="compressed in it is too large"):
        read_matrix(path)


def test_an_archive_that_is_none_is_named(tmp_path):
    for name in ("a.npz", "a.mat", "a.pt"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 and nothing of the kind")
        with pytest.raises(MatrixFileError, match=f"not a complete {Path(name).suffix} file"):
            read_matrix(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "1 2")
    with pytest.raises(MatrixFileError, match="no array"):
        read_matrix(tmp_path / "a.npz")
