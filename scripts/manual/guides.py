"""Guides that no page lists: every other page directly in docs/, so that none is left out."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

__all__ = ["guide_list"]


def guide_list(docs: Path) -> dict[str, str]:
    """A list of them, by its path in docs/, for the page docs/guides/index.md to include.

    Parameters
    ----------
    docs : Path
        The folder of the manual's sources.
    """
    listed = {"index"}
    for page in docs.rglob("*.md"):
        place = page.parent.relative_to(docs).as_posix()
        if place == "made":  # with the list of the build before
            continue
        for block in re.findall(r"```{toctree}\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            entries = [line.partition("<")[2].rstrip(">") or line for line in block.split("\n")]
            listed |= {posixpath.normpath(posixpath.join(place, entry)) for entry in entries}
    others = [
        name for name in sorted(page.stem for page in docs.glob("*.md")) if name not in listed
    ]
    if not others:
        return {"made/guides.md": "% All pages are in the lists of others.\n"}
    entries = "\n".join(f"../{name}" for name in others)
    return {"made/guides.md": f"```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"}
