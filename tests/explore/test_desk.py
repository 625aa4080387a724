"""An answer that takes too long is stopped with a sentence, and the next one is given."""

import json
import os
import sys
import threading
import time

import pytest

from odemom.explore.desk import Desk

# Stands for the worker: it sleeps where the question says so, ends, or echoes.
ACTOR = """
import json, sys, time
print("ready", flush=True)
for line in sys.stdin:
    part, fields = json.loads(line)
    if part == "sleep":
        time.sleep(fields)
    if part == "end":
        sys.exit(1)
    print(json.dumps({"echo": fields}), flush=True)
"""


@pytest.fixture
def desk():
    actor = Desk(1, limit=0.5, command=[sys.executable, "-c", ACTOR])
    yield actor
    actor.close()


def test_what_takes_too_long_is_stopped_and_the_next_question_answered(desk):
    desk.ask("echo", 0)
    began = time.monotonic()
    answer = json.loads(desk.ask("sleep", 60))
    assert answer["error"].startswith("The answer took longer than 0.5 s and was stopped.")
    assert time.monotonic() - began < 2.5
    assert json.loads(desk.ask("echo", "ε")) == {"echo": "ε"}


def test_a_process_that_ends_is_started_again(desk):
    assert "started again" in json.loads(desk.ask("end", None))["error"]
    assert json.loads(desk.ask("echo", 1)) == {"echo": 1}


def test_where_no_process_can_be_had_there_is_a_sentence(desk, monkeypatch):
    desk.ask("end", None)
    with monkeypatch.context() as patch:
        patch.setattr("subprocess.Popen", lambda *_, **__: os.open("/none", os.O_RDONLY))
        assert "started again" in json.loads(desk.ask("echo", 1))["error"]
    assert json.loads(desk.ask("echo", 1)) == {"echo": 1}


def test_a_start_that_takes_too_long_is_told_from_an_answer_that_does(monkeypatch):
    monkeypatch.setattr("odemom.explore.desk.START", 0.2)
    slow = Desk(workers=1, command=[sys.executable, "-c", "import time; time.sleep(60)"])
    assert "did not start within 0.2 s" in slow.ask("decision", {})
    slow.close()


def test_who_waits_too_long_for_a_turn_is_told_so(desk):
    desk.ask("echo", 0)
    desk.limit = 5.0
    busy = threading.Thread(target=desk.ask, args=("sleep", 1.0))
    busy.start()
    time.sleep(0.2)
    desk.limit = 0.05
    assert "try again" in json.loads(desk.ask("echo", 1))["error"]
    busy.join()


def test_a_second_question_is_answered_while_the_first_is():
    desk = Desk(2, limit=20, command=[sys.executable, "-c", ACTOR])
    busy = threading.Thread(target=desk.ask, args=("sleep", 1.5))
    busy.start()
    time.sleep(0.2)
    assert json.loads(desk.ask("echo", 1)) == {"echo": 1}
    assert busy.is_alive()
    busy.join()
    started = pids(desk)
    assert len(started) == 2
    desk.close()
    for pid in started:  # and none is left
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def pids(desk):
    return [worker.process.pid for worker in desk._all if worker.process is not None]
