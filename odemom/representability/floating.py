"""The decision on floating input: certain where every nearby matrix agrees, or borderline.

Two things are computed from the real Schur form of D: the verdict that all matrices within the
tolerance share, if they share one (`certainty`), and the block sizes of the nearest structured
matrix (`clusters`), for which the theorem is evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from odemom.flows.base import Flow, RealImage
from odemom.representability.algebraic import Eigenvalue
from odemom.representability.base import RealEigenvalue, Spectrum
from odemom.representability.certainty import certain_verdict
from odemom.representability.clusters import Cluster, Tree, structured_clusters
from odemom.representability.criterion import attainment_at, unmet_condition
from odemom.representability.report import (
    POSITIONS,
    EigenvalueReport,
    Obstruction,
    Representability,
)
from odemom.representability.schur import SchurForm, in_range
from odemom.representability.schur import default_tol as default_tol

if TYPE_CHECKING:
    import flint

__all__ = ["FloatingSpectrum", "default_tol"]

EVERY_REAL = RealImage(None)  # no threshold: clusters wherever they are


class FloatingEigenvalue(RealEigenvalue):
    """A real eigenvalue of the nearest structured matrix, known within a radius."""

    def __init__(self, value: float, sizes: tuple[int, ...], radius: float) -> None:
        self.value = self.middle = value
        self._sizes, self.radius = sizes, radius

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of its Jordan blocks, in decreasing order."""
        return self._sizes

    def ball(self, precision: int) -> flint.arb:
        """The ball of that radius: a floating eigenvalue is known no better."""
        import flint

        del precision
        return flint.arb(self.middle, self.radius)


class FloatingSpectrum(Spectrum):
    """The spectrum of a floating matrix, not zero, and of those within a tolerance of it."""

    exact = False

    def __init__(self, matrix: np.ndarray, tol: float) -> None:
        self._matrix, self._tol = np.array(in_range(matrix)), tol
        self._matrix.flags.writeable = False

    def __getstate__(self) -> dict[str, object]:
        return {"_matrix": self._matrix, "_tol": self._tol}

    def __repr__(self) -> str:
        d = self.dimension
        return f"<spectrum of a floating {d} x {d} matrix, tol = {self.tol:.3g}>"

    @property
    def tol(self) -> float:
        """The relative tolerance."""
        return self._tol

    @property
    def dimension(self) -> int:
        """The number of rows."""
        return len(self._matrix)

    @property
    def matrix(self) -> np.ndarray:
        """The matrix, read-only."""
        return self._matrix

    @cached_property
    def form(self) -> SchurForm:
        """The real Schur form."""
        return SchurForm.of(self._matrix)

    @cached_property
    def _tree(self) -> Tree:
        return Tree.of(self.form, self.tol)

    def _decide(self, flow: Flow) -> Representability:
        return self.judged(flow)[0]

    def judged(self, flow: Flow) -> tuple[Representability, list[Cluster]]:
        """The report, and the spectrum as it was judged."""
        form, image = self.form, flow.real_image
        # What is asked is about D, what is computed about its Schur form, within roundoff of it.
        roundoff = form.dimension * np.finfo(float).eps * form.norm
        certain = certain_verdict(form, image, self.tol * form.norm + roundoff)
        clusters = structured_clusters(form, self._tree, image, self.tol)
        decisions = [entry for cluster in clusters for entry in _decide(cluster, image)]
        if certain is not None and certain == any(o is not None for _, o in decisions):
            # The merged matrix lies beyond delta after all: judge the spectrum as it was computed.
            upper = form.eigenvalues[np.imag(form.eigenvalues) >= 0]
            clusters = [Cluster(_own(z), (z,), (1,)) for z in map(complex, upper)]
            decisions = [entry for cluster in clusters for entry in _decide(cluster, image)]
        eigenvalues = sorted(
            (e for e, _ in decisions),
            key=lambda e: (e.position == "non-real", complex(e.value).real),
        )
        obstructions = tuple(o for _, o in decisions if o is not None)
        representable = not obstructions if certain is None else certain
        report = Representability(
            representable=representable,
            status="borderline" if certain is None else "certain",
            exact=False,
            flow=flow,
            dimension=form.dimension,
            threshold=None if image.threshold is None else image.threshold.describe(),
            eigenvalues=tuple(eigenvalues),
            obstructions=obstructions,
            tol=self.tol,
            reason="" if certain is not None else _reason(eigenvalues),
            matrix=self._matrix,
            spectrum=None if representable else self,
        )
        return report, clusters

    def _jordan_structure(self) -> dict[Eigenvalue, tuple[int, ...]]:
        clusters = structured_clusters(self.form, self._tree, EVERY_REAL, self.tol, everywhere=True)
        structure: dict[Eigenvalue, tuple[int, ...]] = {}
        for c in sorted(clusters, key=lambda c: (c.value.imag != 0, c.value.real, c.value.imag)):
            structure[c.value] = c.sizes
            if c.value.imag:
                structure[c.value.conjugate()] = c.sizes
        return structure

    def _candidates(self) -> list[RealEigenvalue]:
        form, radius = self.form, self.tol * self.form.norm
        found: list[RealEigenvalue] = []
        for cluster in structured_clusters(form, self._tree, EVERY_REAL, self.tol):
            if cluster.value.imag == 0:
                distance = np.abs(form.eigenvalues - cluster.members[0])
                spread = max(abs(z - cluster.value) for z in cluster.members)
                moved = float(form.conditions[int(np.argmin(distance))]) * radius
                size = max(float(spread), min(moved, form.norm) if spread == 0 else radius)
                found.append(FloatingEigenvalue(cluster.value.real, cluster.sizes, size))
        return found


def _own(z: complex) -> float | complex:
    return z.real if z.imag == 0 else z


def _decide(
    cluster: Cluster, image: RealImage
) -> list[tuple[EigenvalueReport, Obstruction | None]]:
    merged = cluster.members if len(cluster.members) > 1 else ()
    value = cluster.value
    if isinstance(value, complex) and value.imag != 0:
        pair = (value, value.conjugate())
        return [(EigenvalueReport(z, 1, "non-real"), None) for z in pair]
    value = value.real
    position = 1
    if image.threshold is not None:
        t = image.threshold.value
        position = 0 if cluster.at_threshold else int(np.sign(value - t))
    attainment = attainment_at(image, position)
    needed = None if attainment.kind == "regular" else cluster.sizes
    report = EigenvalueReport(
        value, len(cluster.members), POSITIONS[position], needed, merged if needed else ()
    )
    condition = unmet_condition(attainment, cluster.sizes) if needed else None
    return [(report, Obstruction(report, attainment, condition) if condition else None)]


def _reason(eigenvalues: Sequence[EigenvalueReport]) -> str:
    for e in eigenvalues:
        if e.merged:
            found = ", ".join(f"{z.real:.6g}" if z.imag == 0 else f"{z:.6g}" for z in e.merged[:4])
            more = "" if len(e.merged) <= 4 else ", ..."
            return f"the eigenvalues {found}{more} were merged into {e.text}"
        if e.position == "at":
            return f"the eigenvalue {e.text} cannot be told from the threshold"
    return "an eigenvalue is so ill conditioned that rounding could take it across the threshold"
