"""Pictures: pure functions from numbers of experiments, and from maps of the plane, to figures."""

from odemom.plots.planar import eigenvalues as eigenvalues
from odemom.plots.planar import trajectories as trajectories
