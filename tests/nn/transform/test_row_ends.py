"""What ends a row, what a row is in memory, and blocks that are wrapped, replaced or copied."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from odemom.errors import FixedPointRangeError, ReversibilityError
from odemom.nn import transform, twin_report
from odemom.nn.reversible import capture
from odemom.nn.transform.report import NOT_SEEN
from odemom.nn.transform.rows import cheaper_mode
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


def in_between(change):
    def loop(h, x):
        for n, block in enumerate(h):
            x = block(x)
            if n == 4:
                x = change(x)
        return x

    return loop


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda x: x + 1, "not the tensor that a block of the same list returned"),
        (lambda x: x.add_(1), "changed in place"),
    ],
    ids=["between", "in place"],
)
def test_an_operation_between_two_blocks_starts_a_new_row_and_is_said(change, why, mode, inference):
    model: Any = Tower(in_between(change))
    twin = transform(model, GAMMA, reversible=mode, layers=["h"])
    with torch.inference_mode(inference), pytest.warns(UserWarning, match=why):
        found = twin(sample().detach())
    expected = momentum(model.h[5:], momentum(model.h[:5], sample().detach()) + 1)
    assert torch.allclose(found, expected)
    report = twin_report(twin)
    assert [row.layers for row in report.rows] == [5, 4]
    with warnings.catch_warnings():  # once is enough
        warnings.simplefilter("error")
        twin(sample().detach())
    assert "h.5 to h.8: 4 layers of shape 3 x 4" in str(report)


def test_a_state_that_the_backward_pass_needs_must_not_be_changed():
    model: Any = Tower(lambda h, x: [x := block(x) for block in h])
    states = transform(model, GAMMA, layers=["h"], reversible="auto")(sample())
    states[3].mul_(2)  # the row of nine is exact and keeps no states
    states[-1].sum().backward()
    model = Tower(lambda h, x: [x := block(x) for block in h], depth=3)
    states = transform(model, GAMMA, layers=["h"])(sample())
    states[1].mul_(2)  # one of three keeps them
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states[-1].sum().backward()


@pytest.mark.parametrize("mode", MODES)
def test_a_second_block_on_the_same_state_starts_a_new_row(mode):
    model: Any = Tower(lambda h, x: h[1](y := h[0](x)) + h[2](y), depth=3)
    twin = transform(model, GAMMA, reversible=mode, layers=["h"])
    with pytest.warns(UserWarning, match="another block had already gone on"):
        found = twin(sample())
    y = momentum(model.h[:1], sample())
    expected = momentum(model.h[:2], sample()) + momentum(model.h[2:], y)
    assert torch.allclose(found, expected)


def test_blocks_that_were_never_called_are_named():
    model: Any = Tower(lambda h, x: h[0](x))
    twin = transform(model, GAMMA, layers=["h"])
    twin(sample())
    assert twin_report(twin).alone == {f"h.{n}": NOT_SEEN for n in range(1, 9)}


# --- blocks that are wrapped, replaced, checkpointed, copied ------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_block_replaced_after_transform_is_left_out(mode):
    model: Any = Tower()
    twin: Any = transform(model, GAMMA, reversible=mode, layers=["h"])
    twin.h[4] = nn.Identity()
    expected = momentum([*model.h[:4], *model.h[5:]], sample())
    assert torch.allclose(twin(sample()), expected)
    assert isinstance(model.h[4], Block)


def checkpointed(reentrant):
    def loop(h, x):
        for block in h:
            x = checkpoint(block, x, use_reentrant=reentrant)
        return x

    return loop


@pytest.mark.parametrize(
    ("mode", "reentrant"), [(True, False), ("auto", False), (False, True), (True, True)]
)
def test_a_checkpoint_around_single_blocks_is_refused(mode, reentrant):
    twin = transform(Tower(checkpointed(reentrant)), GAMMA, reversible=mode, layers=["h"])
    y = twin(sample())
    assert twin_report(twin).rows[0].layers == 9
    with pytest.raises(ReversibilityError, match="by a checkpoint around it"):
        y.sum().backward()


def test_a_plain_twin_may_be_checkpointed_block_by_block():
    model: Any = Tower(checkpointed(False))
    expected = value_and_gradients(Definition(model.h))
    twin = transform(model, GAMMA, reversible=False, layers=["h"])
    assert error(silent(twin), expected) <= 1e-11


@pytest.mark.parametrize("mode", MODES)
def test_a_checkpoint_around_whole_rows_is_right(mode):
    model: Any = Tower()
    expected = value_and_gradients(Definition(model.h))
    twin: Any = transform(model, GAMMA, reversible=mode, layers=["h"])

    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.twin = twin

        def forward(self, x):
            return checkpoint(self.twin, x, use_reentrant=False)

    assert error(silent(Around()), expected) <= 1e-11


@pytest.mark.parametrize("depth", [4, 12])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("first", [False, True], ids=["first", "last"])
def test_a_row_of_which_a_part_runs_without_gradients_is_one_row(mode, depth, first):
    def partly(blocks, x):
        with torch.set_grad_enabled(first):
            state = x, torch.zeros_like(x)
            for block in blocks[:3]:
                state = layer(block, *state)
        with torch.set_grad_enabled(not first):
            for block in blocks[3:]:
                state = layer(block, *state)
        return state[0]

    def layer(block, x, v):
        v = GAMMA * v + (1 - GAMMA) * (block(x) - x)
        return x + v, v

    def loop(h, x):
        with torch.set_grad_enabled(first):
            for block in h[:3]:
                x = block(x)
        with torch.set_grad_enabled(not first):
            for block in h[3:]:
                x = block(x)
        return x

    model: Any = Tower(loop, depth=depth)
    twin: Any = transform(model, GAMMA, reversible=mode, layers=["h"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = twin(sample())
    expected = partly(model.h, sample())
    assert error([y.detach()], [expected.detach()]) <= 1e-13
    assert y.requires_grad is expected.requires_grad is (not first)
    if not first:
        parameters = [p for block in model.h[3:] for p in block.parameters()]
        found = torch.autograd.grad(y.square().sum(), parameters)
        assert error(found, torch.autograd.grad(expected.square().sum(), parameters)) <= 1e-11


@pytest.mark.parametrize("mode", [True, "auto"])
def test_a_row_whose_state_a_backward_pass_let_go_is_cut_with_a_warning(mode):
    twin: Any = transform(Tower(depth=12), GAMMA, reversible=mode, layers=["h"])
    x = sample()
    for block in twin.h[:5]:
        x = block(x)
    x.sum().backward()
    with torch.no_grad(), pytest.warns(UserWarning, match=r"h\.5 .*computed in another way"):
        twin.h[5](x)


def test_a_list_passed_without_gradients_hands_its_velocity_to_a_pass_with_them():
    def twice(h, x):
        with torch.no_grad():
            z = h[0](x)
        return h[0](z)

    model = Tower(twice, depth=1)
    twin: Any = transform(model, GAMMA, reversible=True, layers=["h"])
    assert torch.allclose(twin(sample()), momentum([*model.h, *model.h], sample()))


@pytest.mark.parametrize("mode", MODES)
def test_copies_and_saved_twins_are_twins(mode):
    model = Tower()
    twin = transform(model, GAMMA, reversible=mode, layers=["h"])
    expected = twin(sample())
    for other in (copy.deepcopy(twin), pickle.loads(pickle.dumps(twin))):
        assert torch.equal(other(sample()), expected)
        assert not any(p is q for p, q in zip(other.parameters(), model.parameters(), strict=True))


def test_states_are_saved_without_what_they_carry():
    states = transform(Tower(lambda h, x: [x := b(x) for b in h]), GAMMA, layers=["h"])(sample())
    file = io.BytesIO()
    torch.save(states[3].detach(), file)
    torch.save(states[3], file := io.BytesIO())
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert torch.equal(loaded, states[3])


def test_gamma_zero_is_the_original_to_the_bit():
    model = Tower()
    for mode in MODES:
        assert torch.equal(
            transform(model, 0, reversible=mode, layers=["h"])(sample()), model(sample())
        )


def test_an_attribute_that_holds_blocks_holds_their_twins():
    class Aliased(Tower):
        def __init__(self):
            super().__init__()
            self.listed = list(self.h)
            self.run = self.called

        def called(self, x):
            for block in self.listed:
                x = block(x)
            return x

        def forward(self, x):
            return self.run(x)

    model: Any = Aliased()
    twin = transform(model, GAMMA, layers=["h"])
    assert torch.allclose(twin(sample()), momentum(model.h, sample()))


# --- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "mode"), [(6, "checkpoint"), (7, "exact")])
def test_short_rows_keep_their_positions(depth, mode):
    model = Tower(depth=depth).float()
    twin = transform(model, GAMMA, layers=["h"])
    twin(sample().float())
    assert twin_report(twin).rows[0].mode == mode
    assert cheaper_mode(depth, Fraction(9, 10), torch.float32) == mode


class Kept:
    """A tensor that autograd keeps, counted while it does."""

    total = 0

    def __init__(self, tensor):
        self.tensor = tensor.detach()  # with its graph, an output kept by its own node is a circle
        self.size = 0 if isinstance(tensor, nn.Parameter) else tensor.nbytes
        Kept.total += self.size

    def __del__(self):
        Kept.total -= self.size


@pytest.mark.parametrize("depth", [5, 12])
def test_a_recomputing_twin_keeps_the_inside_of_no_block(depth):
    kept = {}
    for mode in (False, "auto"):
        model = Tower(depth=depth, block=Wide).float()
        twin = transform(model, GAMMA, reversible=mode, layers=["h"])
        Kept.total = 0
        with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
            y = twin(torch.randn(8, 4))
        kept[mode] = Kept.total
        y.sum().backward()
    # What an exact row holds is no tensor of autograd's; checkpoints keep the inputs of blocks.
    assert kept["auto"] <= (5 * 8 * 4 * 4 if depth == 5 else 0)
    assert kept[False] >= depth * 8 * 64 * 4


class Growing(nn.Module):
    def forward(self, x):
        return 1e4 * x


@pytest.fixture
def late(monkeypatch):
    """As on devices where nobody waits for what each layer found."""
    monkeypatch.setattr(capture, "waits_late", lambda device: True)


@pytest.mark.parametrize("gradients", [False, True])
def test_what_leaves_the_range_is_found_at_the_end_of_the_list(late, gradients):
    model = nn.ModuleList([*(Block() for _ in range(6)), Growing(), Growing(), Block()]).double()

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.h = model

        def forward(self, x):
            for block in self.h:
                x = block(x)
            return x

    twin = transform(Loop(), GAMMA, reversible=True, layers=["h"])
    with torch.set_grad_enabled(gradients), pytest.raises(FixedPointRangeError, match=r"h\.[67] "):
        twin(sample())


def test_what_leaves_the_range_is_found_in_the_backward_pass(late):
    model: Any = Tower(lambda h, x: h[1](h[0](x)), depth=3, block=Growing)
    model.register_parameter("scale", nn.Parameter(torch.ones((), dtype=torch.float64)))
    y = transform(model, GAMMA, reversible=True, layers=["h"])(sample())
    with pytest.raises(FixedPointRangeError, match=r"h\.[01] "):
        y.sum().backward()


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 4))

    def forward(self, x):
        return x + self.inside(x)
