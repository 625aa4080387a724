"""psi on the real line, with lambda_eps and the eigenvalues of D and theta marked."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import numpy as np

from odemom.checks import nearest_double
from odemom.checks.symbols import in_symbols
from odemom.explore.answer import Answer
from odemom.explore.svg import Frame
from odemom.flows.by_eps import flow_of

__all__ = [
    "dots_on_the_line",
    "levels_on_the_line",
    "minimum_on_the_line",
    "psi_on_the_line",
    "real_eigenvalues",
]

SMALL = 0.05
"""Below this eps the minimum is too shallow to be looked for, be it ever so far out."""
FLAT = 0.005
"""What is as small a part of the height as this is no more than half the width of the curve."""
BELOW = 0.08
"""So much of the height is left for words below lambda_eps, where the curve never is."""


def psi_on_the_line(answer: Answer) -> str:
    """psi(z) for real z; the real eigenvalues of theta lie on it, at the height of those of D."""
    z, values = _graph(answer)
    low, top = _heights(answer, values)
    frame = Frame("line", (float(z[0]), float(z[-1])), (low, top))
    bar = answer.decided.threshold
    parts = [
        frame.area((z[0], z[-1]), (low, bar), "forbidden"),
        frame.curve((z[0], z[-1]), (0, 0), "zero"),
        frame.curve((z[0], z[-1]), (bar, bar), "threshold"),
    ]
    parts += [
        frame.curve((z[0], z[-1]), (mu, mu), "level bad" if bad else "level good")
        for mu, bad in levels_on_the_line(answer)
    ]
    parts.append(frame.curve(z, values, "line"))
    points = dots_on_the_line(answer)
    heights = _psi(np.array(points), answer.question.eps)
    dots = [frame.dot(x, y, "here", 5) for x, y in zip(points, heights.tolist(), strict=True)]
    taken = any(bar > mu > bar - BELOW * (top - low) for mu, _ in levels_on_the_line(answer))
    return frame.picture(
        "psi on the real line, its least value lambda_eps, and the eigenvalues of D",
        frame.axes("z", "ψ(z)"),
        frame.inside(*parts, *dots),
        frame.text(
            z[0],
            low if taken else bar,
            in_symbols(f"lambda_eps = {answer.decided.threshold_text}: psi stays above"),
            "note",
            (8, -6 if taken else 15),
        ),
    )


def levels_on_the_line(answer: Answer) -> list[tuple[float, bool]]:
    """The real eigenvalues of D within the picture, and whether they are obstructed."""
    low, top = _heights(answer, _graph(answer)[1])
    both = zip(answer.decided.reals, answer.decided.obstructed, strict=False)
    return [(mu, bad) for mu, bad in both if low < mu < top]


def minimum_on_the_line(answer: Answer) -> Literal["none", "outside", "flat", "seen"]:
    """Whether one sees the minimum of psi: it may be too near 0, and to the left of all as well."""
    if answer.question.eps == 0:
        return "none"
    z, values = _graph(answer)
    low, top = _heights(answer, values)
    if -answer.decided.threshold > FLAT * (top - low):
        return "seen"
    return "flat" if float(flow_of(answer.question.eps).critical_point()) >= z[0] else "outside"


def dots_on_the_line(answer: Answer) -> list[float]:
    """The real eigenvalues of the witness that lie within the picture."""
    if answer.witness is None:
        return []
    z, _ = _graph(answer)
    return [mu for mu in real_eigenvalues(answer.witness.theta) if z[0] <= mu <= z[-1]]


def real_eigenvalues(theta: np.ndarray) -> list[float]:
    """Those that are real up to the root of rounding, by which a block of size 2 moves them.

    Examples
    --------
    >>> real_eigenvalues(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 2]]))
    [2.0]
    """
    values = np.linalg.eigvals(theta)
    return values[np.abs(values.imag) <= 1e-7 * np.abs(values).max()].real.tolist()


def _graph(answer: Answer) -> tuple[np.ndarray, np.ndarray]:
    """Real z from beyond the minimum to where psi reaches the eigenvalues of D, and psi of them."""
    mass = answer.question.eps
    top = max([1.5, *(1.15 * mu for mu in answer.decided.reals if mu < 10)])
    eps = nearest_double(mass)
    # The minimum lies at -eps alpha² - 1/(4 eps), alpha from pi to 4.5; see `odemom.lambda_eps`.
    if eps == math.inf:
        left = -4.5 * math.pi**2
    elif eps < SMALL:
        left = -8.0
    else:
        left = -eps * (2.2 * math.pi) ** 2 - 1 / (4 * eps)
    scale = 1.0 if math.isinf(eps) else max(1.0, eps)
    candidates = np.cumsum(0.25 * scale * 1.3 ** np.arange(24))
    high = _psi(candidates, mass) >= top
    right = float(candidates[int(np.argmax(high)) if high.any() else -1])
    z = np.linspace(left, right, 241)
    return z, np.minimum(_psi(z, mass), 4 * top)


def _heights(answer: Answer, values: np.ndarray) -> tuple[float, float]:
    """The window of a graph: with the eigenvalues below the threshold, unless they are far off."""
    top, bar = float(values[-1]), answer.decided.threshold
    near = [mu - 0.3 for mu in answer.decided.reals if mu > -3]
    return min([-0.3, bar - BELOW * (top - bar), *near]), top


def _psi(z: np.ndarray, eps: Fraction | float) -> np.ndarray:
    with np.errstate(over="ignore"):
        return flow_of(eps).scalar(z)
