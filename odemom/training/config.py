"""What a training is asked to do."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from odemom.checks import (
    as_eps,
    as_initial_velocity,
    as_integer,
    as_number,
    expect,
    invalid,
    nearest_double,
    shown,
)
from odemom.data.names import AUGMENTATIONS, FOLDER, NAMES_OF_DATA, check_data, placed
from odemom.models.table import check_options, model_options, plain_options
from odemom.records import from_json, jsonable

__all__ = ["DIGITS_MODEL", "OF_DIGITS", "TrainingConfig"]

ACCELERATORS = ("auto", "cpu", "gpu", "mps")
OPTIMIZERS = ("adamw", "sgd")
PRECISIONS = ("32", "bf16-mixed")
STRATEGIES = ("auto", "ddp")
DIGITS_MODEL = "odenet-digits"
# Fields that are options of the network for digits; those of others stand in model_options.
OF_DIGITS = ("order", "eps", "initial_velocity", "width", "method", "rtol", "atol", "adjoint")
# Fields that say where the images lie; which they are, the digest in a checkpoint says.
NOT_COMPARED = ("data", "root", "cuda_graph")  # places, and how the same steps are started
POSITIVE = ("a finite number > 0", math.ulp(0.0), math.inf)
SHARE = ("a number in [0, 1)", 0.0, 1.0)
NUMBERS = {
    "learning_rate": POSITIVE,
    "rtol": POSITIVE,
    "atol": POSITIVE,
    "weight_decay": ("a finite number >= 0", 0.0, math.inf),
    "label_smoothing": SHARE,
    "validation": SHARE,
}
"""In words, the least, and the first that is too large."""
COUNTS = {
    "epochs": 1,
    "batch_size": 1,
    "width": 8,
    "seed": 0,
    "threads": 1,
    "devices": 1,
    "num_nodes": 1,
    "checkpoint_steps": 0,
}
MOST = {"seed": 2**32 - 1, "threads": 1024, "image_size": 4096}
"""Of those that NumPy, OpenMP or the memory would not survive."""
SWITCHES = ("adjoint", "compile", "cuda_graph", "channels_last", "deterministic")


@dataclass(frozen=True)
class TrainingConfig:
    """A training, in full: equal configurations on the same machine give equal weights.

    Parameters
    ----------
    model : str, default "odenet-digits"
        A name of `odemom.models.MODELS`.
    model_options : mapping
        The options of that network: see `odemom.models.model_options`. Those of odenet-digits are
        the fields ``order``, ``eps``, ``initial_velocity``, ``width``, ``method``, ``rtol``,
        ``atol`` and ``adjoint`` here.
    data : str
        The images: see `odemom.data.images.load_images`, as for ``root``, ``limit``, ``validation``
        and ``image_size``. Of a folder, as of ``root``, the absolute path is kept.
    root : str, optional
        Where data lie, or are decoded to.
    limit : int, optional
        Training images to take.
    validation : float, default 0.1
        The share kept for validation.
    image_size : int, optional
        Height and width to which images of a folder are brought.
    augment : {"none", "flip", "crop+flip"} or bool
        Of the training images: see `odemom.data.batches.augmented`. True is ``"crop+flip"``, False
        ``"none"``.
    order : {2, 1}
        The order of the ODE blocks.
    eps : number, default 1.0
        The mass, in (0, inf]; first-order networks do not use it.
    initial_velocity : {"zero", "field"}
        See `ODEBlock`; first-order networks take ``"zero"``.
    width : int, default 24
        Channels of the first stage, a multiple of 8.
    epochs, batch_size : int
        Passes through the training images, and images per step and device. What is left of a pass,
        less than a batch, is left out; images are in another order in each pass.
    optimizer : {"adamw", "sgd"}
        SGD is with Nesterov's momentum of 0.9.
    learning_rate : float
        The peak of the one-cycle schedule, which spans all epochs.
    weight_decay : float
    label_smoothing : float, default 0.0
        In [0, 1), of the training loss.
    seed : int
        Of the splits, the initial weights, the order of the images and their augmentation.
    method, rtol, atol, adjoint
        See `ODEBlock`. Fixed-step methods take a step of a tenth of the horizon.
    precision : {"32", "bf16-mixed"}
    compile : bool, default False
        Compile the network with `torch.compile`.
    cuda_graph : bool, default False
        Replay the network's passes as CUDA graphs, on one GPU and instead of ``compile``: faster
        where the processor is too slow to start every kernel. Functions of reversible networks
        must not draw random numbers then.
    channels_last : bool, default False
        The memory format of weights and images; faster for convolutions on GPUs.
    deterministic : bool, default True
        Only algorithms that give equal results again; without it a GPU searches for the fastest.
    checkpoint_steps : int, default 0
        Also keep the state every so many steps; 0: at the end of every epoch only.
    accelerator : {"auto", "cpu", "gpu", "mps"}
        What Lightning trains on.
    devices, num_nodes : int, default 1
        Processes, one per device, on each of so many machines.
    strategy : {"auto", "ddp"}
        How the processes share the work.
    threads : int, default 1
        Threads of PyTorch on the CPU. The tensors are small: a second thread gains a third at most,
        and on a machine that has other work the threads wait for each other many times as long.

    Raises
    ------
    InvalidInputError
        If a value is outside its domain.

    Examples
    --------
    >>> TrainingConfig(order=1, seed=3).eps
    1.0
    >>> TrainingConfig(model="odenet", model_options={"channels": 4}).options["channels"]
    4
    """

    data: str = "digits"
    order: Literal[1, 2] = 2
    eps: Any = 1.0
    initial_velocity: Literal["zero", "field"] = "zero"
    width: int = 24
    epochs: int = 15
    batch_size: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    seed: int = 0
    method: str = "dopri5"
    rtol: float = 1e-3
    atol: float = 1e-3
    adjoint: bool = False
    accelerator: str = "auto"
    threads: int = 1
    model: str = DIGITS_MODEL
    model_options: Any = ()
    root: str | None = None
    limit: int | None = None
    validation: float = 0.1
    image_size: int | None = None
    augment: Any = "none"
    optimizer: str = "adamw"
    label_smoothing: float = 0.0
    precision: str = "32"
    compile: bool = False
    cuda_graph: bool = False
    channels_last: bool = False
    deterministic: bool = True
    checkpoint_steps: int = 0
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"

    def __post_init__(self) -> None:
        check_data(self.data)
        object.__setattr__(self, "data", placed(self.data))
        if isinstance(self.augment, bool):
            object.__setattr__(self, "augment", AUGMENTATIONS[-1 if self.augment else 0])
        for name, known in (
            ("order", (1, 2)),
            ("accelerator", ACCELERATORS),
            ("optimizer", OPTIMIZERS),
            ("augment", AUGMENTATIONS),
            ("precision", PRECISIONS),
            ("strategy", STRATEGIES),
        ):
            _one_of(name, getattr(self, name), known)
        as_initial_velocity(self.initial_velocity)
        for name, least in COUNTS.items():
            as_integer(getattr(self, name), name, least)
        for name in ("limit", "image_size"):
            if getattr(self, name) is not None:
                as_integer(getattr(self, name), name, 1)
        for name, most in MOST.items():
            value = getattr(self, name)
            expected = f"an integer of at most {most}"
            expect(value is None or value <= most, name, got=shown(value), expected=expected)
        for name in SWITCHES:
            _one_of(name, getattr(self, name), (True, False))
        expect(self.width % 8 == 0, "width", got=str(self.width), expected="a multiple of 8")
        if self.cuda_graph:
            self._check_graph()
        plain: dict[str, Any] = {name: _number(name, getattr(self, name)) for name in NUMBERS}
        plain["eps"] = float(as_eps(self.eps))
        plain["root"] = None if self.root is None else str(Path.cwd() / str(self.root))
        # Plain numbers and plain text, so that configurations compare and go through JSON.
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        self._check_model()

    def _check_graph(self) -> None:
        expect(
            self.accelerator in ("auto", "gpu"),
            "cuda_graph",
            got=f"True on {self.accelerator!r}",
            expected="a training on an NVIDIA GPU",
            fix="Train without: --no-cuda-graph.",
        )
        expect(
            self.model != DIGITS_MODEL,
            "cuda_graph",
            got=f"True for {DIGITS_MODEL}, whose solver looks at every step",
            expected="another network; odenet has fixed steps",
            fix="Train it without: --no-cuda-graph.",
        )
        expect(
            self.devices * self.num_nodes == 1,
            "cuda_graph",
            got=f"True for {self.devices * self.num_nodes} processes",
            expected="a training in one process",
        )
        expect(
            not self.compile,
            "cuda_graph",
            got="True beside compile=True",
            expected="one of the two",
            fix="With the preset for GPUs: --no-compile.",
        )

    def _check_model(self) -> None:
        given = _pairs(self.model_options)
        given = check_options(self.model, given)
        if self.model == DIGITS_MODEL:
            expect(
                not given,
                "model_options",
                got=f"{shown(given)} for {DIGITS_MODEL}",
                expected=f"its options as fields: {', '.join(OF_DIGITS)}",
            )
            check_options(self.model, self.options)
        else:
            for name in OF_DIGITS:
                expect(
                    getattr(self, name) == DEFAULTS[name],
                    name,
                    got=f"{shown(getattr(self, name))} beside the network {self.model}",
                    expected="the options of that network in model_options",
                )
        pairs = jsonable({name: given[name] for name in sorted(given)}, "model_options")
        object.__setattr__(self, "model_options", tuple(pairs.items()))

    @property
    def options(self) -> dict[str, Any]:
        """The options of the network that are not its defaults, for `odemom.models.build_model`."""
        if self.model != DIGITS_MODEL:
            return dict(self.model_options)
        # A first-order equation has no mass.
        names = [name for name in OF_DIGITS if name != "eps" or self.order == 2]
        return {name: getattr(self, name) for name in names}

    def differences(self, saved: Mapping[str, Any]) -> list[str]:
        """What a saved configuration (see `to_dict`) has otherwise, in words, places aside.

        Fields that it does not have are those of an older version: they have their defaults.
        """
        asked = self.to_dict()
        saved = {**type(self)().to_dict(), **saved}
        if saved["model"] == self.model and isinstance(saved["model_options"], Mapping):
            plain = plain_options(self.model, saved["model_options"])
            saved["model_options"] = jsonable(plain, "model_options")
        return [
            f"{name} = {saved.get(name)!r}, not {asked.get(name)!r}"
            for name in dict.fromkeys([*asked, *saved])
            if saved.get(name) != asked.get(name) and name not in NOT_COMPARED
        ]

    def to_dict(self) -> dict[str, Any]:
        """The fields in the types of JSON."""
        return jsonable(self, "config") | {"model_options": dict(self.model_options)}

    def in_force(self) -> dict[str, Any]:
        """The settings that act, in the types of JSON: of the options those of the network, all.

        Examples
        --------
        >>> found = TrainingConfig(model="resnet18").in_force()
        >>> found["model_options"], "rtol" in found
        ({'stem': 'cifar'}, False)
        """
        fields = self.to_dict()
        if self.model == DIGITS_MODEL:
            return fields
        options = jsonable({**model_options(self.model), **self.options}, "model_options")
        return {n: v for n, v in fields.items() if n not in OF_DIGITS} | {"model_options": options}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TrainingConfig:
        """The inverse of `to_dict`; whether a folder of images is still there does not matter."""
        data = fields.get("data", "digits")
        known = {**fields}
        if isinstance(data, str) and data not in ("", *NAMES_OF_DATA):
            known["data"] = f"{FOLDER}{data.removeprefix(FOLDER)}"
        return from_json(cls, known, "config")


DEFAULTS = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}


def _pairs(options: Any) -> dict[str, Any]:
    try:
        return dict(options)
    except (TypeError, ValueError):
        raise invalid(
            "model_options", got=shown(options), expected="a mapping of names to values"
        ) from None


def _one_of(name: str, value: Any, known: tuple[Any, ...]) -> None:
    fits = any(type(value) is type(entry) and value == entry for entry in known)
    expect(fits, name, got=shown(value), expected="one of " + ", ".join(map(repr, known)))


def _number(name: str, value: Any) -> float:
    expected, least, below = NUMBERS[name]
    number = nearest_double(as_number(value, name, expected))
    expect(least <= number < below, name, got=shown(value), expected=expected)
    return number
