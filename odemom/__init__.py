"""odemom: which maps can a second-order ODE, and the Momentum ResNet, represent?

The public names below, and the rooms, are loaded on first use, so that ``import odemom`` stays
fast and loads neither torch nor matplotlib nor sympy. ``from odemom import *`` takes what needs no
extra.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from odemom import errors as errors
from odemom.errors import BackendError as BackendError
from odemom.errors import DivergedError as DivergedError
from odemom.errors import DoubleBackwardError as DoubleBackwardError
from odemom.errors import FixedPointRangeError as FixedPointRangeError
from odemom.errors import IllConditionedError as IllConditionedError
from odemom.errors import IntegrationError as IntegrationError
from odemom.errors import InvalidInputError as InvalidInputError
from odemom.errors import MatrixFileError as MatrixFileError
from odemom.errors import MissingDependencyError as MissingDependencyError
from odemom.errors import NotEnoughMemoryError as NotEnoughMemoryError
from odemom.errors import NotRepresentableError as NotRepresentableError
from odemom.errors import OdemomError as OdemomError
from odemom.errors import OdemomWarning as OdemomWarning
from odemom.errors import ResultOverflowError as ResultOverflowError
from odemom.errors import ReversibilityError as ReversibilityError
from odemom.errors import UndecidedError as UndecidedError

__version__ = "0.2.0"

if TYPE_CHECKING:
    from odemom import flows as flows
    from odemom import matrix_files as matrix_files
    from odemom import models as models
    from odemom import nn as nn
    from odemom import plots as plots
    from odemom import representability as representability
    from odemom import reproduce as reproduce
    from odemom import sweep as sweep
    from odemom import training as training
    from odemom.flows.action import psi_multiply as psi_multiply
    from odemom.flows.condition import psi_cond as psi_cond
    from odemom.flows.derivative import psi_frechet as psi_frechet
    from odemom.flows.psi import psi as psi
    from odemom.flows.threshold import G as G
    from odemom.flows.threshold import lambda_eps as lambda_eps
    from odemom.representability.analyze import analyze as analyze
    from odemom.representability.analyze import is_representable as is_representable
    from odemom.representability.augmentation import augmentation as augmentation
    from odemom.representability.extremes import maximal_scale as maximal_scale
    from odemom.representability.extremes import minimal_eps as minimal_eps
    from odemom.representability.jordan import jordan_structure as jordan_structure
    from odemom.representability.nearest import nearest_representable as nearest_representable
    from odemom.representability.pieces import pieces as pieces
    from odemom.representability.routes import routes as routes
    from odemom.representability.spectrum import Spectrum as Spectrum
    from odemom.representability.spectrum import spectrum as spectrum
    from odemom.representability.witness import represent as represent
    from odemom.stability import momentum_spectrum as momentum_spectrum
    from odemom.stability import resnet_spectrum as resnet_spectrum
    from odemom.stability import revnet_jacobian as revnet_jacobian
    from odemom.stability import revnet_spectrum as revnet_spectrum

_HOME_OF = {
    "G": "odemom.flows.threshold",
    "lambda_eps": "odemom.flows.threshold",
    "psi": "odemom.flows.psi",
    "psi_cond": "odemom.flows.condition",
    "psi_frechet": "odemom.flows.derivative",
    "psi_multiply": "odemom.flows.action",
    "analyze": "odemom.representability.analyze",
    "is_representable": "odemom.representability.analyze",
    "maximal_scale": "odemom.representability.extremes",
    "minimal_eps": "odemom.representability.extremes",
    "jordan_structure": "odemom.representability.jordan",
    "nearest_representable": "odemom.representability.nearest",
    "augmentation": "odemom.representability.augmentation",
    "routes": "odemom.representability.routes",
    "pieces": "odemom.representability.pieces",
    "represent": "odemom.representability.witness",
    "spectrum": "odemom.representability.spectrum",
    "Spectrum": "odemom.representability.spectrum",
    "momentum_spectrum": "odemom.stability",
    "resnet_spectrum": "odemom.stability",
    "revnet_jacobian": "odemom.stability",
    "revnet_spectrum": "odemom.stability",
}
_ROOMS = ("flows", "matrix_files", "representability")
_ROOMS_WITH_EXTRAS = ("models", "nn", "plots", "reproduce", "sweep", "training")

__all__ = ["__version__", *errors.__all__, *_HOME_OF, *_ROOMS]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in (*_ROOMS, *_ROOMS_WITH_EXTRAS):
        return importlib.import_module(f"odemom.{name}")
    if name in _HOME_OF:
        found = getattr(importlib.import_module(_HOME_OF[name]), name)
        globals()[name] = found  # the next access is an ordinary one
        return found
    raise AttributeError(f"module 'odemom' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS_WITH_EXTRAS])
