"""Samples of what a call saves: small, and of every tensor."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from odemom.errors import ReversibilityError
from odemom.nn import transform, twin_report
from odemom.nn.recompute.sampling import ENTRIES, Kept, Samples, alike, sample
from odemom.nn.reversible import capture
from tests.nn.momentum_oracle import error
from tests.nn.transform.towers import Tower
from tests.nn.transform.towers import sample as batch


def unlike(first: Kept, again: Tensor) -> bool:
    second = Samples(first)
    second.note(0, again)
    return any(bool(different) for different in second.unlike())


def noted(t: Tensor) -> Kept:
    first = Samples()
    first.note(0, t)
    return first.kept()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "t",
    [
        torch.randn(3, 5, 7),
        torch.randn(70),
        torch.randn(2, 8, 9, 9).to(memory_format=torch.channels_last),
        torch.randn(16, 5, 3, 4, 2).transpose(1, 4),
        torch.randn(1).expand(50, 60),
        torch.randn(40, 50)[:, ::2],
        torch.randn(30, 50)[3:],
        torch.randn(()),
        torch.arange(1000),
        torch.randn(4, 4).to(torch.complex64),
        torch.randn(4, 4).to(torch.complex64).conj(),
        torch.randn(9).to(torch.complex64).conj().imag,
        torch.randn(100).to(torch.bfloat16),
    ],
)
def test_samples_are_small_and_find_what_is_elsewhere(t: Tensor, late, monkeypatch):
    monkeypatch.setattr(capture, "waits_late", lambda device: late)
    assert 0 < sample(t, in_order=t.is_contiguous()).numel() <= 2 * ENTRIES
    first = noted(t)
    assert not unlike(first, t)
    assert not unlike(first, t.clone(memory_format=torch.contiguous_format))
    assert unlike(first, t + 1)
    if t.is_floating_point():
        holes = torch.full_like(t, torch.nan)
        assert not unlike(first, t * (1 + 1e-6))
        assert not unlike(noted(holes), holes)
        assert unlike(first, holes)
    turned = torch.randn(5, 6).t()
    assert not unlike(noted(turned.contiguous()), turned)


def test_entries_are_those_of_the_tensor_at_regular_places():
    assert torch.equal(sample(torch.arange(640), in_order=True), torch.arange(0, 640, 11))
    grid = sample(torch.arange(640).view(64, 10).t().contiguous().t(), in_order=False)
    assert torch.equal(grid, torch.arange(640).view(64, 10)[::4, ::2][:, :4])


@pytest.mark.parametrize(
    "t",
    [
        torch.tensor([1, 2]),
        torch.zeros(100, dtype=torch.uint8),
        torch.zeros(0),
        torch.empty(3, device="meta"),
        torch.eye(3).to_sparse(),
    ],
)
def test_what_kernels_leave_unset_and_what_has_no_entries_is_left_alone(t):
    assert not unlike(noted(t), t)
    if t.numel() and t.device.type == "cpu" and t.layout == torch.strided:
        assert not unlike(noted(t), t + 1)


def test_rows_of_a_stack_have_each_their_own_size():
    small, large = torch.full((8,), 1e-9), torch.full((8,), 1e9)
    stacked = torch.stack([small, large])
    assert bool(alike(stacked, stacked * (1 + 1e-6)))
    assert not bool(alike(stacked, torch.stack([2 * small, large])))


class Parallel(nn.Module):
    """x + b(tanh(a(n(x) changed))) + e(tanh(c(n(x)))): what is saved last has not seen it all."""

    def __init__(self, middle: Any):
        super().__init__()
        self.n, self.middle = nn.LayerNorm(4), middle()
        self.a, self.b, self.c, self.e = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        h = self.n(x)
        return x + self.b(torch.tanh(self.a(self.middle(h)))) + self.e(torch.tanh(self.c(h)))


class NumPyDropout(nn.Module):
    def forward(self, x):
        kept = np.random.random(tuple(x.shape)) > 0.5  # noqa: NPY002 - the global one is meant
        return x * torch.from_numpy(2.0 * kept)


class OwnGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x):
        return x + torch.rand(x.shape, generator=self.generator, dtype=x.dtype)


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x) if self.training else x


class Renorm(nn.BatchNorm1d):
    """Normalises by its running statistics in training."""

    def forward(self, input):
        assert self.running_mean is not None
        y = (input - self.running_mean) / (1 + input.var(0))
        with torch.no_grad():
            self.running_mean.lerp_(input.mean(0), 0.5)
        return y


def new_data(twin):
    for block in twin.h:
        block.a.weight.data = block.a.weight.data + 1


def data_of_the_last_product(twin):
    for block in twin.h:
        block.e.weight.data.mul_(2)


def gradients(mode, middle, change):
    torch.manual_seed(0)
    kind: Any = functools.partial(Parallel, middle)
    tower = Tower(depth=3, block=kind).double()
    twin: Any = transform(tower, 0.9, reversible=mode, layers=["h"])
    loss = twin(batch()).square().sum()
    change(twin)
    loss.backward()
    assert not mode or {row.mode for row in twin_report(twin).rows} == {"checkpoint"}
    return [p.grad for p in twin.parameters() if p.grad is not None]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("middle", "change"),
    [
        (NumPyDropout, lambda twin: None),
        (OwnGenerator, lambda twin: None),
        (nn.Identity, new_data),
        (nn.Identity, data_of_the_last_product),
    ],
)
def test_a_change_in_one_branch_is_found(middle, change, late, monkeypatch):
    monkeypatch.setattr(capture, "waits_late", lambda device: late)
    with pytest.raises(ReversibilityError, match=r"^h\.2 \(Parallel\): .*did not recompute"):
        gradients("auto", middle, change)


@pytest.mark.parametrize(
    ("middle", "change"),
    [(Noise, nn.Module.eval), (lambda: Renorm(4), lambda twin: None)],
)
def test_a_change_in_one_branch_is_undone(middle, change):
    assert error(gradients("auto", middle, change), gradients(False, middle, change)) <= 1e-12


def test_samples_of_several_tensors_are_kept_together_and_each_is_its_own():
    batch = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    tensors = [torch.randn(200), torch.arange(90), batch, torch.randn(()), torch.randn(7, 9)]
    first = Samples()
    for n, t in enumerate(tensors):
        first.note(3 * n, t)
    kept = first.kept()
    assert len(kept._stored) == 2  # a tensor a dtype
    for n, t in enumerate(tensors):
        in_order, found = kept.by_number()[3 * n]
        assert in_order == t.is_contiguous()
        assert torch.equal(found, sample(t, in_order=in_order))
        second = Samples(kept)
        second.note(3 * n, t + 1)
        second.note(3 * n + 1, t)  # the first call saved no tensor of this number
        assert [bool(different) for different in second.unlike()] == [True]
