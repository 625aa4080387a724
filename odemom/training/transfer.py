"""Weights that go over from a trained network to the one of a refit; its head, and its rows."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from odemom.checks import expect
from odemom.data.images import ImageData
from odemom.models.table import build_model, model_options, with_and_without_momentum
from odemom.nn import twin_report
from odemom.nn.transform.find import blocks_found
from odemom.nn.transform.names import has_no_skip
from odemom.training.config import TrainingConfig
from odemom.training.run import network_for
from odemom.training.sources import Source

__all__ = ["freeze_all_but", "network_from", "network_of", "rows_of"]


def network_from(
    source: Source, config: TrainingConfig, data: ImageData
) -> tuple[nn.Module, set[str], bool]:
    """The network with the weights of the source, the names of its head, and whether that is new.

    A head for other classes has fresh weights, from the seed of the configuration. Where the source
    does not name its classes, a head for as many is taken for one for these.
    """
    head = _head(config, data)
    network = network_for(config, data)
    if source.weights is None:
        return network, head, True
    if source.classes:
        new_head = source.classes != data.classes
    else:
        shapes = {name: value.shape for name, value in network.state_dict().items()}
        new_head = any(
            name in source.weights and source.weights[name].shape != shapes[name] for name in head
        )
    _take(network, source, head if new_head else set(), config)
    return network, head, new_head


def network_of(source: Source, config: TrainingConfig, data: ImageData) -> nn.Module:
    """The trained network itself, for images with its classes."""
    sizes = {"in_channels": data.channels, "image_size": data.image_size}
    network = build_model(source.model, classes=len(data.classes), **sizes, **source.options)
    _take(network, source, set(), config)
    return network


def _head(config: TrainingConfig, data: ImageData) -> set[str]:
    """The parameters of the head: those whose shapes depend on the number of classes.

    Raises
    ------
    InvalidInputError
        If a twin is asked for of a network without residual blocks.
    """
    _, original = with_and_without_momentum(config.model)
    sizes = {"in_channels": data.channels, "image_size": data.image_size}
    known = model_options(original)
    options = {name: value for name, value in config.options.items() if name in known}
    with torch.device("meta"):
        one, other = (
            build_model(original, classes=n, **sizes, **options)
            for n in (len(data.classes), len(data.classes) + 1)
        )
    skip = any(not has_no_skip(one.get_submodule(spot.name)) for spot in blocks_found(one))
    _expect_rows(skip or config.model == original, config)
    shapes = {name: value.shape for name, value in other.state_dict().items()}
    return {name for name, value in one.state_dict().items() if value.shape != shapes[name]}


def _take(network: nn.Module, source: Source, fresh: set[str], config: TrainingConfig) -> None:
    """Load the weights of a source, all but those that stay ``fresh``."""
    assert source.weights is not None
    state = network.state_dict()
    given = {name: w for name, w in source.weights.items() if name not in fresh}
    wanted = {name: w for name, w in state.items() if name not in fresh}
    counts = {name for name in wanted if name.endswith("num_batches_tracked")}  # some lack them
    other = [
        *(f"{name} is missing" for name in wanted if name not in given and name not in counts),
        *(f"{name} is beyond it" for name in given if name not in wanted),
    ]
    shapes = [
        f"{name} has the shape {tuple(given[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    resized = shapes and not other and config.image_size not in (None, source.image_size)
    expect(
        not (other or shapes),
        "image_size" if resized else "weights",
        got=f"{config.image_size} pixels for {source.name}" if resized else source.name,
        expected=f"weights of {config.model} ({_said_few([*other, *shapes])})",
        fix=f"This network is made for {source.image_size} pixels: leave --image-size out."
        if resized
        else "",
    )
    network.load_state_dict({**state, **given})


def _said_few(differences: list[str]) -> str:
    more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
    return "; ".join(differences[:3]) + more


def rows_of(network: nn.Module, config: TrainingConfig, data: ImageData) -> tuple[int, int]:
    """How many momentum rows form, and their layers; (0, 0) of a network without momentum.

    Raises
    ------
    InvalidInputError
        If it is a twin in which no row forms.
    """
    shape = (2, data.channels, data.image_size, data.image_size)
    network.eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said below, where it matters
        network(torch.zeros(shape))
    network.train()
    if with_and_without_momentum(config.model)[0] != config.model:
        return 0, 0
    rows = twin_report(network).rows
    _expect_rows(any(row.layers > 1 for row in rows), config)
    return len(rows), sum(row.layers for row in rows)


def _expect_rows(formed: bool, config: TrainingConfig) -> None:
    original = with_and_without_momentum(config.model)[1]
    expect(
        formed,
        "gamma",
        got=f"{config.options.get('gamma')} for {original}, in which no momentum row forms: no two "
        "residual blocks that keep the shape of their input follow each other",
        expected="a network with such blocks, as resnet50 or vit_b_16",
        fix="With gamma 0 the network itself is refitted.",
    )


def freeze_all_but(network: nn.Module, head: set[str]) -> None:
    """Leave the head alone in training: no gradients and no statistics elsewhere."""
    network.eval()
    for name, module in network.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            is_head = f"{name}.{own}".lstrip(".") in head
            parameter.requires_grad_(is_head)
            if is_head:
                module.train()
