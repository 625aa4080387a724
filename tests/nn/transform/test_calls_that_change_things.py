"""What a call of a block moves, where nothing goes back and under autocast, and what it keeps."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError
from tests.nn.transform.stacks import DEPTH, MODES, Block, Stack, momentum, rows, twin_of


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


@pytest.mark.parametrize("mode", MODES)
def test_two_states_are_refused_where_nothing_goes_back_too(mode):
    class Two(Block):
        def forward(self, x, p):
            return x + self.layer(x + p), p + self.layer(p)

    class Pairs(Stack):
        def forward(self, x):
            p = 2 * x
            for block in self.h:
                x, p = block(x, p)
            return x + p

    with torch.no_grad(), pytest.raises(InvalidInputError, match="a second state"):
        twin_of(Pairs(Two), mode)(rows())


def test_a_row_under_autocast_takes_one_half_precision_after_the_other():
    twin = twin_of(Stack(), True)
    for dtype, size in ((torch.float16, 1), (torch.bfloat16, 1e6), (torch.float16, 1)):
        with torch.no_grad(), torch.autocast("cpu", dtype):
            y = twin(rows().mul(size).to(dtype))
        assert y.dtype == dtype
        assert y.isfinite().all()
