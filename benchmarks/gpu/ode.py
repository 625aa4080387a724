"""The reversible gradient of ODE blocks: time and memory beside checkpoints and plain autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.gpu.log import Log, Timer, peak_of
from benchmarks.ode import network, segments
from odemom.nn import ODEBlock
from odemom.nn.ode.schemes import TABLEAUX, Coupled, default_damping

__all__ = ["measure_ode"]


def measure_ode(log: Log, *, tiny: bool) -> None:
    """Rows by method, steps and way."""
    width, batch = (64, 32) if tiny else (512, 4096)
    for method in ("rk4", "midpoint"):
        for steps in (4,) if tiny else (36, 100):
            base: dict[str, Any] = {}
            for way in ("backprop", "checkpointing", "reversible"):

                def call(method=method, steps=steps, way=way, base=base) -> dict[str, Any]:
                    found = one(method, steps, way, width, batch, log.device, tiny)
                    if way == "checkpointing":
                        base.update(found)
                    elif way == "reversible" and base:
                        found["ms / checkpointing"] = found["ms"] / base["ms"]
                        if base["peak_mb"]:
                            found["peak / checkpointing"] = found["peak_mb"] / base["peak_mb"]
                    return found

                log.measure("ode", f"{method}, {steps} steps, {way}", call)


def one(
    method: str, steps: int, way: str, width: int, batch: int, device: torch.device, tiny: bool
) -> dict[str, Any]:
    """Milliseconds and peak of a step of a field of one hidden layer."""
    field = network(width, 2 * width, torch.float32).to(device)
    x = torch.randn(batch, width, device=device)
    step: Callable[[], None]
    if way == "checkpointing":
        scheme = Coupled(0.0, 1.0, steps, TABLEAUX[method], default_damping(1 / steps, 1.0, None))

        def step() -> None:
            segments(field, scheme, x).sum().backward()
    else:
        options = {"step_size": 1 / steps}
        kind: Any = way
        block = ODEBlock(field, 1, method=f"reversible_{method}", options=options, gradient=kind)

        def step() -> None:
            block(x).sum().backward()

    step()
    peak = peak_of(step, device)
    return {"ms": Timer(device)(step, repeats=1 if tiny else 5), "peak_mb": peak}
