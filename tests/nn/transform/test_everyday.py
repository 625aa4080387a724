"""Twins among the other things that people do with a model: hooks, threads, wrappers, copies."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

from odemom.errors import InvalidInputError, ReversibilityError
from odemom.nn import MomentumNet, RevNet, transform, twin_report
from odemom.nn.transform import restore
from odemom.nn.transform.copies import copied
from tests.nn.momentum_oracle import error
from tests.nn.transform.towers import MODES, Block, Tower, momentum, sample, silent

GAMMA = 0.9


def twin_of(model: Any, mode: Any, **options) -> Any:
    return transform(model, GAMMA, reversible=mode, layers=["h"], **options)


def is_momentum(found, model) -> bool:
    return torch.allclose(found, momentum(model.h, sample()))


# --- hooks --------------------------------------------------------------------------------------


def seen_by_hooks(twin, register):
    seen = []

    def hook(_, *gradients):
        seen.append(gradients[-1][0])
        return tuple(0.5 * g for g in gradients[0])

    for block in [twin.h[1], twin.h[2]]:
        getattr(block, register)(hook)
    return [*silent(twin), *seen]


@pytest.mark.parametrize("depth", [4, 9])
@pytest.mark.parametrize(
    "register", ["register_full_backward_hook", "register_full_backward_pre_hook"]
)
def test_the_row_goes_on_through_full_backward_hooks(register, depth):
    expected = seen_by_hooks(twin_of(Tower(depth=depth), False), register)
    assert is_momentum(expected[0], Tower(depth=depth))
    assert len(expected) == 2 + 2 * depth + 2
    for mode in (True, "auto"):
        twin = twin_of(Tower(depth=depth), mode)
        assert error(seen_by_hooks(twin, register), expected) <= 1e-12
        assert [row.layers for row in twin_report(twin).rows] == [depth]


def test_what_is_computed_from_a_state_carries_nothing_on():
    class Views(Tower):
        def forward(self, x):
            return self.h[1](self.h[0](x)[:])

    with pytest.warns(UserWarning, match="not the tensor that a block"):
        twin_of(Views(depth=2), "auto")(sample())


# --- inputs -------------------------------------------------------------------------------------


class Moves(nn.Module):
    """Changes its input in place, then adds to it."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return x.tanh_() + self.linear(x)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gradients", [False, True])
def test_a_block_that_changes_its_input_is_refused(mode, gradients):
    twin = twin_of(Tower(depth=3, block=Moves), mode)
    said = r"h\.0 \(Moves\): got a function that changes its input in place"
    with torch.set_grad_enabled(gradients), pytest.raises(InvalidInputError, match=said):
        twin(2 * sample())


class Rotates(nn.Module):
    """For complex numbers and integers."""

    def forward(self, x):
        return x + 2 * x


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("x", [torch.ones(2, 4) + 1j, torch.arange(4)])
def test_an_input_that_has_no_momentum_is_said(mode, x):
    model = Tower(depth=2, block=Rotates)
    twin = twin_of(model, mode)
    with pytest.warns(UserWarning, match="No block of the twin went on"):
        assert torch.equal(twin(x), model(x))
    why = f"its input is a tensor of {x.dtype}, no tensor of real floats"
    assert twin_report(twin).alone == {"h.0": why, "h.1": why}


SPARSE = torch.eye(4, dtype=torch.float64)
LAYOUTS = [
    SPARSE.to_sparse(),
    SPARSE.to_sparse_csr(),
    torch.nested.nested_tensor([SPARSE, SPARSE[:2]], layout=torch.jagged),
    torch.nested.nested_tensor([SPARSE, SPARSE[:2]]),
    SPARSE.float().to_mkldnn(),
]


@pytest.mark.filterwarnings("ignore:.*(Sparse|nested)")
@pytest.mark.parametrize("x", LAYOUTS, ids=["coo", "csr", "jagged", "nested", "mkldnn"])
def test_layouts_that_are_not_dense_are_refused(x):
    for mode in MODES:
        with pytest.raises(InvalidInputError, match=r"h\.0 .* layout .*expected a dense tensor"):
            twin_of(Tower(depth=2), mode)(x)
    functions = [nn.Linear(4, 4).double() for _ in range(2)]
    for net in (MomentumNet(functions), RevNet(functions)):
        with pytest.raises(InvalidInputError, match=r"x: .* layout .*expected a dense tensor"):
            net(x)


# --- the backward pass --------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [3, 9])
def test_backward_in_inference_mode(depth):
    found = []
    for mode in MODES:
        twin = twin_of(Tower(depth=depth), mode)
        y = twin(sample()).square().sum()
        with torch.inference_mode():
            y.backward()
        found.append([p.grad for p in twin.parameters()])
    assert error(found[1], found[0]) <= 1e-12
    assert error(found[2], found[0]) <= 1e-12


class Inner(Block):
    def forward(self, x, b=0.0):
        return x + checkpoint(self.linear, x, use_reentrant=True)


def test_a_reentrant_checkpoint_inside_of_a_block_is_named():
    y = twin_of(Tower(depth=3, block=Inner), True)(sample())
    with pytest.raises(ReversibilityError, match=r"h\.2 .* use_reentrant=False there, or none"):
        y.sum().backward()


class Stop(BaseException):
    """As Ctrl-C."""


def stops(*_):
    raise Stop


@pytest.mark.parametrize("depth", [3, 9])
@pytest.mark.parametrize("when", ["forward", "backward"])
def test_a_step_that_was_interrupted_leaves_no_trace(when, depth):
    for mode in (True, "auto"):
        expected = silent(twin_of(Tower(depth=depth), mode))
        twin = twin_of(Tower(depth=depth), mode)
        twin(sample())
        y = None if when == "forward" else twin(sample()).sum()
        hook = twin.h[1].linear.register_forward_hook(stops)
        with pytest.raises(Stop):
            (twin(sample()).sum() if y is None else y).backward(retain_graph=True)
        hook.remove()
        assert error(silent(twin), expected) == 0
        if y is not None and mode is True:
            with pytest.raises(ReversibilityError, match="that ended, or failed"):
                y.backward()


# --- threads and copies -------------------------------------------------------------------------


def test_threads_do_not_see_each_others_rows():
    twin = twin_of(Tower(depth=3), "auto")
    expected, found = twin(sample()).detach(), []

    def serve():
        with torch.no_grad():
            found.extend(twin(sample()) for _ in range(15))

    interval = sys.getswitchinterval()
    threads = [threading.Thread(target=serve) for _ in range(3)]
    try:
        sys.setswitchinterval(1e-6)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(found) == 45
    assert all(torch.equal(y, expected) for y in found)
    assert twin.h[0].__dict__["_momentum_place"].container.joined


def test_another_thread_between_two_blocks_is_no_neighbour():
    twin = twin_of(Tower(depth=3), "auto")
    twin.h[0](sample())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = threading.Thread(target=lambda: twin.h[1](sample()))
        other.start()
        other.join()
    assert twin.h[0].__dict__["_momentum_place"].container.joined


def replica(module):
    """As `torch.nn.DataParallel` makes them: the parameters are attributes."""
    made = module._replicate_for_data_parallel()
    for name, child in module._modules.items():
        made._modules[name] = replica(child)
    for name, p in module._parameters.items():
        setattr(made, name, 1.0 * p)
    return made


@pytest.mark.parametrize("depth", [3, 9])
def test_replicas_of_data_parallel(depth):
    model: Any = Tower(depth=depth)
    for mode in MODES:
        made = replica(twin_of(model, mode))
        if mode is True or (mode == "auto" and depth == 9):
            with pytest.raises(InvalidInputError, match=r"DataParallel.*Use DistributedData"):
                made(sample())
        else:
            assert is_momentum(made(sample()), model)
    functions = [nn.Linear(4, 4).double()]
    with pytest.raises(InvalidInputError, match="DataParallel"):
        replica(MomentumNet(functions))(sample())


# --- wrapped, parametrized and bound ------------------------------------------------------------


class Scaled(Block):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((4,), 2.0))

    def forward(self, x, b=0.0):
        return x + self.scale * self.linear(x)


class Halved(nn.Module):
    def forward(self, w):
        return 0.5 * w

    def right_inverse(self, w):
        return 2 * w


def parametrized(blocks):
    for block in blocks:
        parametrize.register_parametrization(block, "scale", Halved())


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_parameters_of_blocks_are_parametrized_before_or_after(mode, first):
    model: Any = Tower(depth=3, block=Scaled)
    expected = momentum(model.h, sample())
    if first:
        parametrized(model.h)
    twin = twin_of(model, mode)
    if not first:
        parametrized(twin.h)
    assert torch.allclose(twin(sample()), expected)
    block = restore(twin).h[0]
    assert isinstance(block, Scaled)
    assert parametrize.is_parametrized(block)
    assert torch.allclose(block.scale, torch.tensor(2.0).double())
    assert torch.allclose(block(sample()), Tower(depth=3, block=Scaled).h[0](sample()))
    for b in twin.h:
        parametrize.remove_parametrizations(b, "scale")
    assert torch.allclose(twin(sample()), expected)


def test_methods_and_wrapped_forwards_are_bound_to_the_restored_block():
    model: Any = Tower(depth=2)
    twin = twin_of(model, "auto")
    block = twin.h[1]
    block.kept = block.forward  # as hooks of accelerate wrap a forward
    block.forward = functools.partial(lambda self, x: self.kept(x), block)
    assert is_momentum(twin(sample()), model)
    restored = restore(twin)
    assert restored.h[1].kept.__self__ is restored.h[1]
    assert torch.equal(restored(sample()), model(sample()))


def test_a_method_of_a_block_that_another_module_holds_is_that_of_its_twin():
    class Holds(Tower):
        def __init__(self):
            super().__init__(depth=2)
            self.second = self.h[1].forward

        def forward(self, x):
            return self.second(self.h[0](x))

    model: Any = Holds()
    twin = twin_of(model, "auto")
    assert is_momentum(twin(sample()), model)
    assert torch.equal(restore(twin)(sample()), model(sample()))


def test_a_copy_is_not_compiled():
    model: Any = Tower(depth=2)
    for module in (model, *model.h):  # as model.compile() and block.compile() do
        module._compiled_call_impl = stops
    twin = twin_of(model, "auto")
    assert torch.allclose(twin(sample()), momentum(Tower(depth=2).h, sample()))
    assert copied(model)._compiled_call_impl is None


class OptimizedModule(nn.Module):
    """Named as what `torch.compile` returns, which runs what it was compiled from."""

    def __init__(self, model):
        super().__init__()
        self._orig_mod = model
        self.forward = model.forward


def test_a_compiled_model_is_not_taken_apart():
    compiled = OptimizedModule(Tower(depth=2))
    with pytest.raises(InvalidInputError, match=r"Pass the model inside \(model\._orig_mod\)"):
        transform(compiled, GAMMA, layers=["_orig_mod.h"])
    with pytest.raises(InvalidInputError, match=r"Pass the model inside"):
        restore(OptimizedModule(twin_of(Tower(depth=2), "auto")))


def test_a_compiled_block_is_a_block():
    model: Any = Tower(depth=2)
    expected = momentum(model.h, sample())
    model.h[1] = OptimizedModule(model.h[1])
    assert torch.allclose(twin_of(model, "auto")(sample()), expected)


@pytest.mark.filterwarnings("ignore:.*is deprecated")
@pytest.mark.parametrize(
    "make",
    [lambda: twin_of(Tower(depth=2), False), lambda: MomentumNet([nn.Linear(4, 4)])],
)
def test_script_is_refused_with_the_way_out(make):
    with pytest.raises(InvalidInputError, match=r"torch\.jit\.script.*reversible=False"):
        torch.jit.script(make())


def test_twins_in_a_model_have_its_names():
    model = nn.Sequential(twin_of(Tower(depth=3), "auto"), twin_of(Tower(depth=2), "auto"))
    model(sample())
    report = twin_report(model)
    assert [row.blocks for row in report.rows] == [
        ("0.h.0", "0.h.1", "0.h.2"),
        ("1.h.0", "1.h.1"),
    ]
    assert [row.container for row in report.rows] == ["0.h", "1.h"]
    assert (report.parameters, report.activations) == (1.0, 1.0)
    assert report.alone == {}
