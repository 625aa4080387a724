"""Trainings in a process whose memory is limited: the measurements of Figure 8.

Images, network and optimizer are there before the limit is set: on the processor that of the
process's data (``RLIMIT_DATA``), on a GPU that of PyTorch's allocator. A child for each batch, from
the largest down, tries one step; the first that fits is trained with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from odemom.checks import optional_import
from odemom.experiments._measuring import answer_of, in_a_child
from odemom.records import from_json

__all__ = ["Capped", "CappedOnes", "Learning"]

TESTED = 2_000
"""Test images, at most, evenly from all, that are looked at after each epoch."""

RATED = 128
"""Images of a step at the learning rate of the request; other batches have theirs in proportion."""


@dataclass(frozen=True)
class Capped:
    """A training under a limit.

    Attributes
    ----------
    model : str
        One of `odemom.models.MODELS`.
    options : tuple of (str, object)
    data, root, device, augment : str
    limit, seed, epochs : int
    rate, weight_decay : float
        Of SGD with Nesterov's momentum under a one-cycle schedule.
    megabytes : int
        What a step may take beyond images, weights, gradients and the optimizer's state, in 10^6
        bytes.
    batches : tuple of int
        Images of a step to try, rising.
    """

    model: str
    options: tuple[tuple[str, Any], ...]
    data: str
    root: str
    device: str
    augment: str
    limit: int
    seed: int
    epochs: int
    rate: float
    weight_decay: float
    megabytes: int
    batches: tuple[int, ...]


@dataclass(frozen=True)
class Learning:
    """What came of it.

    Attributes
    ----------
    source : str
    batch : int
        The largest that fits.
    seconds : tuple of float
        Of training, after each epoch.
    accuracies : tuple of float
        On test images (at most `TESTED`), after each epoch.
    """

    source: str
    batch: int
    seconds: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class CappedOnes:
    """Trainings under a limit, one after the other, on one device."""

    requests: tuple[Capped, ...]

    @property
    def device(self) -> str:
        """That of all requests."""
        return self.requests[0].device

    def train(self) -> tuple[Learning, ...]:
        """Train each in a process of its own.

        Raises
        ------
        InvalidInputError
            If the device cannot be used.
        OdemomError
            If a process failed, as where no batch fits; the message has its last lines.
        """
        return from_json(tuple[Learning, ...], answer_of(__name__, self))


def prepare(request: Any) -> None:
    """Load what is slow to load, once for all requests."""
    import odemom.data.batches
    import odemom.models.resnet  # noqa: F401

    if any(capped.data == "digits" for capped in from_json(CappedOnes, request).requests):
        optional_import("sklearn.model_selection", "train")


def answer(request: Any) -> list[Any]:
    """Train under each limit, one after the other."""
    return [_answer(capped) for capped in from_json(CappedOnes, request).requests]


def _answer(request: Capped) -> Any:
    for batch in reversed(request.batches):
        learnt = in_a_child(lambda batch=batch: _trained_if_it_fits(request, batch))
        if learnt is not None:
            return learnt
    raise SystemExit(f"not even {request.batches[0]} images fit into {request.megabytes} MB")


class _Run:
    """A network with its optimizer and its images."""

    def __init__(self, request: Capped, batch: int) -> None:
        import torch

        from odemom.data.batches import Batches
        from odemom.data.images import load_images
        from odemom.models import build_model

        torch.manual_seed(request.seed)
        data = load_images(
            request.data, root=request.root or None, seed=request.seed, limit=request.limit or None
        )
        sizes = {"in_channels": data.channels, "image_size": data.image_size}
        model: Any = build_model(
            request.model, classes=len(data.classes), **sizes, **dict(request.options)
        )
        device, each = torch.device(request.device), (data.mean, data.std)
        self.device, self.source, self.model = device, data.source, model.to(device)
        self.train = Batches(
            data.train, *each, batch, device, seed=request.seed, augment=request.augment
        )
        some = np.linspace(0, len(data.test) - 1, min(len(data.test), TESTED)).round()
        self.test = Batches(data.test.subset(some), *each, batch, device)
        rate = request.rate * batch / RATED
        rates: dict[str, Any] = {"lr": rate, "weight_decay": request.weight_decay}
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), momentum=0.9, nesterov=True, **rates
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, rate, total_steps=request.epochs * len(self.train), cycle_momentum=False
        )
        shape = 2, data.channels, data.image_size, data.image_size
        self.step(torch.zeros(shape, device=device), torch.zeros(2, device=device).long())
        _limit(request.megabytes * 10**6, device)

    def step(self, images: Any, labels: Any) -> None:
        """One step; its gradients stay where they are."""
        from torch.nn import functional as F

        F.cross_entropy(self.model(images), labels).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)

    def accuracy(self) -> float:
        """On the test images."""
        import torch

        self.model.eval()
        with torch.no_grad():
            right = sum(int((self.model(x).argmax(1) == y).sum()) for x, y in self.test)
        self.model.train()
        return right / len(self.test.labels)


def _trained_if_it_fits(request: Capped, batch: int) -> Learning | None:
    """A training with that many images a step; None where one of its steps breaks the limit.

    Nearly always it is the first one that does, but the allocator may come to it later.
    """
    import torch

    run = _Run(request, batch)
    if not len(run.train):
        return None  # more than there are
    try:
        return _trained(run, request, batch)
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "memory" in str(error):
            return None
        raise


def _trained(run: _Run, request: Capped, batch: int) -> Learning:
    import torch

    seconds, accuracies = [0.0], []
    for epoch in range(request.epochs):
        if run.train.order is not None:
            run.train.order.set_epoch(epoch)
        start = time.perf_counter()
        for images, labels in run.train:
            run.step(images, labels)
            run.schedule.step()
        if run.device.type == "cuda":
            torch.cuda.synchronize(run.device)
        seconds.append(seconds[-1] + time.perf_counter() - start)
        accuracies.append(run.accuracy())
    times = tuple(round(s, 2) for s in seconds[1:])
    return Learning(run.source, batch, times, tuple(round(a, 5) for a in accuracies))


def _limit(more: int, device: Any) -> None:
    """Let this process take ``more`` bytes than it has now."""
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(device).total_memory
        share = (torch.cuda.memory_reserved(device) + more) / total
        torch.cuda.set_per_process_memory_fraction(min(share, 1.0), device)
        return
    import resource

    with open("/proc/self/status") as lines:
        now = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (now + more, hard))
