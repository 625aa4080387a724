"""Timing two functions in turn, and writing what came of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.table import Table

from odemom.records.machine import cpu_name

__all__ = ["Ratio", "compare", "processor", "seconds", "table_of"]


@dataclass(frozen=True)
class Ratio:
    """How many times longer the peer takes.

    Attributes
    ----------
    name, peer : str
        What was measured, and against what.
    median, low, high : float
        Of the ratio peer/ours over the rounds: its median and quartiles.
    ours, theirs : float
        Median seconds.
    rounds : int
    """

    name: str
    peer: str
    median: float
    low: float
    high: float
    ours: float
    theirs: float
    rounds: int


def processor() -> str:
    """The processor's name, and the widest vectors that PyTorch uses on it."""
    import torch

    return f"{cpu_name()} ({torch.backends.cpu.get_cpu_capability()})"


def seconds(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(
    name: str, ours: Callable[[], object], peer: str, theirs: Callable[[], object], rounds: int = 9
) -> Ratio:
    """Time both functions in turn, after one warm-up each.

    The ratio is formed round by round, so that a drift of the machine's speed cancels.
    """
    ours()
    theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    ratios = [b / a for a, b in pairs]
    low, median, high = statistics.quantiles(ratios, n=4)
    return Ratio(
        name,
        peer,
        median,
        low,
        high,
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        rounds,
    )


def table_of(ratios: list[Ratio]) -> Table:
    """The ratios, to print."""
    table = Table(title="how many times longer the peer takes")
    for heading in ("measured", "peer", "ratio", "quartiles", "ours, ms"):
        table.add_column(heading, justify="left" if heading in ("measured", "peer") else "right")
    for r in ratios:
        spread = f"{r.low:.2g} to {r.high:.2g}"
        table.add_row(r.name, r.peer, f"{r.median:.2g}", spread, f"{1e3 * r.ours:.3g}")
    return table
