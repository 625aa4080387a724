"""What a second call saves of layer norms is their input alone; the gradients are the same bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from odemom.nn import MomentumNet, transform
from odemom.nn.recompute import trajectory
from odemom.nn.recompute.norms import norm_constants, norms_computed_again
from odemom.nn.reversible import InformationBuffer

CPU = torch.device("cpu")
WIDTH = 64


class Uses(nn.Module):
    """A product of a norm's value in a given layout."""

    def __init__(self, layout, **options):
        super().__init__()
        self.layout, self.norm = layout, nn.LayerNorm(WIDTH, **options)
        self.last = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        value = self.layout(self.norm(x))
        self.made = StorageWeakRef(value.untyped_storage())
        return self.last(value)


LAYOUTS = {
    "as it is": lambda y: y,
    "flat": lambda y: y.flatten(0, 1),
    "transposed": lambda y: y.transpose(0, 1).contiguous(),
    "from the end": lambda y: y.transpose(-3, 1).contiguous(),
    "permuted": lambda y: y.permute(1, -3, 2).reshape(-1, WIDTH),
    "moved": lambda y: y.movedim(0, 1).contiguous().view(1, -1, WIDTH),
}


def gradients(function, x, *, again):
    inputs = [x, *function.parameters()]
    with norms_computed_again(norm_constants(function.modules()) if again else (), CPU):
        value = function(x)
    kept = not function.made.expired()
    return torch.autograd.grad(value.square().sum(), inputs), kept


def alike(ones, others):
    return all(torch.equal(one, other) for one, other in zip(ones, others, strict=True))


@pytest.mark.parametrize(
    "options", [{}, {"eps": 0.1}, {"bias": False}, {"elementwise_affine": False}]
)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_the_value_is_not_kept_and_the_gradients_are_the_same(layout, options):
    torch.manual_seed(0)
    function, x = Uses(layout, **options), torch.randn(16, 32, WIDTH, requires_grad=True)
    usual, kept = gradients(function, x, again=False)
    assert kept
    spared, kept = gradients(function, x, again=True)
    assert not kept
    assert alike(usual, spared)


def other_axes(y: Tensor) -> Tensor:
    return y.permute(2, 1, 0).reshape(-1, WIDTH)


def half(y: Tensor) -> Tensor:
    return y[:, :, : WIDTH // 2].repeat(1, 1, 2)


def moved_unseen(y: Tensor) -> Tensor:
    with torch.no_grad():
        y.add_(1)
    return y.transpose(0, 1).contiguous()


def moved(y: Tensor) -> Tensor:
    return y.add_(1)


@pytest.mark.parametrize("layout", [other_axes, half, moved_unseen, moved])
def test_other_values_made_of_a_norm_are_right_too(layout):
    torch.manual_seed(1)
    function, x = Uses(layout), torch.randn(16, 32, WIDTH, requires_grad=True)
    usual, _ = gradients(function, x, again=False)
    spared, _ = gradients(function, x, again=True)
    assert alike(usual, spared)


def test_norms_of_two_constants_and_one_on_another():
    torch.manual_seed(2)
    inner = nn.Sequential(
        nn.LayerNorm(WIDTH, eps=0.1), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)
    )
    x = torch.randn(512, WIDTH, requires_grad=True)
    with norms_computed_again(norm_constants(inner.modules()), CPU):
        value = inner(x)
    inputs = [x, *inner.parameters()]
    found = torch.autograd.grad(value.square().sum(), inputs)
    assert alike(found, torch.autograd.grad(inner(x).square().sum(), inputs))


@pytest.mark.parametrize("what", ["input", "value", "product"])
def test_a_tensor_changed_in_place_after_it_was_saved_is_an_error(what):
    norm, x = nn.LayerNorm(WIDTH), torch.randn(512, WIDTH, requires_grad=True)
    with norms_computed_again(norm_constants([norm]), CPU):
        given = x * 1
        value = norm(given)
        product = value.exp()
        end = product * product.detach()
    with torch.no_grad():
        {"input": given, "value": value, "product": product}[what].mul_(2)
    if what == "value":  # nothing needs it: exp keeps its result, the norm its input
        end.sum().backward()
        return
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        end.sum().backward()


def test_hooks_of_the_user_see_all_that_is_saved():
    function, x = Uses(lambda y: y), torch.randn(512, WIDTH, requires_grad=True)
    seen: list[Tensor] = []

    def pack(t: Tensor) -> Tensor:
        seen.append(t)
        return t

    with saved_tensors_hooks(pack, lambda t: t):
        function(x)
        usual = len(seen)
        with norms_computed_again((1e-5,), CPU):
            function(x)
    assert len(seen) == 2 * usual


def test_a_graph_that_is_dropped_drops_what_it_kept():
    function, x = Uses(torch.exp), torch.randn(512, WIDTH, requires_grad=True)
    with norms_computed_again(norm_constants(function.modules()), CPU):
        middle = function.norm(x).exp()
        end = middle.square()
    storage = StorageWeakRef(middle.untyped_storage())
    del middle, end
    assert storage.expired()


def block(width: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(
        width, 4, 4 * width, dropout=0.1, batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)


@pytest.mark.parametrize(("width", "rests"), [(64, False), (320, True)])
def test_the_state_rests_while_a_heavy_function_goes_back(monkeypatch, width, rests):
    torch.manual_seed(0)
    folded: list[torch.dtype] = []
    fold = InformationBuffer.fold

    def counted(self):
        fold(self)
        folded.append(self._held.dtype)

    monkeypatch.setattr(InformationBuffer, "fold", counted)
    twin = transform(block(width), 0.9, reversible=True)
    twin(torch.randn(2, 16, width, requires_grad=True)).sum().backward()
    assert folded == ([torch.int16] * 4 if rests else [])


def test_the_gradients_of_a_tower_are_those_of_the_plain_one():
    torch.manual_seed(0)
    tower = block(320).double().eval()
    x = torch.randn(2, 64, 320, dtype=torch.float64)
    found = []
    for reversible in (False, True):
        twin = transform(tower, 0.9, reversible=reversible)
        found.append(torch.autograd.grad(twin(x).square().sum(), [*twin.parameters()]))
    for plain, exact in zip(*found, strict=True):
        torch.testing.assert_close(exact, plain, rtol=1e-11, atol=1e-11)


def test_a_state_that_rests_gives_the_same_gradients(monkeypatch):
    torch.manual_seed(0)
    net = MomentumNet([nn.Sequential(nn.Linear(1024, 1024), nn.Tanh()) for _ in range(3)])
    x = torch.randn(4, 1024, requires_grad=True)
    inputs = [x, *net.parameters()]
    resting = torch.autograd.grad(net(x).square().sum(), inputs)
    monkeypatch.setattr(trajectory, "HEAVY", 1 << 60)
    assert alike(resting, torch.autograd.grad(net(x).square().sum(), inputs))
