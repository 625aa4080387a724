"""Blocks that change what they hold, the state returned twice, names, containers: as written."""

from __future__ import annotations

import copy
import functools
import threading
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError
from odemom.nn import transform
from odemom.nn.transform import restore

MODES: list[Any] = [False, "auto", True]
DEPTH = 9


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return x + torch.tanh(self.layer(x))


Block: Any = _Block  # of which others have forwards with other arguments


class _Stack(nn.Module):
    """A list of blocks called one after the other, with what the class says of the call."""

    def __init__(self, kind: Any = Block, depth: int = DEPTH) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.h = nn.ModuleList(kind() for _ in range(depth))

    def forward(self, x, *args):
        for block in self.h:
            x = block(x, *args)
        return x


Stack: Any = _Stack


def momentum(blocks, x, *args, gamma=0.9):
    """The network by hand."""
    v = torch.zeros_like(x)
    for block in blocks:
        v = gamma * v + (1 - gamma) * (block(x, *args) - x)
        x = x + v
    return x


def rows(seed: int = 1) -> torch.Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))


def twin_of(model, mode):
    return transform(model, 0.9, layers=["h"], reversible=mode)


class InPlace(Block):
    """As a static cache or a running state: another tensor is changed by every call."""

    def forward(self, x, state):
        state.mul_(0.5).add_(x)
        return x + torch.tanh(self.layer(x + state))


class Counting(Block):
    def __init__(self) -> None:
        super().__init__()
        self.calls = np.zeros(1)

    def forward(self, x):
        self.calls += 1
        return x + float(self.calls[0]) * torch.tanh(self.layer(x))


class Noisy(Block):
    def forward(self, x):
        return x + torch.tanh(self.layer(x)) * float(np.random.random())  # noqa: NPY002


@pytest.mark.parametrize("mode", MODES)
def test_what_a_block_changes_changes_once_where_nothing_goes_back(mode):
    x, model = rows(), Stack(InPlace)
    twin, state, other = twin_of(model, mode), torch.zeros(3, 4), torch.zeros(3, 4)
    with torch.no_grad():
        for _ in range(2):
            assert torch.allclose(twin(x, state), momentum(model.h, x, other), atol=1e-5)
            assert torch.allclose(state, other, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [Counting, Noisy])
def test_counters_and_random_numbers_of_numpy_move_once_where_nothing_goes_back(kind, mode):
    x, found = rows(), []
    for by_hand in (False, True):
        model, _ = Stack(kind), np.random.seed(0)  # noqa: NPY002
        call = functools.partial(momentum, model.h) if by_hand else twin_of(model, mode)
        with torch.no_grad():
            found.append(call(x))
    assert torch.allclose(*found, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_inner_hooks_see_a_call_once_where_nothing_goes_back(mode):
    model, seen = Stack(), []
    twin = twin_of(model, mode)
    for block in twin.h:
        block.get_submodule("layer").register_forward_hook(lambda m, i, o: seen.append(o))
    with torch.no_grad():
        twin(rows())
    assert len(seen) == DEPTH


@pytest.mark.parametrize("mode", MODES)
def test_the_first_call_has_the_bits_of_the_second(mode):
    twin = twin_of(Stack(), mode)
    with torch.no_grad():
        assert torch.equal(twin(rows()), twin(rows()))


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
        }[how]

    def forward(self, x):
        steps = self.how.values() if isinstance(self.how, dict) else self.how
        for step in steps:
            for block in step if isinstance(step, list) else [step]:
                x = block[0](x) if isinstance(block, tuple) else block(x)
        return x


@pytest.mark.parametrize("how", ["dict", "lists", "pairs", "partials", "methods"])
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


class Scaled(Block):
    """A residual scaled by a parameter: under autocast its value is float32 for any input."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((4,), 0.5))

    def forward(self, x):
        return x + self.scale * torch.tanh(self.layer(x))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("before", ["nothing", "without autocast", "nothing goes back"])
def test_a_row_goes_on_in_the_wider_dtype_of_its_values(mode, before):
    class Net(Stack):
        def __init__(self, *args) -> None:
            super().__init__(*args)
            self.stem = nn.Linear(4, 4)

        def forward(self, x):
            states = [self.stem(x)]
            for block in self.h:
                states.append(block(states[-1]))
            return states

    model = Net(Scaled, 16)
    twin = twin_of(model, mode)
    if before == "without autocast":
        twin(rows())
    with torch.autocast("cpu", torch.bfloat16):
        if before == "nothing goes back":
            with torch.no_grad():
                twin(rows())
        x, y = twin(rows())[0], twin(rows())[-1]
        reference = momentum(model.h, model.stem(rows()).float())
        gradients = [torch.autograd.grad(z.sum(), [*model.parameters()]) for z in (y, reference)]
    assert (x.dtype, y.dtype) == (torch.bfloat16, torch.float32)
    assert torch.allclose(y, reference, rtol=0.02, atol=0.02)
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=0.05, atol=0.05 * theirs.abs().max().item())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("depth", [3, 12])
def test_a_value_that_is_kept_keeps_a_velocity_at_most(depth, mode):
    twin = twin_of(Stack(depth=depth), mode)
    with torch.no_grad():
        y = [twin(rows()) for _ in range(2)][-1]
    carry: Any = vars(y)["_odemom_carry"]
    assert carry.row.run is None
    assert carry.v.nbytes == y.nbytes


@pytest.mark.parametrize("mode", MODES)
def test_a_list_that_is_passed_twice_where_nothing_goes_back_is_one_row(mode):
    class Again(Stack):
        def forward(self, x):
            return super().forward(super().forward(x))

    model = Again()
    twin = twin_of(model, mode)
    with torch.no_grad():
        assert torch.allclose(twin(rows()), momentum([*model.h, *model.h], rows()), atol=1e-5)


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
            return {k: v for k, v in self.__dict__.items() if k != "lock"}

    twin = twin_of(Stack(Locked), True)
    assert torch.equal(copy.deepcopy(twin)(rows()), twin(rows()))
