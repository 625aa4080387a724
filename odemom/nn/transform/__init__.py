"""A trained residual model as a momentum network with the same parameters, and back."""

from __future__ import annotations

from odemom.nn.transform.report import twin_report as twin_report
from odemom.nn.transform.twin import restore as restore
from odemom.nn.transform.twin import transform as transform
