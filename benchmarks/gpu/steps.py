"""Time and peak memory of training steps: plain, every block checkpointed, and momentum twins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.gpu.log import Log, Timer, peak_of
from benchmarks.peaks import checkpointed, model_named
from odemom.models import build_model
from odemom.nn import transform

__all__ = ["BF16", "FLOAT32", "measure_steps"]

# Name, in CIFAR form or not, images of a step.
BF16 = [
    ("resnet18", True, 512),
    ("resnet101", True, 256),
    ("resnet101", False, 64),
    ("vit_b_16", False, 64),
    ("resnet50", False, 64),
    ("resnet152", False, 64),
]
FLOAT32 = [("resnet101", True, 256), ("resnet18", True, 512), ("resnet101", False, 64)]
METHODS = ("plain", "checkpoint", "twin auto", "twin exact")


def measure_steps(
    log: Log, cases: list[tuple[str, bool, int]], *, half: bool, tiny: bool, needs: float
) -> None:
    """A row per case and method, as long as ``needs`` seconds are left for what comes after."""
    kind = "bf16" if half else "fp32"
    for name, small, batch in cases:
        form = "cifar" if small else "224"
        plain: dict[str, Any] = {}
        for method in METHODS:

            def call(name=name, small=small, batch=batch, method=method, plain=plain) -> Any:
                found = step(name, small, 2 if tiny else batch, method, half, log.device, tiny)
                if method == "plain":
                    plain.update(found)
                for key in ("ms", "peak_mb"):
                    if plain.get(key) and found[key]:
                        found[f"{key} / plain"] = found[key] / plain[key]
                return found

            log.measure("step", f"{name} {form} x{batch} {kind} {method}", call, needs=needs)


def step(
    name: str, small: bool, batch: int, method: str, half: bool, device: torch.device, tiny: bool
) -> dict[str, Any]:
    """Milliseconds and peak of a step."""
    torch.manual_seed(0)
    size = 32 if small else 64 if tiny else 224
    model = build_model(name) if small else model_named(name, size)
    if method == "checkpoint":
        model = checkpointed(model)
    elif method.startswith("twin"):
        model = transform(model, 0.9, reversible="auto" if method == "twin auto" else True)
    model = model.to(device)
    images = torch.randn(batch, 3, size, size, device=device)
    if half:
        model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=device) % 10
    one = _step(model, images, labels, half)
    one()  # gradients and workspaces are allocated
    peak = peak_of(one, device)
    ms = Timer(device)(one, repeats=1 if tiny else 8, seconds=1.0)
    return {"ms": ms, "peak_mb": peak, "images_per_second": 1e3 * batch / ms}


def _step(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, half: bool
) -> Callable[[], None]:
    kind = images.device.type

    def one() -> None:
        with torch.autocast(kind, torch.bfloat16, enabled=half):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()

    return one
