"""A Python of its own that imports packages: one that breaks, hangs or crashes harms nobody else.

Run as a program, with a JSON list of questions; each answer is a line of JSON on standard output.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["MARK", "main"]

MARK = "odemom-doctor: "


def decides() -> None:
    """Decide a matrix whose answer is known, and evaluate psi once."""
    import odemom

    if not odemom.is_representable([[-1, 0], [0, -1]], "1/2"):
        raise AssertionError("-I is decided wrongly")
    if odemom.is_representable([[-1, 1], [0, -1]], "1/2"):
        raise AssertionError("a Jordan block of size 2 is decided wrongly")
    if abs(odemom.psi([[0.0]], 0.5)[0, 0] - 1) > 1e-15:
        raise AssertionError("psi(0) is not 1")


def devices() -> dict[str, Any]:
    """What PyTorch knows about threads and accelerators."""
    torch: Any = importlib.import_module("torch")
    cuda = torch.cuda.is_available()
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count() if cuda else 0)]
    if torch.backends.mps.is_available():
        names.append("Apple's GPU (mps)")
    return {"threads": torch.get_num_threads(), "gpus": names, "cuda": torch.version.cuda}


def kernel(build: bool) -> dict[str, Any]:
    """The compiled library of the reversible layers: where it is, and whether it can be used."""
    native: Any = importlib.import_module("odemom.nn.reversible.native")
    usable = native.available() if build else None
    kept = native.kept()
    return {"library": None if kept is None else str(kept), "usable": usable}


QUESTIONS: Mapping[str, Callable[[], Any]] = {
    "decides": decides,
    "devices": devices,
    "kernel": lambda: kernel(build=False),
    "kernel built": lambda: kernel(build=True),
}


def main(questions: list[str]) -> None:
    """Answer each question; a name that is none is a module to import."""
    for question in questions:
        try:
            found = QUESTIONS.get(question, lambda name=question: _imported(name))()
        except BaseException as error:  # a package may leave, or raise anything
            text = " ".join(str(error).split())
            said = f"{type(error).__name__}: {text}" if text else type(error).__name__
            answer = {"error": said + _where(question)}
        else:
            answer = {"found": found}
        print(f"\n{MARK}{json.dumps(answer)}", flush=True)


def _where(name: str) -> str:
    """The file that was imported under a name: it may stand in the way of the package."""
    try:
        spec = importlib.util.find_spec(name)  # which imports the package that a module is of
    except BaseException:
        spec = None
    return "" if spec is None or spec.origin is None else f" (of {spec.origin})"


def _imported(name: str) -> None:
    importlib.import_module(name)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
