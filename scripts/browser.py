"""A real browser without a window, and the page of `odemom explore` in it.

For the tests, the benchmark and the pictures of docs/explore.md.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from odemom.explore.server import Server, server_on
from odemom.explore.words import respond

__all__ = ["AtOnce", "browser", "missing", "serving"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class AtOnce:
    """A desk that answers in this process, without a limit on the time."""

    def ask(self, part: str, fields: Any) -> str:
        """The answer as JSON."""
        return json.dumps(respond(part, fields), allow_nan=False)

    def close(self) -> None:
        """Nothing to end."""


def missing() -> str:
    """What is not here that a browser needs; empty where all is."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    if not any(map(shutil.which, NAMES)):
        return "there is no chromium on this machine"
    return ""


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as play:
        # The sandbox needs rights that containers withhold; the only page is our own.
        chromium = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def serving(desk: Any = None) -> Iterator[Server]:
    """The server of the page, on a free port."""
    server = server_on("127.0.0.1", 0, lambda: AtOnce() if desk is None else desk)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        server.desk.close()
