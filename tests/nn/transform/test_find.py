"""Which modules are taken for residual blocks, and what the twin says of those that are none."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from odemom.errors import InvalidInputError
from odemom.nn import transform, twin_report
from odemom.nn.transform.find import Spot, blocks_found

GAMMA = 0.9
MODES = [False, True, "auto"]


class Block(nn.Module):
    """A known name: x -> x + tanh(A x + b)."""

    def __init__(self, width: int = 4, out: int | None = None):
        super().__init__()
        self.linear = nn.Linear(width, out or width)

    def forward(self, x: Tensor) -> Tensor:
        f = torch.tanh(self.linear(x))
        return x + f if f.shape == x.shape else f


def named(name: str, library: str = "", base: type[nn.Module] = Block, **attributes: Any) -> Any:
    """A class of blocks with a name, as if it stood in a library."""
    return type(name, (base,), {"__module__": library or __name__, **attributes})


class Plain(nn.Module):
    """A module with an unknown name."""

    def __init__(self, width: int = 4):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.linear(x))


class GradientCheckpointingLayer(Plain):
    """Named as the base class of transformers."""


def names(model: nn.Module) -> list[str]:
    return [spot.name for spot in blocks_found(model)]


def momentum(blocks: Any, x: Tensor) -> Tensor:
    v: Any = 0
    for block in blocks:
        v = GAMMA * v + (1 - GAMMA) * (block(x) - x)
        x = x + v
    return x


def sample() -> Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "library", "known"),
    [
        ("Block", "mine", True),
        ("ConvBlock", "timm.models.edgenext", True),
        ("ConvBlock", "mine", False),
        ("EncoderLayer", "transformers.models.ctrl.modeling_ctrl", True),
        ("EncoderLayer", "mine", False),
        ("_InvertedResidual", "torchvision.models.mnasnet", True),
        ("InvertedResidual", "torchvision.models.mobilenetv2", True),
        ("InvertedResidual", "torchvision.models.shufflenetv2", False),
        ("Block", "timm.models.tnt", False),
    ],
)
def test_a_name_counts_where_it_means_a_residual_block(name, library, known):
    kind = named(name, library, base=Plain)
    assert bool(names(nn.Sequential(kind(), kind()))) is known


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("SomeDecoderLayer", True),
        ("SomeBlock", True),
        ("SomeStage", False),
        ("SomeLayerNormConvLayer", False),
        ("SomeDepthwiseSeparableConvLayer", False),
        ("MobileViTLayer", False),
    ],
)
def test_checkpointable_layers_of_transformers_but_no_stages_and_no_feature_extractors(name, known):
    kind = named(name, base=GradientCheckpointingLayer)
    assert bool(names(nn.ModuleList([kind(), kind()]))) is known


def test_a_stage_is_looked_into_even_of_a_known_base():
    class SomeLayer(GradientCheckpointingLayer):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([Block(), Block()])

    assert names(nn.ModuleList([SomeLayer()])) == ["0.layers.0", "0.layers.1"]


# --- lists ---------------------------------------------------------------------------------------


def test_sequentials_in_a_sequential_are_one_list_and_other_modules_leave_a_gap():
    model = nn.Sequential(nn.Sequential(Block(), Block()), nn.Sequential(Block(), Plain(), Block()))
    assert blocks_found(model) == [
        Spot("", "0.0", 0, 3),
        Spot("", "0.1", 1, 2),
        Spot("", "1.0", 2, 1),
        Spot("", "1.2", 4, 1),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_the_velocity_goes_on_from_stage_to_stage(mode):
    model = nn.Sequential(nn.Sequential(Block(), Block()), nn.Sequential(Block(), Block())).double()
    twin = transform(model, GAMMA, reversible=mode)
    blocks = [block for stage in model.children() for block in stage.children()]
    assert torch.allclose(twin(sample()), momentum(blocks, sample()))
    assert [row.layers for row in twin_report(twin).rows] == [4]


def test_nothing_is_said_of_blocks_with_another_module_between_them():
    model = nn.Sequential(Block(), Block(), Plain(), Block(), Block()).double()
    twin = transform(model, GAMMA)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twin(sample())
    assert [row.layers for row in twin_report(twin).rows] == [2, 2]


class Stage(nn.Module):
    """Blocks as attributes, as in the regnets of timm."""

    def __init__(self):
        super().__init__()
        self.b1, self.b2, self.b3 = Block(), Block(), Block()

    def forward(self, x: Tensor) -> Tensor:
        for block in self.children():
            x = block(x)
        return x


class Getter(nn.ModuleDict):
    """A dict that is called, as the backbones of torchvision's segmentation."""

    def forward(self, x: Tensor) -> Tensor:
        for block in self.values():
            x = block(x)
        return x


@pytest.mark.parametrize(
    ("make", "before"),
    [
        (Stage, 0),
        (lambda: Getter({"stem": Plain(), "a": Block(), "b": Block(), "c": Block()}), 1),
    ],
)
def test_blocks_that_are_attributes_or_entries_of_a_dict(make: Callable[[], Any], before: int):
    model = make().double()
    parts = list(model.children())
    twin = transform(model, GAMMA)
    x = sample() if before == 0 else parts[0](sample())
    assert torch.allclose(twin(sample()), momentum(parts[before:], x))
    assert [row.layers for row in twin_report(twin).rows] == [3]


# --- blocks that add nothing ---------------------------------------------------------------------


class MaySkipBlock(Block):
    def __init__(self, **attributes: Any):
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.linear(x))


class Projected(Block):
    def __init__(self):
        super().__init__()
        self.downsample = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(x) + torch.tanh(self.linear(x))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rest", ["checkpoint", "keep"])
@pytest.mark.parametrize(
    "lacking",
    [
        lambda: MaySkipBlock(has_skip=False),
        lambda: MaySkipBlock(use_res_connect=False),
        lambda: MaySkipBlock(no_skip=True),
        Projected,
    ],
    ids=["has_skip", "use_res_connect", "no_skip", "projection"],
)
def test_a_block_that_says_it_does_not_add_its_input_joins_no_row(lacking, mode, rest):
    model = nn.Sequential(Block(), Block(), lacking(), Block(), Block()).double()
    twin = transform(model, GAMMA, reversible=mode, rest=rest)
    blocks: Any = list(model)

    def definition(x: Tensor) -> Tensor:
        return momentum(blocks[3:], blocks[2](momentum(blocks[:2], x)))

    expected = torch.autograd.grad(definition(sample()).sum(), list(model.parameters()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = torch.autograd.grad(twin(sample()).sum(), list(twin.parameters()))
    assert all(torch.allclose(a, b) for a, b in zip(found, expected, strict=True))
    assert twin_report(twin).alone == {"2": "it does not add its input to its value"}


def test_lists_named_by_the_user_are_taken_as_they_are():
    model = nn.Sequential(*(MaySkipBlock(has_skip=False) for _ in range(3))).double()
    twin = transform(model, GAMMA, layers=[""])
    assert torch.allclose(twin(sample()), momentum(list(model), sample()))


def test_a_model_in_which_no_block_adds_its_input_is_refused():
    model = nn.Sequential(*(MaySkipBlock(has_skip=False) for _ in range(3)))
    with pytest.raises(InvalidInputError, match="whose blocks do not add their inputs"):
        transform(model, GAMMA)


@pytest.mark.parametrize("mode", MODES)
def test_a_twin_without_a_row_says_so_once(mode):
    model = nn.Sequential(Block(4, 6), Block(6, 5), Block(5, 4)).double()
    twin = transform(model, GAMMA, reversible=mode)
    with pytest.warns(UserWarning, match="it is no momentum network"):
        found = twin(sample())
    assert torch.equal(found, model(sample()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twin(sample())


def test_nothing_is_said_of_one_block_that_is_called_again_and_again():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.group = nn.ModuleList([Block()])

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(4):
                x = self.group[0](x)
            return x

    twin = transform(Shared().double(), GAMMA)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twin(sample())
    assert [row.layers for row in twin_report(twin).rows] == [4]


# --- two states ----------------------------------------------------------------------------------


class TwoStates(nn.Module):
    def __init__(self, *, changes: bool):
        super().__init__()
        self.blocks = nn.ModuleList(Pair(changes=changes) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        other: Tensor | None = None
        for block in self.blocks:
            x, other = block(x, other)
        assert other is not None
        return x + other


class Pair(Block):
    def __init__(self, *, changes: bool):
        super().__init__()
        self.changes = changes

    def forward(self, x: Tensor, other: Tensor | None = None) -> Any:
        given = torch.sin(x) if other is None else other
        return super().forward(x) + given, given + x if self.changes else given


@pytest.mark.parametrize("mode", MODES)
def test_blocks_that_move_two_states_are_refused(mode):
    """Momentum of the first alone would be another network, in silence."""
    twin = transform(TwoStates(changes=True).double(), GAMMA, reversible=mode)
    with pytest.raises(InvalidInputError, match=r"blocks.1 \(Pair\): got a second state"):
        twin(sample())


@pytest.mark.parametrize("mode", MODES)
def test_a_further_value_may_be_handed_on(mode):
    model: Any = TwoStates(changes=False).double()
    twin = transform(model, GAMMA, reversible=mode)
    given = torch.sin(sample())
    steps = [lambda x, b=block: b(x, given)[0] for block in model.blocks]
    assert torch.allclose(twin(sample()), momentum(steps, sample()) + given)
