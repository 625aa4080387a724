"""Names, containers, values and copies of blocks: a twin leaves them as they were written."""

from __future__ import annotations

import copy
import functools
import threading
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch

from odemom.errors import InvalidInputError
from odemom.nn.transform import restore
from tests.nn.transform.stacks import DEPTH, MODES, Block, Stack, momentum, rows, twin_of


class Twice(Block):
    def forward(self, x):
        y = super().forward(x)
        return {"x": y, "feature": y, "shift": y - x}


@pytest.mark.parametrize("mode", MODES)
def test_a_state_returned_twice_is_the_moved_one_twice(mode):
    class Features(Stack):
        def forward(self, x):
            features = []
            for block in self.h:
                out = block(x)
                x = out["x"]
                features.append(out["feature"])
            return x, features

    twin = twin_of(Features(Twice), mode)
    for _ in range(2):
        x, features = twin(rows())
        assert torch.equal(x, features[-1])
        assert not torch.equal(features[0], features[-1])


class Named(Block):
    kind: Any = "pre"
    names: Any = ("a", "b")

    def __init__(self) -> None:
        super().__init__()
        self.place = 1

    def forward(self, x):
        assert self.names == ("a", "b")
        return x + (1 if self.kind == "pre" else -1) * torch.tanh(self.layer(x))


class NamedInside(Named):
    def __init__(self) -> None:
        super().__init__()
        self.kind, self.names = "pre", ("a", "b")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [Named, NamedInside])
def test_attributes_of_blocks_are_theirs_whatever_their_names(kind, mode):
    model = Stack(kind)
    twin = twin_of(model, mode)
    assert torch.allclose(twin(rows()), momentum(model.h, rows()), atol=1e-5)
    assert type(restore(twin).h[0]) is kind


class Kind(list[Any]):
    """A list with a class of its own."""


class Pair(NamedTuple):
    low: Any
    high: Any


class Containers(Stack):
    def __init__(self, how: str) -> None:
        super().__init__()
        h = list(self.h)
        self.how: Any = {
            "dict": dict(enumerate(h)),
            "lists": [h[:4], h[4:]],
            "pairs": [(block, 1) for block in h],
            "partials": [functools.partial(block) for block in h],
            "methods": [block.forward for block in h],
            "list of a kind": Kind(h),
            "ordered": OrderedDict((str(i), block) for i, block in enumerate(h)),
            "named": Pair(h[:5], h[5:]),
        }[how]

    def forward(self, x):
        steps = self.how.values() if isinstance(self.how, dict) else self.how
        for step in steps:
            for block in step if isinstance(step, list) else [step]:
                x = block[0](x) if isinstance(block, tuple) else block(x)
        return x


HOWS = ["dict", "lists", "pairs", "partials", "methods", "list of a kind", "ordered", "named"]


@pytest.mark.parametrize("how", HOWS)
def test_blocks_in_containers_of_other_kinds_are_those_of_the_twin(how):
    model = Containers(how)
    twin = twin_of(model, "auto")
    assert torch.allclose(twin(rows()), momentum(model.h, rows()), atol=1e-5)
    assert torch.equal(restore(twin)(rows()), model(rows()))


class Attending(Block):
    def forward(self, x, keys, values=None):
        values = keys if values is None else values
        return x + torch.tanh(self.layer(x) * keys.softmax(-1) + values)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("calls", [lambda b, x: b(x, x, x), lambda b, x: b(x, keys=x)])
def test_a_state_handed_over_as_key_too_gets_both_gradients(calls, mode):
    class Self(Stack):
        def forward(self, x):
            for block in self.h:
                x = calls(block, x)
            return x

    model = Self(Attending).double()
    found = []
    for net in (
        twin_of(model, mode),
        functools.partial(momentum, [functools.partial(calls, b) for b in model.h]),
    ):
        x = rows().double().requires_grad_()
        found.append(torch.autograd.grad(net(x).square().sum(), [x, *model.parameters()]))
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(*found, strict=True))


def test_what_is_no_hidden_state_is_refused_or_said():
    @dataclass
    class Out:
        x: torch.Tensor

    class Wrapped(Block):
        def forward(self, x):
            return Out(super().forward(x))

    for mode in MODES:
        with pytest.raises(InvalidInputError, match="got a Out as its value"):
            twin_of(Stack(Wrapped), mode).h[0](rows())

    class ByName(Block):
        def forward(_this, *, x):
            return x + torch.tanh(_this.layer(x))

    class Calling(Stack):
        def forward(self, x):
            for block in self.h:
                x = block(x=x)
            return x

    with pytest.warns(UserWarning, match="a NoneType in the place of its hidden state"):
        twin_of(Calling(ByName), "auto")(rows())


def test_the_object_of_a_method_may_have_any_name():
    class This(Block):
        def forward(_this, y):
            return y + torch.tanh(_this.layer(y))

    class Calling(Stack):
        def forward(self, x):
            for block in self.h:
                x = block(y=x)
            return x

    model = Calling(This)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.allclose(twin_of(model, True)(rows()), momentum(model.h, rows()), atol=1e-5)


def test_checkpointing_that_a_twin_does_not_do_is_said():
    twin = twin_of(Stack(), False)
    for block in twin.h:
        block.__dict__["gradient_checkpointing"] = True
    with pytest.warns(UserWarning, match="does none. Build it with reversible='auto'"):
        twin(rows())


def test_a_block_is_copied_with_what_it_lets_be_copied():
    class Locked(Block):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

        def __getstate__(self):
            assert self.__dict__["training"] is self.training
            return {k: v for k, v in self.__dict__.items() if k != "lock"}

    class Wrapped(Locked):
        def __getstate__(self):
            return {"inside": super().__getstate__()}

        def __setstate__(self, state):
            super().__setstate__(state["inside"])

    for kind in (Locked, Wrapped):
        twin = twin_of(Stack(kind), True)
        twin.h[0].eval()
        other = copy.deepcopy(twin)
        assert torch.equal(other(rows()), twin(rows()))
        assert [block.training for block in other.h] == [False] + [True] * (DEPTH - 1)
