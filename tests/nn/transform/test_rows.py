"""Blocks in their places: whatever code calls them, the twin is the momentum network."""

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

from odemom.errors import FixedPointRangeError, InvalidInputError, ReversibilityError
from odemom.nn import transform, twin_report
from odemom.nn.recompute.trajectory import Trajectory
from odemom.nn.transform import restore
from odemom.nn.transform.rows import cheaper_mode
from tests.nn.momentum_oracle import error

GAMMA = 0.9
MODES = [False, True, "auto"]


class Block(nn.Module):
    """x -> x + tanh(A x + b)."""

    def __init__(self, width=4):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x, b: Any = 0.0):
        return x + torch.tanh(self.linear(x) + b)


class Tower(nn.Module):
    """Blocks in a list, called by ``loop``, which may be anything."""

    def __init__(self, loop=None, depth=9, block: type[nn.Module] = Block):
        super().__init__()
        torch.manual_seed(0)
        self.h = nn.ModuleList(block() for _ in range(depth))
        self.loop = loop
        self.double()

    def forward(self, x):
        if self.loop is not None:
            return self.loop(self.h, x)
        for block in self.h:
            x = block(x)
        return x


def momentum(blocks, x, *others):
    """The definition, written down."""
    v = 0
    for n, block in enumerate(blocks):
        v = GAMMA * v + (1 - GAMMA) * (block(x, *(o[n] for o in others)) - x)
        x = x + v
    return x


def sample(rows=3, width=4):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, width, generator=generator, dtype=torch.float64, requires_grad=True)


def value_and_gradients(net, *args):
    x = sample()
    for p in net.parameters():
        p.grad = None
    y = net(x, *args)
    y.square().sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in net.parameters())]


class Definition(nn.Module):
    def __init__(self, blocks, *others):
        super().__init__()
        self.blocks, self.others = blocks, others

    def forward(self, x):
        return momentum(self.blocks, x, *self.others)


def silent(twin, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return value_and_gradients(twin, *args)


SHIFTS = [0.1 * n for n in range(9)]
LOOPS = {
    "iterate": None,
    "index": lambda h, x: [x := h[n](x) for n in range(len(h))][-1],
    "slice": lambda h, x: [x := block(x) for block in h[: len(h)]][-1],
    "two slices": lambda h, x: [x := block(x) for block in (*h[:4], *h[4:])][-1],
    "backwards": lambda h, x: [x := block(x) for block in reversed(h)][-1],
    "by name": lambda h, x: [x := h.get_submodule(str(n))(x) for n in range(9)][-1],
    "keyword": lambda h, x: [x := block(x=x) for block in h][-1],
    "shared": lambda h, x: [x := h[n % 3](x) for n in range(9)][-1],
    "sequential": lambda h, x: nn.Sequential(*h)(x),
}
ORDER = {"backwards": [8 - n for n in range(9)], "shared": [n % 3 for n in range(9)]}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("loop", LOOPS)
def test_every_way_to_call_the_blocks_gives_the_momentum_network(loop, mode):
    model: Any = Tower(LOOPS[loop])
    blocks = [model.h[n] for n in ORDER.get(loop, range(9))]
    expected = value_and_gradients(Definition(nn.ModuleList(blocks)))
    expected_of = dict(zip(["y", "x"], expected, strict=False))
    expected_of |= {id(p): p.grad.clone() for p in model.parameters() if p.grad is not None}
    twin = transform(model, GAMMA, reversible=mode, layers=["h"])
    found = silent(twin)
    assert error(found[:2], [expected_of["y"], expected_of["x"]]) <= 1e-11
    for p in model.parameters():
        assert (p.grad is None) == (id(p) not in expected_of)
        if p.grad is not None:
            assert error([p.grad], [expected_of[id(p)]]) <= 1e-11
    (row,) = twin_report(twin).rows
    assert row.layers == 9


@pytest.mark.parametrize("mode", MODES)
def test_arguments_of_each_block_are_its_own(mode):
    model = Tower(lambda h, x: [x := block(x, SHIFTS[n]) for n, block in enumerate(h)][-1])
    expected = value_and_gradients(Definition(model.h, SHIFTS))
    found = silent(transform(model, GAMMA, reversible=mode, layers=["h"]))
    assert error(found, expected) <= 1e-11


@pytest.mark.parametrize("mode", MODES)
def test_features_collected_on_the_way_are_the_states_and_get_gradients(mode):
    def loop(h, x):
        features = []
        for block in h:
            x = block(x)
            features.append(x)
        return torch.stack(features)

    model: Any = Tower(loop)

    class States(nn.Module):
        def __init__(self):
            super().__init__()
            self.h = model.h

        def forward(self, x):
            return torch.stack([momentum(self.h[: n + 1], x) for n in range(9)])

    expected = value_and_gradients(States())
    found = silent(transform(model, GAMMA, reversible=mode, layers=["h"]))
    assert error(found, expected) <= 1e-11


@pytest.mark.parametrize("mode", MODES)
def test_backward_from_an_inner_state_alone(mode):
    model: Any = Tower(lambda h, x: [x := block(x) for block in h])
    twin = transform(model, GAMMA, reversible=mode, layers=["h"])
    x, z = sample(), sample()
    (expected,) = torch.autograd.grad(momentum(model.h[:5], x).sum(), x)
    (found,) = torch.autograd.grad(twin(z)[4].sum(), z)
    assert error([found], [expected]) <= 1e-11


@pytest.mark.parametrize("mode", MODES)
def test_hooks_see_the_states_once_a_call(mode):
    model: Any = Tower()
    twin: Any = transform(model, GAMMA, reversible=mode, layers=["h"])
    seen: list[Any] = []
    twin.h[3].register_forward_hook(lambda m, args, y: seen.append((args[0], y)))
    twin(sample()).sum().backward()
    model(sample())
    ((x, y),) = seen
    assert torch.allclose(x, momentum(model.h[:3], sample()))
    assert torch.allclose(y, momentum(model.h[:4], sample()))


class WithShortcut(nn.Module):
    """The block of the CIFAR ResNets that everybody copies: ``shortcut`` and no ``stride``."""

    def __init__(self, planes_in, planes, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(planes_in, planes, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or planes_in != planes:
            self.shortcut = nn.Conv2d(planes_in, planes, 1, stride)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)) + self.shortcut(x))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rest", ["checkpoint", "keep"])
def test_the_shape_is_judged_by_running(mode, rest):
    torch.manual_seed(0)
    steps = [(3, 8), (8, 8), (8, 8), (8, 16, 2), (16, 16), (16, 16)]
    model: Any = nn.Sequential(*(WithShortcut(*step) for step in steps)).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)

    def definition(x):
        x = momentum(model[1:3], model[0](x))
        return momentum(model[4:], model[3](x))

    statistics = copy.deepcopy(model.state_dict())
    definition(x).square().mean().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    moved = copy.deepcopy(list(model.buffers()))
    model.load_state_dict(statistics)
    model.zero_grad()
    twin = transform(model, GAMMA, reversible=mode, layers=[""], rest=rest)
    torch.manual_seed(7)
    drawn = torch.rand(1)
    torch.manual_seed(7)
    twin(x).square().mean().backward()
    assert torch.equal(torch.rand(1), drawn)  # blocks that were tried twice drew nothing
    assert error([p.grad for p in model.parameters()], expected) <= 1e-9
    assert error([b.double() for b in model.buffers()], [b.double() for b in moved]) <= 1e-11
    report = twin_report(twin)
    assert [row.layers for row in report.rows] == [2, 2]
    assert report.alone == dict.fromkeys(["0", "3"], "it changes the shape of its input")
    assert 0 < report.activations < 1


class WithOthers(nn.Module):
    """Returns a bias that the next block takes, as T5 does, and something that is no tensor."""

    def __init__(self):
        super().__init__()
        self.block = Block()
        self.bias = nn.Parameter(torch.tensor([0.3]))

    def forward(self, x, bias=None):
        bias = torch.sin(self.bias) if bias is None else bias
        return self.block(x, bias), bias, "text", {"n": 1}


@pytest.mark.parametrize("mode", MODES)
def test_blocks_that_return_tuples_keep_their_other_values(mode):
    def loop(h, x):
        bias = None
        for block in h:
            x, bias, text, extra = block(x, bias)
            assert text == "text"
            assert extra == {"n": 1}
        return x + bias

    model: Any = Tower(loop, block=WithOthers)

    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.h = model.h

        def forward(self, x):
            bias = torch.sin(self.h[0].bias)
            first = [lambda x, b=block: b.block(x, bias) for block in self.h]
            return momentum(first, x) + bias

    written = Written()
    x = sample()
    (written(x)).square().sum().backward()
    expected = [x.grad, *(p.grad for p in model.parameters() if p.grad is not None)]
    expected = [t.clone() for t in expected if t is not None]
    model.zero_grad()
    y = sample()
    transform(model, GAMMA, reversible=mode, layers=["h"])(y).square().sum().backward()
    found = [y.grad, *(p.grad for p in model.parameters() if p.grad is not None)]
    assert error(found, expected) <= 1e-11


# --- what ends a row ----------------------------------------------------------------------------


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
    assert twin_report(twin).alone == {f"h.{n}": "it was not called" for n in range(1, 9)}


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
    """As on devices where nobody waits for the largest magnitude of each layer."""

    def keep(run, n, stats, f):
        run._stats.append((n, stats))
        run.layers[n].checksum = stats[0]

    monkeypatch.setattr(Trajectory, "_keep", keep)


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


# --- lists of residual functions ----------------------------------------------------------------


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


def compiled(twin):
    return torch.compile(twin, fullgraph=True, backend="eager")


@pytest.mark.parametrize(
    "way",
    [
        compiled,
        lambda twin: torch.export.export(twin, (sample(),)).module(),
        lambda twin: torch.export.export(twin, (sample(),), strict=True).module(),
        lambda twin: (twin(sample()), torch.fx.symbolic_trace(twin))[1],
        torch.func.vmap,
        lambda twin: torch.jit.trace(twin, sample()),
    ],
    ids=["compile", "export", "export, strict", "fx", "vmap", "jit.trace"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*")
def test_the_plain_twin_is_traced(way):
    model: Any = Tower()
    twin = transform(model, GAMMA, reversible=False, layers=["h"])
    assert torch.allclose(way(twin)(sample()), momentum(model.h, sample()))


@pytest.mark.parametrize(
    "way",
    [
        lambda twin: torch.export.export(twin, (sample(),)),
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
