"""The explorer in a real browser: from a key on the slider of eps to the answer on the screen.

    python -m benchmarks.explore [--changes 25] [--out DIR]

Prints the median latency and its quartiles for matrices with one to four rows, and the ratio to the
same answers on a page of marimo, where that is installed; both pages get their keys in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from odemom.explore.desk import Desk
from odemom.records import provenance, write_json
from scripts.browser import browser, missing, serving

CASES = {
    "d = 1, both answers": [["-1/2"]],
    "d = 2, diagonal": [["-3/4", "0"], ["0", "1/2"]],
    "d = 2, pairs": [["-1", "0"], ["0", "-1"]],
    "d = 3, yes": [["0", "1", "0"], ["0", "0", "1"], ["1", "0", "0"]],
    "d = 3, no": [["1", "2", "3"], ["4", "5/7", "6"], ["-7", "8", "9"]],
    "d = 4, two blocks of size 2": [
        ["-2", "1", "0", "0"],
        ["0", "-2", "0", "0"],
        ["0", "0", "-2", "1"],
        ["0", "0", "0", "-2"],
    ],
    "d = 4, fractions": [
        ["1", "2", "0", "1"],
        ["3", "-4", "1", "0"],
        ["0", "1", "-2", "5"],
        ["1/3", "2/7", "0", "-1"],
    ],
}
PEER = "d = 2, diagonal"
# From the key to the first frame that is drawn after the answer has come into the page.
LISTEN = """selectors => {
  window.shown = selectors.map(() => []);
  const held = selector => document.querySelector(selector)?.innerHTML;
  const last = selectors.map(held);
  let pressed = null;
  let missing = new Set();
  addEventListener("keydown", () => {
    pressed = performance.now();
    missing = new Set(selectors.keys());
  }, true);
  new MutationObserver(() => {
    for (const k of [...missing]) {
      const now = held(selectors[k]);
      if (!now || now === last[k]) continue;
      last[k] = now;
      missing.delete(k);
      const start = pressed;
      requestAnimationFrame(() => setTimeout(() => shown[k].push(performance.now() - start)));
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def changes(page: Any, slider: str, selectors: list[str]) -> Iterator[list[float]]:
    """Milliseconds of one change after the other, for each place; the slider goes to the right."""
    page.evaluate(LISTEN, selectors)
    page.locator(slider).first.focus()
    for count in range(1, 10**6):
        page.keyboard.press("ArrowRight")
        come = "n => window.shown.every(one => one.length >= n)"
        page.wait_for_function(come, arg=count, timeout=20_000)
        yield page.evaluate("window.shown.map(one => one.at(-1))")


def opened(chromium: Any, url: str) -> Any:
    """A page of a fresh visitor."""
    page = chromium.new_context(viewport={"width": 1360, "height": 900}).new_page()
    page.goto(url)
    page.wait_for_selector("#about", timeout=60_000)
    page.wait_for_timeout(1000)
    return page


def spread(values: list[float]) -> dict[str, Any]:
    """Median and quartiles, to a hundredth of a millisecond or of a ratio."""
    low, middle, high = (round(value, 2) for value in statistics.quantiles(values, n=4))
    return {"median": middle, "low": low, "high": high, "changes": len(values)}


def latencies(chromium: Any, server: Any, count: int) -> dict[str, dict[str, Any]]:
    """Of every case, in milliseconds: until the decision stands there, and until all does."""
    found = {}
    for name, rows in CASES.items():
        matrix = ";".join(",".join(row) for row in rows)
        page = opened(chromium, f"{server.url}#eps=0.25&D={matrix}")
        steps = changes(page, "#eps-slider", ["#about", "#line"])
        next(steps)
        pairs = [next(steps) for _ in range(count)]
        decision, everything = (spread(list(column)) for column in zip(*pairs, strict=True))
        found[name] = {"decision": decision, "everything": everything}
        page.context.close()
        said = "decision {median:.0f} ms [{low:.0f}, {high:.0f}]".format(**decision)
        said += ", everything {median:.0f} ms [{low:.0f}, {high:.0f}]".format(**everything)
        print(f"{name}: {said} over {count} changes of eps", flush=True)
    return found


@contextlib.contextmanager
def marimo_page(rows: list[list[str]], masses: list[str]) -> Iterator[str]:
    """The address of the peer's page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    more = {
        "ODEMOM_BENCHMARK_MATRIX": json.dumps(rows),
        "ODEMOM_BENCHMARK_EPS": json.dumps(masses),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._explore_marimo", str(port)], env=os.environ | more
    )
    try:
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            time.sleep(0.25)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def beside_marimo(chromium: Any, server: Any, count: int) -> dict[str, Any]:
    """Both pages in turn, on the same matrix, each by its own slider: from 1/4 upwards."""
    rows = CASES[PEER]
    masses = [f"{0.25 + 0.05 * k:.2f}" for k in range(count + 2)]
    matrix = ";".join(",".join(row) for row in rows)
    with marimo_page(rows, masses) as url:
        theirs = changes(opened(chromium, url), "[role=slider]", ["#about"])
        page = opened(chromium, f"{server.url}#eps=0.25&D={matrix}")
        ours = changes(page, "#eps-slider", ["#about", "#line"])
        for first in (ours, theirs):
            next(first)
        # Of ours the last thing that comes: the page of marimo shows all at once.
        pairs = [(max(next(ours)), *next(theirs)) for _ in range(count)]
    return {
        "case": PEER,
        "ours": spread([a for a, _ in pairs]),
        "theirs": spread([b for _, b in pairs]),
        "ratio": spread([b / a for a, b in pairs]),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--changes", type=int, default=25, help="of eps, for each matrix")
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    options = parser.parse_args()
    if options.changes < 2:
        parser.error("argument --changes: at least 2, for quartiles")
    if missing():
        parser.exit(2, f"{missing()}\n")
    # What else the machine did, and whether this run went before it.
    payload: dict[str, Any] = {"load": list(os.getloadavg()), "nice": os.nice(0)}
    with browser() as chromium, serving(Desk()) as server:
        payload |= {"browser": chromium.version, "ms": latencies(chromium, server, options.changes)}
        if importlib.util.find_spec("marimo") is None:
            print("marimo is not installed and is left out: pip install 'odemom[bench]'")
        else:
            payload["marimo"] = found = beside_marimo(chromium, server, options.changes)
            said = "{median:.1f} [{low:.1f}, {high:.1f}]".format(**found["ratio"])
            print(f"{PEER}: marimo takes {said} times as long ({found['theirs']['median']:.0f} ms)")
    print(write_json(options.out / "explore.json", payload | provenance()))


if __name__ == "__main__":
    main()
