"""Checkpoints of the caller around blocks of a twin: the right gradients, or a refusal."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from odemom.errors import ReversibilityError
from odemom.nn import transform
from tests.nn.momentum_oracle import error
from tests.nn.transform.towers import (
    GAMMA,
    MODES,
    Block,
    Tower,
    value_and_gradients,
)


def repeated(around, reentrant):
    """One block, called three times behind a linear layer, with checkpoints somewhere."""
    torch.manual_seed(1)
    stem = nn.Linear(4, 4).double()

    def run(function, x):
        return checkpoint(function, x, use_reentrant=reentrant)

    def loop(h, x):
        def several(times):
            def calls(x):
                for _ in range(times):
                    x = h[0](x)
                return x

            return calls

        if around == "all, and what is before":
            return run(lambda x: several(3)(stem(x)), x)
        x = stem(x)
        if around == "all":
            return run(several(3), x)
        if around == "the first two":
            return several(1)(run(several(2), x))
        if around == "the last two":
            return run(several(2), several(1)(x))
        if around == "each":
            return run(several(1), run(several(1), run(several(1), x)))
        if around == "the last two, in all":
            return run(lambda x: run(several(2), several(1)(x)), x)
        if around == "the last one, in the last two":
            return several(1)(run(lambda x: run(several(1), several(1)(x)), x))
        return several(3)(x)

    return loop


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize(
    "around",
    [
        "all, and what is before",
        "all",
        "the first two",
        "the last two",
        "each",
        "the last two, in all",
        "the last one, in the last two",
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_checkpoints_around_calls_of_one_block_are_right_or_refused(mode, around, reentrant):
    def gradients(where):
        tower = Tower(repeated(where, reentrant), depth=1)
        return value_and_gradients(transform(tower, GAMMA, reversible=mode, layers=["h"]))

    expected = gradients("none")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = gradients(around)
        except ReversibilityError:
            assert reentrant or around not in ("all", "the first two")
            return
    if not any("computed in another way" in str(warning.message) for warning in caught):
        assert error(found, expected) <= 1e-11


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_checkpoints_where_blocks_of_two_lists_meet_are_right_or_refused(mode, reentrant):
    def gradients(inside):
        class TwoLists(Tower):
            def __init__(self):
                super().__init__(depth=1)
                self.g = nn.ModuleList([Block()]).double()

            def run(self, function, x):
                return checkpoint(function, x, use_reentrant=reentrant) if inside else function(x)

            def forward(self, x):
                x = self.h[0](2 * x)
                return self.g[0](self.run(lambda x: self.g[0](self.h[0](x)), x))

        twin: Any = transform(TwoLists(), GAMMA, reversible=mode, layers=["h", "g"])
        return value_and_gradients(twin)

    expected = gradients(False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = gradients(True)
        except ReversibilityError:
            return
    if not any("computed in another way" in str(warning.message) for warning in caught):
        assert error(found, expected) <= 1e-11
