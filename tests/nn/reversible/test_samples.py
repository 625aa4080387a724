"""What the fixed point promises: samples do not touch each other, and keep all their digits."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import nn

from odemom.errors import FixedPointRangeError, InvalidInputError
from odemom.nn import MomentumNet, RevNet
from odemom.nn.reversible import CouplingState, MomentumState
from odemom.nn.reversible.fixed_point import FixedPoint, fit

DTYPES = [torch.float32, torch.float64]
EPS = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}


def random(*shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)


class Mixes(nn.Module):
    """tanh(W x), all entries of a sample mixed."""

    def __init__(self, width, seed):
        super().__init__()
        self.weight = nn.Parameter(random(width, width, seed=seed) / math.sqrt(width))

    def forward(self, x):
        return torch.tanh(x @ self.weight)


class Keeps(nn.Module):
    """w x for each entry on its own, as small or large as it is; w > 0, so that nothing cancels."""

    def __init__(self, width, seed):
        super().__init__()
        self.weight = nn.Parameter(random(width, seed=seed).abs() / 2)

    def forward(self, x):
        return x * self.weight


KINDS = {
    "momentum": lambda fs, **way: MomentumNet(fs, 0.9, **way),
    "rev": lambda fs, **way: RevNet(fs, **way),
}


def plain_and_reversible(kind, function, x, depth=20):
    """Output and gradient of both networks, of the dtype of x."""
    width = x.shape[1] // (2 if kind == "rev" else 1)
    functions = [function(width, n).to(x.dtype) for n in range(depth)]
    found = []
    for way in (False, True):
        leaf = x.clone().requires_grad_()
        y = KINDS[kind](functions, reversible=way)(leaf)
        y.backward(torch.ones_like(y))
        found.append((y.detach(), leaf.grad))
    return found


def differ(ours, theirs, by):
    """The largest difference, relative to the largest entry along the axes ``by``."""
    size = theirs.abs().amax(by, keepdim=True) if by else theirs.abs()
    return ((ours - theirs).abs() / size).max().item()


# --- between samples -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("large", [100.0, 1.7e9, 1e12, 1e15])
def test_a_large_entry_leaves_the_other_samples_alone(kind, dtype, large):
    x = random(8, 16, dtype=dtype)
    x[3, 5] = large
    for theirs, ours in zip(*plain_and_reversible(kind, Mixes, x), strict=True):
        others = torch.arange(8) != 3
        assert differ(ours[others], theirs[others], 1) <= 100 * EPS[dtype]
        assert differ(ours, theirs, 1) <= 100 * EPS[dtype]


def test_the_bits_of_a_sample_do_not_depend_on_the_others():
    x = random(8, 16)
    x[3] *= 1e12
    functions = [Mixes(16, n) for n in range(20)]
    net = MomentumNet(functions, 0.9)
    state = MomentumState(x, None, Fraction(9, 10))
    assert state.format.words == 1
    assert state.format.units is not None
    together = net(x)
    for n in range(8):
        # one sample more of the same, for a matrix product of one row takes another kernel
        alone = net(torch.cat((x[n : n + 1], *[x[n : n + 1]] * 7)))[0]
        assert torch.equal(together[n], alone)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(torch.float32, s) for s in (1e-4, 1e-8, 1e-16, 1e-26, 1e4, 1e12, 1e20, 1e30)]
    + [(torch.float64, s) for s in (1e-4, 1e-8, 1e-16, 1e4, 1e12, 1e100, 1e300)],
)
def test_small_and_large_samples_keep_their_digits(kind, dtype, scale):
    x = random(8, 16, dtype=torch.float64).mul(scale).to(dtype)
    for theirs, ours in zip(*plain_and_reversible(kind, Keeps, x), strict=True):
        assert differ(ours, theirs, 1) <= 60 * EPS[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_samples_of_all_sizes_in_one_batch(dtype):
    sizes = torch.logspace(-12, 12, 25, dtype=torch.float64)
    x = (random(25, 16, dtype=torch.float64) * sizes[:, None]).to(dtype)
    for theirs, ours in zip(*plain_and_reversible("momentum", Keeps, x), strict=True):
        assert differ(ours, theirs, 1) <= 60 * EPS[dtype]


def test_functions_far_larger_than_a_small_input_stay_in_range():
    x = 1e-8 * random(8, 16)
    functions = [nn.Linear(16, 16) for _ in range(10)]
    for f in functions:
        nn.init.constant_(f.bias, 1e3)
    plain, ours = (MomentumNet(functions, 0.9, reversible=way)(x) for way in (False, True))
    assert differ(ours, plain, 1) <= 60 * EPS[torch.float32]


@pytest.mark.parametrize(
    ("shape", "order"),
    [((4, 3, 5, 6), torch.channels_last), ((4, 3, 5, 6), torch.contiguous_format), ((4, 1), None),
     ((5,), None), ((), None), ((0, 3), None), ((3, 0), None), ((1, 7), None)],
)  # fmt: skip
@pytest.mark.parametrize("kind", [MomentumState, CouplingState])
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_shape_and_order_is_held(shape, order, kind, dtype):
    x = random(*shape, dtype=dtype)
    if x.dim() > 1 and len(x) > 1:
        x[1] *= 1e6
    if order is not None:
        x = x.to(memory_format=order)
    state = kind(x, x / 2, *([Fraction(9, 10)] if kind is MomentumState else []))
    seen = [state.shown(), state.companion()]
    first = x if kind is MomentumState else x / 2
    assert torch.equal(seen[0], first)
    assert seen[0].stride() == first.stride() or not x.numel()
    for n in range(30):
        state.advance(torch.sin(n + state.shown()) * first)
    for n in reversed(range(30)):
        state.retreat(torch.sin(n + state.expose()) * first)
    assert torch.equal(state.shown(), seen[0])
    assert torch.equal(state.companion(), seen[1])


# --- within a sample -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("large", [1e6, 1.7e9, 1e12])
def test_small_features_beside_a_large_one_keep_their_digits(kind, dtype, large):
    x = random(8, 16, dtype=dtype)
    x[:, [0, 8]] = large
    assert fit([x], None).words == 2
    for theirs, ours in zip(*plain_and_reversible(kind, Keeps, x), strict=True):
        assert differ(ours, theirs, 0) <= 100 * EPS[dtype]


def test_samples_along_another_axis_keep_their_digits():
    x = random(20, 8, 16)  # the second axis is that of the samples, as in sequences first
    x[:, 3] *= 1e12
    functions = [Keeps(16, n) for n in range(20)]
    plain, ours = (MomentumNet(functions, 0.9, reversible=way)(x) for way in (False, True))
    assert differ(ours, plain, (0, 2)) <= 60 * EPS[torch.float32]


@pytest.mark.parametrize(("dtype", "large"), [(torch.float32, 1e30), (torch.float64, 1e20)])
def test_an_enormous_entry_beside_ordinary_ones_is_refused_by_name(dtype, large):
    x = random(8, 16, dtype=dtype)
    x[2, 7] = large
    called = []
    net = MomentumNet([nn.Tanh()] * 3, 0.9)
    net.functions[0].register_forward_hook(lambda *_: called.append(1))
    with pytest.raises(FixedPointRangeError, match=r"a largest entry of 1e\+[23]0 .* in sample 2 "):
        net(x)
    assert not called


@pytest.mark.parametrize(("dtype", "small"), [(torch.float32, 1e-32), (torch.float64, 1e-22)])
def test_a_sample_too_small_for_its_digits_is_refused_by_name(dtype, small):
    x = random(8, 16, dtype=dtype)
    x[5] *= small
    with pytest.raises(FixedPointRangeError, match=r"at most .* in sample 5 .*resolution=43"):
        MomentumNet([nn.Tanh()], 0.9)(x)
    assert MomentumNet([nn.Tanh()], 0.9, resolution=43)(x).isfinite().all()


def test_tiny_entries_among_ordinary_ones_are_no_reason_to_refuse():
    grid = torch.linspace(-10, 10, 101, dtype=torch.float64)
    bump = torch.exp(-(grid**2)).expand(3, 101)  # down to 1e-44
    state = MomentumState(bump, None, Fraction(9, 10))
    assert (state.shown() - bump).abs().max() <= 2.0**-111


def test_ordinary_float32_batches_take_one_word():
    assert fit([random(64, 3, 32, 32)], None) == FixedPoint(43)
    assert fit([random(64, 100).relu()], None) == FixedPoint(43)
    assert fit([torch.zeros(4, 4)], None) == FixedPoint(43)
    assert fit([random(8, 16, dtype=torch.float64)], None) == FixedPoint(48, words=2)


@pytest.mark.parametrize(
    ("largest", "dtype", "bits", "words"),
    [(2.0**-15, torch.float32, 43, 1), (2.0**-15 * (1 - 2.0**-20), torch.float32, 43, 1),
     (2.0**-16, torch.float32, 43, 2), (2.0**-79, torch.float32, 43, 2),
     (2.0**-80, torch.float32, 44, 2), (2.0**-89, torch.float32, 53, 2),
     (2.0**-55, torch.float64, 48, 2), (2.0**-56, torch.float64, 49, 2),
     (2.0**-60, torch.float64, 53, 2), (3e38, torch.float32, -81, 1),
     (1e308, torch.float64, -972, 2)],
)  # fmt: skip
def test_the_unit_follows_a_sample_up_and_down(largest, dtype, bits, words):
    """28 or 57 binary places and more below the largest entry, and a range as wide as can be."""
    x = torch.tensor([[largest, -largest / 3], [largest, largest]], dtype=dtype)
    assert fit([x], None) == FixedPoint(bits, words)


def test_zeros_do_not_choose_a_unit():
    x = torch.zeros(3, 4)
    x[1], x[2, 0] = 1e4, 1e-3
    form = fit([x], None)
    assert form.words == 1
    assert form.units is not None
    assert form.units.log2().tolist() == [-43, -33, -43]


@pytest.mark.parametrize("bad", [0, 62, -3, 40.0, "40", True])
def test_a_chosen_resolution_is_that_of_all_samples(bad):
    x = random(8, 16, dtype=torch.float64)
    x[3] *= 1e3
    assert fit([x], 30) == FixedPoint(30)
    with pytest.raises(InvalidInputError, match="resolution"):
        fit([x], bad)


@pytest.mark.parametrize(("sample", "reach"), [(0, 2.0**29), (2, 2.0**19)])
def test_the_error_of_a_layer_speaks_of_the_sample_that_left_the_range(sample, reach):
    class Grows(nn.Module):
        def forward(self, x):
            return torch.tanh(x) * factor

    x, factor = random(3, 4), torch.ones(3, 1)
    x[0] = 1e4
    factor[sample] = 1e12
    size = torch.tanh(x[sample]).abs().max().item() * 1e12 / 2
    message = f"got an increment of {size:.6g}.* adds increments below {reach / 2:.6g}"
    with pytest.raises(FixedPointRangeError, match=message.replace("+", r"\+")):
        MomentumNet([Grows()], 0.5)(x)


@pytest.mark.parametrize("sample", [0, 2])
def test_a_sum_that_leaves_the_range_is_that_of_its_sample(sample):
    x, f = random(3, 4), torch.zeros(3, 4)
    x[0] = 1e4
    state = MomentumState(x, None, Fraction(1, 2))
    f[sample, 1] = {0: 2.0**28, 2: 2.0**18}[sample]
    peak, shown = 0, x
    while peak < 2**62:
        shown, (_, peak) = state.advance(f)
    size = shown[sample].abs().max().item()
    assert f"a magnitude of {size:.6g}; " in str(state.escape("here", int(peak), f))


# --- the promise ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("depth", [20, 200])
def test_the_reversible_network_is_no_further_from_exact_arithmetic_than_the_plain_one(
    dtype, depth
):
    """In the layers' own arithmetic, that is, with the values of the functions given."""
    gamma, x, f = Fraction(9, 10), random(12, dtype=dtype), random(depth, 12, dtype=dtype, seed=1)
    exact_x, exact_v = [Fraction(t) for t in x.tolist()], [Fraction(0)] * 12
    plain_x, plain_v = x.clone(), torch.zeros_like(x)
    state, shown = MomentumState(x, None, gamma), x
    for n in range(depth):
        exact_v = [
            gamma * v + (1 - gamma) * Fraction(w)
            for v, w in zip(exact_v, f[n].tolist(), strict=True)
        ]
        exact_x = [a + v for a, v in zip(exact_x, exact_v, strict=True)]
        plain_v = 0.9 * plain_v + 0.1 * f[n]
        plain_x = plain_x + plain_v
        shown, _ = state.advance(f[n])

    def errors(x):
        return torch.tensor(
            [float(abs(Fraction(a) - b)) for a, b in zip(x.tolist(), exact_x, strict=True)]
        )

    sizes = torch.tensor([float(abs(a)) for a in exact_x])
    # shown is the exact value, rounded once, and what the increments (1 - gamma) f have rounded off
    increments = 2.0**-53 * depth * 5
    assert (
        errors(shown) <= EPS[dtype] * sizes * 1.001 + increments * (dtype == torch.float64)
    ).all()
    assert errors(shown).mean() <= errors(plain_x).mean()


@pytest.mark.parametrize("dtype", DTYPES)
def test_with_functions_it_is_as_near_to_more_digits_as_the_plain_one(dtype):
    ours, plain, functions = 0.0, 0.0, [Mixes(16, n) for n in range(20)]
    for seed in range(4 if dtype == torch.float32 else 2):  # the truth of doubles is dear
        x = random(32, 16, dtype=dtype, seed=seed)
        truth = in_more_digits(functions, x)
        for f in functions:
            f.to(dtype)
        ours += (MomentumNet(functions, 0.9)(x).double() - truth).square().mean()
        plain += (MomentumNet(functions, 0.9, reversible=False)(x).double() - truth).square().mean()
    assert ours <= 1.02 * plain


def in_more_digits(functions, x):
    """The momentum network of gamma = 0.9 in 40 digits, or in doubles for float32."""
    if x.dtype == torch.float32:
        return MomentumNet([f.double() for f in functions], 0.9, reversible=False)(x.double())
    import mpmath

    with mpmath.workdps(40):
        weights = [mpmath.matrix(f.weight.double().tolist()) for f in functions]
        rows = []
        for sample in x.tolist():
            a, v = mpmath.matrix([sample]), mpmath.zeros(1, len(sample))
            for weight in weights:
                v = mpmath.mpf(9) / 10 * v + mpmath.mpf(1) / 10 * (a * weight).apply(mpmath.tanh)
                a = a + v
            rows.append([float(t) for t in a])
    return torch.tensor(rows, dtype=torch.float64)
