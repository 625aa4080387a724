"""Reproduce experiments: compute the numbers, write them, draw them, and say what holds.

Every experiment leaves ``NAME.json`` (configuration, result, claims with verdicts, where it was
made), and ``NAME.png`` and ``NAME.pdf``, which are drawn from the numbers alone.
"""

from odemom.reproduce.run import redraw as redraw
from odemom.reproduce.run import reproduce as reproduce
from odemom.reproduce.settings import configured as configured
from odemom.reproduce.summary import write_summary as write_summary
