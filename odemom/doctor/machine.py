"""The machine: processor, memory, accelerators, compilers, and settings of threads."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from odemom.doctor.trial import Answer

__all__ = ["SETTINGS", "Kernels", "Machine", "kernels", "machine"]

# Environment variables that change how fast odemom is, or where it keeps what it builds.
SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "CC",
    "ODEMOM_CACHE",
    "XDG_CACHE_HOME",
)
VECTORS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512vl", "asimd", "sve")


@dataclass(frozen=True)
class Machine:
    """The machine.

    Attributes
    ----------
    system, cpu : str
    vector_instructions : tuple of str
        Empty where the system does not tell.
    cores, usable_cores : int
        All of them, and those that this process may use.
    memory, available_memory : int or None
        Bytes.
    gpus : tuple of str
    gpu_note : str
        Why there are none, or what to know about them.
    settings : dict
        The environment variables of `SETTINGS` that are set.
    torch_threads : int or None
    """

    system: str
    cpu: str
    vector_instructions: tuple[str, ...]
    cores: int
    usable_cores: int
    memory: int | None
    available_memory: int | None
    gpus: tuple[str, ...]
    gpu_note: str
    settings: dict[str, str]
    torch_threads: int | None


@dataclass(frozen=True)
class Kernels:
    """What does the integer work of reversible layers.

    Attributes
    ----------
    compiler : str or None
        The path of a C compiler.
    compiler_version : str or None
    library : str or None
        What was built from step.c, where it was.
    triton : bool
        Whether Triton is installed.
    cpu, cuda : str
        Which implementation does the work, in words.
    """

    compiler: str | None
    compiler_version: str | None
    library: str | None
    triton: bool
    cpu: str
    cuda: str


def machine(devices: Answer) -> Machine:
    """The machine, with what PyTorch answered about its devices."""
    told = devices.found or {}
    gpus, note = _gpus(devices)
    total, available = _memory()
    return Machine(
        platform.platform(),
        _cpu_name(),
        _vectors(),
        os.cpu_count() or 1,
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        total,
        available,
        gpus,
        note,
        {name: os.environ[name] for name in SETTINGS if name in os.environ},
        told.get("threads"),
    )


def kernels(answer: Answer, triton: bool) -> Kernels:
    """Compilers, and which implementation of the reversible layers is in use."""
    path = _c_compiler()
    found = answer.found or {}
    library, usable = found.get("library"), found.get("usable")
    if answer.error is not None:
        cpu = f"none: odemom.nn cannot be used ({answer.error})"
    elif path is None:
        cpu = "PyTorch operations, which are slower: there is no C compiler"
    elif library is None and (refusal := _cache_refuses()):
        cpu = f"PyTorch operations, which are slower: {refusal}"
    elif usable is False:
        cpu = f"PyTorch operations, which are slower: {path} does not build step.c"
    elif library is None:
        cpu = "C, built at the first use, which takes some seconds"
    else:
        cpu = "C, fused, built already"
    cuda = "Triton, fused" if triton else "PyTorch operations, which are slower: no Triton"
    cuda = cuda if answer.error is None else cpu
    return Kernels(path, _first_line(path), library, triton, cpu, cuda)


def _cpu_name() -> str:
    try:
        from odemom.records.machine import cpu_name
    except Exception:  # where NumPy is broken, which the packages say
        return platform.processor() or platform.machine()
    return cpu_name()


def _cache_refuses() -> str | None:
    """Why the compiled library cannot be kept where it belongs; nothing is left there."""
    try:
        from odemom.records.machine import cache_directory

        folder = cache_directory()
    except Exception:  # where NumPy is broken, which the packages say
        return None
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryDirectory(dir=there):
            return None
    except OSError as error:
        return f"{folder} cannot be written ({error.strerror}); set ODEMOM_CACHE"


def _c_compiler() -> str | None:
    try:
        from odemom.records.machine import c_compiler
    except Exception:  # where NumPy is broken, which the packages say
        return None
    return c_compiler()


def _first_line(compiler: str | None) -> str | None:
    if compiler is None:
        return None
    try:
        done = subprocess.run(
            [compiler, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0] or None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _vectors() -> tuple[str, ...]:
    lines = [line for line in _lines("/proc/cpuinfo") if line.startswith(("flags", "Features"))]
    flags = set(lines[0].split()) if lines else set()
    return tuple(name for name in VECTORS if name in flags)


def _memory() -> tuple[int | None, int | None]:
    """All memory, and what is available, in bytes."""
    words = [line.split() for line in _lines("/proc/meminfo")]
    sizes = {line[0].rstrip(":"): 1024 * int(line[1]) for line in words if len(line) == 3}
    total = sizes.get("MemTotal")
    if total is None and hasattr(os, "sysconf"):
        try:
            total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError):
            total = None
    return total, sizes.get("MemAvailable")


def _gpus(devices: Answer) -> tuple[tuple[str, ...], str]:
    """Their names, by PyTorch where it works, else by NVIDIA's tool; and what to know."""
    if devices.found is not None:
        gpus = tuple(devices.found["gpus"])
        build = devices.found["cuda"]
        version = f"this PyTorch is built for CUDA {build}" if build else "this PyTorch has no CUDA"
        return gpus, version
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return (), "nobody has looked: PyTorch cannot be asked, and there is no nvidia-smi"
    try:
        done = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=3, check=False)
    except (OSError, subprocess.SubprocessError):
        return (), "nvidia-smi does not answer"
    names = re.findall(r"^GPU \d+: (.*?)(?: \(UUID.*)?$", done.stdout, re.MULTILINE)
    return tuple(names), "by nvidia-smi; PyTorch cannot be asked"
