"""The store of finished tasks: what it keeps, takes up again, and refuses."""

from __future__ import annotations

import dataclasses
import os

import pytest

from odemom import InvalidInputError
from odemom.sweep import TaskStore, task_key

HUGE = '{"task": "b", "outcome": 1, "seconds": 1' + "0" * 400 + "}\n"
IDENTITY = {"experiment": "x", "version": "1"}


@dataclasses.dataclass(frozen=True)
class Task:
    seed: int
    gamma: float = 0.9


@pytest.fixture
def store(tmp_path):
    return TaskStore(tmp_path / "new" / "x.parts.jsonl", IDENTITY)


def append(store, key, outcome, seconds=0.0):
    with store.writing() as keep:
        keep(key, outcome, seconds)


def test_a_key_depends_on_all_that_a_task_holds():
    keys = {task_key(task) for task in (Task(0), Task(1), Task(0, 0.5), {"seed": 0, "gamma": 0.9})}
    assert len(keys) == 4
    assert task_key(Task(0)) == task_key(Task(0))


def test_what_was_appended_is_found_again(store):
    assert store.load() == {}
    append(store, "a", {"loss": 0.5}, 1.5)
    append(store, "b", [1, 2], 2.5)
    found = store.load()
    assert found["a"].outcome == {"loss": 0.5}
    assert (found["b"].outcome, found["b"].seconds) == ([1, 2], 2.5)


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_a_line_that_was_cut_off_is_dropped_and_the_file_goes_on(store, cut):
    append(store, "a", 1, 0.0)
    append(store, "b", 2, 0.0)
    text = store.path.read_text()
    store.path.write_text(text[:-cut])
    assert set(store.load()) == {"a"}
    append(store, "c", 3, 0.0)
    assert set(store.load()) == {"a", "c"}


def test_a_run_that_kept_no_task_is_no_run_of_another_version(store):
    with pytest.raises(ZeroDivisionError), store.writing():
        raise ZeroDivisionError
    later = TaskStore(store.path, {**IDENTITY, "version": "2"})
    append(later, "a", 1)
    assert set(later.load()) == {"a"}


def test_a_run_that_kept_no_task_leaves_no_file_and_takes_none_of_another(store):
    with store.writing():
        with pytest.raises(InvalidInputError, match="another run"), store.writing():
            pass
        assert store.path.exists()
    assert not store.path.exists()
    append(store, "a", 1)
    with store.writing():
        pass
    assert set(store.load()) == {"a"}


def test_a_file_that_was_removed_while_it_was_opened_is_written_by_no_one(store, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    lock = fcntl.flock

    def removed(*arguments):
        store.path.unlink()
        return lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", removed)
    with pytest.raises(InvalidInputError, match="another run"), store.writing():
        pass


def test_a_header_that_was_cut_off_is_written_again(store):
    append(store, "a", 1, 0.0)
    store.path.write_text(store.path.read_text()[:5])
    assert store.load() == {}
    append(store, "a", 1, 0.0)
    assert set(store.load()) == {"a"}


@pytest.mark.parametrize(
    "line", ["no json\n", "[]\n", "{}\n", "3\n", "\x00\x00\n", "[" * 100_000 + "\n", HUGE]
)
def test_a_damaged_line_is_named_and_kept(store, line):
    append(store, "a", 1, 0.0)
    text = store.path.read_text() + line
    store.path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"x\.parts\.jsonl with a line"):
        store.load()
    assert store.path.read_text() == text


def test_tasks_of_another_version_are_refused_with_what_differs(store):
    append(store, "a", 1, 0.0)
    other = TaskStore(store.path, {**IDENTITY, "version": "2"})
    with pytest.raises(InvalidInputError, match="version '1', not '2'"):
        other.load()


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    store = TaskStore(tmp_path / "file" / "x.parts.jsonl", IDENTITY)
    with pytest.raises(InvalidInputError, match="out: got"):
        store.load()
    with pytest.raises(InvalidInputError, match="out: got"):
        append(store, "a", 1, 0.0)


def test_a_foreign_file_without_a_line_end_is_kept(store):
    store.path.parent.mkdir()
    store.path.write_text("my notes")
    with pytest.raises(InvalidInputError, match="no header"):
        store.load()
    with pytest.raises(InvalidInputError, match="no header"), store.writing():
        pass
    assert store.path.read_text() == "my notes"


def test_two_runs_do_not_write_to_one_file(store):
    with store.writing() as keep:
        keep("a", 1, 0.0)
        with pytest.raises(InvalidInputError, match="another run"), store.writing():
            pass
        keep("b", 2, 0.0)
        assert set(store.load()) == {"a", "b"}
    append(store, "c", 3)
    assert set(store.load()) == {"a", "b", "c"}


def test_loading_does_not_touch_a_line_that_another_run_is_writing(store):
    append(store, "a", 1)
    before = store.path.read_text() + '{"task": "b", "outc'
    store.path.write_text(before)
    assert set(store.load()) == {"a"}
    assert store.path.read_text() == before


def test_a_full_disk_is_a_sentence_and_leaves_whole_lines(store, monkeypatch):
    with store.writing() as keep:
        keep("a", 1, 0.0)
        write = os.write

        def full(descriptor, data):
            if len(data) > 10:
                return write(descriptor, data[:10])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(InvalidInputError, match="No space left"):
            keep("b", 2, 0.0)
        monkeypatch.undo()
        keep("c", 3, 0.0)
    assert set(store.load()) == {"a", "c"}


def test_a_device_in_place_of_the_file_is_refused(store):
    store.path.parent.mkdir()
    store.path.symlink_to("/dev/full")
    with pytest.raises(InvalidInputError, match="which is no file"):
        store.load()
