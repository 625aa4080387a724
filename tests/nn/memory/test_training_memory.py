"""The memory of a step found beforehand is that of a step that is run."""

from __future__ import annotations

import copy
import functools
import random
import re
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from benchmarks.resident import ask
from odemom.errors import InvalidInputError
from odemom.nn import MomentumNet, ODEBlock, memory_report, transform, twin_report
from odemom.nn.memory import training
from odemom.nn.memory.step import step
from odemom.nn.transform import restore
from tests.nn.memory.networks import BATCHES, Mlp, network
from tests.nn.momentum_oracle import mlps


def twin_of(model, **options):
    return transform(model, 0.9, layers=["blocks"], **options)


def after(report):
    assert report.twin is not None
    return report.twin


def run_and_counted(model, x, *args, **kwargs):
    """The bytes of a step on real tensors; the first call of a twin shows its rows."""
    call = training._call(x, args, kwargs, 0)
    step(model, call, {}, batch=call.batch, shapes=False)
    return step(model, call, {}, batch=call.batch, shapes=False).peak


@pytest.mark.slow
@pytest.mark.parametrize("name", BATCHES)
def test_the_report_is_the_peak_of_a_process_that_runs_the_step(name):
    """To 3 %: libraries keep the workspaces of the first step, and pages are rounded."""
    model = network(name, "twin" if name == "mlp" else "plain")
    report = memory_report(model, torch.empty(BATCHES[name], device="meta"))
    for method in ("plain", "twin"):
        real = ask("tests.nn.memory.networks", name, method)["peak"]
        found = getattr(report, method).peak
        assert 0.97 * found < real < 1.03 * found


@pytest.mark.parametrize(("depth", "reversible"), [(2, "auto"), (6, "auto"), (2, True), (6, False)])
def test_shapes_tell_what_a_step_on_tensors_holds(depth, reversible):
    twin, x = twin_of(Mlp(depth, 16), reversible=reversible), torch.randn(32, 16)
    report = memory_report(twin, x)
    assert report.given == "twin"
    assert report.step is report.twin
    assert after(report).peak == run_and_counted(twin, x)
    assert report.plain.peak == run_and_counted(restore(twin), x)
    assert after(report).measured == report.plain.measured == ""


def test_reversible_networks_are_compared_with_themselves_under_plain_autograd():
    net, x = MomentumNet(mlps(10), 0.9), torch.randn(64, 16)
    report = memory_report(net, x)
    assert after(report).peak == run_and_counted(net, x)
    assert net.reversible
    net.reversible = False
    assert report.plain.peak == run_and_counted(net, x)
    own = net.memory_report(x)
    assert own.plain < report.plain.peak < own.plain * 1.5
    assert own.state + own.buffer < after(report).peak < 3 * own.reversible


def test_a_plain_model_is_compared_with_its_twin():
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
    model = nn.TransformerEncoder(layer, 7, enable_nested_tensor=False)
    x = torch.randn(4, 10, 16)
    report = memory_report(model, x)
    assert report.given == "plain"
    assert report.plain.peak == run_and_counted(model, x)
    assert after(report).peak == run_and_counted(transform(model, 0.9), x)
    assert report.notes == {"layers.0 to 6": "exact"}
    assert report.ratio < 0.5
    assert sum(report.plain.parts.values()) == report.plain.peak
    assert report.plain.parts["layers.0 to 6"] > 0.9 * report.plain.peak
    assert "layers.0 to 6" in str(report)
    held = report.parameters + report.gradients + report.buffers
    in_all = (after(report).peak + held) / (report.plain.peak + held)
    assert f"holds {report.ratio:.2f} of the plain one's; with parameters" in str(report)
    assert str(report).endswith(f"which both hold in full, {in_all:.2f}")


def test_other_batches_are_found_from_two_steps():
    twin = twin_of(Mlp(7, 16))  # the least depth of which the row is held exactly
    report = memory_report(twin, torch.empty(8, 16, device="meta"))
    other = memory_report(twin, torch.empty(1000, 16, device="meta"))
    assert report.plain.at(1000) == other.plain.peak
    assert after(report).at(1000) == after(other).peak
    assert after(report).total(1000) == after(other).total(1000)
    memory = after(report).total(333)
    assert report.largest_batch(memory) == 333
    assert report.largest_batch(memory - 1) == 332
    assert report.plain.largest_batch(memory) < 333
    assert report.largest_batch(memory, optimizer=2) < 333


def test_bytes_of_the_model_and_of_the_batch_stand_aside():
    model = Mlp(2, 16)
    model.register_buffer("mean", torch.zeros(7))
    model.first.requires_grad_(False)
    report = memory_report(model, torch.zeros(5, 16))
    frozen = 4 * (16 * 16 + 16)
    every = sum(p.nbytes for p in model.parameters())
    assert (report.parameters, report.gradients) == (every, every - frozen)
    assert (report.buffers, report.inputs) == (28, 5 * 64)
    assert report.plain.held == 2 * every - frozen + 28


class Draws(nn.Module):
    """Random numbers, a buffer and attributes that move, and, if asked, a look at a value."""

    def __init__(self, looks):
        super().__init__()
        self.blocks = Mlp(3, 8).blocks
        self.norm, self.drop = nn.BatchNorm1d(8), nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(()))
        self.scale, self.kept, self.looks = torch.ones(8), [], looks

    def forward(self, x):
        self.calls += 1
        self.scale.mul_(2)
        for block in self.blocks:
            x = block(x)
        x = self.drop(self.norm(x)) * self.scale
        self.kept.append(x)
        self.latest = x
        return x * x.max().item() if self.looks else x


def held(model):
    everything = [*model.parameters(), *model.buffers(), torch.get_rng_state()]
    attributes = (len(model.kept), hasattr(model, "latest"), model.scale.clone())
    return [t.clone() for t in everything], [p.grad for p in model.parameters()], attributes


@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("twin", [False, True])
def test_nothing_of_the_model_changes(looks, twin):
    model, x = Draws(looks), torch.randn(6, 8)
    model = twin_of(model) if twin else model
    before, modes = held(model), [m.training for m in model.modules()]
    first, second = memory_report(model, x), memory_report(model, x)
    after = held(model)
    assert all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert before[1] == after[1] == [None] * len(before[1])
    assert before[2][:2] == after[2][:2] == (0, False)
    assert torch.equal(before[2][2], after[2][2])
    assert modes == [m.training for m in model.modules()]
    assert (first.plain.peak, first.step.peak) == (second.plain.peak, second.step.peak)
    assert bool(first.plain.measured) is bool(second.plain.measured) is looks
    if twin:
        assert all("not called" in why for why in twin_report(model).alone.values())
        copy.deepcopy(model)(x).sum().backward()


@pytest.mark.parametrize("twin", [False, True])
def test_where_values_matter_a_step_is_run_and_the_report_says_so(twin):
    model, x = Draws(looks=True), torch.randn(6, 8)
    model = twin_of(model) if twin else model
    report = memory_report(model, x)
    assert report.plain.peak == run_and_counted(restore(model) if twin else model, x)
    assert "shapes alone do not tell (DataDependent" in report.plain.measured
    assert "plain: a step was run and measured, for shapes alone" in str(report)
    assert report.largest_batch(1e6) > 6
    with pytest.raises(InvalidInputError, match=r"without values, of which shapes alone do not"):
        memory_report(model, torch.empty(6, 8, device="meta"))
    single = memory_report(Measured(), torch.ones(1, 3))
    with pytest.raises(InvalidInputError, match="a step with one sample was measured"):
        single.largest_batch(1e6)


class Affine(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(3, 3)


class Measured(Affine):
    def forward(self, x):
        return self.f(x) * x.sum().item()


@functools.cache
def table(n):
    made = torch.zeros(n)
    made[1:] = torch.arange(n - 1.0)
    made += 1
    return made


class Tables(Affine):
    """Looks at a table that it keeps for all calls of the process, and at a draw."""

    def forward(self, x):
        sizes = table(3)
        scale = random.random() if sizes.sum().item() == 4 and torch.rand([]) < 2 else 0.0
        return self.f(x) * sizes * scale


def test_tables_that_depend_on_nothing_are_right_and_stay_so():
    table.cache_clear()
    model, state = Tables(), random.getstate()
    drawn = torch.get_rng_state()
    report = memory_report(model, torch.empty(4, 3, device="meta"))
    assert report.plain.measured == ""
    assert type(table(3)) is torch.Tensor
    assert table(3).tolist() == [1, 1, 2]
    assert random.getstate() == state
    assert torch.equal(torch.get_rng_state(), drawn)


def test_an_ode_block_is_measured():
    block = ODEBlock(nn.Linear(3, 3), method="rk4", options={"step_size": 0.5})
    report = memory_report(block, torch.randn(4, 3))
    assert report.plain.peak > 0
    assert report.plain.measured
    assert report.refused
    assert report.twin is None


class Words(nn.Module):
    """Called with names, returns a dict with a loss, as models of transformers."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11)

    def forward(self, tokens, *, mask, labels=None):
        logits = self.head(self.embed(tokens) * mask[..., None])
        value = {"logits": logits}
        if labels is not None:
            value["loss"] = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return value


def test_a_dict_stands_for_keyword_arguments_and_a_loss_is_gone_back_from():
    tokens, mask = torch.zeros(4, 5, dtype=torch.int64), torch.ones(4, 5)
    report = memory_report(Words(), {"tokens": tokens, "mask": mask})
    assert report.inputs == tokens.nbytes + mask.nbytes
    assert report.plain.peak == memory_report(Words(), tokens, mask=mask).plain.peak
    with_loss = memory_report(Words(), {"tokens": tokens, "mask": mask, "labels": tokens})
    assert with_loss.plain.peak > report.plain.peak
    assert with_loss.plain.at(8) > with_loss.plain.peak


def test_another_axis_may_hold_the_samples():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    model = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    x = torch.randn(7, 3, 8)
    report = memory_report(model, x, batch_axis=1)
    assert report.batch == 3
    assert report.plain.at(5) == memory_report(model, torch.randn(7, 5, 8)).plain.peak


class Fixed(Affine):
    """For batches of two."""

    def forward(self, x):
        return self.f(x) + x.new_ones(2, 1)


def test_a_model_that_takes_one_batch_says_so():
    report = memory_report(Fixed(), torch.zeros(2, 3))
    assert report.plain.peak > 0
    with pytest.raises(InvalidInputError, match="does not take 4 samples"):
        report.largest_batch(1e6)


@pytest.mark.parametrize(
    ("model", "x", "said"),
    [
        ("a net", torch.zeros(2, 3), r"model: got str; expected a torch.nn.Module"),
        (nn.Tanh(), torch.zeros(2, 3), r"Tanh without parameters that require a gradient"),
        (nn.LazyLinear(3), torch.zeros(2, 3), r"lazy module"),
        (nn.DataParallel(nn.Linear(3, 3)), torch.zeros(2, 3), r"DataParallel.* model.module"),
        (nn.Linear(3, 3), [[1.0, 2.0, 3.0]], r"x: got an object of type list; expected a tensor"),
        (nn.Linear(3, 3), None, r"x: got an object of type NoneType"),
        (nn.Linear(3, 3), torch.tensor(1.0), r"shapes \(\); expected at least one sample"),
        (nn.Linear(3, 3), torch.zeros(0, 3), r"shapes \(0, 3\); expected at least one sample"),
        (nn.Linear(3, 3), {"input": 3}, r"x: got no tensor"),
        (nn.Linear(3, 3), {"inputs": torch.zeros(2, 3)}, r"a Linear whose .* fails \(TypeError"),
        (nn.Linear(3, 3), torch.zeros(2, 4), r"a Linear whose .* fails \(RuntimeError: mat1"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(model, x, said):
    with pytest.raises(InvalidInputError, match=said):
        memory_report(model, x)


def test_names_given_twice_and_a_wrong_axis_are_refused():
    x = torch.zeros(2, 3)
    with pytest.raises(InvalidInputError, match=r"\['input'\] as keyword arguments too"):
        memory_report(nn.Linear(3, 3), {"input": x}, input=x)
    with pytest.raises(InvalidInputError, match="batch_axis"):
        memory_report(nn.Linear(3, 3), x, batch_axis=-1)
    with pytest.raises(InvalidInputError, match="depends on no parameter"):
        memory_report(Aside(), x)


class Aside(Affine):
    def forward(self, x):
        return x * 2


def test_the_advice_of_a_reversible_network_on_the_meta_device_is_right():
    net = MomentumNet(mlps(3), 0.9)
    x = torch.empty(4, 16, device="meta")
    with pytest.raises(InvalidInputError, match=r"For memory, odemom.nn.memory_report\(net, x\)"):
        net(x)
    assert after(memory_report(net, x)).peak > 0


@pytest.mark.slow
def test_the_figures_of_the_manual_are_those_of_the_report():
    text = (Path(__file__).parents[3] / "docs" / "transform.md").read_text()
    said = re.search(r"ViT-B/16 with 32 images goes from (\S+) to (\S+) GB, (\S+) of it", text)
    model = torchvision.models.vit_b_16(weights=None)
    report = memory_report(model, torch.empty(32, 3, 224, 224, device="meta"))
    both = report.parameters + report.gradients
    assert said is not None
    assert report.twin is not None
    sizes = [f"{(step.peak + both) / 1e9:.1f}" for step in (report.plain, report.twin)]
    assert list(said.groups()) == [*sizes, f"{report.ratio_in_all:.2f}"]
