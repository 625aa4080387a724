"""The process that computes: a line of JSON in, a question, and a line of JSON out, its answer.

Apart from the server, so that an answer that takes too long can be stopped, whatever it is in.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
import warnings

from odemom.explore.words import respond

__all__ = ["main"]

FIRST = {"matrix": [["-1", "0"], ["0", "-1"]], "eps": "1/2"}


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's
    warnings.simplefilter("ignore")
    for part in ("answer", "motion"):
        respond(part, FIRST)  # what is loaded on first use is loaded now
    try:
        print("ready", flush=True)
        for line in sys.stdin:
            print(_answer(line), flush=True)
    except BrokenPipeError:  # the server is gone, and nobody waits for an answer
        os._exit(0)


def _answer(line: str) -> str:
    try:
        part, fields = json.loads(line)
        return json.dumps(respond(part, fields), allow_nan=False)
    except Exception:  # a defect of odemom: the page says so, the terminal where
        traceback.print_exc()
        return '{"error": "Something is wrong in odemom itself; the terminal says where."}'


if __name__ == "__main__":
    main()
