"""Peak memory and time of a training step: a model, its blocks checkpointed, its momentum twin.

    python -m benchmarks.peaks [--models resnet50 ...] [--batch 4] [--size 224] [--out DIR]

Each measurement is a fresh process: peak resident memory over one step beyond what was resident
before it, with gradients allocated; then the median seconds of three more steps. "checkpoint" is
`torch.utils.checkpoint` around every residual block of the model itself.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import seconds
from benchmarks.resident import ask, peak_of

STEPS = 3
METHODS = ("plain", "checkpoint", "twin")
MODELS = ("resnet50", "resnet101", "resnet152", "vit_b_16", "vit_48")


def model_named(name: str, size: int) -> nn.Module:
    """A model of torchvision; ``vit_48`` is ViT-B/16 with 48 blocks."""
    import torchvision

    torch.manual_seed(0)
    if name == "vit_48":
        return torchvision.models.VisionTransformer(size, 16, 48, 12, 768, 3072)
    if name == "vit_b_16":
        return torchvision.models.vit_b_16(image_size=size)
    return getattr(torchvision.models, name)()


def checkpointed(model: nn.Module, *, random: bool = True) -> nn.Module:
    """The model with every block that `odemom.nn.transform` knows under a checkpoint.

    ``random``: whether random numbers are put back, which a CUDA graph forbids.
    """
    from torch.utils.checkpoint import checkpoint

    from odemom.nn.transform.find import blocks_found

    def around(forward: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: checkpoint(
            forward, *args, use_reentrant=False, preserve_rng_state=random
        )

    for spot in blocks_found(model):
        block = model.get_submodule(spot.name)
        block.forward = around(block.forward)
    return model


def built(method: str, name: str, size: int) -> nn.Module:
    """The model of one measurement."""
    from odemom.nn import transform

    model = model_named(name, size)
    if method == "checkpoint":
        return checkpointed(model)
    return transform(model, 0.9) if method == "twin" else model


def step(model: nn.Module, x: Tensor) -> None:
    """A forward and a backward pass."""
    model(x).square().mean().backward()


def measured(method: str, name: str, batch: int, size: int) -> dict[str, float]:
    """Bytes of a step and seconds of further ones, in this process."""
    small = built(method, "resnet18" if name.startswith("resnet") else "vit_b_16", 32)
    step(small, torch.randn(2, 3, 32, 32))  # libraries allocate once
    del small
    model, x = built(method, name, size), torch.randn(batch, 3, size, size)
    peak = peak_of(model, lambda: step(model, x))["peak"]
    times = [seconds(lambda: step(model, x)) for _ in range(STEPS)]
    return {"peak": peak, "seconds": median(times)}


def processor() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Peak memory and time of a step")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--batch", default=4, type=int)
    parser.add_argument("--size", default=224, type=int)
    parser.add_argument("--out", default="results/bench", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        method, name = options.one
        print(json.dumps(measured(method, name, options.batch, options.size)))
        return
    where = f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    print(f"{where}; batch {options.batch}, {options.size} x {options.size}, float32")
    print(f"{'model':12}{'plain MiB':>10}{'checkpoint':>12}{'twin':>7}{'time':>20}")
    result: dict[str, object] = {"machine": where, "batch": options.batch, "size": options.size}
    sizes = ("--batch", str(options.batch), "--size", str(options.size))
    for name in options.models:
        found = {m: ask("benchmarks.peaks", "--one", m, name, *sizes) for m in METHODS}
        plain, time_of = found["plain"]["peak"], {m: f["seconds"] for m, f in found.items()}
        print(
            f"{name:12}{plain / 2**20:10.0f}{found['checkpoint']['peak'] / plain:12.3f}"
            f"{found['twin']['peak'] / plain:7.3f}"
            f"{time_of['twin'] / time_of['checkpoint']:8.2f} of checkpoint"
        )
        result[name] = found
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "peaks.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
