"""Trainings: the rate of images beside a loop written by hand, and two figures of the paper."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gpu.log import Log
from odemom.data.batches import Batches
from odemom.data.images import ImageData, load_images
from odemom.training import TrainingConfig

__all__ = ["decode", "measure_experiments", "measure_rates"]

AUGMENT = "crop+flip"


def decode(log: Log, data: str, root: str) -> None:
    """Read the images once, so that the trainings find them decoded."""

    def call() -> dict[str, Any]:
        found = load_images(data, root=root)
        return {"images": len(found.train), "source": found.source}

    log.measure("data", data, call)


class Block(nn.Module):
    """A residual block as everybody writes it."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def resnet18(channels: int, classes: int) -> nn.Module:
    """ResNet-18 for CIFAR-10, by hand."""
    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)]
    layers.append(nn.ReLU())
    before = 64
    for n, width in enumerate((64, 128, 256, 512)):
        layers += [Block(before, width, 1 if n == 0 else 2), Block(width, width, 1)]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def measure_rates(log: Log, data: str, root: str, *, tiny: bool) -> None:
    """Images a second of odemom's training of ResNet-18 and its twin, and of a plain loop.

    On a GPU once more with the passes captured in CUDA graphs.
    """
    batch, epochs = (64, 2) if tiny else (512, 3)
    limit = 128 if tiny else None
    rates: dict[str, float] = {}

    def ours(model: str, graph: bool) -> dict[str, Any]:
        from odemom.training.run import train

        config = TrainingConfig(
            model=model, data=data, root=root, limit=limit, epochs=epochs, batch_size=batch,
            optimizer="sgd", learning_rate=0.2, weight_decay=5e-4, augment=AUGMENT, validation=0.0,
            precision="bf16-mixed", channels_last=True, deterministic=False, cuda_graph=graph,
            accelerator="gpu" if log.device.type == "cuda" else "cpu",
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            result = train(config, out_dir=folder, progress=False)
        seconds = [row["seconds"] for row in result.history]
        images = len(load_images(data, root=root, limit=limit, validation=0.0).train)
        rate = images // batch * batch / (seconds[-1] - seconds[-2])
        rates.setdefault("odemom", rate)
        return {"images_per_second": rate, "test_accuracy": result.test_accuracy}

    def plain() -> dict[str, Any]:
        images = load_images(data, root=root, limit=limit, validation=0.0)
        rates["plain"] = plain_loop(images, batch, epochs, log.device)
        found = {"images_per_second": rates["plain"]}
        if "odemom" in rates:
            found["odemom / plain"] = rates["odemom"] / rates["plain"]
        return found

    graphs = (False, True) if log.device.type == "cuda" else (False,)
    for model in ("resnet18", "momentum-resnet18"):
        for graph in graphs:
            title = f"{model} bf16 x{batch}, odemom train{' --cuda-graph' if graph else ''}"
            log.measure("rate", title, lambda m=model, g=graph: ours(m, g))
    log.measure("rate", f"resnet18 bf16 x{batch}, plain loop", plain)


def plain_loop(data: ImageData, batch: int, epochs: int, device: torch.device) -> float:
    """Images a second in the last epoch; the batches are the same as in odemom's training."""
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    net: Any = resnet18(data.channels, len(data.classes)).to(device)
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        net.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    batches = Batches(
        data.train,
        data.mean,
        data.std,
        batch,
        device,
        seed=0,
        augment="crop+flip",
        channels_last=True,
    )
    seconds = 0.0
    for _ in range(epochs):
        start = time.perf_counter()
        for images, labels in batches:
            with torch.autocast(device.type, torch.bfloat16):
                loss = F.cross_entropy(net(images), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - start
    return len(batches) * batch / seconds


def measure_experiments(log: Log, data: str, root: str, out: Path, *, tiny: bool) -> None:
    """Table 2 of the ResNet-18 family, then Figure 9, on all images, each in half of the time."""
    common = {"data": data, "root": root, "device": log.device.type}
    table2 = {
        "family": "resnet18", "seeds": 1, "epochs": 6, "batch_size": 512, "learning_rates": [0.2],
        "precision": "bf16-mixed", "channels_last": True,
    }  # fmt: skip
    fig9 = {"seeds": 3, "limit": 0, "epochs": 5, "batch_size": 512, "learning_rates": [0.01]}
    workers = {"table2": 2, "fig9": 12}
    if tiny:
        small = {"seeds": 1, "epochs": 1, "limit": 128, "batch_size": 64}
        table2 |= small | {"family": "resnet20", "precision": "32"}
        fig9 |= small | {"channels": [2], "blocks": 1}
        workers = {"table2": 1, "fig9": 1}
    shares = {"table2": 0.5, "fig9": 1.0}
    for name, settings in (("table2", table2), ("fig9", fig9)):
        limit = max(1.0, shares[name] * log.left)
        asked = common | settings
        log.measure(
            name,
            " ".join(f"{k}={v}" for k, v in settings.items()),
            lambda n=name, a=asked, t=limit: reproduce(n, a, workers[n], out, t),
            needs=30.0,
        )


def reproduce(
    name: str, settings: dict[str, Any], workers: int, out: Path, limit: float
) -> dict[str, Any]:
    """Run an experiment in a process of its own; what is finished stays in ``out`` if it is cut."""
    command = [sys.executable, "-m", "benchmarks.gpu.figure"]
    command += [name, json.dumps(settings), str(workers), str(out)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its workers, too
        process.communicate()
        parts = out / f"{name}.parts.jsonl"
        finished = len(parts.read_text().splitlines()) - 1 if parts.exists() else 0
        return {"error": f"cut off after {limit:.0f} s; {finished} tasks are in {parts}"}
    if process.returncode:
        return {"error": said[-600:]}
    return {"said": said[-3000:]}
