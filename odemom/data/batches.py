"""Batches of images that live on the device of the training: no loader processes, no copies."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from odemom.data.images import Images

__all__ = ["Batches", "EpochSampler", "augmented", "evaluated_at_once"]

PADDING = 4
EVALUATED = 1000  # at most so many images at a time where no gradient is kept
SMALL = 2**16  # pixels that images may have together whatever a training step takes
RESIDENT_SHARE = 0.5  # images may take this share of a GPU's free memory


class EpochSampler:
    """A random order that depends on the seed and the epoch alone.

    A training that is resumed then sees the batches of one that was never interrupted, whatever
    else has drawn random numbers. Lightning calls `set_epoch`.

    Parameters
    ----------
    size : int
        How many images there are.
    seed : int

    Examples
    --------
    >>> sampler = EpochSampler(5, seed=0)
    >>> first = sampler.order().tolist()
    >>> sampler.set_epoch(1)
    >>> sorted(sampler.order()) == sorted(first), sampler.order().tolist() == first
    (True, False)
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Select the order of ``epoch``, counted from 0."""
        self.epoch = epoch

    def order(self) -> np.ndarray:
        """A permutation of the images."""
        return np.random.default_rng((self.seed, self.epoch)).permutation(self.size)

    def shifts(self) -> tuple[np.ndarray, np.ndarray]:
        """For each place in the order: rows and columns of the crop's corner, and whether to flip.

        Drawn for the whole epoch, so that a sample's own do not depend on the size of the batches,
        nor on which process has it.
        """
        rng = np.random.default_rng((self.seed, self.epoch, 1))
        corners = rng.integers(0, 2 * PADDING, size=(self.size, 2), endpoint=True)
        return corners, rng.random(self.size) < 0.5


def augmented(pixels: Tensor, corners: Tensor | None, flips: Tensor) -> Tensor:
    """Random crops of images with a border of 4 black pixels, mirrored where ``flips`` says so.

    The augmentation of He et al. (2016) for CIFAR, of a whole batch at once.

    Parameters
    ----------
    pixels : Tensor, shape (batch, c, h, w)
    corners : Tensor of int64, shape (batch, 2)
        Row and column of the crop's first pixel in the padded image, from 0 to 8; without them the
        images are not cropped.
    flips : Tensor of bool, shape (batch,)

    Returns
    -------
    Tensor, shape (batch, c, h, w)

    Examples
    --------
    >>> image = torch.arange(1, 5).reshape(1, 1, 2, 2)
    >>> augmented(image, torch.tensor([[4, 4]]), torch.tensor([True])).tolist()
    [[[[2, 1], [4, 3]]]]
    """
    if corners is not None:
        h, w = pixels.shape[-2:]
        padded = F.pad(pixels, (PADDING,) * 4)
        windows = padded.unfold(2, h, 1).unfold(3, w, 1)  # every crop, without copying one
        rows = torch.arange(len(pixels), device=pixels.device)
        pixels = windows[rows, :, corners[:, 0], corners[:, 1]]
    return torch.where(flips[:, None, None, None], pixels.flip(-1), pixels)


def evaluated_at_once(image_size: int, batch_size: int) -> int:
    """How many images a network looks at together where no gradient is kept.

    As many as in a step of the training, which needs more memory; or more, where they are small.
    The number depends on the training alone, not on the machine.

    Parameters
    ----------
    image_size : int
        Height and width in pixels.
    batch_size : int
        Images per step of the training.

    Examples
    --------
    >>> [evaluated_at_once(32, 128), evaluated_at_once(224, 8), evaluated_at_once(8, 64)]
    [128, 8, 1000]
    """
    return min(EVALUATED, max(batch_size, SMALL // image_size**2))


class Batches:
    """An iterable of (images, labels) on a device, for Lightning.

    Parameters
    ----------
    images : Images
    mean, std : tuple of float
        Batches are (pixels - mean)/std.
    batch_size : int
        For training: images per step and process. Otherwise at most that many; all batches of a
        process are nearly equal, and every process has as many of them.
    device : torch.device
    seed : int, optional
        Of the order and the augmentation of a training; without it all images come, in order.
    augment : {"none", "flip", "crop+flip"}
        See `augmented`.
    rank, world : int
        This process, and how many there are: a step takes ``world * batch_size`` images in the
        order of `EpochSampler`, of which this process has its share.
    channels_last : bool
        The memory format of the batches.
    """

    def __init__(
        self,
        images: Images,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        batch_size: int,
        device: torch.device,
        *,
        seed: int | None = None,
        augment: str = "none",
        rank: int = 0,
        world: int = 1,
        channels_last: bool = False,
    ) -> None:
        self.images = images
        # All of them as tensors of a GPU, where they fit.
        resident = device.type == "cuda" and _fits(images, device)
        self.pixels = images.pixels.to(device) if resident else None
        self.labels = images.labels.to(device)
        self.mean = torch.tensor(mean, device=device)[:, None, None]
        self.std = torch.tensor(std, device=device)[:, None, None]
        self.batch_size = batch_size
        self.device = device
        self.augment = augment
        self.rank, self.world = rank, world
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.order = None if seed is None else EpochSampler(len(images), seed)
        # Where Lightning looks for what has a set_epoch.
        self.batch_sampler = SimpleNamespace(sampler=self.order)
        self._done = 0

    def __len__(self) -> int:
        if self.order is not None:
            return len(self.labels) // (self.batch_size * self.world)
        share = -(-len(self.labels) // self.world)
        return -(-share // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self._in_order() if self.order is None else self._shuffled(self.order)

    def state_dict(self) -> dict[str, int]:
        """How many batches of the epoch are done; at its end none of the next one."""
        return {"batches": self._done % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next pass begin after those that are done."""
        self._done = state["batches"]

    def _shuffled(self, sampler: EpochSampler) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch; a generator, so that it begins after the epoch is set."""
        start, self._done = self._done % len(self), 0
        order = torch.from_numpy(sampler.order())
        corners, flips = (torch.from_numpy(a).to(self.device) for a in sampler.shifts())
        on_device = order.to(self.device)
        whole = self.batch_size * self.world
        for step in range(start, len(self)):
            first = step * whole + self.rank * self.batch_size
            places = slice(first, first + self.batch_size)
            pixels = self._taken(order, on_device, places)
            if self.augment != "none":
                crops = corners[places] if self.augment == "crop+flip" else None
                pixels = augmented(pixels, crops, flips[places])
            self._done = step + 1
            yield self._normalised(pixels), self.labels.index_select(0, on_device[places])

    def _taken(self, order: Tensor, on_device: Tensor, places: slice) -> Tensor:
        if self.pixels is not None:
            return self.pixels.index_select(0, on_device[places])
        rows = self.images.at(order[places])
        if self.device.type != "cuda":
            return rows.to(self.device)
        return rows.pin_memory().to(self.device, non_blocking=True)

    def _in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows = torch.arange(self.rank, len(self.labels), self.world)
        for part in rows.tensor_split(len(self)):
            on_device = part.to(self.device)
            pixels = self._taken(part, on_device, slice(None))
            yield self._normalised(pixels), self.labels.index_select(0, on_device)

    def _normalised(self, pixels: Tensor) -> Tensor:
        values = (pixels.float() - self.mean) / self.std
        return values.contiguous(memory_format=self.format)


def _fits(images: Images, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return images.nbytes <= RESIDENT_SHARE * free
