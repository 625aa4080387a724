"""Train and test one network, with checkpoints, a table per epoch, and a result on disk.

The command line's ``odemom train`` runs this. On two cores a training on the digits takes about
half a minute.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from odemom.checks import expect, optional_import, shown
from odemom.data.digits import DATA_SETS
from odemom.models.ode_net import ODENet
from odemom.records import as_folder, provenance, write_json
from odemom.training.config import TrainingConfig, TrainingResult
from odemom.training.lightning import (
    Classifier,
    cpu_threads,
    fit,
    make_trainer,
    quiet_lightning,
    read_checkpoint,
)

lightning = optional_import("lightning.pytorch", "train")
seeds = optional_import("lightning.pytorch.utilities.seed", "train")

__all__ = ["train"]


def train(
    config: TrainingConfig,
    *,
    out_dir: str | os.PathLike[str],
    resume: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> TrainingResult:
    """Train an `ODENet` and test it once, with the weights after the last epoch.

    Writes into ``out_dir``: ``checkpoints/last.ckpt`` and ``checkpoints/best.ckpt`` (the best
    validation accuracy) and ``metrics.csv`` after every epoch, ``result.json`` at the end. Files
    of an earlier training there are replaced.

    Parameters
    ----------
    config : TrainingConfig
        What to train.
    out_dir : path-like
        A folder; it is made if it is missing.
    resume : path-like, optional
        The ``last.ckpt`` of an interrupted training of the same configuration. It goes on after its
        last finished epoch, to the very weights of a training without interruption.
    progress : bool, default True
        Whether to show a progress bar.

    Returns
    -------
    TrainingResult
        The same numbers as in ``result.json``.

    Raises
    ------
    InvalidInputError
        If ``out_dir`` cannot be a folder, the batch is larger than the training set, or ``resume``
        is missing, damaged, or belongs to another configuration.
    KeyboardInterrupt
        On Ctrl-C; its message names the checkpoint to resume from.
    IntegrationError
        If the ODE of a block cannot be solved.

    Examples
    --------
    >>> import tempfile
    >>> from odemom.training import TrainingConfig
    >>> config = TrainingConfig(order=1, width=8, epochs=1, batch_size=256, accelerator="cpu")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = train(config, out_dir=folder, progress=False)
    >>> len(result.history), 0 <= result.test_accuracy <= 1
    (1, True)
    """
    expect(
        isinstance(config, TrainingConfig),
        "config",
        got=shown(config),
        expected="a TrainingConfig",
    )
    checkpoint = None if resume is None else Path(resume)
    if checkpoint is not None:
        read_checkpoint(checkpoint, config)
    folder = as_folder(out_dir)
    with quiet_lightning(), seeds.isolate_rng(), cpu_threads(config.threads):
        return _train(config, folder, checkpoint, progress=progress)


def _train(
    config: TrainingConfig, folder: Path, resume: Path | None, *, progress: bool
) -> TrainingResult:
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    data = DATA_SETS[config.data](config.batch_size, config.seed)
    images = len(data.sets["train"])
    expect(
        config.batch_size <= images,
        "batch_size",
        got=str(config.batch_size),
        expected=f"at most {images}, the number of training images",
    )
    network = ODENet(
        data.in_channels, data.classes, width=config.width, order=config.order, **config.block()
    )
    model = Classifier(network, config)
    trainer = make_trainer(config, folder, progress=progress)
    fit(trainer, model, data, resume)
    trainer.test(model, datamodule=data, verbose=False)
    result = _result(config, model, trainer, folder)
    write_json(folder / "result.json", result.to_dict())
    return result


def _result(
    config: TrainingConfig, model: Classifier, trainer: Any, folder: Path
) -> TrainingResult:
    test = model.sums["test"]
    return TrainingResult(
        config=config,
        test_accuracy=test.accuracy,
        mean_nfe=test.mean_nfe,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        seconds=model.history[-1]["seconds"],
        history=tuple(model.history),
        provenance=provenance(config.seed),
        checkpoint=folder / "checkpoints" / "last.ckpt",
        best_checkpoint=Path(trainer.checkpoint_callback.best_model_path),
        csv=folder / "metrics.csv",
    )
