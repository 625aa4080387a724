"""MKL's vector functions give the same bits in the first call of a process as in later ones."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from odemom.nn.first_calls import VECTOR_FUNCTIONS, settle_first_calls

mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="PyTorch without MKL")


class Called(TorchDispatchMode):
    """The operations inside, with what they were given."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if args and isinstance(args[0], torch.Tensor):
            x = args[0]
            self.found.add((func.overloadpacket.__name__, x.dtype, x.numel(), x.device.type))
        return func(*args, **(kwargs or {}))


@mkl
def test_one_number_of_each_precision_goes_through_each_function():
    with Called() as called, torch.device("meta"):
        settle_first_calls()
    wanted = {(f, d, 1, "cpu") for f in VECTOR_FUNCTIONS for d in (torch.float32, torch.float64)}
    assert wanted <= called.found


FIRST_CALLS = """
import os
import torch
import odemom.nn
torch.set_num_threads(2)
x = torch.rand(500, 500)
different = 0
for name in ("sqrt", "atan", "tanh", "exp", "log"):
    for _ in range(100):
        child = os.fork()
        if not child:  # threads that wait for each other start the function together
            x @ x
            f = getattr(torch, name)
            os._exit(not torch.equal(f(x), f(x)))
        different += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(different)
"""


@mkl
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_first_calls_of_five_hundred_processes():
    """Without `settle_first_calls` 1 to 4 in 100 differ on two quiet cores with AVX-512."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_CALLS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["0"]
