"""A classifier for Lightning, and the trainer around it: checkpoints, tables, progress, quiet."""

from __future__ import annotations

import importlib
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from odemom.checks import first_sentence, invalid, optional_import, shown
from odemom.errors import (
    DivergedError,
    FixedPointRangeError,
    IntegrationError,
    InvalidInputError,
    OdemomError,
)
from odemom.training.bar import Bar, progress_of
from odemom.training.checkpoint_files import CheckpointFiles, Checkpoints
from odemom.training.config import TrainingConfig
from odemom.training.graphs import capture_passes
from odemom.training.machines import Joining, check_meeting_place
from odemom.training.metrics_table import MetricsTable
from odemom.training.sums import Sums

lightning = optional_import("lightning.pytorch", "train")
exceptions = optional_import("lightning.pytorch.utilities.exceptions", "train")

__all__ = ["Classifier", "fit", "make_trainer"]

LOOKED_AT = 50  # steps between two looks at the loss where looking waits for the device


class Classifier(lightning.LightningModule):
    """Cross-entropy, an optimizer, a one-cycle schedule, and a row of `history` an epoch.

    Parameters
    ----------
    network : Module
    config : TrainingConfig
    images : dict
        What a checkpoint says about the images: see `odemom.training.checkpoints.signature`.
    steps : int
        Of the whole training. (To ask the trainer makes it set up the loaders before it knows from
        a checkpoint which batches are done.)
    origin : dict, optional
        What a checkpoint says about the network that the training started from.
    seen : Tensor, optional
        What a checkpoint says of the images that it has seen: see `odemom.training.seen.seen_in`.
    """

    def __init__(
        self,
        network: nn.Module,
        config: TrainingConfig,
        images: dict[str, Any],
        steps: int,
        origin: dict[str, Any] | None = None,
        seen: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.origin, self.seen = origin, seen
        self.steps = steps
        self.network = network
        self.config = config
        self.images = images
        self.history: list[dict[str, float]] = []
        self.sums = {stage: Sums() for stage in ("train", "validation", "test")}
        self.started = False
        self._captured = False
        self._rate = 0.0  # of the last step
        self._started = 0.0
        self._epoch_started = 0.0

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the images."""
        return self.network(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch."""
        images, labels = batch
        self._rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        if self.config.cuda_graph and not self._captured:
            capture_passes(self.network, images)
            self._captured = True
        logits = self._logits(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        self.sums["train"].add(loss.detach(), logits.detach(), labels, self.network)
        if self.device.type == "cpu" or (batch_idx + 1) % LOOKED_AT == 0:
            self._refuse_divergence("train")
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count a validation batch."""
        self._count("validation", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count a test batch."""
        self._count("test", batch)

    def _count(self, stage: str, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        logits = self._logits(images)
        self.sums[stage].add(F.cross_entropy(logits, labels), logits, labels, self.network)

    def _logits(self, images: Tensor) -> Tensor:
        try:
            return self.network(images)
        except (InvalidInputError, FixedPointRangeError, IntegrationError) as error:
            # It took such images before: what it refuses are activations of weights gone astray.
            if self.global_step == 0:
                raise
            raise self._diverged(
                f"network refuses its own activations ({first_sentence(error)})"
            ) from error

    def _refuse_divergence(self, stage: str) -> None:
        """Stop at a loss that is not finite, before it is saved."""
        loss = float(self.sums[stage].loss)
        if not math.isfinite(loss):
            raise self._diverged(f"{stage} loss is {loss}")

    def _diverged(self, what: str) -> DivergedError:
        rate, precision = self.config.learning_rate, self.config.precision
        last = self.trainer.strategy.checkpoint_io.last
        other = "" if precision == "32" else f", or precision 32 in place of {precision}"
        return DivergedError(
            f"the {what} in epoch {self.current_epoch + 1} at step {self.global_step}: the "
            f"training has diverged and was stopped. Take a smaller learning_rate than {rate:g}"
            f"{other}." + ("" if last is None else f" The last finite state is in {last}.")
        )

    def configure_optimizers(self) -> Any:
        """AdamW or SGD under a one-cycle schedule, stepped with every batch."""
        config = self.config
        rates: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
        if config.optimizer == "sgd":
            optimizer = torch.optim.SGD(self.parameters(), momentum=0.9, nesterov=True, **rates)
        else:
            optimizer = torch.optim.AdamW(self.parameters(), **rates)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=config.learning_rate,
            total_steps=self.steps,
            cycle_momentum=config.optimizer == "adamw",
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_train_start(self) -> None:
        """Write the rows of the epochs before an interruption again: one table holds them all."""
        self.started = True
        for logger in self.loggers:
            for left in getattr(logger, "of_before", ()) if self.trainer.is_global_zero else ():
                left.unlink(missing_ok=True)
            for row in self.history:
                logger.log_metrics(row, step=int(row["step"]))
        self._started = time.perf_counter() - (self.history[-1]["seconds"] if self.history else 0)

    def on_train_epoch_start(self) -> None:
        """Forget the counts of the epoch before."""
        self.sums["train"] = Sums()

    def on_validation_epoch_start(self) -> None:
        """Forget the counts of the validation before."""
        self.sums["validation"] = Sums()

    def on_train_epoch_end(self) -> None:
        """Add the epoch to the history, the tables and the progress bar."""
        self._refuse_divergence("train")
        self._refuse_divergence("validation")
        train, validation = (self._all(stage) for stage in ("train", "validation"))
        seconds = time.perf_counter() - self._started
        row: dict[str, float] = {
            "epoch": self.current_epoch + 1,
            "step": self.global_step,
            "train_loss": train.mean_loss,
            "validation_loss": validation.mean_loss,
            "validation_accuracy": validation.accuracy,
            "nfe": train.mean_nfe,
            "learning_rate": self._rate,
            "seconds": seconds,
        }
        self.history.append(row)
        for logger in self.loggers:
            logger.log_metrics(row, step=self.global_step)
        for name in ("train_loss", "validation_accuracy"):
            self.log(name, row[name], prog_bar=True, logger=False)
        left = seconds / len(self.history) * (self.config.epochs - len(self.history))
        self.log("minutes_left", left / 60, prog_bar=True, logger=False)

    def on_test_end(self) -> None:
        """Count the test images of every process."""
        self.sums["test"] = self._all("test")

    def _all(self, stage: str) -> Sums:
        """The counts of all processes together."""
        if self.trainer.world_size == 1:
            return self.sums[stage]
        mine = self.sums[stage].as_tensor(self.device)
        return Sums.from_tensor(self.trainer.strategy.reduce(mine, reduce_op="sum"))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say whose checkpoint it is, on which images, and how it came there."""
        checkpoint["odemom"] = {
            "config": self.config.to_dict(),
            "images": self.images,
            "history": self.history,
            "sums": self.sums["train"].as_tensor(self.device),
            "origin": self.origin,
            "seen": self.seen,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history, and an epoch that is not finished, up where they were."""
        self.history = list(checkpoint["odemom"]["history"])
        self.sums["train"] = Sums.from_tensor(checkpoint["odemom"]["sums"])


def make_trainer(
    config: TrainingConfig, files: CheckpointFiles, *, progress: bool, validation: bool = True
) -> Any:
    """A Lightning trainer that writes ``checkpoints/{best,last}.ckpt`` and ``metrics.csv``.

    Raises
    ------
    InvalidInputError
        If the machine does not have the devices, or several machines could not find each other.
    """
    try:
        trainer = _trainer(config, files, progress=progress, validation=validation)
    except (exceptions.MisconfigurationException, ValueError, RuntimeError) as error:
        raise invalid(
            "accelerator",
            got=f"{config.accelerator!r} with devices {config.devices} and strategy "
            f"{config.strategy!r} ({shown(first_sentence(error), 160)})",
            expected="devices that this machine has",
            fix="On the CPU: --accelerator cpu.",
        ) from error
    check_meeting_place(config, trainer.strategy)
    return trainer


def _trainer(
    config: TrainingConfig, files: CheckpointFiles, *, progress: bool, validation: bool
) -> Any:
    saved = _saved(config, files, validation)
    shown = [progress_of()] if progress else []
    joining = [Joining(config)] if config.devices * config.num_nodes > 1 else []
    return lightning.Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        num_nodes=config.num_nodes,
        strategy=config.strategy,
        precision={"32": "32-true"}.get(config.precision, config.precision),
        max_epochs=config.epochs,
        limit_val_batches=1.0 if validation else 0,
        callbacks=[*joining, *saved, *shown],
        plugins=[files],
        logger=_loggers(files.folder.parent),
        enable_progress_bar=any(isinstance(each, Bar) for each in shown),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        deterministic=config.deterministic,
        benchmark=not config.deterministic,
    )


def _saved(config: TrainingConfig, files: CheckpointFiles, validation: bool) -> list[Any]:
    """What writes checkpoints: the best one, and the last one, each by itself.

    ``save_last`` of the best one would write only where the best one is written too.
    """
    best = {"filename": "best", "monitor": "validation_accuracy", "mode": "max"}
    saved = [Checkpoints(files, **best, save_on_train_epoch_end=True)] if validation else []
    saved.append(Checkpoints(files, filename="last", save_on_train_epoch_end=True))
    if config.checkpoint_steps:
        steps = config.checkpoint_steps
        saved.append(Checkpoints(files, filename="last", every_n_train_steps=steps))
    return saved


def _loggers(out_dir: Path) -> list[Any]:
    """A table, and TensorBoard's files where TensorBoard can be imported; both begin anew.

    ``of_before`` are the files that an earlier training has left.
    """
    loggers = optional_import("lightning.pytorch.loggers", "train")
    found: list[Any] = [MetricsTable(out_dir / "metrics.csv")]
    try:
        importlib.import_module("torch.utils.tensorboard")
    except ImportError:  # it is not there, or something that it needs is not
        return found
    curves = loggers.TensorBoardLogger(out_dir, name="tensorboard", version="")
    curves.of_before = list((out_dir / "tensorboard").glob("events.out.tfevents.*"))
    return [*found, curves]


# What Lightning and PyTorch raise when a checkpoint is not that of the network and its optimizer.
NOT_RESTORED = (KeyError, TypeError, RuntimeError, ValueError, AttributeError, IndexError)


def fit(trainer: Any, model: Classifier, data: Any, resume: Path | None) -> None:
    """``trainer.fit``, of which a checkpoint that does not fit is refused in a sentence.

    Raises
    ------
    InvalidInputError
        If the state that ``resume`` holds is not one of this network.
    """
    try:
        trainer.fit(model, datamodule=data, ckpt_path=resume)
    except NOT_RESTORED as error:
        own = isinstance(error, OdemomError | torch.OutOfMemoryError)
        if resume is None or model.started or own:
            raise
        raise invalid(
            "resume",
            got=f"{resume}, whose state does not fit the network ({type(error).__name__}: "
            f"{shown(str(error), 160)})",
            expected="the last.ckpt of a training with this configuration",
            fix="The file is of another program; start again without resume.",
        ) from error
