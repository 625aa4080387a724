"""The data sets of the training experiments, as Lightning data modules."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler, TensorDataset

from odemom.checks import optional_import

lightning = optional_import("lightning.pytorch", "train")

__all__ = ["DATA_SETS", "DigitsData", "EpochSampler"]

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1  # of what is left


class EpochSampler(Sampler[int]):
    """A random order that depends on the seed and the epoch alone.

    A training that is resumed at an epoch then sees the batches of one that was never interrupted,
    whatever else has drawn random numbers. Lightning calls `set_epoch`.

    Examples
    --------
    >>> sampler = EpochSampler(5, seed=0)
    >>> first = list(sampler)
    >>> sampler.set_epoch(1)
    >>> sorted(sampler) == sorted(first), list(sampler) == first
    (True, False)
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Select the order of ``epoch``, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng((self.seed, self.epoch)).permutation(self.size).tolist())


class DigitsData(lightning.LightningDataModule):
    """The 1797 handwritten digits of scikit-learn: real images of 8 x 8 pixels, scaled to [0, 1].

    20 % are the test set; a tenth of the rest is for validation. Both splits are stratified by
    class and depend on the seed alone.

    Parameters
    ----------
    batch_size : int
        Of the training; the last, incomplete batch of an epoch is left out.
    seed : int
        Of the splits and of the order of the training images.
    """

    in_channels = 1
    classes = 10

    def __init__(self, batch_size: int, seed: int) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.seed = seed
        datasets = optional_import("sklearn.datasets", "train")
        selection = optional_import("sklearn.model_selection", "train")
        digits = datasets.load_digits()
        images = (digits.images / 16).astype(np.float32)[:, None]
        index = np.arange(len(images))
        shares: dict[str, np.ndarray] = {}
        for name, share in (("test", TEST_SHARE), ("validation", VALIDATION_SHARE)):
            index, shares[name] = selection.train_test_split(
                index, test_size=share, stratify=digits.target[index], random_state=seed
            )
        shares["train"] = index
        self.sets = {
            name: TensorDataset(torch.from_numpy(images[i]), torch.from_numpy(digits.target[i]))
            for name, i in shares.items()
        }

    def train_dataloader(self) -> DataLoader:
        """Batches in the order of `EpochSampler`."""
        train = self.sets["train"]
        sampler = EpochSampler(len(train), self.seed)
        return DataLoader(train, self.batch_size, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """The validation images, in one batch."""
        return self._whole("validation")

    def test_dataloader(self) -> DataLoader:
        """The test images, in one batch."""
        return self._whole("test")

    def _whole(self, name: str) -> DataLoader:
        return DataLoader(self.sets[name], batch_size=len(self.sets[name]))


DATA_SETS = {"digits": DigitsData}
