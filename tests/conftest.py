"""Settings of every test: hypothesis draws the same examples in every run, without deadlines."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from typing import Any

import pytest
from hypothesis import settings

from odemom import cli
from odemom.plots import style

settings.register_profile("odemom", derandomize=True, deadline=None)
settings.load_profile("odemom")


def pytest_collection() -> None:
    """Imports leave no garbage that is worth looking for."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What the imports have left lives to the end: no collection of garbage looks at it again."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def small_pictures():
    """Pictures are small, and the PDF has its glyphs as outlines, not as parts of fonts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(style.RC, "savefig.dpi", 40)
        patch.setitem(style.RC, "pdf.fonttype", 3)
        yield


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: (status, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["odemom", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as left:
            cli.main()
        code = left.value.code
        return code if isinstance(code, int) else 0 if code is None else 1, *capsys.readouterr()

    return call


@pytest.fixture
def ctrl_c():
    """A function that sends this process what Ctrl-C sends; a shell may have had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def send(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)  # the handler runs here
        raise AssertionError("nobody was interrupted")

    yield send
    signal.signal(signal.SIGINT, before)
