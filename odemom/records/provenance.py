"""Where a result comes from: versions, machine, seed and date.

This module imports no torch: it reports on torch only where something else has loaded it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from datetime import UTC, datetime
from typing import Any

from odemom.records.machine import cpu_name

__all__ = ["provenance", "versions"]

# module -> distribution, of the packages reported only where something has loaded them
_IF_LOADED = {
    "torch": "torch",
    "torchdiffeq": "torchdiffeq",
    "lightning": "lightning",
    "sklearn": "scikit-learn",
    "joblib": "joblib",
    "distributed": "distributed",
}


def provenance(seed: int | None = None) -> dict[str, Any]:
    """Where a result comes from: versions, machine, seed and date.

    Parameters
    ----------
    seed : int, optional
        The seed of the run, recorded as it is.

    Returns
    -------
    dict
        ``seed``, ``date`` (UTC, ISO 8601), ``versions`` (odemom, python, numpy, scipy and, only
        where they are loaded, torch and what trains with it), ``platform``, ``cpu``,
        ``cpu_count`` and ``gpu`` (a list of
        names, or None where torch is not loaded and nobody has looked).

    Examples
    --------
    >>> sorted(provenance(seed=3))
    ['cpu', 'cpu_count', 'date', 'gpu', 'platform', 'seed', 'versions']
    """
    return {
        "seed": seed,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpu_count": os.cpu_count(),
        "gpu": _gpu_names(),
    }


def versions() -> dict[str, str]:
    """Versions of odemom, python and the packages below (torch and others only where loaded).

    Examples
    --------
    >>> import numpy as np
    >>> versions()["numpy"] == np.__version__
    True
    """
    from odemom import __version__

    found = {"odemom": __version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", *(_IF_LOADED[m] for m in _IF_LOADED if m in sys.modules)):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError, KeyError, OSError):
            found[package] = importlib.metadata.version(package) or "unknown"
    return found


def _gpu_names() -> list[str] | None:
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
