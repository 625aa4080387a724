"""Pictures as SVG text: axes, curves and dots, coloured by the classes of the page's style.

A picture takes about a millisecond, where matplotlib takes a hundred; it follows the page
into the dark, and its text stays text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Frame", "bounds", "label", "ticks"]

# Left, top, right, bottom: what they leave of 360 by 346 is square.
MARGIN = (50.0, 10.0, 12.0, 38.0)
DIGIT = 7.0
"""The width of a digit beside a tick."""


@dataclass(frozen=True)
class Frame:
    """A window of numbers, drawn into a box.

    Parameters
    ----------
    name : str
        Of the picture, unique on the page.
    x, y : tuple of float
        The ends of the window.
    width, height : float
        Of the picture, in units of its view box.
    most_ticks : int
        On an axis.
    corner : tuple of float
        Where the picture begins, inside a larger one.
    """

    name: str
    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 360.0
    height: float = 346.0
    most_ticks: int = 6
    corner: tuple[float, float] = (0.0, 0.0)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the window on the picture."""
        left, top, right, bottom = MARGIN
        x, y = self.corner
        return x + left, y + top, x + self.width - right, y + self.height - bottom

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point of the window on the picture; what is far outside, not far outside."""
        (x0, x1), (y0, y1) = (_widened(ends) for ends in (self.x, self.y))
        return self._place(min(max(x, x0), x1), min(max(y, y0), y1))

    def _place(self, x: Any, y: Any) -> tuple[Any, Any]:
        left, top, right, bottom = self.box
        (x0, x1), (y0, y1) = self.x, self.y
        u, v = (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)
        return left + u * (right - left), bottom - v * (bottom - top)

    def box_only(self) -> str:
        """The frame without numbers."""
        left, top, right, bottom = self.box
        return (
            f'<rect class="frame" x="{left}" y="{top}" width="{right - left:.1f}" '
            f'height="{bottom - top:.1f}"/>'
        )

    def axes(self, across: str = "", up: str = "") -> str:
        """The frame with ticks, and the names of the axes."""
        left, top, right, bottom = self.box
        parts, grid = [self.box_only()], []
        for value in ticks(*self.x, self.most_ticks):
            x = self.at(value, self.y[0])[0]
            grid.append(f"M{x:.1f} {top}V{bottom}")
            words = shown(value)
            within = right + MARGIN[2] - DIGIT / 2 * len(words)
            parts.append(label(min(x, within), bottom + 14, words, "tick middle"))
        for value in ticks(*self.y, self.most_ticks):
            y = self.at(self.x[0], value)[1]
            grid.append(f"M{left} {y:.1f}H{right}")
            parts.append(label(left - 4, y + 4, shown(value), "tick end"))
        parts.append(f'<path class="grid" d="{"".join(grid)}"/>')
        parts.append(label((left + right) / 2, bottom + 31, across, "axis middle"))
        x, y = left - 39, (top + bottom) / 2
        turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"'
        parts.append(label(x, y, up, "axis middle", turned))
        return "".join(parts)

    def curve(self, x: ArrayLike, y: ArrayLike, kind: str, more: str = "") -> str:
        """A line through points, of a class, with further attributes."""
        return f'<path class="{kind}" d="M{"L".join(self._points(x, y))}"{more}/>'

    def dots(self, x: ArrayLike, y: ArrayLike, kind: str) -> str:
        """Many dots as one line without length, whose round ends are what one sees."""
        return f'<path class="{kind}" d="{"".join(f"M{p}h0" for p in self._points(x, y))}"/>'

    def _points(self, x: ArrayLike, y: ArrayLike) -> list[str]:
        u, v = self._place(np.clip(x, *_widened(self.x)), np.clip(y, *_widened(self.y)))
        return [f"{a:.1f} {b:.1f}" for a, b in zip(u.tolist(), v.tolist(), strict=True)]

    def area(self, x: tuple[float, float], y: tuple[float, float], kind: str) -> str:
        """A rectangle; nothing where it is empty."""
        (left, bottom), (right, top) = self.at(x[0], y[0]), self.at(x[1], y[1])
        if right <= left or bottom <= top:
            return ""
        return (
            f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" '
            f'width="{right - left:.1f}" height="{bottom - top:.1f}"/>'
        )

    def dot(self, x: float, y: float, kind: str, radius: float = 4, more: str = "") -> str:
        """A dot, with further attributes."""
        u, v = self.at(x, y)
        return f'<circle class="{kind}" cx="{u:.1f}" cy="{v:.1f}" r="{radius:g}"{more}/>'

    def text(self, x: float, y: float, words: str, kind: str, shift: tuple[float, float]) -> str:
        """Words beside a point of the window."""
        u, v = self.at(x, y)
        return label(u + shift[0], v + shift[1], words, kind)

    def inside(self, *parts: str) -> str:
        """The parts, cut at the frame."""
        left, top, right, bottom = self.box
        return (
            f'<clipPath id="clip-{self.name}"><rect x="{left}" y="{top}" '
            f'width="{right - left:.1f}" height="{bottom - top:.1f}"/></clipPath>'
            f'<g clip-path="url(#clip-{self.name})">{"".join(parts)}</g>'
        )

    def picture(self, alt: str, *parts: str) -> str:
        """The whole picture; the page's script reads window and box from it."""
        window = " ".join(f"{v:.6g}" for v in (*self.x, *self.y))
        box = " ".join(f"{v:.6g}" for v in self.box)
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{escape(alt)}" data-window="{window}" data-box="{box}">'
            f"{''.join(parts)}</svg>"
        )


def _widened(ends: tuple[float, float]) -> tuple[float, float]:
    """A window with three more of its size on either side."""
    low, high = ends
    return low - 3 * (high - low), high + 3 * (high - low)


def label(x: float, y: float, words: str, kind: str, more: str = "") -> str:
    """Words at a point of the picture, with further attributes; lambda_eps with its index."""
    if not words:
        return ""
    head, index, tail = escape(words).partition("λ_ε")
    said = head
    if index:
        said += f'λ<tspan dy="3" class="index">ε</tspan><tspan dy="-3">{tail or " "}</tspan>'
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{more}>{said}</text>'


def shown(value: float) -> str:
    """A number beside a tick, with a minus sign.

    Examples
    --------
    >>> shown(-0.5), shown(2e6)
    ('−0.5', '2e6')
    """
    text = f"{value:g}"
    if abs(value) >= 10_000:  # five digits and a sign are wider than a margin
        digits, _, power = f"{value:e}".partition("e")
        text = f"{float(digits):g}e{int(power)}"
    return text.replace("-", "\N{MINUS SIGN}")


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers in an interval, so many steps apart at most.

    Examples
    --------
    >>> ticks(-3, 3, 4)
    [-2.0, 0.0, 2.0]
    """
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(s * step for s in (1, 2, 5, 10) if (high - low) / (s * step) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def bounds(values: Iterable[float], least: float) -> float:
    """Half the width of a window about 0 that holds the values: at least so much, and round.

    It grows in few steps, so that a picture does not swim while one drags.

    Examples
    --------
    >>> bounds([0.5, -2.0], 3), bounds([4.2], 3), bounds([70.0], 3)
    (3, 5.0, 100.0)
    """
    largest = 1.05 * max((abs(float(value)) for value in values), default=0.0)
    if largest <= least:
        return least
    power = 10.0 ** math.floor(math.log10(largest))
    return next(s * power for s in (1.5, 2, 3, 4, 5, 7, 10) if s * power >= largest)
