"""Results on disk: atomic, strict, honest about numbers."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import odemom
from odemom.errors import InvalidInputError
from odemom.records import from_json, jsonable, provenance, write_json, write_text_atomic


@dataclass(frozen=True)
class Point:
    x: float
    where: Path


CASES = [
    (None, None),
    (True, True),
    (np.bool_(True), True),
    (3, 3),
    (np.int64(3), 3),
    (0.1, 0.1),
    (np.float32(0.5), 0.5),
    (np.longdouble(0.5), 0.5),
    (math.inf, "inf"),
    (-np.float64(math.inf), "-inf"),
    (math.nan, "nan"),
    (Fraction(1, 3), "1/3"),
    (np.array([[1.0, math.nan]]), [[1.0, "nan"]]),
    ((1, [2]), [1, [2]]),
    (Point(math.inf, Path("a")), {"x": "inf", "where": "a"}),
    ({"b": 1, "a": {"c": ()}}, {"b": 1, "a": {"c": []}}),
]


@pytest.mark.parametrize(("value", "expected"), CASES, ids=str)
def test_json_says_what_the_value_is(tmp_path, value, expected):
    text = write_json(tmp_path / "r.json", value).read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == expected


def test_non_finite_numbers_are_read_back_by_float():
    written = jsonable([math.inf, -math.inf, math.nan])
    assert [str(float(text)) for text in written] == ["inf", "-inf", "nan"]


def test_keys_keep_their_order(tmp_path):
    text = write_json(tmp_path / "r.json", {"b": 1, "a": 2}).read_text()
    assert text == '{\n  "b": 1,\n  "a": 2\n}\n'


REFUSED = [
    ({"a": [1, 2j]}, r"payload\['a'\]\[1\]: got 2j of type complex"),
    (np.array([1j]), "of type complex"),
    (np.clongdouble(1j), "of type clongdouble"),
    ({1: 2}, "got the key 1 of type int"),
    ({"a": {3, 4}}, "of type set"),
    (object(), "of type object"),
    (b"x", "of type bytes"),
]


@pytest.mark.parametrize(("payload", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_json_cannot_say_is_refused_and_the_old_file_stays(tmp_path, payload, message):
    path = write_text_atomic(tmp_path / "r.json", "old")
    with pytest.raises(InvalidInputError, match=message):
        write_json(path, payload)
    assert path.read_text() == "old"


def test_parents_are_made_and_nothing_else_is_left(tmp_path):
    path = write_text_atomic(tmp_path / "a" / "b" / "note.txt", "ε\n")
    assert path.read_bytes() == "ε\n".encode()
    assert os.listdir(path.parent) == ["note.txt"]


def test_a_crash_before_the_rename_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_text_atomic(tmp_path / "r.txt", "old")

    def crash(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_text_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["r.txt"]


def test_impossible_paths_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="got the folder"):
        write_text_atomic(tmp_path, "x")
    with pytest.raises(InvalidInputError, match="of which a parent is a file"):
        write_text_atomic(tmp_path / "file" / "r.txt", "x")
    with pytest.raises(InvalidInputError, match="which cannot be written"):
        write_text_atomic(tmp_path / ("x" * 300), "x")
    with pytest.raises(InvalidInputError, match="got the folder"):
        write_text_atomic(f"{tmp_path}/file/", "x")
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InvalidInputError, match="Permission denied"):
        write_text_atomic(tmp_path / "r.txt", "x")


def test_numbers_too_long_for_text_are_refused():
    with pytest.raises(InvalidInputError, match="4300 digits"):
        jsonable({"eps": Fraction(1, 10**5000)})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInputError, match="device or pipe"):
        write_text_atomic(tmp_path / "pipe", "text")
    assert not (tmp_path / "pipe").is_file()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InvalidInputError, match="Permission denied"):
        write_text_atomic(tmp_path / "new" / "a.txt", "text")


def test_provenance_says_where_a_result_comes_from():
    found = jsonable(provenance(seed=7))
    assert found["seed"] == 7
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"odemom", "numpy", "scipy"} <= found["versions"].keys()
    assert found["date"].endswith("+00:00")
    assert found["cpu"]


def test_a_package_with_damaged_metadata_has_a_version_in_words(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: None)
    found = provenance()["versions"]
    assert (found["numpy"], found["odemom"]) == ("unknown", odemom.__version__)


def test_records_and_provenance_load_no_torch():
    code = (
        "import sys; from odemom.records import provenance; p = provenance();"
        "assert 'torch' not in sys.modules and 'torch' not in p['versions'] and p['gpu'] is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def nested(depth):
    data = []
    for _ in range(depth):
        data = [data]
    return data


@pytest.mark.parametrize(
    "payload",
    [nested(100_000), 10**5000, "\ud800", {"a": object()}],
    ids=["deep", "long", "half", "o"],
)
def test_what_json_cannot_say_is_refused_and_nothing_is_written(tmp_path, payload):
    with pytest.raises(InvalidInputError):
        write_json(tmp_path / "a.json", payload)
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Share:
    x: float
    labels: tuple[str, ...] = ()
    share: Fraction | float = 0.5


@pytest.mark.parametrize(
    "point", [Share(1.0), Share(-math.inf, ("a", "b"), Fraction(1, 3)), Share(0.1, (), math.inf)]
)
def test_a_dataclass_comes_back_from_json(point):
    assert from_json(Share, json.loads(json.dumps(jsonable(point)))) == point


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"x": "1"},
        {"x": True},
        {"x": 1.0, "y": 2},
        {"x": 1.0, "labels": "ab"},
        {"x": 1.0, "labels": [1]},
        {"x": 1.0, "share": "1e99999999"},
        {"x": 10**400},
        {"x": nested(100_000)},
        [1.0],
        None,
    ],
    ids=range(11),
)
def test_data_that_do_not_fit_a_dataclass_are_refused(data):
    with pytest.raises(InvalidInputError):
        from_json(Share, data)
