"""Counts of a pass through images: loss, correct answers, evaluations of fields."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Sums"]


class Sums:
    """Totals over the batches of a stage; tensors, so that no batch waits for the device."""

    def __init__(self) -> None:
        self.images = 0
        self.batches = 0
        self.loss: Tensor | float = 0.0
        self.correct: Tensor | float = 0.0
        self.nfe = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, network: nn.Module) -> None:
        """Count a batch with the mean loss of its images."""
        if not len(labels):  # the share of a process of a very small set
            return
        self.images += len(labels)
        self.batches += 1
        self.loss = self.loss + loss * len(labels)
        self.correct = self.correct + (logits.argmax(dim=1) == labels).sum()
        self.nfe += getattr(network, "nfe", 0)

    def as_tensor(self, device: torch.device) -> Tensor:
        """The five totals."""
        numbers = self.images, self.batches, self.loss, self.correct, self.nfe
        return torch.stack(
            [torch.as_tensor(n, dtype=torch.float64, device=device) for n in numbers]
        )

    @classmethod
    def from_tensor(cls, totals: Tensor) -> Sums:
        """The inverse of `as_tensor`."""
        sums = cls()
        images, batches, sums.loss, sums.correct, nfe = totals.tolist()
        sums.images, sums.batches, sums.nfe = int(images), int(batches), int(nfe)
        return sums

    @property
    def mean_loss(self) -> float:
        """Per image; NaN without one."""
        return float(self.loss) / self.images if self.images else math.nan

    @property
    def accuracy(self) -> float:
        """The share of correct answers; NaN without an image."""
        return float(self.correct) / self.images if self.images else math.nan

    @property
    def mean_nfe(self) -> float:
        """Evaluations of fields per batch."""
        return self.nfe / self.batches if self.batches else 0.0
