"""A classifier for Lightning, and the trainer around it: checkpoints, table, progress, quiet."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from odemom.checks import invalid, optional_import
from odemom.models.ode_net import ODENet
from odemom.training.config import TrainingConfig

lightning = optional_import("lightning.pytorch", "train")

__all__ = [
    "Classifier",
    "cpu_threads",
    "fit",
    "make_trainer",
    "quiet_lightning",
    "read_checkpoint",
]

CHATTER = (
    ".*does not have many workers.*",  # the images are in memory
    ".*exists and is not empty.*",  # what is replaced there are our own files
    ".*LeafSpec.*is deprecated.*",  # Lightning's own use of torch
    r".*The number of training batches \(\d+\) is smaller than the logging interval.*",
)


class Classifier(lightning.LightningModule):
    """Cross-entropy, AdamW, a one-cycle schedule, and a row of `history` an epoch.

    Parameters
    ----------
    network : ODENet
    config : TrainingConfig
    """

    def __init__(self, network: ODENet, config: TrainingConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.history: list[dict[str, float]] = []
        self.sums = {stage: _Sums() for stage in ("train", "validation", "test")}
        self._started = 0.0

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the images."""
        return self.network(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch."""
        return self._loss("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count a validation batch."""
        self._loss("validation", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count a test batch."""
        self._loss("test", batch)

    def _loss(self, stage: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        logits = self.network(images)
        loss = F.cross_entropy(logits, labels)
        self.sums[stage].add(loss.detach(), logits.detach(), labels, self.network.nfe)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle schedule, stepped with every batch."""
        config = self.config
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=config.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_train_start(self) -> None:
        """Write the rows of the epochs before an interruption again: one table holds them all."""
        for row in self.history:
            self.logger.log_metrics(row, step=int(row["step"]))
        self._started = time.perf_counter() - (self.history[-1]["seconds"] if self.history else 0)

    def on_train_epoch_start(self) -> None:
        """Forget the counts of the epoch before."""
        self.sums["train"] = _Sums()

    def on_validation_epoch_start(self) -> None:
        """Forget the counts of the validation before."""
        self.sums["validation"] = _Sums()

    def on_train_epoch_end(self) -> None:
        """Add the epoch to the history, the table and the progress bar."""
        train, validation = self.sums["train"], self.sums["validation"]
        row: dict[str, float] = {
            "epoch": self.current_epoch + 1,
            "step": self.global_step,
            "train_loss": train.mean_loss,
            "validation_loss": validation.mean_loss,
            "validation_accuracy": validation.accuracy,
            "nfe": train.mean_nfe,
            "learning_rate": self.trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": time.perf_counter() - self._started,
        }
        self.history.append(row)
        self.logger.log_metrics(row, step=self.global_step)
        for name in ("train_loss", "validation_accuracy"):
            self.log(name, row[name], prog_bar=True, logger=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say whose checkpoint it is, and how it came there."""
        checkpoint["odemom"] = {"config": self.config.to_dict(), "history": self.history}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up where it was."""
        self.history = list(checkpoint["odemom"]["history"])


class _Sums:
    """Totals over the batches of a stage; tensors, so that no batch waits for the device."""

    def __init__(self) -> None:
        self.images = 0
        self.batches = 0
        self.loss: Tensor | float = 0.0
        self.correct: Tensor | float = 0.0
        self.nfe = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, nfe: int) -> None:
        self.images += len(labels)
        self.batches += 1
        self.loss = self.loss + loss * len(labels)
        self.correct = self.correct + (logits.argmax(dim=1) == labels).sum()
        self.nfe += nfe

    @property
    def mean_loss(self) -> float:
        return float(self.loss) / self.images

    @property
    def accuracy(self) -> float:
        return float(self.correct) / self.images

    @property
    def mean_nfe(self) -> float:
        return self.nfe / self.batches


def make_trainer(config: TrainingConfig, out_dir: Path, *, progress: bool) -> Any:
    """A Lightning trainer that writes ``checkpoints/{best,last}.ckpt`` and ``metrics.csv``."""
    callbacks = optional_import("lightning.pytorch.callbacks", "train")
    loggers = optional_import("lightning.pytorch.loggers", "train")
    checkpoints = callbacks.ModelCheckpoint(
        dirpath=out_dir / "checkpoints",
        filename="best",
        monitor="validation_accuracy",
        mode="max",
        save_last=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    return lightning.Trainer(
        accelerator=config.accelerator,
        devices=1,
        max_epochs=config.epochs,
        callbacks=[checkpoints, *([callbacks.RichProgressBar()] if progress else [])],
        logger=loggers.CSVLogger(out_dir, name="", version="", flush_logs_every_n_steps=1),
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        deterministic=True,
    )


def fit(trainer: Any, model: nn.Module, data: Any, resume: Path | None) -> None:
    """``trainer.fit``, of which Ctrl-C raises KeyboardInterrupt and says how to go on."""
    try:
        trainer.fit(model, datamodule=data, ckpt_path=resume)
    except SystemExit:
        # Lightning turns Ctrl-C into an exit of the whole process.
        if not trainer.interrupted:
            raise
    if trainer.interrupted:
        last = Path(trainer.checkpoint_callback.dirpath) / "last.ckpt"
        advice = f"resume from {last}" if last.exists() else "no epoch was finished; start again"
        raise KeyboardInterrupt(f"The training was interrupted: {advice}.")


def read_checkpoint(path: Path, config: TrainingConfig) -> None:
    """Refuse a checkpoint from which a training of ``config`` cannot be continued.

    Raises
    ------
    InvalidInputError
        If the file is missing or cannot be read, or belongs to another configuration.
    """
    expected = "the last.ckpt of a training with this configuration"
    if not path.is_file():
        raise invalid("resume", got=f"{path}, which is no file", expected=expected)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        saved = checkpoint["odemom"]["config"]
    except Exception as error:  # a damaged pickle or archive can raise nearly anything
        raise invalid(
            "resume",
            got=f"{path}, which cannot be read ({type(error).__name__})",
            expected=expected,
            fix="The file is damaged or of another program; start again without resume.",
        ) from error
    asked = config.to_dict()
    differences = [
        f"{name} = {saved.get(name)!r}, not {asked.get(name)!r}"
        for name in dict.fromkeys([*asked, *saved])
        if saved.get(name) != asked.get(name)
    ]
    if differences:
        raise invalid(
            "resume",
            got=f"{path} with {'; '.join(differences)}",
            expected=expected,
            fix="Take the configuration of that training; the schedule depends on all of it.",
        )


@contextlib.contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Let PyTorch use ``number`` threads on the CPU; restore what was set before."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Hide Lightning's tips and the warnings in `CHATTER`; restore what it changes globally."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            for message in CHATTER:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
