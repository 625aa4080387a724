"""Networks that people have, each as a momentum twin: accepted or refused, and whether it is right.

    python -m benchmarks.zoo [--only NAME ...] [--library NAME ...] [--quick] [--jobs N] [--out DIR]

Builds small networks of torchvision, timm and transformers from configurations, with random
weights, and tries the twin of each (`trial`). Prints a table and writes it as ``zoo.json`` and
``zoo.md``. Exit status 1 if a twin is wrong and does not say so.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import importlib
import importlib.util
import io
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.zoo.entry import Entry
from benchmarks.zoo.table import markdown, table, written
from benchmarks.zoo.trial import Trial, try_out

LIBRARIES = ("torchvision", "timm", "transformers")
QUICK = {
    "vgg11", "resnet18", "mobilenet_v2", "efficientnet", "vit", "swin", "vit_tiny_patch16_224",
    "cait_xxs24_224", "convnext_atto", "tnt_s_legacy_patch16_224", "GPT2LMHeadModel",
    "LlamaForCausalLM", "BertModel", "T5ForConditionalGeneration", "ViTModel",
}  # fmt: skip
"""One network of each kind."""


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


def main() -> int:
    """Run the zoo."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="networks with these names")
    parser.add_argument("--library", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--quick", action="store_true", help="one network of each kind")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    options = parser.parse_args()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    wanted = set(options.only) if options.only else QUICK if options.quick else None
    chosen = [
        entry
        for library in options.library
        for entry in entries(library)
        if wanted is None or entry.name in wanted
    ]
    missing = set(options.only or ()) - {entry.name for entry in chosen}
    if missing or not chosen:
        parser.error(f"no network is called {', '.join(sorted(missing)) or 'so'}")
    start = time.perf_counter()
    done = []
    for trial in trials(chosen, options.jobs):
        done.append(trial)
        print(f"{trial.name}: {trial.verdict}, {trial.seconds:.1f} s", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - start
    Console().print(table(done))
    written(options.out, done, seconds)
    print(markdown(done).partition("\n\n")[0], f"{seconds:.0f} s", sep="\n")
    return int(any(trial.differences for trial in done))


if __name__ == "__main__":
    sys.exit(main())
