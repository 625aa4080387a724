"""transform: the momentum twin of a residual model, and the way back."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError
from odemom.nn import transform
from odemom.nn.transform.twin import restore
from tests.nn.momentum_oracle import error

torchvision = pytest.importorskip("torchvision")


def image(size=32, rows=2):
    return torch.randn(rows, 3, size, size, generator=torch.Generator().manual_seed(0)).double()


def resnet(name):
    def make():
        torch.manual_seed(0)
        return getattr(torchvision.models, name)(num_classes=10), (image(),), {}

    return make


def encoder(norm_first=False):
    def make():
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=norm_first)
        x = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(0)).double()
        padding = torch.zeros(3, 7, dtype=torch.bool)
        padding[0, 5:] = True
        kwargs = {"mask": torch.triu(torch.ones(7, 7, dtype=torch.bool), 1), "is_causal": True}
        return (
            nn.TransformerEncoder(layer, 4, enable_nested_tensor=not norm_first),
            (x,),
            {**kwargs, "src_key_padding_mask": padding},
        )

    return make


def transformer():
    torch.manual_seed(0)
    model = nn.Transformer(16, 4, 3, 3, 32, batch_first=True)
    g = torch.Generator().manual_seed(0)
    source, target = (torch.randn(3, n, 16, generator=g).double() for n in (7, 5))
    mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    return model, (source, target), {"tgt_mask": mask, "tgt_is_causal": True}


def vision_transformer():
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(32, 8, 4, 2, 16, 32, num_classes=10)
    nn.init.normal_(model.heads[-1].weight)
    return model, (image(),), {}


def timm_model(name, **options):
    def make():
        timm = pytest.importorskip("timm")
        torch.manual_seed(0)
        return timm.create_model(name, num_classes=10, **options), (image(),), {}

    return make


TINY = {"img_size": 32, "patch_size": 8}
MODELS = {
    "resnet18": resnet("resnet18"),
    "resnet50": resnet("resnet50"),
    "resnext50": resnet("resnext50_32x4d"),
    "wide_resnet50": resnet("wide_resnet50_2"),
    "encoder": encoder(),
    "encoder, norm first": encoder(norm_first=True),
    "nn.Transformer": transformer,
    "torchvision ViT": vision_transformer,
    "timm ViT": timm_model("vit_tiny_patch16_224", depth=4, **TINY),
    "timm ResNet": timm_model("resnet26"),
}
SMALL = [
    "resnet18",
    "encoder",
    "encoder, norm first",
    "nn.Transformer",
    "torchvision ViT",
    "timm ViT",
]
SLOW = [name for name in MODELS if name not in SMALL]
WIDE = ["resnext50", "wide_resnet50"]
ALL = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in MODELS]


def made(name):
    model, args, kwargs = MODELS[name]()
    return model.double(), args, kwargs


@pytest.mark.parametrize("name", ALL)
def test_gamma_zero_is_the_original(name):
    model, args, kwargs = made(name)
    twin = transform(model, 0, reversible=False)
    model.eval()
    expected, found = model(*args, **kwargs), twin(*args, **kwargs)
    assert (found - expected).abs().max() <= 1e-11 * expected.abs().max()


@pytest.mark.parametrize("name", ALL)
def test_gamma_near_zero_is_near_the_original(name):
    model, args, kwargs = made(name)
    twin = transform(model, Fraction(1, 10**6), reversible=True)
    model.eval()
    with torch.no_grad():
        expected, found = model(*args, **kwargs), twin(*args, **kwargs)
    assert (found - expected).abs().max() <= 1e-3 * expected.abs().max()


@pytest.mark.parametrize("name", ALL)
def test_gradients_and_statistics_are_those_of_plain_autograd(name):
    exact, plain, moved = (
        gradients_and_buffers(name, reversible, noise)
        for reversible, noise in ((True, 0.0), (False, 0.0), (False, 2.0**-48))
    )
    # Batch norms on a small batch make gradients ill conditioned, and in wide nets their statistics
    # too. The fixed point moves the state by a unit, 2^-48, in each of some 16 layers; how much one
    # such move of the input changes the plain results is measured.
    assert error(exact[0], plain[0]) <= 16 * error(moved[0], plain[0]) + 1e-12
    sensitive = 16 * error(moved[1], plain[1]) + 1e-12
    assert error(exact[1], plain[1]) <= (sensitive if name in WIDE else 1e-11)


def gradients_and_buffers(name, reversible, noise):
    model, args, kwargs = made(name)
    twin = transform(model, 0.9, reversible=reversible).train()
    torch.manual_seed(9)
    args = [a + noise * torch.randn_like(a) if a.is_floating_point() else a for a in args]
    torch.manual_seed(5)  # dropout
    twin(*args, **kwargs).square().mean().backward()
    gradients = [p.grad for p in twin.parameters() if p.grad is not None]
    assert len(gradients) > 10
    return gradients, [b.double() for b in twin.buffers()]


@pytest.mark.parametrize("name", ["resnet18", "encoder", "nn.Transformer"])
def test_gradients_in_eval_mode(name):
    found = []
    for reversible in (True, False):
        model, args, kwargs = made(name)
        twin = transform(model, 0.9, reversible=reversible).eval()
        twin(*args, **kwargs).square().mean().backward()
        found.append([p.grad for p in twin.parameters()])
    assert error(found[0], found[1]) <= 1e-9


@pytest.mark.parametrize("name", ALL)
def test_parameters_and_names_are_the_originals_and_restore_goes_back(name):
    model, args, kwargs = made(name)
    before = str(model)
    twin = transform(model, 0.9)
    assert type(twin) is type(model)
    assert str(model) == before != str(twin)
    for (n, p), (m, q) in zip(model.named_parameters(), twin.named_parameters(), strict=True):
        assert n == m
        assert p is q
    assert list(twin.state_dict()) == list(model.state_dict())
    back = restore(twin)
    assert str(back) == before
    for m in (model, back):
        m.eval()
    with torch.no_grad():
        assert torch.equal(back(*args, **kwargs), model(*args, **kwargs))


def test_twin_can_be_copied_saved_and_loaded():
    model, args, kwargs = made("resnet18")
    twin = transform(model.eval(), 0.9)
    with torch.no_grad():
        expected = twin(*args, **kwargs)
        assert torch.equal(copy.deepcopy(twin)(*args, **kwargs), expected)
        other = transform(MODELS["resnet18"]()[0].double().eval(), 0.9)
        other.load_state_dict(twin.state_dict())
        assert torch.equal(other(*args, **kwargs), expected)


def test_a_copy_does_not_share_its_blocks_with_the_twin():
    twin: Any = transform(made("resnet18")[0], 0.9)
    other = copy.deepcopy(twin)
    x = torch.randn(1, 64, 4, 4).double()
    with torch.no_grad():
        other.layer1[0].conv1.weight.zero_()
        assert not torch.equal(other.layer1[0](x), twin.layer1[0](x))


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.ModuleDict({"deep": nn.ModuleList(Shift() for _ in range(5))})
        self.tail = nn.Sequential(Shift(), Shift())

    def forward(self, x):
        blocks: Any = self.body["deep"]
        for block in blocks:
            x = block(x)
        return self.tail(x)


class Shift(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return x + torch.tanh(self.linear(x))


def test_any_list_of_blocks_by_name():
    model: Any = Own()
    twin: Any = transform(model, 0.9, layers=["body.deep", "tail"])
    x = torch.randn(3, 4)
    v, y = 0, x
    for block in model.body["deep"]:
        v = 0.9 * v + 0.1 * (block(y) - y)
        y = y + v
    v = 0
    for block in model.tail:
        v = 0.9 * v + 0.1 * (block(y) - y)
        y = y + v
    assert torch.allclose(twin(x), y, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "layers", "message"),
    [
        (
            Own(),
            None,
            r"Own in which no known.*layers=\['blocks'\].*body.deep of 5 Shift; tail of 2",
        ),
        (Own(), ["nowhere"], "'nowhere', which is nothing"),
        (Own(), ["body"], "'body', which is ModuleDict"),
        (Own(), "tail", "expected a list of names|names of Sequentials"),
        ("resnet18", None, "model: got str"),
    ],
)
def test_what_cannot_be_transformed_is_refused(model, layers, message):
    with pytest.raises(InvalidInputError, match=message):
        transform(model, 0.9, layers=layers)


def test_restore_of_an_ordinary_model_is_refused():
    with pytest.raises(InvalidInputError, match="without momentum rows"):
        restore(Own())
    assert transform.restore is restore  # type: ignore[attr-defined]


def test_encoder_is_right_in_inference_with_padding():
    """PyTorch's own fast path would pack the batch and skip the rows."""
    model, args, kwargs = made("encoder")
    padding = kwargs["src_key_padding_mask"]
    twin = transform(model.eval(), 0.5)
    with torch.no_grad():
        found = twin(*args, src_key_padding_mask=padding)
    kept = ~padding
    x = args[0]
    v = torch.zeros_like(x)
    for layer in model.layers:
        y = layer(x, None, padding)
        v = 0.5 * v + 0.5 * (y - x)
        x = x + v
    assert torch.allclose(found[kept], x[kept], atol=1e-9)


# --- a short refit -----------------------------------------------------------------------------


def digits():
    """The 1,797 digits as 3 x 32 x 32 images: for training and for testing."""
    datasets = pytest.importorskip("sklearn.datasets")
    data = datasets.load_digits()
    x = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    x = nn.functional.interpolate(x, size=32).expand(-1, 3, -1, -1).contiguous()
    y = torch.tensor(data.target)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    return (x[:1300], y[:1300]), (x[1300:], y[1300:])


def fit(model, data, epochs):
    x, y = data
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(1)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=generator).split(65):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()


def accuracy(model, data):
    model.eval()
    with torch.no_grad():
        return (model(data[0]).argmax(1) == data[1]).float().mean().item()


class DigitTransformer(nn.Module):
    """An nn.Transformer that reads a digit's eight rows, as source and as target."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.rows = nn.Linear(8, 32)
        self.places = nn.Parameter(0.1 * torch.randn(8, 32))
        self.transformer = nn.Transformer(32, 4, 2, 2, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, images):
        rows = self.rows(images[:, 0, ::4, ::4]) + self.places
        return self.head(self.transformer(rows, rows).mean(1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "epochs"),
    [
        (lambda: (DigitTransformer(),), 40),
        (resnet("resnet18"), 4),
        (resnet("resnet50"), 5),
        (timm_model("vit_tiny_patch16_224", embed_dim=64, num_heads=4, depth=3, **TINY), 50),
        (vision_transformer, 100),
    ],
    ids=["nn.Transformer", "resnet18", "resnet50", "timm ViT", "torchvision ViT"],
)
def test_short_refit_on_digits_recovers_the_accuracy(make, epochs):
    training, testing = digits()
    model = make()[0]
    fit(model, training, epochs)
    original = accuracy(model, testing)
    twin = transform(copy.deepcopy(model), 0.9)
    fit(twin, training, epochs)
    assert original > 0.9
    assert accuracy(twin, testing) >= original - 0.01
