"""Nothing is left behind by a training step, however many there are."""

from __future__ import annotations

import gc

import pytest
import torch

from odemom.nn import MomentumNet, ODEBlock, RevNet, transform
from tests.nn.momentum_oracle import mlps
from tests.nn.transform.towers import GAMMA, Tower, sample


def ode_block():
    return ODEBlock(
        mlps(1)[0],
        order=2,
        eps=0.5,
        method="rk4",
        options={"step_size": 0.5},
        gradient="reversible",
    )


NETS = {
    "the twin in exact rows": lambda: transform(Tower(), GAMMA, reversible=True, layers=["h"]),
    "the twin in checkpoints": lambda: transform(Tower(depth=3), GAMMA, layers=["h"]),
    "the plain twin": lambda: transform(Tower(), GAMMA, reversible=False, layers=["h"]),
    "MomentumNet": lambda: MomentumNet(mlps(6), 0.9),
    "RevNet": lambda: RevNet(mlps(6)),
    "ODEBlock": ode_block,
}


def live() -> int:
    """Tensors that are alive, once what only cycles hold is gone."""
    gc.collect()
    return sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())


FIRST = ("the twin in exact rows", "ODEBlock")


@pytest.fixture
def set_aside():
    """Whatever lives before the test is not looked through again."""
    gc.collect()
    gc.freeze()


@pytest.mark.usefixtures("set_aside")
@pytest.mark.parametrize(
    "name", [n if n in FIRST else pytest.param(n, marks=pytest.mark.slow) for n in NETS]
)
def test_no_tensor_outlives_its_step(name):
    net = NETS[name]().double()
    optimizer = torch.optim.Adam(net.parameters())
    width = next(p for p in net.parameters()).shape[-1]
    x = sample(width=2 * width if name == "RevNet" else width).detach()
    counts = []
    for step in range(16):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
        net.eval()
        with torch.no_grad():
            net(x)  # validation in between
        net.train()
        if step % 2:
            net(x).sum()  # a graph that is never gone back through
        if step in (5, 15):
            counts.append(live())
    assert counts[1] == counts[0]
