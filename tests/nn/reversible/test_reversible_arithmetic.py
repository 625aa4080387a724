"""The fixed-point state: exact inverses, one result on every path, a range that is checked."""

from __future__ import annotations

import importlib.util
import math
import sys
from fractions import Fraction

import pytest
import torch

from odemom.errors import FixedPointRangeError, InvalidInputError, OdemomWarning
from odemom.nn import reversible
from odemom.nn.reversible import (
    CouplingState,
    MomentumState,
    eager,
    kernels,
    native,
    rational_gamma,
    triton_kernels,
)
from odemom.nn.reversible.buffer import radices
from odemom.nn.reversible.eager import LayerConstants

GAMMAS = [0.1, 0.5, 0.9, 0.99, 1]
DTYPES = [torch.float32, torch.float64]


# --- exact inverses at depth -------------------------------------------------------------------


def travel(gamma, dtype, depth, kernel="auto"):
    """Whether x_0, v_0 and every x in between come back, and the state after the way back."""
    torch.manual_seed(0)
    x, v = torch.randn(33, 16, dtype=dtype), torch.randn(33, 16, dtype=dtype)
    weights = torch.randn(depth, 16, 16, dtype=dtype) / 4
    with reversible.use_kernel(kernel):
        state = MomentumState(x, v, rational_gamma(gamma))
    first, seen = (state.x.clone(), state.v.clone()), []
    shown = state.shown()
    for weight in weights:
        seen.append(shown)
        shown, (_, peak) = state.advance(torch.tanh(shown @ weight))
        assert peak < 2**62
    end = state.clone()
    for weight, expected in zip(reversed(weights), reversed(seen), strict=True):
        shown = state.expose()
        assert torch.equal(shown, expected)
        state.retreat(torch.tanh(shown @ weight))
    assert torch.equal(state.x, first[0])
    assert torch.equal(state.v, first[1])
    assert state.buffer is None or (not state.buffer.spilled and not state.buffer.word.any())
    return end


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("depth", [1, 50, 500, pytest.param(2000, marks=pytest.mark.slow)])
def test_state_is_recovered_bit_for_bit(gamma, dtype, depth):
    travel(gamma, dtype, depth)


@pytest.mark.parametrize("gamma", [*GAMMAS, 1 - 1 / 50_000, 0.123456789])
def test_eager_path_has_the_bits_of_the_fused_path(gamma):
    if not native.available():
        pytest.skip("no C compiler")
    fused, plain = (
        travel(gamma, torch.float32, 300, "fused"),
        travel(gamma, torch.float32, 300, "eager"),
    )
    assert torch.equal(fused.x, plain.x)
    assert torch.equal(fused.v, plain.v)


def test_floats_lose_the_first_layers_that_fixed_point_keeps():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    start, v = x.clone(), torch.zeros(1000)
    for _ in range(200):
        v = 0.9 * v + 0.1 * x.sin()
        x = x + v
    for _ in range(200):
        x = x - v
        v = (v - 0.1 * x.sin()) / 0.9
    assert (x - start).abs().max() > 0.1
    state = MomentumState(start, None, rational_gamma(0.9))
    for _ in range(200):
        state.advance(state.shown().sin())
    for _ in range(200):
        state.retreat(state.expose().sin())
    assert (state.shown() - start).abs().max() <= 2**-44


# --- one layer against rational arithmetic, on every path ---------------------------------------


PATHS = [
    pytest.param(eager, id="eager"),
    pytest.param(
        native, id="native", marks=pytest.mark.skipif(not native.available(), reason="no compiler")
    ),
]

LAYERS = [
    (Fraction(9, 10), 160),
    (Fraction(9, 10), 2**62 // 10),
    (Fraction(1, 10), 2**58),
    (Fraction(1, 2), 32),
    (Fraction(49_999, 50_000), 2**40),
    (Fraction(2**24 - 1, 2**24), 2**37),
    (Fraction(1, 2**24), 2**37),
    (Fraction(1), 1),
]


def layer_inputs(gamma, radix, dtype, size=70_001):
    """Velocities and buffers over the whole range, both edges and zero included."""
    g = torch.Generator().manual_seed(1)
    edge = 2**62 - 2**61 - 2**25
    v = torch.randint(-edge, edge, (size,), generator=g)
    v >>= torch.randint(0, 60, (size,), generator=g)
    v[:5] = torch.tensor([0, -1, 1, edge, -edge])
    x = torch.randint(-(2**60), 2**60, (size,), generator=g)
    word = None if gamma == 1 else torch.randint(0, radix, (size,), generator=g)
    if word is not None:
        word[:2], word[2:4] = 0, radix - 1
    f = torch.randn(size, generator=g, dtype=dtype) * 100
    return x, v, word, f


def constants(gamma, radix):
    spill, before, after = radices(gamma, radix)
    assert not spill
    scale = float((1 - gamma) * 2**43) if gamma != 1 else 2.0**43
    return LayerConstants(gamma.numerator, gamma.denominator, before, after, scale, 2.0**-43)


@pytest.mark.parametrize("kernel", PATHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("gamma", "radix"), LAYERS)
def test_one_layer_is_undone_everywhere_in_the_range(kernel, gamma, radix, dtype):
    x, v, word, f = layer_inputs(gamma, radix, dtype)
    c, out = constants(gamma, radix), torch.empty_like(f)
    first = [x.clone(), v.clone(), None if word is None else word.clone()]
    stats = kernel.advance(x, v, word, f, out, c)
    kernel.expose(x, v, out, c.unit)
    checksum = kernel.retreat(v, word, f, c)
    assert torch.equal(x, first[0])
    assert torch.equal(v, first[1])
    assert word is None or torch.equal(word, first[2])
    assert checksum[0] == stats[0]


@pytest.mark.parametrize("kernel", PATHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("gamma", "radix"), LAYERS)
def test_one_layer_agrees_with_rational_arithmetic(kernel, gamma, radix, dtype):
    x, v, word, f = layer_inputs(gamma, radix, dtype, 500)
    before, c, out = (x.tolist(), v.tolist()), constants(gamma, radix), torch.empty_like(f)
    checksum, peak = kernel.advance(x, v, word, f, out, c).tolist()
    for j, (x_old, v_old) in enumerate(zip(*before, strict=True)):
        increment = round(Fraction(float(f[j]) * c.scale))
        noise = v[j].item() - increment - gamma * v_old
        # floor((r + b/M) n/d) is off by less than 1, the rounding up of M' by at most n/M' more
        assert -1 - Fraction(gamma.numerator, c.after) < noise < 1
        assert x[j].item() == x_old + v[j].item()
        assert out[j] == torch.tensor(x[j].item()).to(dtype) * c.unit
    total = sum(v_old * (2 * j + 1) for j, v_old in enumerate(before[1]))
    assert (checksum - total) % 2**64 == 0
    assert peak >= max(x.abs().max(), v.abs().max())


@pytest.mark.parametrize("kernel", PATHS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3.0e38])
def test_increment_without_a_place_is_reported(kernel, value):
    x, v, word, f = layer_inputs(Fraction(9, 10), 160, torch.float32, 100)
    f[57] = value
    stats = kernel.advance(x, v, word, f, torch.empty_like(f), constants(Fraction(9, 10), 160))
    assert stats[1] >= 2**62


@pytest.mark.parametrize("kernel", PATHS)
@pytest.mark.parametrize("sign", [1, -1])
def test_increments_are_held_up_to_two_to_the_61(kernel, sign):
    c = constants(Fraction(1, 2), 32)  # f is multiplied by 2^42
    for f, peak in ((2.0**19, 2**61), (math.nextafter(2.0**19, math.inf), int(9.0e18))):
        x, v, word = torch.zeros(3, 1, dtype=torch.int64)
        value = torch.tensor([sign * f], dtype=torch.float64)
        assert kernel.advance(x, v, word, value, torch.empty_like(value), c)[1] == peak


def test_the_kernels_can_be_read_without_triton(monkeypatch):
    path = kernels.__file__.replace("kernels.py", "triton_kernels.py")
    spec = importlib.util.spec_from_file_location("read_without_triton", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "triton", None)  # its import fails, as if not installed
    spec.loader.exec_module(module)
    assert not module.available()


def test_without_triton_cuda_has_no_fused_path(monkeypatch):
    monkeypatch.setattr(triton_kernels, "triton", None)
    assert kernels._fused.__wrapped__("cuda") is None


# --- choice of path ----------------------------------------------------------------------------


def test_missing_compiler_is_reported_once_and_eager_taken(monkeypatch):
    monkeypatch.setattr(kernels, "_fused", lambda kind: None)
    kernels._report_slow_path.cache_clear()
    with pytest.warns(OdemomWarning, match=r"no C compiler.*same bits.*use_kernel\('eager'\)"):
        assert reversible.kernel_for("cpu") is eager
    assert (
        reversible.kernel_for("cpu") is eager
    )  # the warning, an error in these tests, is not repeated
    kernels._report_slow_path.cache_clear()


def test_fused_path_asked_for_by_name_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(kernels, "_fused", lambda kind: None)
    with (
        reversible.use_kernel("fused"),
        pytest.raises(InvalidInputError, match="compiler"),
    ):
        reversible.kernel_for("cpu")


def test_broken_compiler_leaves_the_eager_path(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "false")
    monkeypatch.setenv("ODEMOM_CACHE", str(tmp_path))
    assert native.library.__wrapped__() is None


def test_unknown_kernel_is_refused():
    with pytest.raises(InvalidInputError, match="fused"), reversible.use_kernel("fast"):
        pass


# --- range and resolution ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("largest", "dtype", "bits"),
    [(1.0, torch.float32, 43), (16.0, torch.float32, 43), (17.0, torch.float32, 42),
     (1e4, torch.float32, 33), (0.0, torch.float32, 43), (1e-9, torch.float64, 48),
     (1e4, torch.float64, 38), (3.0, torch.bfloat16, 43), (3.0, torch.float16, 43)],
)  # fmt: skip
def test_resolution_follows_dtype_and_size(largest, dtype, bits):
    x = torch.tensor([largest], dtype=dtype)
    assert MomentumState(x, None, Fraction(1, 2)).format.bits == bits


@pytest.mark.parametrize("bad", [0, 62, -3, 40.0, "40", True])
def test_resolution_outside_its_interval_is_refused(bad):
    with pytest.raises(InvalidInputError, match="resolution"):
        MomentumState(torch.ones(2), None, Fraction(1, 2), resolution=bad)


@pytest.mark.parametrize("resolution", [1, 61])
def test_the_ends_of_the_interval_of_resolutions_are_taken(resolution):
    state = MomentumState(torch.ones(2), None, Fraction(1, 2), resolution=resolution)
    assert state.format.bits == resolution
    assert state.x.tolist() == [2**resolution] * 2


def test_the_range_ends_at_two_to_the_62_units():
    reach = 2.0**19
    below = torch.tensor([math.nextafter(reach, 0.0)], dtype=torch.float64)
    state = MomentumState(below, None, Fraction(1, 2), resolution=43)
    assert torch.equal(state.shown(), below)
    with pytest.raises(FixedPointRangeError, match="below 524288"):
        MomentumState(torch.tensor([reach]), None, Fraction(1, 2), resolution=43)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_input_that_is_not_finite_is_refused(bad):
    with pytest.raises(FixedPointRangeError, match=r"the input.*not finite"):
        MomentumState(torch.tensor([1.0, bad]), None, Fraction(1, 2))


def test_input_beyond_a_chosen_resolution_is_refused_with_one_that_fits():
    with pytest.raises(FixedPointRangeError, match=r"resolution=43.*for example resolution=38"):
        MomentumState(torch.tensor([1e6]), None, Fraction(1, 2), resolution=43)


# --- RevNet's state ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_coupling_is_recovered_bit_for_bit(dtype):
    a, b = torch.randn(2, 7, 5, dtype=dtype, generator=torch.Generator().manual_seed(0))
    state = CouplingState(a, b)
    first = state.clone()
    for n in range(2000):
        state.advance(torch.cos(n * state.shown()) / 8)
    for n in reversed(range(2000)):
        state.retreat(torch.cos(n * state.expose()) / 8)
    assert torch.equal(state.a, first.a)
    assert torch.equal(state.b, first.b)


def test_channels_last_keeps_its_order():
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    state = MomentumState(x, None, Fraction(9, 10), resolution=50)
    assert state.shown().stride() == x.stride()
    assert (state.shown() - x).abs().max() <= 2**-51
    y, _ = state.advance(x.contiguous())
    assert (y - 1.1 * x).abs().max() < 1e-6
