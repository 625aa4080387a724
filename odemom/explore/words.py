"""What the page says: the verdict, why, the witness, and the captions of the pictures."""

from __future__ import annotations

import math
from fractions import Fraction
from html import escape
from typing import Any

import numpy as np

from odemom.checks.symbols import as_html
from odemom.errors import OdemomError
from odemom.explore.answer import Answer, Decided, Motion, Net, answer_to, decide
from odemom.explore.line import (
    dots_on_the_line,
    levels_on_the_line,
    minimum_on_the_line,
    psi_on_the_line,
    real_eigenvalues,
)
from odemom.explore.paths import net_beside_the_flow, paths_of_points
from odemom.explore.plane import (
    complex_plane,
    pairs_of,
    plane_of_pairs,
    threshold_curve,
    threshold_levels,
)
from odemom.explore.question import Question, question_of
from odemom.representability.edge import rounded_text
from odemom.representability.report import Repairs, Representability, blocks_text

__all__ = ["respond"]

PLACES = {
    "above": "above lambda_eps",
    "at": "equal to lambda_eps",
    "below": "below lambda_eps",
    "non-real": "not real, never in the way",
}
DRAWN = {
    1: "Against time: from the left to the dots; the rings are where D would have them.",
    2: "From the small rings to the dots; the large rings are where D would have them.",
    3: "In space, from a corner: from the small rings to the dots, where D would have them.",
    4: "Starts on the first two axes, in these coordinates; and on the last two, in those.",
}
MARKED = (
    "D has no real eigenvalue.",
    "The dot at the edge is D’s only real eigenvalue: drag it.",
    "The dot is D’s pair: drag it.",
    "The dots are D’s pair and, at the edge, the odd one out: drag them.",
    "The dots are D’s pairs, equal ones first: drag them.",
)
FLAT = {
    "flat": "The minimum is too near 0 to be seen.",
    "outside": "The minimum is too far out, and too near 0, to be seen.",
}
SEEN = 0.005
"""A miss of that size, on a picture from -3 to 3, is as wide as a line."""


def respond(part: str, fields: Any) -> dict[str, Any]:
    """What a page gets back for the contents of its fields.

    Parameters
    ----------
    part : {"answer", "motion"}
        The decision, with its reasons and the eigenvalues; or the witness, the paths, psi and the
        net, which take longer.
    fields : mapping
        See `question_of`.

    Returns
    -------
    dict
        Plain data for JSON; ``{"error": sentence}`` where the fields are no question, or have no
        answer.

    Examples
    --------
    >>> respond("answer", {"matrix": [["-1"]], "eps": "1/2"})["verdict"]
    'no'
    >>> respond("answer", {"matrix": [["x"]], "eps": "1/2"})["error"]
    "row 1, column 1: got 'x'; expected an integer, a rational such as -3/4 or a decimal, of ..."
    """
    try:
        question = question_of(fields)
        if part == "motion":
            return {"parts": _moving(answer_to(question))}
        return _said(question, decide(question))
    except OdemomError as error:
        return {"error": str(error)}


def _said(question: Question, decided: Decided) -> dict[str, Any]:
    report = decided.report
    parts = {
        "about": as_html(f"eps = {_number(question.eps)}, lambda_eps = {decided.threshold_text}"),
        "why": as_html(report.explain()),
        "facts": _facts(decided),
        "threshold": threshold_curve(question, decided),
        "threshold-caption": as_html(_about_the_threshold(decided)),
        "plane": plane_of_pairs(question, decided),
        "plane-caption": escape(_about_the_pairs(decided)),
        "complex": complex_plane(question, decided),
        "same": escape(_command(question)),
    }
    borderline = report.status == "borderline"
    word = "yes" if report else "no"
    return {
        "verdict": "borderline" if borderline else word,
        "word": "Borderline" if borderline else word.capitalize(),
        "headline": _headline(report),
        "eps": _number(question.eps),
        "gamma": "" if question.gamma is None else _number(question.gamma),
        "mass": float(question.eps) if question.eps < math.inf else "inf",
        "eigenvalues": [[mu.real, mu.imag] for mu in decided.eigenvalues],
        "parts": parts,
    }


def _number(value: Fraction | float) -> str:
    """A number as a field holds it: exact where it is short, else rounded."""
    text = str(value)
    return text if len(text) <= 12 else f"{float(value):.6g}"


def _headline(report: Representability) -> str:
    if report.status == "borderline":
        near = "is reached" if report else "is not"
        return f"Doubles do not tell. The nearest structured matrix {near}."
    return "A real θ has ψ(θ) = D." if report else "No real θ has ψ(θ) = D."


def _facts(decided: Decided) -> str:
    """The eigenvalues of D, and how far the flow, or D, is from the other answer."""
    rows = []
    for entry in decided.report.eigenvalues:
        value = complex(entry.value)
        if entry.position == "non-real" and value.imag < 0:
            continue
        text = PLACES[entry.position]
        if entry.blocks:
            text += f", {blocks_text(entry.blocks)}"
        elif entry.multiplicity > 1:
            text += f", {entry.multiplicity} times"
        real = entry.position != "non-real"
        name = entry.text if real else f"{value.real + 0:.4g} ± {value.imag:.4g}i"
        rows.append((name, text))
    if decided.repairs is not None:
        rows += _repairs(decided.repairs)
    cells = "".join(
        f"<tr><th>{as_html(name)}</th><td>{as_html(text)}</td></tr>" for name, text in rows
    )
    return f"<table>{cells}</table>"


def _repairs(repairs: Repairs) -> list[tuple[str, str]]:
    least, most = repairs.minimal_eps, repairs.maximal_scale
    if least.value == math.inf:
        masses = "eps = inf only" if least.attained else "no eps"
    elif least.value == 0 and least.attained:
        masses = "every eps"
    else:
        masses = f"eps {'≥' if least.attained else '>'} {rounded_text(least, up=True)}"
    if most.value == math.inf:
        scales = "every a > 0"
    elif most.interval[0] > 0:
        scales = f"a {'≤' if most.attained else '<'} {rounded_text(most, up=False)}"
    else:
        scales = "no a > 0"
    return [("D is reached for", masses), ("a D is reached for", scales)]


def _witness(answer: Answer) -> str:
    note = answer.notes.get("witness", "")
    if answer.witness is not None:
        witness = answer.witness
        known = math.isfinite(witness.condition)
        condition = f"{witness.condition:.2g}" if known else "beyond the doubles"
        residual = f"{witness.residual:.1g}".replace("-", "\N{MINUS SIGN}")
        said = f"‖ψ(θ) − D‖ = {residual} ‖D‖; condition number {condition}."
        return f"{_matrix(witness.theta)}<p>{as_html(note or said)}</p>"
    if answer.motion is not None:
        return f"<p>There is none. For the nearest map:</p>{_matrix(answer.motion.theta)}"
    return f"<p>{as_html(note)}</p>"


def _matrix(theta: np.ndarray) -> str:
    rows = "".join(
        "<tr>" + "".join(f"<td>{_entry(value)}</td>" for value in row) + "</tr>" for row in theta
    )
    return f'<div class="scroll"><table class="matrix m{len(theta)}">{rows}</table></div>'


def _entry(value: float) -> str:
    text = "0" if value == 0 else f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"
    return escape(text.replace("-", "\N{MINUS SIGN}"))


def _about_the_pairs(decided: Decided) -> str:
    reals, bad = decided.reals, decided.obstructed
    said = ["Blue: the pairs that are reached.", MARKED[len(reals)]]
    equal = [pair for pair in pairs_of(reals) if reals[pair[0]] == reals[pair[-1]]]
    if any(len(pair) == 2 and bad[pair[0]] for pair in equal):
        said.append("Red on the diagonal: equal ones whose Jordan blocks do not pair.")
    return " ".join(said)


def _about_the_threshold(decided: Decided) -> str:
    said = ["lambda_eps, the least value of psi on the real line."]
    drawn = len(threshold_levels(decided))
    if drawn:
        said.append("Lines: the real eigenvalues of D.")
    return " ".join(said + _outside("D", len(decided.reals) - drawn))


def _outside(matrix: str, count: int) -> list[str]:
    return [f"Real eigenvalues of {matrix} outside of the picture: {count}."] if count else []


def _on_the_line(answer: Answer) -> str:
    said = [FLAT[place]] if (place := minimum_on_the_line(answer)) in FLAT else []
    if answer.witness is None:
        return escape(" ".join(said + _about_the_levels(answer)))
    all_of_them = answer.question.dimension
    real, seen = len(real_eigenvalues(answer.witness.theta)), len(dots_on_the_line(answer))
    off = all_of_them - real
    if seen:
        said.append("Dots: the real eigenvalues of θ, each at the height of one of D.")
    said += _outside("θ", real - seen)
    if off:
        said.append(f"{'All' if off == all_of_them else off} eigenvalues of θ are not real.")
    return escape(" ".join(said))


def _about_the_levels(answer: Answer) -> list[str]:
    """What the lines of the picture are, where there are no dots on it."""
    levels, said = levels_on_the_line(answer), []
    if levels:
        said.append("Lines: the real eigenvalues of D.")
    if any(bad for _, bad in levels):
        said.append("Red: one that ψ takes nowhere on the line, or not in such blocks.")
    return said + _outside("D", len(answer.decided.reals) - len(levels))


def _moving(answer: Answer) -> dict[str, str]:
    """The witness, the paths, psi and the net, or the sentence in their place."""
    question, motion = answer.question, answer.motion
    parts = {
        "witness": _witness(answer),
        "line": psi_on_the_line(answer),
        "line-caption": _on_the_line(answer),
        "net-caption": _about_the_net(answer),
    }
    if motion is None:
        empty = '<p class="empty">No picture.</p>'
        note = escape(answer.notes["motion"])
        return parts | {"paths": empty, "paths-caption": note, "net": empty}
    return parts | {
        "paths": paths_of_points(question, motion),
        "paths-caption": escape(_about_the_paths(question, motion)),
        "net": net_beside_the_flow(question, motion),
    }


def _about_the_paths(question: Question, motion: Motion) -> str:
    if not motion.nearest:
        return DRAWN[question.dimension]
    if motion.distance < SEEN:
        return (
            f"D itself is not reached, but a matrix at the distance {motion.distance:.1g} is, "
            "by this θ."
        )
    return (
        "D is not reached. The dots are where the nearest map that is takes the points, at the "
        f"distance {motion.distance:.3g}; the large rings are where D would have them."
    )


def _about_the_net(answer: Answer) -> str:
    said = [] if answer.net is None else [_what_the_net_reaches(answer.question, answer.net)]
    if "net" in answer.notes:
        said.append(answer.notes["net"])
    if answer.motion is not None:
        said.append("Curves: the flow of θ, by coordinate.")
        if answer.motion.layers is not None:
            said.append("Dots: the layers, with weights θ/N.")
    return as_html(" ".join(said))


def _what_the_net_reaches(question: Question, net: Net) -> str:
    layers = "1 layer" if question.layers == 1 else f"{question.layers} layers"
    kind = (
        f"A ResNet of {layers}"
        if net.gamma == 0
        else f"A momentum net of {layers}, γ = 1 − 1/(Nε) = {_momentum(net.gamma)},"
    )
    can = "has tied weights that reach D" if net.report else "reaches D by no tied weights"
    if net.report.status == "borderline":
        can = "is too close to call on D"
    return f"{kind} {can}."


def _momentum(gamma: Fraction) -> str:
    """The momentum, exact where that is short; close to 1, by how much it is less."""
    text, rest = _number(gamma), 1 - gamma
    return text if "/" in text or rest > Fraction(1, 1000) else f"1 − {float(rest):.3g}"


def _command(question: Question) -> str:
    """The same question, on the command line."""
    rows = "; ".join(" ".join(str(entry) for entry in row) for row in question.matrix)
    exact = " --no-exact" if question.floats else ""
    return f'odemom check "[{rows}]" --eps {question.eps}{exact}'
