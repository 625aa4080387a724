"""What a decision returns: verdict, reasons, and how far they can be trusted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from odemom.checks import nearest_double
from odemom.flows.base import Attainment, Flow, Printable, exact
from odemom.representability.algebraic import Eigenvalue, eigenvalue_text
from odemom.representability.edge import rounded_text
from odemom.representability.report_json import eigenvalue_json, repairs_json, value_json

if TYPE_CHECKING:
    from odemom.representability.base import Spectrum
    from odemom.representability.edge import Extreme

__all__ = ["EigenvalueReport", "Obstruction", "Repairs", "Representability"]

Position = Literal["above", "at", "below", "non-real"]
POSITIONS: dict[int, Position] = {-1: "below", 0: "at", 1: "above"}


@dataclass(frozen=True, repr=False)
class EigenvalueReport(Printable):
    """One eigenvalue of D, and what the theorem says about it.

    Attributes
    ----------
    value : Fraction, AlgebraicNumber, float or complex
        Exact on exact input.
    multiplicity : int
        The algebraic multiplicity.
    position : {"above", "at", "below", "non-real"}
        Where the eigenvalue lies with respect to the flow's threshold.
    blocks : tuple of int, or None
        The Jordan block sizes, in decreasing order, where the decision depends on them.
    merged : tuple of complex
        On floating input, the computed eigenvalues that were merged into this one, when they
        are more than one.
    """

    value: Eigenvalue
    multiplicity: int
    position: Position
    blocks: tuple[int, ...] | None = None
    merged: tuple[complex, ...] = ()

    @property
    def text(self) -> str:
        """The value for a sentence: exact where that is short."""
        return eigenvalue_text(self.value)


@dataclass(frozen=True)
class Obstruction:
    """An eigenvalue that no theta can produce, with the condition that fails.

    Attributes
    ----------
    eigenvalue : EigenvalueReport
    attainment : Attainment
        How psi takes the eigenvalue.
    condition : str
        The condition of the theorem that its block sizes do not meet, in words.
    """

    eigenvalue: EigenvalueReport
    attainment: Attainment
    condition: str


@dataclass(frozen=True)
class Repairs:
    """What would make a matrix representable.

    Attributes
    ----------
    minimal_eps : Extreme
        See `odemom.minimal_eps`.
    maximal_scale : Extreme
        See `odemom.maximal_scale`.
    """

    minimal_eps: Extreme
    maximal_scale: Extreme


@dataclass(frozen=True)
class Representability:
    """Whether a flow represents D: the verdict, its reasons and its certainty.

    ``bool(report)`` is the verdict, ``print(report)`` the explanation, ``repr`` one line.

    Attributes
    ----------
    representable : bool
        The verdict; on borderline floating input, that for the nearest structured matrix
        (clustered eigenvalues merged).
    status : {"certain", "borderline"}
        ``"certain"``: on exact input a theorem; on floating input it holds for every real matrix
        within ``tol * ||D||_2`` of D. ``"borderline"``: that could not be shown, nearly always
        because matrices that close differ in the answer.
    exact : bool
        Whether exact arithmetic decided.
    flow : Flow
    dimension : int
    threshold : str or None
        Name and value of the threshold below which psi takes no real value on the real line.
    eigenvalues : tuple of EigenvalueReport
    obstructions : tuple of Obstruction
        Empty if and only if ``representable``.
    tol : float or None
        The relative tolerance that was used; None on exact input.
    reason : str
        On borderline input, what is too close to call.
    matrix : array_like
        The matrix that was decided: tuples of Fractions, or a read-only array of doubles.
    spectrum : Spectrum or None
        Its spectrum, if it is not representable, from which the repairs are read. A report that
        comes from another process, or from a file, has the repairs in its place.
    """

    representable: bool
    status: Literal["certain", "borderline"]
    exact: bool
    flow: Flow
    dimension: int
    threshold: str | None
    eigenvalues: tuple[EigenvalueReport, ...] = field(repr=False)
    obstructions: tuple[Obstruction, ...]
    tol: float | None = None
    reason: str = ""
    matrix: Any = field(default=None, repr=False, compare=False)
    spectrum: Spectrum | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.representable

    def __str__(self) -> str:
        return self.explain()

    def __repr__(self) -> str:
        size = f"{self.dimension} x {self.dimension}"
        certainty = f"{self.status}, {'exact' if self.exact else f'tol {self.tol:.2g}'}"
        verdict = "representable" if self.representable else "not representable"
        why = self.brief()
        return (
            f"<{size}, {verdict} by {self.flow.describe()}; {certainty}{f': {why}' if why else ''}>"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "repairs": self.repairs, "spectrum": None}

    @cached_property
    def repairs(self) -> Repairs | None:
        """What would make the matrix representable: another eps, or another scale.

        Read off the spectrum that decided, when first asked for; None if there is nothing to
        repair.
        """
        return None if self.spectrum is None else self.spectrum.repairs(self.flow)

    def explain(self) -> str:
        """The decision and its reasons in plain sentences.

        Returns
        -------
        str

        Examples
        --------
        >>> import odemom
        >>> print(odemom.analyze([[-1]], "1/2").explain())
        This 1 x 1 matrix is not representable by 1/2 x'' + x' = theta x, x'(0) = 0. The eigenvalue
        -1 lies below lambda_eps = -0.383322 and has one Jordan block, of size 1: every block size
        must occur an even number of times, but size 1 occurs once. It is representable for eps =
        inf, or when scaled by at most 0.383321. Decided in exact arithmetic. The cheapest changes
        that reach it, of those that odemom.routes lists: with the initial velocity x'(0) = theta
        x0, or if theta stops at a switch.
        """
        size = f"This {self.dimension} x {self.dimension} matrix"
        verdict = "is representable" if self.representable else "is not representable"
        sentences = [f"{size} {verdict} by {self.flow.describe()}."]
        sentences += [self._obstruction_sentence(o) for o in self.obstructions]
        if self.representable:
            sentences += self._reasons()
        else:
            sentences += self._repair_sentences()
        sentences.append(self._certainty())
        if not self.representable:
            sentences.append(self._routes_sentence())
        return " ".join(sentences)

    def brief(self) -> str:
        """What decided against the matrix, or what is too close to call, in one line.

        Returns
        -------
        str
            Empty where the matrix is representable for certain.

        Examples
        --------
        >>> import odemom
        >>> odemom.analyze([[-1]], "1/2").brief()
        '-1 lies below lambda_eps = -0.383322, with one Jordan block, of size 1'
        """
        lines = [
            f"{o.eigenvalue.text} {self._where(o.eigenvalue)}, with "
            f"{blocks_text(o.eigenvalue.blocks or ())}"
            for o in self.obstructions[:1]
        ]
        if len(self.obstructions) > 1:
            lines.append(f"and {len(self.obstructions) - 1} more obstructed")
        if self.reason:
            lines.append(self.reason)
        return "; ".join(lines)

    def _repr_html_(self) -> str:
        """For notebooks: the explanation, and a table of the eigenvalues that matter."""
        from html import escape

        shown = [e for e in self.eigenvalues if e.position != "non-real"][:20]
        rows = "".join(
            f"<tr><td>{escape(e.text)}</td><td>{e.multiplicity}</td><td>{e.position}</td>"
            f"<td>{escape(', '.join(map(str, e.blocks)) if e.blocks else '')}</td></tr>"
            for e in shown
        )
        heads = "<th>real eigenvalue</th><th>multiplicity</th><th>threshold</th><th>blocks</th>"
        table = f"<table><tr>{heads}</tr>{rows}</table>" if rows else ""
        return f"<div><p>{escape(self.explain())}</p>{table}</div>"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON: exact numbers as text, complex ones as pairs.

        Returns
        -------
        dict
            Keys ``representable``, ``status``, ``exact``, ``flow``, ``dimension``, ``threshold``,
            ``tol``, ``reason``, ``eigenvalues``, ``obstructions``, ``minimal_eps``,
            ``maximal_scale`` (see `Repairs`; None where there is nothing to repair),
            ``explanation``.
        """
        return {
            "representable": self.representable,
            "status": self.status,
            "exact": self.exact,
            "flow": self.flow.describe(),
            "dimension": self.dimension,
            "threshold": self.threshold,
            "tol": self.tol,
            "reason": self.reason,
            "eigenvalues": [eigenvalue_json(e) for e in self.eigenvalues],
            "obstructions": [
                {
                    "eigenvalue": value_json(o.eigenvalue.value),
                    "blocks": list(o.eigenvalue.blocks or ()),
                    "attained": o.attainment.kind,
                    "condition": o.condition,
                }
                for o in self.obstructions
            ],
            **repairs_json(self.repairs, self.flow),
            "explanation": self.explain(),
        }

    def _obstruction_sentence(self, obstruction: Obstruction) -> str:
        eigenvalue = obstruction.eigenvalue
        return (
            f"The eigenvalue {eigenvalue.text} {self._where(eigenvalue)} and has "
            f"{blocks_text(eigenvalue.blocks or ())}: {obstruction.condition}."
        )

    def _where(self, eigenvalue: EigenvalueReport) -> str:
        verb = {"above": "lies above", "at": "equals", "below": "lies below"}
        name, value = self._threshold_name(), eigenvalue.value
        real = nearest_double(value) if isinstance(value, Fraction) else complex(value).real
        alike = eigenvalue.position != "at" and name.endswith(f" {real:.6g}")
        return f"{verb[eigenvalue.position]} {name}{' (by less than six digits show)' * alike}"

    def _threshold_name(self) -> str:
        named = self.threshold is not None and "=" in self.threshold
        return str(self.threshold) if named else f"the threshold {self.threshold}"

    def _reasons(self) -> list[str]:
        if self.threshold is None:
            return ["This flow takes every real value at a regular point: no matrix is obstructed."]
        sentences = []
        real = [e for e in self.eigenvalues if e.position != "non-real"]
        if not real:
            return ["It has no real eigenvalue, and non-real ones never obstruct."]
        for e in real:
            if e.blocks is not None:
                sentences.append(
                    f"The eigenvalue {e.text} {self._where(e)}, but its Jordan blocks "
                    f"({blocks_text(e.blocks)}) are such as theta can produce."
                )
        if any(e.blocks is None for e in real):
            which = "All its real eigenvalues" if not sentences else "Its other real eigenvalues"
            if self.flow.real_image.below.kind == "regular":
                sentences.append(
                    f"{which} differ from {self._threshold_name()}, and psi takes every other real "
                    "value at a regular point."
                )
            else:
                sentences.append(f"{which} lie above {self._threshold_name()}.")
        return sentences

    def _repair_sentences(self) -> list[str]:
        """What would make the matrix representable: another eps, or another scale."""
        from odemom.flows import ODEFlow

        if self.repairs is None:
            return []
        ways = []
        # The thresholds of the other flows are no function of eps, those of "field" do not exist.
        if isinstance(self.flow, ODEFlow):
            least = self.repairs.minimal_eps
            if least.value < math.inf:
                most = rounded_text(least, exact(self.flow.horizon), up=True)
                ways.append(f"for every eps {'of at least' if least.attained else 'above'} {most}")
            elif least.attained:
                ways.append("for eps = inf")
        scale = self.repairs.maximal_scale
        if scale.value < math.inf and scale.interval[0] > 0:
            bound = "at most" if scale.attained else "less than"
            ways.append(f"when scaled by {bound} {rounded_text(scale, up=False)}")
        return [f"It is representable {', or '.join(ways)}."] if ways else []

    def _routes_sentence(self) -> str:
        from odemom.representability.remedies import cheapest

        first, second = cheapest(self)
        return (
            "The cheapest changes that reach it, of those that odemom.routes lists: "
            f"{first}, or {second}."
        )

    def _certainty(self) -> str:
        if self.exact:
            return "Decided in exact arithmetic."
        within = f"within {self.tol:.2g} ||D|| of this one"
        if self.tol is not None and self.tol >= 1:  # of subnormal numbers only
            within += " (doubles so small are that coarse)"
        if self.status == "certain":
            return f"Certain: the answer is the same for every matrix {within}."
        because = f", because {self.reason}" if self.reason else ""
        return f"Borderline: matrices {within} differ in the answer{because}."


def blocks_text(sizes: Sequence[int]) -> str:
    """Jordan blocks in words: ``one Jordan block, of size 2``.

    Examples
    --------
    >>> blocks_text([2, 2, 1])
    '3 Jordan blocks: 2 of size 2 and 1 of size 1'
    """
    counts = sorted(Counter(sizes).items(), reverse=True)
    if len(sizes) == 1:
        return f"one Jordan block, of size {sizes[0]}"
    if len(counts) == 1:
        return f"{len(sizes)} Jordan blocks, each of size {sizes[0]}"
    parts = " and ".join(f"{count} of size {size}" for size, count in counts)
    return f"{len(sizes)} Jordan blocks: {parts}"
