"""The images of a training, as Lightning asks for them."""

from __future__ import annotations

from typing import Any

from odemom.checks import optional_import
from odemom.data.batches import Batches, evaluated_at_once
from odemom.data.images import ImageData, Images

lightning = optional_import("lightning.pytorch", "train")

__all__ = ["ImageModule"]


class ImageModule(lightning.LightningDataModule):
    """The three sets of a data set as `Batches` on the device that Lightning trains on.

    Parameters
    ----------
    data : ImageData
    batch_size : int
        Per step and process; the last, incomplete batch of an epoch is left out.
    seed : int
        Of the order and the augmentation of the training images.
    augment : str
    channels_last : bool
        See `Batches`.
    """

    def __init__(
        self,
        data: ImageData,
        batch_size: int,
        seed: int,
        *,
        augment: str = "none",
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.data = data
        self.batch_size = batch_size
        self.seed = seed
        self.augment = augment
        self.channels_last = channels_last

    def train_dataloader(self) -> Batches:
        """Batches in the order of `EpochSampler`."""
        options = {"seed": self.seed, "augment": self.augment}
        return self._batches(self.data.train, self.batch_size, **options)

    def val_dataloader(self) -> Batches | list[Batches]:
        """The validation images, in order; nothing where there are none."""
        if not len(self.data.validation):
            return []
        return self._batches(self.data.validation, self._at_once)

    def test_dataloader(self) -> Batches:
        """The test images, in order."""
        return self._batches(self.data.test, self._at_once)

    @property
    def _at_once(self) -> int:
        return evaluated_at_once(self.data.image_size, self.batch_size)

    def _batches(self, images: Images, batch_size: int, **options: Any) -> Batches:
        trainer = self.trainer
        assert trainer is not None
        return Batches(
            images,
            self.data.mean,
            self.data.std,
            batch_size,
            trainer.strategy.root_device,
            rank=trainer.global_rank,
            world=trainer.world_size,
            channels_last=self.channels_last,
            **options,
        )
