"""What a training step needs of memory, and what is said when it does not fit."""

from __future__ import annotations

import contextlib
import gc
import os
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from odemom.checks import counted, readable
from odemom.data.images import ImageData
from odemom.errors import NotEnoughMemoryError, OdemomError
from odemom.models.table import build_model
from odemom.nn.memory import StepMemory, memory_report
from odemom.records.machine import is_out_of_memory
from odemom.training.config import TrainingConfig

__all__ = [
    "StepEstimate",
    "available_bytes",
    "named_out_of_memory",
    "seconds_of",
    "step_estimate",
    "training_step",
]

LOOKED_AT = 4  # `memory_report` follows a batch of so many images
MANY = 100_000  # images, beyond which their number says nothing
KEPT = {"sgd": 1, "adamw": 2}  # how many numbers an optimizer keeps per parameter


@dataclass(frozen=True)
class StepEstimate:
    """The memory of a training step, and the batch that fits.

    Attributes
    ----------
    parameters : int
        Number of trainable scalars.
    memory : StepMemory
        Of the network, without the optimizer.
    optimizer : int
        Numbers that it keeps a parameter.
    batch_size : int
    available : int
        Bytes that are free where the step runs.
    """

    parameters: int
    memory: StepMemory
    optimizer: int
    batch_size: int
    available: int

    @property
    def step(self) -> int:
        """Bytes at the fullest moment of a step with ``batch_size`` images."""
        return self.memory.total(self.batch_size, optimizer=self.optimizer)

    @property
    def largest_batch(self) -> int:
        """The most images whose step fits into what is available; 0 if not even one does."""
        return self.memory.largest_batch(max(1, self.available), optimizer=self.optimizer)

    def __str__(self) -> str:
        return (
            f"a step with {counted(self.batch_size, 'image')} takes about {readable(self.step)} "
            f"({self.memory.further_sample()} per further image); {readable(self.available)} are "
            f"free, room for {self._room()}"
        )

    def _room(self) -> str:
        if self.largest_batch > MANY:
            return f"more than {counted(MANY, 'image')}"
        return f"about {counted(self.largest_batch, 'image')}"


def step_estimate(
    network: nn.Module, config: TrainingConfig, data: ImageData, device: torch.device
) -> StepEstimate:
    """The memory of a step, of any batch: see `odemom.nn.memory_report`.

    Parameters
    ----------
    network : Module
        On the device; it is left as it is.
    config : TrainingConfig
    data : ImageData
        Only its shapes matter.
    device : torch.device
    """
    shape = (LOOKED_AT, data.channels, data.image_size, data.image_size)
    with precision_of(config, device):
        # Zeros: an ODE block looks at values, and refuses those that are not finite.
        report = memory_report(network.train(), torch.zeros(shape, device=device))
    return StepEstimate(
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        memory=report.step,
        optimizer=KEPT[config.optimizer],
        batch_size=config.batch_size,
        available=available_bytes(device),
    )


def precision_of(config: TrainingConfig, device: torch.device) -> torch.autocast:
    """The context of a forward pass."""
    half = config.precision == "bf16-mixed"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=half)


def training_step(network: nn.Module, config: TrainingConfig) -> Callable[[Tensor], None]:
    """The function images -> None that trains on them once, all of the first class."""
    optimizer = _optimizer(network, config)

    def step(images: Tensor) -> None:
        labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        if config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with precision_of(config, images.device):
            loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _optimizer(network: nn.Module, config: TrainingConfig) -> Any:
    if config.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(network.parameters(), lr=0.0)


def seconds_of(step: Callable[[], object], device: torch.device) -> float:
    """Wall-clock time of a call, the work of the device included."""

    def done() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    start = done()
    step()
    return done() - start


def available_bytes(device: torch.device) -> int:
    """Free bytes of a device; on the CPU within the limits of the process and its group."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = [_of_the_machine(), _of_the_group(), _of_the_process()]
    return min(number for number in found if number is not None)


def _of_the_machine() -> int:
    with contextlib.suppress(OSError, ValueError), open("/proc/meminfo") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _of_the_group() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        numbers = []
        for name in ("memory.max", "memory.current"):
            with open(f"/sys/fs/cgroup/{name}") as file:
                numbers.append(int(file.read()))  # "max" where there is no limit
        return max(0, numbers[0] - numbers[1])
    return None


def _of_the_process() -> int | None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            with open("/proc/self/statm") as file:
                used = int(file.read().split()[0]) * resource.getpagesize()
            return max(0, limit - used)
    return None


@contextlib.contextmanager
def named_out_of_memory(config: TrainingConfig, data: ImageData) -> Iterator[None]:
    """Turn a failed allocation into a sentence with the need of a step and a batch that fits."""
    try:
        yield
        return
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).partition("\n")[0][:160]
        traceback.clear_frames(error.__traceback__)  # they hold the tensors of the step
    raise NotEnoughMemoryError(
        f"out of memory with batch_size {config.batch_size} ({said}). {_advice(config, data)}"
    )


def _advice(config: TrainingConfig, data: ImageData) -> str:
    gc.collect()
    device = torch.device("cpu")
    if config.accelerator in ("auto", "gpu") and torch.cuda.is_available():
        device = torch.device("cuda")
        torch.cuda.empty_cache()
    sizes = {"in_channels": data.channels, "image_size": data.image_size}
    try:
        network = build_model(config.model, classes=len(data.classes), **sizes, **config.options)
        found = step_estimate(network.to(device), config, data, device)
    except OdemomError:  # a network that cannot be followed
        return "Take a smaller batch_size."
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return "Not even the network fits: take a smaller one, or smaller images."
    # What fits on paper leaves no room for what an allocator cannot use, nor for a validation.
    fits = min(int(0.9 * found.largest_batch), config.batch_size // 2)
    advice = f"take batch_size {fits}" if fits else "take a smaller network, or smaller images"
    return f"Estimate: {found}. To fit, {advice}, or a momentum twin, which keeps no activations."
