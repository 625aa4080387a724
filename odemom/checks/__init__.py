"""Validation at the public edge, and the form of every message: got, expected, what to do.

Functions behind the public edge trust their arguments. This room imports NumPy only, so that
`odemom.nn` and `odemom.experiments` can use it without the exact-arithmetic packages.
"""

from odemom.checks.arrays import all_finite as all_finite
from odemom.checks.arrays import as_array as as_array
from odemom.checks.arrays import as_float_array as as_float_array
from odemom.checks.arrays import as_float_matrices as as_float_matrices
from odemom.checks.arrays import refuse_all_but_numbers as refuse_all_but_numbers
from odemom.checks.arrays import require_finite as require_finite
from odemom.checks.arrays import require_square as require_square
from odemom.checks.foreign import spacing_of as spacing_of
from odemom.checks.messages import counted as counted
from odemom.checks.messages import did_you_mean as did_you_mean
from odemom.checks.messages import expect as expect
from odemom.checks.messages import first_sentence as first_sentence
from odemom.checks.messages import invalid as invalid
from odemom.checks.messages import optional_import as optional_import
from odemom.checks.messages import readable as readable
from odemom.checks.messages import shown as shown
from odemom.checks.numbers import as_eps as as_eps
from odemom.checks.numbers import as_fraction as as_fraction
from odemom.checks.numbers import as_horizon as as_horizon
from odemom.checks.numbers import as_initial_velocity as as_initial_velocity
from odemom.checks.numbers import as_integer as as_integer
from odemom.checks.numbers import as_number as as_number
from odemom.checks.numbers import as_positive as as_positive
from odemom.checks.numbers import eps_or_gamma as eps_or_gamma
from odemom.checks.numbers import is_exact_number as is_exact_number
from odemom.checks.numbers import nearest_double as nearest_double
from odemom.checks.numbers import refuse_gradient as refuse_gradient
from odemom.checks.spelling import SpellingError as SpellingError
from odemom.checks.spelling import exponent_of as exponent_of
from odemom.checks.spelling import is_integer_text as is_integer_text
from odemom.checks.spelling import is_rational_text as is_rational_text
from odemom.checks.spelling import spelt_double as spelt_double
from odemom.checks.spelling import spelt_exactly as spelt_exactly
