"""The page that the tour leaves behind: one HTML file that holds its pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from odemom.checks.symbols import as_html, in_symbols
from odemom.demo.matrices import EPS, Example
from odemom.demo.orders import Line
from odemom.demo.page_style import STYLE
from odemom.records import provenance, write_text_atomic
from odemom.representability.report import Representability

__all__ = ["Decided", "Page", "Witnessed", "write_page"]

PAPER = "https://proceedings.mlr.press/v139/sander21a.html"


@dataclass(frozen=True)
class Decided:
    """An example with its report for every eps of the tour."""

    example: Example
    reports: list[Representability]

    def to_dict(self) -> dict[str, Any]:
        """Eps -> report, as plain data."""
        return {eps: r.to_dict() for eps, r in zip(EPS, self.reports, strict=True)}


@dataclass(frozen=True)
class Witnessed:
    """A theta with psi(theta) = -I_2, its residual, and a picture of the paths."""

    eps: str
    theta: np.ndarray
    residual: float
    picture: Path


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Attributes
    ----------
    decided : list of Decided
    witness : Witnessed
    figure, mirror : dict of str to Path
        The files of Figure 4 and of the mirror, in the folder of the page.
    line : Line or None
        The nets on x -> -x³.
    results : dict
        Order -> TrainingResult; empty where none was trained.
    left_out : tuple of str
        Sentences on what could not be run.
    seconds : float
        How long the tour took.
    """

    decided: list[Decided]
    witness: Witnessed
    figure: dict[str, Path]
    mirror: dict[str, Path]
    line: Line | None
    results: dict[int, Any]
    left_out: tuple[str, ...]
    seconds: float


def write_page(page: Page, folder: Path) -> Path:
    """Write ``folder/index.html`` and return its path."""
    body = "\n".join(
        [
            "<h1>Which maps can a second-order ODE represent?</h1>",
            _decisions(page.decided),
            _witness(page.witness),
            _figure(page.figure["png"]),
            _orders(page),
            _digits(page.results),
            *(f"<p>{escape(sentence)}</p>" for sentence in page.left_out),
            _links(page),
            _footer(page.seconds),
        ]
    )
    html = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>odemom: the tour</title>\n<style>{STYLE}</style>\n{body}\n</html>\n"
    )
    return write_text_atomic(folder / "index.html", html)


def _mass(eps: str) -> str:
    return escape(in_symbols(f"eps = {eps}"))


def _decisions(decided: list[Decided]) -> str:
    heads = "".join(f"<th>{_mass(eps)}</th>" for eps in EPS)
    rows = "".join(
        f"<tr><td>{escape(d.example.name)}</td>{''.join(map(_verdict, d.reports))}</tr>\n"
        for d in decided
    )
    details = "".join(_details(d) for d in decided)
    return (
        "<p>The flow ε x″ + x′ = θ x, x′(0) = 0, maps x(0) to x(1) = ψ(θ) x(0). For which matrices "
        "D is there a real θ with ψ(θ) = D? Real eigenvalues of D below λ<sub>ε</sub> must come "
        "with equal Jordan blocks in pairs: Theorem 1 of "
        f'<a href="{PAPER}">Momentum Residual Neural Networks</a>, for every real matrix.</p>'
        f'<div class="wide"><table><tr><th>matrix D</th>{heads}</tr>\n{rows}</table></div>\n'
        f"<h2>Why</h2>\n{details}"
        "<p>Ask the same of a matrix of your own, in a text file with a row per line:</p>"
        "<pre>odemom check matrix.txt --eps 1/2</pre>"
    )


def _verdict(report: Representability) -> str:
    return '<td class="yes">yes</td>' if report else '<td class="no">no</td>'


def _details(decided: Decided) -> str:
    """The matrix, and the reason for each answer, where it changes."""
    items = "".join(
        f"<li><b>{_masses(masses)}: {'yes' if report else 'no'}.</b> "
        f"{as_html(report.explain())}</li>"
        for masses, report in _changes(decided.reports)
    )
    example = decided.example
    return (
        f"<details><summary><b>{escape(example.name)}.</b> {as_html(example.lesson)}</summary>"
        f"{matrix_html(example.matrix)}<ul>{items}</ul></details>\n"
    )


def _changes(reports: list[Representability]) -> Iterator[tuple[list[str], Representability]]:
    """The masses of equal answers that follow each other, with the report of the first."""
    pairs = zip(EPS, reports, strict=True)
    for _, group in groupby(pairs, key=lambda pair: bool(pair[1])):
        same = list(group)
        yield [eps for eps, _ in same], same[0][1]


def _masses(masses: list[str]) -> str:
    ends = [in_symbols(mass) for mass in (masses[0], masses[-1])]
    return f"ε = {escape(ends[0])}" if len(masses) == 1 else f"ε = {ends[0]} to {ends[1]}"


def matrix_html(matrix: Any) -> str:
    """A matrix between brackets; exact entries as they are, floats to four digits.

    Examples
    --------
    >>> matrix_html([[1, -2]])
    '<div class="wide"><table class="matrix"><tr><td>1</td><td>−2</td></tr></table></div>'
    """
    rows = matrix.tolist() if isinstance(matrix, np.ndarray) else matrix
    body = "".join(
        f"<tr>{''.join(f'<td>{_entry(entry)}</td>' for entry in row)}</tr>" for row in rows
    )
    return f'<div class="wide"><table class="matrix">{body}</table></div>'


def _entry(entry: Any) -> str:
    exact = isinstance(entry, int | Fraction)
    return escape((str(entry) if exact else f"{entry:.4f}").replace("-", "−"))


def _witness(witness: Witnessed) -> str:
    return (
        f"<h2>A witness</h2>\n<p>ψ(θ) = −I₂ at {_mass(witness.eps)}, up to "
        f"{witness.residual:.1g}, for θ =</p>\n"
        f"{matrix_html(witness.theta)}\n"
        "<p>No polynomial in −I₂ does it: the plane has to turn.</p>\n"
        + _picture(witness.picture, "Twelve points of the unit circle on their way to the opposite")
    )


def _figure(path: Path) -> str:
    return (
        "<h2>The threshold</h2>\n"
        + _picture(
            path,
            "Left: λ_ε falls from 0 to −1 as ε grows. Right: the pairs of real eigenvalues that "
            "are representable for ε = 0, 1/2 and ∞",
            wide=True,
        )
        + f'<p>Figure 4 of <a href="{PAPER}">the paper</a>. Every dot of the right panel was '
        "decided in exact arithmetic.</p>"
    )


def _orders(page: Page) -> str:
    mirror = (
        "<h2>What separates the orders</h2>\n<p>A mirror of the plane, diag(1, −1): at first order "
        "det x(t) stays positive, and the plane can turn, but never open mirrored. At ε = ∞ it "
        "folds flat and opens on the other side; at ε = 1/2 it stops at λ<sub>ε</sub>, unless θ "
        "changes once on the way.</p>\n"
        + _picture(page.mirror["gif"], "The five planes, moving", wide=True)
        + _picture(page.mirror["png"], "The five planes at five times, and det x(t)", wide=True)
    )
    if page.line is None:
        return mirror
    return (
        mirror
        + "<p>The map x → −x³ of the line, learned by a ResNet whose layers are as small as steps "
        "of an ODE (first order) and by the Momentum ResNet of the same size, γ = 0.99 (second "
        f"order). The mean square errors are {page.line.first:.3f}, which no increasing map beats, "
        f"and {page.line.second:.4f}.</p>\n"
        + _picture(page.line.picture, "Left: paths end in 0. Right: paths cross", wide=True)
    )


def _digits(results: dict[int, Any]) -> str:
    if not results:
        return ""
    rows = "".join(
        f"<tr><td>{order}</td><td>{r.test_accuracy:.2%}</td><td>{r.mean_nfe:.1f}</td>"
        f"<td>{r.parameters:,}</td><td>{r.seconds:.1f}</td></tr>\n"
        for order, r in results.items()
    )
    return (
        "<h2>What does not separate them: handwritten digits</h2>\n"
        '<div class="wide"><table><tr><th>order</th><th>test accuracy</th>'
        "<th>evaluations of f a forward pass</th><th>parameters</th><th>seconds</th></tr>\n"
        f"{rows}</table></div>\n"
        "<p>scikit-learn's digits: 1,797 real 8 × 8 images; one run each, so that differences of a "
        "percent mean nothing. To tell digits apart nothing has to be mirrored.</p>"
    )


def _picture(path: Path, alt: str, *, wide: bool = False) -> str:
    """The picture itself, inside the page."""
    data = base64.b64encode(path.read_bytes()).decode()
    kind = path.suffix.removeprefix(".")
    image = f'<img src="data:image/{kind};base64,{data}" alt="{escape(alt)}.">'
    return f'<p class="wide">{image}</p>\n' if wide else f"<p>{image}</p>\n"


def _links(page: Page) -> str:
    numbers = {
        "decisions": "decisions.json",
        "Figure 4": page.figure["json"].name,
        "mirror": page.mirror["json"].name,
    }
    if page.line is not None:
        numbers["line"] = page.line.numbers.name
    numbers |= {f"digits, order {order}": f"order{order}/result.json" for order in page.results}
    linked = ", ".join(f'<a href="{file}">{name}</a>' for name, file in numbers.items())
    manual = Path(__file__).parents[2] / "docs" / "functions.md"
    where = f'<a href="{manual.as_uri()}">all functions</a>, and ' if manual.is_file() else ""
    return (
        "<h2>Further</h2>\n<ul>"
        f'<li>The paper: Sander, Ablin, Blondel, Peyré, <a href="{PAPER}">Momentum Residual Neural '
        "Networks</a>, ICML 2021.</li>\n"
        f"<li>The numbers behind this page: {linked}.</li>\n"
        f"<li>The manual: {where}<code>odemom -h</code>; every figure of the paper: <code>odemom "
        "reproduce --list</code>.</li></ul>"
    )


def _footer(seconds: float) -> str:
    origin = provenance()
    versions = ", ".join(f"{name} {version}" for name, version in origin["versions"].items())
    return (
        f"<footer><p>Made in {seconds:.0f} s on {escape(origin['cpu'])}, "
        f"{escape(str(origin['cpu_count']))} cores. {escape(versions)}. {escape(origin['date'])}."
        "</p></footer>"
    )
