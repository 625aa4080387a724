"""Figures: pure functions from the numbers of `odemom.experiments` to matplotlib figures."""
