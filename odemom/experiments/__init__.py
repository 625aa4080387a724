"""Experiments: each computes numbers and writes them, with seeds and versions, as JSON and CSV.

Figures are drawn from those files by `odemom.plots`. Nothing heavy is imported here: take the
module of the experiment, ``from odemom.experiments import digits``.
"""
