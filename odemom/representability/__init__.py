"""Which matrices a flow represents: the decision, its reasons, and Jordan structure."""

from odemom.representability.algebraic import AlgebraicNumber as AlgebraicNumber
from odemom.representability.analyze import analyze as analyze
from odemom.representability.analyze import is_representable as is_representable
from odemom.representability.augmentation import Augmentation as Augmentation
from odemom.representability.augmentation import augmentation as augmentation
from odemom.representability.edge import Extreme as Extreme
from odemom.representability.exact import ExactSpectrum as ExactSpectrum
from odemom.representability.extremes import maximal_scale as maximal_scale
from odemom.representability.extremes import minimal_eps as minimal_eps
from odemom.representability.floating import FloatingSpectrum as FloatingSpectrum
from odemom.representability.jordan import jordan_structure as jordan_structure
from odemom.representability.nearest import Nearest as Nearest
from odemom.representability.nearest import nearest_representable as nearest_representable
from odemom.representability.pieces import Pieces as Pieces
from odemom.representability.pieces import pieces as pieces
from odemom.representability.report import EigenvalueReport as EigenvalueReport
from odemom.representability.report import Obstruction as Obstruction
from odemom.representability.report import Repairs as Repairs
from odemom.representability.report import Representability as Representability
from odemom.representability.route_table import Route as Route
from odemom.representability.route_table import Routes as Routes
from odemom.representability.routes import routes as routes
from odemom.representability.spectrum import Spectrum as Spectrum
from odemom.representability.spectrum import spectrum as spectrum
