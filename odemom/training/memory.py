"""What a training step needs of memory: measured on small batches, extended to large ones."""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from odemom.data.images import ImageData
from odemom.errors import NotEnoughMemoryError
from odemom.training.config import TrainingConfig

__all__ = ["StepEstimate", "available_bytes", "named_out_of_memory", "peak_bytes", "step_estimate"]

SMALL, LARGER = 4, 8  # batches that are measured
ALLOCATION = ("can't allocate memory", "not enough memory", "CUDA out of memory")


@dataclass(frozen=True)
class StepEstimate:
    """The memory of a training step, and the batch that fits.

    Attributes
    ----------
    parameters : int
        Number of trainable scalars.
    fixed : int
        Bytes that do not depend on the batch: weights, gradients, the optimizer's state.
    per_image : float
        Bytes that every further image of a batch takes at the peak.
    batch_size : int
    available : int
        Bytes that are free where the step runs.
    """

    parameters: int
    fixed: int
    per_image: float
    batch_size: int
    available: int

    @property
    def step(self) -> int:
        """Bytes at the peak of a step with ``batch_size`` images."""
        return round(self.fixed + self.per_image * self.batch_size)

    @property
    def largest_batch(self) -> int:
        """The most images whose step fits into what is available; 0 if not even one does."""
        return max(0, int((self.available - self.fixed) // max(self.per_image, 1.0)))

    def __str__(self) -> str:
        return (
            f"a step with {self.batch_size} images takes about {_sized(self.step)} "
            f"({_sized(self.fixed)} and {_sized(self.per_image)} per image); "
            f"{_sized(self.available)} are free, room for about {self.largest_batch} images"
        )


def step_estimate(
    network: nn.Module, config: TrainingConfig, data: ImageData, device: torch.device
) -> StepEstimate:
    """Measure steps with a few images, and extend the line through them.

    Parameters
    ----------
    network : Module
        On the device; its weights are stepped.
    config : TrainingConfig
    data : ImageData
        Only its shapes matter.
    device : torch.device
    """
    shape = (data.channels, data.image_size, data.image_size)
    step = training_step(network, config)
    step(torch.zeros(SMALL, *shape, device=device))  # what is built at first use
    peaks = [
        peak_bytes(lambda size=size: step(torch.zeros(size, *shape, device=device)), device)
        for size in (SMALL, LARGER)
    ]
    per_image = max(0.0, (peaks[1] - peaks[0]) / (LARGER - SMALL))
    trainable = [p for p in network.parameters() if p.requires_grad]
    # Weights and the state of the optimizer stay; the peaks hold gradients and what comes anew.
    states = 2 if config.optimizer == "adamw" else 1
    kept = sum(t.nbytes for t in (*network.parameters(), *network.buffers()))
    kept += states * sum(p.nbytes for p in trainable)
    return StepEstimate(
        parameters=sum(p.numel() for p in trainable),
        fixed=round(max(0.0, peaks[0] - per_image * SMALL)) + kept,
        per_image=per_image,
        batch_size=config.batch_size,
        available=available_bytes(device),
    )


def training_step(network: nn.Module, config: TrainingConfig) -> Callable[[Tensor], None]:
    """The function images -> None that trains on them once, all of the first class."""
    optimizer = _optimizer(network, config)

    def step(images: Tensor) -> None:
        labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        if config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        half = config.precision == "bf16-mixed"
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=half):
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


def peak_bytes(step: Callable[[], object], device: torch.device) -> int:
    """The most bytes that tensors made during ``step`` hold together at one time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with _Living() as living:
        step()
    return living.peak


class _Living(TorchDispatchMode):
    """Counts the bytes of all tensors that come into being while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {t.untyped_storage()._cdata for t in _tensors((args, kwargs))}
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in before and key not in self._known:
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                forget = weakref.finalize(storage, self._forget, key, storage.nbytes())
                self._known[key] = forget
        return out

    def _forget(self, key: int, size: int) -> None:
        self.now -= size
        self._known.pop(key, None)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor))


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
        if not _is_of_memory(error):
            raise
        said = str(error).partition("\n")[0][:160]
    # After the handler, so that the traceback does not hold the tensors of the step.
    raise NotEnoughMemoryError(
        f"out of memory with batch_size {config.batch_size} ({said}). {_advice(config, data)}"
    )


def _is_of_memory(error: BaseException) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(words in str(error) for words in ALLOCATION)


def _advice(config: TrainingConfig, data: ImageData) -> str:
    from odemom.training.run import network_for

    device = torch.device("cpu")
    if config.accelerator in ("auto", "gpu") and torch.cuda.is_available():
        device = torch.device("cuda")
        torch.cuda.empty_cache()
    try:
        found = step_estimate(network_for(config, data).to(device), config, data, device)
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        return f"Not even a step with {LARGER} images fits: take a smaller network or images."
    fits = found.largest_batch
    # What fits on paper leaves no room for what an allocator cannot use.
    advice = f"take batch_size {max(1, int(0.9 * fits))}" if fits else "take a smaller network"
    return f"Estimate: {found}. To fit, {advice}, or a momentum twin, which keeps no activations."


def _sized(number: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} B"
