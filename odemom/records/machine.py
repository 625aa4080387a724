"""The machine: its processor, and its C compiler."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

__all__ = ["c_compiler", "cpu_name"]


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
