"""The machine: its processor, its C compiler, and where things are kept on it."""

from __future__ import annotations

import errno
import os
import platform
import shutil
from pathlib import Path

__all__ = ["c_compiler", "cache_directory", "cpu_name", "is_out_of_memory"]

# What PyTorch says, and Python where there is no room for the stack of a thread.
SHORT = ("can't allocate memory", "not enough memory", "CUDA out of memory", "start new thread")


def cache_directory() -> Path:
    """Where compiled kernels, data sets and decoded images are kept.

    ``$ODEMOM_CACHE``, else the folder odemom in ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    own = os.environ.get("ODEMOM_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "odemom"


def cpu_name() -> str:
    """The name of the processor, as its maker calls it where the system tells."""
    # platform.processor() is empty or only the architecture on Linux.
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def c_compiler() -> str | None:
    """The path of the C compiler: ``$CC``, else cc, gcc or clang."""
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that an allocation has failed.

    Examples
    --------
    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("a wrong shape"))
    (True, False)
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in SHORT)
    return said or isinstance(error, MemoryError)
