"""Functions that keep things for later: each gradient is that of plain autograd, or refused."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections import OrderedDict, UserDict, deque
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError, ReversibilityError
from odemom.nn import Checkpointed, MomentumNet, RevNet
from tests.nn.momentum_oracle import error, grad, plain

DEPTH = 4
GLOBAL: dict[Any, Any] = {}


class Keeps(nn.Module):
    """tanh(b(what ``rule`` makes of x, a and the arguments))."""

    def __init__(self, rule, number):
        super().__init__()
        self.rule, self.number = rule, number
        self.a, self.b = nn.Linear(6, 6).double(), nn.Linear(6, 6).double()
        self.kept: Any = None

    def forward(self, x, *args, **kwargs):
        return torch.tanh(self.b(self.rule(self, x, *args, **kwargs)))


def functions(rule, *, shared=False) -> Any:
    torch.manual_seed(0)
    if shared:
        return nn.ModuleList([Keeps(rule, 0)] * DEPTH)
    return nn.ModuleList(Keeps(rule, n) for n in range(DEPTH))


def run(kind, rule, make=None, loss_of=None, *, shared=False, x_wants=True):
    """Gradients of a step, the arguments after it and the functions."""
    GLOBAL.clear()
    fs = functions(rule, shared=shared)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x.requires_grad_(x_wants)
    args: Any = () if make is None else (make(),)
    if kind == "plain":
        y = plain(fs, 0.9, x, *args)
    elif kind == "checkpointed":
        y = Checkpointed(MomentumNet(fs, 0.9, reversible=False))(x, *args)
    else:
        y = MomentumNet(fs, 0.9)(x, *args)
    loss = y.square().sum()
    if loss_of is not None:
        loss = loss + loss_of(fs, *args)
    loss.backward()
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in fs.parameters()]
    return [grad(x), *gradients] if x_wants else gradients, args, fs


def compare(rule, make=None, loss_of=None, **how):
    truth, expected, _ = run("plain", rule, make, loss_of, **how)
    ours, args, fs = run("reversible", rule, make, loss_of, **how)
    assert error(ours, truth) <= 1e-12
    return args, expected, fs


# --- arguments -----------------------------------------------------------------------------------


def fills(f, x, cache):
    if f.number not in cache:
        cache[f.number] = f.a(x)
    return cache[f.number]


def joins(f, x, cache):
    k = f.a(x)
    cache[f.number] = (cache[f.number] + k) / 2 if f.number in cache else k
    return cache[f.number]


def first_of_all(f, x, cache):
    cache.setdefault("first", f.a(x))
    return cache["first"] * x


def sums_up(f, x, cache):
    cache["sum"] = f.a(x) + cache.get("sum", 0.0)
    return cache["sum"]


@pytest.mark.parametrize("make", [dict, OrderedDict, UserDict])
@pytest.mark.parametrize("rule", [fills, joins, first_of_all, sums_up])
def test_dict_among_the_arguments(rule, make):
    args, expected, _ = compare(rule, make)
    assert dict(args[0]).keys() == dict(expected[0]).keys()
    assert all(torch.allclose(args[0][k], expected[0][k]) for k in args[0])


def attribute(f, x, cache):
    if getattr(cache, "k", None) is None:
        cache.k = f.a(x)
    return cache.k * x


def attribute_of_each(f, x, cache):
    name = f"k{f.number}"
    if not hasattr(cache, name):
        setattr(cache, name, f.a(x))
    return getattr(cache, name)


@dataclasses.dataclass
class Record:
    k: Any = None


@dataclasses.dataclass(slots=True)
class SlottedRecord:
    k: Any = None


@pytest.mark.parametrize("make", [Record, SlottedRecord, SimpleNamespace])
def test_object_among_the_arguments(make):
    compare(attribute, make)
    if make is not SlottedRecord:
        compare(attribute_of_each, make)


class Layer:
    def __init__(self):
        self.keys, self.seen = None, 0

    def update(self, k):
        self.keys = k if self.keys is None else torch.cat((self.keys, k), 0)
        self.seen += 1
        return self.keys


class Cache:
    """After the caches of transformers: a list of objects that grows."""

    def __init__(self):
        self.layers = []

    def update(self, k, n):
        while len(self.layers) <= n:
            self.layers.append(Layer())
        return self.layers[n].update(k)


def attends(f, x, cache):
    keys = cache.update(f.a(x), f.number)
    return torch.softmax(x @ keys.T, -1) @ keys


@pytest.mark.parametrize("shared", [False, True])
def test_growing_cache_of_objects(shared):
    (cache,), (expected,), _ = compare(attends, Cache, shared=shared)
    assert [layer.seen for layer in cache.layers] == [layer.seen for layer in expected.layers]
    assert [x.keys.shape for x in cache.layers] == [x.keys.shape for x in expected.layers]


class Pair(NamedTuple):
    box: list[Any]
    weight: torch.Tensor


def in_tuple(f, x, pair):
    pair.box.append(f.a(x) * pair.weight)
    return sum(pair.box)


def test_list_and_weight_in_a_named_tuple():
    weight = torch.ones(6, dtype=torch.float64)
    compare(in_tuple, lambda: Pair([], weight.clone().requires_grad_()))


def appends_loss(f, x, losses):
    losses.append(f.a(x).square().mean())
    return x


@pytest.mark.parametrize("make", [list, deque])
@pytest.mark.parametrize("kind", ["reversible", "checkpointed"])
def test_losses_appended_are_the_callers_and_have_their_gradient(make, kind):
    truth, _, _ = run("plain", appends_loss, make, lambda fs, losses: sum(losses))
    ours, args, _ = run(kind, appends_loss, make, lambda fs, losses: sum(losses))
    assert len(args[0]) == DEPTH
    assert error(ours, truth) <= 1e-12


def test_loss_of_kept_tensors_alone():
    def alone(make_net):
        fs, losses = functions(appends_loss), []
        x = torch.ones(5, 6, dtype=torch.float64, requires_grad=True)
        make_net(fs)(x, losses)
        losses[2].backward()
        return [grad(x), *(p.grad for p in fs[:2].parameters() if p.grad is not None)]

    truth = alone(lambda fs: lambda x, losses: plain(fs, 0.9, x, losses))
    assert error(alone(lambda fs: MomentumNet(fs, 0.9)), truth) <= 1e-12


def logs(f, x, log):
    log.append(f.number)
    return x


@pytest.mark.parametrize("kind", ["plain", "reversible", "checkpointed"])
def test_log_holds_each_entry_once(kind):
    _, (log,), _ = run(kind, logs, list)
    assert log == list(range(DEPTH))


def test_log_without_gradients():
    log: list[int] = []
    for reversible in (True, False):
        with torch.no_grad():
            net = MomentumNet(functions(logs), 0.9, reversible=reversible)
            net(torch.ones(5, 6, dtype=torch.float64), log)
    assert log == 2 * list(range(DEPTH))


def test_arguments_changed_after_the_forward_pass_do_not_matter():
    found = []
    for reversible in (True, False):
        fs, scales = functions(lambda f, x, scales: f.a(x) * scales[0]), [torch.ones(6).double()]
        y = MomentumNet(fs, 0.9, reversible=reversible)(torch.ones(5, 6).double(), scales)
        scales.clear()
        y.sum().backward()
        assert scales == []
        found.append([p.grad for p in fs.parameters()])
    assert error(*found) <= 1e-12


def test_parameter_of_the_function_among_the_arguments():
    found = []
    for reversible in (True, False):
        fs = functions(lambda f, x, w: f.a(x) @ w)
        net = MomentumNet([fs[0]] * 3, 0.9, reversible=reversible)
        net(torch.ones(5, 6).double(), fs[0].a.weight).sum().backward()
        found.append([p.grad for p in fs[0].parameters()])
    assert error(*found) <= 1e-12


def test_argument_changed_in_place_is_refused():
    def writes(f, x, memory):
        memory[f.number] = f.a(x).sum(0)
        return x

    with pytest.raises(
        InvalidInputError, match=r"functions\[0\] \(Keeps\).*argument.* in place.*use_cache=False"
    ):
        run("reversible", writes, lambda: torch.zeros(DEPTH, 6, dtype=torch.float64))


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


def test_revnet_too():
    found = []
    for reversible in (True, False):
        losses: list[torch.Tensor] = []
        fs = functions(appends_loss)
        x = torch.ones(5, 12, dtype=torch.float64, requires_grad=True)
        y = RevNet(fs, reversible=reversible)(x, losses)
        (y.square().sum() + sum(losses)).backward()
        found.append([grad(x), *(p.grad for p in fs.parameters())])
    assert error(*found) <= 1e-12


def test_two_backward_passes_with_a_cache():
    fs, cache = functions(fills), {}
    x = torch.ones(5, 6, dtype=torch.float64, requires_grad=True)
    loss = MomentumNet(fs, 0.9)(x, cache).square().sum()
    loss.backward(retain_graph=True)
    once = [grad(p).clone() for p in fs.parameters()]
    loss.backward()
    assert error([p.grad for p in fs.parameters()], [2 * g for g in once]) <= 1e-12


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
