"""The memory and the time of training steps of image networks, each in a fresh process."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

from odemom.experiments._measuring import Gauge, answer_of, gauge_of, in_a_child
from odemom.records import from_json

__all__ = ["Step", "StepRequest", "Steps"]


@dataclass(frozen=True)
class StepRequest:
    """A training step to measure.

    Attributes
    ----------
    model : str
        One of `odemom.models.MODELS`.
    options : tuple of (str, object)
    in_channels, classes, image_size, batch : int
    device, precision : str
    repeats : int
        Steps that are timed, after the first one; at least 1.
    """

    model: str
    options: tuple[tuple[str, Any], ...]
    in_channels: int
    classes: int
    image_size: int
    batch: int
    device: str
    precision: str = "32"
    repeats: int = 1


@dataclass(frozen=True)
class Step:
    """What was measured.

    Attributes
    ----------
    peak : int
        Bytes at the highest point of a step beyond those before it; weights and gradients are
        there before.
    seconds : float
        Of a step, the median of the repeats.
    gauge : str
        What was read: see `odemom.experiments._memory_step.Measured`.
    """

    peak: int
    seconds: float
    gauge: Gauge


@dataclass(frozen=True)
class Steps:
    """Steps to measure, one after the other, on one device.

    Attributes
    ----------
    requests : tuple of StepRequest
    folder, root : str
        A folder of images whose channels, classes and size are those of every request, and where
        it is decoded to; empty where the requests say them.
    """

    requests: tuple[StepRequest, ...]
    folder: str = ""
    root: str = ""

    @property
    def device(self) -> str:
        """That of all requests."""
        return self.requests[0].device

    def measure(self) -> tuple[Step, ...]:
        """Measure every step in a process of its own.

        Raises
        ------
        InvalidInputError
            If the device cannot be used.
        OdemomError
            If a measurement failed, as for want of memory; the message has its last lines.
        """
        return from_json(tuple[Step, ...], answer_of(__name__, self._in_full()))

    def _in_full(self) -> Steps:
        if not self.folder:
            return self
        from odemom.data.images import load_images

        data = load_images(self.folder, root=self.root or None)
        shape = {"in_channels": data.channels, "image_size": data.image_size}
        classes = len(data.classes)
        return Steps(tuple(replace(r, classes=classes, **shape) for r in self.requests))


def prepare(request: Any) -> None:
    """Load what is slow to load, once for all requests."""
    import odemom.models.revnet  # noqa: F401

    del request


def answer(request: Any) -> list[Any]:
    """Measure the steps, each in a process of its own."""
    asked = from_json(Steps, request)
    return [in_a_child(lambda step=step: _measured(step)) for step in asked.requests]


def _measured(request: StepRequest) -> Step:
    import torch

    torch.manual_seed(0)
    _small_step(request)
    step, parameters = _built(request, request.batch)
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    gc.collect()
    gauge = gauge_of(request.device)
    step()
    peak, times = gauge.peak(), []
    for _ in range(request.repeats):
        start = time.perf_counter()
        step()
        _wait(request.device)
        times.append(time.perf_counter() - start)
    return Step(peak, statistics.median(times), gauge.name)


def _small_step(request: StepRequest) -> None:
    """A step of a small network, in which libraries take their workspaces."""
    small = "momentum-resnet20" if "momentum" in request.model else "resnet20"
    size = request.in_channels, request.classes, request.image_size
    fields = small, (), *size, 2, request.device, request.precision
    _built(StepRequest(*fields), 2)[0]()


def _built(request: StepRequest, batch: int) -> tuple[Any, Any]:
    """A step without arguments, and the parameters."""
    import torch
    from torch.nn import functional as F

    from odemom.models import build_model

    sizes = {name: getattr(request, name) for name in ("in_channels", "classes", "image_size")}
    model: Any = build_model(request.model, **sizes, **dict(request.options)).to(request.device)
    shape = batch, request.in_channels, request.image_size, request.image_size
    images = torch.randn(shape, device=request.device)
    labels = torch.arange(batch, device=request.device) % request.classes
    half = request.precision == "bf16-mixed"

    def step() -> None:
        with torch.autocast(torch.device(request.device).type, torch.bfloat16, enabled=half):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()

    return step, list(model.parameters())


def _wait(device: str) -> None:
    import torch

    if device != "cpu":
        torch.cuda.synchronize(device)
