"""Docstrings as reStructuredText: ``|x|`` is a size there, and ``*args, **kwargs`` are names."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["add_hook", "with_bars"]

LITERAL = re.compile(r"(``.*?``)")
STARRED = re.compile(r"(?<![\w*])(\*{1,2})(?=[a-z]\w*(,|$| :|\.\w))")  # *args, *x.shape


def with_bars(lines: list[str]) -> list[str]:
    r"""The lines with ``|`` escaped, except in literals, literal blocks and sessions.

    Examples
    --------
    >>> with_bars(["|z| and ``a|b``", ">>> 1 | 2"])
    ['\\|z\\| and ``a|b``', '>>> 1 | 2']
    """
    escaped, block, session = [], None, False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() and block is not None and indent <= block:
            block = None
        session = bool(line.strip()) and (session or line.lstrip().startswith(">>>"))
        escaped.append(line if session or block is not None else _escaped(line))
        if block is None and line.rstrip().endswith("::"):
            block = indent
    return escaped


def _escaped(line: str) -> str:
    parts = LITERAL.split(line)
    for i in range(0, len(parts), 2):
        bars = parts[i].replace("|", "\\|")
        parts[i] = STARRED.sub(lambda found: "\\*" * len(found[1]), bars)
    return "".join(parts)


def add_hook(app: Any) -> None:
    """Tell Sphinx of it: before numpydoc, whose priority is 500, reads the docstring."""
    app.connect("autodoc-process-docstring", _process, priority=400)


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    del app, what, name, obj, options
    lines[:] = with_bars(lines)
