"""The integer work of a layer on the device, its bits and its time beside moving; psi of stacks."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from benchmarks.gpu.log import Log, Timer
from odemom.nn.reversible import eager, kernel_for, native
from odemom.nn.reversible.buffer import radices
from odemom.nn.reversible.eager import LayerConstants

if TYPE_CHECKING:
    import triton
    import triton.language as tl
else:
    try:
        import triton
        import triton.language as tl
    except ImportError:
        triton = tl = None

__all__ = ["measure_kernels", "measure_psi"]

SIZES = (2**20, 2**24, 2**26)
GAMMAS = (Fraction(9, 10), Fraction(99, 100), Fraction(1))
SCALE = 2.0**43
BLOCK: Any = 1024


def _compiled(kernel: Any) -> Any:
    return kernel if triton is None else triton.jit(kernel)


@_compiled
def _forward(x_ptr, v_ptr, b_ptr, f_ptr, y_ptr, size, BLOCK: tl.constexpr):
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    tl.store(x_ptr + j, tl.load(x_ptr + j, mask=mask) + 1, mask=mask)
    tl.store(v_ptr + j, tl.load(v_ptr + j, mask=mask) + 1, mask=mask)
    tl.store(b_ptr + j, tl.load(b_ptr + j, mask=mask) + 1, mask=mask)
    tl.store(y_ptr + j, tl.load(f_ptr + j, mask=mask), mask=mask)


@_compiled
def _back(x_ptr, v_ptr, b_ptr, f_ptr, y_ptr, size, FIRST: tl.constexpr, BLOCK: tl.constexpr):
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    v = tl.load(v_ptr + j, mask=mask)
    if FIRST:
        tl.store(x_ptr + j, tl.load(x_ptr + j, mask=mask) - v, mask=mask)
        tl.store(y_ptr + j, 1.0, mask=mask)
    else:
        f = tl.load(f_ptr + j, mask=mask)
        tl.store(v_ptr + j, v + tl.where(f > 0, 1, 0), mask=mask)
        tl.store(b_ptr + j, tl.load(b_ptr + j, mask=mask) + 1, mask=mask)


def measure_kernels(log: Log, *, tiny: bool) -> None:
    """Rows on equal bits, and on time by size."""
    for gamma in GAMMAS:
        log.measure("kernel", f"equal bits, gamma {gamma}", lambda g=gamma: equal_bits(g, log))
    for size in SIZES[: 1 if tiny else None]:
        log.measure("kernel", f"time, {size} elements", lambda s=size: times(s, log.device))


def measure_psi(log: Log) -> None:
    """A row on psi of stacks of matrices, beside PyTorch's exponential of the companions."""

    def call() -> dict[str, Any]:
        from benchmarks.psi import throughput  # needs the packages of exact arithmetic

        return {ratio.name: ratio.median for ratio in throughput(log.device.type)}

    log.measure("psi", "torch.linalg.matrix_exp of companions / psi", call)


def constants(gamma: Fraction, radix: int) -> LayerConstants:
    """A layer, from a radix of the buffer."""
    if gamma == 1:
        return LayerConstants(1, 1, 1, 1, SCALE, 1 / SCALE)
    _, before, after = radices(gamma, radix)
    n, d = gamma.numerator, gamma.denominator
    return LayerConstants(n, d, before, after, float(1 - gamma) * SCALE, 1 / SCALE)


def numbers(size: int, gamma: Fraction, radix: int) -> list[Tensor | None]:
    """x, v, the buffer's word, f."""
    g = torch.Generator().manual_seed(0)
    x, v = ((torch.randn(size, generator=g).double() * SCALE).long() for _ in range(2))
    word = None if gamma == 1 else torch.randint(0, radix, (size,), generator=g)
    return [x, v, word, torch.randn(size, generator=g)]


def there_and_back(kernel: Any, tensors: list[Any], c: LayerConstants) -> list[Tensor]:
    """All that a layer and its inverse leave behind."""
    x, v, word, f = (None if t is None else t.clone() for t in tensors)
    out, back = torch.empty_like(f), torch.empty_like(f)
    stats = kernel.advance(x, v, word, f, out, c)
    there = [t.clone() for t in (x, v, x if word is None else word)]
    kernel.expose(x, v, back, c.unit)
    checksum = kernel.retreat(v, word, f, c)
    return [t.cpu() for t in (stats, *there, out, back, checksum.reshape(-1), x, v)]


def equal_bits(gamma: Fraction, log: Log) -> dict[str, Any]:
    """Whether the paths of the processor and of the device agree, and undo the layer."""
    radix = 160
    tensors, c = numbers(100_003, gamma, radix), constants(gamma, radix)
    paths: dict[str, tuple[Any, str]] = {"eager": (eager, "cpu")}
    if native.available():
        paths["native"] = native, "cpu"
    if log.device.type == "cuda":
        paths |= {"triton": (kernel_for(log.device), "cuda"), "eager cuda": (eager, "cuda")}
    found = {
        name: there_and_back(kernel, [t if t is None else t.to(on) for t in tensors], c)
        for name, (kernel, on) in paths.items()
    }
    first = found["eager"]
    equal = {
        name: all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
        for name, other in found.items()
    }
    x, v = tensors[:2]
    undone = torch.equal(first[-2], x) and torch.equal(first[-1], v)
    return {"equal": equal, "undone": undone}


def times(size: int, device: torch.device) -> dict[str, Any]:
    """Microseconds of a layer forward and back, and of passes that move the same bytes."""
    gamma, timer = Fraction(9, 10), Timer(device)
    x, v, word, f = (t.to(device) for t in numbers(size, gamma, 160) if t is not None)
    out, c = torch.empty_like(f), constants(gamma, 160)
    kernel = kernel_for(device)

    def forward() -> None:
        kernel.advance(x, v, word, f, out, c)

    def back() -> None:
        kernel.expose(x, v, out, c.unit)
        kernel.retreat(v, word, f, c)

    calls = {"forward": forward, "back": back}
    if device.type == "cuda" and triton is not None:
        grid = (triton.cdiv(size, BLOCK),)
        fields = x, v, word, f, out, size
        calls["move_forward"] = lambda: _forward[grid](*fields, BLOCK=BLOCK)

        def move_back() -> None:
            _back[grid](*fields, FIRST=True, BLOCK=BLOCK)
            _back[grid](*fields, FIRST=False, BLOCK=BLOCK)

        calls["move_back"] = move_back
    found: dict[str, Any] = {}
    for name, call in calls.items():
        call()
        found[f"{name}_us"] = 1e3 * timer(call, repeats=20)
    for way in ("forward", "back"):
        if f"move_{way}_us" in found:
            found[f"{way} / move"] = found[f"{way}_us"] / found[f"move_{way}_us"]
    return found
