"""Benchmarks: ratios to a named peer, measured in turn in one run, with their spread."""
