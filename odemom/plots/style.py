"""The look that all figures share, and their way to disk."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.animation import Animation, PillowWriter
from matplotlib.figure import Figure

from odemom.plots.restyle import in_dark, in_dark_pixels, on_slides
from odemom.records import write_all_atomic

__all__ = [
    "COLORS",
    "FORMATS",
    "STYLES",
    "new_figure",
    "rendered",
    "rendered_animation",
    "save_figure",
    "shared_style",
]

# Okabe and Ito's palette: told apart by readers with any colour vision, and in grey.
COLORS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "grey": "#7F7F7F",
}

FORMATS = ("png", "pdf", "svg")
STYLES = ("paper", "slides", "dark")

RC: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "mathtext.fontset": "stix",
    "pdf.fonttype": 42,  # text in the PDF stays text
    "savefig.dpi": 300,
    "svg.fonttype": "path",  # looks the same on every machine
    "svg.hashsalt": "odemom",  # equal figures have equal names inside
}


def shared_style() -> AbstractContextManager[None]:
    """The context in which every figure is drawn and saved."""
    return rc_context(RC)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in the shared style, ``width`` by ``height`` inches."""
    with shared_style():
        return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, folder: str | os.PathLike[str], name: str) -> list[Path]:
    """Write ``folder/name.png`` (300 dpi) and ``folder/name.pdf``, each whole or not at all.

    Parameters
    ----------
    figure : matplotlib Figure
    folder : path-like
        Created where it is missing.
    name : str
        The file name without its suffix.

    Returns
    -------
    list of Path
        The two files.

    Raises
    ------
    InvalidInputError
        If they cannot be written.
    """
    contents: dict[str | os.PathLike[str], bytes] = {
        Path(folder) / file: data for file, data in rendered(figure, name).items()
    }
    return write_all_atomic(contents)


def rendered(
    figure: Figure, name: str, *, formats: Sequence[str] = ("png", "pdf"), style: str = "paper"
) -> dict[str, bytes]:
    """The contents of ``name.png``, ``name.pdf``, ...; equal figures give equal bytes.

    Parameters
    ----------
    figure : matplotlib Figure
        Changed by every style but ``"paper"``.
    name : str
    formats : sequence of str
        Of `FORMATS`.
    style : {"paper", "slides", "dark"}
        ``"slides"``: larger text and lines; ``"dark"``: the same, light on a dark ground.
    """
    files = {}
    with shared_style():
        if style != "paper":
            on_slides(figure)
        if style == "dark":
            in_dark(figure)
    engine = figure.get_layout_engine()
    try:
        for suffix in formats:
            # Without dates, equal numbers give equal files.
            metadata: Any = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(suffix, {})
            buffer = io.BytesIO()
            with shared_style():
                figure.savefig(buffer, format=suffix, metadata=metadata)
                figure.set_layout_engine(None)  # the next takes the places that the first has found
            files[f"{name}.{suffix}"] = buffer.getvalue()
    finally:
        figure.set_layout_engine(engine)
    return files


def rendered_animation(
    animation: Animation, name: str, *, fps: int = 12, style: str = "paper"
) -> dict[str, bytes]:
    """The content of ``name.gif``, 100 dots per inch; of the styles it knows the dark one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.gif"
        with shared_style():
            animation.save(path, writer=PillowWriter(fps=fps), dpi=100)
        content = path.read_bytes()
    return {path.name: in_dark_pixels(content) if style == "dark" else content}
