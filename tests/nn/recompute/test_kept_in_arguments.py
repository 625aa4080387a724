"""Functions that keep things in their arguments, which are the caller's own."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, UserDict, deque
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch

from odemom.errors import InvalidInputError
from odemom.nn import MomentumNet, RevNet
from tests.nn.momentum_oracle import error, grad, plain
from tests.nn.recompute.keeping import DEPTH, compare, functions, run

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
