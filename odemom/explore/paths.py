"""Where theta takes points, and the layers of the net beside it."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Callable
from functools import partial

import numpy as np

from odemom.explore.answer import Motion
from odemom.explore.question import Question
from odemom.explore.svg import Frame, bounds, label

__all__ = ["net_beside_the_flow", "paths_of_points"]

SIDE = 5
"""Points of the grid a row."""

ALT = "Paths of a grid of points, from their places to where theta takes them"
INDEX = "₁₂₃₄"
TILT = np.array([[0.94, -0.34, 0.0], [0.2, 0.55, 0.81]])
"""From the space to the page."""


def paths_of_points(question: Question, motion: Motion) -> str:
    """The paths of a grid of points from 0 to 1; rings are where D would have them.

    On the line against time, in the plane as it is, in space as seen from a corner; in four
    dimensions in the first two coordinates and in the last two.
    """
    target = np.array(question.given, dtype=float)
    d = question.dimension
    if d == 1:
        return _on_the_line(motion, target)
    if d == 2:
        starts = _grid(np.linspace(-1, 1, SIDE), 2)
        frame, drawn = _drawn(Frame, "paths", motion.maps @ starts, target @ starts)
        return frame.picture(ALT, frame.axes("x₁", "x₂"), drawn)
    if d == 3:
        starts = _grid(np.linspace(-1, 1, 3), 3)
        frame, drawn = _drawn(Frame, "paths", TILT @ motion.maps @ starts, TILT @ target @ starts)
        return frame.picture(ALT, frame.box_only(), drawn, *_axes_of_space(frame))
    return _two_planes(motion, target)


def _grid(side: np.ndarray, d: int) -> np.ndarray:
    return np.array(list(itertools.product(side, repeat=d))).T


def _two_planes(motion: Motion, target: np.ndarray) -> str:
    """Four dimensions: starts in the plane of two axes, seen in the two coordinates of these."""
    flat, parts = _grid(np.linspace(-1, 1, 3), 2), []
    for k in (0, 2):
        starts = np.zeros((4, flat.shape[1]))
        starts[k : k + 2] = flat
        seen = slice(k, k + 2)
        half = partial(Frame, corner=(0.0, 173.0 * k), most_ticks=5)
        paths, ends = (motion.maps @ starts)[:, seen], (target @ starts)[seen]
        frame, drawn = _drawn(half, f"paths-{k}", paths, ends)
        parts.append(frame.axes(f"x{INDEX[k]}", f"x{INDEX[k + 1]}") + drawn)
    return Frame("paths", (0, 1), (0, 1), 360, 692).picture(ALT, *parts)


def _drawn(
    kind: Callable[..., Frame], name: str, paths: np.ndarray, ends: np.ndarray
) -> tuple[Frame, str]:
    """The paths of points of the page: an array (m, 2, n), and the places (2, n) that D wants."""
    reach = _reach(paths, ends)
    frame = kind(name, (-reach, reach), (-reach, reach))
    parts, dots = [], []
    for k in range(paths.shape[2]):
        x, y = paths[:, 0, k], paths[:, 1, k]
        color = _color(x[0], y[0])
        parts.append(frame.curve(x[::3], y[::3], "path", f' stroke="{color}"'))
        parts.append(frame.dot(x[0], y[0], "start", 2, f' stroke="{color}"'))
        parts.append(frame.dot(ends[0, k], ends[1, k], "wanted", 5.5))
        dots.append(frame.dot(x[-1], y[-1], "end", 3.4, f' fill="{color}"'))
    return frame, frame.inside(*parts, *dots)


def _reach(paths: np.ndarray, ends: np.ndarray) -> float:
    """Half the width of a window with all the ends, and paths up to three times as far."""
    wanted, farthest = float(np.abs(ends).max()), float(np.abs(paths).max())
    near = max(1.0, wanted, float(np.abs(paths[-1]).max()))
    return bounds([max(wanted, min(farthest, 3 * near))], 1.5)


def _axes_of_space(frame: Frame) -> list[str]:
    """The three axes as seen from the corner, in the corner of the picture."""
    left, _, _, bottom = frame.box
    parts = []
    for name, (u, v) in zip(INDEX, TILT.T, strict=False):
        x, y = left + 34, bottom - 22
        end = f'x2="{x + 24 * u:.1f}" y2="{y - 24 * v:.1f}"'
        parts.append(f'<line class="zero" x1="{x}" y1="{y}" {end}/>')
        parts.append(label(x + 33 * u, y - 33 * v + 4, f"x{name}", "axis middle"))
    return parts


def _color(x: float, y: float) -> str:
    """The colour of a start: its hue is the angle, so that a mirror shows as a mirror."""
    hue = (np.arctan2(y, x) / (2 * np.pi)) % 1
    far = min(1.0, float(np.hypot(x, y)))
    red, green, blue = colorsys.hls_to_rgb(float(hue), 0.47, 0.75 * far)
    return f"#{int(255 * red):02x}{int(255 * green):02x}{int(255 * blue):02x}"


def _on_the_line(motion: Motion, target: np.ndarray) -> str:
    starts = np.linspace(-1, 1, 9)
    x = motion.maps[:, 0, 0, None] * starts
    reach = _reach(x, target)
    frame = Frame("paths", (0, 1.02), (-reach, reach))
    parts = []
    for k, start in enumerate(starts):
        color = _color(start, 1e-9)
        parts.append(frame.curve(motion.times, x[:, k], "path", f' stroke="{color}"'))
        parts.append(frame.dot(1, float(target[0, 0] * start), "wanted", 5.5))
        parts.append(frame.dot(1, float(x[-1, k]), "end", 3.4, f' fill="{color}"'))
    return frame.picture(
        "Paths of points of the line against time", frame.axes("t", "x(t)") + frame.inside(*parts)
    )


def net_beside_the_flow(question: Question, motion: Motion) -> str:
    """The coordinates of paths from e_1, e_2, … against time, and the layers of the net on them."""
    d = question.dimension
    target = np.array(question.given, dtype=float)
    columns, rows = min(d, 2), -(-d // 2)
    width, height = 360 / columns, 346 / rows
    parts = []
    for j in range(d):
        corner = (width * (j % columns), height * (j // columns))
        window = _heights(motion.maps[:, :, j], target[:, j])
        frame = Frame(f"net-{j}", (0, 1.03), window, width, height, 6 if d == 1 else 4, corner)
        parts.append(frame.axes("t" if j // columns == rows - 1 else ""))
        parts.append(frame.inside(*_coordinates(frame, motion, target, j)))
        left, top, right, _ = frame.box
        parts.append(label(left + 6, top + 14, f"from e{INDEX[j]}" if d > 1 else "", "note"))
        names = [(i, f"x{INDEX[i]}") for i in range(d)] if j == 0 and d > 1 else []
        parts += [label(right - 15 * (d - i), top + 14, x, f"name s{i + 1}") for i, x in names]
    dots = "" if motion.layers is None else ", and the layers of the net as dots"
    alt = f"Coordinates against time: curves of the flow{dots}"
    return Frame("net", (0, 1), (0, 1)).picture(alt, *parts)


def _heights(path: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """A window for coordinates: on each side of 0 what is there, and a little more."""
    low, high = min(path.min(), target.min(), 0.0), max(path.max(), target.max(), 0.0)
    return -bounds([low], 0.5), bounds([high], 0.5)


def _coordinates(frame: Frame, motion: Motion, target: np.ndarray, j: int) -> list[str]:
    parts = [frame.curve((0, 1), (0, 0), "zero")]
    for i in range(target.shape[0]):
        kind = f"series s{i + 1}"
        parts.append(frame.curve(motion.times[::2], motion.maps[::2, i, j], f"{kind} flow"))
        parts.append(frame.dot(1, float(target[i, j]), "wanted", 5))
        if motion.layers is not None:
            layers = motion.layers[:, i, j]
            steps = np.linspace(0, 1, len(layers))
            size = "many" if len(layers) > 20 else "few"
            parts.append(frame.dots(steps, layers, f"{kind} layers {size}"))
    return parts
