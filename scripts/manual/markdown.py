"""Markdown as the manual reads it: text that is meant literally, and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["literal", "table"]


def literal(text: str) -> str:
    r"""Text with the characters escaped that Markdown would read as marks.

    Examples
    --------
    >>> literal("|D|² < 2*x_1")
    '\\|D\\|² \\< 2\\*x\\_1'
    """
    return re.sub(r"([\\`*_{}\[\]<>#|$~^])", r"\\\1", text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0) -> str:
    """A table; the last ``numbers`` columns are flush right.

    Examples
    --------
    >>> print(table(["d", "ratio"], [["2", "1.3"]], numbers=1))
    | d | ratio |
    | --- | ---: |
    | 2 | 1.3 |
    """
    marks = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, marks, *rows))
