"""psi on the real line, with lambda_eps and the eigenvalues of D and theta marked."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from odemom.checks import nearest_double
from odemom.explore.answer import Answer
from odemom.explore.question import Question
from odemom.explore.svg import Frame
from odemom.flows.by_eps import flow_of

__all__ = ["beyond_the_line", "dots_on_the_line", "psi_on_the_line", "real_eigenvalues"]

SMALL = 0.05
"""Below this eps the minimum is too shallow, and too far, to be seen beside 1."""


def psi_on_the_line(answer: Answer) -> str:
    """psi(z) for real z; the real eigenvalues of theta lie on it, at the height of those of D."""
    question, decided = answer.question, answer.decided
    z, values = _graph(answer)
    top = float(values[-1])
    low = min([1.2 * decided.threshold, -0.3, *(mu - 0.3 for mu in decided.reals if mu > -3)])
    frame = Frame("line", (float(z[0]), float(z[-1])), (low, top))
    bar = decided.threshold
    parts = [
        frame.area((z[0], z[-1]), (low, bar), "forbidden"),
        frame.curve((z[0], z[-1]), (0, 0), "zero"),
        frame.curve((z[0], z[-1]), (bar, bar), "threshold"),
    ]
    parts += [
        frame.curve((z[0], z[-1]), (mu, mu), "level bad" if bad else "level good")
        for mu, bad in zip(decided.reals, decided.obstructed, strict=False)
    ]
    parts.append(frame.curve(z, values, "line"))
    points = dots_on_the_line(answer)
    heights = _psi(np.array(points), question.eps)
    dots = [frame.dot(x, y, "here", 5) for x, y in zip(points, heights.tolist(), strict=True)]
    return frame.picture(
        "psi on the real line, its least value lambda_eps, and the eigenvalues of D",
        frame.axes("z", "ψ(z)"),
        frame.inside(*parts, *dots),
        frame.text(
            z[0],
            bar,
            f"λ_ε = {bar:.4g}: ψ stays above".replace("-", "−"),
            "note",
            (8, 14 if bar - low > 0.06 * (top - low) else -6),
        ),
    )


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


def _psi(z: np.ndarray, eps: Fraction | float) -> np.ndarray:
    with np.errstate(over="ignore"):
        return flow_of(eps).scalar(z)


def beyond_the_line(question: Question) -> bool:
    """Whether the minimum is left out of the picture."""
    return question.eps < SMALL
