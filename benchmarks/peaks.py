"""Peak memory and time of a training step: a model, its blocks checkpointed, its momentum twin.

    python -m benchmarks.peaks [--models resnet50 ...] [--batch 4] [--size 224] [--out DIR]

Each peak is that of a fresh process: resident memory over one step beyond what was resident before
it, with gradients allocated. The times are of another process, in which the three take their steps
in turn, so that a drift of the machine's speed cancels in the ratios: medians and quartiles of
these. "checkpoint" is `torch.utils.checkpoint` around every residual block of the model itself.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import processor, seconds
from benchmarks.resident import ask, peak_of

ROUNDS = 9
LEAST_SECONDS = 120
"""Of the rounds together: steps of one second take more rounds, for they vary by a tenth."""

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


def peak(method: str, name: str, batch: int, size: int) -> float:
    """Bytes of a step in this process."""
    small = built(method, "resnet18" if name.startswith("resnet") else "vit_b_16", 32)
    step(small, torch.randn(2, 3, 32, 32))  # libraries allocate once
    del small
    model, x = built(method, name, size), torch.randn(batch, 3, size, size)
    return peak_of(model, lambda: step(model, x))["peak"]


def times(name: str, batch: int, size: int) -> dict[str, dict[str, Any]]:
    """Seconds of steps in turn, and their ratios in each round."""
    models, x = {m: built(m, name, size) for m in METHODS}, torch.randn(batch, 3, size, size)
    for model in models.values():
        step(model, x)
    rounds: list[dict[str, float]] = []
    start = time.perf_counter()
    while len(rounds) < ROUNDS or time.perf_counter() - start < LEAST_SECONDS:
        rounds.append({m: seconds(lambda n=model: step(n, x)) for m, model in models.items()})
    found: dict[str, dict[str, Any]] = {
        m: {"seconds": median(r[m] for r in rounds), "rounds": len(rounds)} for m in METHODS
    }
    for method, peer in (("checkpoint", "plain"), ("twin", "plain"), ("twin", "checkpoint")):
        low, middle, high = quantiles((r[method] / r[peer] for r in rounds), n=4)
        found[method][f"seconds / {peer}"] = {"median": middle, "low": low, "high": high}
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Peak memory and time of a step")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--batch", default=4, type=int)
    parser.add_argument("--size", default=224, type=int)
    parser.add_argument("--out", default="results/bench", type=Path)
    parser.add_argument("--peak", nargs=2, metavar=("METHOD", "MODEL"), help=argparse.SUPPRESS)
    parser.add_argument("--times", metavar="MODEL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        method, name = options.peak
        print(json.dumps(peak(method, name, options.batch, options.size)))
        return
    if options.times:
        print(json.dumps(times(options.times, options.batch, options.size)))
        return
    where = f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    print(f"{where}; batch {options.batch}, {options.size} x {options.size}, float32")
    print(f"{'model':12}{'plain MiB':>10}{'checkpoint':>12}{'twin':>7}{'time / checkpoint':>24}")
    result: dict[str, object] = {"machine": where, "batch": options.batch, "size": options.size}
    sizes = ("--batch", str(options.batch), "--size", str(options.size))
    for name in options.models:
        found = ask("benchmarks.peaks", "--times", name, *sizes, gives_back=False)
        for m in METHODS:
            found[m]["peak"] = ask("benchmarks.peaks", "--peak", m, name, *sizes)
        plain, ratio = found["plain"]["peak"], found["twin"]["seconds / checkpoint"]
        print(
            f"{name:12}{plain / 2**20:10.0f}{found['checkpoint']['peak'] / plain:12.3f}"
            f"{found['twin']['peak'] / plain:7.3f}"
            f"{ratio['median']:10.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})",
            flush=True,
        )
        result[name] = found
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "peaks.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
