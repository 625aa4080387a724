"""Lists of residual functions; options; twins that are traced, compiled and transformed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError
from odemom.nn import transform, twin_report
from odemom.nn.transform import restore
from tests.nn.compilers import newer_compiler
from tests.nn.momentum_oracle import error
from tests.nn.transform.towers import (
    GAMMA,
    MODES,
    Block,
    Definition,
    Tower,
    momentum,
    sample,
    silent,
    value_and_gradients,
)


class Functions(nn.Module):
    """The tutorial of momentumnet: x = x + f(x)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.functions = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(9))
        self.double()

    def forward(self, x):
        for f in self.functions:
            x = x + f(x)
        return x


@pytest.mark.parametrize("mode", MODES)
def test_lists_of_residual_functions(mode):
    model: Any = Functions()
    blocks = [lambda x, f=f: x + f(x) for f in model.functions]

    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.functions = model.functions

        def forward(self, x):
            return momentum(blocks, x)

    expected = value_and_gradients(Written())
    twin: Any = transform(model, GAMMA, reversible=mode, layers=["functions"], residual=True)
    assert error(silent(twin), expected) <= 1e-11
    assert twin.state_dict().keys() == model.state_dict().keys()
    assert twin_report(twin).rows[0].layers == 9
    with pytest.raises(InvalidInputError, match=r"index 0.*for f in functions"):
        twin.functions[0]
    assert str(restore(twin)) == str(model)
    zero = transform(model, 0, layers=["functions"], residual=True)
    assert torch.allclose(zero(sample()), model(sample()))


def test_residual_functions_taken_for_blocks_are_said():
    twin = transform(Functions(), GAMMA, layers=["functions"])
    with pytest.warns(UserWarning, match="pass residual=True"):
        twin(sample())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reversible": "yes"}, 'True, False or "auto"'),
        ({"rest": "drop"}, '"checkpoint" or "keep"'),
        ({"residual": True, "layers": None}, "True without layers.*functions of 9 Sequential"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InvalidInputError, match=message):
        transform(Functions(), GAMMA, **{"layers": ["functions"], **options})


def test_a_twin_is_not_transformed_again_and_wrapped_models_are_refused():
    twin = transform(Tower(), GAMMA, layers=["h"])
    with pytest.raises(InvalidInputError, match="a momentum twin already"):
        transform(twin, GAMMA, layers=["h"])
    with pytest.raises(InvalidInputError, match="wrap its twin"):
        transform(nn.DataParallel(Tower()), GAMMA, layers=["module.h"])
    with pytest.raises(InvalidInputError, match="without momentum rows"):
        twin_report(Tower())


# --- traced, compiled, transformed --------------------------------------------------------------


class Unsqueezing(Block):
    """A block that belongs to no row."""

    def forward(self, x, b: Any = 0.0):
        return super().forward(x, b).unsqueeze(-2)


def compiled(twin):
    return torch.compile(twin, fullgraph=True, backend="eager")


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(compiled, marks=newer_compiler),
        pytest.param(
            lambda twin: torch.export.export(twin, (sample(),)).module(), marks=newer_compiler
        ),
        pytest.param(
            lambda twin: torch.export.export(twin, (sample(),), strict=True).module(),
            marks=newer_compiler,
        ),
        lambda twin: (twin(sample()), torch.fx.symbolic_trace(twin))[1],
        torch.func.vmap,
        lambda twin: torch.jit.trace(twin, sample()),
    ],
    ids=["compile", "export", "export, strict", "fx", "vmap", "jit.trace"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*")
@pytest.mark.parametrize("begins", ["alike", "with another shape"])
def test_the_plain_twin_is_traced(way, begins):
    model: Any = Tower(depth=4)
    x = sample()
    expected = momentum(model.h, x)
    if begins != "alike":
        model.h.insert(0, Unsqueezing().double())
        expected = momentum(model.h[1:], model.h[0](x))
    twin = transform(model, GAMMA, reversible=False, layers=["h"])
    assert torch.allclose(way(twin)(x), expected)


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(lambda twin: torch.export.export(twin, (sample(),)), marks=newer_compiler),
        lambda twin: torch.jit.trace(twin, sample()),
        lambda twin: torch.func.vmap(twin)(sample()),
        lambda twin: torch.func.jvp(twin, (sample(),), (sample(),)),
    ],
    ids=["export", "jit.trace", "vmap", "jvp"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*")
@pytest.mark.parametrize("mode", [True, "auto"])
def test_the_recomputing_twin_says_where_it_cannot_run(way, mode):
    with pytest.raises(InvalidInputError, match="gamma, reversible=False"):
        way(transform(Tower(), GAMMA, reversible=mode, layers=["h"]))


def test_the_recomputing_twin_is_right_when_compiled():
    model: Any = Tower()
    expected = value_and_gradients(Definition(model.h))
    twin = torch.compile(transform(model, GAMMA, layers=["h"]), backend="eager")
    assert error(value_and_gradients(twin), expected) <= 1e-11


def test_a_symbol_in_the_first_call_is_refused():
    twin = transform(Tower(), GAMMA, reversible=False, layers=["h"])
    with pytest.raises(InvalidInputError, match="Call the twin on an input once"):
        torch.fx.symbolic_trace(twin)
