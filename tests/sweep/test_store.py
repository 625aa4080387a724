"""The store of finished tasks: what it keeps, takes up again, and refuses."""

from __future__ import annotations

import dataclasses

import pytest

from odemom import InvalidInputError
from odemom.sweep import TaskStore, task_key

IDENTITY = {"experiment": "x", "version": "1"}


@dataclasses.dataclass(frozen=True)
class Task:
    seed: int
    gamma: float = 0.9


@pytest.fixture
def store(tmp_path):
    return TaskStore(tmp_path / "new" / "x.parts.jsonl", IDENTITY)


def test_a_key_depends_on_all_that_a_task_holds():
    keys = {task_key(task) for task in (Task(0), Task(1), Task(0, 0.5), {"seed": 0, "gamma": 0.9})}
    assert len(keys) == 4
    assert task_key(Task(0)) == task_key(Task(0))


def test_what_was_appended_is_found_again(store):
    assert store.load() == {}
    store.append("a", {"loss": 0.5}, 1.5)
    store.append("b", [1, 2], 2.5)
    found = store.load()
    assert found["a"].outcome == {"loss": 0.5}
    assert (found["b"].outcome, found["b"].seconds) == ([1, 2], 2.5)


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_a_line_that_was_cut_off_is_dropped_and_the_file_goes_on(store, cut):
    store.append("a", 1, 0.0)
    store.append("b", 2, 0.0)
    text = store.path.read_text()
    store.path.write_text(text[:-cut])
    assert set(store.load()) == {"a"}
    store.append("c", 3, 0.0)
    assert set(store.load()) == {"a", "c"}


def test_a_header_that_was_cut_off_is_written_again(store):
    store.append("a", 1, 0.0)
    store.path.write_text(store.path.read_text()[:5])
    assert store.load() == {}
    store.append("a", 1, 0.0)
    assert set(store.load()) == {"a"}


@pytest.mark.parametrize("line", ["no json\n", "[]\n", "{}\n", "3\n", "\x00\x00\n"])
def test_a_damaged_line_is_named_and_kept(store, line):
    store.append("a", 1, 0.0)
    text = store.path.read_text() + line
    store.path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"x\.parts\.jsonl with a line"):
        store.load()
    assert store.path.read_text() == text


def test_tasks_of_another_version_are_refused_with_what_differs(store):
    store.append("a", 1, 0.0)
    other = TaskStore(store.path, {**IDENTITY, "version": "2"})
    with pytest.raises(InvalidInputError, match="version '1', not '2'"):
        other.load()


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    store = TaskStore(tmp_path / "file" / "x.parts.jsonl", IDENTITY)
    with pytest.raises(InvalidInputError, match="out: got"):
        store.load()
    with pytest.raises(InvalidInputError, match="out: got"):
        store.append("a", 1, 0.0)
