"""A training that starts with the weights of another one."""

from __future__ import annotations

import pytest
import torch

from odemom import InvalidInputError
from odemom.training import TrainingConfig
from odemom.training.checkpoints import load_trained
from odemom.training.run import train


def config(model="momentum-resnet20", rate=1e-12, **options):
    return TrainingConfig(
        model=model, model_options=options, epochs=1, batch_size=100, limit=200, learning_rate=rate,
        weight_decay=0.0, accelerator="cpu",
    )  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    return train(config(rate=0.01, gamma=0), out_dir=folder, progress=False).checkpoint


def test_a_twin_starts_with_the_weights_of_another_gamma(checkpoint, tmp_path):
    again = train(config(gamma=0.9), out_dir=tmp_path, weights=checkpoint, progress=False)
    before, after = (
        dict(load_trained(path).network.named_parameters())
        for path in (checkpoint, again.checkpoint)
    )
    assert all(torch.allclose(before[name], after[name], atol=1e-9) for name in before)
    assert load_trained(again.checkpoint).config.options["gamma"] == 0.9


def test_weights_of_another_network_are_refused(checkpoint, tmp_path):
    with pytest.raises(InvalidInputError, match="a checkpoint of momentum-resnet20"):
        train(config("resnet56"), out_dir=tmp_path, weights=checkpoint, progress=False)
    with pytest.raises(InvalidInputError, match="weights"):
        train(config(), out_dir=tmp_path, weights=tmp_path / "none.ckpt", progress=False)
