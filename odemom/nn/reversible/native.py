"""The integer work of one momentum layer in C: ``step.c``, compiled at first use.

The compiler is the system's; the bits are those of `eager`.

The library is kept in ``$ODEMOM_CACHE`` (or ``$XDG_CACHE_HOME/odemom``, ``~/.cache/odemom``) under
a name that hashes the sources, the compiler and the processor. OpenMP is not linked: its symbols
resolve to the runtime that PyTorch has already loaded, so that both share its threads and
`torch.set_num_threads`. Where that fails, a build with one thread is taken.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._C import _len_torch_dispatch_stack
from torch.autograd import forward_ad

from odemom.nn.reversible import eager
from odemom.nn.reversible.eager import LayerConstants
from odemom.records.machine import c_compiler as compiler
from odemom.records.machine import cache_directory

__all__ = [
    "advance", "alike", "available", "carried", "compiler", "entry", "expose", "force", "kept",
    "library", "retreat",
]  # fmt: skip

SOURCE = Path(__file__).with_name("step.c")
SOURCES = (SOURCE, *sorted(SOURCE.parent.glob("step_*.h")))
BASE = ("-O3", "-fPIC", "-fwrapv", "-ffp-contract=off", "-fno-trapping-math")
BUILDS = (
    ("-march=native", "-mprefer-vector-width=512", "-fopenmp"),
    ("-march=native", "-fopenmp"),
    ("-fopenmp",),
    ("-march=native",),
    (),
)
NAMES = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16"}
CARRIERS = (torch.float32, torch.float64)
"""Those that the integer work has entries for."""
LARGE = 1 << 15
"""Entries from which one pass over memory beats several operations, for all that it asks first."""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _build(cc: str, flags: tuple[str, ...], target: Path) -> None:
    """Compile to ``target``, whole or not at all, whoever else is building it."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made, shared = Path(folder) / "step.o", Path(folder) / "step.so"
        subprocess.run([cc, *BASE, *flags, "-c", str(SOURCE), "-o", str(made)], **_QUIET)
        # Without -fopenmp here, no second OpenMP runtime comes in.
        subprocess.run([cc, "-shared", str(made), "-o", str(shared), "-lm"], **_QUIET)
        os.replace(shared, target)


_QUIET = {"check": True, "capture_output": True, "timeout": 120}


@functools.cache
def library() -> ctypes.CDLL | None:
    """The loaded library; None where there is no compiler or nothing that it builds is right."""
    cc = compiler()
    if cc is None:
        return None
    try:
        cache_directory().mkdir(parents=True, exist_ok=True)
        targets = _targets(cc)
    except (OSError, subprocess.SubprocessError):
        return None
    for flags, target in targets.items():
        try:
            if not target.exists():
                _build(cc, flags, target)
            return _declared(ctypes.CDLL(str(target)))
        except (OSError, subprocess.SubprocessError):
            continue
    return None


def _targets(cc: str) -> dict[tuple[str, ...], Path]:
    """Where each build is kept."""
    version = subprocess.run([cc, "--version"], **_QUIET).stdout
    sources, directory = [source.read_bytes() for source in SOURCES], cache_directory()
    found = {}
    for flags in BUILDS:
        key = b"\0".join([*sources, version, repr(BASE + flags).encode(), _processor().encode()])
        found[flags] = directory / f"step-{hashlib.sha256(key).hexdigest()[:24]}.so"
    return found


def kept() -> Path | None:
    """The library that an earlier process has built, where there is one; builds nothing."""
    cc = compiler()
    try:
        targets = {} if cc is None else _targets(cc)
        return next((target for target in targets.values() if target.exists()), None)
    except (OSError, subprocess.SubprocessError):
        return None


def _declared(lib: ctypes.CDLL) -> ctypes.CDLL:
    size, pointer = ctypes.c_int64, ctypes.c_void_p
    for name in map(NAMES.__getitem__, CARRIERS):
        getattr(lib, f"{name}_advance").argtypes = [
            *[size] * 3,
            *[pointer] * 3,
            size,
            *[pointer] * 3,
            *[size] * 4,
            *[pointer] * 3,
        ]
        getattr(lib, f"{name}_expose").argtypes = [*[size] * 3, *[pointer] * 4]
        getattr(lib, f"{name}_retreat").argtypes = [
            *[size] * 3,
            *[pointer] * 2,
            size,
            *[pointer] * 2,
            *[size] * 4,
            *[pointer] * 2,
        ]
        getattr(lib, f"{name}_force").argtypes = [size, *[pointer] * 2, ctypes.c_double, pointer]
        getattr(lib, f"{name}_carried").argtypes = [
            size,
            *[pointer] * 4,
            ctypes.c_double,
            *[pointer] * 2,
        ]
    weights = [ctypes.c_double] * 2
    for name, given in (("f32", 3), ("f64", 3), ("bf16", 4)):
        getattr(lib, f"{name}_moved").argtypes = [
            size,
            *[pointer] * given,
            *weights,
            *[pointer] * 2,
        ]
        back = [size, *[pointer] * 2, *weights, *[pointer] * 3]
        getattr(lib, f"{name}_moved_back").argtypes = back
    return lib


def available() -> bool:
    """Whether the compiled path can be used."""
    return library() is not None


@functools.cache
def entry(operation: str, dtype: torch.dtype) -> Callable[..., None]:
    """The function of the library for numbers of that type."""
    lib = library()
    assert lib is not None
    return getattr(lib, f"{NAMES[dtype]}_{operation}")


def _per_sample(values: Tensor | None, value: float) -> tuple[int, Any]:
    """How many samples have a number of their own, and the address of these numbers."""
    if values is None:
        return 1, _double(value)
    return len(values), values.data_ptr()


@functools.lru_cache(maxsize=1024)
def _double(value: float) -> Any:
    return ctypes.byref(ctypes.c_double(value))


def _shape(f: Tensor, x: Tensor, samples: int) -> tuple[int, int, int]:
    """Entries, entries of a sample, and words a number."""
    size = f.numel()
    return size, max(size // samples, 1), x.dim()


def _address(t: Tensor | None) -> int:
    return 0 if t is None else t.data_ptr()


def _words(word: Tensor | None) -> tuple[int, int]:
    """Where the buffer's contents are, and the bytes that each of them takes."""
    return _address(word), 8 if word is None else word.itemsize


def advance(
    x: Tensor, v: Tensor, word: Tensor | None, f: Tensor, out: Tensor, c: LayerConstants,
    less: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """As `eager.advance`."""
    stats = torch.empty(2, dtype=torch.int64, device="cpu")
    samples, scales = _per_sample(c.scales, c.scale)
    units = _per_sample(c.units, c.unit)[1]
    entry("advance", f.dtype)(
        *_shape(f, x, samples), x.data_ptr(), v.data_ptr(), *_words(word), f.data_ptr(),
        _address(less), out.data_ptr(), c.n, c.d, c.before, c.after, scales, units,
        stats.data_ptr(),
    )  # fmt: skip
    return stats


def expose(x: Tensor, v: Tensor, out: Tensor, unit: float | Tensor) -> None:
    """As `eager.expose`."""
    given = (unit, 0.0) if isinstance(unit, Tensor) else (None, unit)
    samples, units = _per_sample(*given)
    entry("expose", out.dtype)(
        *_shape(out, x, samples), x.data_ptr(), v.data_ptr(), out.data_ptr(), units
    )


def retreat(
    v: Tensor, word: Tensor | None, f: Tensor, c: LayerConstants, less: Tensor | None = None
) -> Tensor:
    """As `eager.retreat`."""
    checksum = torch.empty(1, dtype=torch.int64, device="cpu")
    samples, scales = _per_sample(c.scales, c.scale)
    entry("retreat", f.dtype)(
        *_shape(f, v, samples), v.data_ptr(), *_words(word), f.data_ptr(), _address(less), c.n,
        c.d, c.before, c.after, scales, checksum.data_ptr(),
    )  # fmt: skip
    return checksum


def force(gx: Tensor | None, gh: Tensor | None, weight: float) -> Tensor:
    """As `eager.force`; in one pass where both are large and lie alike in memory."""
    if gx is None or gh is None or gx.numel() < LARGE or not alike(gx, gh):
        return eager.force(gx, gh, weight)
    gf = torch.empty_like(gx)
    entry("force", gx.dtype)(gx.numel(), gx.data_ptr(), gh.data_ptr(), weight, gf.data_ptr())
    return gf


def carried(
    gx: Tensor | None,
    gh: Tensor | None,
    through: Tensor | None,
    less: Tensor | None,
    gamma: float,
) -> tuple[Tensor | None, Tensor]:
    """As `eager.carried`; in one pass where all are large and lie alike in memory."""
    if gx is None or gh is None or through is None or gx.numel() < LARGE:
        return eager.carried(gx, gh, through, less, gamma)
    if not alike(gx, gh, through) or not (less is None or alike(gx, less)):
        return eager.carried(gx, gh, through, less, gamma)
    x, h = torch.empty_like(gx), torch.empty_like(gx)
    entry("carried", gx.dtype)(
        gx.numel(), gx.data_ptr(), gh.data_ptr(), through.data_ptr(),
        _address(less), gamma, x.data_ptr(), h.data_ptr(),
    )  # fmt: skip
    return x, h


def alike(first: Tensor, *others: Tensor, dtypes: tuple[torch.dtype, ...] = ()) -> bool:
    """Whether all are dense, with their entries in the same places, and nothing else is with them.

    C sees numbers alone: tangents, batches and what records operations need operations.

    Parameters
    ----------
    first, *others : Tensor
    dtypes : tuple of torch.dtype
        One per tensor; without, all must have that of the first, float32 or float64.
    """
    if forward_ad._current_level >= 0 or _len_torch_dispatch_stack() > 0:
        return False
    if not _is_plain(first) or not (dtypes or first.dtype in CARRIERS):
        return False
    dense = first.is_contiguous() or (
        first.dim() == 4 and first.is_contiguous(memory_format=torch.channels_last)
    )
    shape, stride = first.shape, first.stride()
    if not dense or (dtypes and first.dtype is not dtypes[0]):
        return False
    for t, dtype in zip(others, dtypes[1:] or (first.dtype,) * len(others), strict=True):
        if not _is_plain(t) or t.dtype is not dtype or t.shape != shape or t.stride() != stride:
            return False
    return True


def _kinds_of_plain() -> frozenset[int]:
    kinds, key = torch._C.DispatchKeySet, torch._C.DispatchKey
    inference = kinds(key.CPU) | kinds(key.AutocastCPU)
    recorded = inference | kinds(key.AutogradCPU) | kinds(key.ADInplaceOrView)
    return frozenset({inference.raw_repr(), recorded.raw_repr()})


_PLAIN = _kinds_of_plain()
"""What stands between operations and the numbers in the memory of the CPU where nothing else does
(no batch, no flag), in inference and outside. No tensor is asked: where this module is imported, a
mode may make others of them."""


def _is_plain(t: Tensor) -> bool:
    """Whether its memory holds its entries: not so where a sign or zeros stand in a flag."""
    return type(t) is Tensor and torch._C._dispatch_keys(t).raw_repr() in _PLAIN
