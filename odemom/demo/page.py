"""The page that the tour leaves behind: one HTML file beside its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from odemom.demo.matrices import EPS, Example
from odemom.records import provenance, write_text_atomic
from odemom.representability.report import Representability

__all__ = ["Decided", "Page", "write_page"]


@dataclass(frozen=True)
class Decided:
    """An example with its report for every eps of the tour."""

    example: Example
    reports: list[Representability]

    def to_dict(self) -> dict[str, Any]:
        """Eps -> report, as plain data."""
        return {eps: r.to_dict() for eps, r in zip(EPS, self.reports, strict=True)}


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Attributes
    ----------
    decided : list of Decided
    figure, chart : Path
        Pictures, in the folder of the page: Figure 4, and the course of the trainings.
    results : dict
        Order -> TrainingResult.
    seconds : float
        How long the tour took.
    """

    decided: list[Decided]
    figure: Path
    chart: Path
    results: dict[int, Any]
    seconds: float


STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #8884; text-align: center }
td:first-child, th:first-child { text-align: left }
.yes { color: #007a55; font-weight: 600 } .no { color: #c0392b; font-weight: 600 }
img { max-width: 100%; background: white; border-radius: 4px } summary { cursor: pointer }
code, pre { font-family: ui-monospace, monospace; background: #8882; border-radius: 4px }
code { padding: .1rem .3rem } pre { padding: .7rem; overflow-x: auto } footer { color: #888 }
"""


def write_page(page: Page, folder: Path) -> Path:
    """Write ``folder/index.html`` and return its path."""
    body = "\n".join(
        [
            "<h1>Which maps can a second-order ODE represent?</h1>",
            _decisions(page.decided),
            _figure(page.figure),
            _training(page),
            _footer(page.seconds),
        ]
    )
    html = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>odemom: the tour</title>\n<style>{STYLE}</style>\n{body}\n</html>\n"
    )
    return write_text_atomic(folder / "index.html", html)


def _decisions(decided: list[Decided]) -> str:
    heads = "".join(f"<th>ε = {escape(eps.replace('inf', '∞'))}</th>" for eps in EPS)
    rows = "".join(
        f"<tr><td>{escape(d.example.name)}</td>{''.join(map(_verdict, d.reports))}</tr>\n"
        for d in decided
    )
    details = "".join(_details(d) for d in decided)
    return (
        "<p>The flow ε x″ + x′ = θ x, x′(0) = 0, maps x(0) to x(1) = ψ(θ) x(0). For which D is "
        "there a real θ with ψ(θ) = D? Real eigenvalues of D below λ<sub>ε</sub> must come "
        "with equal Jordan blocks in pairs.</p>"
        f"<table><tr><th>matrix</th>{heads}</tr>\n{rows}</table>\n<h2>Why</h2>\n{details}"
        "<p>Ask the same of a matrix of your own, in a text file with a row a line:</p>"
        "<pre>odemom check matrix.txt --eps 1/2</pre>"
    )


def _verdict(report: Representability) -> str:
    return '<td class="yes">yes</td>' if report else '<td class="no">no</td>'


def _details(decided: Decided) -> str:
    items = "".join(
        f"<li>ε = {escape(eps.replace('inf', '∞'))}: {escape(report.explain())}</li>"
        for eps, report in zip(EPS, decided.reports, strict=True)
    )
    example = decided.example
    return (
        f"<details><summary><b>{escape(example.name)}.</b> {escape(example.lesson)}</summary>"
        f"<ul>{items}</ul></details>\n"
    )


def _figure(path: Path) -> str:
    return (
        "<h2>The threshold</h2>\n"
        f'<p><img src="{escape(path.name)}" alt="Left: lambda_eps falls from 0 to -1 as eps grows. '
        'Right: the pairs of real eigenvalues that are representable for eps 0, 0.5 and infinity.">'
        "</p><p>Figure 4 of Sander, Ablin, Blondel and Peyré, <i>Momentum Residual Neural "
        "Networks</i>, ICML 2021. Every dot of the right panel was decided in exact arithmetic.</p>"
    )


def _training(page: Page) -> str:
    rows = "".join(
        f"<tr><td>{order}</td><td>{r.test_accuracy:.2%}</td><td>{r.mean_nfe:.1f}</td>"
        f"<td>{r.parameters:,}</td><td>{r.seconds:.1f}</td></tr>\n"
        for order, r in page.results.items()
    )
    return (
        "<h2>First against second order on handwritten digits</h2>\n"
        "<table><tr><th>order</th><th>test accuracy</th><th>evaluations of f a forward pass</th>"
        f"<th>parameters</th><th>seconds</th></tr>\n{rows}</table>\n"
        f'<p><img src="{escape(page.chart.name)}" alt="Validation accuracy and function '
        'evaluations of both networks, epoch by epoch."></p>'
        "<p>scikit-learn's digits: 1,797 real 8 × 8 images; one run each, so that differences of a "
        "few tenths of a percent mean nothing.</p>"
    )


def _footer(seconds: float) -> str:
    origin = provenance()
    versions = ", ".join(f"{name} {version}" for name, version in origin["versions"].items())
    return (
        f"<footer><p>Made in {seconds:.0f} s on {escape(origin['cpu'])}, "
        f"{escape(str(origin['cpu_count']))} cores. {escape(versions)}. {escape(origin['date'])}."
        "</p></footer>"
    )
