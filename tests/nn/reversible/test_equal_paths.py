"""Every path through a layer leaves the same bits: fused, eager and Triton, fast and exact."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from odemom.nn.reversible import eager, native
from tests.nn.reversible.test_reversible_arithmetic import (
    DTYPES,
    LAYERS,
    PATHS,
    constants,
    layer_inputs,
)


def there_and_back(kernel, state, f, c):
    """All that a layer and its inverse leave behind."""
    x, v, word = state[0].clone(), state[1].clone(), None if state[2] is None else state[2].clone()
    out, back = torch.empty_like(f), torch.empty_like(f)
    stats = kernel.advance(x, v, word, f, out, c)
    there = [t.clone() for t in (x, v, x if word is None else word)]
    kernel.expose(x, v, back, c.unit if c.units is None else c.units)
    checksum = kernel.retreat(v, word, f, c)
    return [stats, *there, out, back, checksum, x, v]


def by_sample(c, samples):
    """The same with a unit for each sample, from 2^-53 to 2^10."""
    units = torch.ldexp(torch.ones(samples), torch.arange(samples) % 64 - 53).double()
    return c._replace(units=units, scales=c.scale * c.unit / units), units


def states(gamma, radix, dtype, size, samples=None, words=1):
    """States over the whole range, in which numbers of one word have blocks of small ones too."""
    x, v, word, f = layer_inputs(gamma, radix, dtype, size)
    c = constants(gamma, radix)
    if words == 2:
        x, v = (torch.stack((t, t.roll(1) << 13)) for t in (x >> 2, v >> 2))
    else:
        x[size // 3 :] >>= 9
        v[size // 3 :] >>= 13
        x[-2000:] >>= 3
    if samples is not None:
        c, units = by_sample(c, samples)
        # as many units of each sample's own
        f = (f.view(samples, -1) * (units[:, None] * 2.0**43)).view(-1).to(dtype)
    return (x, v, word), f, c


EQUAL = [
    (gamma, radix, size, samples, words)
    for gamma, radix in LAYERS
    for size, samples, words in (
        (9_001, None, 1), (8_192, 8, 1), (8_184, 1023, 1), (1_500, None, 2), (1_500, 30, 2)
    )
]  # fmt: skip


@pytest.mark.skipif(not native.available(), reason="no compiler")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("gamma", "radix", "size", "samples", "words"), EQUAL)
def test_native_path_has_the_bits_of_the_eager_path(gamma, radix, size, samples, words, dtype):
    state, f, c = states(gamma, radix, dtype, size, samples, words)
    results = zip(*(there_and_back(k, state, f, c) for k in (eager, native)), strict=True)
    assert all(torch.equal(a, b) for a, b in results)


@pytest.mark.parametrize("kernel", PATHS)
def test_a_default_device_is_not_where_the_checks_are(kernel):
    state, f, c = states(*LAYERS[0], torch.float32, 1_500)
    plain = there_and_back(kernel, state, f, c)
    with torch.device("meta"):
        found = there_and_back(kernel, state, f, c)
    assert all(torch.equal(a, b) for a, b in zip(found, plain, strict=True))


@pytest.mark.parametrize("kernel", PATHS)
@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize(("gamma", "radix"), LAYERS)
def test_samples_with_units_of_their_own_are_undone(kernel, gamma, radix, words):
    state, f, c = states(gamma, radix, torch.float64, 3_000, 30, words)
    *_, checksum, x, v = there_and_back(kernel, state, f, c)
    assert torch.equal(x, state[0])
    assert torch.equal(v, state[1])
    assert checksum[0] == there_and_back(eager, state, f, c)[0][0]


EDGES = [
    ("v", 2**49 - 1), ("v", 2**49), ("v", -(2**49)), ("v", -(2**49) - 1), ("v", 2**61),
    ("v", 2**51), ("v", -(2**51) - 1), ("v", 2**52 + 12_345), ("v", -(2**52) - 12_345),
    ("x", 2**51 - 1), ("x", 2**51), ("x", -(2**51)), ("x", -(2**51) - 1), ("x", 2**62 - 2**60),
    ("x", 2**52 + 2**51), ("x", 2**53 + 1), ("x", 4382002437431492608), ("x", -(2**62) + 2**60),
    ("f", 2.0**10), ("f", 640.0), ("f", math.nextafter(640.0, 0)), ("f", 641.0),
    ("f", -3.0e38), ("f", math.inf), ("f", math.nan), ("f", 2.0**22), ("f", -0.0),
]  # fmt: skip


@pytest.mark.skipif(not native.available(), reason="no compiler")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("gamma", "radix"), [LAYERS[0], LAYERS[1], LAYERS[-1]])
@pytest.mark.parametrize(("of", "value"), EDGES)
def test_one_entry_at_an_edge_leaves_the_vectors_exact(of, value, gamma, radix, dtype):
    """Where vectors of doubles stop being exact, the block takes another way to the same bits."""
    g = torch.Generator().manual_seed(0)
    x, v = torch.randint(-(2**44), 2**44, (2, 2048), generator=g)
    word = None if gamma == 1 else torch.randint(0, radix, (2048,), generator=g)
    f = torch.randn(2048, dtype=dtype, generator=g)
    {"x": x, "v": v, "f": f}[of][777] = value
    results = [there_and_back(k, (x, v, word), f, constants(gamma, radix)) for k in (eager, native)]
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(*results, strict=True))


@pytest.mark.skipif(not native.available(), reason="no compiler")
@pytest.mark.parametrize("bits", range(40, 61))
@pytest.mark.parametrize(
    "gamma", [Fraction(1, 100), Fraction(1, 5), Fraction(3, 10_007), Fraction(9, 10), Fraction(1)]
)
def test_velocities_of_every_size_come_back(gamma, bits):
    """Also where gamma makes a large velocity so small that its layer is undone in doubles."""
    v = torch.randint(-(2**bits), 2**bits, (1024,), generator=torch.Generator().manual_seed(bits))
    word = None if gamma == 1 else torch.zeros_like(v)
    state = torch.zeros_like(v), v, word
    f = torch.ones(1024, dtype=torch.float64)
    here = constants(gamma, 160)
    results = [there_and_back(k, state, f, here) for k in (eager, native)]
    assert torch.equal(results[1][-1], v)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.skipif(not native.available(), reason="no compiler")
@pytest.mark.parametrize("samples", [None, 64])
def test_increments_may_be_negative_multiples(samples):
    """Of sizes of which the first sample's alone would let a block take the vectors."""
    state, f, c = states(Fraction(9, 10), 160, torch.float32, 4_096)
    scales = -(2.0 ** torch.where(torch.arange(64) % 8 == 0, 30.0, 55.0).double())
    many = samples is not None
    c = c._replace(scale=-(2.0**43), scales=scales if many else None)
    c = c._replace(units=torch.full((64,), 2.0**-43).double() if many else None)
    x, v, word = state
    results = [there_and_back(k, (x >> 9, v >> 13, word), f / 1000, c) for k in (eager, native)]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


TRITON = """
import torch
from odemom.nn.reversible import eager, triton_kernels
from tests.nn.reversible.test_equal_paths import LAYERS, states, there_and_back
for n, (gamma, radix) in enumerate(LAYERS):
    for m, dtype in enumerate((torch.float32, torch.float64)):
        samples, words = ((None, 1), (15, 2))[(n + m) % 2]
        state, f, c = states(gamma, radix, dtype, 1500, samples, words)
        ends = [there_and_back(kernel, state, f, c) for kernel in (eager, triton_kernels)]
        assert all(torch.equal(a, b) for a, b in zip(*ends)), (gamma, dtype, samples, words)
"""


def test_triton_kernels_have_the_bits_of_the_eager_path():
    """In Triton's interpreter, which needs no GPU."""
    pytest.importorskip("triton")
    path = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])
    env = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", TRITON], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
