"""Pictures: pure functions from numbers of experiments, and from maps of the plane, to figures."""

from __future__ import annotations

from odemom.checks import optional_import

optional_import("matplotlib", "plots")

from odemom.plots.planar import eigenvalues as eigenvalues
from odemom.plots.planar import trajectories as trajectories
