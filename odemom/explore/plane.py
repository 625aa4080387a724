"""Figure 4 with the matrix in it: the threshold, the plane of pairs, and the complex plane."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

import odemom
from odemom.checks.symbols import in_symbols
from odemom.explore.answer import Decided
from odemom.explore.question import Question
from odemom.explore.svg import Frame, bounds

__all__ = ["complex_plane", "pairs_of", "plane_of_pairs", "threshold_curve", "threshold_levels"]

LEAST = 3.0
DECADES = (-2.0, 2.0)
HEIGHTS = (-1.15, 0.15)


@cache
def _curve() -> tuple[np.ndarray, np.ndarray]:
    decades = np.linspace(*DECADES, 121)
    return decades, np.asarray(odemom.lambda_eps(10.0**decades))


def threshold_curve(question: Question, decided: Decided) -> str:
    """Figure 4, left: lambda_eps against eps, with the flow's own as a dot."""
    frame = Frame("threshold", DECADES, HEIGHTS)
    decades, values = _curve()
    eps = float(question.eps)
    here = min(max(math.log10(eps) if eps > 0 else -math.inf, DECADES[0]), DECADES[1])
    marks = [
        frame.curve(DECADES, (mu, mu), "level bad" if bad else "level good")
        for mu, bad in threshold_levels(decided)
    ]
    return frame.picture(
        f"lambda_eps against eps; here it is {decided.threshold_text}",
        frame.axes("log₁₀ ε", "λ_ε"),
        frame.inside(*marks, frame.curve(decades, values, "line")),
        frame.dot(here, decided.threshold, "here", 5),
        frame.text(
            here,
            decided.threshold,
            in_symbols(f"lambda_eps = {decided.threshold_text}"),
            "note end" if here > 0.2 else "note",
            (-9, 16) if here > 0.2 else (9, -8),
        ),
    )


def threshold_levels(decided: Decided) -> list[tuple[float, bool]]:
    """The real eigenvalues that `threshold_curve` shows as lines; whether they are obstructed."""
    low, high = HEIGHTS
    both = zip(decided.reals, decided.obstructed, strict=False)
    return [(mu, bad) for mu, bad in both if low < mu < high]


def plane_of_pairs(question: Question, decided: Decided) -> str:
    """Figure 4, right: which two real eigenvalues go together, and those of D, in pairs.

    A pair is reached where both are above lambda_eps, or where they are equal; one that is left
    over stands at the lower edge.
    """
    reals = decided.reals
    reach = bounds(reals, LEAST)
    frame = Frame("plane", (-reach, reach), (-reach, reach))
    low = max(decided.threshold, -reach)
    edge = "edge" if question.eps > 0 else "edge open"
    parts = [
        frame.area((low, reach), (low, reach), "region"),
        frame.curve((low, low, reach), (reach, low, low), edge),
        frame.curve((-reach, low), (-reach, low), "diagonal"),
    ]
    dots = []
    for pair in pairs_of(reals):
        x, y = reals[pair[0]], reals[pair[1]] if len(pair) == 2 else -reach
        kind = "mark bad" if any(decided.obstructed[k] for k in pair) else "mark good"
        more = f' data-eigen="{",".join(map(str, pair))}" tabindex="-1"'
        dots.append(frame.dot(x, y, kind, 8, more))
    words = [frame.text(reach, reach, "both above λ_ε", "note end", (-6, 16))]
    if low > -0.8 * reach:
        words.append(frame.text(-reach, -reach, "equal: at every ε", "note", (30, -12)))
    return frame.picture(
        "The pairs of real eigenvalues that are reached, and those of D",
        frame.axes("μ₁", "μ₂"),
        frame.inside(*parts),
        *words,
        *dots,
    )


def pairs_of(reals: list[float]) -> list[tuple[int, ...]]:
    """Which of the values, in ascending order, go together: equal ones, and the rest from below.

    Examples
    --------
    >>> pairs_of([-2, -1, -1, 2]), pairs_of([-2, -2, 1])
    ([(1, 2), (0, 3)], [(0, 1), (2,)])
    """
    pairs: list[tuple[int, ...]] = []
    rest: list[int] = []
    for k, value in enumerate(reals):
        if rest and reals[rest[-1]] == value:
            pairs.append((rest.pop(), k))
        else:
            rest.append(k)
    return pairs + [tuple(rest[k : k + 2]) for k in range(0, len(rest), 2)]


def complex_plane(question: Question, decided: Decided) -> str:
    """The eigenvalues of D in the complex plane, and the half-line where they come in pairs."""
    values = decided.eigenvalues
    reach = bounds([c for mu in values for c in (mu.real, mu.imag)], LEAST)
    frame = Frame("complex", (-reach, reach), (-reach, reach))
    low = max(decided.threshold, -reach)
    dots = []
    seen: dict[complex, int] = {}
    for k, (mu, bad) in enumerate(zip(values, decided.obstructed, strict=True)):
        kind, again = "mark bad" if bad else "mark good", seen.get(mu, 0)
        seen[mu] = again + 1
        more = f' data-eigen="{k}" tabindex="-1"'
        if mu.imag:
            dots.append(frame.dot(mu.real, -mu.imag, f"{kind} twin", 6))
        if again:  # once more: a ring about the dot
            dots.append(frame.dot(mu.real, mu.imag, kind + " again", 7 + 4 * again))
        else:
            dots.append(frame.dot(mu.real, mu.imag, kind, 7, more))
    parts = [
        frame.curve((-reach, reach), (0, 0), "zero"),
        frame.curve((0, 0), (-reach, reach), "zero"),
        frame.curve((-reach, low), (0, 0), "barred"),
    ]
    words = frame.text(-reach, 0, "in equal pairs only", "note", (8, 18))
    return frame.picture(
        "The eigenvalues of D in the complex plane",
        frame.axes("Re μ", "Im μ"),
        frame.inside(*parts),
        words if low > -0.9 * reach and reach - abs(low) > 0.2 * reach else "",
        *dots,
    )
