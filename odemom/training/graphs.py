"""Trainings whose network is captured in CUDA graphs: one launch a pass, not one an operation.

Where the device computes faster than the processor starts its kernels, as with small images or with
networks that recompute, the processor sets the pace; a graph of the whole pass takes it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from odemom.checks import invalid
from odemom.errors import DivergedError
from odemom.training.config import TrainingConfig

__all__ = ["capture_passes", "require_cuda", "stopped_replays_named"]


def require_cuda(device: torch.device) -> None:
    """Raise unless a training on ``device`` can be captured.

    Raises
    ------
    InvalidInputError
    """
    if device.type != "cuda":
        raise invalid(
            "cuda_graph",
            got=f"a training on the device {device.type!r}",
            expected="one on an NVIDIA GPU",
            fix="Train without: --no-cuda-graph.",
        )


def capture_passes(network: nn.Module, images: Tensor) -> None:
    """Have ``network`` replay graphs of its passes wherever it is called in training mode.

    The passes that PyTorch needs before it captures leave no trace: buffers, such as the statistics
    of batch norms, and random numbers are afterwards what they were.

    Parameters
    ----------
    network : Module
        In training mode, on a GPU; calls in evaluation mode go on as before.
    images : Tensor
        A batch like all that will come.
    """
    before = [(buffer, buffer.detach().clone()) for buffer in network.buffers()]
    devices = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.cuda.make_graphed_callables(network, (images.clone(),), allow_unused_input=True)
    with torch.no_grad():
        for buffer, value in before:
            buffer.copy_(value)


@contextmanager
def stopped_replays_named(config: TrainingConfig) -> Iterator[None]:
    """Turn what CUDA says of a replay that stopped itself into a sentence.

    Raises
    ------
    DivergedError
    """
    try:
        yield
    except RuntimeError as error:
        if not config.cuda_graph or "device-side assert" not in str(error):
            raise
        raise DivergedError(
            "a replay of the network's CUDA graph stopped: a reversible pass in it left the range "
            "of its numbers, most likely because the training has diverged. Take a smaller "
            f"learning_rate than {config.learning_rate:g}, or train without the graph "
            "(--no-cuda-graph), which says in which layer it happens. The last.ckpt of before is "
            "whole."
        ) from error
