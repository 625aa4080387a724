"""The networks by name: their sizes against the published ones, and the twins against them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
import torchvision

from odemom import InvalidInputError
from odemom.models import MODELS, build_model, model_options
from odemom.nn import twin_report
from tests.nn.momentum_oracle import error

# He et al. 2016, Table 6 (0.27 M, 0.85 M, 1.7 M, 19.4 M), and torchvision's pages, 1,000 classes.
SMALL = {"resnet20": 0.27e6, "resnet56": 0.85e6, "resnet110": 1.7e6, "resnet1202": 19.4e6}
TORCHVISION = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}


def count(name, **options):
    with torch.device("meta"):
        return sum(p.numel() for p in build_model(name, **options).parameters())


def images(size=32, channels=3, batch=2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, channels, size, size, generator=generator, dtype=dtype)


def fresh(name, **options) -> Any:
    torch.manual_seed(0)
    return build_model(name, **options)


@pytest.mark.parametrize(
    "name", [n for n in MODELS if not n.endswith(("34", "101", "152", "110", "1202"))]
)
def test_every_model_maps_images_to_logits(name):
    model = fresh(name, in_channels=1, classes=7, image_size=16)
    assert model(images(16, 1)).shape == (2, 7)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n == "resnet1202" else []) for n in SMALL],
)
def test_small_resnets_have_the_published_size(name):
    assert count(name) == pytest.approx(SMALL[name], rel=0.02)


# ResNet-34 and 101 are 18 and 50 with more of the same blocks.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow if n[6:] in ("34", "101") else [])
        for n in TORCHVISION
    ],
)
def test_large_resnets_have_torchvisions_parameters(name):
    original = getattr(torchvision.models, name)
    assert count(name, classes=1000, stem="imagenet") == TORCHVISION[name]
    with torch.device("meta"):
        expected = original().state_dict()
        found = build_model(name, classes=1000, stem="imagenet").state_dict()
        twin = build_model(f"momentum-{name}", classes=1000, stem="imagenet").state_dict()
    shapes = {key: value.shape for key, value in expected.items()}
    assert {key: value.shape for key, value in found.items()} == shapes
    assert {key: value.shape for key, value in twin.items()} == shapes


def test_the_cifar_form_of_resnet_18_has_the_known_size():
    assert count("resnet18") == 11_173_962


@pytest.mark.parametrize(
    "depth",
    [20, 110, 18, 50, *(pytest.param(d, marks=pytest.mark.slow) for d in (56, 1202, 34, 101, 152))],
)
def test_revnets_have_the_parameters_of_the_resnet_up_to_five_percent(depth):
    assert count(f"revnet{depth}") == pytest.approx(count(f"resnet{depth}"), rel=0.05)


@pytest.mark.parametrize(
    ("name", "velocity"),
    [
        ("resnet20", "zero"), ("resnet20", "field"), ("resnet18", "zero"), ("resnet50", "field"),
        ("vit-tiny", "zero"), ("vit-tiny", "field"),
    ],
)  # fmt: skip
def test_a_twin_without_momentum_is_the_network_bit_for_bit(name, velocity):
    x = images(16)
    expected = fresh(name, image_size=16)(x)
    twin = fresh(f"momentum-{name}", image_size=16, gamma=0, initial_velocity=velocity)
    assert torch.equal(twin(x), expected)


@pytest.mark.parametrize("name", ["momentum-resnet20", "momentum-vit-tiny"])
@pytest.mark.parametrize("velocity", ["zero", "field"])
@pytest.mark.parametrize("reversible", [True, "auto"])
def test_gradients_of_reversible_twins_are_those_of_plain_ones(name, velocity, reversible):
    found, expected = (
        gradients(name, image_size=16, initial_velocity=velocity, reversible=kind)
        for kind in (reversible, False)
    )
    assert error(found, expected) <= 1e-7


@pytest.mark.parametrize("name", ["revnet20", "revnet18"])
def test_gradients_of_reversible_revnets_are_those_of_plain_ones(name):
    found, expected = (gradients(name, reversible=kind) for kind in (True, False))
    assert error(found, expected) <= 1e-7


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_of_reversible_ode_networks_are_those_of_autograd(order):
    found, expected = (
        gradients("odenet", blocks=3, order=order, method="reversible_rk4", gradient=way)
        for way in ("reversible", "backprop")
    )
    assert error(found, expected) <= 1e-9


def gradients(name, **options):
    """Of a network with single-precision weights, in double precision."""
    model = fresh(name, **options).double()
    size = options.get("image_size", 16)
    if name == "odenet":
        size = 32
    model(images(size, dtype=torch.float64)).square().mean().backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def test_rows_of_a_twin_are_the_blocks_that_keep_their_shape():
    twin = fresh("momentum-resnet20", initial_velocity="field")
    twin(images())
    assert [row.layers for row in twin_report(twin).rows] == [3, 2, 2]


def test_velocity_from_the_field_is_another_network():
    zero, field = (
        fresh("momentum-resnet20", initial_velocity=velocity).eval()(images())
        for velocity in ("zero", "field")
    )
    assert not torch.allclose(zero, field, atol=1e-3)


def test_a_gamma_that_is_learnt_starts_as_the_twin_and_has_a_gradient():
    twin = fresh("momentum-resnet20", gamma=0.9, reversible=False)
    learnt = fresh("learnt-momentum-resnet20", gamma=0.9)
    y = learnt(images())
    assert torch.allclose(y, twin(images()), rtol=1e-3, atol=1e-4)
    y.square().sum().backward()
    assert learnt.logit.grad.abs() > 0


def test_no_block_leaves_the_head_on_the_downsampled_image():
    model = fresh("odenet", blocks=0, channels=2)
    x = images()
    assert torch.equal(model(x), model.head(model.down(x).flatten(1)))
    assert model.nfe == 0
    assert count("odenet", blocks=0, channels=2) == (3 * 16 + 1) * 2 + 4 + (2 * 64 + 1) * 10


def test_the_ode_network_takes_one_step_of_rk4_a_block():
    model = fresh("odenet", channels=4, gradient="backprop")
    model(images())
    assert model.nfe == 40
    assert model_options("odenet")["gradient"] == "reversible"


def test_the_model_for_digits_is_the_former_one():
    from odemom.models.ode_net import ODENet

    torch.manual_seed(0)
    expected = ODENet(1, 10, width=8, order=1, rtol=1e-3, atol=1e-3)(images(8, 1))
    model = fresh("odenet-digits", in_channels=1, image_size=8, width=8, order=1)
    assert torch.equal(model(images(8, 1)), expected)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("resnet21", {}, "Did you mean resnet20"),
        (18, {}, "model"),
        ("momentum-resnet20", {"gama": 0.9}, "Did you mean gamma"),
        ("resnet20", {"gamma": 0.9}, "no options"),
        ("momentum-resnet20", {"gamma": 1.5}, "gamma"),
        ("momentum-resnet20", {"initial_velocity": 1}, "initial_velocity"),
        ("learnt-momentum-resnet20", {"gamma": 1}, "gamma"),
        ("resnet18", {"stem": "mnist"}, '"cifar" or "imagenet"'),
        ("revnet20", {"width": 21}, "even"),
        ("vit-tiny", {"patch": 5}, "divisor"),
        ("vit-tiny", {"heads": 5}, "heads"),
        ("vit-tiny", {"depth": 0}, "depth"),
        ("odenet", {"channels": 0}, "channels"),
        ("odenet", {"stride": 5}, "divisor"),
        ("odenet", {"head": "round"}, "flat"),
        ("odenet", {"order": 3}, "order"),
        ("odenet", {"steps": 0}, "steps"),
        ("odenet", {"method": "rk5"}, "method"),
        ("resnet20", {"classes": 1}, "classes"),
        ("resnet20", {"in_channels": 0}, "in_channels"),
        ("vit-tiny", {"image_size": 0}, "image_size"),
    ],
)
def test_what_is_refused(name, options, said):
    with pytest.raises(InvalidInputError, match=said):
        build_model(name, **options)


def test_the_table_loads_no_torch():
    code = "import sys, odemom.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
