"""Train networks on images: one configuration, one function, Lightning underneath."""

from odemom.checks import optional_import
from odemom.training.config import TrainingConfig as TrainingConfig
from odemom.training.result import TrainingResult as TrainingResult


def __getattr__(name: str) -> object:
    """`train`, which loads Lightning, on first use."""
    if name == "train":
        optional_import("torch", "train")
        from odemom.training.run import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
