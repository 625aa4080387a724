"""Measurements one after the other: each guarded, written at once, and none begun too late."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import processor

__all__ = ["Log", "Timer", "peak_of"]


class Log:
    """What was measured so far, on disk after every measurement.

    Parameters
    ----------
    path : Path
        The JSON file.
    budget : float
        Seconds after which no measurement begins.
    device : torch.device
    """

    def __init__(self, path: Path, budget: float, device: torch.device) -> None:
        self.path, self.budget, self.device = path, budget, device
        self.start = time.perf_counter()
        self.rows: list[dict[str, Any]] = []
        path.parent.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> float:
        """Seconds of the budget."""
        return self.budget - (time.perf_counter() - self.start)

    def measure(
        self, part: str, name: str, call: Callable[[], dict[str, Any]], *, needs: float = 0.0
    ) -> dict[str, Any]:
        """The row of a measurement; an error or want of time is a row too."""
        row: dict[str, Any] = {"part": part, "name": name}
        began = time.perf_counter()
        if self.left <= needs:
            row["skipped"] = f"{self.left:.0f} s left, {needs:.0f} needed"
        else:
            try:
                row |= call()
            except Exception as error:  # the next measurement may succeed
                row["error"] = f"{type(error).__name__}: {error}"[:600]
        row["took"] = round(time.perf_counter() - began, 2)
        self.rows.append(row)
        self._write()
        print(line_of(row), flush=True)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return row

    def _write(self) -> None:
        found = {"machine": self._machine(), "rows": self.rows}
        beside = self.path.with_suffix(".part")
        beside.write_text(json.dumps(found, indent=1) + "\n")
        beside.replace(self.path)

    def _machine(self) -> dict[str, Any]:
        cuda = self.device.type == "cuda"
        name = torch.cuda.get_device_name(self.device) if cuda else processor()
        return {"device": name, "cores": os.cpu_count(), "torch": torch.__version__}


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    known = ("part", "name", "took")
    rest = "  ".join(f"{k} {_said(v)}" for k, v in row.items() if k not in known)
    return f"{row['part']:8} {row['name']:44} {rest}  [{row['took']:.1f} s]"


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Timer:
    """Milliseconds of calls, on the device's own clock."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, call: Callable[[], Any], *, repeats: int, seconds: float = 2.0) -> float:
        """The median over at most ``repeats`` calls that take at most about ``seconds``."""
        times: list[float] = []
        while len(times) < repeats and sum(times) < 1e3 * seconds:
            times.append(self._once(call))
        return sorted(times)[len(times) // 2]

    def _once(self, call: Callable[[], Any]) -> float:
        if self.device.type != "cuda":
            start = time.perf_counter()
            call()
            return 1e3 * (time.perf_counter() - start)
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        call()
        last.record()
        torch.cuda.synchronize(self.device)
        return first.elapsed_time(last)


def peak_of(call: Callable[[], Any], device: torch.device) -> float | None:
    """10^6 bytes that a call takes at its peak beyond what is held before it; None on the CPU."""
    if device.type != "cuda":
        call()
        return None
    gc.collect()
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 1e6
