"""Functions that keep things in attributes, hooks and globals: the right gradient, or refused."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError, ReversibilityError
from odemom.nn import MomentumNet
from tests.nn.momentum_oracle import error, grad, plain
from tests.nn.recompute.keeping import DEPTH, GLOBAL, compare, functions, run

# --- attributes ----------------------------------------------------------------------------------


def keeps(f, x):
    if f.kept is None:
        f.kept = f.a(x)
    return f.kept


def keeps_in_a_list(f, x):
    if f.kept is None:
        f.kept = []
    f.kept.append(f.a(x))
    return f.kept[0]


def keeps_values(f, x):
    k = f.a(x)
    if f.kept is None:
        f.kept = k.detach()
        return k
    return f.kept


def counts(f, x):
    f.kept = 1 + (f.kept or 0)
    return f.kept * f.a(x)


def weighs_once(f, x):
    if f.kept is None:
        f.kept = f.a.weight / f.a.weight.norm()
    return x @ f.kept


@pytest.mark.parametrize("x_wants", [True, False])
@pytest.mark.parametrize("rule", [keeps, keeps_in_a_list, keeps_values, counts, weighs_once])
def test_attribute(rule, x_wants):
    compare(rule, x_wants=x_wants)


def test_counter_of_a_shared_function_counts_once_a_layer():
    _, _, fs = compare(counts, shared=True)
    assert fs[0].kept == DEPTH


def test_attribute_is_that_of_the_forward_pass_after_backward():
    fs = functions(keeps)
    y = MomentumNet(fs, 0.9)(torch.ones(5, 6, dtype=torch.float64))
    before = [f.kept for f in fs]
    y.sum().backward()
    assert all(f.kept is k for f, k in zip(fs, before, strict=True))


def loss_in_attribute(f, x):
    f.kept = f.a(x).square().mean()
    return x


def state_in_attribute(f, x):
    f.kept = x
    return f.a(x)


@pytest.mark.parametrize("rule", [loss_in_attribute, state_in_attribute])
@pytest.mark.parametrize("x_wants", [True, False])
def test_loss_of_attributes(rule, x_wants):
    compare(rule, None, lambda fs: sum(f.kept.pow(3).sum() for f in fs), x_wants=x_wants)


def test_loss_of_what_forward_hooks_saw():
    found = []
    for kind in ("reversible", "plain"):
        fs, seen = functions(lambda f, x: f.a(x)), []
        for f in fs:
            f.a.register_forward_hook(lambda m, i, out, seen=seen: seen.append(out))
        x = torch.ones(5, 6, dtype=torch.float64, requires_grad=True)
        y = MomentumNet(fs, 0.9)(x) if kind == "reversible" else plain(fs, 0.9, x)
        (y.sum() + sum(k.pow(3).sum() for k in seen)).backward()
        found.append([grad(x), *(p.grad for p in fs.parameters())])
    assert error(*found) <= 1e-12


def test_tensor_of_another_layer_in_an_attribute_is_refused():
    def of_the_last(f, x):
        last, f.kept = f.kept, f.a(x)
        return x if last is None else x + last

    with pytest.raises(InvalidInputError, match=r"functions\[1\] .* which layer 0 made.*arguments"):
        run("reversible", of_the_last, shared=True)
    with pytest.raises(InvalidInputError, match=r"functions\[1\] .* of shape .*arguments"):
        run("reversible", of_the_last, shared=True, x_wants=False)


# --- hooks on gradients, registered in a call ----------------------------------------------------


def hooks_input(f, x):
    x.register_hook(lambda g: g * (f.number + 2))
    return f.a(x)


def hooks_weight(f, x):
    if f.kept is None:
        f.kept = f.a.weight.register_hook(lambda g: 3 * g)
    return f.a(x)


def hooks_inside(f, x):
    k = f.a(x)
    k.register_hook(lambda g: 3 * g)
    return k


@pytest.mark.parametrize("rule", [hooks_input, hooks_weight, hooks_inside])
def test_hook_registered_in_a_call(rule):
    compare(rule)


def test_hook_on_an_argument():
    def hooks(f, x, weight):
        if weight.requires_grad:
            weight.register_hook(lambda g: 3 * g)
        return f.a(x) * weight

    found = []
    for reversible in (True, False):
        fs, weight = functions(hooks), torch.ones(6, dtype=torch.float64, requires_grad=True)
        x = torch.ones(5, 6, dtype=torch.float64, requires_grad=True)
        MomentumNet(fs, 0.9, reversible=reversible)(x, weight).square().sum().backward()
        found.append([grad(x), grad(weight), *(p.grad for p in fs.parameters())])
    assert error(*found) <= 1e-12


def test_hook_on_an_input_of_half_precision_is_refused():
    net = MomentumNet(functions(hooks_input), 0.9).bfloat16()
    with pytest.raises(InvalidInputError, match=r"functions\[0\].*hook on its input.*x\.clone"):
        net(torch.ones(5, 6, dtype=torch.bfloat16, requires_grad=True))


# --- elsewhere -----------------------------------------------------------------------------------


def in_global(f, x):
    if f.number not in GLOBAL:
        GLOBAL[f.number] = f.a(x)
    return GLOBAL[f.number]


def values_in_global(f, x):
    k = f.a(x)
    if f.number not in GLOBAL:
        GLOBAL[f.number] = k.detach()
        return k
    return GLOBAL[f.number]


class Hidden(nn.Module):
    """A module that is no submodule: its attributes are not put back."""

    kept: Any = None


def in_class_attribute(f, x):
    kept = Hidden.kept or {}
    Hidden.kept = {f.number: f.a(x)} | kept
    return Hidden.kept[f.number]


@pytest.mark.parametrize("x_wants", [True, False])
@pytest.mark.parametrize("rule", [in_global, values_in_global, in_class_attribute])
def test_global_is_found_in_the_backward_pass(rule, x_wants):
    Hidden.kept = None
    with pytest.raises(
        ReversibilityError, match=r"functions\[3\] \(Keeps\), layer 3: computed again.*use_cache"
    ):
        run("reversible", rule, x_wants=x_wants)


def loss_in_global(f, x):
    GLOBAL[f.number] = f.a(x).square().mean()
    return x


def test_loss_in_a_global_has_its_gradient():
    compare(loss_in_global, None, lambda fs: sum(GLOBAL.values()))


def test_nested_reversible_nets():
    torch.manual_seed(0)
    inner: list[Any] = [
        MomentumNet([nn.Sequential(nn.Linear(6, 6), nn.Tanh())] * 3, 0.5) for _ in range(4)
    ]
    found = []
    for reversible in (True, False):
        net: Any = copy.deepcopy(MomentumNet(inner, 0.9)).double()
        net.reversible = reversible
        for f in net.functions:
            f.reversible = reversible
        x = torch.ones(5, 6, dtype=torch.float64, requires_grad=True)
        net(x).square().sum().backward()
        found.append([grad(x), *(p.grad for p in net.parameters())])
    assert error(*found) <= 1e-12


# --- weights that a module holds in a list of its own --------------------------------------------


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(6, 6, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]


@pytest.mark.parametrize("hooked", [False, True])
def test_lstm_with_hooks_on_its_weights(hooked):
    found = []
    for reversible in (True, False):
        torch.manual_seed(0)
        net = MomentumNet([Recurrent().double() for _ in range(3)], 0.9, reversible=reversible)
        if hooked:
            for p in net.parameters():
                p.register_hook(lambda g: 2 * g)
        x = torch.ones(2, 5, 6, dtype=torch.float64, requires_grad=True)
        net(x).square().sum().backward()
        found.append([grad(x), *(p.grad for p in net.parameters())])
    assert error(*found) <= 1e-12


# --- transformers --------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_gpt2_with_its_default_cache(training):
    transformers = pytest.importorskip("transformers")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    config = transformers.GPT2Config(
        n_layer=3, n_embd=16, n_head=2, vocab_size=20, n_positions=16, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config).double().train(training)
    ids, found = torch.randint(0, 20, (2, 8)), []

    class Residual(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def forward(self, x, *args, **kwargs):
            return self.block(x, *args, **kwargs) - x

    class Rows(nn.ModuleList):
        def __iter__(self):
            yield net

    for reversible in (True, False):
        twin = copy.deepcopy(model)
        net = MomentumNet([Residual(b) for b in twin.transformer.h], 0.9, reversible=reversible)
        twin.transformer.h = Rows(twin.transformer.h)
        torch.manual_seed(1)
        output = twin(ids, labels=ids)
        output.loss.backward()
        assert [layer.keys.shape[-2] for layer in output.past_key_values.layers] == [8] * 3
        found.append([grad(p) for p in twin.parameters()])
    assert error(*found) <= 1e-10
