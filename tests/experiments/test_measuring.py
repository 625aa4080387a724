"""The process that measures: what it says when it fails, and that it goes on afterwards."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Any

import pytest

from odemom.errors import OdemomError
from odemom.experiments import _measuring
from odemom.experiments._measuring import answer_of, in_a_child, returning_memory


@pytest.fixture(scope="module", autouse=True)
def without_pytorch(tmp_path_factory):
    """A process of these tests alone, which starts at once: nothing here needs PyTorch in it."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "torch.py").write_text("def set_num_threads(n): pass")
    process = _measuring._Process()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr(_measuring, "_PROCESS", process)
        yield
    process.close()


@dataclass(frozen=True)
class Asked:
    """A request of this module, which is a program itself."""

    what: str
    device: str = "cpu"


def prepare(request: Any) -> None:
    if request["what"] == "not there":
        raise ImportError("no such library")


def answer(request: Any) -> Any:
    what = request["what"]
    if what == "place":
        return [os.getcwd(), os.environ.get("ODEMOM_PLACE")]
    if what == "fork":
        return [in_a_child(os.getpid), in_a_child(os.getpid), os.getpid()]
    if what == "much":
        return "x" * 10**6
    if what == "prints":
        print("a library says something")
        os.write(1, b"and something else\n")
        return 1
    if what == "nested":
        return in_a_child(lambda: 1 // 0)
    if what == "nothing fits":
        raise SystemExit("not even one image fits")
    if what == "killed":
        os.kill(os.getppid(), signal.SIGKILL)
    raise ValueError("the answer is wrong")


def ask(what):
    return answer_of(__name__, Asked(what))


def test_every_measurement_has_a_process_of_its_own_from_the_same_one():
    first, second = ask("fork"), ask("fork")
    assert len({*first, *second}) == 6
    assert ask("much") == "x" * 10**6


def test_it_works_where_its_caller_is(tmp_path, monkeypatch):
    ask("place")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ODEMOM_PLACE", "here")
    assert ask("place") == [str(tmp_path), "here"]


def test_settings_of_malloc_that_keep_freed_memory_are_left_out(monkeypatch):
    """With a trim threshold and padding, a step of 160 MB was measured as 189."""
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "17179869184")
    monkeypatch.setenv("MALLOC_TOP_PAD_", "268435456")
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "4294967296")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.top_pad=1:glibc.rtld.nns=3")
    started = []

    def popen(command, **options):
        started.append(options["env"])
        raise OSError("not started")

    monkeypatch.setattr(_measuring.subprocess, "Popen", popen)
    with pytest.raises(OSError, match="not started"):
        _measuring._Process().answer({})
    (env,) = started
    assert {k: v for k, v in env.items() if k.startswith(("MALLOC_", "GLIBC_"))} == {
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "GLIBC_TUNABLES": "glibc.rtld.nns=3",
    }
    assert env["PATH"] == os.environ["PATH"]
    assert "GLIBC_TUNABLES" not in returning_memory({"GLIBC_TUNABLES": "glibc.malloc.perturb=1"})


def test_what_is_printed_is_no_answer():
    assert ask("prints") == 1


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("error", "ValueError: the answer is wrong"),
        ("nested", "ZeroDivisionError"),
        ("nothing fits", "failed:\nnot even one image fits"),
        ("not there", "no such library"),
        ("killed", "has ended"),
    ],
)
def test_a_failure_says_why_and_the_next_request_is_answered(what, said):
    with pytest.raises(OdemomError, match=said):
        ask(what)
    assert ask("prints") == 1


def test_an_answer_that_nobody_waited_for_meets_no_other_request(monkeypatch):
    ask("prints")
    process = _measuring._PROCESS.process
    assert process is not None
    assert process.stdout is not None

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(process.stdout, "readline", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask("much")
    assert process.poll() == -signal.SIGKILL
    assert ask("prints") == 1
