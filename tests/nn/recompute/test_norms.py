"""What a second call saves of layer norms is their input alone; the gradients are the same bits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from odemom.nn import MomentumNet, transform
from odemom.nn.recompute import layer, norms
from odemom.nn.recompute.norms import norms_computed_again, spared_norms
from odemom.nn.reversible import MomentumState

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


def constants(function):
    return tuple({m.eps: None for m in function.modules() if isinstance(m, nn.LayerNorm)})


def gradients(function, x, *, again):
    inputs = [x, *function.parameters()]
    with norms_computed_again(constants(function) if again else (), CPU):
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
    with norms_computed_again(constants(inner), CPU):
        value = inner(x)
    inputs = [x, *inner.parameters()]
    found = torch.autograd.grad(value.square().sum(), inputs)
    assert alike(found, torch.autograd.grad(inner(x).square().sum(), inputs))


@pytest.mark.parametrize("what", ["input", "value", "product"])
def test_a_tensor_changed_in_place_after_it_was_saved_is_an_error(what):
    norm, x = nn.LayerNorm(WIDTH), torch.randn(512, WIDTH, requires_grad=True)
    with norms_computed_again(constants(norm), CPU):
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


def test_a_weight_changed_in_place_is_an_error():
    x, weight = torch.randn(512, WIDTH, requires_grad=True), torch.ones(WIDTH)
    product = nn.Linear(WIDTH, WIDTH)
    with norms_computed_again((1e-5,), CPU):
        end = product(torch.nn.functional.layer_norm(x, (WIDTH,), weight))
    weight.mul_(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(end.sum(), [product.weight])


def test_what_reads_raw_memory_gets_the_layout_that_was_saved():
    torch.manual_seed(3)
    norm, after = nn.LayerNorm(WIDTH), nn.LSTM(WIDTH, WIDTH, batch_first=True)
    x = torch.randn(16, 32, WIDTH, requires_grad=True)
    inputs = [x, *norm.parameters(), *after.parameters()]
    found = []
    for again in ((), (1e-5,)):
        with norms_computed_again(again, CPU):
            value = after(norm(x))[0]
        found.append(torch.autograd.grad(value.square().sum(), inputs))
    assert alike(*found)


def test_a_norm_whose_graph_was_used_up_is_kept():
    norm, product = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)
    x = torch.randn(512, WIDTH, requires_grad=True)
    with norms_computed_again((1e-5,), CPU):
        value = norm(x)
        torch.autograd.grad(value.square().sum(), x)
        end = product(value).sum()
    assert torch.autograd.grad(end, product.weight)[0].isfinite().all()


def test_tensors_that_are_not_strided_are_left_alone():
    torch.manual_seed(4)
    norm, x = nn.LayerNorm(WIDTH), torch.randn(512, WIDTH, requires_grad=True)
    sparse = torch.eye(512).to_sparse_csr()
    with norms_computed_again((1e-5,), CPU):
        value = sparse @ norm(x)
        nested = torch.nested.as_nested_tensor(list(x.unbind()), layout=torch.strided)
        end = value.sum() + torch.nested.to_padded_tensor(nested * 2, 0.0).sum()
    gradient = torch.autograd.grad(end, x)[0]
    torch.testing.assert_close(gradient, torch.full_like(x, 2.0))


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
    with norms_computed_again(constants(function), CPU):
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


@pytest.mark.parametrize(("width", "heavy"), [(64, False), (320, True)])
def test_the_state_of_heavy_functions_is_narrow(monkeypatch, width, heavy):
    torch.manual_seed(0)
    held: list[torch.dtype] = []
    retreat = MomentumState.retreat_block

    def seen(self, value, x):
        held.append(self.buffer.word.dtype)
        return retreat(self, value, x)

    monkeypatch.setattr(MomentumState, "retreat_block", seen)
    twin = transform(block(width), 0.9, reversible=True)
    twin(torch.randn(2, 16, width, requires_grad=True)).sum().backward()
    assert held == [torch.int16 if heavy else torch.int64] * 4


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


# --- which functions --------------------------------------------------------------------------


class Own(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call, self.norm = call, nn.LayerNorm(1024)
        self.one = nn.Linear(1024, 1024)

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self, x)


def usual(block: Own, x: Tensor) -> Tensor:
    return block.one(block.norm(x))


def through_func(block: Own, x: Tensor) -> Tensor:
    value: Any = torch.func.vjp(block.norm, x)[0]
    return block.one(value)


@pytest.fixture
def computed(monkeypatch):
    """The norms that were computed again."""
    made: list[norms.Norm] = []
    tensor = norms.Norm.tensor

    def noted(self):
        made.append(self)
        return tensor(self)

    monkeypatch.setattr(norms.Norm, "tensor", noted)
    return made


def differences(net, x):
    """The largest one between its gradients and those of the same net under plain autograd."""
    inputs = [t for t in (x, *net.parameters()) if t.requires_grad]
    exact = torch.autograd.grad(net(x).square().sum(), inputs)
    net.reversible = False
    plain = torch.autograd.grad(net(x).square().sum(), inputs)
    return max((a - b).abs().max().item() for a, b in zip(exact, plain, strict=True))


@pytest.mark.parametrize(("width", "spared"), [(64, 0), (320, 4 * 2 * 2)])
def test_norms_of_known_heavy_blocks_are_spared(width, spared, computed):
    """Of four blocks with two norms each, computed when they are saved and when they are used."""
    twin = transform(block(width), 0.9, reversible=True)
    twin(torch.randn(16, 64, width, requires_grad=True)).square().sum().backward()
    assert len(computed) == spared


@pytest.mark.parametrize("call", [usual, through_func])
def test_blocks_that_are_not_known_are_called_as_they_are(call, computed):
    torch.manual_seed(5)
    net = MomentumNet([Own(call).double() for _ in range(2)])
    x = torch.randn(32, 1024, dtype=torch.float64, requires_grad=True)
    assert differences(net, x) < 1e-9
    assert not computed


def test_a_first_function_whose_input_wants_no_gradient_spares_nothing(computed):
    torch.manual_seed(6)
    net = MomentumNet([nn.Sequential(nn.LayerNorm(1024), nn.Linear(1024, 1024)) for _ in range(3)])
    net(torch.randn(32, 1024)).square().sum().backward()
    assert len(computed) == 2 * 2


def test_where_hooks_are_forbidden_there_are_none(computed):
    net = MomentumNet([nn.Sequential(nn.LayerNorm(1024), nn.Linear(1024, 1024)) for _ in range(2)])
    value = net(torch.randn(32, 1024, requires_grad=True)).sum()
    with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
        value.backward()
    assert not computed


def test_modules_that_something_was_done_to_are_not_known():
    layer = nn.TransformerEncoderLayer(8, 2)
    assert spared_norms(layer.modules()) == (1e-5,)
    assert spared_norms([*layer.modules(), Own(usual)]) == ()
    handle = layer.norm1.register_forward_hook(lambda *_: None)
    assert spared_norms(layer.modules()) == ()
    handle.remove()
    layer.norm1.eps = nn.Parameter(torch.ones(1))  # type: ignore[assignment]
    layer.norm2.forward = lambda x: x  # type: ignore[method-assign]
    assert spared_norms(layer.modules()) == ()
    assert spared_norms([layer.norm1]) == ()


def test_a_state_that_rests_gives_the_same_gradients(monkeypatch):
    torch.manual_seed(0)
    net = MomentumNet([nn.Sequential(nn.Linear(1024, 1024), nn.Tanh()) for _ in range(3)])
    x = torch.randn(4, 1024, requires_grad=True)
    inputs = [x, *net.parameters()]
    resting = torch.autograd.grad(net(x).square().sum(), inputs)
    monkeypatch.setattr(layer, "HEAVY", 1 << 60)
    assert alike(resting, torch.autograd.grad(net(x).square().sum(), inputs))
