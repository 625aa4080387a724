"""Pages of the manual that are made when it is built, from results, notebooks and code.

`docs/conf.py` calls `write`. The functions that make the pages read files and return text; they
know nothing of Sphinx.
"""

from __future__ import annotations

from pathlib import Path

from scripts.manual.benchmarks import benchmark_tables
from scripts.manual.commands import command_page
from scripts.manual.gallery import gallery_pages
from scripts.manual.guides import guide_list
from scripts.manual.networks import network_tables
from scripts.manual.notebooks import notebook_pages

__all__ = ["FOLDERS", "generated", "write"]

FOLDERS = ("gallery", "made", "notebooks")
"""Folders of docs/ that hold nothing but generated pages."""


def generated(root: Path) -> dict[str, str]:
    """Every generated page: its path in docs/, and its text.

    Parameters
    ----------
    root : Path
        The root of the repository.
    """
    return {
        **gallery_pages(root / "docs" / "results"),
        **benchmark_tables(root / "benchmarks" / "results"),
        **notebook_pages(root / "notebooks"),
        **command_page(),
        **network_tables(),
        **guide_list(root / "docs"),
    }


def write(root: Path) -> None:
    """Write the pages that changed, and remove those that are made no more."""
    docs, pages = root / "docs", generated(root)
    for name, text in pages.items():
        path = docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for folder in FOLDERS:
        for path in (docs / folder).glob("*"):
            if path.relative_to(docs).as_posix() not in pages:
                path.unlink()
