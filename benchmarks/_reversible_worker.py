"""One measurement of `benchmarks.reversible`, in the fresh process that it is run in.

Reads a JSON request from the command line and prints a JSON answer. Times of all methods are taken
in turn in one process, so that each ratio compares neighbours in time; memory is measured for one
method a process: peak resident memory over one step, less that before it, with gradients allocated.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import peaks
from benchmarks.resident import peak_of
from odemom.nn import Checkpointed, MomentumNet, transform
from odemom.nn.reversible import kernel_for, native, use_kernel
from odemom.nn.reversible.buffer import radices
from odemom.nn.reversible.eager import LayerConstants

Net = Callable[[Tensor], Tensor]


def linear_block(width: int, hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width, bias=False))


def conv_block(outer: int, inner: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(outer, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
        nn.Conv2d(inner, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer),
    )  # fmt: skip


def workload(name: str, depth: int) -> tuple[nn.ModuleList, Tensor, float]:
    """Functions, input and gamma: the paper's Figure 2 for the MLP."""
    torch.manual_seed(0)
    if name == "mlp":
        blocks = nn.ModuleList(linear_block(500, 500) for _ in range(depth))
        return blocks, torch.randn(500, 500), 1 - 1 / (50 * depth)
    channels = int(name.removeprefix("conv"))
    blocks = nn.ModuleList(conv_block(channels, channels) for _ in range(depth))
    return blocks, torch.randn(32, channels, 32, 32), 0.9


def resnet(method: str) -> nn.Module:
    """The model; with every block checkpointed; its momentum twin."""
    model = peaks.model_named("resnet101", 224)
    if method == "checkpoint":
        return peaks.checkpointed(model)
    return transform(model, 0.9) if method == "odemom" else model


def memcnn_net(name: str, depth: int, *, keep: bool) -> nn.Module:
    """As many weights a layer: two functions of half the width and the full hidden width."""
    memcnn = importlib.import_module("memcnn")
    torch.manual_seed(0)

    def half() -> nn.Module:
        if name == "mlp":
            return linear_block(250, 500)
        channels = int(name.removeprefix("conv"))
        return conv_block(channels // 2, channels)

    return nn.Sequential(
        *(
            memcnn.InvertibleModuleWrapper(
                memcnn.AdditiveCoupling(half(), half()), keep_input=keep, disable=keep
            )
            for _ in range(depth)
        )
    )


def build(method: str, name: str, depth: int) -> tuple[nn.Module, Tensor]:
    if name == "resnet101":
        size = 224 if depth == 101 else 64  # any other depth is a trial of the same network
        return resnet(method), torch.randn(8, 3, size, size)
    functions, x, gamma = workload(name, depth)
    if method == "plain":
        return MomentumNet(functions, gamma, reversible=False), x
    if method == "checkpoint":
        return Checkpointed(MomentumNet(functions, gamma, reversible=False)), x
    if method == "odemom":
        return MomentumNet(functions, gamma), x
    if method == "momentumnet":
        momentumnet = importlib.import_module("momentumnet")
        return momentumnet.MomentumNet(functions, gamma=gamma, use_backprop=False), x
    return memcnn_net(name, depth, keep=method == "memcnn_plain"), x


def step(net: nn.Module, x: Tensor) -> None:
    net(x.clone() if x.dim() < 4 else x).square().mean().backward()


def times(request: dict) -> dict:
    """Seconds of steps, method by method in turn."""
    build_for(request.get("march"))
    nets = {m: build(m, request["workload"], request["depth"]) for m in request["methods"]}
    found: dict[str, list[float]] = {m: [] for m in nets}
    for repeat in range(request["repeats"] + 1):
        for method, (net, x) in nets.items():
            start = time.perf_counter()
            step(net, x)
            if repeat:  # the first step allocates
                found[method].append(time.perf_counter() - start)
    return found


def memory(request: dict) -> dict:
    """Bytes of the peak over a step, beyond what is resident before it."""
    method, name = request["method"], request["workload"]
    small, x = build(method, name, 2)
    step(small, x)
    del small
    net, x = build(method, name, request["depth"])
    return peak_of(net, lambda: step(net, x))


def move_library() -> ctypes.CDLL:
    """``_move.c``, built as `native` builds ``step.c``."""
    compiler, source = native.compiler(), Path(__file__).with_name("_move.c")
    assert compiler is not None
    flags = [*native.BASE, *native.BUILDS[0]]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "move.so"
        subprocess.run([compiler, *flags, "-shared", str(source), "-o", str(made)], check=True)
        return ctypes.CDLL(str(made))


def bookkeeping(request: dict) -> dict:
    """Nanoseconds an element and layer of the integer work alone, forward and back.

    After each layer a pass that only moves the same bytes, on arrays of its own; and the float
    update of the plain network.
    """
    size, layers = request["size"], request["layers"]
    build_for(request.get("march"))
    with use_kernel(request["kernel"]):
        kernel = kernel_for("cpu")
    generator = torch.Generator().manual_seed(0)
    x, v = ((torch.randn(size, generator=generator).double() * 2**43).long() for _ in range(2))
    word, f, out = torch.zeros_like(x), torch.randn(size, generator=generator), torch.empty(size)
    radix, steps = request.get("radix", 160), []
    for _ in range(layers):
        _, before, radix = radices(Fraction(9, 10), radix)
        steps.append(LayerConstants(9, 10, before, radix, 0.1 * 2**43, 2.0**-43))
    move, others = move_library(), [t.clone() for t in (x, v, word, f, out)]
    mx, mv, mb, mf, my = (ctypes.c_void_p(t.data_ptr()) for t in others)
    count = ctypes.c_int64(size)
    times: dict[str, list[float]] = {
        "forward": [], "move_forward": [], "back": [], "move_back": [], "plain": []
    }  # fmt: skip

    def timed(name: str, *calls: Callable[[], object]) -> None:
        start = time.perf_counter()
        for call in calls:
            call()
        times[name].append((time.perf_counter() - start) / size * 1e9)

    for c in steps:
        timed("forward", lambda c=c: kernel.advance(x, v, word, f, out, c))
        timed("move_forward", lambda: move.forward(count, mx, mv, mb, mf, my))
    for c in reversed(steps):
        timed(
            "back",
            lambda c=c: kernel.expose(x, v, out, c.unit),
            lambda c=c: kernel.retreat(v, word, f, c),
        )
        timed(
            "move_back",
            lambda: move.expose(count, mx, mv, my),
            lambda: move.retreat(count, mv, mb, mf),
        )
    velocity = torch.zeros(size)
    for _ in range(layers):
        timed("plain", lambda: velocity.mul_(0.9).add_(f, alpha=0.1), lambda: out.add_(velocity))
    return times


def build_for(march: str | None) -> None:
    """Have the fused step built for a processor other than this one."""
    if march is not None:
        native.BUILDS = ((f"-march={march}", "-fopenmp"),)


class Cifar1201(nn.Module):
    """Three stages of 200 blocks of two 3 x 3 convolutions, 16, 32 and 64 channels, and a head."""

    def __init__(self, blocks: int, *, reversible: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        stages: list[nn.Module] = []
        for channels in (16, 32, 64):
            if channels > 16:
                stages.append(nn.Conv2d(channels // 2, channels, 1, stride=2, bias=False))
            row = [conv_block(channels, channels) for _ in range(blocks)]
            stages.append(MomentumNet(row, 0.9, reversible=reversible))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)).mean((2, 3)))


def cifar(request: dict) -> dict:
    """Peak and time of a step of the deep CIFAR network, after a small step of the same kind."""
    torch.manual_seed(0)
    net = Cifar1201(request["blocks"], reversible=request["reversible"])
    x = torch.randn(128, 3, 32, 32)

    def finite_step() -> None:
        loss = net(x).square().mean()
        loss.backward()
        assert math.isfinite(loss.item())

    return peak_of(net, finite_step)


KINDS = {"times": times, "memory": memory, "bookkeeping": bookkeeping, "cifar": cifar}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("request")
    request = json.loads(parser.parse_args().request)
    json.dump(KINDS[request["kind"]](request), sys.stdout)


if __name__ == "__main__":
    main()
