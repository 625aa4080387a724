"""Time and peak memory of training steps: plain, every block checkpointed, and momentum twins.

Each is measured as PyTorch runs it, where the processor starts every kernel, and as the replay of a
CUDA graph of the step, where it starts one.
"""

from __future__ import annotations

import itertools
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
GRAPH = " graph"


def measure_steps(
    log: Log, cases: list[tuple[str, bool, int]], *, half: bool, tiny: bool, needs: float
) -> None:
    """A row per case and method, as long as ``needs`` seconds are left for what comes after."""
    kind = "bf16" if half else "fp32"
    for name, small, batch in cases:
        form = "cifar" if small else "224"
        ways = ("", GRAPH) if log.device.type == "cuda" else ("",)
        plain: dict[str, dict[str, Any]] = {way: {} for way in ways}
        for method, way in itertools.product(METHODS, ways):

            def call(
                name=name, small=small, batch=batch, method=method, way=way, plain=plain[way]
            ) -> Any:
                size = 2 if tiny else batch
                found = step(name, small, size, method, half, log.device, tiny, graph=way == GRAPH)
                if method == "plain":
                    plain.update(found)
                for key in ("ms", "peak_mb"):
                    if plain.get(key) and found[key]:
                        found[f"{key} / plain"] = found[key] / plain[key]
                return found

            title = f"{name} {form} x{batch} {kind} {method}{way}"
            log.measure("step", title, call, needs=needs)


def step(
    name: str, small: bool, batch: int, method: str, half: bool, device: torch.device, tiny: bool,
    *, graph: bool,
) -> dict[str, Any]:  # fmt: skip
    """Milliseconds and peak of a step."""
    torch.manual_seed(0)
    size = 32 if small else 64 if tiny else 224
    with device:  # where weights are drawn faster
        model = build_model(name) if small else model_named(name, size)
    if method == "checkpoint":
        model = checkpointed(model, random=not graph)
    elif method.startswith("twin"):
        model = transform(model, 0.9, reversible="auto" if method == "twin auto" else True)
    model = model.to(device)
    images = torch.randn(batch, 3, size, size, device=device)
    if half:
        model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=device) % 10
    one = _step(model, images, labels, half)
    if graph:
        replay = torch.cuda.CUDAGraph()
        _warm_up(one)
        peak = peak_of(lambda: _capture(replay, one), device)
        one = replay.replay
    else:
        one()  # gradients and workspaces are allocated
        peak = peak_of(one, device)
    ms = Timer(device)(one, repeats=1 if tiny else 8, seconds=1.0)
    return {"ms": ms, "peak_mb": peak, "images_per_second": 1e3 * batch / ms}


def _warm_up(one: Callable[[], None]) -> None:
    """Steps on a stream beside the current one, as PyTorch asks for before a capture."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            one()
    torch.cuda.current_stream().wait_stream(side)


def _capture(graph: torch.cuda.CUDAGraph, one: Callable[[], None]) -> None:
    with torch.cuda.graph(graph):
        one()


def _step(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, half: bool
) -> Callable[[], None]:
    kind = images.device.type

    def one() -> None:
        with torch.autocast(kind, torch.bfloat16, enabled=half):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()

    return one
