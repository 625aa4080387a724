"""Which matrices a flow represents: the decision, its reasons, and Jordan structure."""

from odemom.representability.algebraic import AlgebraicNumber as AlgebraicNumber
from odemom.representability.analyze import analyze as analyze
from odemom.representability.analyze import is_representable as is_representable
from odemom.representability.extremes import Extreme as Extreme
from odemom.representability.extremes import maximal_scale as maximal_scale
from odemom.representability.extremes import minimal_eps as minimal_eps
from odemom.representability.jordan import jordan_structure as jordan_structure
from odemom.representability.nearest import Nearest as Nearest
from odemom.representability.nearest import nearest_representable as nearest_representable
from odemom.representability.report import EigenvalueReport as EigenvalueReport
from odemom.representability.report import Obstruction as Obstruction
from odemom.representability.report import Representability as Representability
