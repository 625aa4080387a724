"""Finished figures in another style: for slides, and light on a dark ground.

The pictures are drawn for a page of paper. What another style changes, it changes in what was
drawn, so that no picture knows of styles.
"""

from __future__ import annotations

import colorsys
import io
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

__all__ = ["in_dark", "in_dark_pixels", "on_slides"]

GROUND = "#14171c"
TEXT = 1.3  # how much larger text is on slides, while the figure grows less
FIGURE = 1.18
LINES = 1.4
GREY = 0.12  # colours less saturated than this are greys
DARK, LIGHT = 0.11, 0.95  # the lightness that white and black turn into


def on_slides(figure: Figure) -> None:
    """Larger text and thicker lines, on a figure that is a little larger."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(FIGURE * width, FIGURE * height)
    for artist in _artists(figure):
        if isinstance(artist, Text):
            artist.set_fontsize(TEXT * float(artist.get_fontsize()))
        elif isinstance(artist, Line2D):
            artist.set_linewidth(LINES * artist.get_linewidth())
            artist.set_markersize(FIGURE * artist.get_markersize())


def in_dark(figure: Figure) -> None:
    """Dark ground, light text; hues stay, and what was too dark to be seen there is lightened."""
    for artist in _artists(figure):
        if isinstance(artist, Line2D):
            face, edge = artist.get_markerfacecolor(), artist.get_markeredgecolor()
            artist.set_color(_lightened(artist.get_color()))
            artist.set_markerfacecolor(_lightened(face))
            artist.set_markeredgecolor(_lightened(edge))
        elif isinstance(artist, Text):
            artist.set_color(_lightened(artist.get_color()))
        elif isinstance(artist, Patch):
            edge = artist.get_edgecolor()  # before the face, which some patches share it with
            artist.set_facecolor(_lightened(artist.get_facecolor()))
            artist.set_edgecolor(_lightened(edge))
        elif isinstance(artist, Collection):
            _lighten_collection(artist)
    figure.set_facecolor(GROUND)
    for axes in figure.axes:
        axes.set_facecolor(GROUND)


def _artists(figure: Figure) -> list[Artist]:
    """Everything in the figure, each thing once."""
    found = {id(artist): artist for artist in figure.findobj()}
    for artist in list(found.values()):
        if isinstance(artist, Text):
            behind = artist.get_bbox_patch(), getattr(artist, "arrow_patch", None)
            found |= {id(patch): patch for patch in behind if patch is not None}
    return list(found.values())


def _lighten_collection(artist: Collection) -> None:
    if artist.get_array() is not None:  # a colour map says what it says
        return
    faces, edges = np.atleast_2d(artist.get_facecolor()), np.atleast_2d(artist.get_edgecolor())
    if faces.size:
        artist.set_facecolor([_lightened(color) for color in faces])
    if edges.size:
        artist.set_edgecolor([_lightened(color) for color in edges])


def _lightened(color: Any) -> Any:
    """The colour for a dark ground: greys change places, other hues keep theirs.

    Examples
    --------
    >>> [round(x, 2) for x in _lightened("white")]
    [0.11, 0.11, 0.11, 1.0]
    """
    if isinstance(color, str) and color.lower() in {"none", "auto"}:
        return color
    red, green, blue, alpha = to_rgba(color)
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    turned = LIGHT + (DARK - LIGHT) * lightness
    pale = max(red, green, blue) - min(red, green, blue) < GREY
    if not pale:  # a saturated hue is seen in the middle; pale shades of it turn into dark ones
        turned = max(0.55, lightness) if lightness < 0.62 else min(0.6, turned + 0.08)
        saturation = min(1.0, saturation)
    return (*colorsys.hls_to_rgb(hue, turned, saturation), alpha)


def in_dark_pixels(content: bytes) -> bytes:
    """A GIF with dark and light exchanged, hue by hue."""
    from PIL import Image, ImageSequence

    with Image.open(io.BytesIO(content)) as image:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]
        pause = image.info.get("duration", 80)
    dark = [Image.fromarray(_turned(np.asarray(frame))) for frame in frames]
    buffer = io.BytesIO()
    dark[0].save(
        buffer, "GIF", save_all=True, append_images=dark[1:], duration=pause, loop=0, optimize=False
    )
    return buffer.getvalue()


def _turned(pixels: np.ndarray) -> np.ndarray:
    """Light becomes dark and the other way round, with the differences of the channels kept."""
    channels = pixels.astype(np.int16)
    middle = channels.max(axis=-1, keepdims=True) + channels.min(axis=-1, keepdims=True)
    ground = round(255 * DARK)
    return np.clip(channels + 255 - middle + ground // 2, ground - 4, 255).astype(np.uint8)
