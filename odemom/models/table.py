"""The networks for images by name, with their options and how they are built."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from odemom.checks import as_integer, did_you_mean, first_sentence, invalid, optional_import, shown
from odemom.errors import InvalidInputError
from odemom.models.options import (
    DIGITS,
    FIGURE_9,
    LEARNT,
    REVNET,
    STEM,
    TWIN,
    VIT,
    Option,
    check_values,
)

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "MODELS", "Model", "build_model", "check_options", "model_options", "plain_options",
    "with_and_without_momentum",
]  # fmt: skip

MOMENTUM = "momentum-"
TORCHVISION = "torchvision:"
SMALL_DEPTHS = (20, 56, 110, 1202)
EXAMPLES = (
    "odenet", "odenet-digits", "vit-tiny", "momentum-resnet20", "resnet18", "revnet20",
)  # fmt: skip
DEPTHS = (18, 34, 50, 101, 152)


@dataclass(frozen=True)
class Model:
    """A network that can be asked for by name.

    Attributes
    ----------
    summary : str
        What it is, in a line.
    accepted : mapping of str to Option
        Its options: their defaults, and what they may be.
    build : callable
        ``build(in_channels, classes, image_size, **options)``: a Module from float images of shape
        (batch, in_channels, h, w) to logits of shape (batch, classes).
    """

    summary: str
    accepted: Mapping[str, Option]
    build: Callable[..., nn.Module]

    @property
    def options(self) -> dict[str, Any]:
        """The names of its options, with their defaults."""
        return {name: option.default for name, option in self.accepted.items()}


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
    return _known(name).options


def check_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse an option that a network does not have, or a value that it may not have.

    Returns
    -------
    dict
        The options, with numbers that were spelt as text as doubles.

    Raises
    ------
    InvalidInputError
        By the option's name; or if there is no network of this name.

    Examples
    --------
    >>> check_options("odenet", {"eps": "1/2", "channels": 4})
    {'eps': 0.5, 'channels': 4}
    """
    known = _known(name).accepted
    for option in options:
        if option not in known:
            raise invalid(
                option,
                got=f"{shown(options[option])} for the network {name}",
                expected=f"an option that it has: {', '.join(known)}"
                if known
                else "none: this network has no options",
                fix=_where_else(option, name, known),
            )
    check_values(known, options)
    return plain_options(name, options)


def plain_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with the numbers that are spelt as text as doubles; what is no option stays.

    Examples
    --------
    >>> plain_options("momentum-resnet20", {"gamma": "7/8", "reversible": "auto"})
    {'gamma': 0.875, 'reversible': 'auto'}
    """
    known = _known(name).accepted
    return {
        option: known[option].plain(value)
        if option in known and known[option].holds(value)
        else value
        for option, value in options.items()
    }


def _where_else(option: str, name: str, known: Mapping[str, Option]) -> str:
    """What was meant by an option that a network does not have: another name, another network."""
    if option == "adjoint" and "gradient" in known:
        return "The network has it as gradient=adjoint."
    others = sorted({other for model in MODELS.values() for other in model.accepted})
    if option not in others:
        if near := did_you_mean(option, known):
            return near
        near = difflib.get_close_matches(option, others, 1)
        return f"Did you mean {near[0]}? {_where_else(near[0], name, known)}" if near else ""
    twin = f"{MOMENTUM}{name}"
    its_own = [twin] if option in TWIN and not name.startswith(MOMENTUM) else []
    having = [other for other in (*its_own, *EXAMPLES) if _has(other, option)]
    return f"The network {having[0]} has it." if having else ""


def _has(name: str, option: str) -> bool:
    known = name in MODELS or name.startswith(f"{MOMENTUM}{TORCHVISION}")
    return known and option in _known(name).accepted


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
    check_options(name, options)
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
    original = name.removeprefix(MOMENTUM)
    twin = f"{MOMENTUM}{original}"
    return twin if twin in MODELS or original.startswith(TORCHVISION) else None, original


def _known(name: Any) -> Model:
    if isinstance(name, str):
        if name in MODELS:
            return MODELS[name]
        if name.removeprefix(MOMENTUM).startswith(TORCHVISION):
            return _of_torchvision(name)
    raise invalid(
        "model",
        got=shown(name),
        expected=f"one of {', '.join(MODELS)}, or torchvision:NAME, momentum-torchvision:NAME",
        fix=did_you_mean(name, MODELS),
    )


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
    name: str,
    original: Callable[..., nn.Module],
    *sizes: int,
    gamma: Any,
    initial_velocity: Any,
    reversible: Any,
    **options: Any,
) -> nn.Module:
    from odemom.nn import transform

    network = original(*sizes, **options)
    try:
        return transform(
            network, gamma, initial_velocity=initial_velocity, reversible=reversible
        )  # fmt: skip
    except InvalidInputError as error:
        if str(error).startswith("gamma:"):
            raise InvalidInputError(
                f"{first_sentence(error)}. Take a simpler fraction, or --set reversible=false."
            ) from error
        if not str(error).startswith("model:"):
            raise
        raise invalid(
            "model",
            got=f"{MOMENTUM}{name}, of a network in which no residual block is known",
            expected=f"the twin of a ResNet or a Transformer, such as {MOMENTUM}{TORCHVISION}"
            "resnet50",
            fix=f"Without momentum: {name}.",
        ) from error


def _twin_of(name: str, model: Model) -> Model:
    accepted = {**TWIN, **model.accepted}
    return Model(f"momentum twin of {name}", accepted, partial(_twin, name, model.build))


def _of_torchvision(name: str) -> Model:
    """The entry of ``torchvision:NAME``, or of its twin."""
    from odemom.models.of_torchvision import check_name, network

    original = name.removeprefix(MOMENTUM)
    inner = original.removeprefix(TORCHVISION)
    check_name(inner)
    model = Model(f"torchvision's {inner}", {}, partial(network, inner))
    return _twin_of(original, model) if name.startswith(MOMENTUM) else model


def _table() -> dict[str, Model]:
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
    twins = {f"{MOMENTUM}{name}": _twin_of(name, model) for name, model in originals.items()}
    revnets = {
        f"revnet{depth}": Model(
            f"RevNet with the number of parameters of resnet{depth}",
            REVNET | (STEM if depth in DEPTHS else {}),
            partial(_revnet, depth),
        )
        for depth in (*SMALL_DEPTHS, *DEPTHS)
    }
    learnt = {
        f"learnt-momentum-resnet{depth}": Model(
            f"momentum twin of resnet{depth} that learns its gamma",
            LEARNT,
            partial(_learnt, depth),
        )
        for depth in SMALL_DEPTHS
    }
    others = {
        "odenet": Model("the ODE network of Figure 9", FIGURE_9, _ode_net),
        "odenet-digits": Model("two ODE blocks with adaptive steps", DIGITS, _digits_net),
    }
    return {**originals, **twins, **learnt, **revnets, **others}


MODELS: dict[str, Model] = _table()
"""The networks by name."""
