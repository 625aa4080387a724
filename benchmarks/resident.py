"""The peak of resident memory over a step, in a fresh process that gives freed tensors back."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from odemom.experiments._measuring import ResidentGauge, returning_memory

__all__ = ["ask", "peak_of"]


def ask(module: str, *request: str, gives_back: bool = True) -> Any:
    """What ``python -m module request`` prints last, as JSON.

    ``gives_back``: malloc is set such that the memory of a freed tensor goes back to the system at
    once, which takes time.
    """
    env = returning_memory(os.environ) if gives_back else dict(os.environ)
    command = [sys.executable, "-m", module, *request]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} {request} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_of(net: nn.Module, step: Callable[[], object]) -> dict[str, float]:
    """Bytes of the peak over ``step()``, beyond what is resident before it, and its seconds.

    Gradients of the network's parameters are allocated before.
    """
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    gc.collect()
    gauge = ResidentGauge()
    if gauge.name != "VmHWM":
        raise RuntimeError("the system does not let a process count its peak again: use Linux")
    start = time.perf_counter()
    step()
    seconds = time.perf_counter() - start
    return {"peak": gauge.peak(), "seconds": seconds}
