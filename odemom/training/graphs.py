"""Trainings whose network is captured in CUDA graphs: one launch a pass, not one an operation.

Where the device computes faster than the processor starts its kernels, as with small images or with
networks that recompute, the processor sets the pace; a graph of the whole pass takes it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from odemom.checks import invalid, shown
from odemom.errors import DivergedError
from odemom.training.checkpoint_files import CheckpointFiles
from odemom.training.config import TrainingConfig

__all__ = ["capture_passes", "require_cuda", "stopped_replays_named"]


def require_cuda(config: TrainingConfig) -> None:
    """Raise if a training is to be captured and this machine has no GPU for it.

    Raises
    ------
    InvalidInputError
    """
    if config.cuda_graph and not torch.cuda.is_available():
        raise invalid(
            "cuda_graph",
            got="True on a machine where PyTorch finds no NVIDIA GPU",
            expected="one with a GPU",
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
    images : Tensor, shape (batch, channels, height, width)
        A batch of the shape and dtype of all that will come.

    Raises
    ------
    InvalidInputError
        If something in the network reads numbers of the device, which no graph can.
    """
    before = [(buffer, buffer.detach().clone()) for buffer in network.buffers()]
    devices = [images.device] if images.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            torch.cuda.make_graphed_callables(network, (images.clone(),), allow_unused_input=True)
    except RuntimeError as error:
        if "captur" not in str(error):
            raise
        raise invalid(
            "cuda_graph",
            got=f"a network that cannot be captured ({shown(str(error), 160)})",
            expected="one whose passes read no number of the device",
            fix="Train without: --no-cuda-graph.",
        ) from error
    with torch.no_grad():
        for buffer, value in before:
            buffer.copy_(value)


@contextmanager
def stopped_replays_named(config: TrainingConfig, files: CheckpointFiles) -> Iterator[None]:
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
        go_on = f" and --resume {files.last}, which is whole" if files.last else ""
        raise DivergedError(
            "the device stopped a step whose passes are replayed as CUDA graphs. Train without "
            f"them, --no-cuda-graph{go_on}: that says what it is and where. Most often it is a "
            f"training that diverges, which a smaller learning_rate than {config.learning_rate:g} "
            "cures; else, in a network that recomputes, a function that has other bits the second "
            "time."
        ) from error
