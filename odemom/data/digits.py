"""The 1797 handwritten digits of scikit-learn: real images of 8 x 8 pixels."""

from __future__ import annotations

import numpy as np
import torch

from odemom.checks import optional_import
from odemom.data.images import ImageData, Images

__all__ = ["load_digits"]

TEST_SHARE = 0.2
LEVELS = 16.0  # pixels count ink from 0 to this; networks see values in [0, 1]


def load_digits(seed: int, validation: float) -> ImageData:
    """The digits: 20 % are the test set, a share of the rest is for validation.

    Both splits are stratified by class and depend on the seed alone.
    """
    datasets = optional_import("sklearn.datasets", "train")
    selection = optional_import("sklearn.model_selection", "train")
    digits = datasets.load_digits()
    index = np.arange(len(digits.target))
    shares = {"validation": index[:0]}
    for name, share in (("test", TEST_SHARE), ("validation", validation)):
        if share:
            index, shares[name] = selection.train_test_split(
                index, test_size=share, stratify=digits.target[index], random_state=seed
            )
    shares["train"] = index
    whole = Images(
        torch.from_numpy(digits.images.astype(np.uint8)[:, None]), torch.from_numpy(digits.target)
    )
    return ImageData(
        name="digits",
        source="digits",
        classes=tuple(map(str, range(10))),
        mean=(0.0,),
        std=(LEVELS,),
        own_test=False,
        **{name: whole.subset(part) for name, part in shares.items()},
    )
