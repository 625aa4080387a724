"""A training before it is started: its size, its memory, one step, and when it would end."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass

import torch

from odemom.errors import OdemomWarning
from odemom.training.conditions import conditions_of
from odemom.training.config import TrainingConfig
from odemom.training.memory import (
    StepEstimate,
    seconds_of,
    step_estimate,
    training_step,
)
from odemom.training.run import network_for, training_data

__all__ = ["DryRun", "dry_run"]

NOT_HERE = (
    "accelerator: {!r} is not measured here: memory and time are those of the processor of this "
    "machine, on which --accelerator cpu trains."
)


@dataclass(frozen=True)
class DryRun:
    """What a training would take.

    Attributes
    ----------
    source : str
        What the images are.
    images, validated, tested : int
        Of the training set, the validation set and the test set.
    left : int
        Training images of a pass that make no batch and are left out.
    device : str
    memory : StepEstimate
        Of a step.
    step_seconds : float
        One step, measured after one to warm up.
    steps : int
        Of the whole training.
    """

    source: str
    images: int
    validated: int
    tested: int
    left: int
    device: str
    memory: StepEstimate
    step_seconds: float
    steps: int

    @property
    def seconds(self) -> float:
        """Of all steps, without validation and test."""
        return self.steps * self.step_seconds


def dry_run(config: TrainingConfig) -> DryRun:
    """Build the network of a training, measure its memory, and time one step.

    What wants a GPU that is not here is measured on the processor, without a compiler.

    Parameters
    ----------
    config : TrainingConfig

    Raises
    ------
    InvalidInputError
        What `odemom.training.train` refuses of a configuration.

    Warns
    -----
    OdemomWarning
        If the training is for another machine.

    Examples
    --------
    >>> run = dry_run(TrainingConfig(order=1, width=8, method="euler", accelerator="cpu"))
    >>> run.memory.parameters, run.steps, run.memory.largest_batch > 64
    (7322, 300, True)
    """
    data = training_data(config)
    on_gpu = config.accelerator in ("auto", "gpu") and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    elsewhere = config.accelerator in ("gpu", "mps") and not on_gpu
    if elsewhere:
        warnings.warn(NOT_HERE.format(config.accelerator), OdemomWarning, stacklevel=2)
        config = dataclasses.replace(config, compile=False)
    with conditions_of(config, data):
        network = network_for(config, data).to(device)
        memory = step_estimate(network, config, data, device)
        if config.compile:
            network.compile(dynamic=False)
        step = training_step(network, config)
        shape = (config.batch_size, data.channels, data.image_size, data.image_size)
        step(torch.zeros(shape, device=device))
        seconds = seconds_of(lambda: step(torch.zeros(shape, device=device)), device)
    per_epoch = len(data.train) // (config.batch_size * config.devices * config.num_nodes)
    return DryRun(
        source=data.source,
        images=len(data.train),
        validated=len(data.validation),
        tested=len(data.test),
        left=len(data.train) - per_epoch * config.batch_size * config.devices * config.num_nodes,
        device=torch.cuda.get_device_name() if on_gpu else "cpu",
        memory=memory,
        step_seconds=seconds,
        steps=per_epoch * config.epochs,
    )
