"""Networks for images, built on `odemom.nn`."""

from odemom.models.table import MODELS as MODELS
from odemom.models.table import Model as Model
from odemom.models.table import build_model as build_model
from odemom.models.table import model_options as model_options
