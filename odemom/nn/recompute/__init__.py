"""Recomputing instead of remembering: one reversible pass, under autograd.

`calls` checks the user's functions; `second_call` makes the second call of one see what the first
saw; `trajectory` moves a state through the functions and back; `link` is one layer of that as a
function of autograd.
"""
