"""Trials in processes of their own."""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib
import importlib.util
import io
import multiprocessing
import warnings
from collections.abc import Iterator

import torch

from benchmarks.zoo.entry import Entry
from benchmarks.zoo.trial import Trial, try_out

__all__ = ["entries", "trials"]


def entries(library: str) -> list[Entry]:
    """The networks of a library; none if it is not installed."""
    if importlib.util.find_spec(library) is None:
        print(f"{library} is not installed and is left out: pip install 'odemom[bench]'")
        return []
    return importlib.import_module(f"benchmarks.zoo.{library}_models").ENTRIES


def tried(library: str, name: str) -> Trial:
    """The trial of one network; what it prints and warns of on the way is dropped."""
    torch.set_num_threads(1)
    (entry,) = [entry for entry in entries(library) if entry.name == name]
    noise = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(noise):
        warnings.simplefilter("ignore")
        return try_out(entry)


def trials(chosen: list[Entry], jobs: int) -> Iterator[Trial]:
    """Those of all networks, in order, in ``jobs`` processes."""
    if jobs == 1:
        yield from (tried(entry.library, entry.name) for entry in chosen)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
        libraries, names = [e.library for e in chosen], [e.name for e in chosen]
        yield from pool.map(tried, libraries, names)
