"""Options of the networks: every default is one, and what is none is refused by name."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from odemom import InvalidInputError
from odemom.models import MODELS, build_model
from odemom.models.options import check_values
from odemom.models.table import check_options
from odemom.nn.ode.checks import METHODS
from odemom.training import TrainingConfig
from odemom.training.presets import configured, parsed_options, refuse_idle_mass

LIGHT = ("resnet20", "momentum-resnet20", "learnt-momentum-resnet20", "revnet20", "odenet")


def built(name, **options):
    return build_model(name, in_channels=3, classes=3, image_size=8, **options)


@pytest.mark.parametrize("name", MODELS)
def test_every_default_is_a_value_of_its_option(name):
    check_options(name, MODELS[name].options)
    check_values(MODELS[name].accepted, MODELS[name].options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("momentum-resnet20", {"gamma": 1.0}, r"gamma: got 1\.0; .*\[0, 1\)\. At 1 the velocity"),
        ("momentum-resnet20", {"gamma": -0.1}, r"gamma: got -0\.1; expected a number in \[0, 1\)"),
        ("momentum-resnet20", {"gamma": True}, "gamma: got True"),
        ("momentum-resnet20", {"gamma": "much"}, "gamma: got 'much'"),
        ("momentum-resnet20", {"reversible": "yes"}, "got 'yes'; expected true, false or \"auto\""),
        ("momentum-resnet20", {"reversible": 1}, "reversible: got 1; expected true"),
        ("momentum-resnet18", {"stem": "small"}, "stem: got 'small'; expected \"cifar\" or"),
        ("learnt-momentum-resnet20", {"gamma": 0}, r"got 0; expected a number in \(0, 1\), from"),
        ("revnet20", {"width": 7}, "width: got 7; expected an even integer > 0, or null"),
        ("revnet20", {"reversible": "auto"}, "got 'auto'; expected true or false"),
        ("vit-tiny", {"heads": 0}, "heads: got 0; expected an integer >= 1"),
        ("vit-tiny", {"depth": 2.0}, r"depth: got 2\.0; expected an integer >= 1"),
        ("odenet", {"order": 3}, "order: got 3; expected 1 or 2"),
        ("odenet", {"order": True}, "order: got True; expected 1 or 2"),
        ("odenet", {"eps": 0}, r"eps: got 0; expected a number in \(0, inf\].* order 1"),
        ("odenet", {"eps": "-1"}, "eps: got '-1'"),
        ("odenet", {"eps": float("nan")}, "eps: got nan"),
        ("odenet", {"initial_velocity": "up"}, 'got \'up\'; expected "zero" or "field"'),
        ("odenet", {"gradient": None}, 'got None; expected "reversible", "adjoint" or "backprop"'),
        ("odenet", {"method": 4}, "method: got 4; expected the name of a solver"),
        ("odenet", {"head": "round"}, 'head: got \'round\'; expected "flat" or "mean"'),
        ("odenet-digits", {"width": 12}, "width: got 12; expected a multiple of 8"),
        ("odenet-digits", {"rtol": float("inf")}, "rtol: got inf; expected a finite number > 0"),
        ("odenet", {"blokcs": 0}, "blokcs: got 0 for the network odenet.* Did you mean blocks"),
        ("odenet", {"adjoint": True}, r"has it as gradient=adjoint\.$"),
        ("resnet20", {"gamma": 0.5}, r"no options\. The network momentum-resnet20 has it\.$"),
        ("torchvision:resnet18", {"gamma": 0.5}, "network momentum-torchvision:resnet18 has it"),
        ("odenet", {"gamma": 0.5}, "The network momentum-resnet20 has it"),
        ("odenet", {"stem": "imagenet"}, "The network resnet18 has it"),
        ("resnet20", {"gama": 0.5}, r"Did you mean gamma\? The network momentum-resnet20 has it"),
        ("momentum-resnet20", {"order": 1}, "The network odenet has it"),
        ("resnet20", {"heads": 2}, "The network vit-tiny has it"),
        ("resnet20", {"xyz": 2}, r"xyz: got 2 for the network resnet20; .* no options\.$"),
    ],
)
def test_what_is_no_option_or_no_value_is_refused_early_and_late(name, options, message):
    with pytest.raises(InvalidInputError, match=message):
        check_options(name, options)
    with pytest.raises(InvalidInputError, match=message):
        built(name, **options)
    with pytest.raises(InvalidInputError, match=message):
        configured(None, name, options, {})


def test_numbers_of_numpy_are_numbers():
    check_options("odenet", {"channels": np.int64(4), "eps": np.float32(0.5)})
    check_options("momentum-resnet20", {"gamma": np.float64(0.5)})
    with pytest.raises(InvalidInputError, match="channels: got"):
        check_options("odenet", {"channels": np.float64(4)})


@cache
def values_of(name):
    """Values of the options, some of each kind."""
    choices = [True, False, None, "auto", "zero", "field", "cifar", "imagenet", "flat", "mean"]
    choices += ["reversible", "adjoint", "backprop", 0, 0.5, 1, 2, 8, "1/2", "inf", -1]
    return [
        (option, value)
        for option, known in MODELS[name].accepted.items()
        for value in (METHODS if option == "method" else choices)
        if known.holds(value)
    ]


@pytest.mark.parametrize("name", LIGHT)
def test_what_an_option_may_be_is_built(name):
    """But for what hangs on another option, which the network refuses by its name."""
    refused = []
    for option, value in values_of(name):
        try:
            built(name, **{option: value})
        except InvalidInputError:
            refused.append((option, value))
    # A reversible gradient wants a scheme that has one, a start from the field a finite mass.
    assert {option for option, _ in refused} <= {"method"}
    assert {value for _, value in refused} <= set(METHODS)


def test_settings_of_the_training_are_pointed_to():
    for name, value, flag in (
        ("epochs", 3, "--epochs"),
        ("lr", 0.1, "--lr"),
        ("channels_last", True, "--channels-last"),
        ("deterministic", False, "--no-deterministic"),
    ):
        message = rf"{name}: got {value} among the options of .*On the command line: {flag}\.$"
        with pytest.raises(InvalidInputError, match=message):
            configured(None, "resnet20", {name: value}, {})
    with pytest.raises(
        InvalidInputError, match=r"settings of the training\. It is a setting in Python and"
    ):
        configured(None, "resnet20", {"validation": 0.2}, {})


def test_a_configuration_refuses_what_its_network_would():
    with pytest.raises(InvalidInputError, match=r"gamma: got 1\.0"):
        TrainingConfig(model="momentum-resnet20", model_options={"gamma": 1.0})
    with pytest.raises(InvalidInputError, match=r"eps: got 0\.0"):
        TrainingConfig(eps=0)


def test_words_of_json_and_of_python_are_read():
    assert parsed_options(["gradient = adjoint", "blocks= 2"]) == {
        "gradient": "adjoint",
        "blocks": 2,
    }
    asked = ["a=True", "b=true", "c=False", "d=None", "e=null", "f=0.5", "g=inf", "h=auto"]
    assert parsed_options(asked) == {
        "a": True, "b": True, "c": False, "d": None, "e": None, "f": 0.5, "g": "inf", "h": "auto"
    }  # fmt: skip


def test_a_gamma_without_a_fraction_is_refused_by_what_may_be_taken():
    gamma = 0.9999999999999999
    with pytest.raises(
        InvalidInputError, match=r"Take a simpler fraction, or --set reversible=fal"
    ):
        built("momentum-resnet20", gamma=gamma)
    built("momentum-resnet20", gamma=gamma, reversible=False)


def test_numbers_spelt_as_text_are_those_numbers():
    def config(**options):
        return TrainingConfig(model="odenet", model_options=options)

    assert config(eps="1/2") == config(eps=0.5)
    assert config(eps="inf").to_dict() == config(eps=float("inf")).to_dict()


def test_a_mass_beside_first_order_is_refused():
    with pytest.raises(InvalidInputError, match=r"eps: got 0\.5 beside order 1"):
        refuse_idle_mass({"order": 1, "eps": 0.5})
    refuse_idle_mass({"order": 1})
    refuse_idle_mass({"order": 2, "eps": 0.5})
    refuse_idle_mass({"eps": 0.5})


def test_a_twin_of_a_network_without_residual_blocks_is_named():
    message = r"model: got momentum-torchvision:vgg11, .* Without momentum: torchvision:vgg11\.$"
    with pytest.raises(InvalidInputError, match=message):
        build_model("momentum-torchvision:vgg11", classes=3, image_size=32)
