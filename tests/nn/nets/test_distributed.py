"""Data-parallel wrappers: two processes have the gradients of one on the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from odemom.nn import MomentumNet
from tests.nn.momentum_oracle import error, mlps

HEAD = """
import os, sys, torch
import torch._dynamo  # which DistributedDataParallel loads
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tests.nn.momentum_oracle import mlps
from odemom.nn import MomentumNet

store, out = sys.argv[1], sys.argv[2]
torch.set_num_threads(1)
other = os.fork()  # before anything runs: what is loaded is loaded once
rank = 0 if other else 1
dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
x = torch.randn(32, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
functions = mlps(10).double()
functions[3][0].requires_grad_(False)
"""

DDP = """
net = DistributedDataParallel(MomentumNet(list(functions) + list(functions[:2]), 0.9))
for _ in range(2):
    net.zero_grad()
    net(x[rank::2]).square().mean().backward()
torch.save([p.grad for p in net.parameters()], out + "ddp" + str(rank))
"""

FSDP = """
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from odemom.errors import InvalidInputError

def message(net):
    try:
        net(x)
    except InvalidInputError as error:
        return str(error)
    return "not refused"

mesh = init_device_mesh("cpu", (2,))
each = MomentumNet([fully_shard(f, mesh=mesh) for f in mlps(2).double()], 0.9)
assert "fully_shard(net)" in message(each), message(each)
older = FullyShardedDataParallel(
    MomentumNet(mlps(2).double(), 0.9), device_id=torch.device("cpu"), use_orig_params=True
)
assert "fully_shard(net)" in message(older), message(older)

inner = MomentumNet(list(functions) + list(functions[:2]), 0.9)
net = fully_shard(nn.Sequential(fully_shard(inner, mesh=mesh)), mesh=mesh)
for _ in range(2):
    net.zero_grad()
    net(x[rank::2]).square().mean().backward()
grads = [None if p.grad is None else p.grad.full_tensor() for p in net.parameters()]
torch.save(grads, out + "fsdp" + str(rank))
"""

END = """
dist.destroy_process_group()
sys.stdout.flush()
if rank == 1:
    os._exit(0)
assert os.waitpid(other, 0)[1] == 0
"""


@pytest.mark.parametrize(
    ("program", "names"),
    [
        (DDP, ["ddp0", "ddp1"]),
        # Sharding loads the compiler, too, in each of the processes.
        pytest.param(DDP + FSDP, ["fsdp0", "fsdp1"], marks=pytest.mark.slow),
    ],
    ids=["DDP", "FSDP"],
)
def test_two_processes_have_the_gradients_of_one(tmp_path, program, names):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    store, out = str(tmp_path / "store"), str(tmp_path / "grads")
    command = [sys.executable, "-c", HEAD + program + END, store, out]
    done = subprocess.run(command, env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    functions = mlps(10).double()
    functions[3][0].requires_grad_(False)
    net = MomentumNet([*functions, *functions[:2]], 0.9, reversible=False)
    x = torch.randn(32, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    net(x).square().mean().backward()
    expected = [p.grad for p in net.parameters()]
    for name in names:
        found = torch.load(out + name)
        assert [g is None for g in found] == [g is None for g in expected]
        both = [(a, b) for a, b in zip(found, expected, strict=True) if b is not None]
        assert error([a for a, _ in both], [b for _, b in both]) <= 1e-11
