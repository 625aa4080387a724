"""The decision on floating input: certain where every nearby matrix agrees, or borderline.

Two things are computed from the real Schur form of D: the verdict that all matrices within the
tolerance share, if they share one (`certainty`), and the block sizes of the nearest structured
matrix (`clusters`), for which the theorem is evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from odemom.flows.base import Attainment, Flow, RealImage
from odemom.flows.by_eps import flow_of
from odemom.representability.algebraic import Eigenvalue
from odemom.representability.base import RealEigenvalue, Spectrum
from odemom.representability.certainty import certain_verdict
from odemom.representability.clusters import Cluster, Tree, structured_clusters
from odemom.representability.criterion import attainment_at, unmet_condition
from odemom.representability.edge import Extreme, largest_scale, least_eps
from odemom.representability.reach import (
    Reach,
    largest_scale_within,
    least_eps_within,
    obstruction_reach,
)
from odemom.representability.report import (
    POSITIONS,
    EigenvalueReport,
    Obstruction,
    Representability,
)
from odemom.representability.schur import SchurForm, in_range, resolved_tol
from odemom.representability.schur import default_tol as default_tol

if TYPE_CHECKING:
    import flint

__all__ = ["FloatingSpectrum", "cluster_attainment", "default_tol"]

EVERY_REAL = RealImage(None)  # no threshold: clusters wherever they are


class FloatingEigenvalue(RealEigenvalue):
    """A real eigenvalue of the nearest structured matrix."""

    def __init__(self, value: float, sizes: tuple[int, ...]) -> None:
        self.value = self._double = value
        self._sizes = sizes

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of its Jordan blocks, in decreasing order."""
        return self._sizes

    def ball(self, precision: int) -> flint.arb:
        """The double itself, of radius 0."""
        import flint

        del precision
        return flint.arb(self._double)


class FloatingSpectrum(Spectrum):
    """The spectrum of a floating matrix, not zero, and of those within a tolerance of it."""

    exact = False

    def __init__(self, matrix: np.ndarray, tol: float) -> None:
        self._matrix, self._tol = np.array(in_range(matrix)), resolved_tol(tol, matrix)
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
        certain = certain_verdict(form, image, self._delta)
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

    def surely_represented(self, flow: Flow) -> bool:
        """Whether `decide` says yes, and certain: without the nearest structured matrix."""
        return certain_verdict(self.form, flow.real_image, self._delta) is True

    def obstructed(self, flow: Flow) -> list[Cluster]:
        """The clusters, as they were judged, whose block sizes the flow does not produce."""
        image = flow.real_image
        return [c for c in self.judged(flow)[1] if _unmet(c, image) is not None]

    def others(self, flow: Flow) -> list[Cluster]:
        """The rest of the spectrum of the nearest structured matrix, merged everywhere."""
        known = {z for c in self.obstructed(flow) for z in c.members}
        return [c for c in self._clusters if known.isdisjoint(c.members)]

    def within(self, factor: float) -> FloatingSpectrum:
        """The same matrix with that many times the tolerance."""
        wider = FloatingSpectrum(self._matrix, self.tol * factor)
        wider.form = self.form
        return wider

    @cached_property
    def _clusters(self) -> list[Cluster]:
        return structured_clusters(self.form, self._tree, EVERY_REAL, self.tol, everywhere=True)

    def _jordan_structure(self) -> dict[Eigenvalue, tuple[int, ...]]:
        structure: dict[Eigenvalue, tuple[int, ...]] = {}
        for c in sorted(
            self._clusters, key=lambda c: (c.value.imag != 0, c.value.real, c.value.imag)
        ):
            structure[c.value] = c.sizes
            if c.value.imag:
                structure[c.value.conjugate()] = c.sizes
        return structure

    def _candidates(self) -> list[RealEigenvalue]:
        clusters = structured_clusters(self.form, self._tree, EVERY_REAL, self.tol)
        return [FloatingEigenvalue(c.value.real, c.sizes) for c in clusters if c.value.imag == 0]

    @cached_property
    def _least_eps(self) -> Extreme:
        return least_eps_within(least_eps(self._kept_candidates), self._reach)

    def maximal_scale(self, eps: Any) -> Extreme:
        """The supremum of the scales that will do: see `odemom.maximal_scale`."""
        image = flow_of(eps).real_image
        nearest = largest_scale(self._kept_candidates, image)
        return largest_scale_within(nearest, self._reach, image, self._may_be_singular)

    @cached_property
    def _may_be_singular(self) -> bool:
        """Whether a matrix within the tolerance is singular."""
        least = float(np.abs(self.form.eigenvalues).min())
        if self.form.moves_less_than(least, self._delta):
            return False
        return self.form.smallest_singular_value(0.0) <= self._delta

    @cached_property
    def _reach(self) -> Reach:
        return obstruction_reach(self.form, self._delta)

    @cached_property
    def _delta(self) -> float:
        """The tolerance of what is asked about D, when it is asked about its Schur form.

        The form is that of a matrix within roundoff of D.
        """
        form = self.form
        return self.tol * form.norm + form.dimension * np.finfo(float).eps * form.norm


def _own(z: complex) -> float | complex:
    return z.real if z.imag == 0 else z


def cluster_attainment(image: RealImage, cluster: Cluster) -> Attainment | None:
    """How psi takes the eigenvalue that a cluster counts as; None off the real line."""
    return None if cluster.value.imag else attainment_at(image, _position(image, cluster))


def _position(image: RealImage, cluster: Cluster) -> int:
    if image.threshold is None:
        return 1
    value = float(cluster.value.real)
    return 0 if cluster.at_threshold else int(np.sign(value - image.threshold.value))


def _unmet(cluster: Cluster, image: RealImage) -> str | None:
    attainment = cluster_attainment(image, cluster)
    return None if attainment is None else unmet_condition(attainment, cluster.sizes)


def _decide(
    cluster: Cluster, image: RealImage
) -> list[tuple[EigenvalueReport, Obstruction | None]]:
    merged = cluster.members if len(cluster.members) > 1 else ()
    value = cluster.value
    if isinstance(value, complex) and value.imag != 0:
        pair = (value, value.conjugate())
        return [(EigenvalueReport(z, 1, "non-real"), None) for z in pair]
    value = value.real
    position = _position(image, cluster)
    attainment = attainment_at(image, position)
    needed = None if attainment.kind == "regular" else cluster.sizes
    report = EigenvalueReport(
        value, len(cluster.members), POSITIONS[position], needed, merged if needed else ()
    )
    condition = _unmet(cluster, image)
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
