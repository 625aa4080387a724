"""The networks for images by name, with their options and how they are built."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from odemom.checks import as_integer, expect, invalid, optional_import, shown

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MODELS", "Model", "build_model", "model_options", "with_and_without_momentum"]

TWIN = "momentum-"
TORCHVISION = "torchvision:"
SMALL_DEPTHS = (20, 56, 110, 1202)
DEPTHS = (18, 34, 50, 101, 152)
TWIN_OPTIONS = {"gamma": 0.9, "initial_velocity": "zero", "reversible": "auto"}
STEM = {"stem": "cifar"}
VIT = {"patch": 4, "width": 128, "depth": 6, "heads": 4}
ODE = {"order": 2, "eps": 1.0, "initial_velocity": "zero"}
FIGURE_9 = {"channels": 8, "hidden": 16, "blocks": 10, **ODE, "method": "rk4", "steps": 1}
DIGITS = {"width": 24, **ODE, "method": "dopri5", "rtol": 1e-3, "atol": 1e-3, "adjoint": False}


@dataclass(frozen=True)
class Model:
    """A network that can be asked for by name.

    Attributes
    ----------
    summary : str
        What it is, in a line.
    options : mapping of str to object
        The names of its options, with their defaults.
    build : callable
        ``build(in_channels, classes, image_size, **options)``: a Module from float images of shape
        (batch, in_channels, h, w) to logits of shape (batch, classes).
    """

    summary: str
    options: Mapping[str, Any]
    build: Callable[..., nn.Module]


def model_options(name: str) -> dict[str, Any]:
    """The options of a network, with their defaults.

    Parameters
    ----------
    name : str
        One of `MODELS`; or ``torchvision:NAME``, any of torchvision's networks for classification,
        or its twin, ``momentum-torchvision:NAME``.

    Returns
    -------
    dict

    Raises
    ------
    InvalidInputError
        If there is no network of this name.

    Examples
    --------
    >>> model_options("momentum-resnet20")
    {'gamma': 0.9, 'initial_velocity': 'zero', 'reversible': 'auto'}
    """
    return dict(_known(name).options)


def build_model(
    name: str, *, in_channels: int = 3, classes: int = 10, image_size: int = 32, **options: Any
) -> nn.Module:
    """A network for images, by name, with fresh weights from PyTorch's generator.

    Parameters
    ----------
    name : str
        As in `model_options`.
    in_channels, classes : int
        Channels of the images, and number of classes.
    image_size : int
        Height and width of the images.
    **options
        Those of `model_options`.

    Returns
    -------
    Module
        From float images, shape (batch, in_channels, h, w), to logits, shape (batch, classes). It
        has no state but its parameters and buffers.

    Raises
    ------
    InvalidInputError
        If there is no network or option of a name, or a value is outside its domain.
    MissingDependencyError
        If PyTorch or torchvision is not installed.

    Examples
    --------
    A twin with gamma = 0 is the network itself:

    >>> import torch
    >>> images = torch.rand(2, 3, 32, 32)
    >>> logits = []
    >>> for name, options in [("resnet20", {}), ("momentum-resnet20", {"gamma": 0})]:
    ...     _ = torch.manual_seed(0)
    ...     logits.append(build_model(name, **options)(images))
    >>> torch.equal(*logits)
    True
    """
    model = _known(name)
    for size, value in (("in_channels", in_channels), ("image_size", image_size)):
        as_integer(value, size, 1)
    as_integer(classes, "classes", 2)
    for option in options:
        expect(
            option in model.options,
            option,
            got=f"an option of {name}",
            expected=f"one of {', '.join(model.options) or 'none: it has no options'}",
            fix=_nearest(option, model.options),
        )
    optional_import("torch", "train")
    return model.build(in_channels, classes, image_size, **{**model.options, **options})


def with_and_without_momentum(name: str) -> tuple[str | None, str]:
    """The names of a network's momentum twin, if it has one, and of the network itself.

    Raises
    ------
    InvalidInputError
        If there is no network of this name.

    Examples
    --------
    >>> with_and_without_momentum("resnet20"), with_and_without_momentum("momentum-vit-tiny")
    (('momentum-resnet20', 'resnet20'), ('momentum-vit-tiny', 'vit-tiny'))
    >>> with_and_without_momentum("odenet")
    (None, 'odenet')
    """
    _known(name)
    original = name.removeprefix(TWIN)
    twin = f"{TWIN}{original}"
    return twin if twin in MODELS or original.startswith(TORCHVISION) else None, original


def _known(name: Any) -> Model:
    if isinstance(name, str):
        if name in MODELS:
            return MODELS[name]
        if name.removeprefix(TWIN).startswith(TORCHVISION):
            return _of_torchvision(name)
    raise invalid(
        "model",
        got=shown(name),
        expected=f"one of {', '.join(MODELS)}, or torchvision:NAME, momentum-torchvision:NAME",
        fix=_nearest(str(name), MODELS),
    )


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(word, known, 1, 0.5)
    return f"Did you mean {near[0]}?" if near else ""


# --- builders, which load torch when they are called ---------------------------------------------


def _small_resnet(depth: int, in_channels: int, classes: int, _: int) -> nn.Module:
    from odemom.models.resnet import SmallResNet

    return SmallResNet(depth, in_channels, classes)


def _resnet(depth: int, in_channels: int, classes: int, _: int, **options: Any) -> nn.Module:
    from odemom.models.resnet import resnet

    return resnet(depth, in_channels, classes, **options)


def _revnet(depth: int, in_channels: int, classes: int, _: int, **options: Any) -> nn.Module:
    from odemom.models.revnet import ImageRevNet

    return ImageRevNet(depth, in_channels, classes, **options)


def _learnt(depth: int, in_channels: int, classes: int, _: int, **options: Any) -> nn.Module:
    from odemom.models.learnt import LearntMomentum

    return LearntMomentum(depth, in_channels, classes, **options)


def _vit(*sizes: int, **options: Any) -> nn.Module:
    from odemom.models.transformer import vision_transformer

    return vision_transformer(*sizes, **options)


def _ode_net(*sizes: int, **options: Any) -> nn.Module:
    from odemom.models.image_ode_net import ImageODENet

    return ImageODENet(*sizes, **options)


def _digits_net(in_channels: int, classes: int, _: int, **options: Any) -> nn.Module:
    from odemom.models.ode_net import digits_net

    return digits_net(in_channels, classes, **options)


def _twin(
    original: Callable[..., nn.Module],
    *sizes: int,
    gamma: Any,
    initial_velocity: Any,
    reversible: Any,
    **options: Any,
) -> nn.Module:
    from odemom.nn import transform

    return transform(
        original(*sizes, **options),
        gamma,
        initial_velocity=initial_velocity,
        reversible=reversible,
    )


def _twin_of(name: str, model: Model) -> Model:
    options = {**TWIN_OPTIONS, **model.options}
    return Model(f"momentum twin of {name}", options, partial(_twin, model.build))


def _of_torchvision(name: str) -> Model:
    """The entry of ``torchvision:NAME``, or of its twin."""
    from odemom.models.of_torchvision import check_name, network

    original = name.removeprefix(TWIN)
    inner = original.removeprefix(TORCHVISION)
    check_name(inner)
    model = Model(f"torchvision's {inner}", {}, partial(network, inner))
    return _twin_of(original, model) if name.startswith(TWIN) else model


def _table() -> dict[str, Model]:
    revnet = {"width": None, "reversible": True}
    originals = {
        f"resnet{depth}": Model(
            f"ResNet-{depth} for small images (He et al. 2016)", {}, partial(_small_resnet, depth)
        )
        for depth in SMALL_DEPTHS
    }
    originals |= {
        f"resnet{depth}": Model(f"torchvision's ResNet-{depth}", STEM, partial(_resnet, depth))
        for depth in DEPTHS
    }
    originals["vit-tiny"] = Model("a small Vision Transformer", VIT, _vit)
    twins = {f"{TWIN}{name}": _twin_of(name, model) for name, model in originals.items()}
    revnets = {
        f"revnet{depth}": Model(
            f"RevNet with the number of parameters of resnet{depth}",
            revnet | (STEM if depth in DEPTHS else {}),
            partial(_revnet, depth),
        )
        for depth in (*SMALL_DEPTHS, *DEPTHS)
    }
    learnt = {
        f"learnt-momentum-resnet{depth}": Model(
            f"momentum twin of resnet{depth} that learns its gamma",
            {"gamma": TWIN_OPTIONS["gamma"]},
            partial(_learnt, depth),
        )
        for depth in SMALL_DEPTHS
    }
    figure_9 = {**FIGURE_9, "gradient": "reversible", "head": "flat", "stride": 4}
    others = {
        "odenet": Model("the ODE network of Figure 9", figure_9, _ode_net),
        "odenet-digits": Model("two ODE blocks with adaptive steps", DIGITS, _digits_net),
    }
    return {**originals, **twins, **learnt, **revnets, **others}


MODELS: dict[str, Model] = _table()
"""The networks by name."""
